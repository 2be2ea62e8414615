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
    _spell_names()


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


def _spell_names():
    """Names count whatever their case: a column is renamed, and one that two sides are joined by has the name of its own side. Where Apache
    Spark goes by their case all the same (attributes of a frame, the subset of `replace`), so does this."""
    from pyspark.sql.connect.dataframe import DataFrame

    rename, rename_all, join, unpivot, by_regex = (
        DataFrame.withColumnRenamed, DataFrame.withColumnsRenamed, DataFrame.join, DataFrame.unpivot, DataFrame.colRegex)

    def withColumnRenamed(self, existing, new):
        return rename(self, _spelled(self.columns, existing), new)

    def withColumnsRenamed(self, colsMap):
        names, taken = self.columns, {}
        for existing, new in colsMap.items():
            # One after another: what has been renamed is not there any more.
            taken.setdefault(_spelled(names, existing), new)
        return rename_all(self, taken)

    def joined(self, other, on=None, how=None):
        names = [on] if isinstance(on, str) else on
        if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
            side = other if str(how or "").lower().replace("_", "") in ("right", "rightouter") else self
            have = side.columns
            on = [_spelled(have, name) for name in names]
        return join(self, other, on, how)

    def unpivoted(self, ids, values, *args, **kwargs):
        # They are named as they were asked for.
        asked = [name for group in (ids, values) for name in (group if isinstance(group, (list, tuple)) else [group]) if isinstance(name, str)]
        have = self.columns
        frame = rename_all(self, {_spelled(have, name): name for name in asked if name not in have and _spelled(have, name) != name})
        return unpivot(frame, ids, values, *args, **kwargs)

    def colRegex(self, colName):
        return by_regex(self, "`(?i)" + colName[1:] if isinstance(colName, str) and colName.startswith("`") else colName)

    DataFrame.withColumnRenamed, DataFrame.withColumnsRenamed, DataFrame.join = withColumnRenamed, withColumnsRenamed, joined
    DataFrame.unpivot, DataFrame.melt, DataFrame.colRegex = unpivoted, unpivoted, colRegex
    _check_names(DataFrame)


def _check_names(frame):
    """Methods that find a column by its name as it is spelled, or that want it to be there."""
    from pyspark._globals import _NoValue

    attribute, replace, fill, corr, cov = frame.__getattr__, frame.replace, frame.fillna, frame.corr, frame.cov

    def __getattr__(self, name):
        if not name.startswith("_") and name != "rdd" and name not in self.columns:
            raise AttributeError(f"'DataFrame' object has no attribute '{name}'")
        return attribute(self, name)

    def replaced(self, to_replace, value=_NoValue, subset=None):
        have = self.columns
        if subset is not None:
            asked = [subset] if isinstance(subset, str) else list(subset)
            subset = [name for name in asked if name in have or _spelled(have, name) == name]
            if asked and not subset:
                return self
        found = replace(self, to_replace, value, subset)
        # Sail writes names in small letters.
        return found if found.columns == have else found.toDF(*have)

    def filled(self, value, subset=None):
        asked = list(value) if isinstance(value, dict) else [subset] if isinstance(subset, str) else list(subset or [])
        have = {name.lower() for name in self.columns} if asked else set()
        missing = [name for name in asked if isinstance(name, str) and not set(name) & set(".`") and name.lower() not in have]
        if missing:
            self.select(*missing).schema  # Says that they are not there.
        return fill(self, value, subset)

    def with_zeros(engine):
        """Nulls are zeros to these two."""
        from pyspark.sql import functions as F

        def computed(self, col1, col2, *args, **kwargs):
            pair = self.select(*[F.coalesce(F.col(name).cast("double"), F.lit(0.0)).alias(f"c{at}") for at, name in enumerate((col1, col2))])
            return engine(pair, "c0", "c1", *args, **kwargs)

        return computed

    frame.__getattr__, frame.replace, frame.fillna, frame.corr, frame.cov = __getattr__, replaced, filled, with_zeros(corr), with_zeros(cov)


def _spelled(names, wanted):
    """A name as it stands among others, where one of them differs from it by case alone."""
    if wanted in names or not isinstance(wanted, str):
        return wanted
    alike = [name for name in names if name.lower() == wanted.lower()]
    return alike[0] if len(alike) == 1 else wanted
