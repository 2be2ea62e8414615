"""Databases as sources and sinks: PostgreSQL, MySQL, SQLite, and others by a driver of the job's own, by Apache Spark's JDBC.

Sail has no JDBC: `auto` moves the run before anything is read. Where a connection is named, its properties are the Glue connection's.
Source: AWS Glue Developer Guide, "JDBC connections", "Connection types and options for ETL".
"""

import datetime
import json
import re
import sys

import boto3

from . import bookmarks

DRIVERS = {"postgresql": "org.postgresql.Driver", "mysql": "com.mysql.cj.jdbc.Driver", "sqlite": "org.sqlite.JDBC"}
#: Those of AWS Glue that this has no driver for.
OTHERS = ("sqlserver", "oracle", "redshift", "custom.jdbc", "marketplace.jdbc", "snowflake", "saphana", "teradata", "vertica")
_OBEYED = {"url", "dbtable", "user", "password", "connectionname", "useconnectionproperties", "database", "samplequery", "query", "classname",
           "customjdbcdriverclassname", "customjdbcdrivers3path", "jobbookmarkkeys", "jobbookmarkkeyssortorder", "fetchsize", "batchsize",
           "truncate", "createtabletypes", "createtableoptions", "numpartitions", "partitioncolumn", "lowerbound", "upperbound"}
_NO_EFFECT = {"hashfield", "hashexpression", "hashpartitions", "enablepartitioningforsamplequery", "redshifttmpdir", "aws_iam_role", "bulksize",
              "useexactlyonce"}
_SPARK = {"fetchsize", "batchsize", "truncate", "createtabletypes", "createtableoptions", "numpartitions", "partitioncolumn", "lowerbound", "upperbound"}


def is_jdbc(connection_type):
    return connection_type in DRIVERS or connection_type in OTHERS or connection_type == "jdbc"


def connection(name):
    """A Glue connection's properties, with user and password, also those that lie in Secrets Manager."""
    found = boto3.client("glue").get_connection(Name=name)["Connection"]
    properties = dict(found["ConnectionProperties"])
    if found["ConnectionType"] != "JDBC":
        raise NotImplementedError(f"connection {name} is of type {found['ConnectionType']}: JDBC connections are in Lakerun")
    if properties.get("SECRET_ID"):
        secret = json.loads(boto3.client("secretsmanager").get_secret_value(SecretId=properties["SECRET_ID"])["SecretString"])
        properties["USERNAME"], properties["PASSWORD"] = secret["username"], secret["password"]
    return properties


def extract(name):
    """glueContext.extract_jdbc_conf"""
    properties = connection(name)
    url = properties["JDBC_CONNECTION_URL"]
    vendor = _vendor(url)
    return {"url": url if vendor == "sqlite" else _parts(url)[0], "fullUrl": url, "user": properties.get("USERNAME", ""), "password": properties.get("PASSWORD", ""), "vendor": vendor,
            "enforceSSL": properties.get("JDBC_ENFORCE_SSL", "false"), "customJDBCCert": properties.get("CUSTOM_JDBC_CERT", ""),
            "skipCustomJDBCCertValidation": properties.get("SKIP_CUSTOM_JDBC_CERT_VALIDATION", "false"),
            "customJDBCCertString": properties.get("CUSTOM_JDBC_CERT_STRING", "")}


def _vendor(url):
    return url.split(":", 2)[1] if url.startswith("jdbc:") else ""


def _parts(url):
    """A JDBC URL up to its hosts, its database, and what follows (`?sslmode=require`, `;encrypt=true`)."""
    found = re.fullmatch(r"(jdbc:[^/?;]*//[^/?;]*)(?:/([^?;]*))?(.*)", url, re.DOTALL)
    return found.groups() if found else (url, None, "")


#: Those that name the database in the URL's path.
_BY_PATH = ("postgresql", "mysql", "mariadb", "redshift")


def _of_database(url, database):
    """The URL with this database, and with what it says besides."""
    base, _, rest = _parts(url)
    return f"{base}/{database}{rest}" if _vendor(url) in _BY_PATH else url


