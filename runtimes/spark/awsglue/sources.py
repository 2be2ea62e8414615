"""Reading for DynamicFrames: files in S3 with Glue's options, and tables of the catalog by their own partitions."""

import json
import re
import sys

import boto3

from . import bookmarks
from .gluetypes import spark_type

FORMATS = {"glueparquet": "parquet", "parquet": "parquet", "csv": "csv", "json": "json", "orc": "orc", "avro": "avro"}
#: What is read only.
_READ = {**FORMATS, "xml": "xml"}
_OBEYED = {
    "connection": {"path", "paths", "recurse", "exclusions", "boundedfiles", "boundedsize", "compressiontype", "maxband"},
    "csv": {"separator", "escaper", "quotechar", "multiline", "withheader", "writeheader", "skipfirst", "attachfilename"},
    "json": {"multiline", "attachfilename", "jsonpath"},
    "xml": {"rowtag", "encoding", "excludeattribute", "treatemptyvaluesasnulls", "attributeprefix", "valuetag", "ignoresurroundingspaces"},
    "parquet": {"attachfilename", "compression"}, "orc": {"attachfilename"}, "avro": {"attachfilename"},
    "catalog": {"catalogpartitionpredicate", "recurse", "exclusions", "boundedfiles", "boundedsize", "maxband"},
    "sink": {"path", "paths", "partitionkeys", "compression", "enableupdatecatalog", "updatebehavior"},
    "written csv": {"separator", "writeheader", "compression", "quotechar", "escaper", "withheader"},
    "written json": {"compression"}, "written parquet": {"compression"}, "written orc": {"compression"}, "written avro": {"compression"},
    "dynamodb": {"dynamodb.input.tablename"}, "written dynamodb": {"dynamodb.output.tablename"},
}
#: They change how fast or in what portions Glue reads, never what.
_NO_EFFECT = {"groupfiles", "groupsize", "groupfilesbypath", "usesparkdatasource", "uses3listimplementation", "optimizeperformance",
              "maxfilesinband", "isfailfast", "aggregationpushdown", "blocksize", "pagesize", "version", "strictchecksumvalidation",
              "connectionname", "database", "table", "dbtable", "jobbookmarkkeys", "jobbookmarkkeyssortorder", "partitionkeys",
              "dynamodb.splits", "dynamodb.throughput.read.percent", "dynamodb.throughput.write.percent", "dynamodb.output.numparalleltasks",
              "dynamodb.output.retry", "useglueparquetwriter"}


def check(kind, given, what):
    """Options that are not obeyed are said once in the job's log."""
    for name in given:
        low = name.lower()
        if low not in _OBEYED[kind]:
            why = "has no effect in Lakerun" if low in _NO_EFFECT else "is unknown and has no effect"
            print(f"lakerun: {what} option {name} {why}", file=sys.stderr)


def read_files(spark, options, format, format_options, schema=None, ctx=""):
    """The files of connection_type s3 as a DataFrame, with Glue's defaults: no header is `col0`, a folder without files is
    an empty frame, columns of several types are structs of them (`choices`)."""
    from lakerun_spark import s3
    from pyspark.sql import functions as F

    kind = _READ.get((format or "parquet").lower())
    if kind is None:
        raise NotImplementedError(f"format {format} is not in Lakerun: {', '.join(_READ)} are")
    if kind == "xml":
        _check_xml(format_options)
    check("connection", options, "connection")
    check(kind, format_options, f"{kind} format")
    given = {name.lower(): value for name, value in options.items()}
    paths = given.get("paths") or given.get("path") or []
    paths = [paths] if isinstance(paths, str) else list(paths)
    recursive, picks = flag(given, "recurse"), _picks(given, ctx)
    listed = [[item for item in s3.files(path, recursive=recursive) if item.size] if s3.is_s3(path) else None for path in paths]
    for path, found in zip(paths, listed):
        if found == [] and s3.literal(path) != path and s3.exists(s3.literal(path)):
            raise ValueError(f"{path} is a glob that finds nothing, and the name of something: that is {s3.literal(path)}")
    if picks:
        listed = _picked(listed, given, ctx)
    frame = None
    for path, found in zip(paths, listed):
        if found == []:
            continue
        base = path if found is not None and picks and any(item.partition for item in found) else None
        part = _load(spark, kind, [s3.literal(item.url) for item in found] if found and (picks or kind == "xml") else path, format_options, schema, base)
        frame = part if frame is None else frame.unionByName(part, allowMissingColumns=True)
    if frame is None:
        from pyspark.sql.types import StructType

        return spark.createDataFrame([], schema or StructType([]))
    name = format_options.get("attachFilename")
    return frame.withColumn(name, F.input_file_name()) if name else frame


