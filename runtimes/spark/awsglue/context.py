"""GlueContext: sources and sinks of DynamicFrames, and the catalog."""

import datetime
import logging
import sys

import boto3

from . import jdbc, sources
from .dynamicframe import DynamicFrame
from .gluetypes import spark_type


#: What pyspark's SQLContext, which AWS's GlueContext is one of, has from the session, and what from its catalog.
_OF_SESSION = ("newSession", "range", "readStream", "streams", "table", "udf", "udtf")
_OF_CATALOG = {"cacheTable": "cacheTable", "uncacheTable": "uncacheTable", "clearCache": "clearCache", "dropTempTable": "dropTempView"}


class GlueContext:
    def __init__(self, sparkContext=None, **options):
        self._sc = sparkContext
        self.create_dynamic_frame = DynamicFrameReader(self)
        self.create_data_frame = DataFrameReader(self)
        self.write_dynamic_frame = DynamicFrameWriter(self)
        self.write_data_frame = DataFrameWriter(self)

    @property
    def spark_session(self):
        from pyspark.sql import SparkSession

        return SparkSession.builder.getOrCreate()

    def getSparkSession(self):
        return self.spark_session

    @property
    def sparkContext(self):
        return self._sc

    def sql(self, query):
        return self.spark_session.sql(query)

    @property
    def read(self):
        return self.spark_session.read

    def createDataFrame(self, *args, **kwargs):
        return self.spark_session.createDataFrame(*args, **kwargs)

    def setConf(self, key, value):
        self.spark_session.conf.set(key, value)

    def getConf(self, key, *default):
        return self.spark_session.conf.get(key, *default)

    def tableNames(self, dbName=None):
        return [table.name for table in self.spark_session.catalog.listTables(dbName)]

    def registerDataFrameAsTable(self, df, tableName):
        df.createOrReplaceTempView(tableName)

    def registerFunction(self, name, f, returnType=None):
        return self.spark_session.udf.register(name, f, returnType)

    def __getattr__(self, name):
        if name in _OF_SESSION:
            return getattr(self.spark_session, name)
        if name in _OF_CATALOG:
            return getattr(self.spark_session.catalog, _OF_CATALOG[name])
        raise AttributeError(f"GlueContext has no {name} in Lakerun")

    def get_logger(self):
        return GlueLogger()

    def create_dynamic_frame_from_rdd(self, data, name, schema=None, sample_ratio=None, transformation_ctx=""):
        return self.create_dynamic_frame.from_rdd(data, name, schema, sample_ratio)

    def create_sample_dynamic_frame_from_catalog(self, database=None, table_name=None, num=100, *args, sample_options=None, **kwargs):
        frame = self.create_dynamic_frame_from_catalog(database, table_name, *args, **kwargs)
        return DynamicFrame(frame.toDF().limit(int(num)), self, frame.name)

    def create_sample_dynamic_frame_from_options(self, connection_type, connection_options=None, num=100, sample_options=None, format=None, *args, **kwargs):
        frame = self.create_dynamic_frame_from_options(connection_type, connection_options, format, *args, **kwargs)
        return DynamicFrame(frame.toDF().limit(int(num)), self, frame.name)

    def get_catalog_schema_as_spark_schema(self, database=None, table_name=None, catalog_id=None):
        table = self._describe(database, table_name, catalog_id)
        columns = table["StorageDescriptor"]["Columns"] + table.get("PartitionKeys", [])
        return self.spark_session.createDataFrame([], ", ".join(f"`{c['Name']}` {spark_type(c['Type'])}" for c in columns)).schema

    def create_dynamic_frame_from_options(self, connection_type, connection_options=None, format=None, format_options=None,
                                          transformation_ctx="", push_down_predicate="", **_):
        frame = self._read(connection_type, dict(connection_options or {}), format, dict(format_options or {}), ctx=transformation_ctx)
        if push_down_predicate:
            frame = frame.filter(push_down_predicate)
        return DynamicFrame(frame, self, transformation_ctx)

    def create_dynamic_frame_from_catalog(self, database=None, table_name=None, redshift_tmp_dir="", transformation_ctx="",
                                          push_down_predicate="", additional_options=None, catalog_id=None, **more):
        table = self._describe(database or more.get("name_space"), table_name, catalog_id)
        source = _database_table(table)
        if source:
            frame = jdbc.read(self.spark_session, "jdbc", {**(additional_options or {}), **source}, transformation_ctx)
            return DynamicFrame(frame.filter(push_down_predicate) if push_down_predicate else frame, self, transformation_ctx)
        frame = sources.read_table(self.spark_session, table, [push_down_predicate], additional_options, transformation_ctx)
        return DynamicFrame(frame, self, transformation_ctx)

    def create_data_frame_from_catalog(self, *args, **kwargs):
        return self.create_dynamic_frame_from_catalog(*args, **kwargs).toDF()

    def create_data_frame_from_options(self, *args, **kwargs):
        return self.create_dynamic_frame_from_options(*args, **kwargs).toDF()

    def write_dynamic_frame_from_options(self, frame, connection_type, connection_options=None, format=None, format_options=None,
                                         transformation_ctx="", **_):
        options = dict(connection_options or {})
        if connection_type == "dynamodb":
            _write_dynamodb(frame, options)
        elif connection_type == "s3":
            sources.check("sink", options, "sink")
            _write_files(frame.toDF(), options.get("path") or options.get("paths", [None])[0], format or "parquet",
                         options.get("partitionKeys") or [], dict(format_options or {}), options.get("compression"))
        elif jdbc.is_jdbc(connection_type):
            jdbc.write(frame.toDF(), connection_type, options)
        else:
            raise NotImplementedError(f"writing to connection_type {connection_type} is not in Lakerun")
        return frame

    def write_from_options(self, frame_or_dfc, *args, **kwargs):
        return self.write_dynamic_frame.from_options(frame_or_dfc, *args, **kwargs)

    def write_from_jdbc_conf(self, frame_or_dfc, *args, **kwargs):
        return self.write_dynamic_frame.from_jdbc_conf(frame_or_dfc, *args, **kwargs)

    def write_data_frame_from_catalog(self, frame, *args, **kwargs):
        return self.write_data_frame.from_catalog(frame, *args, **kwargs)

    def write_data_frame_from_options(self, frame, *args, **kwargs):
        return self.write_data_frame.from_options(frame, *args, **kwargs)

    def write_dynamic_frame_from_catalog(self, frame, database=None, table_name=None, redshift_tmp_dir="", transformation_ctx="",
                                         additional_options=None, catalog_id=None, **more):
        table = self._describe(database or more.get("name_space"), table_name, catalog_id)
        options = dict(additional_options or {})
        source = _database_table(table)
        if source:
            jdbc.write(frame.toDF(), "jdbc", {**options, **source})
            return frame
        keys = options.get("partitionKeys") or [k["Name"] for k in table.get("PartitionKeys", [])]
        sink = self.getSink("s3", path=table["StorageDescriptor"]["Location"], partitionKeys=keys,
                            enableUpdateCatalog=options.get("enableUpdateCatalog", False),
                            updateBehavior=options.get("updateBehavior", "UPDATE_IN_DATABASE"))
        kind, format_options = sources.format_of(table)
        if kind == "csv":
            # As the table's readers will take the first line of each file.
            format_options["writeHeader"] = format_options["withHeader"]
        sink.setFormat(kind, **format_options)
        sink.setCatalogInfo(table["DatabaseName"], table["Name"], catalog_id or "")
        return sink.writeFrame(frame)

    def write_dynamic_frame_from_jdbc_conf(self, frame, catalog_connection, connection_options=None, redshift_tmp_dir="", transformation_ctx="",
                                           catalog_id=None):
        jdbc.write(frame.toDF(), "jdbc", {**(connection_options or {}), "connectionName": catalog_connection})
        return frame

    def extract_jdbc_conf(self, connection_name, catalog_id=None):
        return jdbc.extract(connection_name)

    def getSource(self, connection_type, format=None, transformation_ctx="", push_down_predicate="", **options):
        return DataSource(self, connection_type, options, format, transformation_ctx)

    def getSink(self, connection_type, format=None, transformation_ctx="", **options):
        if connection_type != "s3":
            raise NotImplementedError(f"a sink of type {connection_type} is not in Lakerun: write_dynamic_frame.from_options writes to databases")
        return DataSink(self, options, format)

    def purge_s3_path(self, s3_path, options=None, transformation_ctx="", catalog_id=None):
        _purge_path(s3_path, options)

    def purge_table(self, database, table_name, options=None, transformation_ctx="", catalog_id=None):
        _purge_table(self.spark_session, self._describe(database, table_name, catalog_id), options)

    def catalog_columns(self, database, table_name):
        table = self._describe(database, table_name)
        return {c["Name"]: c["Type"] for c in table["StorageDescriptor"]["Columns"] + table.get("PartitionKeys", [])}

    def _describe(self, database, table_name, catalog_id=None):
        more = {"CatalogId": catalog_id} if catalog_id else {}
        return boto3.client("glue").get_table(DatabaseName=database, Name=table_name, **more)["Table"]

    def _read(self, connection_type, options, format, format_options, schema=None, ctx=""):
        if connection_type in ("s3", "file"):
            return sources.read_files(self.spark_session, options, format, format_options, schema, ctx)
        if connection_type == "dynamodb":
            return _read_dynamodb(self.spark_session, options)
        if jdbc.is_jdbc(connection_type):
            return jdbc.read(self.spark_session, connection_type, options, ctx)
        raise NotImplementedError(f"reading from connection_type {connection_type} is not in Lakerun")


