"""CSV and JSON from S3 with Spark's PERMISSIVE rules, as a Python data source of the engine.

Sail's own readers stop at the first broken row and take neither globs nor JSON arrays; Spark does not. Values come out as
strings (CSV) or by an inferred schema (JSON); types asked for are cast by the caller with try_cast.
"""

import bz2
import csv
import decimal
import gzip
import io
import itertools
import json
import re
import threading
from collections import OrderedDict

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

try:
    from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
except ImportError:  # Apache Spark's own PySpark 3.5, which reads files by itself: what is used there is JSON's types and tables.
    DataSource = DataSourceReader = InputPartition = object

from . import decide, jsonlines, s3

CACHE_BYTES = 256 << 20
FILES_AT_ONCE = 8
_cache, _tables, _lock = OrderedDict(), OrderedDict(), threading.Lock()
#: What ends a line, to Hadoop's reader: str.splitlines knows eight more characters, which may stand in a value.
_LINE_END = re.compile("\r\n|\r|\n")
#: What String.trim of Java takes away, and a line of it.
_BLANKS = "".join(map(chr, range(33)))
_BLANK_LINE = re.compile(rb"[\r\n][\x00-\x09\x0b\x0c\x0e-\x20]+(?=[\r\n]|\Z)")


class Spec:
    """What to read and how. Travels to the engine by pickle."""

    def __init__(self, kind, inputs, options, columns=None, schema=None, partitions=None):
        self.kind, self.inputs, self.options = kind, inputs, options
        self.columns = columns  # CSV: names, all strings
        self.schema = schema  # JSON: an Arrow schema
        self.partitions = partitions or {}  # name -> type

    def arrow_schema(self):
        fields = [pa.field(name, pa.string()) for name in self.columns] if self.kind == "csv" else list(self.schema)
        return pa.schema(fields + [pa.field(name, pa.string()) for name in self.partitions])

    def batches(self, inputs):
        target = self.arrow_schema()
        for item, table in self.tables(inputs):
            arrays = [table.column(i) for i in range(table.num_columns)]
            for name in self.partitions:
                arrays.append(pa.array([item.partition.get(name)] * table.num_rows, pa.string()))
            yield from pa.Table.from_arrays(arrays, schema=target).to_batches(max_chunksize=65536)

    def tables(self, inputs):
        """Each file with its tables: small ones some at a time, JSON lines of a large one piece by piece."""
        for large, group in itertools.groupby(inputs, lambda item: self.kind == "json" and _is_large(item, self.options)):
            if large:
                yield from ((item, table) for item in group for table in self._by_pieces(item, jsonlines.ahead))
            else:
                for item, tables in jsonlines.ahead(lambda item: (item, list(self.parts(item))), group, FILES_AT_ONCE):
                    yield from ((item, table) for table in tables)

    def parts(self, item):
        if self.kind == "csv":
            yield csv_table(item, self.columns, self.options)
        elif _is_lines(self.options):
            yield from self._by_pieces(item, map)
        else:
            yield json_table(records(item, self.options, self.is_exact()), self.schema)

    def is_exact(self):
        return any(_is_exact(field) for field in self.schema)

    def _by_pieces(self, item, each):
        known = _kept(item, self.schema)
        for table in known if known is not None else each(lambda piece: self._piece(item, piece), pieces(item)):
            _note_null_structs(table)
            yield table

    def _piece(self, item, piece):
        table = jsonlines.read(piece, self.schema)
        if table is not None:
            return table
        if not decide.recording():
            _note_data("json", piece, self.options)
        return json_table(line_records(piece.decode("utf-8", "replace"), item, self.options, self.is_exact()), self.schema)


def _is_large(item, options):
    return _is_lines(options) and item.size > jsonlines.PIECE_BYTES


def _is_lines(options):
    return not _true(options, "multiLine") and (options.get("encoding") or options.get("charset") or "utf-8").lower() in ("utf-8", "utf8")


def json_schema(inputs, options):
    """The type of all records of some files: as `json_type` of them, by Arrow where it can be."""
    whole = _json_schema(inputs, options) if _is_lines(options) else None
    if whole is not None:
        return whole
    return json_type([r for item in inputs for r in records(item, options)], _true(options, "lakerun.choices"))