def _load(spark, kind, paths, options, schema, base):
    from lakerun_spark import decide

    low = {name.lower(): value for name, value in options.items()}
    reader = spark.read
    if base:
        reader = reader.option("basePath", base)
    if schema:
        reader = reader.schema(schema)
    if kind == "csv":
        return _csv(reader, paths, low, schema)
    if kind == "json":
        reader = reader.option("multiLine", flag(low, "multiline"))
        if decide.on_sail() and not schema:
            reader = reader.option("lakerun.choices", True)
        frame = reader.format("json").load(paths)
        if low.get("jsonpath"):
            return _json_path(frame, low["jsonpath"])
        return frame if schema or flag(low, "multiline") else choices(spark, frame, paths, base)
    if kind == "xml":
        return _xml(reader, paths, low)
    return reader.format(kind).load(paths)


#: Glue's options of XML by the names that Apache Spark's reader has for them.
_XML = {"rowtag": "rowTag", "encoding": "charset", "excludeattribute": "excludeAttribute", "treatemptyvaluesasnulls": "treatEmptyValuesAsNulls",
        "attributeprefix": "attributePrefix", "valuetag": "valueTag", "ignoresurroundingspaces": "ignoreSurroundingSpaces"}


def _check_xml(options):
    """XML is read by Apache Spark's package alone, with a row's tag."""
    from lakerun_spark import decide

    given = {name.lower() for name in options}
    if "rowtag" not in given:
        raise ValueError("format xml needs the format option rowTag")
    for name in sorted(given & {"attachfilename", "withschema"}):
        raise NotImplementedError(f"the option {name} of format xml is not in Lakerun")
    if decide.on_sail():
        decide.move("format:xml")
        raise NotImplementedError("format xml needs Apache Spark: start the job with --lakerun-engine spark or auto")


def _xml(reader, paths, options):
    """Elements of a name, each a record. Hadoop takes several files as one text, with commas between them."""
    paths = [paths] if isinstance(paths, str) else list(paths)
    if any("," in path for path in paths):
        raise NotImplementedError(f"format xml: a file with a comma in its name is not read: {next(path for path in paths if ',' in path)}")
    for name, text in _XML.items():
        if name in options:
            reader = reader.option(text, str(options[name]).lower() if isinstance(options[name], bool) else options[name])
    return reader.format("xml").load(",".join(paths))


def _csv(reader, paths, options, schema):
    header, skip = flag(options, "withheader"), flag(options, "skipfirst")
    reader = reader.option("header", header or skip).option("multiLine", flag(options, "multiline"))
    reader = reader.option("sep", options.get("separator") or ",")
    quote = options.get("quotechar", '"')
    if quote in (-1, "-1", "", None):
        reader = reader.option("quote", "")
    else:
        reader = reader.option("quote", quote).option("escape", options.get("escaper") or quote)
    frame = reader.format("csv").load(paths)
    if header or schema:
        return frame
    # What has no name in the files is called _c0, _c1: the rest are partitions'.
    plain = reader.option("header", False).format("csv").load(paths).columns if skip else frame.columns
    partitions = [name for name in plain if not re.fullmatch(r"_c\d+", name)]
    names = iter(range(len(frame.columns)))
    return frame.toDF(*[name if name in partitions else f"col{next(names)}" for name in frame.columns])


