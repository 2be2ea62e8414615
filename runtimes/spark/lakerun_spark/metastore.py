"""`--enable-glue-datacatalog` on Apache Spark: tables of the Glue Data Catalog, brought into Spark's own catalog when a
statement first names them, with their location, format and registered partitions.

Reading and INSERT are served; partitions that an INSERT makes are registered with Glue. A statement that would change the
catalog otherwise (CREATE, ALTER, DROP, MSCK in a Glue database) is refused by name rather than done in Spark alone.
"""

import re

import boto3

_loaded = set()
_CHANGES = re.compile(r"^\s*(create|alter|drop|msck|truncate|replace)\b(?!\s+(or\s+replace\s+)?(global\s+)?temp)", re.IGNORECASE)
#: Wherever it stands: after WITH, and several after FROM.
_INSERTS = re.compile(r"\binsert\s+(?:into|overwrite)\s+(?:table\s+)?((?:`(?:``|[^`])*`|[\w.])+)", re.IGNORECASE)
_NOISE = re.compile(r"""--[^\n]*|/\*|\br'[^']*'|\br"[^"]*"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?:``|[^`])*`""", re.IGNORECASE | re.DOTALL)
_SHOWS = re.compile(r"^\s*(show|use|describe|desc)\b", re.IGNORECASE)


def _bare(query):
    """A statement without its comments (those in brackets nest) and without what stands in its string literals."""
    out, at = "", 0
    while found := _NOISE.search(query, at):
        token, end = found.group(0), found.end()
        out += query[at : found.start()]
        if token == "/*":
            depth = 1
            while depth and (mark := re.compile(r"/\*|\*/").search(query, end)):
                depth, end = depth + (1 if mark.group(0) == "/*" else -1), mark.end()
            if depth:
                end = len(query)
            token = " "
        elif token.startswith("--"):
            token = " "
        elif not token.startswith("`"):
            token = "''"
        out, at = out + token, end
    return out + query[at:]


def install():
    from pyspark.sql import DataFrameReader, DataFrameWriter, SparkSession
    from pyspark.sql.catalog import Catalog

    sql = SparkSession.sql

    def _sql(self, query, *args, **kwargs):
        bare = _bare(query)
        if _CHANGES.match(bare):
            raise NotImplementedError(f"{bare.split(None, 2)[0].upper()} on the Glue Data Catalog is not in Lakerun on Apache Spark: "
                                      "use Athena, a crawler or the Glue API; temporary views are served")
        if _SHOWS.match(bare):
            _load_all(self, sql)
        inserted = _INSERTS.findall(bare)
        for name in inserted:
            _bring(self, sql, name)
        answer = _retrying(self, sql, lambda: sql(self, query, *args, **kwargs))
        for name in inserted:
            _register(self, sql, name)
        return answer

    SparkSession.sql = _sql
    for owner, name in ((SparkSession, "table"), (DataFrameReader, "table")):
        _wrap_read(owner, name, sql)
    insert = DataFrameWriter.insertInto

    def _insert(self, tableName, *args, **kwargs):
        spark = SparkSession.builder.getOrCreate()
        _bring(spark, sql, tableName)
        insert(self, tableName, *args, **kwargs)
        _register(spark, sql, tableName)

    def _save(self, name, *args, **kwargs):
        raise NotImplementedError("saveAsTable into the Glue Data Catalog is not in Lakerun on Apache Spark: write the files and use a sink with "
                                  "enableUpdateCatalog, a crawler, or Athena")

    DataFrameWriter.insertInto, DataFrameWriter.saveAsTable = _insert, _save
    for name in ("listDatabases", "listTables", "listColumns", "tableExists", "databaseExists", "getTable", "getDatabase"):
        _wrap_catalog(Catalog, name, sql)


def _wrap_read(owner, name, sql):
    from pyspark.sql import SparkSession

    original = getattr(owner, name)

    def read(self, tableName):
        return _retrying(SparkSession.builder.getOrCreate(), sql, lambda: original(self, tableName))

    setattr(owner, name, read)


def _wrap_catalog(owner, name, sql):
    original = getattr(owner, name)

    def call(self, *args, **kwargs):
        _load_all(self._sparkSession, sql)
        return original(self, *args, **kwargs)

    setattr(owner, name, call)


def _retrying(spark, sql, run):
    """Runs it; each table that Spark does not know is brought from Glue, and it runs again."""
    from pyspark.errors import AnalysisException

    tried = set()
    while True:
        try:
            return run()
        except AnalysisException as error:
            missing = re.search(r"\[(?:TABLE_OR_VIEW_NOT_FOUND|SCHEMA_NOT_FOUND)\].*?((?:`[^`]+`\.?)+)", str(error))
            name = missing.group(1).rstrip(".") if missing else None
            if name is None or name in tried:
                raise
            tried.add(name)
            if not _bring(spark, sql, name):
                raise


