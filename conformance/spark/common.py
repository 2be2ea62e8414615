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


#: Expressions of two columns, of which each has every kind.
PAIRS = ["F.col('a') + F.col('b')", "F.col('a') - F.col('b')", "F.col('a') * F.col('b')", "F.col('a') / F.col('b')", "F.col('a') % F.col('b')", "F.col('a') < F.col('b')",
         "F.col('a') == F.col('b')", "F.col('a') >= F.col('b')", "F.coalesce('a', 'b')", "F.greatest('a', 'b')", "F.when(F.col('a') > 0, F.col('b')).otherwise(F.col('a'))",
         "F.round(F.col('a') / F.col('b'), 2)", "F.round(F.col('a') * F.col('b'), 1)"]
TWO = [("int", "3, -7, None, 0, 100", "double", "1.5, 2.0, 4.25, 0.0, None"), ("int", "3, -7, None, 0, 100", "decimal(10,2)", "Decimal('1.50'), Decimal('2.00'), Decimal('4.25'), Decimal('0.00'), None"),
       ("bigint", "3, -7, None, 0, 100", "int", "2, 5, 4, 0, None"), ("double", "3.5, -7.0, None, 0.0, 1e3", "decimal(10,2)", "Decimal('1.50'), Decimal('2.00'), Decimal('4.25'), Decimal('0.00'), None"),
       ("decimal(10,2)", "Decimal('3.10'), Decimal('-7.00'), None, Decimal('0.00'), Decimal('99.99')", "decimal(6,3)", "Decimal('1.500'), Decimal('2.000'), Decimal('4.250'), Decimal('0.000'), None"),
       ("double", "3.5, -7.0, None, 0.0, 1e3", "double", "1.5, 2.0, 4.25, 0.0, None"), ("int", "3, -7, None, 0, 100", "int", "2, 5, 4, 0, None")]