class GlueLogger:
    """The job's logger: to stderr, which is the job's log."""

    def __init__(self):
        self._logger = logging.getLogger("GlueLogger")
        if not self._logger.handlers:
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s GlueLogger: %(message)s"))
            self._logger.addHandler(handler)
            self._logger.setLevel(logging.INFO)
            self._logger.propagate = False

    def info(self, msg):
        self._logger.info(msg)

    def debug(self, msg):
        self._logger.debug(msg)

    def warn(self, msg):
        self._logger.warning(msg)

    warning = warn

    def error(self, msg):
        self._logger.error(msg)


class DynamicFrameReader:
    def __init__(self, glue_context):
        self._glue = glue_context

    def from_options(self, *args, **kwargs):
        return self._glue.create_dynamic_frame_from_options(*args, **kwargs)

    def from_catalog(self, *args, **kwargs):
        return self._glue.create_dynamic_frame_from_catalog(*args, **kwargs)

    def from_rdd(self, data, name, schema=None, sampleRatio=None):
        return DynamicFrame(self._glue.createDataFrame(list(data), schema), self._glue, name)


class DataFrameReader(DynamicFrameReader):
    def from_options(self, *args, **kwargs):
        return super().from_options(*args, **kwargs).toDF()

    def from_catalog(self, *args, **kwargs):
        return super().from_catalog(*args, **kwargs).toDF()


