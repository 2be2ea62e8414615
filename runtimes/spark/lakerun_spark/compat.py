"""Where the engine (Sail, seen through PySpark's Connect client) differs from Glue's Spark 3, and the script would notice.

`install()` patches the client classes, so that scripts need no change:
- reading CSV, JSON and Parquet from S3: Spark's PERMISSIVE rows, globs, basePath, types of partition columns, and an
  AnalysisException for a path that does not exist (the engine would give no rows);
- writing to S3: overwrite writes the new files before it deletes the old ones (the engine deletes first),
  partitionOverwriteMode=dynamic (the engine knows only static), one file for coalesce(1) and repartition(1);
- ANSI mode is off as in Glue up to 5: casts, to_date, to_timestamp and division give null where they cannot give a value.
Set spark.sql.ansi.enabled=true and the last point does not apply.
Not covered: input_file_name(), ORC, arithmetic between strings and numbers without a cast, RDDs.
"""

import fnmatch
import io
import itertools
import json
import re
import uuid
from urllib.parse import unquote

from . import decide, files, frames, mend, results, s3, textfiles

READ_FORMATS = ("csv", "json", "parquet")
WRITE_FORMATS = ("csv", "json", "parquet")
_names = itertools.count(1)
_conf = {"ansi": False}


def install():
    from pyspark.sql.connect import column, expressions, plan, readwriter
    from pyspark.sql.connect.functions import builtin

    _install_reader(readwriter.DataFrameReader)
    _install_writer(readwriter.DataFrameWriter)
    _install_conf()
    _install_sessions()
    mend.install()
    results.install()
    frames.install()
    _install_lenient(column, expressions, plan, builtin)
    _install_unions()


# reading


def _install_reader(reader):
    engine_load = reader.load

    def load(self, path=None, format=None, schema=None, **options):
        if format is not None:
            self.format(format)
        if schema is not None:
            self.schema(schema)
        self.options(**options)
        kind = (self._format or "parquet").lower()
        paths = [path] if isinstance(path, str) else list(path or [])
        if not paths and "path" in self._options:
            paths = [self._options["path"]]
        if kind not in READ_FORMATS or not paths or not all(s3.is_s3(p) for p in paths):
            return engine_load(self, path)
        given = {name.lower(): value for name, value in self._options.items()}
        _check_options(kind, given, self)
        if str(given.get("recursivefilelookup")).lower() == "true":
            inputs, whole = [item for one in paths for item in s3.files(one, given.get("basepath"), True)], True
        else:
            inputs, whole = s3.of_spark(paths, given.get("basepath"))
        for one in paths:
            if not any(item.path == one for item in inputs) and not s3.exists(one):
                raise _analysis("PATH_NOT_FOUND", f"Path does not exist: {one}.", "42K03")
        if len({tuple(item.partition) for item in inputs}) > 1:
            folders = sorted({item.url.rpartition("/")[0] for item in inputs})
            raise AssertionError(f"assertion failed: Conflicting directory structures detected. Suspicious paths: {folders[:10]}. If provided paths "
                                 "are partition directories, please set \"basePath\" in the options of the data source to specify the root directory of the table.")
        if _conf.get("spark.sql.sources.partitioncolumntypeinference.enabled", "true").lower() == "false":
            partitions = dict.fromkeys((name for item in inputs for name in item.partition), "string")
        else:
            partitions = s3.partition_types(inputs)
        wanted = given.get("pathglobfilter")
        inputs = [item for item in inputs if item.size > 0 and (not wanted or fnmatch.fnmatchcase(item.key.rpartition("/")[2], wanted))]
        if kind == "parquet":
            frame = _spelled(self, _parquet(self, engine_load, paths, inputs, partitions, given, whole))
            lower = [name.lower() for name in frame.columns]
            twice = next((name for name in lower if lower.count(name) > 1), None)
            if twice is not None:
                raise _analysis("COLUMN_ALREADY_EXISTS", f"The column `{twice}` already exists. Consider to choose another name or rename the existing column.", "42711")
        else:
            frame = _text_files(self, kind, inputs, partitions, given)
        return frame

    reader.load = load