#: SQL over one column of each kind: `g` groups, `v` is the value.
QUERIES = [
    (ALL, "SELECT g, count(*) AS n, count(v) AS c, count(DISTINCT v) AS d FROM t GROUP BY g ORDER BY g"), (ALL, "SELECT g, min(v) AS a, max(v) AS b FROM t GROUP BY g"),
    (ALL, "SELECT g, v FROM t WHERE v IS NOT NULL ORDER BY g DESC, v"), (ALL, "SELECT DISTINCT v FROM t WHERE g >= 1 AND NOT v IS NULL"), (ALL, "SELECT v FROM t UNION ALL SELECT v FROM t WHERE g = 1"),
    (ALL, "SELECT v FROM t UNION SELECT v FROM t"), (ALL, "SELECT a.g, a.v FROM t a JOIN t b ON a.g = b.g AND a.v = b.v"), (ALL, "SELECT a.g, a.v, b.v AS w FROM t a LEFT JOIN (SELECT g, max(v) AS v FROM t GROUP BY g) b ON a.g = b.g"),
    (ALL, "WITH x AS (SELECT g, v FROM t WHERE g < 3) SELECT g, max(v) AS v FROM x GROUP BY g HAVING count(*) > 1"), (ALL, "SELECT g, CASE WHEN v IS NULL THEN 'none' WHEN g = 1 THEN 'one' ELSE 'more' END AS c FROM t"),
    (ALL, "SELECT g, coalesce(v, max(v) OVER (PARTITION BY g)) AS v FROM t"), (ALL, "SELECT g, v, row_number() OVER (PARTITION BY g ORDER BY v) AS rn FROM t WHERE v IS NOT NULL ORDER BY g, v, rn"),
    (ALL, "SELECT v, lag(v) OVER (PARTITION BY g ORDER BY v) AS p FROM t WHERE g = 2"), (ALL, "SELECT g FROM t WHERE v IN (SELECT v FROM t WHERE g = 3)"), (ALL, "SELECT t.g, t.v FROM t WHERE EXISTS (SELECT 1 FROM t u WHERE u.g = t.g AND u.v IS NULL)"),
    (ALL, "SELECT count(*) AS n FROM t WHERE v = (SELECT max(v) FROM t)"), (ALL, "SELECT v AS value, g AS `group` FROM t ORDER BY v NULLS LAST, g LIMIT 4"), (ALL, "SELECT coalesce(CAST(v AS STRING), 'none') AS s FROM t"),
    (ALL, "SELECT g, v FROM (SELECT g, v, dense_rank() OVER (ORDER BY g DESC) AS r FROM t) WHERE r <= 2"), (ALL, "SELECT g, count(*) AS n FROM t GROUP BY ROLLUP (g) ORDER BY g NULLS FIRST"),
    (NUMBERS, "SELECT g, sum(v) AS s FROM t GROUP BY g"), (NUMBERS, "SELECT g, avg(v) AS a, sum(v) AS s, count(v) AS n FROM t GROUP BY g HAVING sum(v) IS NOT NULL ORDER BY g"), (NUMBERS, "SELECT sum(CASE WHEN v > 0 THEN v ELSE 0 END) AS s FROM t"),
    (NUMBERS, "SELECT v + 1 AS a, v - g AS b, v * 2 AS c, -v AS d FROM t"), (NUMBERS, "SELECT v / 2 AS h, v / g AS q FROM t"), (NUMBERS, "SELECT v FROM t WHERE v BETWEEN 0 AND 5 OR v < -1"), (NUMBERS, "SELECT v FROM t WHERE v IN (0, 3) ORDER BY v"),
    (NUMBERS, "SELECT round(v / g, 2) AS r, abs(v) AS a FROM t"), (NUMBERS, "SELECT g, round(avg(v), 2) AS r FROM t GROUP BY g"), (NUMBERS, "SELECT g, v, sum(v) OVER (PARTITION BY g ORDER BY v ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS s FROM t"),
    (NUMBERS, "SELECT v, CASE WHEN v >= 100 THEN 'large' WHEN v >= 1 THEN 'medium' ELSE 'small' END AS c FROM t"), (NUMBERS, "SELECT if(v > 0, 'plus', 'other') AS c, nullif(v, 0) AS n FROM t"), (NUMBERS, "SELECT g, v FROM t WHERE v > (SELECT avg(v) FROM t)"),
    (NUMBERS, "SELECT rank() OVER (ORDER BY v DESC) AS r, v FROM t WHERE v <> 0"), (NUMBERS, "SELECT coalesce(v, 0) AS v FROM t"),
    (["string"], "SELECT upper(v) AS u, lower(v) AS l, length(v) AS n, trim(v) AS t FROM t"), (["string"], "SELECT v FROM t WHERE v LIKE '%b%' OR v = ''"), (["string"], "SELECT concat(v, '-', g) AS c, substring(v, 1, 2) AS s FROM t"),
    (["string"], "SELECT replace(v, 'b', 'c') AS r, concat_ws('|', v, 'x') AS w FROM t"), (["string"], "SELECT word FROM t LATERAL VIEW explode(split(v, 'b')) w AS word"), (["string"], "SELECT regexp_replace(v, '[0-9]+', '#') AS r, initcap(v) AS i FROM t"),
    (["string"], "SELECT g, collect_list(v) AS all FROM (SELECT g, v FROM t WHERE g = 3) GROUP BY g"), (["string"], "SELECT v FROM t WHERE v NOT IN ('b', '12') AND v <> ''"),
    (TIMES, "SELECT year(v) AS y, month(v) AS m, day(v) AS d FROM t"), (TIMES, "SELECT date_format(v, 'yyyy-MM') AS f FROM t"), (TIMES, "SELECT date_trunc('MONTH', v) AS m FROM t"), (TIMES, "SELECT datediff(v, '2024-01-01') AS n FROM t"),
    (TIMES, "SELECT v FROM t WHERE v >= '2000-01-01'"), (TIMES, "SELECT v FROM t WHERE v BETWEEN '2000-01-01' AND '2024-12-31'"), (TIMES, "SELECT date_add(v, 7) AS a, last_day(v) AS l FROM t"), (TIMES, "SELECT to_date(v) AS d, quarter(v) AS q FROM t"),
]
#: Values that text files treat with care.
TEXTS = "(1, 'plain'), (2, 'a,b'), (3, 'say \"hi\"'), (4, 'tab\\there'), (5, 'pipe|semi;colon'), (6, ''), (7, None), (8, ' pad '), (9, 'ünï')"
CSV_OPTIONS = ["", ".option('header', True)", ".option('header', 'true').option('sep', '|')", ".option('sep', ';')", ".option('sep', '\\t').option('header', True)", ".option('sep', ',')",
               ".option('header', 'false').option('sep', '|')", ".option('quoteAll', True)", ".mode('overwrite').option('header', True)", ".mode('append').option('header', True).option('sep', ',')"]


