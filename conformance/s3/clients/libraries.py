"""Adapters of Python libraries that know keys: s3fs and pyarrow."""
import os
import shutil
import sys

from adapter import serve

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


class S3fs:
    def __init__(self):
        import s3fs
        self.fs = s3fs.S3FileSystem(endpoint_url=ENDPOINT, use_listings_cache=False)

    def put(self, bucket, key, file):
        self.fs.put_file(file, f"{bucket}/{key}")

    def get(self, bucket, key, file):
        self.fs.get_file(f"{bucket}/{key}", file)

    def list(self, bucket, prefix):
        return sorted(path.removeprefix(bucket + "/") for path in self.fs.find(f"{bucket}/{prefix}"))

    def delete(self, bucket, key):
        self.fs.rm_file(f"{bucket}/{key}")

    def big(self, bucket, key, file):
        with open(file, "rb") as read, self.fs.open(f"{bucket}/{key}", "wb", block_size=8 << 20) as write:
            shutil.copyfileobj(read, write, 1 << 20)

    def range(self, bucket, key, file, first, last):
        with open(file, "wb") as out:
            out.write(self.fs.cat_file(f"{bucket}/{key}", start=int(first), end=int(last) + 1))

    def copy(self, bucket, key, to):
        self.fs.copy(f"{bucket}/{key}", f"{bucket}/{to}")

    def create(self, bucket, key, file):
        with open(file, "rb") as read:
            try:
                self.fs.pipe_file(f"{bucket}/{key}", read.read(), mode="create")
            except FileExistsError:
                return False
        return True

    def replace(self, bucket, key, file, etag):
        with open(file, "rb") as read:
            try:
                self.fs.pipe_file(f"{bucket}/{key}", read.read(), IfMatch=etag)
            except OSError as error:
                if "PreconditionFailed" in str(error) or "pre-conditions" in str(error):
                    return False
                raise
        return True


class Pyarrow:
    def __init__(self):
        from pyarrow import fs
        self.selector = fs.FileSelector
        host = ENDPOINT.split("://")[1]
        # Bodies of 5 MiB and more go in parts.
        self.fs = fs.S3FileSystem(endpoint_override=host, scheme="http", region="us-east-1", allow_bucket_creation=False)

    def put(self, bucket, key, file):
        with open(file, "rb") as read, self.fs.open_output_stream(f"{bucket}/{key}") as write:
            shutil.copyfileobj(read, write, 1 << 20)

    big = put

    def get(self, bucket, key, file):
        with open(file, "wb") as write, self.fs.open_input_stream(f"{bucket}/{key}") as read:
            shutil.copyfileobj(read, write, 1 << 20)

    def list(self, bucket, prefix):
        found = self.fs.get_file_info(self.selector(f"{bucket}/{prefix}".rstrip("/"), recursive=True))
        return sorted(one.path.removeprefix(bucket + "/") for one in found if one.is_file)

    def delete(self, bucket, key):
        self.fs.delete_file(f"{bucket}/{key}")
        # It keeps the folder of a file with an object of its own, which goes with the folder.
        if "/" in key:
            self.fs.delete_dir(f"{bucket}/{key.split('/')[0]}")

    def range(self, bucket, key, file, first, last):
        with open(file, "wb") as write, self.fs.open_input_file(f"{bucket}/{key}") as read:
            write.write(read.read_at(int(last) - int(first) + 1, int(first)))

    def copy(self, bucket, key, to):
        self.fs.copy_file(f"{bucket}/{key}", f"{bucket}/{to}")


ADAPTERS = {
    "s3fs": (S3fs, {}),
    "pyarrow": (Pyarrow, {
        "double slash": "its paths have no empty part",
        "create": "it writes without conditions",
        "replace": "it writes without conditions",
    }),
}

if __name__ == "__main__":
    import importlib.metadata

    name = sys.argv[1]
    kind, cannot = ADAPTERS[name]
    serve(kind(), importlib.metadata.version(name), cannot)