class DynamicFrameWriter:
    def __init__(self, glue_context):
        self._glue = glue_context

    def from_options(self, frame, *args, **kwargs):
        return _each(frame, lambda one: self._glue.write_dynamic_frame_from_options(one, *args, **kwargs))

    def from_catalog(self, frame, *args, **kwargs):
        return _each(frame, lambda one: self._glue.write_dynamic_frame_from_catalog(one, *args, **kwargs))

    def from_jdbc_conf(self, frame, *args, **kwargs):
        return _each(frame, lambda one: self._glue.write_dynamic_frame_from_jdbc_conf(one, *args, **kwargs))


class DataFrameWriter(DynamicFrameWriter):
    def from_options(self, frame, *args, **kwargs):
        return super().from_options(DynamicFrame(frame, self._glue), *args, **kwargs)

    def from_catalog(self, frame, *args, **kwargs):
        return super().from_catalog(DynamicFrame(frame, self._glue), *args, **kwargs)


def _each(frame, write):
    return [write(one) for one in frame.values()] if hasattr(frame, "values") else write(frame)


def _database_table(table):
    """What reads a catalog table that lies in a database: its connection, and its name there (`database.schema.table`, `database.table`)."""
    name = {**table.get("StorageDescriptor", {}).get("Parameters", {}), **table.get("Parameters", {})}.get("connectionName")
    where = table.get("StorageDescriptor", {}).get("Location", "")
    if not name or "://" in where:
        return None
    database, dot, rest = where.partition(".")
    return {"connectionName": name, "dbtable": rest, "database": database} if dot else {"connectionName": name, "dbtable": where}


class DataSource:
    def __init__(self, glue_context, connection_type, options, format=None, ctx=""):
        self._glue, self._type, self._options, self._format, self._format_options = glue_context, connection_type, options, format, {}
        self._ctx = ctx

    def setFormat(self, format, **options):
        self._format, self._format_options = format, options

    def getFrame(self):
        return DynamicFrame(self._glue._read(self._type, self._options, self._format, self._format_options, ctx=self._ctx), self._glue)


