"""DynamicFrame over a DataFrame. A ChoiceType, a column whose records hold several types, is a struct with a field for each
type, named like it, of which one has a value: `struct<int:int,string:string>`. So Glue shows it after toDF(), too."""

import sys
from functools import reduce

from .gluetypes import spark_type


def _functions():
    from pyspark.sql import functions

    return functions


def _parts(path):
    """`a.b` is a field in a struct; backticks keep a dot inside a name."""
    out, current, quoted = [], "", False
    for char in path:
        if char == "`":
            quoted = not quoted
        elif char == "." and not quoted:
            out.append(current)
            current = ""
        else:
            current += char
    return [*out, current]


def _within(parts):
    """The path of a field within a column."""
    return ".".join(f"`{part}`" if "." in part else part for part in parts[1:])


def column(frame, path):
    """The column a Glue path names; a top-level name that contains a dot wins over a struct's field."""
    if path in frame.columns:
        return frame[f"`{path}`"]
    first, *rest = _parts(path)
    return reduce(lambda c, name: c.getField(name), rest, frame[f"`{first}`"])


def _exists(frame, path):
    from pyspark.sql.types import StructType

    if path in frame.columns:
        return True
    kind = frame.schema
    for name in _parts(path):
        if not isinstance(kind, StructType) or name not in kind.names:
            return False
        kind = kind[name].dataType
    return True


def _spelled(frame, path):
    """A path with names as the frame spells them, where only their case differs."""
    from pyspark.sql.types import StructType

    if _exists(frame, path):
        return path
    plain = path.replace("`", "").lower()
    whole = next((name for name in frame.columns if name.lower() == plain), None)
    if whole is not None:
        return f"`{whole}`" if "." in whole else whole
    kind, names = frame.schema, []
    for part in _parts(path):
        found = next((f for f in kind.fields if f.name.lower() == part.lower()), None) if isinstance(kind, StructType) else None
        if found is None:
            return path
        names.append(f"`{found.name}`" if "." in found.name else found.name)
        kind = found.dataType
    return ".".join(names)


class ResolveOption:
    """How toDF() makes one type of a choice: `Project` or `Cast` to a type, or `KeepAsStruct`."""

    def __init__(self, path, action, target=None):
        self.path, self.action, self.target = path, action, target