def type_of_texts(texts):
    """The type of JSON documents that are not in files."""
    if decide.watching():
        _note_data("json", "\n".join(texts).encode("utf-8", "surrogatepass"), {})
    return json_type(_parsed(texts, None, {}, False))


def _json_schema(inputs, options):
    kinds = []
    for large, group in itertools.groupby(inputs, lambda item: _is_large(item, options)):
        for kind in map(_inferred, group) if large else jsonlines.ahead(_inferred, group, FILES_AT_ONCE):
            if kind is None:
                return None
            kinds.append(kind)
    return jsonlines.merged(kinds) if kinds else None


def _inferred(item):
    """The type of the records of a file; the records are kept for who reads it next."""
    kind, tables = jsonlines.infer(pieces(item), CACHE_BYTES) or (None, None)
    if tables is not None:
        _keep(_tables, item, tables, sum(table.nbytes for table in tables))
    return kind


def _kept(item, schema):
    """What inference has read of a file, by a schema; nothing where it has to be read again."""
    with _lock:
        tables = _tables.get(_name(item))
    made = [jsonlines.conform(table, schema) for table in tables[0]] if tables else [None]
    return made if all(table is not None for table in made) else None


def _name(item):
    return (item.bucket, item.key, item.size, item.modified, item.etag)


def _keep(cache, item, value, size):
    """Kept for a while, the oldest going first."""
    if size > CACHE_BYTES:
        return
    with _lock:
        cache[_name(item)] = (value, size)
        while sum(one[1] for one in cache.values()) > CACHE_BYTES:
            cache.popitem(last=False)


def pieces(item):
    """The lines of a file in UTF-8, piece by piece; what is not packed is asked of S3 by pieces, too."""
    with _lock:
        data = _cache.get(_name(item))
    if data is not None:
        file = io.BytesIO(data[0])
    elif item.key.endswith(".gz"):
        file = gzip.GzipFile(fileobj=io.BytesIO(_object(item)))
    elif item.key.endswith(".bz2"):
        file = bz2.BZ2File(io.BytesIO(_object(item)))
    else:
        file = _Ranges(item)
    for piece in jsonlines.pieces(file):
        if decide.recording():
            _note(item, piece, "json", {})
        yield piece


class _Ranges:
    """An object as a file, each of whose reads asks for what it reads: an answer that waits for who reads on would time out. All
    of them are of the version that the first one met."""

    def __init__(self, item):
        self.item, self.at, self.version = item, 0, {}

    def read(self, count):
        if self.at >= self.item.size:
            return b""
        last = min(self.at + count, self.item.size) - 1
        got = s3.client().get_object(Bucket=self.item.bucket, Key=self.item.key, Range=f"bytes={self.at}-{last}", **self.version)
        self.version = {"IfMatch": got["ETag"]}
        data = got["Body"].read()
        self.at += len(data)
        return data


def _object(item):
    return s3.client().get_object(Bucket=item.bucket, Key=item.key)["Body"].read()


def fetch(item, kind, options):
    """An object's bytes, unpacked by its name's ending; kept for a while, since inference and reading both want them. `kind`: as what
    they are read."""
    with _lock:
        data = _cache[_name(item)][0] if _name(item) in _cache else None
    if data is None:
        data = _object(item)
        if item.key.endswith(".gz"):
            data = gzip.decompress(data)
        elif item.key.endswith(".bz2"):
            data = bz2.decompress(data)
        _keep(_cache, item, data, len(data))
    _note(item, data, kind, options)
    return data