class DataSink:
    """getSink("s3", path=..., enableUpdateCatalog=True, updateBehavior=..., partitionKeys=[...])"""

    def __init__(self, glue_context, options, format=None):
        self._glue, self._options, self._format, self._format_options = glue_context, options, format or "parquet", {}
        self._database = self._table = self._catalog = None

    def setFormat(self, format, **options):
        self._format, self._format_options = format, options

    def setAccumulableSize(self, size):
        pass

    def setCatalogInfo(self, catalogDatabase, catalogTableName, catalogId=""):
        self._database, self._table, self._catalog = catalogDatabase, catalogTableName, catalogId

    def writeFrame(self, dynamic_frame, info=""):
        frame, path = dynamic_frame.toDF(), self._options.get("path")
        keys = list(self._options.get("partitionKeys") or [])
        updates = self._options.get("enableUpdateCatalog") and self._database
        # Refused before anything is written.
        storage = _storage(self._format, self._format_options) if updates else None
        before = _keys_below(path) if updates and keys else set()
        _write_files(frame, path, self._format, keys, self._format_options, self._options.get("compression"))
        if updates:
            target = {"DatabaseName": self._database, **({"CatalogId": self._catalog} if self._catalog else {})}
            _update_catalog(frame, path, self._format, keys, storage, target, self._table, self._options.get("updateBehavior", "UPDATE_IN_DATABASE"), before)
        return dynamic_frame

    write = writeFrame


_WRITERS = sources.FORMATS


def _write_files(frame, path, format, keys, format_options, compression=None):
    kind = _WRITERS.get(format.lower())
    if kind is None:
        raise NotImplementedError(f"format {format} is not in Lakerun: csv, json, parquet and glueparquet are")
    sources.check(f"written {kind}", format_options, f"{kind} format")
    given = {name.lower(): value for name, value in format_options.items()}
    if str(given.get("quotechar") or '"') != '"' or given.get("escaper") not in (None, "", '"'):
        raise NotImplementedError("quoteChar and escaper of a CSV sink are not in Lakerun: values are quoted by \" where they need it")
    if not frame.columns:
        return
    writer = frame.write.mode("append")
    if keys:
        writer = writer.partitionBy(*keys)
    if kind == "csv":
        writer = writer.option("header", str(format_options.get("writeHeader", True)).lower()).option("sep", format_options.get("separator", ","))
    codec = compression or format_options.get("compression")
    if codec:
        writer = writer.option("compression", codec)
    writer.format(kind).save(path)


def _keys_below(path):
    from lakerun_spark import s3

    return {item.key for item in s3.files(s3.literal(path))}


def _update_catalog(frame, path, format, keys, storage, target, name, behaviour, before):
    """The table of a sink, in the database (and catalog) of `target`: made if missing; with UPDATE_IN_DATABASE columns are added, and those of
    another type get that of what was written; partitions into which files were written, besides those of `before`, are added.
    Source: AWS Glue Developer Guide, "Updating the schema, and adding new partitions in the Data Catalog using AWS Glue ETL jobs"."""
    from lakerun_spark import s3

    glue = boto3.client("glue")
    kinds = {f.name: _hive(f.dataType) for f in frame.schema.fields}
    columns = [{"Name": n.lower(), "Type": t} for n, t in kinds.items() if n not in keys]
    location = "s3://" + "/".join(s3.split(path)).rstrip("/") + "/"
    storage = {"Columns": columns, "Location": location, **storage}
    wanted = {"Name": name, "TableType": "EXTERNAL_TABLE", "StorageDescriptor": storage,
              "PartitionKeys": [{"Name": k.lower(), "Type": kinds[k]} for k in keys],
              "Parameters": {"classification": _WRITERS[format.lower()], "useGlueParquetWriter": str(format.lower() == "glueparquet").lower()}}
    try:
        table = glue.get_table(Name=name, **target)["Table"]
    except glue.exceptions.EntityNotFoundException:
        glue.create_table(TableInput=wanted, **target)
    else:
        have = table["StorageDescriptor"]["Columns"]
        merged = _columns(have, columns)
        if behaviour == "UPDATE_IN_DATABASE" and merged != have:
            allowed = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
            update = {k: table[k] for k in allowed if k in table}
            update["StorageDescriptor"]["Columns"] = merged
            glue.update_table(TableInput=update, **target)
    if keys:
        bucket, _ = s3.split(path)
        written = {}
        for item in s3.files(s3.literal(location)):
            if list(item.partition) == keys and item.key not in before:
                written[tuple(item.partition.values())] = f"s3://{bucket}/{item.key.rpartition('/')[0]}/"
        inputs = [{"Values": [v if v is not None else "__HIVE_DEFAULT_PARTITION__" for v in values],
                   "StorageDescriptor": {**storage, "Location": where}} for values, where in sorted(written.items(), key=str)]
        for start in range(0, len(inputs), 100):
            answer = glue.batch_create_partition(TableName=name, PartitionInputList=inputs[start : start + 100], **target)
            for error in answer.get("Errors", []):
                if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException":
                    raise RuntimeError(f"partition {error['PartitionValues']}: {error['ErrorDetail']['ErrorMessage']}")