#: Reader options that are obeyed here or have no effect, with the values that are.
_OBEYED = {
    "csv": {"header", "sep", "delimiter", "separator", "quote", "quotechar", "escape", "escaper", "inferschema", "nullvalue", "encoding", "charset", "comment", "mode",
            "multiline", "dateformat", "timestampformat", "ignoreleadingwhitespace", "ignoretrailingwhitespace", "maxcolumns", "maxcharspercolumn"},
    "json": {"multiline", "mode", "encoding", "charset", "dateformat", "timestampformat", "maxstringlen", "maxnestingdepth"},
    "parquet": {"mergeschema", "compression", "int96rebasemode", "datetimerebasemode"},
}
_ALWAYS = {"path", "basepath", "recursivefilelookup", "pathglobfilter", "lakerun.partitions", "lakerun.choices"}
_USUAL = {"enforceschema": "true", "preferdate": "true", "samplingratio": "1.0", "primitivesasstring": "false", "prefersdecimal": "false", "allowcomments": "false",
          "allowunquotedfieldnames": "false", "allownonnumericnumbers": "true", "dropfieldifallnull": "false", "linesep": "\n", "timezone": "UTC", "ignorecorruptfiles": "false"}


def _check_options(kind, given, reader):
    """Refuses what this layer would pass over: on `auto` the run then moves to Apache Spark."""
    for name, value in given.items():
        if name not in _OBEYED[kind] | _ALWAYS and str(value).lower() != _USUAL.get(name, "").lower():
            raise NotImplementedError(f"the option {name}={value} of {kind} is not obeyed on Sail: start the job with --lakerun-engine spark or auto")
    wanted = _schema_of(reader) if kind != "parquet" else None
    if wanted is None:
        return
    if str(given.get("mode")).upper() == "DROPMALFORMED" and (kind == "json" or any(f.dataType.typeName() != "string" for f in wanted.fields)):
        raise NotImplementedError("mode DROPMALFORMED with a schema is not obeyed on Sail: start the job with --lakerun-engine spark or auto")
    if kind == "csv" and any(f.name == "_corrupt_record" for f in wanted.fields):
        raise NotImplementedError("_corrupt_record of CSV is not filled on Sail: start the job with --lakerun-engine spark or auto")


def _analysis(error_class, message, state=None):
    from pyspark.errors import AnalysisException

    return AnalysisException(f"[{error_class}] {message}" + (f" SQLSTATE: {state}" if state else ""))


def _spelled(self, frame):
    """With the names of the schema that was given, where the files spell them in another case."""
    from pyspark.sql import functions as F

    wanted = _schema_of(self)
    asked = {f.name.lower(): f.name for f in wanted.fields} if wanted is not None else {}
    names = [asked.get(name.lower(), name) for name in frame.columns]
    if names == frame.columns:
        return frame
    return frame.select([F.col(f"`{have}`").alias(name) for have, name in zip(frame.columns, names)])


def _engine_url(url):
    """The URL that names this very key: the engine takes `*?[{` for a glob, and decodes `%41`."""
    return url[:5] + re.sub(r"[%*?#\[\]{}]", lambda char: f"%{ord(char.group(0)):02X}", url[5:])


def _parquet(self, engine_load, paths, inputs, partitions, given, whole):
    from pyspark.sql import functions as F

    if not inputs and not self._schema:
        raise _analysis("UNABLE_TO_INFER_SCHEMA", "Unable to infer schema for Parquet. It must be specified manually.", "42KD9")
    # The engine takes whatever lies below a folder.
    plain = whole and not any(s3.GLOB.search(p) for p in paths) and "basepath" not in given and "pathglobfilter" not in given
    if plain:
        exact = {item.url for item in inputs}
        urls = ["s3://" + "/".join(s3.split(p)) for p in paths]
        frame = engine_load(self, [_engine_url(u if u in exact or u.endswith("/") else u + "/") for u in urls])
        if not self._schema:
            for name, kind in partitions.items():
                if kind != "string" and name in frame.columns:
                    frame = frame.withColumn(name, F.col(name).try_cast(kind))
                elif name in frame.columns and any(item.partition.get(name) is None for item in inputs):
                    # The engine gives the folder's name for a null.
                    value = F.col(f"`{name}`")
                    frame = frame.withColumn(name, F.when(value != s3.NO_VALUE, value))
        return frame
    groups = {}
    for item in inputs:
        groups.setdefault(tuple(item.partition.items()), []).append(item.url)
    frame, schema, merged = None, None, files._true(given, "mergeschema")
    for values, urls in groups.items():
        part = engine_load(self, [_engine_url(url) for url in urls])
        if len(groups) > 1 and not merged and not self._schema:
            # Which of them Spark would take for all is not known here.
            schema = schema or part.schema
            if part.schema != schema:
                raise NotImplementedError("Parquet files of differing columns are not read together on Sail: start the job with --lakerun-engine spark or auto")
        for name, value in values:
            part = part.withColumn(name, F.lit(value).try_cast(partitions[name]))
        frame = part if frame is None else frame.unionByName(part, allowMissingColumns=True)
    return frame


