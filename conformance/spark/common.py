"""Writes cases of area `common` for cases.jsonl: what most scripts are made of, one construct and one type a case.

    python common.py > FILE && python run_cases.py FILE --record      (classic pyspark), then append FILE to cases.jsonl
"""

import json

ROWS = {
    "int": "(1, 3), (1, None), (2, -7), (2, 2147483647), (3, 0), (1, 3)",
    "bigint": "(1, 3), (1, None), (2, -7), (2, 9007199254740993), (3, 0), (1, 3)",
    "double": "(1, 1.5), (1, None), (2, -0.25), (2, 1e15), (3, 0.0), (1, 2.5)",
    "decimal(10,2)": "(1, Decimal('1.50')), (1, None), (2, Decimal('-7.25')), (2, Decimal('99999999.99')), (3, Decimal('0.00')), (1, Decimal('2.45'))",
    "string": "(1, 'b'), (1, None), (2, ' pad '), (2, ''), (3, 'Äb1'), (1, '12')",
    "date": "(1, datetime.date(2024, 2, 29)), (1, None), (2, datetime.date(1969, 12, 31)), (3, datetime.date(2023, 12, 31))",
    "timestamp": "(1, datetime.datetime(2024, 2, 29, 23, 59, 59, 999999)), (1, None), (2, datetime.datetime(1999, 12, 31, 0, 0)), (3, datetime.datetime(2023, 3, 26, 2, 30))",
    "boolean": "(1, True), (1, None), (2, False), (3, True)",
}
ALL = list(ROWS)
NUMBERS = ["int", "bigint", "double", "decimal(10,2)"]
TIMES = ["date", "timestamp"]
EXPRESSIONS = [
    (ALL, "F.when(F.col('g') > 1, F.col('v'))"), (ALL, "F.when(F.col('v').isNull(), F.lit('n')).otherwise(F.col('v').cast('string'))"),
    (ALL, "F.coalesce('v', F.first('v').over(W.partitionBy('g').orderBy(F.desc_nulls_last('v'))))"), (ALL, "F.col('v').isNull()"),
    (ALL, "F.col('v').isNotNull()"), (ALL, "F.isnull('v')"), (ALL, "F.col('v') == F.col('v')"), (ALL, "F.col('v').eqNullSafe(F.lit(None))"),
    (ALL, "F.col('v').cast('string')"), (ALL, "F.col('v') <= F.col('v')"), (ALL, "F.array('v', 'v')"), (ALL, "F.struct('g', 'v')"),
    (["int", "bigint", "double", "decimal(10,2)", "date"], "F.row_number().over(W.partitionBy('g').orderBy('v'))"),
    (["int", "bigint", "double", "decimal(10,2)", "date"], "F.rank().over(W.orderBy(F.col('v').desc()))"),
    (["int", "bigint", "double", "decimal(10,2)", "date"], "F.dense_rank().over(W.partitionBy('g').orderBy(F.col('v').asc_nulls_last()))"),
    (ALL, "F.lag('v').over(W.orderBy('g', 'v'))"), (ALL, "F.lead('v', 2).over(W.partitionBy('g').orderBy('v'))"),
    (NUMBERS, "F.sum('v').over(W.partitionBy('g'))"), (NUMBERS, "F.round('v', 1)"), (NUMBERS, "F.round('v')"), (NUMBERS, "F.abs('v')"),
    (NUMBERS, "F.col('v') + 1"), (NUMBERS, "F.col('v') - F.col('g')"), (NUMBERS, "F.col('v') * 2"), (NUMBERS, "F.col('v') / F.col('g')"),
    (NUMBERS, "F.col('v') % 2"), (NUMBERS, "-F.col('v')"), (NUMBERS, "F.greatest('v', F.lit(1))"), (NUMBERS, "F.least('v', 'g')"),
    (NUMBERS, "F.col('v').between(-1, 5)"), (NUMBERS, "F.col('v').isin(3, 0)"), (NUMBERS, "F.floor('v')"), (NUMBERS, "F.ceil('v')"),
    (NUMBERS, "F.sqrt('v')"), (NUMBERS, "F.col('v').cast('int')"), (NUMBERS, "F.col('v').cast('bigint')"), (NUMBERS, "F.col('v').cast('double')"),
    (NUMBERS, "F.col('v').cast('decimal(12,3)')"), (NUMBERS, "F.nullif(F.col('v'), F.lit(0)) if hasattr(F, 'nullif') else F.expr('nullif(v, 0)')"),
    (["string"], "F.trim('v')"), (["string"], "F.upper('v')"), (["string"], "F.lower('v')"), (["string"], "F.length('v')"),
    (["string"], "F.substring('v', 1, 2)"), (["string"], "F.concat('v', F.lit('x'))"), (["string"], "F.concat_ws('-', 'v', 'g')"),
    (["string"], "F.col('v').like('%b%')"), (["string"], "F.col('v').rlike('[0-9]')"), (["string"], "F.regexp_replace('v', 'b', 'c')"),
    (["string"], "F.regexp_extract('v', '([a-z])', 1)"), (["string"], "F.split('v', 'b')"), (["string"], "F.lpad('v', 4, '*')"),
    (["string"], "F.initcap('v')"), (["string"], "F.col('v').cast('int')"), (["string"], "F.col('v').cast('double')"), (["string"], "F.col('v').startswith('b')"),
    (["string"], "F.col('v').contains('b')"), (["string"], "F.col('v') != ''"), (["string"], "F.md5('v')"), (["string"], "F.sha2('v', 256)"),
    (["string"], "F.ltrim('v')"), (["string"], "F.rtrim('v')"), (["string"], "F.instr('v', 'b')"), (["string"], "F.translate('v', 'b', 'z')"),
    (TIMES, "F.year('v')"), (TIMES, "F.month('v')"), (TIMES, "F.dayofmonth('v')"), (TIMES, "F.dayofweek('v')"), (TIMES, "F.dayofyear('v')"),
    (TIMES, "F.weekofyear('v')"), (TIMES, "F.quarter('v')"), (TIMES, "F.date_add('v', 3)"), (TIMES, "F.date_sub('v', 3)"), (TIMES, "F.add_months('v', 1)"),
    (TIMES, "F.last_day('v')"), (TIMES, "F.datediff(F.lit('2024-03-01').cast('date'), 'v')"), (TIMES, "F.date_format('v', 'yyyy-MM-dd')"),
    (TIMES, "F.trunc('v', 'month')"), (TIMES, "F.date_trunc('hour', 'v')"), (TIMES, "F.to_date('v')"), (TIMES, "F.col('v').cast('date')"),
    (TIMES, "F.col('v').cast('timestamp')"), (["timestamp"], "F.hour('v')"), (["timestamp"], "F.minute('v')"), (["timestamp"], "F.second('v')"),
    (["timestamp"], "F.unix_timestamp('v')"), (["int"], "F.make_date('g', F.lit(2), F.lit(29))"), (["boolean"], "~F.col('v')"),
    (["boolean"], "F.col('v') & (F.col('g') > 1)"), (["boolean"], "F.col('v') | (F.col('g') > 1)"), (["boolean"], "F.col('v').cast('int')"),
]
AGGREGATES = [
    (ALL, "F.count('v')"), (ALL, "F.count('*')"), (ALL, "F.countDistinct('v')"), (ALL, "F.min('v')"), (ALL, "F.max('v')"), (ALL, "F.sort_array(F.collect_set('v'))"),
    (ALL, "F.sort_array(F.collect_list('v'))"), (NUMBERS, "F.sum('v')"), (NUMBERS, "F.avg('v')"), (NUMBERS, "F.stddev('v')"), (NUMBERS, "F.variance('v')"),
    (NUMBERS, "F.sumDistinct('v') if hasattr(F, 'sumDistinct') else F.sum_distinct('v')"),
]
FRAMES = [
    "d.filter(F.col('v').isNotNull())", "d.where('g > 1')", "d.distinct()", "d.dropDuplicates(['g', 'v'])", "d.orderBy('g', 'v').limit(3)",
    "d.orderBy(F.desc('g'), F.asc('v'))", "d.withColumn('w', F.col('v'))", "d.withColumnRenamed('v', 'w')", "d.drop('g')", "d.select('v', 'g')",
    "d.union(d)", "d.unionByName(d.select('v', 'g'))", "d.join(d.select('g', F.col('v').alias('w')), 'g')", "d.join(d.select('g', F.col('v').alias('w')), 'g', 'left')",
    "d.join(d.filter('g = 1').select('g').distinct(), 'g', 'left_anti')", "d.join(d.filter('g = 1').select('g').distinct(), 'g', 'left_semi')",
    "d.join(d.select(F.col('g').alias('h')), F.col('g') == F.col('h'), 'full')", "d.crossJoin(d.select(F.col('v').alias('w')))", "d.intersect(d)",
    "d.subtract(d.filter('g = 1'))", "d.na.drop()", "d.repartition(2)", "d.coalesce(1)", "d.groupBy('v').count()", "d.groupBy('g').agg(F.count('*'), F.max('v'))",
    "d.agg(F.count('*'), F.min('v'))", "d.select('*', F.col('v').alias('w'))", "d.selectExpr('g', 'v as w')", "d.toDF('a', 'b')", "d.withColumns({'w': F.col('v')})",
]
FILES = [
    ("d.write.parquet(base + 'x')", "spark.read.parquet(base + 'x')"),
    ("d.write.mode('overwrite').parquet(base + 'x'); d.write.mode('overwrite').parquet(base + 'x')", "spark.read.parquet(base + 'x')"),
    ("d.write.mode('append').parquet(base + 'x'); d.write.mode('append').parquet(base + 'x')", "spark.read.parquet(base + 'x')"),
    ("d.write.mode('overwrite').partitionBy('g').parquet(base + 'x')", "spark.read.parquet(base + 'x').select('g', 'v')"),
    ("d.coalesce(1).write.parquet(base + 'x')", "spark.read.parquet(base + 'x').filter('g > 1')"),
]