#: The driver's own property by which it connects with TLS or not at all.
_TLS = {"postgresql": ("sslmode", "require"), "mysql": ("sslMode", "REQUIRED")}


def _tls(name, properties, url):
    """What JDBC_ENFORCE_SSL of a connection asks of the driver. Source: AWS Glue Developer Guide, "JDBC connection properties"."""
    given = {key: str(properties.get(key) or "").strip() for key in ("CUSTOM_JDBC_CERT", "CUSTOM_JDBC_CERT_STRING")}
    for key, value in given.items():
        if value:
            raise NotImplementedError(f"connection {name}: {key} is not in Lakerun: name the certificate in the URL, as the driver has it")
    if str(properties.get("JDBC_ENFORCE_SSL") or "false").lower() != "true":
        return {}
    if _vendor(url) not in _TLS:
        raise NotImplementedError(f"connection {name}: JDBC_ENFORCE_SSL is in Lakerun for {', '.join(sorted(_TLS))}, not for {_vendor(url)}: "
                                  "ask for TLS in the URL, as the driver has it")
    return dict([_TLS[_vendor(url)]])


def _settled(kind, options):
    """Spark's options for a source or sink, from Glue's."""
    from lakerun_spark import decide

    if decide.on_connect():
        decide.move(f"connection:{kind}")
        raise NotImplementedError(f"connection_type {kind} needs Apache Spark in the run itself: start the job with --lakerun-engine spark, submit or auto")
    given = {name.lower(): value for name, value in options.items()}
    for name in options:
        if name.lower() not in _OBEYED:
            why = "has no effect in Lakerun" if name.lower() in _NO_EFFECT else "is unknown and has no effect"
            print(f"lakerun: {kind} connection option {name} {why}", file=sys.stderr)
    name, tls = given.get("connectionname"), {}
    if name:
        properties = connection(name)
        given.setdefault("url", properties["JDBC_CONNECTION_URL"])
        given.setdefault("user", properties.get("USERNAME"))
        given.setdefault("password", properties.get("PASSWORD"))
        given.setdefault("customjdbcdriverclassname", properties.get("JDBC_DRIVER_CLASS_NAME"))
        tls = _tls(name, properties, given["url"])
    url = given.get("url")
    if not url:
        raise ValueError(f"connection_type {kind}: url is missing, or connectionName with useConnectionProperties")
    if given.get("database") and name:
        url = _of_database(url, given["database"])
    driver = given.get("customjdbcdriverclassname") or given.get("classname") or DRIVERS.get(_vendor(url))
    if driver is None:
        raise NotImplementedError(f"{kind}: there is no driver for {url.split(':', 2)[:2]} in Lakerun; name one with customJdbcDriverClassName and give its "
                                  "jar with --extra-jars")
    settled = {"url": url, "driver": driver, "user": given.get("user"), "password": given.get("password"), **tls,
               **{name: value for name, value in given.items() if name in _SPARK}}
    return given, {name: str(value) for name, value in settled.items() if value is not None}


def read(spark, kind, options, ctx=""):
    given, settled = _settled(kind, options)
    query, table = given.get("samplequery") or given.get("query"), given.get("dbtable")
    if not query and not table:
        raise ValueError(f"connection_type {kind}: dbtable is missing")
    reader = spark.read.format("jdbc").options(**settled)
    frame = reader.option("query", query).load() if query else reader.option("dbtable", table).load()
    return _unread(spark, frame, given, settled, table, ctx)


def write(frame, kind, options):
    given, settled = _settled(kind, options)
    if not given.get("dbtable"):
        raise ValueError(f"connection_type {kind}: dbtable is missing")
    for name in ("preactions", "postactions"):
        if given.get(name):
            raise NotImplementedError(f"connection_type {kind}: {name} is not in Lakerun")
    frame.write.format("jdbc").options(**settled).option("dbtable", given["dbtable"]).mode("append").save()