def _text_files(self, kind, inputs, partitions, given):
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import to_arrow_schema

    wanted = _schema_of(self)
    names = [f.name for f in wanted.fields] if wanted is not None else None
    if names and "_corrupt_record" in names:
        decide.note("reader:corrupt_record")
    casts = {name: type_ for name, type_ in partitions.items() if type_ != "string"}
    if kind == "csv":
        if wanted is not None:
            columns = [n for n in names if n not in partitions]
            casts.update({f.name: f.dataType for f in wanted.fields if f.dataType.typeName() != "string"})
        else:
            columns = files.header_of(inputs[0], given) if inputs else []
            if set(columns) & set(partitions):
                decide.note("reader:partition_overlap")
            columns = [n for n in columns if n not in partitions]
            if files._true(given, "inferSchema") and columns:
                tables = [files.csv_table(item, columns, given) for item in inputs]
                types = files.csv_types(tables, columns)
                casts.update({n: t for n, t in zip(columns, types) if t != "string"})
        spec = files.Spec("csv", inputs, given, columns=columns, partitions=partitions)
    else:
        if wanted is not None:
            arrow = [_json_field(f) for f in to_arrow_schema(wanted, timezone="UTC") if f.name not in partitions]
            casts.update({f.name: f.dataType for f in wanted.fields if f.dataType.typeName() in ("date", "timestamp", "timestamp_ntz", "decimal", "binary")})
        else:
            import pyarrow as pa

            kind_ = files.json_schema(inputs, given)
            arrow = [f for f in kind_ if f.name not in partitions] if pa.types.is_struct(kind_) else []
        import pyarrow as pa

        spec = files.Spec("json", inputs, given, schema=pa.schema(arrow), partitions=partitions)
    if not spec.arrow_schema().names:
        return _empty(self)
    name = f"lakerun_files_{next(_names)}"
    self._client.client.register_data_source(files.source(name, spec))
    from pyspark.sql.connect.plan import DataSource

    frame = self._df(DataSource(format=name, schema=None, options={}, paths=[]))
    have = spec.arrow_schema().names
    order = (names + [n for n in have if n not in names]) if names is not None else have
    # Always a projection of its own: what a script casts stands above it.
    formats = {"date": given.get("dateformat"), "timestamp": given.get("timestampformat")}
    return frame.select([_cast(F.col(f"`{n}`"), casts.get(n), formats).alias(n) for n in order])


def _cast(column, type_, formats):
    from pyspark.sql import functions as F

    if type_ is None:
        return column
    name = type_ if isinstance(type_, str) else type_.typeName()
    if formats.get(name):
        return F.try_to_timestamp(column, F.lit(formats[name])).try_cast(type_)
    return column.try_cast(type_)


def _json_field(field):
    import pyarrow as pa

    if pa.types.is_decimal(field.type):
        return files.exact(field)
    if pa.types.is_map(field.type) and pa.types.is_string(field.type.key_type):
        return field
    if pa.types.is_map(field.type):
        raise NotImplementedError("JSON is not read into maps whose keys are no text on Sail")
    keep = (pa.types.is_string, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_list, pa.types.is_struct)
    return field if any(test(field.type) for test in keep) else pa.field(field.name, pa.string())


