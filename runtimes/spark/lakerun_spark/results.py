"""What a Python function of a script returns, as Apache Spark takes it: a value that is not of the declared type is null, a text is
whatever the value says of itself, whole numbers wrap. Sail would make 1 of 1.5, and 1.0 of 1. What has no plain answer there (numpy's numbers,
a text of a dict) is an error, which moves a run of engine `auto`. Source: Apache Spark 3.5, EvaluatePython.makeFromJava and pyspark/sql/types.py.
"""

import datetime
import decimal
import functools
import struct

from . import files

#: Evaluation types of functions that are called once a row: of pickled values and of Arrow's.
_BY_ROW = {100, 101}
_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


def install():
    from pyspark.sql.connect import expressions

    engine_plan = expressions.PythonUDF.to_plan

    def to_plan(self, session):
        if self._eval_type in _BY_ROW and not isinstance(self._func, Taken):
            if isinstance(self._output_type, expressions.UnparsedDataType):
                self._output_type = session._analyze(method="ddl_parse", ddl_string=self._output_type.data_type_string).parsed
            self._func = Taken(self._func, self._output_type)
        return engine_plan(self, session)

    expressions.PythonUDF.to_plan = to_plan


class Taken:
    """Goes to the engine by its parts; the conversion is made there."""

    def __init__(self, func, kind):
        self.func, self.kind = func, kind
        functools.update_wrapper(self, func, updated=())
        self._convert = None

    def __call__(self, *args, **kwargs):
        if self._convert is None:
            self._convert = _of(self.kind)
        # Binary values are bytearrays there.
        args = [bytearray(one) if type(one) is bytes else one for one in args]
        return self._convert(self.func(*args, **kwargs))

    def __reduce__(self):
        return Taken, (self.func, self.kind)


def _part(value, kind):
    raise TypeError(f"lakerun: Sail and Apache Spark part at a function that gives a {type(value).__name__} where {kind} is declared: "
                    "start the job with --lakerun-engine spark or auto")


#: What stands for itself when it is sent to Apache Spark.
_PLAIN = (bool, int, float, str, decimal.Decimal, bytes, bytearray, list, tuple, dict, datetime.date, datetime.datetime)


def _of(kind):
    """The conversion of a value to a type, or the value itself where the type is not known here."""
    name = kind.typeName()
    make = _MAKERS.get(name) or (_whole if name in _BITS else None)
    if make is None:
        return lambda value: value
    convert = make(kind)

    def checked(value):
        if value is None:
            # Arrow puts zeros into the fields of a struct that is null, which Sail would show.
            return _part(value, f"a {kind.simpleString()}") if name == "struct" else None
        return convert(value)

    return checked


def _only(value, kind, *classes):
    """Whether a value is of one of these classes; one of a class that Spark would not send plainly is an error."""
    if type(value) in classes:
        return True
    if type(value) not in _PLAIN:
        _part(value, kind.simpleString())
    return False


def _whole(kind):
    bits = _BITS[kind.typeName()]
    half = 1 << (bits - 1)

    def convert(value):
        if not _only(value, kind, int) or not -(1 << 63) <= value < 1 << 63:
            return None
        return (value + half) % (2 * half) - half

    return convert


def _boolean(kind):
    return lambda value: value if _only(value, kind, bool) else None


def _double(kind):
    return lambda value: value if _only(value, kind, float) else None


def _float(kind):
    def convert(value):
        if not _only(value, kind, float):
            return None
        try:
            return struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return float("inf") if value > 0 else float("-inf")

    return convert


def _decimal(kind):
    context = decimal.Context(prec=77, rounding=decimal.ROUND_HALF_UP)
    step = decimal.Decimal(1).scaleb(-kind.scale)

    def convert(value):
        if not _only(value, kind, decimal.Decimal):
            return None
        if not value.is_finite():
            _part(value, kind.simpleString())
        found = value.quantize(step, context=context)
        if found and found.adjusted() + 1 + kind.scale > kind.precision:
            _part(value, kind.simpleString())
        return found

    return convert


def _string(kind):
    return lambda value: value if type(value) is str else text(value)


def text(value):
    """Java's toString of what a value is there."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if type(value) is int:
        return str(value)
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is float:
        return files.java_double(value)
    if type(value) is decimal.Decimal and value.is_finite():
        return str(value)
    if type(value) is list:
        return f"[{', '.join(map(text, value))}]"
    if type(value) is dict and len(value) < 2:
        return "{" + "".join(f"{text(name)}={text(one)}" for name, one in value.items()) + "}"
    return _part(value, "string")


def _binary(kind):
    def convert(value):
        if type(value) is str:
            return value.encode()
        return bytes(value) if _only(value, kind, bytes, bytearray) else None

    return convert


def _date(kind):
    def convert(value):
        if isinstance(value, datetime.datetime):
            return value.date()
        return value if type(value) is datetime.date else _part(value, "date")

    return convert


def _timestamp(kind):
    return lambda value: value if type(value) is datetime.datetime else _part(value, kind.typeName())


def _array(kind):
    element = _of(kind.elementType)

    def convert(value):
        if not _only(value, kind, list, tuple):
            return None
        return [element(one) for one in value]

    return convert


def _map(kind):
    key, item = _of(kind.keyType), _of(kind.valueType)

    def convert(value):
        if not _only(value, kind, dict):
            return None
        return {key(name): item(one) for name, one in value.items()}

    return convert


def _struct(kind):
    names, parts = kind.names, [_of(f.dataType) for f in kind.fields]

    def convert(value):
        if isinstance(value, dict):
            value = [value.get(name) for name in names]
        elif getattr(value, "__from_dict__", False):
            value = [value[name] for name in names]
        elif not isinstance(value, (list, tuple)):
            _part(value, kind.simpleString())
        if len(value) != len(parts):
            _part(value, f"{kind.simpleString()}, of {len(parts)} fields,")
        return tuple(part(one) for part, one in zip(parts, value))

    return convert


_MAKERS = {"boolean": _boolean, "double": _double, "float": _float, "decimal": _decimal, "string": _string, "binary": _binary, "date": _date,
           "timestamp": _timestamp, "array": _array, "map": _map, "struct": _struct}