def _unread(spark, frame, given, settled, table, ctx):
    """The rows past those that earlier runs have read, up to the last that is there now: rows that come while this run goes on are
    the next run's."""
    if not bookmarks.active(ctx):
        return frame
    from pyspark.sql import functions as F

    keys = given.get("jobbookmarkkeys") or _primary_key(spark, settled, table)
    keys = [keys] if isinstance(keys, str) else list(keys)
    if not keys:
        print(f"lakerun: {ctx}: the table has no primary key and no jobBookmarkKeys are given: all of it is read", file=sys.stderr)
        return frame
    names = {name.lower(): name for name in frame.columns}
    missing = [key for key in keys if key.lower() not in names]
    if missing:
        raise ValueError(f"jobBookmarkKeys: there is no column {missing[0]}")
    keys = [names[key.lower()] for key in keys]
    descending = str(given.get("jobbookmarkkeyssortorder") or "asc").lower() == "desc"
    after, upto = bookmarks.rows(ctx, keys, descending)
    if upto == []:
        return frame.limit(0)
    fresh = frame.filter(_past(frame, keys, after, descending)) if after else frame
    if upto:
        fresh = fresh.filter(~_past(frame, keys, upto, descending))
    whole = fresh.filter(" and ".join(f"`{key}` is not null" for key in keys))
    order = [F.col(f"`{key}`").asc() if descending else F.col(f"`{key}`").desc() for key in keys]
    last = whole.orderBy(*order).select(*[f"`{key}`" for key in keys]).first()
    if last is None:
        return fresh
    values = [_text(value) for value in last]
    bookmarks.read_rows(ctx, keys, descending, values)
    bounded = ~_past(frame, keys, values, descending)
    # A row without a key is read once, by the first run.
    return fresh.filter(bounded if after else bounded | F.expr(" or ".join(f"`{key}` is null" for key in keys)))


def _past(frame, keys, values, descending):
    """Rows whose keys come after these values, key by key."""
    from pyspark.sql import functions as F

    condition, equal = F.lit(False), F.lit(True)
    for key, text in zip(keys, values):
        column, value = F.col(f"`{key}`"), F.lit(text).cast(frame.schema[key].dataType)
        condition = condition | (equal & ((column < value) if descending else (column > value)))
        equal = equal & (column == value)
    return condition


def _text(value):
    if isinstance(value, (datetime.datetime, datetime.date)):
        return value.isoformat(sep=" ") if isinstance(value, datetime.datetime) else value.isoformat()
    if isinstance(value, (bytes, bytearray)):
        raise NotImplementedError("jobBookmarkKeys of a binary type are not in Lakerun")
    return str(value)


def _primary_key(spark, settled, table):
    """The columns of the table's primary key in their order, as the driver tells them."""
    if not table or not table.replace("_", "").replace(".", "").replace('"', "").replace("`", "").isalnum():
        return []
    jvm = spark._jvm
    properties = jvm.java.util.Properties()
    for name in ("user", "password", *(name for name, _ in _TLS.values())):
        if settled.get(name):
            properties.setProperty(name, settled[name])
    parts = [part.strip('"`') for part in table.split(".")]
    driver = jvm.java.lang.Thread.currentThread().getContextClassLoader().loadClass(settled["driver"]).getDeclaredConstructor(
        spark.sparkContext._gateway.new_array(jvm.java.lang.Class, 0)).newInstance(spark.sparkContext._gateway.new_array(jvm.java.lang.Object, 0))
    opened = driver.connect(settled["url"], properties)
    try:
        mysql = _vendor(settled["url"]) == "mysql"
        holder = parts[0] if len(parts) > 1 else None
        rows, found = opened.getMetaData().getPrimaryKeys(holder if mysql else None, None if mysql else holder, parts[-1]), {}
        while rows.next():
            found[rows.getShort("KEY_SEQ")] = rows.getString("COLUMN_NAME")
        return [found[place] for place in sorted(found)]
    finally:
        opened.close()