def _schema_of(self):
    from pyspark.sql.types import StructType

    text = self._schema
    if text is None or not str(text).strip():
        return None
    if isinstance(text, StructType):
        return text
    if text.lstrip().startswith("{"):
        return StructType.fromJson(json.loads(text))
    return self._client.createDataFrame([], text).schema


def _empty(self):
    from pyspark.sql.types import StructType

    return self._client.createDataFrame([], StructType([]))


# writing


def _install_writer(writer):
    engine_save = writer.save

    def save(self, path=None, format=None, mode=None, partitionBy=None, **options):
        self.mode(mode).options(**options)
        if partitionBy is not None:
            self.partitionBy(partitionBy)
        if format is not None:
            self.format(format)
        write = self._write
        kind = (write.source or "parquet").lower()
        path = path or write.options.get("path")
        if kind not in WRITE_FORMATS or not s3.is_s3(path):
            return engine_save(self, path)
        bucket, key = s3.split(path)
        folder = key.rstrip("/") + "/" if key.strip("/") else ""
        before = [name for name, _ in s3.keys(bucket, folder)]
        asked = write.mode
        if before and asked in (None, "error", "errorifexists"):
            raise _analysis("PATH_ALREADY_EXISTS", f"Path {path} already exists. Set mode as \"overwrite\" to overwrite the existing path.", "42K04")
        if before and asked == "ignore":
            return None
        target = f"s3://{bucket}/{folder}"
        if write.partitioning_cols:
            write._child = _partition_text(self, write)
        single = _one_partition(write._child)
        if kind in ("csv", "json"):
            zone = self._spark.conf.get("spark.sql.session.timeZone", "UTC")
            textfiles.write(_frame(self), kind, write.options, bucket, folder, write.partitioning_cols, zone, single)
        elif single and not write.partitioning_cols:
            _write_one(self, bucket, folder)
        else:
            self.mode("append")
            engine_save(self, target)
            if write.partitioning_cols:
                _rename_folders(bucket, folder, set(before))
            if kind == "parquet" and not write.partitioning_cols and not set(name for name, _ in s3.keys(bucket, folder)) - set(before):
                # Of a frame without rows a file remains, which tells the schema.
                _write_one(self, bucket, folder)
        write.mode = asked
        files.forget()
        if asked == "overwrite" and before:
            doomed = set(before)
            if write.partitioning_cols and _dynamic(self, write):
                fresh = {name.rpartition("/")[0] for name, _ in s3.keys(bucket, folder) if name not in doomed}
                doomed = {name for name in doomed if name.rpartition("/")[0] in fresh}
            s3.delete(bucket, sorted(doomed))
        return None

    writer.save = save


def _partition_text(self, write):
    """Partition columns as the text of their folders, null and the empty text as __HIVE_DEFAULT_PARTITION__: the engine would
    write the type's zero for a null."""
    from pyspark.sql import functions as F

    frame = _frame(self)
    for name in write.partitioning_cols:
        text = F.col(f"`{name}`").cast("string")
        frame = frame.withColumn(name, F.when(text.isNull() | (text == ""), F.lit("__HIVE_DEFAULT_PARTITION__")).otherwise(text))
    return frame._plan


def _rename_folders(bucket, folder, before):
    """Folders of partitions as Spark names them: Sail writes é as %C3%A9, and = and : as they are; columns' names, too."""
    for name, _ in list(s3.keys(bucket, folder)):
        *steps, file = name[len(folder):].split("/")
        pairs = [step.partition("=")[::2] for step in steps]
        wanted = "/".join([*("=".join(textfiles._escaped(unquote(part)) for part in pair) for pair in pairs), file])
        if name not in before and folder + wanted != name:
            s3.client().copy_object(Bucket=bucket, Key=folder + wanted, CopySource={"Bucket": bucket, "Key": name}, **s3.encryption())
            s3.delete(bucket, [name])


def _dynamic(self, write):
    option = next((v for k, v in write.options.items() if k.lower() == "partitionoverwritemode"), None)
    if option is None:
        option = _conf.get("spark.sql.sources.partitionoverwritemode", "static")
    return str(option).lower() == "dynamic"


