"""CSV and JSON as Apache Spark writes them, for frames of the engine, whose own writers write numbers, quotes and times in ways of
their own. Columns become text by Arrow where its text is Spark's, value by value where not.

Sources: Spark 3.5's UnivocityGenerator and CSVOptions, JacksonGenerator and JSONOptions; recorded cases in conformance/spark.
What is not here (formats of dates, other encodings, ...) raises NotImplementedError: a run on `auto` then moves to Apache Spark.
"""

import base64
import bz2
import datetime
import decimal
import gzip
import json
import re
import uuid

import pyarrow as pa
import pyarrow.compute as pc

from . import s3
from .files import _ESCAPES, java_double

#: Options that are obeyed here, and those that say what is done anyway.
_CSV = {"header", "sep", "delimiter", "quote", "escape", "quoteall", "nullvalue", "emptyvalue", "compression", "codec", "linesep", "ignoreleadingwhitespace",
        "ignoretrailingwhitespace", "escapequotes", "path", "maxrecordsperfile", "partitionoverwritemode"}
_JSON = {"compression", "codec", "linesep", "ignorenullfields", "path", "partitionoverwritemode"}
_ENDINGS = {"none": "", "uncompressed": "", "gzip": ".gz", "bzip2": ".bz2"}
#: An upload is at most so long before it is sent as an object of its own.
_FILE_BYTES = 512 << 20


