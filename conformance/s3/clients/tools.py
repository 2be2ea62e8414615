"""Adapters of command-line tools: AWS's of version 1 (within this process, which starts it once), s3cmd, s5cmd and rclone."""
import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from adapter import serve

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


class Tool:
    """One that is a program."""

    def __init__(self, *program):
        self.program = [str(part) for part in program]

    def run(self, *arguments, **named):
        done = subprocess.run([*self.program, *arguments], capture_output=True, text=True, **named)
        if done.returncode:
            raise RuntimeError((done.stderr or done.stdout)[-500:])
        return done.stdout


class Aws:
    def __init__(self):
        os.environ |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_PAGER": ""}

    def run(self, *arguments):
        from awscli.clidriver import create_clidriver
        out, failed = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(failed):
            code = create_clidriver().main(list(arguments))
        if code:
            raise RuntimeError(failed.getvalue()[-500:] + out.getvalue()[-200:])
        return out.getvalue()

    def put(self, bucket, key, file):
        self.run("s3", "cp", "--quiet", file, f"s3://{bucket}/{key}")

    big = put

    def get(self, bucket, key, file):
        self.run("s3", "cp", "--quiet", f"s3://{bucket}/{key}", file)

    def list(self, bucket, prefix):
        told = self.run("s3", "ls", "--recursive", f"s3://{bucket}/{prefix}")
        return sorted(line.split(maxsplit=3)[3] for line in told.splitlines())

    def delete(self, bucket, key):
        self.run("s3", "rm", "--quiet", f"s3://{bucket}/{key}")

    def range(self, bucket, key, file, first, last):
        self.run("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", f"bytes={first}-{last}", file)

    def copy(self, bucket, key, to):
        self.run("s3", "cp", "--quiet", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}")

    def conditional(self, bucket, key, file, *condition):
        try:
            self.run("s3api", "put-object", "--bucket", bucket, "--key", key, "--body", file, *condition)
        except RuntimeError as error:
            if "PreconditionFailed" in str(error):
                return False
            raise
        return True

    def create(self, bucket, key, file):
        return self.conditional(bucket, key, file, "--if-none-match", "*")

    def replace(self, bucket, key, file, etag):
        return self.conditional(bucket, key, file, "--if-match", etag)


class S3cmd(Tool):
    def __init__(self):
        host = ENDPOINT.split("://")[1]
        super().__init__(sys.executable, pathlib.Path(sys.executable).parent / "s3cmd", "--no-ssl", f"--host={host}", f"--host-bucket={host}",
                         "--config=/dev/null", f"--access_key={os.environ['AWS_ACCESS_KEY_ID']}",
                         f"--secret_key={os.environ['AWS_SECRET_ACCESS_KEY']}", "--region=us-east-1", "--no-progress")

    def put(self, bucket, key, file):
        self.run("put", file, f"s3://{bucket}/{key}")

    def big(self, bucket, key, file):
        self.run("--multipart-chunk-size-mb=8", "put", file, f"s3://{bucket}/{key}")

    def get(self, bucket, key, file):
        self.run("--force", "get", f"s3://{bucket}/{key}", file)

    def list(self, bucket, prefix):
        told = self.run("ls", "--recursive", f"s3://{bucket}/{prefix}")
        return sorted(line.split(f"s3://{bucket}/", 1)[1] for line in told.splitlines())

    def delete(self, bucket, key):
        self.run("del", f"s3://{bucket}/{key}")

    def copy(self, bucket, key, to):
        self.run("cp", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}")


class S5cmd(Tool):
    def __init__(self, program):
        super().__init__(program)
        os.environ |= {"S3_ENDPOINT_URL": ENDPOINT, "AWS_REGION": "us-east-1"}

    def put(self, bucket, key, file):
        self.run("cp", file, f"s3://{bucket}/{key}")

    def big(self, bucket, key, file):
        self.run("cp", "--part-size", "8", file, f"s3://{bucket}/{key}")

    def get(self, bucket, key, file):
        self.run("cp", "--raw", f"s3://{bucket}/{key}", file)

    def list(self, bucket, prefix):
        try:
            told = self.run("--json", "ls", f"s3://{bucket}/{prefix}*")
        except RuntimeError as error:
            if "no object found" in str(error):
                return []
            raise
        return sorted(json.loads(line)["key"].removeprefix(f"s3://{bucket}/") for line in told.splitlines())

    def delete(self, bucket, key):
        self.run("rm", "--raw", f"s3://{bucket}/{key}")

    def copy(self, bucket, key, to):
        self.run("cp", "--raw", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}")


class Rclone(Tool):
    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory()
        config = os.path.join(self.folder.name, "rclone.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[l]\ntype = s3\nprovider = Other\nenv_auth = true\nendpoint = {ENDPOINT}\nregion = us-east-1\nchunk_size = 8Mi\nupload_cutoff = 8Mi\n")
        super().__init__(program, "--config", config, "--quiet", "--s3-no-check-bucket")

    def put(self, bucket, key, file):
        self.run("copyto", file, f"l:{bucket}/{key}")

    big = put

    def get(self, bucket, key, file):
        self.run("copyto", f"l:{bucket}/{key}", file)

    def list(self, bucket, prefix):
        told = self.run("lsf", "--recursive", "--files-only", f"l:{bucket}/{prefix}")
        return sorted(prefix + line for line in told.splitlines())

    def delete(self, bucket, key):
        self.run("deletefile", f"l:{bucket}/{key}")

    def range(self, bucket, key, file, first, last):
        told = self.run("cat", f"l:{bucket}/{key}", "--offset", first, "--count", str(int(last) - int(first) + 1), encoding="latin-1")
        pathlib.Path(file).write_bytes(told.encode("latin-1"))

    def copy(self, bucket, key, to):
        self.run("copyto", f"l:{bucket}/{key}", f"l:{bucket}/{to}")


UNCONDITIONAL = {"create": "it writes without conditions", "replace": "it writes without conditions"}
ADAPTERS = {
    "aws": (Aws, {}),
    "s3cmd": (S3cmd, UNCONDITIONAL | {"range": "it reads whole objects"}),
    "s5cmd": (S5cmd, UNCONDITIONAL | {
        "range": "it reads whole objects",
        "query": "? and * are patterns in its targets",
        "marks": "? and * are patterns in its targets",
        "copy": "it names a space in the source of a copy as +, which stands for a +",
    }),
    "rclone": (Rclone, UNCONDITIONAL | {"double slash": "its paths have no empty part"}),
}

if __name__ == "__main__":
    import importlib.metadata

    name, program = sys.argv[1], sys.argv[2:]
    kind, cannot = ADAPTERS[name]
    client = kind(*program)
    if program:
        version = subprocess.run([*program, "version"], capture_output=True, text=True).stdout.split("\n")[0].split()[-1]
    else:
        version = importlib.metadata.version({"aws": "awscli"}.get(name, name))
    serve(client, version, cannot)
