"""The questions to a client that knows keys. Its adapter is a program that reads a line of JSON for each thing to do and answers a line:
`{"do": "put", "bucket": …, "key": …, "file": …}` → `{"ok": …}` or `{"error": …}`. Its first line says its version and, in `cannot`, what
the client itself does not do, with why. What a client says it cannot is tried as well, so that the list stays true.
"""
import hashlib
import json
import os
import subprocess
import traceback

import boto3

#: Kinds of keys, by the name that `cannot` has for them.
KEYS = {
    "plain": "plain.txt",
    "space": "with space/a b.txt",
    "plus": "plus+plus/+.txt",
    "percent": "100%/%.txt",
    "encoded": "once%20encoded%2F.txt",
    "double slash": "double//slash.txt",
    "unicode": "ünï/日本 🦀.txt",
    "query": "q?x=1&y=2#z.txt",
    "marks": "day=2024-05-06/(a)'b'!~*,;:@$.txt",
}
BIG = 30 * 1024 * 1024
MANY = 1234


class Refused(Exception):
    pass


class World:
    def __init__(self, endpoint, folder):
        self.folder = folder
        self.s3 = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        self.big = folder / "big"
        self.big.write_bytes(bytes(range(256)) * (BIG // 256))
        # A bucket with more keys than a page of a list, for all clients.
        self.s3.create_bucket(Bucket="many")
        for at in range(MANY):
            self.s3.put_object(Bucket="many", Key=f"in/{at:05}", Body=b"x")

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def keys(self, bucket, prefix=""):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return sorted(one["Key"] for page in pages for one in page.get("Contents", []))

    def body(self, bucket, key):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()


class Adapter:
    def __init__(self, command):
        # What SDKs warn of is shown where somebody looks for what went wrong.
        said = None if os.environ.get("LAKERUN_TRACE") else subprocess.DEVNULL
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        told = self.answer()
        self.version, self.cannot = told["version"], told["cannot"]

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the adapter ended with {self.process.wait()}")
        return json.loads(line)

    def __call__(self, do, **what):
        self.process.stdin.write(json.dumps({"do": do} | {name: str(value) for name, value in what.items()}) + "\n")
        self.process.stdin.flush()
        told = self.answer()
        if "error" in told:
            raise Refused(told["error"])
        return told["ok"]

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


def key(world, ask, bucket, name):
    """Written, seen by another client under that very name, listed, read and deleted."""
    content = f"body of {name}".encode()
    ask("put", bucket=bucket, key=name, file=world.file("in", content))
    assert world.keys(bucket) == [name], f"wrote {world.keys(bucket)}"
    assert world.body(bucket, name) == content
    assert ask("list", bucket=bucket, prefix="") == [name], f"listed {ask('list', bucket=bucket, prefix='')}"
    out = world.folder / "out"
    out.unlink(missing_ok=True)
    ask("get", bucket=bucket, key=name, file=out)
    assert out.read_bytes() == content, "read something else"
    ask("delete", bucket=bucket, key=name)
    assert world.keys(bucket) == [], f"left {world.keys(bucket)}"


def many(world, ask, bucket):
    """A list of several pages."""
    found = ask("list", bucket="many", prefix="in/")
    assert found == [f"in/{at:05}" for at in range(MANY)], f"{len(found)} of {MANY}"


def big(world, ask, bucket):
    """In parts, whole again, and a range of it."""
    ask("big", bucket=bucket, key="big file", file=world.big)
    head = world.s3.head_object(Bucket=bucket, Key="big file")
    assert head["ContentLength"] == BIG and "-" in head["ETag"], head
    out = world.folder / "out"
    ask("get", bucket=bucket, key="big file", file=out)
    digest = lambda path: hashlib.sha256(path.read_bytes()).digest()
    assert digest(out) == digest(world.big), "read something else"
    ask("delete", bucket=bucket, key="big file")
    assert not world.s3.list_multipart_uploads(Bucket=bucket).get("Uploads"), "left an upload"


def ranges(world, ask, bucket):
    world.s3.put_object(Bucket=bucket, Key="ranged", Body=bytes(range(256)))
    out = world.folder / "out"
    ask("range", bucket=bucket, key="ranged", file=out, first=10, last=19)
    assert out.read_bytes() == bytes(range(10, 20)), out.read_bytes()


def missing(world, ask, bucket):
    """What is not there is an error, not nothing."""
    try:
        ask("get", bucket=bucket, key="not there", file=world.folder / "out")
    except Refused:
        return
    raise AssertionError("read what is not there")


def copy(world, ask, bucket):
    world.s3.put_object(Bucket=bucket, Key="from/a b+c%.txt", Body=b"copied")
    ask("copy", bucket=bucket, key="from/a b+c%.txt", to="to/a b+c%.txt")
    assert world.body(bucket, "to/a b+c%.txt") == b"copied"


def create(world, ask, bucket):
    """Written only where there is nothing."""
    file = world.file("in", b"first")
    assert ask("create", bucket=bucket, key="once", file=file) is True
    assert ask("create", bucket=bucket, key="once", file=world.file("in", b"second")) is False
    assert world.body(bucket, "once") == b"first"


def replace(world, ask, bucket):
    """Written only over what was read."""
    etag = world.s3.put_object(Bucket=bucket, Key="known", Body=b"one")["ETag"]
    assert ask("replace", bucket=bucket, key="known", file=world.file("in", b"two"), etag=etag) is True
    assert ask("replace", bucket=bucket, key="known", file=world.file("in", b"three"), etag=etag) is False
    assert world.body(bucket, "known") == b"two"


CHECKS = {"pages": many, "30 MB": big, "range": ranges, "missing": missing, "copy": copy, "create": create, "replace": replace}


def client(world, name, command, counts):
    """What of everything it could: by the name of a check true, or why not."""
    ask = Adapter(command)
    went = {}
    questions = [(kind, lambda bucket, own=own: key(world, ask, bucket, own)) for kind, own in KEYS.items()]
    questions += [(kind, lambda bucket, check=check: check(world, ask, bucket)) for kind, check in CHECKS.items()]
    for at, (kind, question) in enumerate(questions):
        bucket = f"{name}-{at}"
        world.s3.create_bucket(Bucket=bucket)
        try:
            question(bucket)
            failed = None
        except (Refused, AssertionError) as error:
            failed = f"{type(error).__name__}: {str(error)[-400:]}"
            if isinstance(error, AssertionError) and not str(error):
                failed = traceback.format_exc().splitlines()[-2].strip()
        own = ask.cannot.get(kind)
        went[kind] = own or True
        if failed and not own:
            print(f"FAILED {name} {kind}: {failed}")
        elif own and not failed:
            failed = "can by now"
            print(f"FAILED {name} {kind}: it is said that it cannot ({own}), and it can")
        elif own:
            failed = None
        counts[failed is None] += 1
    ask.close()
    cannot = "; ".join(f"{kind}: {why}" for kind, why in ask.cannot.items())
    print(f"{name} {ask.version}: {len(questions)} questions" + (f"; the client itself cannot {cannot}" if cannot else ""))
    return ask.version, went


def table(rows):
    heads = [*KEYS, *CHECKS]
    lines = ["| client | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for name, (version, went) in rows:
        lines.append(f"| {name} {version} | " + " | ".join("yes" if went.get(kind) is True else "–" for kind in heads) + " |")
    return "\n".join(lines)