class Format:
    """How rows become lines."""

    def __init__(self, kind, options, zone="UTC"):
        self.kind = kind
        self.options = {name.lower(): str(value) for name, value in options.items()}
        known = _CSV if kind == "csv" else _JSON
        unknown = sorted(set(self.options) - known)
        if unknown or "maxrecordsperfile" in self.options:
            raise NotImplementedError(f"{kind} is written without {', '.join(unknown) or 'maxRecordsPerFile'} on Sail")
        codec = (self.options.get("compression") or self.options.get("codec") or "none").lower()
        if codec not in _ENDINGS:
            raise NotImplementedError(f"{kind} is not compressed by {codec} on Sail")
        if zone not in ("UTC", "Etc/UTC", "GMT", "Z", "+00:00"):
            raise NotImplementedError(f"{kind} is not written in the time zone {zone} on Sail")
        self.codec, self.end = codec, self.options.get("linesep", "\n")

    def flag(self, name, default):
        return self.options.get(name, default).lower() == "true"

    @property
    def ending(self):
        return f".{self.kind}{_ENDINGS[self.codec]}"

    def head(self, names):
        """What a file begins with."""
        if self.kind != "csv" or not self.flag("header", "false"):
            return b""
        return (self.separator.join(self.quoted(name) for name in names) + self.end).encode()

    def lines(self, batch):
        """A batch of rows as bytes."""
        if not batch.num_rows:
            return b""
        texts = self._csv(batch) if self.kind == "csv" else self._json(batch)
        if not len(texts):
            return b""
        joined = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts), self.end)
        return joined[0].as_py().encode() + self.end.encode()

    def pack(self, data):
        return {"gzip": gzip.compress, "bzip2": bz2.compress}.get(self.codec, bytes)(data)

    # CSV

    @property
    def separator(self):
        text = self.options.get("sep") or self.options.get("delimiter") or ","
        return text.encode().decode("unicode_escape") if text.startswith("\\") else text

    def quoted(self, text):
        """A value that is there, with quotes where it needs them."""
        quote, escape = self.options.get("quote", '"') or "\0", self.options.get("escape", "\\")
        if self.flag("ignoreleadingwhitespace", "true"):
            text = text.lstrip(_BLANKS)
        if self.flag("ignoretrailingwhitespace", "true"):
            text = text.rstrip(_BLANKS)
        if text == "":
            return self.options.get("emptyvalue", '""')
        has_quote = quote in text and self.flag("escapequotes", "true")
        if not (self.flag("quoteall", "false") or has_quote or self.separator in text or "\n" in text or "\r" in text):
            return text
        if escape and escape != quote:
            text = text.replace(escape, escape + escape)
        return quote + text.replace(quote, (escape or quote) + quote) + quote

    def _csv(self, batch):
        every = self.flag("quoteall", "false")
        columns = []
        for field, column in zip(batch.schema, batch.columns):
            if pa.types.is_nested(field.type):
                raise NotImplementedError(f"The CSV datasource doesn't support the column `{field.name}` of the type {field.type}")
            text = self._text(column)
            if pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
                text = self._quoted_column(text, every)
            elif every:
                text = pa.array([None if one is None else self.quoted(one) for one in text.to_pylist()], pa.string())
            columns.append(text)
        null = self.options.get("nullvalue", "")
        if every:
            null = self.quoted(null) if null else '""'
        columns = [pc.fill_null(column, null) for column in columns]
        if len(columns) > 1:
            return pc.binary_join_element_wise(*columns, self.separator)
        # A row without a value is no line.
        return columns[0].filter(pc.not_equal(columns[0], ""))

    def _quoted_column(self, text, every):
        special = "".join(re.escape(c) for c in {*self.separator, self.options.get("quote", '"') or "\0", "\n", "\r"} - {"\0"})
        if every or pc.any(pc.match_substring_regex(text, f"[{special}]|^[\\x00-\\x20]|[\\x00-\\x20]$|^$")).as_py():
            return pa.array([None if one is None else self.quoted(one) for one in text.to_pylist()], pa.string())
        return text

    def _text(self, column):
        """Values as text files have them."""
        kind = column.type
        if pa.types.is_string(kind):
            return column
        if pa.types.is_large_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind) or pa.types.is_date(kind):
            return pc.cast(column, pa.string())
        if pa.types.is_timestamp(kind):
            return pa.array([None if one is None else _time(one) for one in column.to_pylist()], pa.string())
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            return pa.array([None if one is None else _number(one, kind) for one in column.to_pylist()], pa.string())
        raise NotImplementedError(f"{self.kind} is not written with values of type {kind} on Sail")

    # JSON

    def _json(self, batch):
        ignores = self.flag("ignorenullfields", "true")
        fields = []
        for field, column in zip(batch.schema, batch.columns):
            value = self._json_column(column, field.type, ignores)
            named = pc.binary_join_element_wise(pa.scalar(_quoted(field.name) + ":"), value, pa.scalar(","), "")
            fields.append(pc.fill_null(named, "" if ignores else _quoted(field.name) + ":null,"))
        # (Arrow's own null_handling="skip" leaves out the rows in which everything is null.)
        inner = pc.binary_join_element_wise(*fields, pa.scalar(""), "")
        return pc.binary_join_element_wise(pa.scalar("{"), pc.utf8_rtrim(inner, ","), pa.scalar("}"), "")

    def _json_column(self, column, kind, ignores):
        if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
            return pc.cast(column, pa.string())
        if pa.types.is_string(kind) and not pc.any(pc.match_substring_regex(column, r'["\\\x00-\x1f]')).as_py():
            return pc.binary_join_element_wise(pa.scalar('"'), column, pa.scalar('"'), "")
        return pa.array([None if one is None else self._json_value(one, kind, ignores) for one in column.to_pylist()], pa.string())

    def _json_value(self, value, kind, ignores):
        if value is None:
            return "null"
        if pa.types.is_boolean(kind):
            return "true" if value else "false"
        if pa.types.is_integer(kind):
            return str(value)
        if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
            text = _number(value, kind)
            return f'"{text}"' if text in ("NaN", "Infinity", "-Infinity") else text
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return _quoted(value)
        if pa.types.is_date(kind):
            return f'"{value.isoformat()}"'
        if pa.types.is_timestamp(kind):
            return f'"{_time(value)}"'
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return f'"{base64.b64encode(value).decode()}"'
        if pa.types.is_struct(kind):
            parts = [f"{_quoted(field.name)}:{self._json_value(value[field.name], field.type, ignores)}" for field in kind
                     if not (ignores and value[field.name] is None)]
            return "{" + ",".join(parts) + "}"
        if pa.types.is_map(kind):
            if not pa.types.is_string(kind.key_type):
                raise NotImplementedError(f"JSON is not written with keys of type {kind.key_type} on Sail")
            return "{" + ",".join(f"{_quoted(k)}:{self._json_value(v, kind.item_type, ignores)}" for k, v in value) + "}"
        if pa.types.is_list(kind) or pa.types.is_large_list(kind):
            return "[" + ",".join(self._json_value(one, kind.value_type, ignores) for one in value) + "]"
        raise NotImplementedError(f"JSON is not written with values of type {kind} on Sail")


#: What univocity takes for white space.
_BLANKS = "".join(map(chr, range(33)))


def _number(value, kind):
    if isinstance(value, decimal.Decimal):
        return str(value)
    if pa.types.is_float32(kind):
        return java_float(value)
    return java_double(value)


def java_float(value):
    """Float.toString: the shortest text that is this float, in the form of Double.toString."""
    import numpy

    if value != value or value in (float("inf"), float("-inf")):
        return java_double(value)
    return java_double(float(str(numpy.float32(value))))