def _parts(spark, name):
    parts = [part.replace("`", "") for part in re.findall(r"`[^`]+`|[^.`]+", name)]
    parts = [p for p in parts if p.lower() not in ("spark_catalog", "glue_catalog", "awsdatacatalog")] or parts
    return (parts[-2], parts[-1]) if len(parts) > 1 else (spark.catalog.currentDatabase(), parts[-1])


def _bring(spark, sql, name):
    """Makes a table of Glue known to Spark. False: Glue has none of this name."""
    database, table = _parts(spark, name)
    if (database, table) in _loaded:
        return False
    glue = boto3.client("glue")
    try:
        found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    except glue.exceptions.EntityNotFoundException:
        return False
    _make(spark, sql, found)
    return True


def _make(spark, sql, table):
    from awsglue import sources
    from awsglue.gluetypes import spark_type

    database, name = table["DatabaseName"], table["Name"]
    _loaded.add((database, name))
    sql(spark, f"create database if not exists `{database}`")
    storage = table.get("StorageDescriptor") or {}
    if table.get("TableType") == "VIRTUAL_VIEW" or not storage.get("Location"):
        raise NotImplementedError(f"{database}.{name} is a view of Athena: Apache Spark cannot read its text; read its tables")
    kind, options = sources.format_of(table)
    given = {}
    if kind == "csv":
        given = {"sep": options["separator"], "header": str(options["withHeader"]).lower(), "quote": options.get("quoteChar", '"'), "escape": options.get("quoteChar", '"')}
    keys = table.get("PartitionKeys", [])
    columns = ", ".join(f"`{c['Name']}` {spark_type(c['Type'])}" for c in storage.get("Columns", []) + keys)
    quoted = ", ".join(f"'{k}' '{_escaped(v)}'" for k, v in given.items())
    partitioned = f" partitioned by ({', '.join('`' + k['Name'] + '`' for k in keys)})" if keys else ""
    sql(spark, f"create table `{database}`.`{name}` ({columns}) using {kind}" + (f" options ({quoted})" if quoted else "")
        + partitioned + f" location '{_escaped(storage['Location'])}'")
    pages = boto3.client("glue").get_paginator("get_partitions").paginate(DatabaseName=database, TableName=name) if keys else ()
    for page in pages:
        adds = " ".join(f"partition ({_spec(keys, p['Values'])}) location '{_escaped(p['StorageDescriptor']['Location'])}'" for p in page["Partitions"])
        if adds:
            sql(spark, f"alter table `{database}`.`{name}` add if not exists {adds}")


def _spec(keys, values):
    return ", ".join(f"`{k['Name']}` = '{_escaped(v)}'" for k, v in zip(keys, values))


def _escaped(text):
    return str(text).replace("\\", "\\\\").replace("'", "\\'")


def _register(spark, sql, name):
    """Partitions that Spark has and Glue does not."""
    from urllib.parse import unquote

    database, table = _parts(spark, name)
    if (database, table) not in _loaded:
        return
    glue = boto3.client("glue")
    found = glue.get_table(DatabaseName=database, Name=table)["Table"]
    keys, storage = [k["Name"] for k in found.get("PartitionKeys", [])], found["StorageDescriptor"]
    if not keys:
        return
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    have = {tuple(p["Values"]) for page in pages for p in page["Partitions"]}
    inputs = []
    for row in sql(spark, f"show partitions `{database}`.`{table}`").collect():
        values = tuple(unquote(part.partition("=")[2]) for part in row[0].split("/"))
        if values not in have:
            inputs.append({"Values": list(values), "StorageDescriptor": {**storage, "Location": storage["Location"].rstrip("/") + "/" + row[0] + "/"}})
    for start in range(0, len(inputs), 100):
        answer = glue.batch_create_partition(DatabaseName=database, TableName=table, PartitionInputList=inputs[start : start + 100])
        for error in answer.get("Errors", []):
            if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException":
                raise RuntimeError(f"partition {error['PartitionValues']} of {database}.{table}: {error['ErrorDetail']['ErrorMessage']}")


def _load_all(spark, sql):
    glue = boto3.client("glue")
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            sql(spark, f"create database if not exists `{database['Name']}`")
            for tables in glue.get_paginator("get_tables").paginate(DatabaseName=database["Name"]):
                for table in tables["TableList"]:
                    if (database["Name"], table["Name"]) not in _loaded and table.get("TableType") != "VIRTUAL_VIEW" and (table.get("StorageDescriptor") or {}).get("Location"):
                        _make(spark, sql, table)