def _one_partition(child):
    from pyspark.sql.connect.plan import Repartition

    return isinstance(child, Repartition) and child._num_partitions == 1


def _write_one(self, bucket, folder):
    """coalesce(1) promises one file; the engine would write one per core."""
    import pyarrow.parquet as pq

    options = {name.lower(): value for name, value in self._write.options.items()}
    body, stem = io.BytesIO(), f"part-00000-{uuid.uuid4()}-c000"
    codec = {"uncompressed": "none"}.get(options.get("compression", "snappy"), options.get("compression", "snappy"))
    pq.write_table(_frame(self).toArrow(), body, compression=codec)
    ending = ("" if codec == "none" else f".{codec}") + ".parquet"
    s3.client().put_object(Bucket=bucket, Key=folder + stem + ending, Body=body.getvalue(), **s3.encryption())


def _frame(self):
    from pyspark.sql.connect.dataframe import DataFrame

    return DataFrame(self._write._child, self._spark)


# settings

_given, _settled = {}, {}


def configure(values):
    """A job's --conf: set on the session when the script makes one, and known to our own layer at once."""
    _given.update(values)
    for key, value in values.items():
        _remember(key, value)


def given():
    return dict(_given)


def _install_sessions():
    """What --conf says, and the context's SparkConf, which the script may change until there is a session, is set on the first session.
    What says only how and where Apache Spark runs is left out."""
    from pyspark.sql.connect.session import SparkSession

    made = SparkSession.__init__

    def init(self, *args, **kwargs):
        made(self, *args, **kwargs)
        for key, value in _of_context().items():
            if not decide.of_the_machine(key):
                self.conf.set(key, value)

    SparkSession.__init__ = init


def _of_context():
    """The settings of the context, or of --conf where there is none; from the first session on they are what they were then."""
    from .context import SparkContext

    if not _settled:
        _settled.update(_given)
        if SparkContext._active is not None:
            _settled.update(dict(SparkContext._active._conf.getAll()))
        for key, value in _settled.items():
            _remember(key, value)
    return _settled


def _remember(key, value):
    _conf[key.lower()] = str(value)
    if key.lower() == "spark.sql.ansi.enabled":
        _conf["ansi"] = str(value).lower() == "true"


#: `SET key = value`, as a statement.
_SET = re.compile(r"^\s*set\s+([\w.]+)\s*=\s*(.*?)\s*;?\s*$", re.IGNORECASE | re.DOTALL)


def _install_conf():
    """Settings by the session's conf, by the builder, and by SQL."""
    from pyspark.sql.connect import proto
    from pyspark.sql.connect.client.core import SparkConnectClient
    from pyspark.sql.connect.session import SparkSession

    engine_config, engine_sql = SparkConnectClient.config, SparkSession.sql

    def config(self, operation):
        for pair in operation.set.pairs:
            _remember(pair.key, pair.value)
        answer = engine_config(self, operation)
        for key in operation.unset.keys:
            _forget(self, engine_config, key)
        return answer

    def _forget(client, engine, key):
        """As before it was set: what the context has of it, or Spark's default."""
        _conf.pop(key.lower(), None)
        if key.lower() == "spark.sql.ansi.enabled":
            _conf["ansi"] = False
        if key in _settled:
            pair = proto.KeyValue(key=key, value=_settled[key])
            _remember(key, _settled[key])
            engine(client, proto.ConfigRequest.Operation(set=proto.ConfigRequest.Set(pairs=[pair])))

    def sql(self, sqlQuery, *args, **kwargs):
        found = _SET.match(sqlQuery) if isinstance(sqlQuery, str) else None
        if found is None:
            return engine_sql(self, sqlQuery, *args, **kwargs)
        key, value = found.group(1), found.group(2)
        self.conf.set(key, value)
        return self.createDataFrame([(key, value)], "key string, value string")

    SparkConnectClient.config, SparkSession.sql = config, sql


# ANSI off

_CAST = re.compile(r"('(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`|--[^\n]*)|(?<![\w.])cast(?=\s*\()", re.IGNORECASE)