def cases():
    for kind, rows in ROWS.items():
        setup = f"d = spark.createDataFrame([{rows}], 'g int, v {kind}')\n"
        for kinds, text in EXPRESSIONS:
            if kind in kinds:
                yield "expr", setup, f"result = d.select('g', 'v', ({text}).alias('r'))"
        for kinds, text in AGGREGATES:
            if kind in kinds:
                yield "expr", setup, f"result = d.groupBy('g').agg(({text}).alias('r'))"
                yield "expr", setup, f"result = d.agg(({text}).alias('r'))"
        for text in FRAMES:
            yield "expr", setup, f"result = {text}"
        for write, read in FILES:
            yield "write", setup, f"{write}\nresult = {read}"
    wide = ("d = spark.createDataFrame([(1, 10, 'a', 1.5, True, 'x', datetime.date(2024, 1, 31)), (2, 20, None, -2.25, False, 'y', None), "
            "(3, None, 'c', None, None, 'x', datetime.date(2023, 2, 28)), (4, 40, 'a', 0.0, True, 'y', datetime.date(2024, 2, 29))], "
            "'id int, n bigint, s string, f double, b boolean, k string, day date')\n")
    for text in ("F.round(F.col('n') * 60.0 / F.col('f'), 1)", "F.round(F.col('f') * 2, 2)", "F.round(F.col('n') * 1.5, 1)", "F.round('f', 0)",
                 "F.col('n') / F.col('id')", "F.col('n') / 4", "F.col('f') / F.col('id')", "F.col('f') / 2", "F.col('id') / (F.col('id') - 1)",
                 "F.dayofweek(F.make_date(F.lit(2024), 'id', 'id'))", "F.make_date(F.lit(2024), 'id', F.lit(1))", "F.make_date('n', 'id', 'id')",
                 "F.year(F.make_date(F.lit(2023), 'id', 'id'))", "F.col('n') + F.col('f')", "F.col('n') * F.col('f')", "F.col('f') - F.col('id')",
                 "F.when(F.col('s') == 'a', 'x').when(F.col('b'), 'y').otherwise('z')", "F.when(F.trim('s') != '', F.trim('s'))",
                 "F.coalesce('s', F.lit('none'))", "F.coalesce('n', 'id')", "F.coalesce('f', F.lit(0.0))", "F.col('f') > F.col('id')",
                 "(F.col('n') > 5) & (F.col('s') == 'a')", "F.col('day') >= '2024-01-01'", "F.concat('s', F.lit('-'), 'k')",
                 "F.sum('n').over(W.partitionBy('k').orderBy('id'))", "F.avg('f').over(W.partitionBy('k'))", "F.year('day') * 100 + F.month('day')",
                 "F.sum('f').over(W.partitionBy('k').orderBy('id').rowsBetween(-1, 0))", "F.count('*').over(W.partitionBy('k'))",
                 *(f"F.row_number().over(W.partitionBy('k').orderBy(F.{order}('{column}'), 'id'))" for order in ("asc", "desc") for column in ("id", "n", "s", "f", "day"))):
        yield "expr", wide, f"result = d.select('id', ({text}).alias('r'))"
        yield "expr", wide, f"result = d.withColumn('r', {text})"
    for text in ("F.sum('n')", "F.sum('f')", "F.avg('n')", "F.avg('f')", "F.max(F.col('id') * 100 + F.col('n'))", "F.countDistinct('s', 'k')", "F.max('day')",
                 "F.sum(F.when(F.col('b'), 1).otherwise(0))", "F.first('id')", "F.count(F.when(F.col('f') > 0, True))"):
        yield "expr", wide, f"result = d.groupBy('k').agg(({text}).alias('r'))"
        yield "expr", wide, f"result = d.groupBy('k', 'b').agg(({text}).alias('r')).orderBy('r')"
        yield "expr", wide, f"result = d.agg(({text}).alias('r')).first()"
    for options in ("", ".mode('overwrite')", ".mode('append')", ".partitionBy('k')", ".mode('overwrite').partitionBy('k')", ".mode('append').partitionBy('k', 'id')",
                    ".option('compression', 'snappy')", ".mode('overwrite').partitionBy('id', 'k')"):
        for read in ("", ".filter(F.col('id') > 1)", ".select('id', 's', 'f', 'b', 'day')", ".groupBy('s').agg(F.sum('f').alias('f'))"):
            yield "write", wide, f"d.write{options}.parquet(base + 'w/')\nresult = spark.read.parquet(base + 'w/'){read or '.select(sorted(d.columns))'}"
    csv = "put('c/a.csv', 'id,name,score,day,at\\n1,ann,1.5,2024-01-31,2024-01-31 10:11:12\\n2,,x,nope,\\n3,bob,-2,1999-12-31,1999-12-31 00:00:00\\n')\n"
    schema = "id INT, name STRING, score DOUBLE, day DATE, at TIMESTAMP"
    yield "read", csv, f"result = spark.read.schema('{schema}').csv(base + 'c/', header=True)"
    yield "read", csv, f"result = spark.read.schema('{schema}').option('header', 'true').csv(base + 'c/').filter('id > 1')"
    yield "read", csv, "result = spark.read.csv(base + 'c/', header=True)"
    yield "read", csv, "result = spark.read.option('header', True).option('inferSchema', True).csv(base + 'c/').select('id', 'name', 'score')"
    yield "read", csv, "result = spark.read.csv(base + 'c/')"
    lines = "put('j/a.json', '{\"id\": 1, \"name\": \"ann\", \"lat\": 1.5, \"ok\": true}\\n{\"id\": 2, \"name\": null, \"lat\": 2}\\n')\n"
    yield "read", lines, "result = spark.read.json(base + 'j/')"
    yield "read", lines, "result = spark.read.schema('id INT, name STRING, lat DOUBLE').json(base + 'j/')"
    yield from escapes()


