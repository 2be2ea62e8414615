//! Files as they lie in lakes: whole, broken, compressed, partitioned.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, RecordBatch};

use crate::{LAZY, Lake, PARQUET, gzip};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn csv_of_the_crawler() {
    let lake = Lake::new().await;
    lake.table(
        "t",
        "a bigint, b double, c string, d timestamp, e date",
        "",
        LAZY,
        &[("field.delim", ","), ("skip.header.line.count", "1")],
    )
    .await;
    lake.put("t/1.csv", "a,b,c,d,e\n1,1.5,x,2013-01-01 05:00:00,2013-01-02\n2,NA\n,,,,\nx,y,\"z\",q,r,more\n").await;
    lake.put("t/2.csv.gz", gzip("a,b,c,d,e\n7,1e10,gz,2013-01-01T00:00:00,2013-01-01\n")).await;
    lake.put("t/_SUCCESS", "1,2,3\n").await;
    lake.put("t/.hidden", "1,2,3\n").await;
    lake.put("t/sub/3.csv", "a\n\\N,2,\\N\r\n").await;
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY \"$path\", a NULLS LAST, c").await,
        "\"1\",\"1.5\",\"x\",\"2013-01-01 05:00:00.000\",\"2013-01-02\"\n\"2\",,,,\n,,\"\",,\n,,\"\"\"z\"\"\",,\n\
         \"7\",\"1.0E10\",\"gz\",\"2013-01-01 00:00:00.000\",\"2013-01-01\"\n,\"2.0\",,,\n"
    );
    assert_eq!(lake.rows("SELECT count(*), count(a), sum(b) FROM t").await, "\"6\",\"3\",\"1.00000000035E10\"\n");
    assert_eq!(
        lake.rows("SELECT DISTINCT \"$path\" FROM t WHERE \"$path\" LIKE '%.gz'").await,
        "\"s3://b/t/2.csv.gz\"\n"
    );
    assert_eq!(lake.rows("SELECT *, \"$file_size\" > 5 FROM t LIMIT 0").await, "");
    assert!(lake.run("SELECT a FROM t").await.unwrap().scanned_bytes > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opencsv_knows_quotes() {
    let lake = Lake::new().await;
    let serde = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
    lake.table(
        "t",
        "a string, b string, n bigint",
        "",
        serde,
        &[("separatorChar", ","), ("quoteChar", "\""), ("skip.header.line.count", "1")],
    )
    .await;
    lake.put("t/1.csv", "a,b,n\n\"x,y\",\"say \"\"hi\"\"\",3\nonly\n").await;
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY n NULLS LAST").await,
        "\"x,y\",\"say \"\"hi\"\"\",\"3\"\n\"only\",,\n"
    );
    lake.put("t/2.csv", "a,b,n\n1,2,\n").await;
    let message = lake.fails("SELECT sum(n) FROM t").await;
    assert!(message.starts_with("HIVE_BAD_DATA: Error parsing field value '' for field 2"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn json_lines() {
    let lake = Lake::new().await;
    lake.table("t", "id int, tags array<string>, s struct<x:double>", "", "org.openx.data.jsonserde.JsonSerDe", &[])
        .await;
    lake.put("t/1.json", "{\"ID\":1,\"tags\":[\"a\",\"b\"],\"s\":{\"x\":2}}\n{\"id\":\"x\"}\n").await;
    assert_eq!(
        lake.rows("SELECT id, tags, s, s.x, cardinality(tags), tags[1] FROM t ORDER BY id").await,
        "\"1\",\"[a, b]\",\"{x=2.0}\",\"2.0\",\"2\",\"a\"\n,,,,,\n"
    );
    lake.put("t/2.json", "{\"id\":\n").await;
    assert!(lake.fails("SELECT * FROM t").await.starts_with("HIVE_CURSOR_ERROR: Row is not a valid JSON Object"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_pruned_and_found() {
    let lake = Lake::new().await;
    lake.table("t", "v int", "year int, month string", LAZY, &[("field.delim", ",")]).await;
    for year in 2010..2016 {
        lake.put(&format!("t/year={year}/month=1/f"), format!("{year}\n")).await;
        lake.partition("t", &[&year.to_string(), "1"], &format!("s3://b/t/year={year}/month=1/")).await;
    }
    lake.put("elsewhere/f", "7\n8\n").await;
    lake.partition("t", &["1999", "__HIVE_DEFAULT_PARTITION__"], "s3://b/elsewhere").await;
    lake.put("t/year=2050/month=1/f", "1\n").await;
    assert_eq!(
        lake.rows("SELECT count(*), sum(v), min(year), count(month) FROM t").await,
        "\"8\",\"12090\",\"1999\",\"6\"\n"
    );
    assert_eq!(lake.rows("SELECT v, year FROM t WHERE year > 2013 AND v < 2015").await, "\"2014\",\"2014\"\n");
    let before = lake.run("SELECT v FROM t WHERE year = 2011").await.unwrap().scanned_bytes;
    let after = lake.run("SELECT v FROM t WHERE year = 2011").await.unwrap().scanned_bytes;
    assert_eq!(after - before, 5);
    lake.partition("t", &["x", "1"], "s3://b/t/x/").await;
    assert!(
        lake.fails("SELECT * FROM t").await.contains("Invalid partition value 'x' for INTEGER partition key: year")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_whole_and_cut_short() {
    let lake = Lake::new().await;
    lake.run(
        "CREATE TABLE p WITH (format='PARQUET', external_location='s3://b/p/', partitioned_by=ARRAY['k']) AS \
              SELECT * FROM (VALUES (1, 'x', DATE '2013-01-01', 'k1'), (2, NULL, NULL, 'k2')) AS t(a, b, c, k)",
    )
    .await
    .unwrap();
    assert_eq!(lake.rows("SELECT * FROM p ORDER BY a").await, "\"1\",\"x\",\"2013-01-01\",\"k1\"\n\"2\",,,\"k2\"\n");
    assert_eq!(lake.rows("SELECT a FROM p WHERE k = 'k2' AND a > 0").await, "\"2\"\n");
    lake.table("q", "camelcase bigint, gone string", "", PARQUET, &[]).await;
    lake.put("q/f", camel_case()).await;
    assert_eq!(lake.rows("SELECT * FROM q WHERE CamelCase > 4").await, "\"5\",\n");
    let file = lake.rows("SELECT \"$path\" FROM p WHERE k = 'k1'").await;
    let whole = {
        let location = query::Location::parse(file.trim().trim_matches('"')).unwrap();
        let store = lake.storage.bucket("b").unwrap();
        let got = store.get_opts(&location.path().unwrap(), object_store::GetOptions::default()).await.unwrap();
        got.bytes().await.unwrap()
    };
    lake.table("cut", "a int, b string", "", PARQUET, &[]).await;
    for length in [3, 20, whole.len() / 2, whole.len() - 1] {
        lake.put("cut/f.parquet", whole[..length].to_vec()).await;
        let message = lake.fails("SELECT * FROM cut").await;
        assert!(message.starts_with("HIVE_C"), "{length}: {message}");
    }
    // The footer is whole, the pages are not.
    let mut holes = whole.to_vec();
    for byte in &mut holes[4..60] {
        *byte = 0xff;
    }
    lake.put("cut/f.parquet", holes).await;
    let message = lake.fails("SELECT * FROM cut").await;
    assert!(message.starts_with("HIVE_C"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_are_read_in_pieces() {
    let lake = Lake::new().await;
    lake.table("t", "a bigint, b string", "", LAZY, &[("field.delim", ","), ("skip.header.line.count", "1")]).await;
    let mut text = String::from("a,b\n");
    let rows = 900_000u64;
    for i in 0..rows {
        writeln!(text, "{i},some text that fills the line {}", i % 7).unwrap();
    }
    assert!(text.len() > 32 << 20);
    lake.put("t/big.csv", text.clone()).await;
    let expected = format!("\"{rows}\",\"{}\",\"{}\"\n", rows * (rows - 1) / 2, rows);
    assert_eq!(lake.rows("SELECT count(*), sum(a), count(b) FROM t").await, expected);
    lake.put("t/big.csv", "a,b\n").await;
    lake.put("t/big.csv.gz", gzip(&text)).await;
    assert_eq!(lake.rows("SELECT count(*), sum(a), count(b) FROM t").await, expected);
    let mut cut = gzip(&text);
    cut.truncate(cut.len() / 2);
    lake.put("t/big.csv.gz", cut).await;
    assert!(lake.fails("SELECT count(*) FROM t").await.starts_with("HIVE_CURSOR_ERROR"));
}

fn camel_case() -> Vec<u8> {
    let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 5]));
    let batch = RecordBatch::try_from_iter([("CamelCase", column)]).unwrap();
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file
}

/// What is written in a format and a compression is read back, by CTAS, INSERT and UNLOAD.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_format_and_compression_is_written_and_read() {
    const QUERY: &str = "SELECT * FROM (VALUES (true, CAST(1 AS tinyint), CAST(2 AS smallint), 3, 4, REAL '1.5', 2.5e0, 'ü', \
        CAST('v' AS varchar(3)), X'00ff', DATE '1969-12-31', TIMESTAMP '1969-12-31 23:59:59.123'), \
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)) \
        AS t (b, t, s, i, l, r, d, x, v, y, dt, ts)";
    const NESTED: &str = ", CAST(ROW(1, 'a') AS ROW(p integer, q varchar)) AS w, ARRAY[1, NULL] AS a, MAP(ARRAY['k'], ARRAY[2]) AS m, \
        DECIMAL '-1.50' AS c";
    let lake = Lake::new().await;
    let all = [
        ("ORC", "zlib snappy zstd lz4 none"),
        ("AVRO", "gzip snappy zstd bzip2 none"),
        ("PARQUET", "gzip snappy zstd none"),
        ("JSON", "gzip bzip2 zstd deflate snappy lz4 none"),
        ("TEXTFILE", "gzip bzip2 zstd deflate snappy lz4 none"),
    ];
    for (format, codecs) in all {
        let query =
            if format == "ORC" { QUERY.replace("1969", "1971") } else { QUERY.replacen('*', &format!("*{NESTED}"), 1) };
        for codec in codecs.split(' ') {
            let name = format!("w_{format}_{codec}").to_lowercase();
            let properties =
                format!("format='{format}', write_compression='{codec}', external_location='s3://b/{name}/'");
            lake.run(&format!("CREATE TABLE {name} WITH ({properties}) AS {query}")).await.unwrap();
            lake.run(&format!("INSERT INTO {name} SELECT * FROM {name}")).await.unwrap();
            let read = lake.run(&format!("SELECT * FROM {name} ORDER BY i")).await.unwrap();
            let want = lake.run(&format!("{query} UNION ALL {query} ORDER BY i")).await.unwrap();
            assert_eq!(lake.get(&read.output_location).await, lake.get(&want.output_location).await, "{name}");
            let to = format!("UNLOAD ({query}) TO 's3://b/un_{name}/' WITH (format='{format}', compression='{codec}')");
            assert_eq!(lake.run(&to).await.unwrap().update_count, 2, "{name}");
        }
    }
    let refused = lake.fails("CREATE TABLE o WITH (format='ORC') AS SELECT ARRAY[1] AS a").await;
    assert!(refused.contains("writing column a of type array<int> to ORC"), "{refused}");
    let sql = "CREATE TABLE o WITH (format='ORC') AS SELECT TIMESTAMP '1969-12-31 23:59:59.123' AS a";
    let refused = lake.fails(sql).await;
    assert!(refused.contains("NOT_SUPPORTED: Cannot encode timestamp"), "{refused}");
    let refused = lake.fails("CREATE TABLE o AS SELECT TIME '01:02:03.000' AS a").await;
    assert!(refused.contains("Unsupported Hive type: time(3)"), "{refused}");
    let refused = lake.fails("CREATE TABLE o AS SELECT 1 AS a, 2 AS A").await;
    assert!(refused.contains("DUPLICATE_COLUMN_NAME: line 1:1: Column name 'a' specified more than once"), "{refused}");
}
