//! Trino's language: types, functions, names, errors.

use crate::{LAZY, Lake};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_as_athena_prints_them() {
    let lake = Lake::new().await;
    for (sql, expected) in [
        ("SELECT 1, 'a\"b', NULL, '', true", "\"1\",\"a\"\"b\",,\"\",\"true\"\n"),
        ("SELECT 1.5, CAST(1 AS double), 1e10, CAST(0.1 AS real)", "\"1.5\",\"1.0\",\"1.0E10\",\"0.1\"\n"),
        ("SELECT DATE '2017-01-02', TIMESTAMP '2017-01-01 00:00:00'", "\"2017-01-02\",\"2017-01-01 00:00:00.000\"\n"),
        (
            "SELECT ARRAY[1, 2], MAP(ARRAY['a', 'b'], ARRAY[1, 2]), ROW(1, 'x')",
            "\"[1, 2]\",\"{a=1, b=2}\",\"{field0=1, field1=x}\"\n",
        ),
        ("SELECT CAST('hel' AS varbinary)", "\"68 65 6c\"\n"),
        ("SELECT TIMESTAMP '2017-01-01 00:00:00 America/New_York'", "\"2017-01-01 00:00:00.000 America/New_York\"\n"),
        ("VALUES (1, 'a'), (2, 'b')", "\"1\",\"a\"\n\"2\",\"b\"\n"),
        ("SELECT '{\"rowcount\":1}';", "\"{\"\"rowcount\"\":1}\"\n"),
    ] {
        assert_eq!(lake.rows(sql).await, expected, "{sql}");
    }
    let outcome = lake.run("SELECT 1 AS Foo, count(*), CAST(1 AS decimal(10,1)) d, ARRAY[1], 'x'").await.unwrap();
    let columns: Vec<_> =
        outcome.columns.iter().map(|c| (c.name.as_str(), c.ty.as_str(), c.precision, c.scale)).collect();
    assert_eq!(
        columns,
        [
            ("Foo", "integer", 10, 0),
            ("_col1", "bigint", 19, 0),
            ("d", "decimal", 10, 1),
            ("_col3", "array", 0, 0),
            ("_col4", "varchar", 1, 0)
        ]
    );
    assert_eq!(
        (outcome.statement_type.as_str(), outcome.substatement_type.as_str(), outcome.rows),
        ("DML", "SELECT", 1)
    );
    assert_eq!(outcome.output_location, "s3://results/athena/11111111-2222-3333-4444-555555555555.csv");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn functions_of_trino() {
    let lake = Lake::new().await;
    for (expression, expected) in [
        ("year(DATE '2013-03-10') + month(DATE '2013-03-10')", "2016"),
        ("day_of_week(DATE '2013-03-10')", "7"),
        ("extract(dow FROM DATE '2013-03-11')", "1"),
        ("date_trunc('month', DATE '2013-03-10')", "2013-03-01"),
        ("date_trunc('hour', TIMESTAMP '2013-03-10 11:12:13')", "2013-03-10 11:00:00.000"),
        ("date_add('day', -1, DATE '2013-03-01')", "2013-02-28"),
        ("date_diff('day', DATE '2013-01-01', DATE '2013-12-31')", "364"),
        ("DATE '2013-01-31' + INTERVAL '1' MONTH", "2013-02-28"),
        ("date_parse('2013-01-02 03:04:05', '%Y-%m-%d %H:%i:%s')", "2013-01-02 03:04:05.000"),
        ("date_format(TIMESTAMP '2013-01-02 03:04:05', '%d/%m/%y %T')", "02/01/13 03:04:05"),
        ("format_datetime(TIMESTAMP '2013-01-02 03:04:05', 'yyyy-MM-dd HH:mm')", "2013-01-02 03:04"),
        ("from_unixtime(0)", "1970-01-01 00:00:00.000 UTC"),
        ("to_unixtime(TIMESTAMP '1970-01-02 00:00:00')", "86400.0"),
        ("from_iso8601_timestamp('2013-01-01T05:00:00Z')", "2013-01-01 05:00:00.000 UTC"),
        ("TIMESTAMP '2013-01-01 12:00:00' AT TIME ZONE 'America/New_York'", "2013-01-01 07:00:00.000 America/New_York"),
        ("try_cast('x' AS integer)", "NULL"),
        ("try(CAST('x' AS integer))", "NULL"),
        ("try(1 / 0)", "NULL"),
        ("CAST(2.5e0 AS integer)", "3"),
        ("CAST(-2.5 AS bigint)", "-3"),
        ("typeof(1 + 1)", "integer"),
        ("typeof(3000000000)", "bigint"),
        ("typeof(1e0)", "double"),
        ("CAST(1.5e0 AS varchar)", "1.5E0"),
        ("CAST('abcdef' AS varchar(3))", "abc"),
        ("CAST(DATE '2013-01-01' AS varchar)", "2013-01-01"),
        ("concat('a', NULL)", "NULL"),
        ("concat('a', 'b', 'c') || 'd'", "abcd"),
        ("split('a,b,c', ',')[2]", "b"),
        ("split_part('a,b,c', ',', 3)", "c"),
        ("cardinality(split('a,b', ','))", "2"),
        ("element_at(ARRAY[1,2,3], -1)", "3"),
        ("element_at(ARRAY[1,2,3], 9)", "NULL"),
        ("element_at(MAP(ARRAY['a'], ARRAY[5]), 'a')", "5"),
        ("regexp_extract('flight 123', '(\\d+)')", "123"),
        ("regexp_replace('aXbX', 'X', '-')", "a-b-"),
        ("regexp_like('abc', 'b')", "true"),
        ("json_extract_scalar('{\"a\":{\"b\":[1,2]}}', '$.a.b[1]')", "2"),
        ("json_extract('{\"a\":{\"b\":1}}', '$.a')", "{\"b\":1}"),
        ("length('äbc')", "3"),
        ("strpos('abc', 'c')", "3"),
        ("upper('a') || lower('B') || trim(' c ') || reverse('ed')", "Abcde"),
        ("if(1 > 2, 'x', 'y')", "y"),
        ("coalesce(NULL, 3)", "3"),
        ("nullif(1, 1)", "NULL"),
        ("round(2.5e0)", "3.0"),
        ("7 / 2", "3"),
        ("mod(7, 2)", "1"),
        ("typeof(1)", "integer"),
        ("greatest(1, 3)", "3"),
        ("array_join(transform(ARRAY[1,2], x -> x * 10), '-')", "10-20"),
        ("cardinality(filter(ARRAY[1,2,3], x -> x > 1))", "2"),
        ("to_hex(CAST('hi' AS varbinary))", "6869"),
        ("typeof(1.5)", "decimal(2,1)"),
        ("1.0 / 3", "0.3"),
        ("100.0 * 2 / 3", "66.7"),
        ("-1.00 / 6", "-0.17"),
        ("CAST(ROW(1, 'a') AS JSON)", "{\"\":1,\"\":\"a\"}"),
    ] {
        let text = lake.rows(&format!("SELECT {expression}")).await;
        let text = text.trim_end().trim_matches('"').replace("\"\"", "\"");
        assert_eq!(if text.is_empty() { "NULL" } else { text.as_str() }, expected, "{expression}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aggregates_joins_windows() {
    let lake = Lake::new().await;
    lake.table("t", "Carrier string, delay double, dist bigint", "", LAZY, &[("field.delim", ",")]).await;
    lake.put("t/1", "AA,1,10\nAA,3,20\nB6,,30\n").await;
    for (sql, expected) in [
        (
            "SELECT carrier, avg(delay), count(*) FROM t GROUP BY carrier ORDER BY 1",
            "\"AA\",\"2.0\",\"2\"\n\"B6\",,\"1\"\n",
        ),
        (
            "SELECT CARRIER, sum(dist) FROM \"T\" GROUP BY 1 HAVING sum(dist) > 29 ORDER BY carrier",
            "\"AA\",\"30\"\n\"B6\",\"30\"\n",
        ),
        ("SELECT count_if(delay > 1), approx_distinct(carrier), arbitrary(delay) > 0 FROM t", "\"1\",\"2\",\"true\"\n"),
        ("SELECT max_by(carrier, dist), min_by(carrier, delay) FROM t", "\"B6\",\"AA\"\n"),
        ("SELECT approx_percentile(dist, 0.5) FROM t", "\"20\"\n"),
        (
            "SELECT array_agg(dist ORDER BY dist), listagg(carrier, '|') WITHIN GROUP (ORDER BY dist) FROM t",
            "\"[10, 20, 30]\",\"AA|AA|B6\"\n",
        ),
        (
            "SELECT dist, row_number() OVER (PARTITION BY carrier ORDER BY dist DESC) FROM t ORDER BY dist",
            "\"10\",\"2\"\n\"20\",\"1\"\n\"30\",\"1\"\n",
        ),
        (
            "WITH x AS (SELECT carrier c, max(dist) m FROM t GROUP BY carrier) SELECT a.dist FROM t a JOIN x ON a.carrier = x.c AND a.dist = x.m ORDER BY 1",
            "\"20\"\n\"30\"\n",
        ),
        ("SELECT n FROM UNNEST(sequence(1, 3)) AS u(n)", "\"1\"\n\"2\"\n\"3\"\n"),
        ("SELECT n, o FROM UNNEST(ARRAY['a','b']) WITH ORDINALITY AS u(n, o)", "\"a\",\"1\"\n\"b\",\"2\"\n"),
        ("SELECT carrier, carrier, dist d, dist d FROM t WHERE dist = 10", "\"AA\",\"AA\",\"10\",\"10\"\n"),
        ("SELECT 100.0 * count(delay) / count(*) > 66 FROM t", "\"true\"\n"),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'db'", "\"t\"\n"),
        ("SELECT carrier FROM t UNION SELECT 'ZZ' ORDER BY 1 LIMIT 2", "\"AA\"\n\"B6\"\n"),
        ("SELECT carrier FROM AwsDataCatalog.db.t ORDER BY dist OFFSET 2 LIMIT 5", "\"B6\"\n"),
    ] {
        assert_eq!(lake.rows(sql).await, expected, "{sql}");
    }
    let outcome = lake.run_with("SELECT Carrier FROM t WHERE dist > ? AND carrier = ?", &["15", "'AA'"]).await.unwrap();
    assert_eq!(lake.get(&outcome.output_location).await, "\"Carrier\"\n\"AA\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_are_named() {
    let lake = Lake::new().await;
    lake.table("t", "a int", "", LAZY, &[]).await;
    lake.put("t/f", "1\n").await;
    for (sql, expected) in [
        ("SELECT x FROM t", "COLUMN_NOT_FOUND: line 1:8: Column 'x' cannot be resolved"),
        ("SELECT a\n  , y FROM t", "COLUMN_NOT_FOUND: line 2:5: Column 'y' cannot be resolved"),
        ("SELECT * FROM nope", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.db.nope' does not exist"),
        ("SELECT *\nFROM db.nope", "TABLE_NOT_FOUND: line 2:6: Table 'awsdatacatalog.db.nope' does not exist"),
        ("SELECT * FROM nodb.t", "SCHEMA_NOT_FOUND: line 1:15: Schema 'nodb' does not exist"),
        ("SELECT foo(a) FROM t", "FUNCTION_NOT_FOUND: line 1:8: Function 'foo' not registered"),
        ("SELEC 1", "line 1:1: mismatched input 'SELEC'"),
        ("SELECT FROM", "line 1:"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT: Cannot cast 'x' to INT"),
        ("SELECT 1.0 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO: Division by zero"),
        ("SELECT date_parse('x', '%Y')", "INVALID_FUNCTION_ARGUMENT: Invalid format: \"x\""),
        ("SELECT `a` FROM t", "line 1:8: backquoted identifiers are not supported"),
        ("DELETE FROM t", "NOT_SUPPORTED: "),
    ] {
        let message = lake.fails(sql).await;
        assert!(message.starts_with(expected), "{sql}: {message}");
    }
}

#[tokio::test]
async fn what_reads_more_than_it_may_is_broken_off() {
    let mut lake = Lake::new().await;
    lake.storage = std::sync::Arc::new(query::Storage::memory().limited(Some(50)));
    let catalog = std::sync::Arc::clone(&lake.catalog) as std::sync::Arc<dyn query::catalog::Catalog>;
    lake.engine = query::Engine::new(std::sync::Arc::clone(&lake.storage), catalog);
    lake.table("t", "a int", "", LAZY, &[]).await;
    lake.put("t/a", "1\n2\n").await;
    assert_eq!(lake.rows("SELECT count(*) FROM t").await, "\"2\"\n");
    assert!(!lake.engine.is_past_limit());
    lake.put("t/b", "3\n".repeat(50)).await;
    assert_eq!(lake.fails("SELECT sum(a) FROM t").await, "Bytes scanned limit was exceeded");
    assert!(lake.engine.is_past_limit() && lake.engine.scanned_bytes() > 50);
}

#[tokio::test]
async fn rows_are_answered_where_they_are_asked_for() {
    let lake = Lake::new().await;
    let job = query::Job {
        inline: true,
        output: String::new(),
        ..Lake::job("SELECT 1.50, NULL UNION ALL SELECT 2, 'a' ORDER BY 1", &[])
    };
    let outcome = lake.engine.run(&job).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(outcome.values, [vec![text("1.50"), None], vec![text("2.00"), text("a")]]);
    assert_eq!((outcome.rows, outcome.output_location.as_str()), (2, ""));
}
