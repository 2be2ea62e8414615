"""DynamicFrame over a DataFrame. Every column has one type here: the engine infers a type that holds all values (string
where they conflict), so there are no ChoiceTypes, and resolveChoice has casts and projections left to do."""

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
        self._df.printSchema()

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

    def apply_mapping(self, mappings, *_, **__):
        frame, nested, selected = self._df, {}, {}
        for mapping in mappings:
            source, target, kind = _mapping(mapping)
            if not _exists(frame, source):
                continue
            value = column(frame, source)
            if kind:
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
        """A Python function from record to record; the new schema comes from the first rows."""
        frame = self._df
        sample = [f(_Record(row.asDict(recursive=True))) for row in frame.limit(100).collect()]
        if not sample:
            return self
        target = self.glue_ctx.spark_session.createDataFrame([dict(row) for row in sample]).schema

        def apply(batches):
            import pyarrow as pa
            from pyspark.sql.pandas.types import to_arrow_schema

            for batch in batches:
                rows = [dict(f(_Record(row))) for row in batch.to_pylist()]
                yield pa.RecordBatch.from_pylist(rows, schema=to_arrow_schema(target))

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
        if choice == "match_catalog":
            kinds = self.glue_ctx.catalog_columns(database, table_name)
            for name, kind in kinds.items():
                if name in frame.columns:
                    frame = frame.withColumn(name, column(frame, name).try_cast(spark_type(kind)))
        for path, action in specs or []:
            verb, _, kind = action.partition(":")
            if verb not in ("cast", "project", "make_cols", "make_struct"):
                raise ValueError(f"Invalid resolveChoice action: {action}")
            if kind and _exists(frame, path):
                parts, value = _parts(path), column(frame, path).try_cast(spark_type(kind))
                if path in frame.columns or len(parts) == 1:
                    frame = frame.withColumn(path.replace("`", ""), value)
                else:
                    frame = frame.withColumn(parts[0], frame[f"`{parts[0]}`"].withField(".".join(parts[1:]), value))
        return self._with(frame)

    def unnest(self, *_, **__):
        """Structs become columns a.b; arrays stay."""
        return self._with(_flatten(self._df))

    def relationalize(self, root_table_name, staging_path=None, *_, **__):
        """Flat tables: structs become columns a.b, each array a table root_a with id, index and the element's columns."""
        tables = {}
        _relationalize(self._df, root_table_name, tables)
        return DynamicFrameCollection({name: DynamicFrame(df, self.glue_ctx, name) for name, df in tables.items()}, self.glue_ctx)

    def split_fields(self, paths, name1, name2, *_, **__):
        frames = {name1: self.select_fields(paths), name2: self.drop_fields(paths)}
        return DynamicFrameCollection(frames, self.glue_ctx)

    def split_rows(self, comparison_dict, name1, name2, *_, **__):
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


class _Record(dict):
    """A record in map and filter: rec["a"] and rec.a."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError as missing:
            raise AttributeError(name) from missing


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
