//! Table and partition definitions as a crawler writes them, and the report of a crawl.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::grouping::{Group, Leaf};
use super::naming::{decode, key_value};
use super::schema::{Compression, FileSchema, Format};
use super::settings::Target;

/// What a worker hands back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub tables: Vec<CrawledTable>,
    pub log: Vec<String>,
    /// Files that are there and of which nothing is known, as `s3://` paths: they could not be read, or no classifier recognises them.
    /// A path that ends with a slash stands for all files of that folder. Nothing near them may be called deleted.
    pub unread: Vec<String>,
    /// The folders that were crawled, as `s3://` paths with a slash at their end: of what lies elsewhere nothing is known.
    #[serde(default)]
    pub crawled: Vec<String>,
    /// The folders in which files were recognised, as `s3://` paths with a slash at their end, and such files as are tables of this crawler.
    #[serde(default)]
    pub found: BTreeSet<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CrawledTable {
    /// Folder or file at the root, not yet made into a table's name.
    pub root: String,
    /// The include path under which it was found.
    pub include: String,
    pub partition_keys: Vec<Column>,
    pub storage: Storage,
    pub parameters: BTreeMap<String, String>,
    pub partitions: Vec<CrawledPartition>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CrawledPartition {
    pub values: Vec<String>,
    pub storage: Storage,
    pub parameters: BTreeMap<String, String>,
}

/// A storage descriptor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    pub location: String,
    pub columns: Vec<Column>,
    pub input_format: String,
    pub output_format: String,
    pub compressed: bool,
    pub serde: String,
    pub serde_parameters: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    #[serde(rename = "type")]
    pub ty: String,
}

pub(super) fn describe(target: &Target, group: &Group) -> CrawledTable {
    let bucket = &target.bucket;
    let root = group.root.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty());
    let mut table = CrawledTable {
        root: root.unwrap_or(bucket).to_owned(),
        include: format!("s3://{bucket}/{}", target.folder()),
        partition_keys: partition_keys(group),
        storage: storage(&format!("s3://{bucket}/{}", group.root), &group.schema),
        parameters: parameters(&group.schema, &group.leaves),
        partitions: Vec::new(),
    };
    if !target.exclusions.is_empty() {
        let exclusions: Vec<String> =
            target.exclusions.iter().map(|e| format!("s3://{bucket}/{}{e}", target.folder())).collect();
        table.parameters.insert("exclusions".to_owned(), serde_json::json!(exclusions).to_string());
    }
    if !group.levels.is_empty() {
        table.parameters.insert("partition_filtering.enabled".to_owned(), "true".to_owned());
        table.partitions = group.leaves.iter().map(|leaf| partition(bucket, leaf, &group.levels)).collect();
    }
    table
}

/// `k=v` folders name their key; other levels are counted from the table's root. A name that a column has gets a number.
fn partition_keys(group: &Group) -> Vec<Column> {
    let mut keys: Vec<Column> = Vec::with_capacity(group.levels.len());
    let mut unnamed = 0;
    for level in &group.levels {
        let mut name = level.clone().unwrap_or_else(|| {
            unnamed += 1;
            format!("partition_{}", unnamed - 1)
        });
        let taken =
            |name: &str| group.schema.columns.iter().any(|(c, _)| c == name) || keys.iter().any(|k| k.name == name);
        if taken(&name) {
            let mut n = 0;
            while taken(&format!("{name}_{n}")) {
                n += 1;
            }
            name = format!("{name}_{n}");
        }
        keys.push(Column { name, ty: "string".to_owned() });
    }
    keys
}

fn partition(bucket: &str, leaf: &Leaf, levels: &[Option<String>]) -> CrawledPartition {
    let values = leaf.path.iter().zip(levels).map(|(folder, level)| match (level, key_value(folder)) {
        (Some(_), Some((_, value))) => value,
        _ => decode(folder),
    });
    CrawledPartition {
        values: values.collect(),
        storage: storage(&format!("s3://{bucket}/{}", leaf.folder), &leaf.schema),
        parameters: parameters(&leaf.schema, std::slice::from_ref(leaf)),
    }
}