def scripts():
    """What public Glue scripts are made of besides: pairs of kinds, SQL over every kind, structs, text files as they are written."""
    for a, left, b, right in TWO:
        rows = f"list(zip([1, 2, 3, 4, 5], [{left}], [{right}]))"
        setup = f"d = spark.createDataFrame({rows}, 'id int, a {a}, b {b}')\n"
        for text in PAIRS:
            yield "expr", setup, f"result = d.select('id', ({text}).alias('r'))"
            yield "expr", setup, f"result = d.withColumn('r', {text}).filter(F.col('id') > 1)"
    for kind, rows in ROWS.items():
        setup = f"d = spark.createDataFrame([{rows}], 'g int, v {kind}')\n"
        for kinds, query in QUERIES:
            if kind in kinds:
                yield "sql", setup + "d.createOrReplaceTempView('t')\n", f"result = spark.sql({query!r})"
        for text in ("F.struct('v')", "F.struct(F.struct('v').alias('s'), 'g')", "F.struct(F.col('v').alias('a'), F.lit(1).alias('b'))", "F.struct('v').getField('v')", "F.to_json(F.struct('g', 'v'))",
                     "F.array('v')[0]", "F.array('v')[5]", "F.size(F.array('v', 'v'))", "F.element_at(F.array('v', 'v'), -1)", "F.array_contains(F.array('v'), F.col('v'))", "F.concat_ws('|', F.col('v').cast('string'), 'g')",
                     "F.col('v').isin('3', 'b')" if kind == "string" else "F.col('v').isNull()", "F.when(F.col('v').isNull(), None).otherwise(F.col('v'))", "~(F.col('v') <= F.col('v'))",
                     "F.coalesce((F.col('v') > F.col('v')) & (F.col('g') < 3), F.lit(False))", "~F.coalesce(F.col('v') > F.col('v'), F.lit(False))", "F.lag('v', 1).over(W.partitionBy('g').orderBy('v'))",
                     "F.first('v').over(W.partitionBy('g').orderBy(F.col('v').desc()))", "F.last('v').over(W.partitionBy('g').orderBy('v').rowsBetween(W.unboundedPreceding, W.unboundedFollowing))",
                     "F.max('v').over(W.partitionBy('g'))", "F.ntile(2).over(W.partitionBy('g').orderBy('v'))", "F.count('v').over(W.partitionBy('g'))"):
            yield "expr", setup, f"result = d.select('g', 'v', ({text}).alias('r'))"
        for text in ("d.select(F.struct('g', 'v').alias('s')).agg(F.count('s').alias('n'))", "d.select(F.struct('g', 'v').alias('s')).select('s.g', 's.v')", "d.select(F.struct('g', 'v').alias('s')).filter(F.col('s.v').isNotNull())",
                     "d.groupBy('g').agg(F.first('v').alias('f')).count()", "d.select('g', F.explode(F.array('v', 'v')).alias('e'))", "d.select('g', F.posexplode(F.array('v')).alias('i', 'e'))", "d.select('g', F.explode_outer(F.array('v')).alias('e'))",
                     "d.filter(F.col('g').isin(1, 2)).groupBy('g').agg(F.sort_array(F.collect_set('v')).alias('s'), F.countDistinct('v').alias('n'))", "d.groupBy('g').pivot('g', [1, 2]).agg(F.count('v'))",
                     "d.union(d.filter('g = 1')).distinct().orderBy('g', 'v')", "d.alias('a').join(d.alias('b'), F.col('a.g') == F.col('b.g'), 'left').select('a.g', F.col('b.v').alias('w'))", "d.dropDuplicates(['g']).count()",
                     "d.unionByName(d.select('g'), allowMissingColumns=True)", "d.na.fill({'g': 0})", "d.select(F.col('v').alias('x.y')).select('`x.y`')", "d.withColumn('s', F.struct('g', 'v')).withColumn('s', F.col('s').dropFields('g')).select('s.v')"):
            yield "expr", setup, f"result = {text}"
        for options in ("", ".mode('overwrite')", ".mode('append')", ".mode('overwrite').partitionBy('g')", ".partitionBy('g')", ".mode('append').partitionBy('g')"):
            yield "write", setup, f"d.write{options}.json(base + 'w/')\nresult = [folders(base + 'w/'), lines(base + 'w/')]"
            yield "write", setup, f"d.coalesce(1).write{options}.json(base + 'w/')\nresult = [nfiles(base + 'w/') if 'partitionBy' not in {options!r} else 0, lines(base + 'w/')]"
            yield "write", setup, f"d.write{options}.option('header', True).csv(base + 'w/')\nresult = [folders(base + 'w/'), sorted(set(lines(base + 'w/')))]"
        for options in CSV_OPTIONS:
            yield "write", setup, f"d.coalesce(1).write{options}.csv(base + 'w/')\nresult = lines(base + 'w/')"
            yield "write", setup, f"d.write{options}.csv(base + 'w/')\nresult = sorted(set(lines(base + 'w/')))"
        nested = setup + "n = d.select('g', F.struct(F.col('v').alias('x'), F.struct('v').alias('deep')).alias('s'), F.array('v').alias('a'))\n"
        yield "write", nested, "n.write.mode('overwrite').json(base + 'w/')\nresult = lines(base + 'w/')"
        yield "write", nested, "n.write.parquet(base + 'w/')\nresult = spark.read.parquet(base + 'w/').select('g', 's.x', 's.deep.v', F.col('a')[0].alias('e'))"
        yield "write", nested, "n.write.mode('overwrite').partitionBy('g').parquet(base + 'w/')\nresult = spark.read.parquet(base + 'w/')"
    texts = f"d = spark.createDataFrame([{TEXTS}], 'id int, s string')\n"
    for options in CSV_OPTIONS:
        yield "write", texts, f"d.coalesce(1).write{options}.csv(base + 'w/')\nresult = lines(base + 'w/')"
        yield "write", texts, f"d.write{options}.csv(base + 'w/')\nresult = sorted(set(lines(base + 'w/')))"
        read = ".option('header', True)" if "'header', True" in options or "'true'" in options else ""
        for sep in ("|", ";", ",", "\\t"):
            if f"'sep', '{sep}'" in options:
                yield "read", texts, f"d.filter('id in (1, 5, 6, 7, 9)').write{options}.csv(base + 'w/')\nresult = spark.read{read}.option('sep', '{sep}').csv(base + 'w/')"
                yield "read", texts, f"d.filter('id in (1, 9)').write{options}.csv(base + 'w/')\nresult = spark.read{read}.option('inferSchema', 'true').option('sep', '{sep}').csv(base + 'w/')"
    yield "write", texts, "d.write.json(base + 'w/')\nresult = lines(base + 'w/')"
    yield "write", texts, "d.coalesce(1).write.json(base + 'w/')\nresult = lines(base + 'w/')"
    plain = "put('c/a.csv', 'id;name;score\\n1;ann;1.5\\n2;;x\\n3;bob;-2\\n')\nput('b/a.csv', 'id,name,score\\n1,ann lee,1.5\\n2,b o b,7\\n')\nput('q/a.csv', 'id,name\\n1,\"Lamp, large\"\\n2,\"plain\"\\n3,x\\n')\n"
    for text in ("spark.read.csv(base + 'c/', header=True, sep=';')", "spark.read.option('sep', ';').option('header', 'true').option('inferSchema', 'true').csv(base + 'c/')", "spark.read.csv(base + 'c/', sep=';')",
                 "spark.read.csv(base + 'b/', header=True)", "spark.read.csv(base + 'b/', header=True, inferSchema=True)", "spark.read.csv(base + 'q/', header=True)", "spark.read.option('header', True).option('inferSchema', True).csv(base + 'q/')",
                 "spark.read.option('header', True).option('quote', '\"').option('escape', '\"').option('sep', ',').option('multiLine', False).csv(base + 'q/')",
                 "spark.read.schema('id INT, name STRING').option('header', True).csv(base + 'q/')"):
        yield "read", plain, f"result = {text}"
    stamps = "put('j/a.json', '{\"id\": 1, \"at\": \"2024-02-01T10:00:00Z\", \"on\": \"2024-02-01\"}\\n{\"id\": 2, \"at\": \"2024-02-01T12:30:00.5Z\", \"on\": null}\\n{\"id\": 3, \"at\": \"bad\", \"on\": \"x\"}\\n')\n"
    for schema in ("id INT, at TIMESTAMP", "id BIGINT, at TIMESTAMP, on DATE", "at STRING, on DATE", "id INT, at STRING"):
        yield "read", stamps, f"result = spark.read.schema('{schema}').json(base + 'j/')"
        yield "read", stamps, f"result = spark.read.schema('{schema}').json(base + 'j/').filter(F.col('at').isNotNull()).count()"
    over = "spark.conf.set('spark.sql.sources.partitionOverwriteMode', '{}')\nd = spark.createDataFrame([(1, 'a', 2024), (2, 'b', 2024), (3, 'c', 2025)], 'id int, n string, year int')\ne = spark.createDataFrame([(9, 'z', 2025)], 'id int, n string, year int')\n"
    for mode in ("dynamic", "static"):
        for kind in ("parquet", "json", "csv"):
            read = "spark.read.schema('id INT, n STRING, year INT')"
            yield "write", over.format(mode), f"d.write.mode('overwrite').partitionBy('year').{kind}(base + 'w/')\ne.write.mode('overwrite').partitionBy('year').{kind}(base + 'w/')\nresult = {read}.{kind}(base + 'w/')"
            yield "write", over.format(mode), f"d.write.partitionBy('year').{kind}(base + 'w/')\ne.write.mode('overwrite').partitionBy('year').{kind}(base + 'w/')\nresult = folders(base + 'w/')"
            yield "write", over.format(mode), f"d.write.mode('append').partitionBy('year').{kind}(base + 'w/')\ne.write.mode('append').partitionBy('year').{kind}(base + 'w/')\nresult = folders(base + 'w/')"
    people = "d = spark.createDataFrame([('1', ' ann LEE ', 'Ann@Example.com', '1980-02-29', 'x'), ('2', 'bob de wit', None, '31/12/1999', None), ('3', '', 'c@d', 'bad', 'N/A')], 'id string, name string, email string, born string, city string')\n"
    for text in ("F.coalesce(F.to_date('born', 'yyyy-MM-dd'), F.to_date('born', 'dd/MM/yyyy'))", "F.floor(F.months_between(F.lit('2024-06-30').cast('date'), F.to_date('born')) / 12)", "F.months_between(F.lit('2024-06-30').cast('date'), F.to_date('born'))",
                 "(F.year(F.to_date('born')) / 10).cast('int') * 10", "F.element_at(F.split('name', ' '), -1)", "F.split('name', ' ')[0]", "F.split('name', ' ')[7]", "F.concat_ws('|', 'name', 'email')", "F.concat_ws('|', 'name', F.lower('email'), F.lit('x'))",
                 "F.md5(F.concat_ws('|', 'name', 'email'))", "F.col('city').isin('N/A', '')", "F.when(F.col('city').isin('N/A', ''), None).otherwise(F.upper('city'))", "F.lpad('id', 6, '0')", "F.regexp_extract('email', '@(.+)$', 1)",
                 "F.regexp_replace('born', '[^0-9]', '')", "F.substring('name', -3, 3)", "F.concat(F.lit('***'), F.substring('name', -3, 3))", "F.size(F.split('name', ' '))", "F.to_timestamp('born', 'yyyy-MM-dd')",
                 "F.unix_timestamp(F.to_timestamp('born')) - F.unix_timestamp(F.lit('1980-01-01').cast('timestamp'))", "F.round((F.unix_timestamp(F.to_timestamp('born')) - F.lit(0)) / 60, 1)", "F.datediff(F.current_date(), F.current_date())",
                 "F.datediff(F.to_date('born'), F.lag(F.to_date('born')).over(W.orderBy('id')))", "F.to_json(F.struct(F.col('name').alias('n'), F.col('id').cast('int').alias('i')))", "F.get_json_object(F.lit('{\"a\": {\"b\": 1}}'), '$.a.b')"):
        yield "expr", people, f"result = d.select('id', ({text}).alias('r'))"
        yield "expr", people, f"result = d.withColumn('r', {text}).drop('name', 'born')"
    yield from sources()
    boxed = "d = spark.createDataFrame([(1, '{\"a\": {\"b\": \"deep\"}, \"tags\": [\"x\", \"y\"], \"score\": 5}'), (2, '{\"tags\": []}'), (3, 'not json'), (4, None), (5, '{\"score\": \"7\", \"a\": null}')], 'id int, p string')\n"
    for schema in ("a STRUCT<b: STRING>, tags ARRAY<STRING>, score INT", "score BIGINT", "tags ARRAY<STRING>", "a STRUCT<b: STRING>", "a STRING, score DOUBLE"):
        yield "expr", boxed, f"result = d.select('id', F.from_json('p', '{schema}').alias('r'))"
        yield "expr", boxed, f"result = d.withColumn('r', F.from_json(F.col('p'), '{schema}')).select('id', 'r.*')"
    for path in ("$.a.b", "$.tags", "$.tags[0]", "$.score", "$.none"):
        yield "expr", boxed, f"result = d.select('id', F.get_json_object('p', '{path}').alias('r'))"


