#!/usr/bin/env python3
"""A disk that runs full under S3: what fails says so, reads and deletions go on, what was deleted makes room, also after a kill.

    python3 conformance/s3/full_disk.py [--lakerun target/debug/lakerun]

Mounts a small file system in memory (in a mount namespace of its own, so that nothing of it is left); where that is not allowed it
is skipped with its reason. Needs boto3. Closes with 'N passed, N failed, N skipped'.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parent.parent))

from server import Server, need_boto3  # noqa: E402

need_boto3(__file__)

import boto3  # noqa: E402
from botocore.config import Config  # noqa: E402
from botocore.exceptions import ClientError  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MEBIBYTES = 192
BODY = os.urandom(1 << 20)
# Who is not root may mount where it is root of a user namespace.
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
ONCE = Config(retries={"max_attempts": 0})


def inside():
    """This program again, where it may mount; none where it may not."""
    if os.environ.get("FULL_DISK_INSIDE"):
        return True
    tried = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "none", "/mnt"],
                           capture_output=True, text=True)
    if tried.returncode != 0:
        print(f"0 passed, 0 failed, 1 skipped: no file system can be mounted here ({tried.stderr.strip()})")
        return False
    environment = os.environ | {"FULL_DISK_INSIDE": "1"}
    sys.exit(subprocess.run([*UNSHARE, sys.executable, *sys.argv], env=environment).returncode)


def refused(call):
    """Whether a call fails because the disk is full; any other failure is a fault."""
    try:
        call()
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500, error
        assert "disk is full" in error.response["Error"]["Message"], error
        return True
    return False


def fill(s3, name, size, most):
    """Puts objects until one is refused; the names of those that were taken."""
    taken = []
    for number in range(most):
        key = f"{name}/{number:06}"
        if refused(lambda: s3.put_object(Bucket="full", Key=key, Body=BODY[:size])):
            return taken
        taken.append(key)
    raise AssertionError(f"{most} objects of {size} bytes fit into {MEBIBYTES} MiB")


def check_all(s3, keys, size):
    for key in keys:
        assert s3.get_object(Bucket="full", Key=key)["Body"].read() == BODY[:size], key


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lakerun", type=pathlib.Path, default=ROOT / "target/debug/lakerun")
    binary = parser.parse_args().lakerun.resolve()
    if not inside():
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEBIBYTES}m", "none", folder], check=True)
        data = pathlib.Path(folder) / "data"
        server = Server(binary, data=data)
        s3 = boto3.client("s3", config=ONCE)
        s3.create_bucket(Bucket="full")
        large = fill(s3, "large", 1 << 20, 2 * MEBIBYTES)
        assert len(large) > MEBIBYTES // 3, f"only {len(large)} objects of 1 MiB fit"
        # Bodies have stopped; small ones, which lie among the records, stop later.
        small = fill(s3, "small", 4000, 100_000)
        print(f"{len(large)} objects of 1 MiB and {len(small)} of 4,000 bytes, then the disk was full")
        check_all(s3, large[:3] + large[-3:], 1 << 20)
        check_all(s3, small[:3] + small[-3:], 4000)
        server.kill()
        server = Server(binary, data=data)
        s3 = boto3.client("s3", config=ONCE)
        check_all(s3, large, 1 << 20)
        check_all(s3, small[-3:], 4000)
        for key in large:
            s3.delete_object(Bucket="full", Key=key)
        for start in range(0, len(small), 1000):
            some = [{"Key": key} for key in small[start:start + 1000]]
            gone = s3.delete_objects(Bucket="full", Delete={"Objects": some})
            assert "Errors" not in gone, gone["Errors"][:1]
        assert s3.list_objects_v2(Bucket="full")["KeyCount"] == 0
        again = fill(s3, "again", 1 << 20, 2 * MEBIBYTES)
        assert len(again) > len(large) // 2, f"{len(large)} objects were deleted and {len(again)} fit now"
        check_all(s3, again[-1:], 1 << 20)
        print(f"after their deletion {len(again)} fitted again")
        server.stop()
        subprocess.run(["umount", folder], check=True)
    print("1 passed, 0 failed, 0 skipped")


if __name__ == "__main__":
    main()