#: Contents whose reading has rules of its own, which a plan does not show.
_DATA = {
    # {s}, {q}: the separator and the quote. A line of blanks is none to Java, whose blanks are more than the engine's.
    "csv": (("escape", rb"\\"), ("return", rb"\r(?!\n)"), ("blank", rb"(?:^|{s})[ \t]|[ \t](?:{s}|\r?$)"), ("blankline", rb"^[\x00-\x09\x0b\x0c\x0e-\x20]+\r?$"),
            ("suffix", rb"(?:^|{s}){q}?[+-]?[\d.]+(?:[eE][+-]?\d+)?[dDfF]{q}?(?:{s}|\r?$)")),
    "json": (("single", rb"[{,]\s*(?:'|\w+\s*:)"), ("big", rb"(?<![\d.])\d{19,}"), ("exponent", rb"\d[eE][+-]?\d"),
             # Escapes by kind: those of one letter, code points, halves of pairs, and what JSON does not know.
             ("escape", rb'\\["\\/bfnrt]'), ("codepoint", rb"\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}"), ("surrogate", rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]"),
             ("badescape", rb'(?<!\\)(?:\\\\)*\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')),
}


_noted = set()


def _note(item, data, kind, options):
    if not decide.watching():
        return
    known = (item.url, item.modified, item.etag, len(data), kind, *(dialect(options)[:2] if kind == "csv" else ()))
    if known not in _noted:
        _noted.add(known)
        _note_data(kind, data, options)


def _note_data(kind, data, options):
    """Notes what of those contents there is; where a run may move, only what would move it is looked for."""
    escapes = b"\\" in data
    for name, pattern in _DATA[kind]:
        construct = f"data:{kind}:{name}"
        if name == "blankline" and _true(options, "multiLine"):
            continue
        if (escapes or name not in ("escape", "codepoint", "surrogate", "badescape")) and decide.matters(construct) and re.search(_filled(pattern, options), data, re.MULTILINE):
            decide.note(construct)


def _filled(pattern, options):
    """With the separator and the quote of these options."""
    if b"{s}" not in pattern:
        return pattern
    sep, quote, _ = dialect(options)
    return pattern.replace(b"{s}", re.escape(sep.encode())).replace(b"{q}", b"(?:" + re.escape((quote or "").encode()) + b")")


def forget():
    """After a write: an object of the same name and size may hold other bytes."""
    with _lock:
        _cache.clear()
        _tables.clear()


def _true(options, name, default=False):
    value = options.get(name.lower())
    return default if value is None else str(value).lower() == "true"


def _text(item, options, kind="csv"):
    encoding = options.get("encoding") or options.get("charset") or "utf-8"
    text = fetch(item, kind, options).decode(encoding, "replace")
    return text[1:] if text.startswith("\ufeff") else text


def dialect(options):
    sep = options.get("sep") or options.get("delimiter") or options.get("separator") or ","
    quote = options.get("quote", options.get("quotechar", '"'))
    escape = options.get("escape", options.get("escaper", "\\"))
    return sep.encode().decode("unicode_escape") if sep.startswith("\\") else sep, quote, escape


def header_of(item, options):
    """Column names of a CSV file: its first row, or _c0, _c1, ... without a header."""
    rows = _python_rows(io.StringIO(_text(item, options)), options)
    first = next((row for row in rows if row), None)
    if first is None:
        return []
    if not _true(options, "header"):
        return [f"_c{i}" for i in range(len(first))]
    names, seen = [], {}
    for i, name in enumerate(first):
        name = name.lstrip() if _true(options, "ignoreLeadingWhiteSpace") else name
        name = name.rstrip() if _true(options, "ignoreTrailingWhiteSpace") else name
        names.append(name or f"_c{i}")
        seen[names[-1].lower()] = seen.get(names[-1].lower(), 0) + 1
    return [f"{name}{i}" if seen[name.lower()] > 1 else name for i, name in enumerate(names)]


def _python_rows(stream, options):
    sep, quote, escape = dialect(options)
    comment = options.get("comment")
    quoting = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
    escaping = {"escapechar": escape} if escape and escape != quote else {}
    if not _true(options, "multiLine"):
        # A line of blanks, as Java has them, is none.
        lines = (line for line in _LINE_END.split(stream.read()) if line.strip(_BLANKS) and not (comment and line.startswith(comment)))
        for line in lines:
            if not quote or quote not in line:
                yield line.split(sep)
            else:
                yield next(csv.reader([line], delimiter=sep, doublequote=True, **quoting, **escaping), [])
    else:
        yield from csv.reader(stream, delimiter=sep, doublequote=True, **quoting, **escaping)


