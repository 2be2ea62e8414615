"""S3 as the readers and writers need it: listing with Spark's rules (globs, hidden files), partition folders."""

import datetime
import os
import re
from functools import lru_cache
from urllib.parse import unquote

import boto3

SCHEMES = ("s3://", "s3a://", "s3n://")
#: The folder of a partition column that has no value.
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
GLOB = re.compile(r"[*?\[{\\]")


@lru_cache(maxsize=1)
def client():
    return boto3.client("s3")


def encryption():
    """As the run's security configuration has it."""
    algorithm, key = os.environ.get("AWS_SERVER_SIDE_ENCRYPTION"), os.environ.get("AWS_SSE_KMS_KEY_ID")
    given = {"ServerSideEncryption": algorithm, "SSEKMSKeyId": key}
    return {name: value for name, value in given.items() if value}


def is_s3(path):
    return isinstance(path, str) and path.startswith(SCHEMES)


def split(path):
    """s3a://bucket/key -> (bucket, key)"""
    bucket, _, key = path.split("://", 1)[1].partition("/")
    return bucket, key


def keys(bucket, prefix):
    """(key, size) of every object under a prefix, folders' markers left out as Hadoop does."""
    return ((item["Key"], item["Size"]) for item in objects(bucket, prefix))


def objects(bucket, prefix):
    for page in client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", []):
            if not item["Key"].endswith("/"):
                yield item


def hidden(relative):
    """Names that Spark passes over: `.x`, `x._COPYING_`, and `_x` unless it is a partition folder's."""
    parts = [part for part in relative.split("/") if part]
    return any(p.startswith(".") or p.endswith("._COPYING_") or (p.startswith("_") and "=" not in p) for p in parts)


def nested(relative):
    """Whether a file lies in a folder that is no partition's: Spark reads those only with recursiveFileLookup."""
    return any("=" not in part for part in relative.split("/")[:-1])


def _pattern(glob):
    """Hadoop's glob syntax: * ? [..] {a,b}, none of which crosses a slash, and a backslash before what stands for itself."""
    out, depth, i = "", 0, 0
    while i < len(glob):
        char = glob[i]
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "\\" and i + 1 < len(glob):
            i += 1
            out += re.escape(glob[i])
        elif char == "[" and "]" in glob[i:]:
            end = glob.index("]", i)
            out += "[" + glob[i + 1 : end].replace("!", "^", 1) + "]"
            i = end
        elif char == "{":
            out, depth = out + "(?:", depth + 1
        elif char == "}" and depth:
            out, depth = out + ")", depth - 1
        elif char == "," and depth:
            out += "|"
        else:
            out += re.escape(char)
        i += 1
    return re.compile(out)


def literal(path):
    """The path as a glob that names this very object or folder: keys and locations of tables may hold `[`, `{`, `*` or `?`."""
    if not is_s3(path):
        return path
    bucket, key = split(path)
    return path[: path.index("://") + 3] + bucket + "/" + re.sub(r"[*?\[\]{}\\]", r"\\\g<0>", key)


def _magic(key):
    """The key and where its glob begins; of a key that only backslashes make a glob, what it names."""
    if not re.search(r"[*?\[{]", re.sub(r"\\.", "", key)):
        return re.sub(r"\\(.)", r"\1", key), None
    return key, GLOB.search(key)


def exists(path):
    """Whether Spark finds anything by this path or glob."""
    bucket, key = split(path)
    key, magic = _magic(key.rstrip("/"))
    pattern = re.compile((_pattern(key).pattern if magic else re.escape(key)) + "(?:/.*)?", re.DOTALL) if key else None
    prefix = key[: magic.start()] if magic else key
    return any(pattern is None or pattern.fullmatch(name) for name, _ in keys(bucket, prefix))


class Input:
    """One file to read, with the values of the partition folders that lead to it."""

    def __init__(self, path, item, partition):
        self.path, self.partition = path, partition
        self.bucket, self.key, self.size = split(path)[0], item["Key"], item["Size"]
        self.modified = int(item["LastModified"].timestamp() * 1000)  # ms since 1970

    @property
    def url(self):
        return f"s3://{self.bucket}/{self.key}"


def files(path, base_path=None, recursive=False, passed=None):
    """The files of one path: the object itself, or those in the folder(s) that it names and in their partition folders, the others noted in
    `passed`; with `recursive` (recursiveFileLookup) all below, and no partitions. What Spark's readers make of folders that are neither, `of_spark` tells."""
    out = []
    for item, root, _ in _found(path, base_path):
        name = item["Key"]
        relative = name[len(root) :] if name.startswith(root) else name
        if hidden(relative):
            continue
        if recursive or not nested(relative):
            out.append(Input(path, item, {} if recursive else _partition(relative)))
        elif passed is not None:
            passed.append(name)
    return out


