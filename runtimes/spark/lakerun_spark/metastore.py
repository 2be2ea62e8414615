"""`--enable-glue-datacatalog` on Apache Spark: tables of the Glue Data Catalog, brought into Spark's own catalog when a
statement first names them, with their location, format and registered partitions.

Reading and INSERT are served; partitions that an INSERT makes are registered with Glue. A statement that would change the
catalog otherwise (CREATE, ALTER, DROP, MSCK in a Glue database) is refused by name rather than done in Spark alone.
"""

import re
import sys

import boto3

#: The tables that Spark knows, each with its partitions as they were last seen (values -> location).
_loaded = {}
#: Where tables lie whose files spell names otherwise than the catalog: theirs are views of these.
_SPELLED = "lakerun_spelled"
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
        _refresh(self, sql, bare)
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
        spark = SparkSession.builder.getOrCreate()
        _refresh(spark, sql, tableName)
        return _retrying(spark, sql, lambda: original(self, tableName))

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


def _make(spark, sql, table, shown=False):
    """`shown`: it is to be listed; how its files spell names is looked at when a statement names it."""
    from awsglue import sources
    from awsglue.gluetypes import spark_type

    database, name = table["DatabaseName"], table["Name"]
    sql(spark, f"create database if not exists `{database}`")
    storage = table.get("StorageDescriptor") or {}
    if table.get("TableType") == "VIRTUAL_VIEW" or not storage.get("Location"):
        raise NotImplementedError(f"{database}.{name} is a view of Athena: Apache Spark cannot read its text; read its tables")
    kind, options = sources.format_of(table)
    if kind == "xml":
        raise NotImplementedError(f"{database}.{name} is XML: create_dynamic_frame.from_catalog reads it, SQL does not")
    given = _csv_options(storage, options) if kind == "csv" else {}
    keys = table.get("PartitionKeys", [])
    partitions = _partitions(table, kind) if keys else {}
    plain = [(c["Name"], spark_type(c["Type"])) for c in storage.get("Columns", [])]
    spelled = _spelled(spark, storage, plain, partitions) if kind == "json" and not shown else None
    columns = [(f.name, f.dataType.simpleString()) for f in spelled.fields] if spelled is not None else plain
    home = (_SPELLED, f"{database}__{name}") if spelled is not None else (database, name)
    listed = ", ".join(f"`{column}` {type_}" for column, type_ in columns + [(k["Name"], spark_type(k["Type"])) for k in keys])
    quoted = ", ".join(f"'{k}' '{_escaped(v)}'" for k, v in given.items())
    partitioned = f" partitioned by ({', '.join('`' + k['Name'] + '`' for k in keys)})" if keys else ""
    sql(spark, f"create database if not exists `{home[0]}`")
    sql(spark, f"create table `{home[0]}`.`{home[1]}` ({listed}) using {kind}" + (f" options ({quoted})" if quoted else "")
        + partitioned + f" location '{_escaped(storage['Location'])}'")
    _loaded[database, name] = {"home": home, "keys": keys, "kind": kind, "partitions": {}, "rough": kind == "json" and shown}
    _follow(spark, sql, (database, name), partitions)
    if spelled is not None:
        # Its columns are the catalog's, within structs too; nothing is inserted into it.
        taken = [f"cast(`{written}` as {type_}) as `{column}`" for (written, _), (column, type_) in zip(columns, plain)]
        taken += [f"`{k['Name']}`" for k in keys]
        sql(spark, f"create view `{database}`.`{name}` as select {', '.join(taken)} from `{home[0]}`.`{home[1]}`")


def _csv_options(storage, options):
    """Of LazySimpleSerDe's files no quote encloses anything, and `\\N` is null. Source: Hive's LazySimpleSerDe."""
    serde = storage.get("SerdeInfo") or {}
    given = {"sep": options["separator"], "header": str(options["withHeader"]).lower()}
    if "lazysimple" in (serde.get("SerializationLibrary") or "").lower():
        if (serde.get("Parameters") or {}).get("escape.delim"):
            raise NotImplementedError("escape.delim of LazySimpleSerDe is not in Lakerun on Apache Spark")
        return {**given, "quote": "", "nullValue": (serde.get("Parameters") or {}).get("serialization.null.format") or "\\N"}
    return {**given, "quote": options.get("quoteChar", '"'), "escape": options.get("quoteChar", '"')}