def _columns(have, written):
    """A table's columns with the types of what was written, and what is new."""
    kinds = {c["Name"]: c["Type"] for c in written}
    known = {c["Name"].lower() for c in have}
    return [{**c, "Type": kinds.get(c["Name"].lower(), c["Type"])} for c in have] + [c for c in written if c["Name"] not in known]


def _hive(kind):
    return kind.simpleString().replace("timestamp_ntz", "timestamp").replace("void", "string")


def _storage(format, format_options):
    text = {"InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"}
    kind = _WRITERS[format.lower()]
    if kind == "parquet":
        base = "org.apache.hadoop.hive.ql.io.parquet."
        return {"InputFormat": base + "MapredParquetInputFormat", "OutputFormat": base + "MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": base + "serde.ParquetHiveSerDe", "Parameters": {"serialization.format": "1"}}}
    if kind == "orc":
        base = "org.apache.hadoop.hive.ql.io.orc.Orc"
        return {"InputFormat": base + "InputFormat", "OutputFormat": base + "OutputFormat", "SerdeInfo": {"SerializationLibrary": base + "Serde"}}
    if kind == "avro":
        base = "org.apache.hadoop.hive.ql.io.avro.AvroContainer"
        return {"InputFormat": base + "InputFormat", "OutputFormat": base + "OutputFormat",
                "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.avro.AvroSerDe"}}
    if kind == "json":
        return {**text, "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"}}
    if kind != "csv":
        raise NotImplementedError(f"a table of the catalog is not made for format {format}: csv, json, parquet, orc and avro are")
    return {**text, "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
                                  "Parameters": {"field.delim": format_options.get("separator", ",")}},
            "Parameters": {"skip.header.line.count": "1" if str(format_options.get("writeHeader", True)).lower() == "true" else "0"}}


def _read_dynamodb(spark, options):
    for option in options:
        if option.lower().startswith(("dynamodb.sts.", "dynamodb.export", "dynamodb.s3.", "dynamodb.tablearn", "dynamodb.unnest", "dynamodb.simplify")):
            raise NotImplementedError(f"{option} is not in Lakerun: the table of dynamodb.input.tableName is read with the run's own role")
    sources.check("dynamodb", options, "connection")
    name = options.get("dynamodb.input.tableName")
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=name)
    from boto3.dynamodb.types import TypeDeserializer
    from decimal import Decimal

    def plain(value):
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, (list, set)):
            return [plain(v) for v in value]
        return bytes(value) if hasattr(value, "value") else value

    decode = TypeDeserializer().deserialize
    rows = [{k: plain(decode(v)) for k, v in item.items()} for page in pages for item in page["Items"]]
    import pyarrow as pa
    from lakerun_spark import files
    from pyspark.sql.types import StructType

    if not rows:
        return spark.createDataFrame([], StructType([]))
    return spark.createDataFrame(files.json_table(rows, pa.schema(list(files.json_type(rows)))))


def _write_dynamodb(frame, options):
    from decimal import Decimal

    def fit(value):
        if isinstance(value, float):
            return Decimal(repr(value))
        if isinstance(value, dict):
            return {k: fit(v) for k, v in value.items() if v is not None}
        if isinstance(value, list):
            return [fit(v) for v in value]
        return value.isoformat() if hasattr(value, "isoformat") else value

    for option in options:
        if option.lower().startswith(("dynamodb.sts.", "dynamodb.tablearn")):
            raise NotImplementedError(f"{option} is not in Lakerun: the table of dynamodb.output.tableName is written with the run's own role")
    sources.check("written dynamodb", options, "connection")
    table = boto3.resource("dynamodb").Table(options["dynamodb.output.tableName"])
    with table.batch_writer() as batch:
        for row in frame.toDF().toLocalIterator():
            batch.put_item(Item=fit(row.asDict(recursive=True)))