class DynamicFrame:
    def __init__(self, df, glue_ctx, name=""):
        self._df, self.glue_ctx, self.name = df, glue_ctx, name

    @classmethod
    def fromDF(cls, dataframe, glue_ctx, name):
        return cls(dataframe, glue_ctx, name)

    def toDF(self, options=None):
        frame = self._df
        for option in options or []:
            frame = _resolve(frame, option.path, _action(option))
        return frame

    def _with(self, df):
        return DynamicFrame(df, self.glue_ctx, self.name)

    def count(self):
        return self._df.count()

    def schema(self):
        return self._df.schema

    def printSchema(self):
        print("root")
        for line in _schema_lines(self._df.schema, ""):
            print(line)
        print()

    def show(self, num_rows=20):
        for row in self._df.limit(num_rows).toJSON().collect() if hasattr(self._df, "toJSON") else self._df.take(num_rows):
            print(row)

    def repartition(self, num_partitions, *_, **__):
        return self._with(self._df.repartition(num_partitions))

    def coalesce(self, num_partitions, *_, **__):
        return self._with(self._df.coalesce(num_partitions))

    def getNumPartitions(self):
        return self._df.rdd.getNumPartitions()

    def write(self, connection_type, connection_options=None, format=None, format_options=None, accumulator_size=0):
        return self.glue_ctx.write_dynamic_frame_from_options(self, connection_type, connection_options, format, format_options)

    def errorsCount(self):
        return 0

    def errorsAsDynamicFrame(self):
        """None: a record that a transform cannot read ends the run."""
        from pyspark.sql.types import StructType

        return self._with(self.glue_ctx.spark_session.createDataFrame([], StructType([])))

    def stageErrorsCount(self):
        return 0

    def assertErrorThreshold(self):
        return None

    def apply_mapping(self, mappings, case_sensitive=False, *_, **__):
        frame, nested, selected = self._df, {}, {}
        for mapping in mappings:
            source, target, kind = _mapping(mapping)
            source = source if case_sensitive else _spelled(frame, source)
            if not _exists(frame, source):
                continue
            value = column(frame, source)
            if kind and kind.lower() in ("array", "struct", "map"):
                # As the visual editor writes columns that stay what they are.
                found = frame.select(value).schema.fields[0].dataType.typeName()
                if found != kind.lower():
                    raise ValueError(f"ApplyMapping: {source} is {found}, which cannot be made {kind}")
            elif kind:
                value = value.try_cast(spark_type(kind))
            parts = [target] if target.startswith("`") else _parts(target)
            selected[tuple(p.strip("`") for p in parts)] = value
        for path, value in selected.items():
            level = nested
            for name in path[:-1]:
                level = level.setdefault(name, {})
            level[path[-1]] = value
        return self._with(frame.select([_struct(v).alias(n) for n, v in nested.items()]))

    applyMapping = apply_mapping

    def select_fields(self, paths, *_, **__):
        kept = [p for p in paths if _exists(self._df, p)]
        return self._with(self._df.select([column(self._df, p).alias(_parts(p)[-1]) for p in kept]))

    def drop_fields(self, paths, *_, **__):
        frame = self._df
        for path in paths:
            parts = _parts(path)
            # A name with a dot stands in backticks, as AWS wants it, or plain.
            name = path if path in frame.columns else parts[0] if len(parts) == 1 else None
            if name in frame.columns:
                frame = frame.drop(name)
            elif len(parts) > 1 and _exists(frame, path):
                frame = frame.withColumn(parts[0], frame[f"`{parts[0]}`"].dropFields(_within(parts)))
        return self._with(frame)

    def rename_field(self, old_name, new_name, *_, **__):
        old, new = old_name.replace("`", ""), new_name.replace("`", "")
        if old in self._df.columns:
            return self._with(self._df.withColumnRenamed(old, new))
        source, target = _parts(old_name), _parts(new_name)
        if len(target) > 1 and source[:-1] == target[:-1]:
            # A full path: the field stays in its struct.
            inner = self._df[f"`{target[0]}`"].withField(_within(target), column(self._df, old_name)).dropFields(_within(source))
            return self._with(self._df.withColumn(target[0], inner))
        return self._with(self._df.withColumn(new, column(self._df, old_name))).drop_fields([old_name])

    def filter(self, f, *_, **__):
        """A Python function over records, run where the data is."""
        frame = self._df

        def keep(batches):
            import pyarrow as pa

            for batch in batches:
                mask = [bool(f(_Record(row))) for row in _rows(batch)]
                yield batch.filter(pa.array(mask, pa.bool_()))

        return self._with(frame.mapInArrow(keep, frame.schema))

    def map(self, f, *_, **__):
        """A Python function from record to record. The new schema is that of all records: the function runs once over them for
        their types, and once for their values. A field keeps its type where the values are still of it."""
        frame = self._df
        shapes = frame.mapInArrow(_shapes_of(f, frame.schema), "shape string").distinct().collect()
        target = _settled(_merged([row[0] for row in shapes]), frame.schema)
        if not target.fields:
            return self

        def apply(batches):
            import pyarrow as pa

            schema = _arrow_schema(target)
            for batch in batches:
                yield pa.RecordBatch.from_pylist([dict(f(_Record(row))) for row in _rows(batch)], schema=schema)

        return self._with(frame.mapInArrow(apply, target))

    def join(self, paths1, paths2, frame2, *_, **__):
        left, right = self._df, frame2.toDF()
        clash = {name for name in right.columns if name in left.columns}
        for name in clash:
            right = right.withColumnRenamed(name, f".{name}")
        paths2 = [f".{p}" if p in clash else p for p in paths2]
        on = reduce(lambda a, b: a & b, [column(left, a) == column(right, b) for a, b in zip(paths1, paths2)])
        return self._with(left.join(right, on))

    def union(self, other_frame, *_, **__):
        return self._with(self._df.unionByName(other_frame.toDF(), allowMissingColumns=True))

    def mergeDynamicFrame(self, stage_dynamic_frame, primary_keys, *_, **__):
        stage, keys = stage_dynamic_frame.toDF(), list(primary_keys)
        kept = self._df.join(stage.select(*keys).distinct(), keys, "left_anti")
        return self._with(kept.unionByName(stage, allowMissingColumns=True))

    def drop_nulls(self, *_, **__):
        """Drops the columns that hold nothing but null."""
        F = _functions()
        columns = self._df.columns
        if not columns:
            return self
        counts = self._df.agg(*[F.count(F.col(f"`{c}`")).alias(str(i)) for i, c in enumerate(columns)]).collect()[0]
        return self._with(self._df.select([F.col(f"`{c}`") for i, c in enumerate(columns) if counts[str(i)]]))

    def resolveChoice(self, specs=None, choice="", database=None, table_name=None, *_, **__):
        frame = self._df
        if specs and choice:
            raise ValueError("specs and choice cannot both be specified")
        if choice.lower() == "match_catalog":
            kinds = self.glue_ctx.catalog_columns(database, table_name)
            frame = _by_catalog(frame, {name.lower(): spark_type(kind) for name, kind in kinds.items()})
        elif choice:
            specs = [(name, choice) for name in frame.columns if choice_types(frame.schema[name].dataType)]
        for path, action in specs or []:
            frame = _resolve(frame, path, action)
        return self._with(frame)

    def unbox(self, path, format, *_, **options):
        """A text column parsed as JSON, CSV or another record format: its value becomes a struct."""
        if str(format).lower() != "json":
            raise NotImplementedError(f"unbox of {format} is not in Lakerun: json is")
        F, frame = _functions(), self._df
        if path not in frame.columns:
            raise ValueError(f"unbox: there is no top-level column {path}")
        shape = _shape_of_texts(self.glue_ctx.spark_session, frame.select(F.col(f"`{path}`")))
        return self._with(frame.withColumn(path, F.from_json(F.col(f"`{path}`"), shape)))

    def unnest(self, *_, **__):
        """Structs become columns a.b; arrays stay."""
        return self._with(_flatten(self._df))

    def relationalize(self, root_table_name, staging_path=None, *_, **__):
        """Flat tables: structs become columns a.b, each array a table root_a with id, index and the element's columns."""
        tables = {}
        _check_order(self._df)
        _relationalize(self._df, root_table_name, tables)
        return DynamicFrameCollection({name: DynamicFrame(df, self.glue_ctx, name) for name, df in tables.items()}, self.glue_ctx)

    def split_fields(self, paths, name1="frame1", name2="frame2", *_, **__):
        frames = {name1: self.select_fields(paths), name2: self.drop_fields(paths)}
        return DynamicFrameCollection(frames, self.glue_ctx)

    def split_rows(self, comparison_dict, name1="frame1", name2="frame2", *_, **__):
        F, tests = _functions(), []
        for path, bounds in comparison_dict.items():
            for operator, value in bounds.items():
                c = column(self._df, path)
                tests.append({">": c > value, "<": c < value, ">=": c >= value, "<=": c <= value, "=": c == value, "!=": c != value}[operator])
        match = F.coalesce(reduce(lambda a, b: a & b, tests), F.lit(False))
        return DynamicFrameCollection({name1: self._with(self._df.filter(match)), name2: self._with(self._df.filter(~match))}, self.glue_ctx)

    def spigot(self, path, options=None, *_, **__):
        """The first `topk` records, of those that are drawn by `prob`."""
        given = dict(options or {})
        rows, chance = int(given.pop("topk", 10)), float(given.pop("prob", 1.0))
        if given or not 0 <= chance <= 1:
            raise ValueError(f"spigot: topk and prob, between 0 and 1, are its options: {options}")
        frame = self._df if chance == 1 else self._df.sample(chance)
        frame.limit(rows).write.mode("append").json(path)
        return self


