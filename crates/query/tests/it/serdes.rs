//! SerDes and file formats as a query meets them. What Trino's Hive connector answers was asked of it.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Field};

use crate::{LAZY, Lake, PARQUET, gzip};

const CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
const OPENX: &str = "org.openx.data.jsonserde.JsonSerDe";
const REGEX: &str = "org.apache.hadoop.hive.serde2.RegexSerDe";
const GROK: &str = "com.amazonaws.glue.serde.GrokSerDe";
const ORC: &str = "org.apache.hadoop.hive.ql.io.orc.OrcSerde";
const AVRO: &str = "org.apache.hadoop.hive.serde2.avro.AvroSerDe";

fn batch() -> RecordBatch {
    let id: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let name: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let row: ArrayRef = Arc::new(StructArray::from(vec![(
        Arc::new(Field::new("K", DataType::Int64, true)),
        Arc::new(Int64Array::from(vec![7, 8])) as ArrayRef,
    )]));
    RecordBatch::try_from_iter_with_nullable([("Id", id, true), ("Name", name, true), ("r", row, true)]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_maps_and_structs_in_text() {
    let lake = Lake::new().await;
    let properties = [("field.delim", "|"), ("collection.delim", ","), ("mapkey.delim", ":"), ("escape.delim", "\\")];
    lake.table("t", "id int, l array<string>, m map<string,int>, s struct<a:int,b:string>", "", LAZY, &properties)
        .await;
    lake.put("t/a.txt", "1|a,b\\,c|x:1,y:2|5,z\n2||\\N|\n").await;
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY id").await,
        "\"1\",\"[a, b,c]\",\"{x=1, y=2}\",\"{a=5, b=z}\"\n\"2\",\"[]\",,\"{a=null, b=null}\"\n"
    );
    assert_eq!(lake.rows("SELECT m FROM t WHERE id = 1").await, "\"{x=1, y=2}\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opencsv_types_are_those_of_the_guide() {
    let lake = Lake::new().await;
    lake.table("t", "t timestamp, d date, b boolean, n bigint", "", CSV, &[]).await;
    lake.put("t/a.csv", "\"1767322245678\",\"20455\",\"true\",\"12\"\n").await;
    assert_eq!(lake.rows("SELECT * FROM t").await, "\"2026-01-02 02:50:45.678\",\"2026-01-02\",\"true\",\"12\"\n");
    for (name, column, value) in
        [("a", "t timestamp", "2026-01-02 00:00:00"), ("b", "d date", "2026-01-02"), ("c", "n int", "")]
    {
        lake.table(name, column, "", CSV, &[]).await;
        lake.put(&format!("{name}/f"), format!("\"{value}\"\n")).await;
        let message = lake.fails(&format!("SELECT * FROM {name}")).await;
        assert!(message.starts_with("HIVE_BAD_DATA: Error parsing field value"), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patterns_split_lines() {
    let lake = Lake::new().await;
    let pattern = "(?<!x)([a-z]+)-(\\d+) (.*)";
    lake.table("r", "word string, n int, rest string", "", REGEX, &[("input.regex", pattern)]).await;
    lake.put("r/a.log", "abc-12 the rest\nno match\nabc-99999999999 \n").await;
    assert_eq!(lake.rows("SELECT * FROM r ORDER BY n, rest").await, "\"abc\",\"12\",\"the rest\"\n\"abc\",,\"\"\n,,\n");
    let grok = [
        ("input.format", "%{IP:client} %{VERB:Verb} %{NUMBER:bytes:int}"),
        ("input.grokCustomPatterns", "VERB GET|PUT"),
    ];
    lake.table("g", "client string, verb string, bytes int", "", GROK, &grok).await;
    lake.put("g/a.log", "10.0.0.1 GET 512\n10.0.0.2 TRACE 1\n").await;
    assert_eq!(lake.rows("SELECT * FROM g ORDER BY client").await, "\"10.0.0.1\",\"GET\",\"512\"\n,,\n");
    lake.table("bad", "a string", "", REGEX, &[("input.regex", "(")]).await;
    assert!(lake.fails("SELECT * FROM bad").await.starts_with("HIVE_INVALID_METADATA: input.regex"));
    lake.table("ion", "a string", "", "com.amazon.ionhiveserde.IonHiveSerDe", &[]).await;
    assert!(lake.fails("SELECT * FROM ion").await.contains("SerDe com.amazon.ionhiveserde.IonHiveSerDe"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compressed_files_are_never_taken_for_text() {
    let lake = Lake::new().await;
    lake.table("t", "id int, s string", "", LAZY, &[("field.delim", ","), ("skip.header.line.count", "1")]).await;
    let text = "id,s\n1,a\n2,b\n";
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(text.as_bytes()).unwrap();
    lake.put("t/a.csv.bz2", bzip2.finish().unwrap()).await;
    lake.put("t/b.csv.zst", zstd::encode_all(text.as_bytes(), 0).unwrap()).await;
    lake.put("t/c.csv.gz", gzip(text)).await;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    zlib.write_all(text.as_bytes()).unwrap();
    lake.put("t/d.csv.deflate", zlib.finish().unwrap()).await;
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(text.as_bytes()).unwrap();
    lake.put("t/e.csv.snappy", snappy.into_inner().unwrap()).await;
    assert_eq!(lake.rows("SELECT count(*), sum(id), max(s) FROM t").await, "\"10\",\"15\",\"b\"\n");
    lake.put("t/f.csv", gzip(text)).await;
    assert!(lake.fails("SELECT count(*) FROM t").await.starts_with("HIVE_CANNOT_OPEN_SPLIT"));
    lake.put("t/f.csv", "").await;
    lake.put("t/g.csv.lzo", "x").await;
    assert!(lake.fails("SELECT count(*) FROM t").await.contains("LZO"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_footers_marks_and_line_ends() {
    let lake = Lake::new().await;
    let both = [("skip.header.line.count", "2"), ("skip.footer.line.count", "1")];
    lake.table("t", "s string", "", LAZY, &both).await;
    lake.put("t/a", "h1\nh2\n1\r\n2\r3\nfoot").await;
    lake.put("t/b.gz", gzip("h1\nh2\n4\nfoot\n")).await;
    lake.put("t/c", "h1\n").await;
    assert_eq!(lake.rows("SELECT s FROM t ORDER BY s").await, "\"1\"\n\"2\"\n\"3\"\n\"4\"\n");
    lake.table("bom", "a int", "", OPENX, &[]).await;
    lake.put("bom/a.json", b"\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n".to_vec()).await;
    assert_eq!(lake.rows("SELECT count(*), sum(a) FROM bom").await, "\"2\",\"3\"\n");
    lake.table("wrong", "s string", "", LAZY, &[("skip.header.line.count", "x")]).await;
    assert!(lake.fails("SELECT * FROM wrong").await.contains("skip.header.line.count"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orc_and_avro_files() {
    let lake = Lake::new().await;
    // The writer knows no structs.
    let flat = batch().project(&[0, 1]).unwrap();
    let mut orc = Vec::new();
    let mut writer = orc_rust::ArrowWriterBuilder::new(&mut orc, flat.schema()).try_build().unwrap();
    writer.write(&flat).unwrap();
    writer.close().unwrap();
    let mut avro = Vec::new();
    let mut writer = arrow_avro::writer::AvroWriter::new(&mut avro, batch().schema().as_ref().clone()).unwrap();
    writer.write(&batch()).unwrap();
    writer.finish().unwrap();
    // By position in ORC unless said otherwise, by name in Avro.
    for (name, columns, serde, properties, body, expected) in [
        ("o", "a bigint, b string", ORC, vec![], &orc, "\"1\",\"x\"\n,\"y\"\n"),
        (
            "n",
            "name string, id int, gone date",
            ORC,
            vec![("orc.column.index.access", "false")],
            &orc,
            "\"x\",\"1\",\n\"y\",,\n",
        ),
        (
            "v",
            "name string, id bigint, r struct<k:bigint>, gone int",
            AVRO,
            vec![],
            &avro,
            "\"x\",\"1\",\"{k=7}\",\n\"y\",,\"{k=8}\",\n",
        ),
    ] {
        lake.table(name, columns, "", serde, &properties).await;
        lake.put(&format!("{name}/f"), body.clone()).await;
        let first = if name == "o" { "b" } else { "name" };
        assert_eq!(lake.rows(&format!("SELECT * FROM {name} ORDER BY {first}")).await, expected, "{name}");
        assert_eq!(lake.rows(&format!("SELECT count(*) FROM {name}")).await, "\"2\"\n", "{name}");
        assert_eq!(lake.rows(&format!("SELECT count(*) FROM {name} WHERE \"$file_size\" > 0")).await, "\"2\"\n");
        lake.put(&format!("{name}/f"), body[..body.len() / 2].to_vec()).await;
        let message = lake.fails(&format!("SELECT * FROM {name}")).await;
        assert!(message.starts_with("HIVE_"), "{message}");
    }
    lake.table("bad", "a string", "", ORC, &[]).await;
    lake.put("bad/f", orc).await;
    let message = lake.fails("SELECT a FROM bad").await;
    assert!(message.starts_with("HIVE_BAD_DATA: Malformed ORC file. Cannot read SQL type 'varchar'"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parquet_types_that_differ() {
    let lake = Lake::new().await;
    let mut file = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch().schema(), None).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    lake.table("t", "id bigint, r struct<k:bigint,l:string>, later string", "", PARQUET, &[]).await;
    lake.put("t/f", file.clone()).await;
    assert_eq!(
        lake.rows("SELECT id, r, later, r.k FROM t ORDER BY r.k").await,
        "\"1\",\"{k=7, l=null}\",,\"7\"\n,\"{k=8, l=null}\",,\"8\"\n"
    );
    assert_eq!(lake.rows("SELECT id FROM t WHERE id < 5 AND r.k = 7").await, "\"1\"\n");
    for (name, columns) in [("a", "name bigint"), ("b", "id string"), ("c", "id double"), ("d", "r int")] {
        lake.table(name, columns, "", PARQUET, &[]).await;
        lake.put(&format!("{name}/f"), file.clone()).await;
        let message = lake.fails(&format!("SELECT * FROM {name}")).await;
        assert!(
            message.starts_with("HIVE_BAD_DATA: Field ") && message.contains("is incompatible with type"),
            "{message}"
        );
    }
    lake.table("i", "a int, b string", "", PARQUET, &[("parquet.column.index.access", "true")]).await;
    lake.put("i/f", file).await;
    assert_eq!(lake.rows("SELECT a, b FROM i ORDER BY b").await, "\"1\",\"x\"\n,\"y\"\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_lead_to_files() {
    use query::catalog::{Catalog, StorageDescriptor};

    let lake = Lake::new().await;
    lake.table("t", "a int", "", LAZY, &[]).await;
    let mut table = lake.catalog.table("db", "t").await.unwrap().unwrap();
    let input = "org.apache.hadoop.hive.ql.io.SymlinkTextInputFormat".to_owned();
    table.storage_descriptor =
        table.storage_descriptor.map(|storage| StorageDescriptor { input_format: Some(input), ..storage });
    lake.catalog.update_table("db", table).await.unwrap();
    lake.put("data/1", "1\n").await;
    lake.put("data/_2", "2\n").await;
    lake.put("data/3", "3\n").await;
    lake.put("t/manifest", "s3://b/data/1\n\ns3://b/data/_2\n").await;
    assert_eq!(
        lake.rows("SELECT a, \"$path\" FROM t ORDER BY a").await,
        "\"1\",\"s3://b/data/1\"\n\"2\",\"s3://b/data/_2\"\n"
    );
    lake.put("t/manifest", "s3://b/data/gone\n").await;
    assert!(lake.fails("SELECT * FROM t").await.starts_with("HIVE_CANNOT_OPEN_SPLIT"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_has_columns_of_its_own() {
    use query::catalog::{Catalog, Column, Partition, StorageDescriptor};

    let lake = Lake::new().await;
    lake.table("t", "id bigint, team string", "p int", LAZY, &[("field.delim", ",")]).await;
    for (p, text, columns) in [
        ("1", "1,x\n", vec![("id", "int")]),
        ("2", "x,y\n", vec![("id", "string"), ("team", "string")]),
        ("3", "5,2.50\n", vec![("id", "bigint"), ("team", "double")]),
        ("4", "1,2\n", vec![("id", "bigint"), ("team", "array<int>")]),
    ] {
        lake.put(&format!("t/p={p}/f"), text).await;
        let storage = StorageDescriptor {
            location: Some(format!("s3://b/t/p={p}/")),
            columns: columns.into_iter().map(|(n, ty)| Column::new(n, ty)).collect(),
            ..StorageDescriptor::default()
        };
        let partition =
            Partition { values: vec![p.to_owned()], storage_descriptor: Some(storage), ..Partition::default() };
        lake.catalog.create_partitions("db", "t", vec![partition]).await.unwrap();
    }
    assert_eq!(
        lake.rows("SELECT id, team, p FROM t WHERE p < 4 ORDER BY p").await,
        "\"1\",,\"1\"\n,\"y\",\"2\"\n\"5\",\"2.5\",\"3\"\n"
    );
    let message = lake.fails("SELECT id FROM t").await;
    assert!(message.starts_with("HIVE_PARTITION_SCHEMA_MISMATCH") && message.contains("'p=4'"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_one_file_come_in_its_order() {
    let lake = Lake::new().await;
    lake.table("t", "a bigint", "", LAZY, &[]).await;
    let text = (0..100_000).fold(String::new(), |text, i| text + &i.to_string() + "\n");
    lake.put("t/f", text).await;
    let rows = lake.rows("SELECT a * 2 FROM t WHERE a % 3 = 0").await;
    let numbers: Vec<u64> = rows.lines().map(|row| row.trim_matches('"').parse().unwrap()).collect();
    assert_eq!(numbers.len(), 33_334);
    assert!(numbers.is_sorted());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_two_buckets_with_one_key_are_two_files() {
    use query::Location;
    use query::catalog::{Catalog, StorageDescriptor};

    let lake = Lake::new().await;
    let file = |value: i64| {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![value; 3]));
        let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
        let mut file = Vec::new();
        let mut writer = parquet::arrow::ArrowWriter::try_new(&mut file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    };
    lake.table("t", "a bigint", "", PARQUET, &[]).await;
    lake.table("u", "a bigint", "", PARQUET, &[]).await;
    let mut table = lake.catalog.table("db", "u").await.unwrap().unwrap();
    let location = Some("s3://c/t/".to_owned());
    table.storage_descriptor = table.storage_descriptor.map(|storage| StorageDescriptor { location, ..storage });
    lake.catalog.update_table("db", table).await.unwrap();
    lake.put("t/f", file(1)).await;
    let other = Location { bucket: "c".to_owned(), key: "t/f".to_owned() };
    lake.storage.put(&other, file(2)).await.unwrap();
    assert_eq!(
        lake.rows("SELECT sum(t.a), sum(u.a) FROM t CROSS JOIN u WHERE t.a < 2 AND u.a > 1").await,
        "\"9\",\"18\"\n"
    );
}