def of_spark(paths, base_path=None):
    """The files that Spark's readers read for paths, and whether those are all that lie there, in partition folders alone. As its discovery
    of partitions has it: a folder's columns are those of the folders above it, up to the first that is none; all folders must come to one
    place where the columns begin; where there are columns only files below them are read, where there are none only those right in the
    folders that were named."""
    found = []
    for path in paths:
        for item, root, own in _found(path, base_path):
            name = item["Key"]
            relative = name[len(root) :] if name.startswith(root) else name
            if not hidden(relative):
                found.append((path, item, own, relative, *_columns(root, relative.split("/")[:-1])))
    if not any(columns for *_, columns in found):
        read = [Input(path, item, {}) for path, item, own, *_ in found if item["Key"].rpartition("/")[0] == own.rstrip("/")]
        return read, len(read) == len(found)
    bases = {(split(path)[0], base.lower()) for path, _, _, _, base, _ in found}
    if len(bases) > 1:
        folders = sorted("s3://" + "/".join(one) for one in bases)
        raise AssertionError(f"assertion failed: Conflicting directory structures detected. Suspicious paths: {folders[:10]}. If provided paths "
                             "are partition directories, please set \"basePath\" in the options of the data source to specify the root directory of the table.")
    read = [Input(path, item, _partition(columns)) for path, item, _, _, _, columns in found if columns]
    return read, len(read) == len(found) and not any(nested(relative) for _, _, _, relative, _, _ in found)


def _columns(root, folders):
    """The folder from which the partition columns of a file's folders begin, and those: `x=1/y=2/`."""
    taken, at = [], len(folders)
    while at:
        name, equal, value = folders[at - 1].partition("=")
        if equal and not (name and value):
            raise AssertionError(f"assertion failed: Empty partition column {'value' if name else 'name'} in '{folders[at - 1]}'")
        if not equal and taken:
            break
        at -= 1
        if equal:
            taken.insert(0, folders[at])
    base = root + "".join(folder + "/" for folder in (folders[:at] if taken else folders))
    return base, "".join(folder + "/" for folder in taken)


def _found(path, base_path):
    """Objects below a path, each with the folder from which its partition columns may begin, and the folder that was named."""
    bucket, key = split(path)
    base = split(base_path)[1].rstrip("/") + "/" if base_path else None
    key, magic = _magic(key)
    if magic:
        pattern = _pattern(key.rstrip("/"))
        for item in objects(bucket, key[: magic.start()]):
            name = item["Key"]
            match = pattern.match(name)
            if match and (match.end() == len(name) or name[match.end()] == "/"):
                own = name[: match.end()] + "/" if match.end() < len(name) else name.rpartition("/")[0] + "/"
                yield item, base or own, own
    else:
        folder = key.rstrip("/") + "/" if key else ""
        for item in objects(bucket, key.rstrip("/")):
            name = item["Key"]
            if name == key:
                own = name.rpartition("/")[0] + "/"
                yield item, base or own, own
            elif name.startswith(folder):
                yield item, base or folder, folder


def _partition(relative):
    values = {}
    for part in relative.split("/")[:-1]:
        name, eq, value = part.partition("=")
        if eq and name:
            value = unquote(value)
            values[unquote(name)] = None if value == NO_VALUE else value
    return values


def partition_types(inputs):
    """Spark's inference for partition columns: int, bigint, double, date, timestamp, else string."""
    columns = {}
    for item in inputs:
        for name, value in item.partition.items():
            columns.setdefault(name, []).append(value)
    return {name: _type_of([v for v in values if v is not None]) for name, values in columns.items()}


def _type_of(values):
    for name, parse in (("int", _int32), ("bigint", int), ("double", _float), ("date", _date), ("timestamp", _timestamp)):
        try:
            for value in values:
                parse(value)
            return name if values else "string"
        except (ValueError, OverflowError):
            continue
    return "string"


def _int32(text):
    if not re.fullmatch(r"[+-]?\d+", text) or not -(2**31) <= int(text) < 2**31:
        raise ValueError(text)


def _float(text):
    if not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
        raise ValueError(text)


def _date(text):
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise ValueError(text)
    datetime.date.fromisoformat(text)


def _timestamp(text):
    if not re.match(r"\d{4}-\d{2}-\d{2}[ T]\d{2}:", text):
        raise ValueError(text)
    datetime.datetime.fromisoformat(text)


def delete(bucket, names):
    names = list(names)
    for start in range(0, len(names), 1000):
        batch = [{"Key": name} for name in names[start : start + 1000]]
        answer = client().delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            error = answer["Errors"][0]
            raise OSError(f"cannot delete s3://{bucket}/{error.get('Key')}: {error.get('Code')} {error.get('Message')}")