# purge_s3_path and purge_table: objects that are older than their retention period are deleted; an option that is not obeyed is refused
# before anything is deleted. Source: AWS Glue Developer Guide, "GlueContext class".

_PURGE_OPTIONS = {"retentionperiod", "excludestorageclasses"}


def _purge_path(location, options):
    """The object, or all in the folder, that a path names: `s3://b/stage` is not `s3://b/stage_2/`."""
    from lakerun_spark import s3

    before, spared = _purge_settings(options, _PURGE_OPTIONS)
    _purge(s3, location, before, spared)


def _purge_table(spark, found, options):
    """The files of a table, or of the partitions that `partitionPredicate` chooses, wherever they lie. A partition all of whose files
    are deleted is deleted from the catalog."""
    from lakerun_spark import s3

    before, spared = _purge_settings(options, _PURGE_OPTIONS | {"partitionpredicate"})
    predicate = next((value for name, value in (options or {}).items() if name.lower() == "partitionpredicate"), None)
    keys = [(key["Name"], spark_type(key["Type"])) for key in found.get("PartitionKeys", [])]
    if predicate and not keys:
        raise ValueError(f"partitionPredicate {predicate}: the table {found['Name']} has no partitions")
    partitions = sources._partitions(found, None) if keys else []
    chosen = sources._chosen(spark, partitions, keys, [predicate])
    others = [_folder(s3, location) for values, location in partitions if (values, location) not in chosen]
    emptied = [values for values, location in chosen if _purge(s3, location, before, spared, others)]
    if not predicate:
        _purge(s3, found["StorageDescriptor"]["Location"].rstrip("/") + "/", before, spared)
    _forget(found, emptied)


def _purge_settings(options, known):
    """Until when objects are deleted, and the storage classes that are spared."""
    given = {}
    for name, value in (options or {}).items():
        if name.lower() not in known:
            raise NotImplementedError(f"the option {name} of a purge is not in Lakerun: nothing is deleted")
        given[name.lower()] = value
    try:
        hours = datetime.timedelta(hours=float(given.get("retentionperiod", 168)))
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"retentionPeriod is {given['retentionperiod']!r}: it is a number of hours") from None
    classes = given.get("excludestorageclasses") or ()
    spared = {name.strip().upper() for name in ([classes] if isinstance(classes, str) else classes)}
    return datetime.datetime.now(datetime.timezone.utc) - hours, spared


def _folder(s3, location):
    bucket, key = s3.split(location)
    return bucket, key.rstrip("/") + "/" if key.strip("/") else ""


def _purge(s3, location, before, spared, others=()):
    """Whether files were deleted and none is left. `others`: folders of partitions that lie within this one and are not meant."""
    bucket, folder = _folder(s3, location)
    _, key = s3.split(location)
    within = tuple(other for of, other in others if of == bucket and len(other) > len(folder) and other.startswith(folder))
    doomed, left = [], False
    for page in s3.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key.rstrip("/")):
        for item in page.get("Contents", []):
            name = item["Key"]
            if (name != key and not name.startswith(folder)) or (within and name.startswith(within)):
                continue
            if item["LastModified"] < before and item.get("StorageClass", "STANDARD") not in spared:
                doomed.append(name)
            else:
                left = left or not name.endswith("/")
    s3.delete(bucket, doomed)
    return not left and any(not name.endswith("/") for name in doomed)


def _forget(found, emptied):
    glue = boto3.client("glue")
    more = {"CatalogId": found["CatalogId"]} if found.get("CatalogId") else {}
    for start in range(0, len(emptied), 25):
        names = [{"Values": list(values)} for values in emptied[start : start + 25]]
        answer = glue.batch_delete_partition(DatabaseName=found["DatabaseName"], TableName=found["Name"], PartitionsToDelete=names, **more)
        for error in answer.get("Errors", []):
            if error["ErrorDetail"]["ErrorCode"] != "EntityNotFoundException":
                raise RuntimeError(f"partition {error['PartitionValues']}: {error['ErrorDetail']['ErrorMessage']}")