def choices(spark, frame, paths, base=None):
    """Columns in which some records hold a number and others text: Glue's ChoiceType, as struct<long:…,string:…>."""
    from lakerun_spark import decide
    from pyspark.sql import functions as F
    from pyspark.sql.types import DoubleType, LongType, StringType, StructField, StructType

    texts = [f.name for f in frame.schema.fields if isinstance(f.dataType, StringType) and f.name != "_corrupt_record"]
    if not texts or decide.on_sail():
        return frame
    lines = spark.read.option("basePath", base) if base else spark.read
    lines = lines.text(paths)
    partitions = [name for name in lines.columns if name != "value"]
    shape = {kind: StructType([StructField(name, kind()) for name in texts]) for kind in (LongType, DoubleType, StringType)}
    full = StructType([f for f in frame.schema.fields])
    parsed = _records(lines, {"LongType": shape[LongType], "DoubleType": shape[DoubleType], "StringType": shape[StringType], "record": full}, partitions)
    # Texts like NaN are doubles to from_json.
    numbers = {name: F.when(~F.col(f"StringType.`{name}`").rlike("^[+-]?(NaN|Infinity|INF)$"), F.col(f"DoubleType.`{name}`")) for name in texts}
    counts = parsed.agg(*(F.count(numbers[name] if kind == "DoubleType" else F.col(f"{kind}.`{name}`")).alias(f"{kind}{i}") for i, name in enumerate(texts)
                          for kind in ("LongType", "DoubleType", "StringType"))).first()
    mixed = {name: "LongType" if counts[f"LongType{i}"] == counts[f"DoubleType{i}"] else "DoubleType" for i, name in enumerate(texts)
             if 0 < counts[f"DoubleType{i}"] < counts[f"StringType{i}"]}
    if not mixed:
        return frame
    from pyspark.sql.types import IntegerType

    small = {name: parsed.agg(F.min(F.col(f"LongType.`{name}`")), F.max(F.col(f"LongType.`{name}`"))).first() for name, kind in mixed.items() if kind == "LongType"}
    columns = []
    for field in full.fields:
        name = field.name
        if name not in mixed:
            within = "partitions" if name in partitions else "record"
            columns.append(F.col("broken").alias(name) if name == "_corrupt_record" else F.col(f"{within}.`{name}`"))
            continue
        number = F.col(f"LongType.`{name}`") if mixed[name] == "LongType" else numbers[name]
        label = "double"
        if mixed[name] == "LongType":
            least, most = small[name]
            label = "int" if -(2**31) <= least and most < 2**31 else "long"
            number = number.cast(IntegerType()) if label == "int" else number
        text = F.when(number.isNull(), F.col(f"record.`{name}`"))
        columns.append(F.when(F.col(f"record.`{name}`").isNotNull(), F.struct(number.alias(label), text.alias("string"))).alias(name))
    return parsed.select(columns)