def escapes():
    """JSON's valid escapes by kind: in values, names, nested values and values read as text, without a schema and with one."""
    for text in (r'say \"hi\" \\ end\/', r"a\tb\nc\rd\fe\bf", r"caf\u00e9 \u4e2d\u6587 \u0041\u0009", r"O\u2019Hare \"Field\"\t\u00d1 \\n", r"\\", r"x\u0000y",
                 "Zürich \u2019", r"\u00fc\\u00fc", r"\ud83d\ude00 \uD83D\uDE00", r'\u0022\u005c'):
        lines = [f'{{"id": 1, "name": "{text}", "lat": 1.5}}', '{"id": 2, "name": null, "lat": 2}', f'{{"name": "{text}{text}", "id": 3}}']
        put = f"put('e/a.json', {chr(10).join(lines)!r})\n"
        yield "read", put, "result = spark.read.json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('id INT, name STRING, lat DOUBLE').json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('name STRING').json(base + 'e/').select('name', F.length('name').alias('n'), F.upper('name').alias('u'))"
        yield "read", put, "result = spark.read.json(base + 'e/').groupBy('name').agg(F.count('*').alias('c'))"
        nested = [f'{{"id": 1, "tags": ["{text}", "b"], "at": {{"city": "{text}", "n": 1}}}}', '{"id": 2, "tags": [], "at": {"city": "x", "n": 2}}']
        put = f"put('e/a.json', {chr(10).join(nested)!r})\n"
        yield "read", put, "result = spark.read.json(base + 'e/')"
        yield "read", put, "result = spark.read.json(base + 'e/').select('id', 'at.city', F.explode('tags').alias('tag'))"
        yield "read", put, "result = spark.read.schema('id INT, at STRING').json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('tags STRING, at STRUCT<city: STRING>').json(base + 'e/')"
        whole = f"put('e/a.json', {('[' + ', '.join(lines) + ']')!r})\n"
        yield "read", whole, "result = spark.read.json(base + 'e/', multiLine=True)"
    for name in (r"a\"b", r"caf\u00e9", r"a\\b"):
        put = f"""put('e/a.json', {f'{{"id": 1, "{name}": "v"}}{chr(10)}{{"id": 2}}'!r})\n"""
        yield "read", put, "result = spark.read.json(base + 'e/')"
    # Text of a value that is no text, as a column of text holds it.
    for value in ("1.10", "1e3", "true", '{"b": 1.50, "a": [1, "ü", null]}', "[1.0, 2]", "12345678901234567890", "-0.0"):
        put = f"""put('e/a.json', {f'{{"id": 1, "v": {value}}}{chr(10)}{{"id": 2, "v": "t"}}'!r})\n"""
        yield "read", put, "result = spark.read.schema('id INT, v STRING').json(base + 'e/')"
    for value in ("1e3", "-2.5E-3", "1E+2", "1e16", "1.0e-320", "1e400"):
        put = f"""put('e/a.json', {f'{{"id": 1, "v": {value}, "w": [{value}, 1]}}{chr(10)}{{"id": 2, "v": 2}}'!r})\n"""
        yield "read", put, "result = spark.read.json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('v DOUBLE, w ARRAY<DOUBLE>').json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('id INT, v BIGINT').json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('id INT, v DECIMAL(12,3)').json(base + 'e/')"
    for text in (r"\ud83d", r"a\ude00b", r"\ude00\ud83d"):
        put = f"""put('e/a.json', {f'{{"id": 1, "v": "{text}"}}{chr(10)}{{"id": 2, "v": "x"}}'!r})\n"""
        yield "read", put, "result = spark.read.json(base + 'e/')"
        yield "read", put, "result = spark.read.schema('id INT, v STRING').json(base + 'e/').select('id', F.length('v').alias('n'))"
    for value in ("12345678.123456789", "0.1234567890123456", "1.005", "-7", '"3.14"', '"x"', "99999999999.5", "true"):
        put = f"""put('e/a.json', {f'{{"id": 1, "v": {value}}}{chr(10)}{{"id": 2, "v": 2}}'!r})\n"""
        for kind in ("DECIMAL(20,9)", "DECIMAL(12,2)"):
            yield "read", put, f"result = spark.read.schema('id INT, v {kind}').json(base + 'e/')"
    # Clocks: their types, and what holds of any value.
    three = "d = spark.range(3)\n"
    for text in ("F.current_timestamp() > F.lit('2020-01-01').cast('timestamp')", "F.current_date() > F.lit('2020-01-01').cast('date')",
                 "F.datediff(F.current_timestamp().cast('date'), F.current_date())", "F.current_date() == F.current_timestamp().cast('date')",
                 "F.year(F.current_timestamp()) > 2020", "F.length(F.date_format(F.current_timestamp(), 'yyyy-MM-dd HH:mm:ss'))", "F.current_timestamp().isNull()"):
        yield "expr", three, f"result = d.select('id', ({text}).alias('r'))"
        yield "expr", three, f"result = d.withColumn('at', F.current_timestamp()).withColumn('on', F.current_date()).withColumn('r', {text}).drop('at', 'on')"
    yield "expr", three, "result = [list(p) for p in d.select(F.current_timestamp().alias('t'), F.current_date().alias('d')).dtypes]"
    yield "expr", three, "result = d.select(F.current_timestamp().alias('t')).distinct().count()"
    yield "write", three, "d.withColumn('at', F.current_timestamp()).write.parquet(base + 'w/')\nresult = spark.read.parquet(base + 'w/').filter(F.col('at').isNotNull()).select('id')"


for n, (kind, setup, code) in enumerate(cases(), 1):
    print(json.dumps({"id": f"common-{n:03}", "area": "common", "kind": kind, "setup": setup, "code": code}))