def _partitions(table, kind):
    """Where each partition lies, by its values. One of another format than its table is refused."""
    from awsglue import sources

    found = {}
    more = {"CatalogId": table["CatalogId"]} if table.get("CatalogId") else {}
    for page in boto3.client("glue").get_paginator("get_partitions").paginate(DatabaseName=table["DatabaseName"], TableName=table["Name"], **more):
        for one in page["Partitions"]:
            storage = one["StorageDescriptor"]
            own = ((storage.get("SerdeInfo") or {}).get("SerializationLibrary") or "").lower()
            if own and own != ((table["StorageDescriptor"].get("SerdeInfo") or {}).get("SerializationLibrary") or "").lower():
                parameters = {name: value for name, value in table.get("Parameters", {}).items() if name != "classification"}
                if sources.format_of({**table, "Parameters": parameters, "StorageDescriptor": storage})[0] != kind:
                    raise NotImplementedError(f"the partition {one['Values']} of {table['Name']} is of another format than its table, which is not in Lakerun")
            found[tuple(one["Values"])] = storage["Location"]
    return found


def _spelled(spark, storage, columns, partitions):
    """The schema with the names that JSON files have, which Spark matches by their case; nothing where it is the catalog's."""
    from awsglue import sources
    from lakerun_spark import s3

    places = [place for place in (partitions.values() or [storage["Location"]]) if not s3.is_s3(place) or any(item.size for item in s3.files(s3.literal(place)))]
    if not places or not columns:
        return None
    found = spark.read.json([s3.literal(place) for place in places])
    wanted = sources._as_written(spark, found, ", ".join(f"`{name}` {type_}" for name, type_ in columns))
    text = ", ".join(f"{name}:{type_}" for name, type_ in columns).replace(" ", "").lower()
    return wanted if ", ".join(f"{f.name}:{f.dataType.simpleString()}" for f in wanted.fields).replace(" ", "") != text else None


def _follow(spark, sql, name, partitions):
    """Makes Spark's partitions of a table those that the catalog has."""
    known = _loaded[name]
    table = ".".join(f"`{part}`" for part in known["home"])
    gone = [values for values, place in known["partitions"].items() if partitions.get(values) != place]
    fresh = [values for values, place in partitions.items() if known["partitions"].get(values) != place]
    for start in range(0, len(gone), 100):
        drops = ", ".join(f"partition ({_spec(known['keys'], values)})" for values in gone[start : start + 100])
        sql(spark, f"alter table {table} drop if exists {drops}")
    for start in range(0, len(fresh), 100):
        adds = " ".join(f"partition ({_spec(known['keys'], values)}) location '{_escaped(partitions[values])}'" for values in fresh[start : start + 100])
        sql(spark, f"alter table {table} add if not exists {adds}")
    known["partitions"] = dict(partitions)


def _refresh(spark, sql, text):
    """Tables that a text may name, with the partitions and files that there are now: a sink or a crawler may have added some."""
    words = set(re.findall(r"\w+", text.lower()))
    for name in [one for one in _loaded if set(re.findall(r"\w+", one[1].lower())) <= words]:
        known = _loaded[name]
        if known["keys"] or known["rough"]:
            glue = boto3.client("glue")
            try:
                table = glue.get_table(DatabaseName=name[0], Name=name[1])["Table"]
            except glue.exceptions.EntityNotFoundException:
                continue
            if known["rough"]:
                sql(spark, "drop table " + ".".join(f"`{part}`" for part in known["home"]))
                del _loaded[name]
                _make(spark, sql, table)
                continue
            _follow(spark, sql, name, _partitions(table, known["kind"]))
        sql(spark, "refresh table " + ".".join(f"`{part}`" for part in known["home"]))


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
        _loaded[database, table]["partitions"].setdefault(values, storage["Location"].rstrip("/") + "/" + row[0] + "/")
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
                        try:
                            _make(spark, sql, table, True)
                        except NotImplementedError as why:
                            # The others are shown; who names this one is told.
                            print(f"lakerun: {database['Name']}.{table['Name']} is left out: {why}", file=sys.stderr)