def _records(lines, shapes, partitions):
    """The records of JSON lines by several schemas, as the JSON reader has them: none of a blank line, each of an array's, one of nulls where
    a line is broken."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType

    lines = lines.filter(F.trim(F.regexp_replace("value", r"[\t\r\n]", "")) != "")
    parsed = [F.coalesce(F.from_json("value", ArrayType(shape)), F.array(F.lit(None).cast(shape))) for shape in shapes.values()]
    kept = F.struct(*[F.col(f"`{name}`") for name in partitions] or [F.lit(None).alias("none")]).alias("partitions")
    broken = F.when(F.from_json("value", ArrayType(list(shapes.values())[-1])).isNull(), F.col("value")).alias("broken")
    rows = lines.select(*[one.alias(f"p{i}") for i, one in enumerate(parsed)], kept, broken)
    zipped = F.explode(F.arrays_zip(*[f"p{i}" for i in range(len(parsed))])).alias("at")
    return rows.select(zipped, "partitions", "broken").select(*[F.col(f"at.p{i}").alias(name) for i, name in enumerate(shapes)], "partitions", "broken")


def _json_path(frame, path):
    """`$.a.items[*]`: the objects at a path, each a record."""
    from pyspark.sql import functions as F
    from pyspark.sql.types import ArrayType, StructType

    steps = [s for s in re.split(r"\.", path.strip()) if s not in ("$", "")]
    current = F.struct(*[F.col(f"`{c}`") for c in frame.columns])
    frame = frame.select(current.alias("record"))
    for step in steps:
        name, many = step.replace("[*]", "").strip("[]'\""), step.endswith("[*]")
        value = F.col("record").getField(name) if name and name != "*" else F.col("record")
        frame = frame.select((F.explode(value) if many else value).alias("record"))
    kind = frame.schema["record"].dataType
    if isinstance(kind, ArrayType):
        frame = frame.select(F.explode("record").alias("record"))
        kind = kind.elementType
    return frame.select("record.*") if isinstance(kind, StructType) else frame


def _without(inputs, exclusions):
    patterns = json.loads(exclusions) if isinstance(exclusions, str) else list(exclusions or [])
    tests = [_glob(pattern) for pattern in patterns]
    return [item for item in inputs if not any(t.fullmatch(item.url) or t.fullmatch(item.key) for t in tests)]


def _glob(pattern):
    """Glue's globs, those of its crawlers: `**` crosses folders, `*`, `?` and `[..]` do not; `{a,b}`; a backslash before what stands
    for itself. Source: AWS Glue Developer Guide, "Include and exclude patterns"."""
    out, depth = "", 0
    for token in re.findall(r"\*\*|\\.|\[!?[^\]/]+\]|.", pattern, re.DOTALL):
        if token[0] == "[" and len(token) > 1:
            out += "[" + re.sub(r"([\\\[\^&~|])", r"\\\1", token[1:-1]).replace("!", "^", token[1] == "!") + "]"
        elif token == "{":
            out, depth = out + "(?:", depth + 1
        elif token == "}" and depth:
            out, depth = out + ")", depth - 1
        elif token == "," and depth:
            out += "|"
        else:
            out += {"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(token) or re.escape(token[1:] if len(token) == 2 else token)
    if depth:
        raise ValueError(f"the exclusion {pattern} has a {{ without its }}")
    return re.compile(out, re.DOTALL)


def _picks(given, ctx):
    """Whether files are chosen one by one, and not a folder as a whole."""
    return flag(given, "recurse") or any(given.get(name) for name in ("exclusions", "boundedfiles", "boundedsize")) or bookmarks.active(ctx)


def _picked(listed, given, ctx):
    """Of the files of several paths (None: a path elsewhere than in S3) those to read in this run. The bounds are one for all paths, the
    oldest files first: the bookmark counts what is older than the newest that was read as read, whatever path it lies in."""
    kept = [None if found is None else bookmarks.unread(ctx, _without(found, given.get("exclusions"))) for found in listed]
    every = [(item, at) for at, found in enumerate(kept) for item in found or ()]
    if given.get("boundedfiles") or given.get("boundedsize"):
        every = _bounded(sorted(every, key=lambda one: (one[0].modified, one[0].key)), given)
    bookmarks.read(ctx, [item for item, _ in every], given.get("maxband"))
    return [None if found is None else [item for item, of in every if of == at] for at, found in enumerate(kept)]


def _bounded(inputs, given):
    """boundedFiles and boundedSize (bytes): no more of the not yet seen files, each with the place of its path, than this."""
    files, size = int(given.get("boundedfiles") or 0), int(given.get("boundedsize") or 0)
    kept, count, total = [], 0, 0
    for one in inputs:
        item = one[0]
        if (files and count >= files) or (size and count and total + item.size > size):
            break
        kept.append(one)
        count, total = count + 1, total + item.size
    return kept


def flag(options, name):
    return str(options.get(name, options.get(name.lower(), False))).lower() == "true"


# tables of the catalog


def format_of(table):
    """A catalog table's format and how to read it, from classification and SerDe."""
    parameters = {**table["StorageDescriptor"].get("Parameters", {}), **table.get("Parameters", {})}
    serde = table["StorageDescriptor"].get("SerdeInfo", {})
    library, details = serde.get("SerializationLibrary", "").lower(), serde.get("Parameters", {})
    kind = parameters.get("classification", "").lower()
    _refuse_other_tables(table, kind, parameters)
    if kind not in _READ:
        marks = (("parquet", "parquet"), ("json", "json"), ("csv", "csv"), ("lazysimple", "csv"), ("orc", "orc"), ("avro", "avro"))
        kind = next((k for mark, k in marks if mark in library), kind)
    if kind not in _READ:
        raise NotImplementedError(f"the table {table.get('Name')} has the format {kind or library or 'of no SerDe'}: {', '.join(_READ)} are in Lakerun")
    kind, options = _READ[kind], {}
    if kind == "xml":
        # As crawlers write it down.
        tag = parameters.get("rowTag") or details.get("rowTag")
        options = {"rowTag": tag} if tag else {}
        _check_xml(options)
    if kind == "csv":
        options["separator"] = details.get("separatorChar") or details.get("field.delim") or parameters.get("delimiter") or ","
        if details.get("quoteChar"):
            options["quoteChar"] = details["quoteChar"]
        lines = str(parameters.get("skip.header.line.count") or "0").strip()
        if lines not in ("0", "1"):
            raise NotImplementedError(f"skip.header.line.count of {lines} is not in Lakerun's jobs: 0 and 1 are")
        options["withHeader"] = lines == "1"
    return kind, options


