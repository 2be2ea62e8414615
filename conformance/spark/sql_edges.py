"""Writes cases of area `sqledges` for cases.jsonl: nodes of SQL text on the values at which engines part.

    python sql_edges.py > FILE && python run_cases.py FILE --record      (classic pyspark), then append FILE to cases.jsonl
"""

import json

NUMBERS = "(values (1, 1.005D, 2.5D, cast(2.445 as decimal(10,3)), 7), (2, -2.5D, 0.5D, cast(-2.445 as decimal(10,3)), -7), (3, null, 1e10D, cast(null as decimal(10,3)), null), (4, 0.0D, -0.5D, cast(99999.995 as decimal(10,3)), 2147483647)) as t(g, a, b, d, n)"
TEXTS = "(values (1, ''), (2, ' pad '), (3, 'a,b,,c'), (4, 'o''neil mc-donald'), (5, null), (6, 'İß'), (7, '2024-01-05T10:00:00Z'), (8, '12d'), (9, '1e3'), (10, '+7'), (11, '1.5'), (12, '2024-2-3'), (13, 'aXbX')) as t(g, s)"
TIMES = "(values (1, timestamp'2024-02-29 23:59:59.999999'), (2, timestamp'1969-12-31 23:59:59.5'), (3, null), (4, timestamp'2021-01-03 00:00:00'), (5, timestamp'2024-12-30 13:05:09')) as t(g, at)"
OVER_NUMBERS = [
    "round(a, 2)", "round(a)", "round(b)", "round(a, -1)", "bround(b)", "ceil(a)", "floor(a)", "ceil(d)", "floor(d)", "round(d, 2)", "round(d)", "abs(n)", "-n", "n + 1", "n * 2", "n / 2", "n % 4", "n div 2", "a / b", "a / 0", "n / 0", "n % 0",
    "d * d", "d / 3", "d + n", "d * 2", "cast(a as int)", "cast(b as int)", "cast(a as string)", "cast(d as string)", "cast(d as int)", "cast(n as smallint)", "cast(n as decimal(5,1))", "cast(a as decimal(10,2))", "cast(n as boolean)", "cast(d as double)",
    "greatest(a, b)", "least(a, n)", "greatest(n, d)", "coalesce(a, n)", "nullif(n, 7)", "if(n > 0, n, 0)", "case when n > 0 then 'up' when n < 0 then 'down' end", "case when n > 0 then n else 0 end", "case when a > 1 then d else n end", "sign(n)", "sqrt(abs(b))", "power(b, 2)", "ln(b)", "log10(b)", "exp(a)", "pmod(n, 4)",
    "n between -7 and 7", "n in (7, null)", "a = b", "n <=> null", "a > n", "shiftleft(n, 1)", "n & 3", "hex(n)", "format_number(d, 1)", "concat(n, '-', d)", "cast(n as timestamp)", "isnull(n)", "nvl2(n, 1, 0)", "width_bucket(b, 0, 10, 5)", "mod(d, 2)",
]
OVER_TEXTS = [
    "initcap(s)", "upper(s)", "lower(s)", "length(s)", "trim(s)", "ltrim(s)", "lpad(s, 3, 'xy')", "rpad(s, 3, '*')", "substring(s, -2)", "substring(s, 0, 2)", "left(s, 2)", "right(s, 2)", "instr(s, 'b')", "locate('X', s, 3)", "replace(s, ',', ';')", "replace(s, '', 'z')", "translate(s, 'aX', '1')", "split(s, ',')", "split(s, '')", "size(split(s, ','))",
    "concat(s, null)", "concat_ws('|', s, null, 'x')", "s || 'x'", "s like '%,%'", "s rlike '[0-9]+'", "regexp_replace(s, '[^a-z]', '')", "regexp_extract(s, '([0-9]+)', 1)", "cast(s as int)", "cast(s as bigint)", "cast(s as double)", "cast(s as decimal(10,2))", "cast(s as date)", "cast(s as timestamp)", "to_date(s)", "to_timestamp(s)", "cast(s as boolean)",
    "s = '12'", "s > 5", "s + 1", "coalesce(s, 'n')", "nullif(s, '')", "reverse(s)", "repeat(s, 2)", "ascii(s)", "md5(s)", "sha2(s, 256)", "crc32(s)", "substring_index(s, ',', -2)", "levenshtein(s, 'abc')", "soundex(s)", "char_length(s)", "contains(s, 'b')", "startswith(s, '')", "position('b' in s)", "base64(encode(s, 'utf-8'))", "case when s = '' then null else s end", "if(s is null, 'none', s)", "element_at(split(s, ','), 1)", "s in ('12d', '')", "overlay(s placing '#' from 2)",
]
OVER_TIMES = [
    "date_trunc('week', at)", "date_trunc('quarter', at)", "trunc(at, 'MM')", "cast(at as date)", "cast(at as string)", "cast(at as bigint)", "unix_timestamp(at)", "date_format(at, 'yyyy-MM-dd HH:mm:ss.SSS')", "date_format(at, 'hh:mm a')", "date_format(at, 'EEEE')", "year(at)", "quarter(at)", "weekofyear(at)", "dayofweek(at)", "extract(week from at)", "extract(second from at)", "hour(at)", "last_day(at)", "add_months(at, 1)", "date_add(at, 1)",
    "datediff(at, date'2024-01-01')", "months_between(at, date'2024-01-31')", "at + interval 1 month", "at - interval 36 hours", "date(at) - date'2024-01-01'", "from_utc_timestamp(at, 'America/New_York')", "next_day(at, 'FR')", "at > '2024-01-01'", "at between '2021-01-01' and '2024-03-01'", "to_unix_timestamp(at)", "date_part('doy', at)", "timestampadd(DAY, 1, at)", "timestampdiff(MONTH, at, timestamp'2024-12-31 00:00:00')", "make_date(year(at), 2, 28)", "second(at)", "dayofyear(at)",
]
WHOLE = [
    f"select sum(a), sum(d), sum(n) from {NUMBERS}", f"select min(a) as x, max(d) as y, max(n) as z from {NUMBERS}", f"select avg(n) as r from {NUMBERS}", f"select avg(d) as r from {NUMBERS}", f"select count(distinct a, b) as r from {NUMBERS}", f"select count(n) as c, count(*) as k, count_if(n > 0) as i from {NUMBERS}",
    f"select stddev(a) as s, variance(n) as v, corr(a, b) as c from {NUMBERS}", f"select g % 2 as k, sum(n) as s, sum(d * n) as p from {NUMBERS} group by g % 2 having count(*) > 0", f"select sort_array(collect_list(n)) as l, sort_array(collect_set(s)) as m from (select 1 as n, 'a' as s union all select null, 'a' union all select 3, null)",
    f"select g, sum(a) over (order by g rows between 1 preceding and 1 following) as r from {NUMBERS}", f"select g, sum(n) over (order by g) as r, lag(n, 1, 0) over (order by g) as l, lead(a) over (order by g desc) as e from {NUMBERS}", f"select g, first_value(n, true) over (order by g desc) as f, ntile(3) over (order by g) as t, percent_rank() over (order by n) as p from {NUMBERS}",
    f"select * from {NUMBERS} order by a desc nulls last, g", f"select g, n from {NUMBERS} order by n", f"select s from {TEXTS} order by s desc", f"select distinct length(s) as l from {TEXTS}", f"select g, e from {TEXTS} lateral view outer explode(split(s, ',')) x as e", "select size(null) as a, size(array()) as b, size(map('k', 1)) as c",
    "select cast('1e3' as int) as a, cast('12d' as double) as b, cast(' 7 ' as bigint) as c, cast('' as int) as d, cast('x' as date) as e", "select 5 / 2 as a, 5 div 2 as b, -5 % 3 as c, 1.0 / 3 as d, 2 * 0.1 as e, 1e0 / 3 as f", "select 0.1 + 0.2 as a, 0.1D + 0.2D as b, 100 * 1.10 as c, 1 / 3.0 as d", "select round(2.5) as a, round(-2.5) as b, round(1.005, 2) as c, round(1.005D, 2) as d, round(25, -1) as e",
    "select array_max(array(1, null, 3)) as a, array_contains(array(1, null), 2) as b, element_at(array(1, 2), 5) as c, array(1, 2)[5] as d, sort_array(array(2, null, 1)) as e", "select concat(array(1), array(2)) as a, slice(array(1, 2, 3), -2, 2) as b, array_join(array('a', null, 'b'), '-') as c, flatten(array(array(1), array(2))) as d", "select map('a', 1)['b'] as a, map_keys(map('a', 1, 'b', 2)) as b, element_at(map('a', 1), 'z') as c",
    "select from_json('{\"a\": 1, \"b\": [1, 2]}', 'a int, b array<int>') as j, get_json_object('{\"a\": {\"b\": 5}}', '$.a.b') as p, to_json(named_struct('x', 1, 'y', cast(null as string))) as t", "select coalesce(null, 1, 2.5) as a, nvl(null, 'x') as b, greatest(1, null, 3) as c, least('a', 'B') as d, if(null, 1, 2) as e", "select date'2024-01-31' + interval 1 month as a, date'2024-03-31' - interval 1 month as b, datediff('2024-03-01', '2024-02-28') as c, months_between('2024-02-29', '2024-01-31') as d",
    "select to_date('31/12/2023', 'dd/MM/yyyy') as a, to_timestamp('2024-01-05 10:11:12', 'yyyy-MM-dd HH:mm:ss') as b, date_format(date'2024-01-05', 'MMM d, yyyy') as c, unix_timestamp('2024-01-05', 'yyyy-MM-dd') as d", "select a.g, b.s from (values (1), (2), (null)) a(g) left join (values (1, 'x'), (null, 'y')) b(g, s) on a.g = b.g", "select a.g from (values (1), (2), (null)) a(g) where a.g not in (select g from (values (1)) b(g))", "select g from (values (1), (1), (null)) a(g) intersect select g from (values (1), (null)) b(g)", "select * from (select 'a' as k, 1 as v union all select 'b', 2) pivot (sum(v) for k in ('a', 'b'))",
    "select k, grouping(k) as gr, sum(v) as s from (values ('a', 1), ('b', 2), (null, 3)) t(k, v) group by rollup(k)", "select stack(2, 'a', 1, 'b', 2) as (k, v)", "with t as (select 1 as x union select 2) select x, count(*) over () as n from t", "select explode(sequence(1, 3)) as x", "select percentile(v, 0.5) as p, percentile_approx(v, 0.5) as q, median(v) as m from (values (1), (2), (10), (null)) t(v)", "select first(v) as f, last(v, true) as l, any_value(v) as a from (values (1), (null)) t(v)", "select xxhash64(1, 'a') as a, hash(1.5D) as b, crc32('x') as c, conv('ff', 16, 10) as d, bin(5) as e",
    f"select g, case when n > 0 then 1 when n < 0 then -1 else 0 end as r from {NUMBERS}", f"select sum(case when n > 0 then 1 else 0 end) as r, count(case when a is null then 1 end) as c from {NUMBERS}", f"select case when s like '%,%' then 1 end as r, count(*) as n from {TEXTS} group by 1",
    f"select g, case when at >= timestamp'2021-01-01 00:00:00' then 1 else 0 end as r from {TIMES}", f"select max(case when at is null then 0 else 1 end) as r from {TIMES}", f"select g, case n when 7 then 1 when -7 then 2 else null end as r from {NUMBERS}",
    f"select g, sum(case when s is null then 1 else 0 end) over (order by g) as r from {TEXTS}", f"select avg(case when n > 0 then 1 else 0 end) as r from {NUMBERS}", f"select g, case when a > b then 3 when a = b then 2 else 1 end + 1 as r from {NUMBERS}",
]


def cases():
    for table, expressions in ((NUMBERS, OVER_NUMBERS), (TEXTS, OVER_TEXTS), (TIMES, OVER_TIMES)):
        for text in expressions:
            yield f"select g, {text} as r from {table}"
    yield from WHOLE


def main():
    for number, text in enumerate(cases(), 1):
        case = {"id": f"sqledges-{number:03}", "area": "sqledges", "kind": "sql", "setup": "", "code": f"result = spark.sql({text!r})", "source": "recorded"}
        if " order by " in text and "over (" not in text and "group by" not in text:
            case["ordered"] = True
        print(json.dumps(case, ensure_ascii=False))


if __name__ == "__main__":
    main()
