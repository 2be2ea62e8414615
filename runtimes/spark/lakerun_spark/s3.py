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
        self.modified = int(item["LastModified"].timestamp() * 1000)  # ms since 1970, whole seconds as S3 tells them
        self.etag = item.get("ETag")

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
    """Spark's inference for partition columns (PartitioningUtils): whole numbers, double, date, timestamp, else string. What Java takes for a
    number and the engine's casts do not (`3d`, `1e5`, ` 1`, other alphabets' digits), and a column without any value, is Apache Spark's."""
    columns = {}
    for item in inputs:
        for name, value in item.partition.items():
            columns.setdefault(name, []).append(value)
    return {name: _type_of([v for v in values if v is not None]) for name, values in columns.items()}


def _type_of(values):
    kinds = {_kind_of(value) for value in values}
    if "string" in kinds:
        return "string"
    if not kinds or "odd" in kinds:
        from . import decide

        decide.note("partition:odd" if kinds else "partition:void")
        if decide.on_sail() and not decide.recording():
            odd = [value for value in values if _kind_of(value) == "odd"]
            raise NotImplementedError(f"a partition column of {odd[:3] or 'nulls alone'} is not read on Sail: start the job with --lakerun-engine spark or auto")
        return "string"
    return _together(kinds)


#: Digits that a decimal needs for the values of a narrower type.
_DIGITS = {"int": 10, "bigint": 20}


def _together(kinds):
    """The type of values of several types, as Spark has it: a double goes with ints alone, a timestamp with dates."""
    if len(kinds) == 1:
        (kind,) = kinds
        return f"decimal({kind},0)" if isinstance(kind, int) else kind
    if all(isinstance(kind, int) or kind in _DIGITS for kind in kinds):
        if kinds == {"int", "bigint"}:
            return "bigint"
        return f"decimal({max(_DIGITS.get(kind, kind) for kind in kinds)},0)"
    if kinds == {"int", "double"}:
        return "double"
    return "timestamp" if kinds == {"date", "timestamp"} else "string"


#: What Java's Double.parseDouble takes, blanks around it left out.
_JAVA_DOUBLE = re.compile(r"[+-]?(NaN|Infinity|([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[fFdD]?|0[xX][0-9a-fA-F.]+[pP][+-]?[0-9]+[fFdD]?)")
_BLANKS = "".join(map(chr, range(33)))


def _kind_of(text):
    """The type of one value: a number of digits stands for a decimal. `odd`: a number to Java alone."""
    if re.fullmatch(r"[+-]?[0-9]+", text):
        number = int(text)
        if -(2**31) <= number < 2**31:
            return "int"
        digits = len(str(abs(number)))
        return "bigint" if -(2**63) <= number < 2**63 else digits if digits <= 38 else "double"
    if re.fullmatch(r"[+-]?[0-9]*\.[0-9]+", text):
        return "double"
    if _JAVA_DOUBLE.fullmatch(text.strip(_BLANKS)) or re.fullmatch(r"[+-]?\d+", text):
        return "odd"
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            datetime.date.fromisoformat(text)
            return "date"
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?", text):
            datetime.datetime.strptime(text[:19], "%Y-%m-%d %H:%M:%S")
            return "timestamp"
    except ValueError:
        pass
    return "string"


def delete(bucket, names):
    names = list(names)
    for start in range(0, len(names), 1000):
        batch = [{"Key": name} for name in names[start : start + 1000]]
        answer = client().delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        if answer.get("Errors"):
            error = answer["Errors"][0]
            raise OSError(f"cannot delete s3://{bucket}/{error.get('Key')}: {error.get('Code')} {error.get('Message')}")