#: Tables whose files say by themselves which of them count: all that lie at the location are not the table.
_WITH_LOGS = ("iceberg", "delta", "hudi")


def _refuse_other_tables(table, kind, parameters):
    """Formats of tables, as Athena, crawlers and Spark write them down, and lists of files elsewhere."""
    storage = table["StorageDescriptor"]
    inputs = (storage.get("InputFormat") or "").lower()
    marks = (kind, parameters.get("table_type", "").lower(), parameters.get("spark.sql.sources.provider", "").lower())
    found = next((one for one in _WITH_LOGS if one in marks), None)
    found = found or next((one for mark, one in (("hoodie", "hudi"), ("hudi", "hudi"), ("iceberg", "iceberg"), ("delta", "delta"), ("symlink", "symlink")) if mark in inputs), None)
    if found:
        raise NotImplementedError(f"the table {table.get('Name')} is of the format {found}: jobs read and write plain Parquet, ORC, Avro, JSON and CSV")


def read_table(spark, table, predicates=(), options=None, ctx=""):
    """A table: the files of its registered partitions, where the catalog says that they lie, with the catalog's names, types
    and partition values. `predicates` (SQL over partition columns) choose partitions; `options` are from_catalog's additional_options.
    `ctx`: the transformation_ctx, of whose files only those that no earlier run has read."""
    from pyspark.sql import functions as F

    check("catalog", options or {}, "additional")
    given = {name.lower(): value for name, value in (options or {}).items()}
    kind, options = format_of(table)
    storage = table["StorageDescriptor"]
    columns = [(c["Name"], spark_type(c["Type"])) for c in storage.get("Columns", [])]
    keys = [(c["Name"], spark_type(c["Type"])) for c in table.get("PartitionKeys", [])]
    if not keys:
        for predicate in (*predicates, given.get("catalogpartitionpredicate")):
            if predicate:
                # As AWS Glue says it.
                raise ValueError(f"User's pushdown predicate: {predicate} can not be resolved against partition columns: []")
        return _shaped(spark, kind, options, _with_files([storage["Location"]], given, ctx)[0], columns)
    partitions = _chosen(spark, _partitions(table, given.get("catalogpartitionpredicate")), keys, predicates)
    paths = _with_files([location for _, location in partitions], given, ctx)
    # With `recurse` files lie in folders that are no partition's, too.
    if partitions and not flag(given, "recurse") and all(_is_standard(storage["Location"], location, keys, values) for values, location in partitions):
        frame = _shaped(spark, kind, options, [path for part in paths for path in part], columns, storage["Location"], [n for n, _ in keys])
        return frame.select(*[F.col(f"`{n}`") for n, _ in columns], *[F.col(f"`{n}`").cast(t).alias(n) for n, t in keys])
    groups = {}
    for (values, _), part in zip(partitions, paths):
        groups.setdefault(tuple(values), []).extend(part)
    frame = None
    for values, group in groups.items():
        part = _shaped(spark, kind, options, group, columns)
        for (name, type_), value in zip(keys, values):
            value = None if value == "__HIVE_DEFAULT_PARTITION__" else value
            part = part.withColumn(name, F.lit(value).cast("string").cast(type_))
        frame = part if frame is None else frame.unionByName(part)
    if frame is None:
        frame = spark.createDataFrame([], ", ".join(f"`{n}` {t}" for n, t in columns + keys))
    return frame


def _is_standard(base, location, keys, values):
    """Whether a partition lies where its values say, so that all can be read at once."""
    from urllib.parse import unquote

    folders = [part.partition("=") for part in location[len(base.rstrip("/")) :].strip("/").split("/")]
    return location.startswith(base.rstrip("/") + "/") and [(n, unquote(v)) for n, _, v in folders] == [(n, v) for (n, _), v in zip(keys, values)]


