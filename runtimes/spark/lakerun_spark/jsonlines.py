"""JSON lines by Arrow's reader, for files that hold nothing particular: a tenth of the time of reading value by value. What it would
read otherwise than Spark does, or refuses, is left to the careful reader (files.py), which these functions say by None.

A file is read piece by piece, some pieces ahead of who wants them. Inference reads each piece by the types that are known by then, so
that what it has read are the records themselves: who reads them after it need not read them again.
"""

import io
import itertools
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

#: Lines that are read at once.
PIECE_BYTES = 16 << 20
GLIMPSE_BYTES = 64 << 10
_READERS = min(4, os.cpu_count() or 1)


def pieces(file):
    """A file's bytes in pieces of whole lines."""
    rest = b""
    while True:
        more = file.read(PIECE_BYTES)
        end = more.rfind(b"\n") + 1
        if end:
            yield rest + more[:end] if rest else more[:end]
            rest = more[end:]
        elif more:
            rest += more
        else:
            if rest:
                yield rest
            return


def ahead(work, items, threads=_READERS):
    """`work` of each item, in their order, by some threads that are never further ahead than one item each."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def plain(data):
    """Whether each line begins and ends as an object does, in UTF-8."""
    import numpy

    if data[:1] != b"{" or not data.rstrip(b"\r\n").endswith(b"}"):
        return False
    signs = numpy.frombuffer(data, numpy.uint8)
    ends = numpy.flatnonzero(signs == ord("\n"))
    begins = ends[:-1] + 1 if data.endswith(b"\n") else ends + 1
    last = signs[ends - 1]
    if b"\r" in data:
        last = numpy.where(last == ord("\r"), signs[numpy.maximum(ends - 2, 0)], last)
    if not ((signs[begins] == ord("{")).all() and (last == ord("}")).all()):
        return False
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return False
    return True


def infer(found, limit):
    """The type of all records of some pieces, for `merged`, and the records as tables; no tables where they would take more than `limit`
    bytes; nothing where Arrow's reader is not enough."""
    found = iter(found)
    first = next(found, b"")
    state = {"kind": _glimpse(first)}
    kept, size = [], 0
    for table in ahead(lambda piece: _inferred(piece, state["kind"]), itertools.chain([first], found)):
        if table is None:
            return None
        try:
            state["kind"] = _merged(state["kind"], pa.struct([pa.field(f.name, _texts(f.type)) for f in table.schema]))
        except TypeError:
            return None
        size += table.nbytes
        if kept is not None:
            kept = [*kept, table] if size <= limit and not _holds_times(table) else None
    return state["kind"], kept


def _glimpse(piece):
    """What the first lines say, so that whole pieces are not read by it only to be read again."""
    end = piece.rfind(b"\n", 0, GLIMPSE_BYTES) + 1
    table = _read(piece[:end], None) if end and plain(piece[:end]) else None
    return pa.struct([pa.field(f.name, _texts(f.type)) for f in table.schema]) if table is not None else pa.struct([])


def _inferred(piece, known):
    """A piece by types that are known, by its own where it has others. Text that looks like a time is text."""
    if not plain(piece):
        return None
    wanted = [field for field in map(_known, known) if field is not None]
    table = _read(piece, wanted, "infer") if wanted else None
    if table is None:
        table = _read(piece, None)
    if table is not None and _holds_times(table):
        wanted = [field for field in map(_known, _texts(pa.struct(list(table.schema)))) if field is not None]
        table = _read(piece, wanted, "infer") or table
    return None if table is None or any(_is_beyond(column) for column in table.columns) else table


def _known(field):
    """A field without what is not known of it, or nothing."""
    kind = field.type
    if pa.types.is_struct(kind):
        inner = [one for one in map(_known, kind) if one is not None]
        return pa.field(field.name, pa.struct(inner)) if inner else None
    if pa.types.is_list(kind):
        element = _known(pa.field("item", kind.value_type))
        return pa.field(field.name, pa.list_(element)) if element is not None else None
    return None if pa.types.is_null(kind) else field


def _holds_times(table):
    return _texts(pa.struct(list(table.schema))) != _lists(pa.struct(list(table.schema)))


def merged(kinds):
    """The type of several files, as Spark infers it, or None where they conflict."""
    whole = pa.struct([])
    for kind in kinds:
        try:
            whole = _merged(whole, kind)
        except TypeError:
            return None
    return _settled(whole)


def read(piece, schema):
    """The records of a piece as a table of a schema, or None where Arrow does not read them so."""
    return conform(_read(piece, schema), schema) if fits(schema) and plain(piece) else None


def fits(schema):
    return not any(field.metadata for field in schema) and all(_is_plain(field.type) for field in schema)


def conform(table, schema):
    """What has been read, by a schema; None where a value would not be what reading by that schema makes of it."""
    if table is None or not fits(schema):
        return None
    done = []
    for batch in table.combine_chunks().to_batches():
        try:
            arrays = [_as(batch.column(batch.schema.get_field_index(f.name)), f.type) if f.name in batch.schema.names else pa.nulls(batch.num_rows, f.type) for f in schema]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, TypeError):
            return None
        done.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return pa.Table.from_batches(done, schema=schema)


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


def _read(piece, schema, others="ignore"):
    """A piece as a table; None where Arrow does not read it, or not as so many records as it has lines."""
    given = {"explicit_schema": pa.schema([pa.field(f.name, f.type) for f in schema]), "unexpected_field_behavior": others} if schema is not None else {}
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


def _lists(kind):
    """With the name of elements that `_texts` gives them."""
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _lists(f.type)) for f in kind])
    return pa.list_(pa.field("element", _lists(kind.value_type))) if pa.types.is_list(kind) else kind


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
        fields = [pa.field(f.name, _settled(f.type)) for f in sorted(kind, key=lambda f: f.name)]
        return pa.struct([field for field in fields if not is_void(field.type)])
    if pa.types.is_list(kind):
        return pa.list_(pa.field("element", _settled(kind.value_type)))
    return pa.string() if pa.types.is_null(kind) else kind


def is_void(kind):
    """Whether it is an object that has no field in any record, or an array of such: Spark's inference leaves it out (SPARK-8093)."""
    if pa.types.is_list(kind):
        return is_void(kind.value_type)
    return pa.types.is_struct(kind) and kind.num_fields == 0


def _as(array, kind):
    """Of a type whose fields may stand in another order, with nulls in the fields of structs that are null. Only what is null, or a whole
    number that a double holds, becomes of another type."""
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if pa.types.is_struct(kind):
        found = dict(zip([f.name for f in array.type], array.flatten()))
        fields = [_as(found[f.name], f.type) if f.name in found else pa.nulls(len(array), f.type) for f in kind]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
    if pa.types.is_list(kind):
        from .files import list_offsets

        return pa.ListArray.from_arrays(list_offsets(array), _as(array.values, kind.value_type), type=kind)
    if array.type != kind and not (pa.types.is_integer(array.type) and (pa.types.is_integer(kind) or pa.types.is_float64(kind))):
        raise TypeError(f"{array.type} is not {kind}")
    return array if array.type == kind else array.cast(kind)