def lenient_sql(text):
    """cast(..) -> try_cast(..), outside of literals, quoted names and comments."""
    if _conf["ansi"] or not isinstance(text, str):
        return text
    return _CAST.sub(lambda m: m.group(1) if m.group(1) is not None else "try_cast", text)


def _install_lenient(column, expressions, plan, builtin):
    engine_cast = column.Column.cast
    engine_div = column.Column.__truediv__

    def cast(self, dataType):
        return engine_cast(self, dataType) if _conf["ansi"] else self.try_cast(dataType)

    def divide(self, other):
        if _conf["ansi"]:
            return engine_div(self, other)
        if isinstance(other, column.Column):
            return engine_div(self, builtin.nullif(other, builtin.lit(0)))
        return engine_div(self, other if other else builtin.lit(None).try_cast("double"))

    def divided(self, other):
        return divide(builtin.lit(other), self)

    column.Column.cast = column.Column.astype = cast
    column.Column.__truediv__ = column.Column.__div__ = divide
    column.Column.__rtruediv__ = column.Column.__rdiv__ = divided

    for owner, argument in ((expressions.SQLExpression, 0), (plan.SQL, 0)):
        engine_init = owner.__init__

        def init(self, text, *args, _engine_init=engine_init, **kwargs):
            _engine_init(self, lenient_sql(text), *args, **kwargs)

        owner.__init__ = init

    engine_date, engine_time = builtin.to_date, builtin.to_timestamp

    def to_date(col, format=None):
        if _conf["ansi"]:
            return engine_date(col, format)
        if format is None:
            return builtin._to_col(col).try_cast("date")
        return builtin.try_to_timestamp(col, builtin.lit(format)).try_cast("date")

    def to_timestamp(col, format=None):
        if _conf["ansi"]:
            return engine_time(col, format)
        if format is None:
            return builtin._to_col(col).try_cast("timestamp")
        return builtin.try_to_timestamp(col, builtin.lit(format))

    def days(engine):
        """An int to Spark, a bigint to the engine, which raises where text is no date."""
        def between(end, start):
            if _conf["ansi"]:
                return engine(end, start)
            return engine(*(builtin._to_col(one).try_cast("date") for one in (end, start))).try_cast("int")

        return between

    engine_trunc = builtin.date_trunc

    def date_trunc(format, timestamp):
        """Of a date, or of text, a timestamp too."""
        return engine_trunc(format, timestamp if _conf["ansi"] else builtin._to_col(timestamp).try_cast("timestamp"))

    mended = {"to_date": to_date, "to_timestamp": to_timestamp, "date_trunc": date_trunc, "datediff": days(builtin.datediff), "date_diff": days(builtin.date_diff)}
    from pyspark.sql.connect import functions

    for name, function in mended.items():
        setattr(builtin, name, function)
        setattr(functions, name, function)


def _install_unions():
    """`unionByName` with columns that one side lacks: the engine gives them no type where the first side lacks them."""
    from pyspark.sql.connect.dataframe import DataFrame

    engine_union = DataFrame.unionByName

    def unionByName(self, other, allowMissingColumns=False):
        left, right = ({f.name.lower(): f for f in frame.schema.fields} for frame in (self, other)) if allowMissingColumns else ({}, {})
        added = [f for name, f in right.items() if name not in left], [f for name, f in left.items() if name not in right]
        plain = all(name not in right or right[name].dataType == f.dataType for name, f in left.items()) and all(_is_simple(f.dataType) for side in added for f in side)
        if not allowMissingColumns or not plain or len(left) < len(self.columns) or len(right) < len(other.columns):
            return engine_union(self, other, allowMissingColumns)
        return engine_union(_with_nulls(self, added[0]), _with_nulls(other, added[1]), False)

    DataFrame.unionByName = unionByName


def _is_simple(type_):
    return type_.typeName() in ("string", "integer", "long", "short", "byte", "double", "float", "boolean", "date", "timestamp", "decimal", "binary")


def _with_nulls(frame, fields):
    from pyspark.sql import functions as F

    return frame.select("*", *(F.lit(None).try_cast(field.dataType).alias(field.name) for field in fields)) if fields else frame