def csv_table(item, columns, options):
    """One file as a table of strings. Broken rows are kept: short ones filled with null, long ones cut (PERMISSIVE),
    unless mode says DROPMALFORMED or FAILFAST."""
    mode = str(options.get("mode", "PERMISSIVE")).upper()
    null = options.get("nullvalue", "")
    _look_at_quotes(item, options)
    table = _fast_csv(item, columns, options) if columns else None
    if table is None:
        rows = _python_rows(io.StringIO(_text(item, options), newline=""), options)
        if _true(options, "header"):
            next((row for row in rows if row), None)
        kept, width = [], len(columns)
        for row in rows:
            if not row:
                continue
            if len(row) != width:
                _note_ragged()
                if mode == "FAILFAST":
                    raise ValueError(f"[MALFORMED_RECORD_IN_PARSING] Malformed records are detected in record parsing: {row} ({item.url})")
                if mode == "DROPMALFORMED":
                    continue
                row = (row + [None] * width)[:width]
            kept.append([None if value in ("", null) else value for value in row])
        table = pa.table({str(i): pa.array([row[i] for row in kept], pa.string()) for i in range(width)})
    if _true(options, "ignoreLeadingWhiteSpace"):
        table = pa.table([pc.utf8_ltrim_whitespace(c) for c in table.columns], names=table.column_names)
    if _true(options, "ignoreTrailingWhiteSpace"):
        table = pa.table([pc.utf8_rtrim_whitespace(c) for c in table.columns], names=table.column_names)
    return table


def _look_at_quotes(item, options):
    """Notes whether quotes in the data enclose whole values that hold none (`quoted`), or are anywhere else (`quote`); refuses what
    depends on whether an empty value, or blanks, stood in quotes."""
    sep, quote, _ = dialect(options)
    data = fetch(item, "csv", options)
    if not quote or quote.encode() not in data:
        return
    empty = options.get("nullvalue") and quote.encode() * 2 in data
    if empty or _true(options, "ignoreLeadingWhiteSpace") or _true(options, "ignoreTrailingWhiteSpace"):
        raise NotImplementedError("quotes in CSV together with nullValue or white space that is ignored are not read on Sail")
    if decide.watching():
        q, s = re.escape(quote.encode()), re.escape(sep.encode())
        whole = rb"(?m)(?:(?<=" + s + rb")|^)" + q + rb"[^" + q + rb"\\\r\n]*" + q + rb"(?=" + s + rb"|\r?$)"
        odd = quote.encode() in re.sub(whole, b"", data)
        decide.note("data:csv:quote" if odd else "data:csv:quoted", *(["data:csv:doubled"] if odd and quote.encode() * 2 in data else []))


def _note_ragged():
    if decide.watching():
        decide.note("data:csv:ragged")


def _fast_csv(item, columns, options):
    """Arrow's reader, for files without a broken row; None where the careful reader has to look."""
    sep, quote, escape = dialect(options)
    if len(sep) != 1 or options.get("comment") or (options.get("encoding") or "utf-8").lower() not in ("utf-8", "utf8"):
        return None
    data = fetch(item, "csv", options)
    # The header is the first line that holds something; Arrow would take lines of blanks for rows.
    if data[:1] <= b" " or _BLANK_LINE.search(data):
        return None
    # What escapes mean, they mean within quotes.
    if escape and escape != quote and escape.encode() in data and quote and quote.encode() in data:
        return None
    broken = []
    names = [str(i) for i in range(len(columns))]
    try:
        table = pacsv.read_csv(
            io.BytesIO(data),
            read_options=pacsv.ReadOptions(column_names=names, skip_rows=1 if _true(options, "header") else 0, use_threads=False),
            parse_options=pacsv.ParseOptions(
                delimiter=sep, quote_char=quote or False, double_quote=bool(quote), newlines_in_values=_true(options, "multiLine"),
                invalid_row_handler=lambda row: broken.append(row) or "skip"),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, quoted_strings_can_be_null=True,
                null_values=["", options["nullvalue"]] if options.get("nullvalue") else [""]))
    except pa.ArrowInvalid:
        return None
    return None if broken else table