def choice_types(kind):
    """The types of a ChoiceType's struct, or nothing where a column is none."""
    from pyspark.sql.types import StructType

    if not isinstance(kind, StructType) or len(kind.fields) < 2:
        return []
    names = [f.name for f in kind.fields]
    return names if all(_glue_name(f.dataType) == f.name for f in kind.fields) else []


def _glue_name(kind):
    return {"bigint": "long", "smallint": "short", "tinyint": "byte"}.get(kind.simpleString(), kind.simpleString())


def _by_catalog(frame, wanted):
    """Choices become the catalog's types, whatever the case of their names; so do other columns of which no value is lost by it: AWS attempts
    to cast. Source: AWS Glue Developer Guide, "ResolveChoice class"."""
    F = _functions()
    fields = [f for f in frame.schema.fields if f.name.lower() in wanted and f.dataType.simpleString() != wanted[f.name.lower()]]
    plain = [f for f in fields if not choice_types(f.dataType)]
    losses = []
    for at, field in enumerate(plain):
        value = frame[f"`{field.name}`"]
        cast = value.try_cast(wanted[field.name.lower()])
        lost = cast.isNull() if field.dataType.typeName() == "string" else cast.isNull() | (cast.try_cast(field.dataType) != value)
        losses.append(F.count(F.when(value.isNotNull() & lost, True)).alias(f"l{at}"))
    lost = frame.agg(*losses).first() if losses else ()
    for field, count in zip(plain, lost):
        if count:
            print(f"lakerun: resolveChoice: {field.name} stays {field.dataType.simpleString()}: {count} of its values are no {wanted[field.name.lower()]}", file=sys.stderr)
    kept = {field.name for field, count in zip(plain, lost) if count}
    for field in fields:
        if field.name not in kept:
            frame = frame.withColumn(field.name, _resolved(frame[f"`{field.name}`"], field.dataType, wanted[field.name.lower()]))
    return frame