def sources():
    """Files as they are read and turned at once: casts of what they hold, folders of partitions, ids of rows."""
    files = ("put('j/a.json', '{\"i\": 1, \"f\": 1.5, \"s\": \"7\", \"t\": \"2024-01-05 10:11:12\", \"b\": true, \"n\": {\"x\": 1, \"y\": \"a\"}, \"a\": [{\"k\": 1}, {\"k\": 2}]}\\n"
             "{\"i\": -3000000000, \"f\": -2.0, \"s\": \"x\", \"t\": \"2024-02-29\", \"b\": false, \"n\": {\"x\": null, \"y\": \"b\"}, \"a\": []}\\n{\"i\": null, \"f\": 1e9, \"s\": \"\", \"t\": null, \"b\": null, \"n\": null, \"a\": null}\\n')\n"
             "put('c/a.csv', 'i,f,s,t,b\\n1,1.5,7,2024-01-05 10:11:12,true\\n-3000000000,-2.0,x,2024-02-29,FALSE\\n,1e9,,bad,no\\n')\n")
    for source in ("spark.read.json(base + 'j/')", "spark.read.option('header', 'true').csv(base + 'c/')", "spark.read.csv(base + 'c/', header=True, inferSchema=True)"):
        for column in "ifstb":
            for kind in ("int", "bigint", "double", "string", "decimal(12,3)", "boolean", *(["date", "timestamp"] if column in "st" else [])):
                yield "read", files, f"result = {source}.select(F.col('{column}').cast('{kind}').alias('r'))"
            yield "read", files, f"result = {source}.withColumnRenamed('{column}', 'q').filter(F.col('q').isNotNull()).select('q')"
            yield "read", files, f"result = {source}.groupBy('{column}').agg(F.count('*').alias('n'))"
    for text in ("select('n.x', 'n.y', 'i')", "select('i', F.explode_outer('a').alias('e')).select('i', 'e.k')", "select('i', F.size('a').alias('z'), F.col('n').isNull().alias('m'))", "select(F.struct('i', 's').alias('r'), 'n')",
                 "filter(F.col('n.x') == 1).select('s')", "select('i', F.posexplode('a')).select('i', 'pos', 'col.k')", "agg(F.count('n').alias('c'), F.count('a').alias('d'), F.sum('n.x').alias('x'))",
                 "withColumn('n', F.col('n').withField('z', F.lit(1))).select('n.x', 'n.z')", "withColumn('n', F.col('n').dropFields('x')).select('n.y')", "select('*').drop('a', 'n').distinct()"):
        yield "read", files, f"result = spark.read.json(base + 'j/').{text}"
    folders = ("for y, m in (('2023', '12'), ('2024', '01'), ('2024', '02')):\n    put(f'p/year={y}/month={m}/a.csv', f'{m},x{m}\\n')\n    put(f'q/year={y}/month={m}/a.json', '{\"v\": ' + m.lstrip('0') + '}\\n')\n")
    for read in ("csv(base + 'p/')", "csv([base + 'p/year=2024/month=01', base + 'p/year=2024/month=02'])", "csv(base + 'p/year=2024/')", "csv(base + 'p/year=2023/month=12/a.csv')"):
        for options in (".option('basePath', base + 'p/')", ".option('basePath', base + 'p/').schema('a STRING, b STRING')", "" if "[" not in read else ".option('basePath', base + 'p/')"):
            yield "read", folders, f"result = spark.read{options}.{read}"
            yield "read", folders, f"result = spark.read{options}.{read}.select('*').filter('1 = 1').count()"
        json_read = read.replace("csv", "json").replace("'p/", "'q/")
        yield "read", folders, f"result = spark.read.option('basePath', base + 'q/').{json_read}"
        yield "read", folders, f"result = spark.read.option('basePath', base + 'q/').{json_read}.filter(\"year = '2024'\").select('v', 'month')"
    yield "expr", "d = spark.range(20)\n", "result = d.withColumn('i', F.monotonically_increasing_id()).select('id', F.col('i').isNotNull().alias('r'))"
    yield "expr", "d = spark.range(20)\n", "result = d.withColumn('i', F.monotonically_increasing_id()).agg(F.countDistinct('i').alias('n'))"
    yield "expr", "d = spark.range(6)\n", "e = d.withColumn('i', F.monotonically_increasing_id()).persist()\nresult = e.join(e.select('i', F.col('id').alias('j')), 'i').select('id', 'j')"


for n, (kind, setup, code) in enumerate(cases(), 1):
    print(json.dumps({"id": f"common-{n:03}", "area": "common", "kind": kind, "setup": setup, "code": code}))
for n, (kind, setup, code) in enumerate(scripts(), 1):
    print(json.dumps({"id": f"scripts-{n:04}", "area": "scripts", "kind": kind, "setup": setup, "code": code}))