def csv_types(tables, columns):
    """inferSchema: int, bigint, double, date, timestamp, boolean or string, over all files."""
    types = []
    for i in range(len(columns)):
        values = pa.chunked_array([chunk for t in tables for chunk in t.column(i).chunks], pa.string()).drop_null()
        values = pc.utf8_trim_whitespace(values) if len(values) else values
        types.append(_csv_type(values))
    return types


def _note_numbers(values):
    """Whole numbers that are read with care: beyond 64 bits a decimal, with a plus sign an int."""
    if decide.watching() and pc.any(pc.match_substring_regex(values, r"^\+\d+$|^-?\d{19,}$")).as_py():
        decide.note("data:csv:infer")


def _whole(values):
    """The type of whole numbers, or nothing where they are none: int, bigint, decimal of the longest, double beyond 38 digits."""
    if not pc.all(pc.match_substring_regex(values, r"^[+-]?\d+$")).as_py():
        return None
    numbers = [int(one) for one in pc.unique(values).to_pylist()]
    low, high = min(numbers), max(numbers)
    if -(2**31) <= low and high < 2**31:
        return "int"
    if -(2**63) <= low and high < 2**63:
        return "bigint"
    digits = max(20, len(str(max(-low, high))))
    return f"decimal({digits},0)" if digits <= 38 else "double"


