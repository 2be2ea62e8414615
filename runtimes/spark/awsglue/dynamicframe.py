"""DynamicFrame over a DataFrame. A ChoiceType, a column whose records hold several types, is a struct with a field for each
type, named like it, of which one has a value: `struct<int:int,string:string>`. So Glue shows it after toDF(), too."""

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


class DynamicFrame:
    def __init__(self, df, glue_ctx, name=""):
        self._df, self.glue_ctx, self.name = df, glue_ctx, name

    @classmethod
    def fromDF(cls, dataframe, glue_ctx, name):
        return cls(dataframe, glue_ctx, name)

    def toDF(self, options=None):
        return self._df

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

    def errorsCount(self):
        return 0

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

    def select_fields(self, paths, *_, **__):
        kept = [p for p in paths if _exists(self._df, p)]
        return self._with(self._df.select([column(self._df, p).alias(_parts(p)[-1]) for p in kept]))

    def drop_fields(self, paths, *_, **__):
        frame = self._df
        for path in paths:
            parts = _parts(path)
            if path in frame.columns:
                frame = frame.drop(path)
            elif len(parts) > 1 and _exists(frame, path):
                frame = frame.withColumn(parts[0], frame[f"`{parts[0]}`"].dropFields(".".join(parts[1:])))
        return self._with(frame)

    def rename_field(self, old_name, new_name, *_, **__):
        old, new = old_name.replace("`", ""), new_name.replace("`", "")
        if old in self._df.columns:
            return self._with(self._df.withColumnRenamed(old, new))
        return self._with(self._df.withColumn(new, column(self._df, old_name))).drop_fields([old_name])

    def filter(self, f, *_, **__):
        """A Python function over records, run where the data is."""
        frame = self._df

        def keep(batches):
            import pyarrow as pa

            for batch in batches:
                mask = [bool(f(_Record(row))) for row in batch.to_pylist()]
                yield batch.filter(pa.array(mask, pa.bool_()))

        return self._with(frame.mapInArrow(keep, frame.schema))

    def map(self, f, *_, **__):
        """A Python function from record to record. The new schema is that of all records: the function runs once over them for
        their types, and once for their values."""
        frame = self._df
        shapes = frame.mapInArrow(_shapes_of(f), "shape string").distinct().collect()
        target = _merged([row[0] for row in shapes])
        if not target.fields:
            return self

        def apply(batches):
            import pyarrow as pa

            schema = _arrow_schema(target)
            for batch in batches:
                yield pa.RecordBatch.from_pylist([dict(f(_Record(row))) for row in batch.to_pylist()], schema=schema)

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
            for name, kind in kinds.items():
                if name in frame.columns:
                    frame = frame.withColumn(name, _resolved(column(frame, name), frame.schema[name].dataType, spark_type(kind)))
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
        rows = (options or {}).get("topk", 10)
        self._df.limit(int(rows)).write.mode("append").json(path)
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


def _resolved(value, kind, target):
    """A value as one type; of a choice, whichever alternative it holds."""
    F, names = _functions(), choice_types(kind)
    return F.coalesce(*[value.getField(n).try_cast(target) for n in names]) if names else value.try_cast(target)


def _resolve(frame, path, action):
    from pyspark.sql.types import StructType

    verb, _, target = action.partition(":")
    if verb not in ("cast", "project", "make_cols", "make_struct", "keep_as_struct"):
        raise ValueError(f"Invalid resolveChoice action: {action}")
    if not _exists(frame, path):
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
        if not names or not top:
            return frame
        others = [frame[f"`{c}`"] for c in frame.columns if c != name]
        return frame.select(*others, *[value.getField(n).alias(f"{name}_{n}") for n in names])
    if verb in ("make_struct", "keep_as_struct"):
        return frame
    if not target:
        raise ValueError(f"Invalid resolveChoice action: {action}")
    wanted = spark_type(target)
    value = _resolved(value, kind, wanted)
    if top:
        return frame.withColumn(name, value)
    return frame.withColumn(parts[0], frame[f"`{parts[0]}`"].withField(".".join(parts[1:]), value))


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


def _shapes_of(f):
    """For mapInArrow: the types of the records that `f` makes, as JSON, each once a batch."""

    def shapes(batches):
        import pyarrow as pa
        from pyspark.sql.types import _infer_schema

        for batch in batches:
            found = {_infer_schema(dict(f(_Record(row)))).json() for row in batch.to_pylist()}
            yield pa.RecordBatch.from_arrays([pa.array(sorted(found), pa.string())], names=["shape"])

    return shapes


def _merged(shapes):
    """One type for all of them; fields keep the order in which they were first seen."""
    import json

    from pyspark.sql.types import StructType

    merged = StructType([])
    for shape in sorted(shapes, key=len, reverse=True):
        merged = _merge(merged, StructType.fromJson(json.loads(shape)), "record")
    return merged


def _merge(a, b, path):
    from pyspark.sql.types import ArrayType, DoubleType, LongType, MapType, NullType, StructField, StructType

    if a == b or isinstance(b, NullType):
        return a
    if isinstance(a, NullType):
        return b
    if {type(a), type(b)} == {LongType, DoubleType}:
        return DoubleType()
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