def _resolved(value, kind, target):
    """A value as one type; of a choice, whichever alternative it holds."""
    F, names = _functions(), choice_types(kind)
    return F.coalesce(*[value.getField(n).try_cast(target) for n in names]) if names else value.try_cast(target)


def _action(option):
    """A ResolveOption as ResolveChoice writes it: `project:long`. Source: AWS Glue Developer Guide, "DynamicFrame class", toDF."""
    verb = {"project": "project", "cast": "cast", "keepasstruct": "keep_as_struct"}.get(str(option.action).lower())
    if verb is None:
        raise ValueError(f"Invalid ResolveOption action: {option.action}")
    target = option.target() if isinstance(option.target, type) else option.target
    target = target if isinstance(target, str) or target is None else target.simpleString()
    return verb if verb == "keep_as_struct" else f"{verb}:{target or ''}"


def _resolve(frame, path, action):
    from pyspark.sql.types import StructType

    verb, _, target = action.partition(":")
    if verb not in ("cast", "project", "make_cols", "make_struct", "keep_as_struct"):
        raise ValueError(f"Invalid resolveChoice action: {action}")
    if verb in ("cast", "project") and not target:
        raise ValueError(f"Invalid resolveChoice action: {action}")
    if "[]" in path and path not in frame.columns:
        return _resolve_within(frame, path, verb, target)
    if not _exists(frame, path):
        _say_missing(path)
        return frame
    parts, name = _parts(path), path.replace("`", "")
    value, top = column(frame, path), path in frame.columns or len(parts) == 1
    kind = frame.schema[name].dataType if name in frame.columns else None
    if kind is None:
        kind = frame.schema
        for part in parts:
            kind = kind[part].dataType if isinstance(kind, StructType) else None
    names = choice_types(kind)
    if verb == "make_cols":
        if not names:
            return frame
        if not top:
            raise NotImplementedError(f"resolveChoice: make_cols of {path}, which is no column of its own, is not in Lakerun: unnest first")
        others = [frame[f"`{c}`"] for c in frame.columns if c != name]
        return frame.select(*others, *[value.getField(n).alias(f"{name}_{n}") for n in names])
    if verb in ("make_struct", "keep_as_struct"):
        return frame
    value = _resolved(value, kind, spark_type(target))
    if top:
        return frame.withColumn(name, value)
    return frame.withColumn(parts[0], frame[f"`{parts[0]}`"].withField(_within(parts), value))