def _csv_type(values):
    if not len(values):
        return "string"
    try:
        limits = pc.min_max(pc.cast(values, pa.int64())).as_py()
        return "int" if -(2**31) <= limits["min"] and limits["max"] < 2**31 else "bigint"
    except pa.ArrowInvalid:
        pass
    _note_numbers(values)
    whole = _whole(values)
    if whole is not None:
        return whole
    patterns = (("double", r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^NaN$|^-?Inf$"), ("date", r"^\d{4}-\d{2}-\d{2}$"),
                ("timestamp", r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$"), ("boolean", r"^(?i)(true|false)$"))
    for name, pattern in patterns:
        if name == "boolean":
            matches = pc.is_in(pc.utf8_lower(values), pa.array(["true", "false"]))
        else:
            matches = pc.match_substring_regex(values, pattern)
        if pc.all(matches).as_py():
            return name
    return "string"


class _Number(float):
    """A number with a fraction or an exponent, and how it is written."""

    def __new__(cls, text):
        number = super().__new__(cls, text)
        number.text = text
        return number


def exact(field):
    """A field of type decimal: it comes out as the text of the number that the file has, not of the double near it."""
    return pa.field(field.name, pa.string(), metadata={b"lakerun": b"exact"})


def _is_exact(field):
    return bool(field.metadata) and field.metadata.get(b"lakerun") == b"exact"


def _plain(value):
    """A number without exponent, for a cast to a decimal of at most 38 digits."""
    if not isinstance(value, _Number):
        return _fit(value, pa.string())
    number = decimal.Decimal(value.text)
    if abs(number.adjusted()) > 100:
        return "0" if number.adjusted() < 0 or number == 0 else None
    return format(number, "f")


def records(item, options, exact=False):
    """The records of one JSON file: one per line, or one document (object, array) with multiLine."""
    if _true(options, "multiLine"):
        return _parsed([_text(item, options, "json")], item, options, exact)
    return line_records(_text(item, options, "json"), item, options, exact)


def line_records(text, item, options, exact):
    return _parsed(_LINE_END.split(text), item, options, exact)


def _parsed(parts, item, options, exact):
    """Broken lines are kept as rows of nulls (PERMISSIVE), dropped (DROPMALFORMED) or an error (FAILFAST)."""
    mode = str(options.get("mode", "PERMISSIVE")).upper()
    out = []
    for part in parts:
        if not part.strip():
            continue
        try:
            value = json.loads(part, object_pairs_hook=_members, parse_float=_Number if exact else None)
            values = value if isinstance(value, list) else [value]
            if not all(isinstance(v, dict) for v in values):
                raise ValueError("not an object")
            out.extend(values)
        except ValueError:
            _note_corrupt()
            if mode == "FAILFAST":
                raise ValueError(f"[MALFORMED_RECORD_IN_PARSING] Malformed records are detected in record parsing: {part[:200]} ({item.url})") from None
            if mode != "DROPMALFORMED":
                out.append({"_corrupt_record": part})
    return out


def _members(pairs):
    """A JSON object. Spark refuses a record that names a field twice (case counts) when it infers a schema."""
    value = dict(pairs)
    if len(value) != len(pairs):
        decide.note("data:json:duplicate")
    return value


def _note_corrupt():
    if decide.watching():
        decide.note("data:json:corrupt")


def json_type(values, choices=False):
    """Spark's JSON inference: the narrowest type that holds every value, string where they conflict; fields sorted. With `choices`
    a field of records that holds numbers and text is Glue's ChoiceType: a struct with a field for each."""
    kinds, members, items, digits = set(), {}, [], 20
    for value in values:
        if value is None:
            continue
        if isinstance(value, bool):
            kinds.add("bool")
        elif isinstance(value, int):
            kinds.add("long" if -(2**63) <= value < 2**63 else "big")
            digits = max(digits, len(str(abs(value))))
        elif isinstance(value, float):
            kinds.add("double")
        elif isinstance(value, str):
            kinds.add("string")
        elif isinstance(value, list):
            kinds.add("array")
            items.extend(value)
        else:
            kinds.add("struct")
            for name, member in value.items():
                members.setdefault(name, []).append(member)
    if kinds == {"struct"}:
        fields = [choices and _choice(name, members[name]) or pa.field(name, json_type(members[name])) for name in sorted(members)]
        return pa.struct([field for field in fields if not jsonlines.is_void(field.type)])
    if kinds == {"array"}:
        return pa.list_(pa.field("element", json_type(items)))
    if "big" in kinds and kinds <= {"long", "big"} and digits <= 38:
        return pa.decimal128(digits, 0)
    if kinds and kinds <= {"long", "big", "double"} and kinds != {"long"}:
        return pa.float64()
    if "string" in kinds and kinds & {"long", "big", "double"}:
        decide.note("data:json:choice")
    simple = {"bool": pa.bool_(), "long": pa.int64(), "double": pa.float64()}
    return simple.get(kinds.pop(), pa.string()) if len(kinds) == 1 else pa.string()


def _choice(name, values):
    """The field of a ChoiceType, or nothing where the values are no numbers beside text."""
    kinds = {type(one) for one in values if one is not None}
    if str not in kinds or not kinds & {int, float} or not kinds <= {int, float, str}:
        return None
    numbers = [one for one in values if isinstance(one, (int, float))]
    if any(isinstance(one, int) and not -(2**63) <= one < 2**63 for one in numbers):
        return None
    label, kind = ("double", pa.float64()) if float in kinds else ("long", pa.int64())
    if label == "long" and all(-(2**31) <= one < 2**31 for one in numbers):
        label, kind = "int", pa.int32()
    decide.note("data:json:gluechoice")
    return pa.field(name, pa.struct([pa.field(label, kind), pa.field("string", pa.string())]), metadata={b"lakerun": b"choice"})


def _chosen(value, kind):
    number, text = kind[0], kind[1]
    if value is None:
        return None
    if isinstance(value, str):
        return {number.name: None, text.name: value}
    return {number.name: _fit(value, number.type), text.name: None}


def _value_of(row, field):
    value = row.get(field.name)
    if _is_exact(field):
        return _plain(value)
    if field.metadata and field.metadata.get(b"lakerun") == b"choice":
        return _chosen(value, field.type)
    return _fit(value, field.type)


def _note_null_structs(table):
    if decide.watching() and any(pa.types.is_struct(column.type) and column.null_count for column in table.columns):
        decide.note("data:json:nullstruct")


def json_table(rows, schema):
    arrays = [pa.array([_value_of(row, field) for row in rows], field.type) for field in schema]
    table = masked(pa.Table.from_arrays(arrays, schema=schema))
    _note_null_structs(table)
    return table


def holds_struct(kind):
    return pa.types.is_struct(kind) or any(holds_struct(kind.field(at).type) for at in range(kind.num_fields))


def masked(table):
    """A table or a batch with nulls in the fields of structs that are null."""
    columns = [pa.chunked_array([_masked(part) for part in column.chunks], type=column.type) if isinstance(column, pa.ChunkedArray) else _masked(column)
               for column in table.columns]
    return type(table).from_arrays(columns, schema=table.schema)


def _masked(array):
    """With nulls in the fields of structs that are null: Arrow has zeros there, which the engine shows."""
    if pa.types.is_struct(array.type) and array.type.num_fields:
        fields = [_masked(child) for child in array.flatten()]
        return pa.StructArray.from_arrays(fields, fields=list(array.type), mask=array.is_null())
    if pa.types.is_list(array.type) and len(array):
        return pa.ListArray.from_arrays(list_offsets(array), _masked(array.values), type=array.type)
    if pa.types.is_map(array.type) and len(array) and holds_struct(array.type.item_type):
        return pa.MapArray.from_arrays(list_offsets(array), array.keys, _masked(array.items), type=array.type)
    return array


def list_offsets(array):
    """With null where a list is null, so that a list made of them is null there, too."""
    if array.null_count == 0:
        return array.offsets
    starts = array.offsets.slice(0, len(array))
    nulls = pc.if_else(array.is_null(), pa.scalar(None, pa.int32()), starts)
    return pa.concat_arrays([nulls, array.offsets.slice(len(array), 1)])


def _fit(value, kind):
    if value is None:
        return None
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json_text(value)
    if pa.types.is_floating(kind):
        return float(value) if isinstance(value, (int, float)) else None
    if pa.types.is_integer(kind):
        fits = isinstance(value, int) and not isinstance(value, bool) and -(1 << kind.bit_width - 1) <= value < 1 << kind.bit_width - 1
        return value if fits else None
    if pa.types.is_boolean(kind):
        return value if isinstance(value, bool) else None
    if pa.types.is_list(kind):
        return [_fit(v, kind.value_type) for v in value] if isinstance(value, list) else None
    if pa.types.is_struct(kind):
        return {f.name: _fit(value.get(f.name), f.type) for f in kind} if isinstance(value, dict) else None
    if pa.types.is_map(kind):
        return [(name, _fit(one, kind.item_type)) for name, one in value.items()] if isinstance(value, dict) else None
    if pa.types.is_decimal(kind):
        return decimal.Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else None
    return value


#: How Jackson writes characters: short escapes, others below a space by their code, and pairs of surrogates as such.
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def json_text(value):
    """A value as the text that Spark (Jackson) holds where a field's type is text."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(k)}:{json_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(_escaped(c) for c in value) + '"'
    return java_double(float(value)) if isinstance(value, float) else json.dumps(value)


def _escaped(char):
    if char >= " " and char <= "\uffff":
        return _ESCAPES.get(char, char)
    units = char.encode("utf-16-be")
    return _ESCAPES.get(char) or "".join(f"\\u{units[i]:02X}{units[i + 1]:02X}" for i in range(0, len(units), 2))


def java_double(value):
    """Double.toString: plain between a thousandth and ten millions, else with an exponent."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, digits, exponent = decimal.Decimal(repr(value)).normalize().as_tuple()
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{exponent + len(text) - 1}"


class _Slice(InputPartition):
    def __init__(self, inputs):
        super().__init__(None)
        self.inputs = inputs


class _Reader(DataSourceReader):
    def __init__(self, spec):
        self.spec = spec

    def partitions(self):
        inputs = self.spec.inputs
        count = min(len(inputs), int(self.spec.options.get("lakerun.partitions", "4"))) or 1
        return [_Slice(inputs[i::count]) for i in range(count)]

    def read(self, partition):
        yield from self.spec.batches(partition.inputs)


def source(name, spec):
    """A data source class that reads `spec`; the engine gets one class per DataFrame."""

    class LakerunFiles(DataSource):
        @classmethod
        def name(cls):
            return name

        def schema(self):
            from pyspark.sql.pandas.types import from_arrow_schema

            return from_arrow_schema(spec.arrow_schema())

        def reader(self, schema):
            return _Reader(spec)

    return LakerunFiles
