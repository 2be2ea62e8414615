"""What a script's calls are made into before there is a plan, as PySpark on Apache Spark makes them: null structs of its own values have null
fields, the columns of `agg({"a": "sum", "b": "avg"})` stand in the order of Java's maps, samples by a seed are Apache Spark's.
"""

from . import decide, files, results


def install():
    _mask_values()
    _verify_values()
    _order_dicts()
    _watch_seeds()
    _watch_pandas()


def _mask_values():
    """Arrow has zeros and empty texts in the fields of a struct that is null, which Sail would show."""
    from pyspark.sql.connect import plan
    from pyspark.sql.connect.dataframe import DataFrame

    engine_init, engine_map = plan.LocalRelation.__init__, DataFrame.mapInArrow

    def init(self, table, *args, **kwargs):
        engine_init(self, masked(table), *args, **kwargs)

    def mapInArrow(self, func, *args, **kwargs):
        return engine_map(self, Masked(func), *args, **kwargs)

    plan.LocalRelation.__init__, DataFrame.mapInArrow = init, mapInArrow


def _verify_values():
    """Apache Spark's client looks whether values are of the types that a script gives for them, where Arrow would make 1 of 1.5; what is no text
    of a text column is a text of Java's."""
    from pyspark.sql import conversion
    from pyspark.sql.connect.session import SparkSession
    from pyspark.sql.types import StringType, _make_type_verifier

    engine_convert, engine_create = conversion.LocalDataToArrowConversion.convert, SparkSession.createDataFrame

    def convert(data, schema, *args, **kwargs):
        verify = _make_type_verifier(schema)
        for row in data:
            verify(row)
        texts = [(at, f.name) for at, f in enumerate(schema.fields) if type(f.dataType) is StringType]
        return engine_convert([_with_texts(row, texts) for row in data] if texts else data, schema, *args, **kwargs)

    def createDataFrame(self, data, schema=None, samplingRatio=None, verifySchema=None, **kwargs):
        if verifySchema is False:
            decide.note("local:unverified")
        if hasattr(data, "select_dtypes"):
            data = _as_records(data)
        elif schema is None and isinstance(data, (list, tuple)) and data and isinstance(data[0], (int, float, str, bytes)):
            decide.note("local:scalars")
        return engine_create(self, data, schema, samplingRatio, verifySchema, **kwargs)

    conversion.LocalDataToArrowConversion.convert, SparkSession.createDataFrame = staticmethod(convert), createDataFrame


def _as_records(frame):
    """A frame of pandas is Python's records to Apache Spark: numbers of few bits are its own, and what is missing among texts is a number that is none."""
    few = {name: {"i": "int64", "u": "int64", "f": "float64"}[kind.kind] for name, kind in frame.dtypes.items()
           if getattr(kind, "kind", "") in "iuf" and getattr(kind, "itemsize", 8) < 8}
    texts = frame.select_dtypes("object")
    if any(isinstance(value, float) and value != value for name in range(texts.shape[1]) for value in texts.iloc[:, name]):
        decide.note("local:pandas:nan")
    return frame.astype(few) if few and frame.columns.is_unique else frame


def _watch_pandas():
    """Lists are arrays of numpy, and structs dicts, where Arrow makes a frame of pandas."""
    from pyspark.sql.connect.dataframe import DataFrame

    engine = DataFrame.toPandas

    def toPandas(self):
        if decide.watching():
            decide.note(*{f"topandas:{field.dataType.typeName()}" for field in self.schema.fields if field.dataType.typeName() in ("array", "map", "struct")})
        return engine(self)

    DataFrame.toPandas = toPandas


def _with_texts(row, places):
    """A row whose values at some places are texts."""
    by_name = isinstance(row, dict) or getattr(row, "__from_dict__", False)
    if not by_name and not isinstance(row, (tuple, list)):
        return row
    found = {}
    for at, name in places:
        key = name if by_name else at
        if not by_name and at >= len(row) or isinstance(row, dict) and name not in row:
            continue
        if row[key] is not None and type(row[key]) is not str:
            found[key] = results.text(row[key])
    if not found:
        return row
    return {**(row if isinstance(row, dict) else row.asDict()), **found} if by_name else tuple(found.get(at, value) for at, value in enumerate(row))


def masked(table):
    """A table or batch whose null structs have null fields."""
    if table is None or not any(files.holds_struct(field.type) for field in table.schema):
        return table
    return files.masked(table)


class Masked:
    """A function over Arrow's batches; goes to the engine by its parts."""

    def __init__(self, func):
        self.func = func

    def __call__(self, batches):
        for batch in self.func(batches):
            yield masked(batch)

    def __reduce__(self):
        return Masked, (self.func,)


def _order_dicts():
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.group import GroupedData

    for owner in (DataFrame, GroupedData):
        engine_agg = owner.agg

        def agg(self, *exprs, _engine_agg=engine_agg):
            if len(exprs) == 1 and isinstance(exprs[0], dict):
                exprs = ({name: exprs[0][name] for name in java_order(exprs[0])},)
            return _engine_agg(self, *exprs)

        owner.agg = agg


def java_order(names):
    """The order in which Apache Spark goes through the names of a dict: Java's HashMap, which Scala keeps up to four entries; more are in
    Scala 2.12's own. Source: java.util.HashMap.hash, scala.collection.immutable.HashMap."""
    if len(names) <= 4:
        return sorted(names, key=lambda name: (_hash(name) ^ _hash(name) >> 16) & 15)
    return sorted(names, key=lambda name: [_improved(_hash(name)) >> bits & 31 for bits in range(0, 35, 5)])


def _hash(text):
    """String.hashCode, without a sign."""
    units, found = text.encode("utf-16-be"), 0
    for at in range(0, len(units), 2):
        found = (31 * found + (units[at] << 8 | units[at + 1])) & 0xFFFFFFFF
    return found


def _improved(code):
    code = (code + ~(code << 9)) & 0xFFFFFFFF
    code ^= code >> 14
    code = (code + (code << 4)) & 0xFFFFFFFF
    return code ^ code >> 10


def _watch_seeds():
    """Without a seed any rows will do; with one they are those that Apache Spark takes."""
    from pyspark.sql.connect.dataframe import DataFrame

    for name, place in (("sample", 2), ("randomSplit", 1), ("sampleBy", 2)):
        engine = getattr(DataFrame, name)

        def taken(self, *args, _engine=engine, _place=place, _name=name, **kwargs):
            seed = kwargs.get("seed", args[_place] if len(args) > _place else None)
            if _name == "sample" and args and not isinstance(args[0], bool) and isinstance(args[0], (int, float)) and len(args) > 1:
                # sample(fraction, seed)
                seed = args[1]
            if seed is not None:
                decide.note(f"seed:{_name}")
            return _engine(self, *args, **kwargs)

        setattr(DataFrame, name, taken)
