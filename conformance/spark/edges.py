"""Writes cases of area `edges` for cases.jsonl: constructs that scripts are made of, on the values at which engines part.

    python edges.py > FILE && python run_cases.py FILE --record      (classic pyspark), then append FILE to cases.jsonl
"""

import json

ROWS = {
    "int": "(1, -2147483648), (2, 2147483647), (3, 0), (4, -1), (5, 7), (6, None), (7, -15)",
    "bigint": "(1, -9223372036854775808), (2, 9223372036854775807), (3, 0), (4, -1), (5, 9007199254740993), (6, None)",
    "double": "(1, float('nan')), (2, float('inf')), (3, float('-inf')), (4, -0.0), (5, 0.5), (6, 2.5), (7, -2.5), (8, 1.005), (9, 1e300), (10, 5e-324), (11, None), (12, 123456789.987654321), (13, 1e7), (14, 0.001), (15, 0.0001)",
    "decimal(12,3)": "(1, Decimal('-0.005')), (2, Decimal('999999999.999')), (3, Decimal('-999999999.999')), (4, Decimal('0.000')), (5, Decimal('2.445')), (6, Decimal('-2.555')), (7, None)",
    "string": "(1, ''), (2, '  '), (3, '\\t x\\n'), (4, 'İstanbul ß'), (5, '\\U0001d4b3y'), (6, 'a,b,,c,'), (7, '1e3'), (8, ' 12 '), (9, '+7'), (10, '-0'), (11, 'NaN'), (12, 'true'), (13, '2024-02-30'), (14, '2024-1-5'), (15, '2024-01-05T10:00:00Z'), (16, '1.'), (17, '.5'), (18, '12d'), (19, None), (20, 'o\\'neil MC-DONALD'), (21, '2147483648'), (22, '1.99'), (23, 'Infinity'), (24, '%_\\\\'), (25, 'aXbXc')",
    "date": "(1, datetime.date(3, 3, 1)), (2, datetime.date(1582, 10, 4)), (3, datetime.date(1582, 10, 15)), (4, datetime.date(1970, 1, 1)), (5, datetime.date(9997, 12, 31)), (6, datetime.date(2024, 2, 29)), (7, datetime.date(2021, 1, 3)), (8, datetime.date(2020, 12, 31)), (9, None), (10, datetime.date(2023, 1, 31))",
    "timestamp": "(1, datetime.datetime(1900, 1, 1, 0, 0, 0, 1)), (2, datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)), (3, datetime.datetime(2024, 12, 30, 12, 30)), (4, datetime.datetime(2021, 1, 3, 23, 59, 59, 500000)), (5, datetime.datetime(2023, 1, 31, 0, 0)), (6, None), (7, datetime.datetime(2024, 2, 29, 13, 5, 9, 123456))",
    "boolean": "(1, True), (2, False), (3, None)",
    "array<int>": "(1, [3, None, 1, 3]), (2, []), (3, None), (4, [None]), (5, [2147483647, -1])",
    "array<string>": "(1, ['b', None, '', 'B', 'ä']), (2, []), (3, None), (4, ['b'])",
    "map<string,int>": "(1, {'a': 1, 'b': None}), (2, {}), (3, None)",
}
EXPRESSIONS = {
    "int": ["F.col('v') + 1", "F.col('v') * 2", "F.col('v') - F.lit(1)", "-F.col('v')", "F.abs('v')", "F.col('v') % 4", "F.col('v') % 0", "F.col('v') / 0",
            "F.col('v').cast('short')", "F.col('v').cast('byte')", "F.col('v').cast('boolean')", "F.col('v').cast('decimal(5,2)')", "F.col('v').cast('string')",
            "F.round('v', -1)", "F.hash('v')", "F.xxhash64('v')", "F.hex('v')", "F.bin('v')", "F.col('v').bitwiseAND(255)", "F.greatest('v', 'g')", "F.col('v').cast('timestamp')",
            "F.pmod('v', F.lit(4))", "F.format_number('v', 2)", "F.conv(F.col('v').cast('string'), 10, 16)", "F.shiftright('v', 3)", "F.lpad(F.col('v').cast('string'), 5, '0')"],
    "bigint": ["F.col('v') + 1", "F.col('v') * 3", "F.col('v').cast('int')", "F.col('v').cast('double')", "F.col('v').cast('decimal(20,0)')", "F.col('v') % 10", "F.abs('v')", "F.col('v') == 9007199254740992.0",
               "F.round('v', -3)", "F.col('v') / 3", "F.hash('v')", "F.from_unixtime(F.col('v') % 100000)", "F.expr('v div 2')"],
    "double": ["F.round('v')", "F.round('v', 2)", "F.round('v', -1)", "F.bround('v', 0)", "F.floor('v')", "F.ceil('v')", "F.sqrt('v')", "F.col('v').cast('int')", "F.col('v').cast('bigint')", "F.col('v').cast('string')",
               "F.col('v').cast('decimal(10,2)')", "F.col('v').cast('boolean')", "F.col('v') % 2", "F.col('v') / 0", "F.abs('v')", "-F.col('v')", "F.greatest('v', F.lit(1.0))", "F.least('v', F.lit(1.0))", "F.col('v') == F.col('v')",
               "F.col('v') > 1", "F.col('v') <= F.lit(float('nan'))", "F.col('v').eqNullSafe(F.lit(float('nan')))", "F.isnan('v')", "F.nanvl('v', F.lit(0.0))", "F.pow('v', F.lit(2))", "F.exp('v')", "F.log('v')", "F.log10('v')", "F.signum('v')",
               "F.col('v').isin(0.0, 0.5)", "F.col('v').cast('float')", "F.hash('v')", "F.format_number('v', 2)", "F.col('v').cast('timestamp').cast('string')", "F.rint('v')", "F.when(F.col('v') > 0, F.col('v')).otherwise(F.lit(0))", "F.col('v').between(-1, 3)", "F.concat(F.lit('x'), F.col('v'))", "F.to_json(F.struct('v'))", "F.col('v') + F.lit(1)"],
    "decimal(12,3)": ["F.round('v', 2)", "F.round('v')", "F.round('v', -2)", "F.bround('v', 2)", "F.floor('v')", "F.ceil('v')", "F.col('v').cast('int')", "F.col('v').cast('double')", "F.col('v').cast('string')", "F.col('v').cast('decimal(6,1)')", "F.col('v') * F.col('v')",
                      "F.col('v') / 3", "F.col('v') + F.lit(1)", "F.col('v') - F.col('g')", "F.col('v') % 2", "-F.col('v')", "F.abs('v')", "F.col('v') * 1.5", "F.col('v') == 0", "F.greatest('v', F.lit(1))", "F.col('v').cast('boolean')", "F.sqrt('v')", "F.col('v').cast('bigint')", "F.col('v') / F.col('v')", "F.hash('v')", "F.to_json(F.struct('v'))"],
    "string": ["F.upper('v')", "F.lower('v')", "F.initcap('v')", "F.length('v')", "F.trim('v')", "F.ltrim('v')", "F.rtrim('v')", "F.lpad('v', 3, 'xy')", "F.rpad('v', 4, '')", "F.substring('v', -2, 2)", "F.substring('v', 0, 2)", "F.substring('v', 2, 100)", "F.instr('v', '')", "F.instr('v', 'b')", "F.locate('X', 'v', 3)",
               "F.translate('v', 'abX', '12')", "F.regexp_replace('v', '[^a-z0-9]+', '_')", "F.regexp_replace('v', '(\\\\w)(\\\\d)', '$2-$1')", "F.regexp_extract('v', '(\\\\d+)-(\\\\d+)', 2)", "F.regexp_extract('v', '^x', 0)", "F.split('v', ',')", "F.split('v', ',', 2)", "F.split('v', '')", "F.split('v', 'X', -1)", "F.concat('v', F.lit(None).cast('string'))", "F.concat_ws('|', 'v', F.lit(None).cast('string'), 'g')",
               "F.col('v').like('%\\\\_%')", "F.col('v').like('_')", "F.col('v').rlike('^[a-z]+$')", "F.col('v').startswith('')", "F.col('v').endswith('c')", "F.col('v').contains('b')", "F.col('v').cast('int')", "F.col('v').cast('bigint')", "F.col('v').cast('double')", "F.col('v').cast('decimal(10,2)')", "F.col('v').cast('boolean')", "F.col('v').cast('date')", "F.col('v').cast('timestamp')",
               "F.to_date('v')", "F.to_date('v', 'yyyy-MM-dd')", "F.to_timestamp('v')", "F.md5('v')", "F.sha2('v', 512)", "F.sha1('v')", "F.hash('v')", "F.reverse('v')", "F.repeat('v', 2)", "F.ascii('v')", "F.base64('v')", "F.soundex('v')", "F.levenshtein('v', F.lit('abc'))", "F.col('v') == ' 12 '", "F.col('v') == 12", "F.col('v') > 5", "F.col('v') + 1", "F.coalesce('v', F.lit('n'))", "F.when(F.col('v') == '', None).otherwise(F.col('v'))",
               "F.size(F.split('v', ','))", "F.element_at(F.split('v', ','), -1)", "F.to_json(F.struct('v'))", "F.substring_index('v', ',', 2)", "F.substring_index('v', ',', -2)", "F.overlay('v', F.lit('##'), 2, 1)", "F.crc32('v')", "F.encode('v', 'UTF-8')", "F.upper(F.trim('v'))", "F.unix_timestamp('v', 'yyyy-MM-dd')", "F.octet_length('v')", "F.col('v').isin('', 'true')", "F.col('v').substr(1, 1)"],
    "date": ["F.date_add('v', 1)", "F.date_sub('v', 400)", "F.add_months('v', 1)", "F.add_months('v', -13)", "F.last_day('v')", "F.trunc('v', 'week')", "F.trunc('v', 'quarter')", "F.trunc('v', 'YYYY')", "F.trunc('v', 'nonsense')", "F.date_trunc('week', 'v')", "F.weekofyear('v')", "F.dayofweek('v')", "F.dayofyear('v')", "F.weekday('v')", "F.year('v')", "F.quarter('v')", "F.months_between('v', F.lit('2024-01-31').cast('date'))",
             "F.datediff('v', F.lit('2000-01-01').cast('date'))", "F.date_format('v', 'dd/MM/yyyy')", "F.date_format('v', 'EEEE, MMMM d')", "F.date_format('v', 'D')", "F.date_format('v', 'yy')", "F.date_format('v', 'E')", "F.col('v').cast('string')", "F.col('v').cast('timestamp')", "F.next_day('v', 'Mon')", "F.unix_timestamp(F.col('v').cast('timestamp'))", "F.col('v') > '2000-01-01'", "F.col('v').cast('int')", "F.date_format('v', \"yyyy-MM-dd'T'HH:mm\")", "F.to_json(F.struct('v'))", "F.hash('v')", "F.extract(F.lit('week'), 'v') if hasattr(F, 'extract') else F.weekofyear('v')", "F.col('v') + F.expr('interval 1 month')"],
    "timestamp": ["F.date_trunc('quarter', 'v')", "F.date_trunc('week', 'v')", "F.date_trunc('minute', 'v')", "F.date_trunc('millisecond', 'v')", "F.date_trunc('day', 'v')", "F.date_format('v', 'HH:mm:ss.SSS')", "F.date_format('v', 'hh:mm a')", "F.date_format('v', 'yyyyMMddHHmmss')", "F.date_format('v', 'yyyy-MM-dd HH:mm:ss.SSSSSS')", "F.col('v').cast('string')", "F.col('v').cast('date')", "F.col('v').cast('long')", "F.col('v').cast('double')", "F.unix_timestamp('v')", "F.hour('v')", "F.second('v')", "F.weekofyear('v')", "F.months_between('v', F.lit('2024-02-29 00:00:00').cast('timestamp'))",
                  "F.col('v') + F.expr('interval 1 day')", "F.col('v') - F.expr('interval 1 month')", "F.from_utc_timestamp('v', 'America/New_York')", "F.to_utc_timestamp('v', 'Europe/Berlin')", "F.datediff('v', F.lit('2023-01-31').cast('date'))", "F.add_months('v', 1)", "F.to_json(F.struct('v'))", "F.col('v').cast('int')", "F.window('v', '1 hour')", "F.last_day('v')", "F.trunc('v', 'MM')", "F.hash('v')"],
    "boolean": ["F.col('v').cast('string')", "F.col('v').cast('int')", "F.col('v').cast('decimal(3,1)')", "F.col('v') & F.lit(None).cast('boolean')", "F.col('v') | F.lit(None).cast('boolean')", "F.hash('v')"],
    "array<int>": ["F.sort_array('v')", "F.sort_array('v', asc=False)", "F.array_contains('v', 3)", "F.size('v')", "F.element_at('v', -1)", "F.element_at('v', 9)", "F.explode_outer('v')", "F.explode('v')", "F.posexplode_outer('v')", "F.array_distinct('v')", "F.array_max('v')", "F.array_min('v')", "F.transform('v', lambda x: x + 1)", "F.filter('v', lambda x: x > 1)", "F.aggregate('v', F.lit(0), lambda a, x: a + F.coalesce(x, F.lit(0)))", "F.array_join(F.transform('v', lambda x: x.cast('string')), '-')", "F.slice('v', 2, 2)", "F.array_remove('v', 3)", "F.array_union('v', F.array(F.lit(3), F.lit(4)))", "F.array_except('v', F.array(F.lit(3)))", "F.exists('v', lambda x: x > 1)", "F.reverse('v')", "F.concat('v', 'v')", "F.to_json('v')", "F.col('v')[1]", "F.array_position('v', 3)", "F.arrays_zip('v', 'v')", "F.col('v').cast('string')", "F.flatten(F.array('v', 'v'))"],
    "array<string>": ["F.array_join('v', ',')", "F.array_join('v', ',', 'N')", "F.sort_array('v')", "F.array_sort('v')", "F.concat_ws('-', 'v')", "F.array_contains('v', 'b')", "F.to_json(F.struct('v'))", "F.size('v')", "F.explode('v')", "F.transform('v', F.upper)", "F.col('v').cast('string')"],
    "map<string,int>": ["F.col('v')['a']", "F.element_at('v', 'b')", "F.map_keys('v')", "F.map_values('v')", "F.size('v')", "F.explode_outer('v')", "F.to_json('v')", "F.map_entries('v')", "F.map_concat('v', F.create_map(F.lit('c'), F.lit(3)))", "F.transform_values('v', lambda k, x: x + 1)", "F.map_filter('v', lambda k, x: x > 0)", "F.col('v').cast('string')"],
}
FRAMES = [
    "d.groupBy((F.col('g') % 3).alias('k')).agg(F.count('v'), F.countDistinct('v'), F.min('v'), F.max('v'))", "d.agg(F.sum('v'))", "d.orderBy('v', 'g')", "d.orderBy(F.desc('v'), 'g')",
    "d.select('v').distinct()", "d.groupBy('v').count()", "d.filter(F.col('v') != F.lit(0))", "d.withColumn('r', F.row_number().over(W.partitionBy(F.col('g') % 2).orderBy('v', 'g')))",
    "d.withColumn('r', F.sum('v').over(W.orderBy('g').rowsBetween(-1, 1)))", "d.withColumn('r', F.lag('v', 1, 5).over(W.orderBy('g')))", "d.join(d.withColumnRenamed('g', 'h'), 'v')",
    "d.withColumn('r', F.last('v', ignorenulls=True).over(W.orderBy('g')))", "d.na.fill(1)", "d.na.drop()", "d.summary('count', 'min', 'max')", "d.agg(F.stddev('v'), F.variance('v'))",
    "d.agg(F.avg('v'))",
]
FRAMED = ["int", "double", "decimal(12,3)"]
#: What further scripts were made of.
MORE = [
    ("int", "d.select('g', F.when(F.col('v') > 0, 1).otherwise(0).alias('r'))"), ("double", "d.select('g', F.when(F.col('v') > 0, 1).when(F.col('v') == 0, 0).otherwise(-1).alias('r'))"),
    ("string", "d.select('g', F.when(F.col('v') == '', 1).alias('r'))"), ("date", "d.agg(F.sum(F.when(F.col('v').isNull(), 1).otherwise(0)).alias('r'))"),
    ("string", "d.select('g', F.concat(F.lit('/'), F.split('v', ',')[0]).alias('r'))"), ("date", "d.filter(F.col('v') >= F.lit('2021-01-03').cast('date'))"),
    ("date", "d.filter(F.col('v').isin([datetime.date(2024, 2, 29), datetime.date(1970, 1, 1)]))"), ("decimal(12,3)", "d.select('g', (F.col('v') * F.col('g')).alias('r'))"),
    ("decimal(12,3)", "d.groupBy((F.col('g') % 2).alias('k')).agg(F.sum(F.col('v') * F.col('g')).alias('r'))"), ("decimal(12,3)", "d.select('g', (F.col('v') * F.lit(2)).alias('r'))"),
    ("string", "d.select('g', F.get_json_object('v', '$.a').alias('r'))"), ("int", "d.select('g', F.to_json(F.struct('v')).alias('r'))"),
    ("timestamp", "d.select('g', F.col('v').cast('long').alias('r'))"), ("int", "d.select('g', F.expr('case when v > 0 then 1 else 0 end').alias('r'))"),
    ("double", "d.select('g', F.col('v').cast('decimal(10,2)').alias('r')).groupBy('r').count()"), ("int", "d.withColumn('r', F.when(F.col('v') >= 0, F.lit('up')).otherwise(F.lit('down'))).groupBy('r').agg(F.count('*').alias('n'), F.max('v').alias('m'))"),
]


def cases():
    for kind, expressions in EXPRESSIONS.items():
        setup = f"d = spark.createDataFrame([{ROWS[kind]}], 'g int, v {kind}')\n"
        for text in expressions:
            # A column of its own name; generators that give several columns keep theirs.
            named = text if "posexplode" in text or kind.startswith("map") and "explode" in text else f"({text}).alias('r')"
            yield setup, f"result = d.select('g', {named})"
    for kind in FRAMED:
        for text in FRAMES:
            yield f"d = spark.createDataFrame([{ROWS[kind]}], 'g int, v {kind}')\n", f"result = {text}"
    for kind, text in MORE:
        yield f"d = spark.createDataFrame([{ROWS[kind]}], 'g int, v {kind}')\n", f"result = {text}"


def main():
    for number, (setup, code) in enumerate(cases(), 1):
        case = {"id": f"edges-{number:03}", "area": "edges", "kind": "expr", "setup": setup, "code": code, "source": "recorded"}
        if "orderBy(" in code.split("over(")[0].split("W.")[0]:
            case["ordered"] = True
        print(json.dumps(case, ensure_ascii=False))


if __name__ == "__main__":
    main()