def _say_missing(path):
    print(f"lakerun: resolveChoice: there is no {path}: it is passed over", file=sys.stderr)


def _resolve_within(frame, path, verb, target):
    """A path whose steps go through arrays, `myList[].price`: each element's value is cast.
    Source: AWS Glue Developer Guide, "ResolveChoice class"."""
    from pyspark.sql.types import ArrayType, StructType

    steps = []
    for part in _parts(path):
        name = part.rstrip("[]")
        steps += [name, *["[]"] * ((len(part) - len(name)) // 2)]
    kind = frame.schema
    for step in steps:
        if step == "[]":
            kind = kind.elementType if isinstance(kind, ArrayType) else None
        else:
            kind = kind[step].dataType if isinstance(kind, StructType) and step in kind.names else None
        if kind is None:
            _say_missing(path)
            return frame
    if verb in ("make_struct", "keep_as_struct"):
        return frame
    if verb == "make_cols":
        raise NotImplementedError(f"resolveChoice: make_cols within an array ({path}) is not in Lakerun: cast and project are")
    F, wanted = _functions(), spark_type(target)

    def change(value, kind, steps):
        if not steps:
            return _resolved(value, kind, wanted)
        if steps[0] == "[]":
            return F.transform(value, lambda one: change(one, kind.elementType, steps[1:]))
        inner = change(value.getField(steps[0]), kind[steps[0]].dataType, steps[1:])
        return value.withField(_within(["", steps[0]]), inner)

    first, *rest = steps
    return frame.withColumn(first, change(frame[f"`{first}`"], frame.schema[first].dataType, rest))


def _shape_of_texts(spark, texts):
    """The type that Spark infers of a column of JSON texts."""
    from lakerun_spark import decide

    if not decide.on_connect():
        return spark.read.json(texts.rdd.map(lambda row: row[0]).filter(lambda text: text is not None)).schema
    import pyarrow as pa
    from lakerun_spark import files
    from pyspark.sql.pandas.types import from_arrow_schema

    kind = files.type_of_texts([text for text in texts.toArrow().column(0).to_pylist() if text is not None])
    if not pa.types.is_struct(kind) or any(field.name == "_corrupt_record" for field in kind):
        decide.move("unbox of texts that are not all JSON objects")
        raise NotImplementedError("unbox of texts that are not all JSON objects needs Apache Spark: start the job with --lakerun-engine spark or auto")
    return from_arrow_schema(pa.schema(list(kind)))


def _schema_lines(kind, indent):
    """As Glue prints a schema: `|-- name: type`, choices with their alternatives."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    def lines(name, type_, deep):
        names = choice_types(type_)
        if names:
            yield f"{deep}|-- {name}: choice"
            yield from (f"{deep}|    |-- {n}" for n in names)
        elif isinstance(type_, StructType):
            yield f"{deep}|-- {name}: struct"
            for f in type_.fields:
                yield from lines(f.name, f.dataType, deep + "|    ")
        elif isinstance(type_, ArrayType):
            yield f"{deep}|-- {name}: array"
            yield from lines("element", type_.elementType, deep + "|    ")
        elif isinstance(type_, MapType):
            yield f"{deep}|-- {name}: map"
            yield from lines("keyType", type_.keyType, deep + "|    ")
            yield from lines("valueType", type_.valueType, deep + "|    ")
        else:
            yield f"{deep}|-- {name}: {_glue_name(type_)}"

    for field in kind.fields:
        yield from lines(field.name, field.dataType, indent)


class _Record(dict):
    """A record in map and filter: rec["a"] and rec.a."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as missing:
            raise AttributeError(name) from missing


def _arrow_schema(target):
    """PySpark 4 asks for the zone of timestamps, which UTC is in Glue; 3.5 writes it itself."""
    import inspect

    from pyspark.sql.pandas.types import to_arrow_schema

    zone = {"timezone": "UTC"} if "timezone" in inspect.signature(to_arrow_schema).parameters else {}
    return to_arrow_schema(target, **zone)


def _shapes_of(f, schema):
    """For mapInArrow: the types of the records that `f` makes of records of a schema, as JSON, each once a batch."""

    def shapes(batches):
        import pyarrow as pa

        for batch in batches:
            found = {_shape(dict(f(_Record(row))), schema).json() for row in _rows(batch)}
            yield pa.RecordBatch.from_arrays([pa.array(sorted(found), pa.string())], names=["shape"])

    return shapes


def _rows(batch):
    """The records of a batch; a map is a dict, where Arrow gives pairs."""
    import pyarrow as pa

    def has_map(kind):
        return pa.types.is_map(kind) or any(has_map(kind.field(i).type) for i in range(kind.num_fields))

    def plain(value, kind):
        if value is None or not has_map(kind):
            return value
        if pa.types.is_map(kind):
            return {key: plain(one, kind.item_type) for key, one in value}
        if pa.types.is_struct(kind):
            return {field.name: plain(value[field.name], field.type) for field in kind}
        return [plain(one, kind.value_type) for one in value]

    mapped = [field for field in batch.schema if has_map(field.type)]
    for row in batch.to_pylist():
        yield {**row, **{field.name: plain(row[field.name], field.type) for field in mapped}}


def _shape(row, schema):
    """The type of a record, its fields sorted; `schema` is of the record that it was made of."""
    from pyspark.sql.types import StructField, StructType

    known = {f.name: f.dataType for f in schema.fields}
    return StructType([StructField(name, _type_of(row[name], known.get(name)), True) for name in sorted(row)])


def _type_of(value, known):
    """The type of a value: `known`, that of the field it was, where it is of that type."""
    import decimal

    from pyspark.sql.types import ArrayType, DecimalType, MapType, NullType, StructField, StructType, _infer_type

    if value is None:
        return NullType()
    if isinstance(value, dict):
        if isinstance(known, MapType):
            kinds = (_common([_type_of(key, known.keyType) for key in value]), _common([_type_of(one, known.valueType) for one in value.values()]))
            return MapType(*kinds, True)
        inner = {f.name: f.dataType for f in known.fields} if isinstance(known, StructType) else {}
        names = [name for name in inner if name in value] + [name for name in value if name not in inner]
        return StructType([StructField(str(name), _type_of(value[name], inner.get(name)), True) for name in names])
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields") and not hasattr(value, "__fields__"):
        element = known.elementType if isinstance(known, ArrayType) else None
        return ArrayType(_common([_type_of(one, element) for one in value]), True)
    if known is not None and _is_of(value, known):
        return known
    if isinstance(value, decimal.Decimal) and value.is_finite():
        # Spark's own default has 18 places; a long number has fewer.
        return DecimalType(38, min(18, 38 - max(value.adjusted() + 1, 0)))
    return _infer_type(value)


def _common(kinds):
    from pyspark.sql.types import NullType

    return reduce(lambda a, b: _merge(a, b, "element"), kinds, NullType())


_RANGES = {"byte": 7, "short": 15, "integer": 31, "long": 63, "tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}


def _is_of(value, kind):
    """Whether a value is of a type without parts, as it is."""
    import datetime
    import decimal
    import struct

    name = kind.typeName()
    if name in _RANGES:
        return isinstance(value, int) and not isinstance(value, bool) and -(1 << _RANGES[name]) <= value < 1 << _RANGES[name]
    if name == "float":
        try:
            return isinstance(value, float) and (value != value or struct.unpack("f", struct.pack("f", value))[0] == value)
        except OverflowError:
            return False
    if name == "decimal":
        if not isinstance(value, decimal.Decimal) or not value.is_finite():
            return False
        places = -value.normalize().as_tuple().exponent if value else 0
        return places <= kind.scale and value.adjusted() + 1 <= kind.precision - kind.scale
    if name == "date":
        return isinstance(value, datetime.date) and not isinstance(value, datetime.datetime)
    python = {"double": float, "string": str, "char": str, "varchar": str, "boolean": bool, "timestamp": datetime.datetime, "binary": (bytes, bytearray)}
    return name in python and isinstance(value, python[name])


def _settled(target, known):
    """Where all values are null, the type that the field had."""
    from pyspark.sql.types import ArrayType, MapType, NullType, StructField, StructType

    if isinstance(target, NullType):
        return known if known is not None else target
    if isinstance(target, StructType):
        inner = {f.name: f.dataType for f in known.fields} if isinstance(known, StructType) else {}
        return StructType([StructField(f.name, _settled(f.dataType, inner.get(f.name)), True) for f in target.fields])
    if isinstance(target, ArrayType):
        return ArrayType(_settled(target.elementType, getattr(known, "elementType", None)), True)
    if isinstance(target, MapType):
        return MapType(_settled(target.keyType, getattr(known, "keyType", None)), _settled(target.valueType, getattr(known, "valueType", None)), True)
    return target


def _merged(shapes):
    """One type for all of them; fields keep the order in which they were first seen."""
    import json

    from pyspark.sql.types import StructType

    merged = StructType([])
    for shape in sorted(shapes, key=len, reverse=True):
        merged = _merge(merged, StructType.fromJson(json.loads(shape)), "record")
    return merged


def _merge(a, b, path):
    from pyspark.sql.types import (ArrayType, ByteType, DecimalType, DoubleType, FloatType, IntegerType, LongType, MapType, NullType, ShortType,
                                   StructField, StructType)

    if a == b or isinstance(b, NullType):
        return a
    if isinstance(a, NullType):
        return b
    whole = [ByteType, ShortType, IntegerType, LongType]
    if type(a) in whole and type(b) in whole:
        return max(a, b, key=lambda kind: whole.index(type(kind)))
    if {type(a), type(b)} <= {FloatType, DoubleType, *whole}:
        return DoubleType()
    if isinstance(a, DecimalType) and isinstance(b, DecimalType):
        digits, places = max(a.precision - a.scale, b.precision - b.scale), max(a.scale, b.scale)
        return DecimalType(min(38, digits + places), min(places, 38 - digits))
    if isinstance(a, StructType) and isinstance(b, StructType):
        other = {f.name: f for f in b.fields}
        fields = [StructField(f.name, _merge(f.dataType, other[f.name].dataType, f"{path}.{f.name}") if f.name in other else f.dataType) for f in a.fields]
        return StructType(fields + [f for f in b.fields if f.name not in {x.name for x in a.fields}])
    if isinstance(a, ArrayType) and isinstance(b, ArrayType):
        return ArrayType(_merge(a.elementType, b.elementType, path + "[]"))
    if isinstance(a, MapType) and isinstance(b, MapType):
        return MapType(_merge(a.keyType, b.keyType, path), _merge(a.valueType, b.valueType, path + "{}"))
    raise TypeError(f"map: {path} is {a.simpleString()} in one record and {b.simpleString()} in another; give it one type in the function")


def _mapping(mapping):
    if len(mapping) == 4:
        source, _, target, kind = mapping
    elif len(mapping) == 3:
        source, target, kind = mapping
    elif len(mapping) == 2:
        (source, target), kind = mapping, None
    else:
        raise ValueError(f"Mapping must be a tuple of 2, 3 or 4 elements: {mapping}")
    return source, target, kind


def _struct(value):
    F = _functions()
    return F.struct([_struct(v).alias(n) for n, v in value.items()]) if isinstance(value, dict) else value


def _flatten(frame):
    from pyspark.sql.types import StructType

    def leaves(kind, value, name):
        if not isinstance(kind, StructType):
            return [value.alias(name)]
        return [leaf for f in kind.fields for leaf in leaves(f.dataType, value.getField(f.name), f"{name}.{f.name}")]

    columns = [leaf for f in frame.schema.fields for leaf in leaves(f.dataType, frame[f"`{f.name}`"], f.name)]
    return frame.select(columns)


#: Relations whose rows come in another order each time they are asked for, as threads have it.
_UNORDERED = {f"relation:{kind}" for kind in ("join", "as_of_join", "aggregate", "deduplicate", "repartition", "repartition_by_expression", "sql", "group_map", "co_group_map")}


def _check_order(frame):
    """Ids tie the rows of one table to those of another. Sail keeps no frame that is persisted, so each table has its rows numbered anew:
    alike only where they come in one order."""
    from lakerun_spark import decide
    from pyspark.sql.types import ArrayType

    if decide.on_connect() and any(isinstance(f.dataType, ArrayType) for f in _flatten(frame).schema.fields):
        for one in sorted(decide.constructs(frame._plan.to_proto(frame._session.client)) & _UNORDERED):
            decide.move(f"relationalize of a {one.removeprefix('relation:')}, whose rows are in no order,")


def _relationalize(frame, name, tables):
    from pyspark.sql.types import ArrayType

    F = _functions()
    frame = _flatten(frame)
    arrays = [f.name for f in frame.schema.fields if isinstance(f.dataType, ArrayType)]
    for array in arrays:
        frame = frame.withColumn(f"__{array}", F.col(f"`{array}`")).withColumn(array, F.monotonically_increasing_id())
    if arrays:
        frame = frame.persist()
    for array in arrays:
        child = frame.select(F.col(f"`{array}`").alias("id"), F.posexplode(F.col(f"`__{array}`")).alias("index", f"{array}.val"))
        _relationalize(child, f"{name}_{array}", tables)
    tables[name] = frame.drop(*[f"__{a}" for a in arrays])


class DynamicFrameCollection:
    def __init__(self, dynamic_frames, glue_ctx):
        self._frames, self._glue_ctx = dict(dynamic_frames), glue_ctx

    def __getitem__(self, key):
        return self._frames[key]

    def __len__(self):
        return len(self._frames)

    def keys(self):
        return self._frames.keys()

    def values(self):
        return self._frames.values()

    def items(self):
        return self._frames.items()

    def select(self, key, transformation_ctx=""):
        return self._frames[key]

    def map(self, callable, transformation_ctx=""):
        return DynamicFrameCollection({name: callable(frame, name) for name, frame in self._frames.items()}, self._glue_ctx)

    def flatmap(self, f, transformation_ctx=""):
        """A collection of all that a function makes of each frame: it gives a frame or a collection."""
        found = {}
        for name, frame in self._frames.items():
            made = f(frame, name)
            found.update(made.items() if isinstance(made, DynamicFrameCollection) else [(name, made)])
        return DynamicFrameCollection(found, self._glue_ctx)
