"""JSON lines by Arrow's reader, for files that hold nothing particular: a tenth of the time of reading value by value. What it would
read otherwise than Spark does, or refuses, is left to the careful reader (files.py), which these functions say by None.

A file is read piece by piece, so that beside its bytes only a piece of its rows is in memory at once.
"""

import io

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

#: Lines that are read at once.
PIECE_BYTES = 16 << 20


def plain(data):
    """Whether each line begins and ends as an object does, in UTF-8."""
    lines = data.count(b"\n")
    begun = data.count(b"\n{") + data.endswith(b"\n")
    ended = data.count(b"}\n") + (data.count(b"}\r\n") if b"\r" in data else 0)
    if data[:1] != b"{" or begun != lines or ended != lines or not data.rstrip(b"\r\n").endswith(b"}"):
        return False
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
    return True


def infer(data):
    """The type of all records, as Spark infers it, or None."""
    kind = pa.struct([])
    for piece in _pieces(data):
        table = _read(piece, None)
        if table is None or any(_is_beyond(column) for column in table.columns):
            return None
        try:
            kind = _merged(kind, pa.struct([pa.field(f.name, _texts(f.type)) for f in table.schema]))
        except TypeError:
            return None
    return _settled(kind)


def merged(kinds):
    """One type for several files, or None where they conflict."""
    whole = pa.struct([])
    for kind in kinds:
        try:
            whole = _merged(whole, kind)
        except TypeError:
            return None
    return whole


def batches(data, schema):
    """The records as batches of a schema; None as soon as a piece cannot be read so."""
    if any(field.metadata for field in schema) or any(not _is_plain(field.type) for field in schema):
        return None
    done = []
    for piece in _pieces(data):
        table = _read(piece, schema)
        if table is None:
            return None
        rows = piece.count(b"\n") + (not piece.endswith(b"\n"))
        if table.num_rows != rows:
            return None
        for batch in table.combine_chunks().to_batches():
            arrays = [_as(batch.column(batch.schema.get_field_index(f.name)), f.type) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type) for f in schema]
            done.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return done


def _is_beyond(column):
    """Whether there are numbers that may be whole and beyond 64 bits: Arrow takes them for doubles, Spark for decimals."""
    if pa.types.is_floating(column.type):
        bounds = pc.min_max(column)
        least, most = bounds["min"].as_py(), bounds["max"].as_py()
        return least is not None and not -(2**63) < least <= most < 2**63
    if pa.types.is_struct(column.type):
        return any(_is_beyond(pa.chunked_array([chunk.field(at) for chunk in column.chunks], field.type)) for at, field in enumerate(column.type))
    if pa.types.is_list(column.type):
        return _is_beyond(pa.chunked_array([chunk.values for chunk in column.chunks], column.type.value_type))
    return False


def _pieces(data):
    start = 0
    while start < len(data):
        end = len(data) if len(data) - start <= PIECE_BYTES else data.rfind(b"\n", start, start + PIECE_BYTES) + 1
        if end <= start:
            end = data.find(b"\n", start) + 1 or len(data)
        yield data[start:end]
        start = end


def _read(piece, schema):
    """A piece as a table; None where Arrow does not read it, or not as so many records as it has lines."""
    given = {"explicit_schema": pa.schema([pa.field(f.name, f.type) for f in schema]), "unexpected_field_behavior": "ignore"} if schema is not None else {}
    try:
        table = pj.read_json(io.BytesIO(piece), read_options=pj.ReadOptions(block_size=len(piece) + 1, use_threads=False), parse_options=pj.ParseOptions(**given))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return table if table.num_rows == piece.count(b"\n") + (not piece.endswith(b"\n")) else None


def _is_plain(kind):
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(_is_plain(f.type) for f in kind)
    if pa.types.is_list(kind):
        return _is_plain(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_boolean(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind)


def _texts(kind):
    """What Arrow takes for times is text."""
    if pa.types.is_timestamp(kind):
        return pa.string()
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _texts(f.type)) for f in kind])
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _texts(kind.value_type)))
    return kind


def _merged(a, b):
    if a == b or pa.types.is_null(b):
        return a
    if pa.types.is_null(a):
        return b
    if {a, b} == {pa.int64(), pa.float64()}:
        return pa.float64()
    if pa.types.is_struct(a) and pa.types.is_struct(b):
        fields = {f.name: f.type for f in a}
        for f in b:
            fields[f.name] = _merged(fields[f.name], f.type) if f.name in fields else f.type
        return pa.struct([pa.field(name, kind) for name, kind in fields.items()])
    if pa.types.is_list(a) and pa.types.is_list(b):
        return pa.list_(pa.field("element", _merged(a.value_type, b.value_type)))
    raise TypeError(f"{a} and {b}")


def _settled(kind):
    """Fields sorted; what is null everywhere is text."""
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _settled(f.type)) for f in sorted(kind, key=lambda f: f.name)])
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _settled(kind.value_type)))
    return pa.string() if pa.types.is_null(kind) else kind


def _as(array, kind):
    """Of a type whose fields may stand in another order, with nulls in the fields of structs that are null."""
    if pa.types.is_struct(kind):
        found = dict(zip([f.name for f in array.type], array.flatten()))
        fields = [_as(found[f.name], f.type) if f.name in found else pa.nulls(len(array), f.type) for f in kind]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        from .files import list_offsets

        return pa.ListArray.from_arrays(list_offsets(array), _as(array.values, kind.value_type), type=kind)
    return array if array.type == kind else array.cast(kind)