fn storage(location: &str, schema: &FileSchema) -> Storage {
    let text =
        ("org.apache.hadoop.mapred.TextInputFormat", "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat");
    let mut serde_parameters = BTreeMap::new();
    let mut set = |name: &str, value: String| serde_parameters.insert(name.to_owned(), value);
    let (formats, serde) = match &schema.format {
        Format::Csv(csv) => {
            if let Some(quote) = csv.quote {
                set("separatorChar", csv.delimiter.to_string());
                set("quoteChar", quote.to_string());
                (text, "org.apache.hadoop.hive.serde2.OpenCSVSerde")
            } else {
                set("field.delim", csv.delimiter.to_string());
                (text, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe")
            }
        }
        Format::Json { keys } => {
            let mut keys = keys.clone();
            keys.sort();
            set("paths", keys.join(","));
            (text, "org.openx.data.jsonserde.JsonSerDe")
        }
        Format::Parquet => {
            set("serialization.format", "1".to_owned());
            let formats = (
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            );
            (formats, "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe")
        }
        Format::Orc => {
            set("serialization.format", "1".to_owned());
            let formats =
                ("org.apache.hadoop.hive.ql.io.orc.OrcInputFormat", "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat");
            (formats, "org.apache.hadoop.hive.ql.io.orc.OrcSerde")
        }
        Format::Avro { literal } => {
            set("serialization.format", "1".to_owned());
            set("avro.schema.literal", literal.clone());
            let formats = (
                "org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat",
                "org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat",
            );
            (formats, "org.apache.hadoop.hive.serde2.avro.AvroSerDe")
        }
        Format::Grok { pattern, custom_patterns, .. } => {
            set("input.format", pattern.clone());
            if !custom_patterns.is_empty() {
                set("input.grokCustomPatterns", custom_patterns.clone());
            }
            (text, "com.amazonaws.glue.serde.GrokSerDe")
        }
    };
    Storage {
        location: location.to_owned(),
        columns: schema.columns.iter().map(|(name, ty)| Column { name: name.clone(), ty: ty.to_string() }).collect(),
        input_format: formats.0.to_owned(),
        output_format: formats.1.to_owned(),
        compressed: schema.compression != Compression::None,
        serde: serde.to_owned(),
        serde_parameters,
    }
}

fn parameters(schema: &FileSchema, leaves: &[Leaf]) -> BTreeMap<String, String> {
    let objects: u64 = leaves.iter().map(|leaf| leaf.objects).sum();
    let bytes: u64 = leaves.iter().map(|leaf| leaf.bytes).sum();
    let records: u64 = leaves.iter().map(|leaf| leaf.records).sum();
    let mut out = BTreeMap::new();
    let mut set = |name: &str, value: String| out.insert(name.to_owned(), value);
    set("classification", schema.classification().to_owned());
    set("compressionType", schema.compression.name().to_owned());
    set("typeOfData", "file".to_owned());
    set("objectCount", objects.to_string());
    set("recordCount", records.to_string());
    set("averageRecordSize", bytes.checked_div(records).unwrap_or(0).to_string());
    set("sizeKey", bytes.to_string());
    set("CrawlerSchemaSerializerVersion", "1.0".to_owned());
    set("CrawlerSchemaDeserializerVersion", "1.0".to_owned());
    if let Format::Avro { literal } = &schema.format {
        set("avro.schema.literal", literal.clone());
    }
    if let Format::Grok { pattern, .. } = &schema.format {
        set("grokPattern", pattern.clone());
    }
    if let Format::Csv(csv) = &schema.format {
        set("delimiter", csv.delimiter.to_string());
        set("columnsOrdered", "true".to_owned());
        set("areColumnsQuoted", csv.quoted.to_string());
        if csv.header {
            set("skip.header.line.count", "1".to_owned());
        }
    }
    out
}