def _time(value):
    """With milliseconds; a time of no zone has none."""
    utc = value if value.tzinfo is None else value.astimezone(datetime.timezone.utc)
    text = utc.strftime("%Y-%m-%dT%H:%M:%S.").rjust(20, "0") + f"{utc.microsecond // 1000:03}"
    return text if value.tzinfo is None else text + "Z"


def _quoted(text):
    return '"' + "".join(_ESCAPES.get(c) or (c if c >= " " else f"\\u{ord(c):04X}") for c in text) + '"'


# files


def write(frame, kind, options, bucket, folder, partitions, zone, single):
    """Writes a frame's rows below a folder, a file for each part of it and each partition; one file where `single`."""
    form = Format(kind, {k: v for k, v in options.items() if k.lower() != "path"}, zone)
    partitions = [next(have for have in frame.columns if have.lower() == name.lower()) for name in partitions]
    names = [name for name in frame.columns if name not in partitions]
    if not names:
        raise NotImplementedError("Cannot use all columns for partition columns")
    form.lines(_nothing(frame, names))
    if single and not partitions:
        table = frame.toArrow().combine_chunks()
        body = form.head(names) + b"".join(form.lines(batch) for batch in table.to_batches(max_chunksize=65536))
        _put(form, bucket, folder, body, 0)
        return
    from pyspark.sql import functions as F

    # The engine does not find columns whose names hold dots in what it gives to Python.
    plain = frame.select([F.col(f"`{name}`").alias(f"c{at}") for at, name in enumerate(frame.columns)])
    sink = _sink(form, bucket, folder, list(frame.columns), names, list(partitions), s3.encryption())
    written = plain.mapInArrow(sink, "path string").collect()
    if not written and not partitions:
        _put(form, bucket, folder, form.head(names), 0)


def _nothing(frame, names):
    """An empty batch of the frame's types: what cannot be written is refused before anything is."""
    from pyspark.sql.pandas.types import to_arrow_schema

    schema = to_arrow_schema(frame.schema, timezone="UTC")
    schema = pa.schema([schema.field(name) for name in names])
    one = pa.RecordBatch.from_arrays([pa.nulls(1, field.type) for field in schema], schema=pa.schema([pa.field(f.name, f.type) for f in schema]))
    return one


def _sink(form, bucket, folder, columns, names, partitions, encryption):
    """Run where the rows are: they become files of S3, whose keys are the answer."""

    def run(batches):
        open_files, sizes = {}, {}
        for batch in batches:
            batch = pa.RecordBatch.from_arrays(batch.columns, names=columns)
            for place, part in _parts(batch, names, partitions):
                pieces = open_files.setdefault(place, [])
                if not pieces:
                    pieces.append(form.head(names))
                pieces.append(form.lines(part))
                sizes[place] = sizes.get(place, len(pieces[0])) + len(pieces[-1])
                # All that is open lies in memory: the largest go, however many partitions there are.
                while sum(sizes.values()) > _FILE_BYTES:
                    largest = max(sizes, key=sizes.get)
                    del sizes[largest]
                    yield _told(_put(form, bucket, folder + largest, b"".join(open_files.pop(largest)), len(open_files), encryption))
        for number, (place, pieces) in enumerate(sorted(open_files.items())):
            yield _told(_put(form, bucket, folder + place, b"".join(pieces), number, encryption))

    return run


def _told(key):
    return pa.RecordBatch.from_arrays([pa.array([key], pa.string())], names=["path"])


def _parts(batch, names, partitions):
    data = pa.RecordBatch.from_arrays([batch.column(batch.schema.get_field_index(name)) for name in names], names=names)
    if not partitions:
        if data.num_rows:
            yield "", data
        return
    folders = [pc.binary_join_element_wise(pa.scalar(_escaped(name) + "="), pa.array([_escaped(v) for v in batch.column(batch.schema.get_field_index(name)).to_pylist()], pa.string()), "")
               for name in partitions]
    places = pc.binary_join_element_wise(*folders, "/") if len(folders) > 1 else folders[0]
    for place in pc.unique(places).to_pylist():
        yield place + "/", data.filter(pc.equal(places, place))


def _escaped(text):
    """As folders of partitions are named: Spark's ExternalCatalogUtils.escapePathName."""
    return "".join(f"%{ord(c):02X}" if c < " " or c in '"#%\'*/:=?\\{[]^\x7f' else c for c in text)


def _put(form, bucket, place, body, number, encryption=None):
    key = f"{place}part-{number:05}-{uuid.uuid4()}-c000{form.ending}"
    client = s3.client()
    data, given = form.pack(body), s3.encryption() if encryption is None else encryption
    client.put_object(Bucket=bucket, Key=key, Body=data, **given)
    return key
