//! What the fields of a Distributed Map say, as far as the world outside has to know it: where items come from, where results go.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An `ItemReader`, with its parameters filled in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reader {
    pub source: ReaderSource,
    pub parameters: Value,
    pub config: ReaderConfig,
    /// Not more items than this; 0 for all. A run whose number is negative has failed.
    pub max_items: i64,
}

/// Which operation an `ItemReader` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderSource {
    GetObject,
    ListObjectsV2,
}

/// `ReaderConfig`, but for what limits the number of items.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ReaderConfig {
    pub input_type: Option<InputType>,
    pub transformation: Option<ReaderTransformation>,
    pub manifest_type: Option<ManifestType>,
    #[serde(rename = "CSVHeaderLocation")]
    pub csv_header_location: Option<CsvHeaderLocation>,
    #[serde(rename = "CSVHeaders")]
    pub csv_headers: Option<Vec<String>>,
    #[serde(rename = "CSVDelimiter")]
    pub csv_delimiter: Option<String>,
    pub items_pointer: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum InputType {
    Csv,
    Json,
    Jsonl,
    Parquet,
    Manifest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReaderTransformation {
    None,
    LoadAndFlatten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ManifestType {
    AthenaData,
    S3Inventory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CsvHeaderLocation {
    FirstRow,
    Given,
}

/// A `ResultWriter`, with its parameters filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Writer {
    /// Where results are exported to; without one they are the state's result.
    pub export: Option<Export>,
    pub transformation: Option<WriterTransformation>,
    pub lines: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Export {
    pub bucket: String,
    pub prefix: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WriterTransformation {
    None,
    Compact,
    Flatten,
}

/// An `ItemBatcher`, with its amounts and its input worked out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Batcher {
    pub max_items: Option<u64>,
    pub max_bytes: Option<u64>,
    /// `BatchInput`, as JSON.
    pub input: Option<String>,
}

impl InputType {
    pub fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSV",
            Self::Json => "JSON",
            Self::Jsonl => "JSONL",
            Self::Parquet => "PARQUET",
            Self::Manifest => "MANIFEST",
        }
    }
}

impl Writer {
    /// What is done to results where the definition does not say.
    pub fn transformation(&self) -> WriterTransformation {
        let default = if self.export.is_some() { WriterTransformation::None } else { WriterTransformation::Compact };
        self.transformation.unwrap_or(default)
    }
}