def _partitions(table, expression):
    more = {"Expression": expression} if expression else {}
    if table.get("CatalogId"):
        more["CatalogId"] = table["CatalogId"]
    pages = boto3.client("glue").get_paginator("get_partitions").paginate(DatabaseName=table["DatabaseName"], TableName=table["Name"], **more)
    return [(p["Values"], p["StorageDescriptor"]["Location"]) for page in pages for p in page["Partitions"]]


def _chosen(spark, partitions, keys, predicates):
    predicates = [p for p in predicates if p]
    if not predicates or not partitions:
        return partitions
    from pyspark.sql import functions as F

    names = [name for name, _ in keys]
    rows = [(i, *(None if v == "__HIVE_DEFAULT_PARTITION__" else v for v in values)) for i, (values, _) in enumerate(partitions)]
    frame = spark.createDataFrame(rows, "__at int, " + ", ".join(f"`{n}` string" for n in names))
    frame = frame.select("__at", *[F.col(f"`{n}`").cast(t).alias(n) for n, t in keys])
    for predicate in predicates:
        frame = frame.filter(predicate)
    kept = {row[0] for row in frame.select("__at").collect()}
    return [partition for i, partition in enumerate(partitions) if i in kept]


def _shaped(spark, kind, options, paths, columns, base=None, keys=()):
    """Files with the table's columns, whatever the case of the names in them, and with the text of their partition folders."""
    setting = "spark.sql.sources.partitionColumnTypeInference.enabled"
    before = spark.conf.get(setting, "true")
    spark.conf.set(setting, "false")
    try:
        return _shape(spark, kind, options, paths, columns, base, keys)
    finally:
        spark.conf.set(setting, before)


def _shape(spark, kind, options, paths, columns, base, keys):
    from pyspark.sql import functions as F

    text = ", ".join(f"`{n}` {t}" for n, t in columns)
    if not paths:
        return spark.createDataFrame([], ", ".join([text, *(f"`{name}` string" for name in keys)]))
    if kind in ("json", "xml"):
        frame = _load(spark, kind, paths, options, None, base)
        schema = _as_written(spark, frame, text)
        frame = _load(spark, kind, paths, options, schema, base) if frame.columns else frame
    else:
        frame = _load(spark, kind, paths, options, text if kind == "csv" else None, base)
    have = {name.lower(): name for name in frame.columns}
    return frame.select([F.col(f"`{have[n.lower()]}`").try_cast(t).alias(n) if n.lower() in have else F.lit(None).cast("string").cast(t).alias(n)
                         for n, t in columns] + [F.col(f"`{name}`") for name in keys])


def _with_files(locations, given, ctx):
    """What to read of each folder: itself if it has files, or those of its files that `given` and the bookmark choose."""
    from lakerun_spark import s3

    paths = [s3.literal(location.rstrip("/") + "/") for location in locations]
    beyond = []
    listed = [[item for item in s3.files(path, recursive=flag(given, "recurse"), passed=beyond) if item.size] if s3.is_s3(path) else None for path in paths]
    # Of a partition's folder Spark would read what lies in folders below it, too.
    if beyond and not _picks(given, ctx):
        return [[path] if found is None else [s3.literal(item.url) for item in found] for path, found in zip(paths, listed)]
    if _picks(given, ctx):
        listed = _picked(listed, given, ctx)
        return [[path] if found is None else [s3.literal(item.url) for item in found] for path, found in zip(paths, listed)]
    return [[path] if found is None or found else [] for path, found in zip(paths, listed)]


def _as_written(spark, frame, text):
    """The table's schema with the spelling of names that the files have, in structs too."""
    from pyspark.sql.types import ArrayType, MapType, StructField, StructType

    def spell(wanted, found):
        if isinstance(wanted, StructType):
            written = {f.name.lower(): f for f in found.fields} if isinstance(found, StructType) else {}
            return StructType([StructField(written[f.name.lower()].name, spell(f.dataType, written[f.name.lower()].dataType), True)
                               if f.name.lower() in written else StructField(f.name, f.dataType, True) for f in wanted.fields])
        if isinstance(wanted, ArrayType):
            return ArrayType(spell(wanted.elementType, getattr(found, "elementType", None)), True)
        if isinstance(wanted, MapType):
            return MapType(wanted.keyType, spell(wanted.valueType, getattr(found, "valueType", None)), True)
        return wanted

    return spell(spark.createDataFrame([], text).schema, frame.schema)
