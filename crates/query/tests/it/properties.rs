//! Every property of tables and SerDes that Athena's guide names: obeyed, without effect here, or refused by name.

use crate::{LAZY, Lake, PARQUET};

const CSV: &str = "org.apache.hadoop.hive.serde2.OpenCSVSerde";
const OPENX: &str = "org.openx.data.jsonserde.JsonSerDe";
const HIVE_JSON: &str = "org.apache.hive.hcatalog.data.JsonSerDe";
const REGEX: &str = "org.apache.hadoop.hive.serde2.RegexSerDe";
const GROK: &str = "com.amazonaws.glue.serde.GrokSerDe";
const AVRO: &str = "org.apache.hadoop.hive.serde2.avro.AvroSerDe";

enum Effect {
    /// The rows with the property; without it they are others, or the query fails.
    Rows(&'static str),
    /// The query fails and says so.
    Refused(&'static str),
}
use Effect::{Refused, Rows};

/// (property, its value, SerDe, columns, a file, effect)
type Case = (&'static str, &'static str, &'static str, &'static str, &'static str, Effect);

#[rustfmt::skip]
const CASES: &[Case] = &[
    // LazySimpleSerDe
    ("field.delim", "|", LAZY, "a string, b string", "x|y\n", Rows("\"x\",\"y\"\n")),
    ("serialization.format", "|", LAZY, "a string, b string", "x|y\n", Rows("\"x\",\"y\"\n")),
    ("escape.delim", "\\", LAZY, "a string, b string", "x\\\u{1}z\u{1}y\n", Rows("\"x\u{1}z\",\"y\"\n")),
    ("collection.delim", ";", LAZY, "a array<int>", "1;2\n", Rows("\"[1, 2]\"\n")),
    ("colelction.delim", ";", LAZY, "a array<int>", "1;2\n", Rows("\"[1, 2]\"\n")),
    ("mapkey.delim", ":", LAZY, "a map<string,int>", "k:1\n", Rows("\"{k=1}\"\n")),
    ("line.delim", "|", LAZY, "a string", "x\n", Refused("line.delim")),
    ("serialization.null.format", "-", LAZY, "a string", "-\n", Rows("\n")),
    ("serialization.last.column.takes.rest", "true", LAZY, "a string, b string", "x\u{1}y\u{1}z\n", Rows("\"x\",\"y\u{1}z\"\n")),
    ("serialization.encoding", "windows-1252", LAZY, "a string", "x\n", Refused("serialization.encoding")),
    ("hive.serialization.extend.nesting.levels", "true", LAZY,
     "a array<array<array<array<array<array<array<array<int>>>>>>>>", "1\n", Rows("\"[[[[[[[[1]]]]]]]]\"\n")),
    ("timestamp.formats", "dd.MM.yyyy HH:mm", LAZY, "a timestamp", "31.12.2020 23:59\n", Rows("\"2020-12-31 23:59:00.000\"\n")),
    ("skip.header.line.count", "1", LAZY, "a string", "h\nx\n", Rows("\"x\"\n")),
    ("skip.footer.line.count", "1", LAZY, "a string", "x\nf\n", Rows("\"x\"\n")),
    // OpenCSVSerde
    ("separatorChar", ";", CSV, "a string, b string", "x;y\n", Rows("\"x\",\"y\"\n")),
    ("quoteChar", "'", CSV, "a string, b string", "'x,y',z\n", Rows("\"x,y\",\"z\"\n")),
    ("escapeChar", "!", CSV, "a string", "\"x!\"y\"\n", Rows("\"x\"\"y\"\n")),
    ("use.null.for.invalid.data", "true", CSV, "a int", "x\n", Rows("\n")),
    // OpenX JSON
    ("ignore.malformed.json", "true", OPENX, "a int", "{\"a\":\n", Rows("\n")),
    ("case.insensitive", "false", OPENX, "a int", "{\"A\":1,\"a\":2}\n", Rows("\"2\"\n")),
    ("dots.in.keys", "true", OPENX, "a_b int", "{\"a.b\":1}\n", Rows("\"1\"\n")),
    ("mapping.b", "A-b", OPENX, "b int", "{\"a-B\":1}\n", Rows("\"1\"\n")),
    ("timestamp.formats", "dd.MM.yyyy", OPENX, "a timestamp", "{\"a\":\"31.12.2020\"}\n", Rows("\"2020-12-31 00:00:00.000\"\n")),
    // Hive JSON
    ("timestamp.formats", "dd.MM.yyyy", HIVE_JSON, "a timestamp", "{\"a\":\"31.12.2020\"}\n", Rows("\"2020-12-31 00:00:00.000\"\n")),
    // Regex and Grok
    ("input.regex", "(.)-(.)", REGEX, "a string, b string", "x-y\n", Rows("\"x\",\"y\"\n")),
    ("input.format", "%{WORD:a}", GROK, "a string", "x\n", Rows("\"x\"\n")),
    // Avro
    ("avro.schema.url", "s3://b/schema.avsc", AVRO, "a string", "", Refused("avro.schema.url")),
];

/// What has no effect on reading: facts that crawlers and writers leave, and how Athena is to write.
const WITHOUT_EFFECT: &[&str] = &[
    "EXTERNAL",
    "classification",
    "compressionType",
    "typeOfData",
    "has_encrypted_data",
    "transient_lastDdlTime",
    "numFiles",
    "totalSize",
    "objectCount",
    "recordCount",
    "averageRecordSize",
    "sizeKey",
    "delimiter",
    "columnsOrdered",
    "areColumnsQuoted",
    "exclusions",
    "partition_filtering.enabled",
    "UPDATED_BY_CRAWLER",
    "CRAWL_RUN_ID",
    "CrawlerSchemaSerializerVersion",
    "CrawlerSchemaDeserializerVersion",
    "paths",
    "explicit.null",
    "orc.compress",
    "parquet.compression",
    "parquet.ignore.statistics",
    "write.compression",
    "compression_level",
    "projection.enabled.comment",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_is_obeyed_or_refused() {
    let lake = Lake::new().await;
    for (i, (property, value, serde, columns, text, effect)) in CASES.iter().enumerate() {
        let name = format!("t{i}");
        lake.table(&name, columns, "", serde, &[(*property, *value)]).await;
        lake.table(&format!("{name}_without"), columns, "", serde, &[]).await;
        lake.put(&format!("{name}/f"), *text).await;
        lake.put(&format!("{name}_without/f"), *text).await;
        let query = format!("SELECT * FROM {name}");
        match effect {
            Rows(rows) => {
                assert_eq!(lake.rows(&query).await, *rows, "{serde} {property}");
                if let Ok(outcome) = lake.run(&format!("SELECT * FROM {name}_without")).await {
                    let text = lake.get(&outcome.output_location).await;
                    assert_ne!(text.split_once('\n').unwrap().1, *rows, "{serde} {property} makes no difference");
                }
            }
            Refused(word) => assert!(lake.fails(&query).await.contains(word), "{serde} {property}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_change_no_row() {
    let lake = Lake::new().await;
    let all: Vec<(&str, &str)> = WITHOUT_EFFECT.iter().map(|name| (*name, "true")).collect();
    lake.table("t", "a string, b int", "", LAZY, &[all.clone(), vec![("field.delim", ",")]].concat()).await;
    lake.put("t/f", "x,1\n").await;
    assert_eq!(lake.rows("SELECT * FROM t").await, "\"x\",\"1\"\n");
    lake.table("p", "a string", "", PARQUET, &all).await;
    assert_eq!(lake.rows("SELECT * FROM p").await, "");
}
