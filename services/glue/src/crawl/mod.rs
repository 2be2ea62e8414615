//! The crawler as a library: a listing and a way to read samples in, tables and partitions out.
//!
//! Nothing here knows the catalog's storage, the network or the clock: `run` works against a `Source`, which is S3 in
//! a worker process and a map in tests; `merge` decides what a finished crawl changes in the catalog.

mod avro_file;
mod classify;
mod csv;
mod glob;
mod grok_lines;
mod grouping;
mod json;
mod jsonpath;
mod merge;
mod naming;
mod orc_file;
mod parquet_file;
mod run;
mod sample;
mod schema;
mod settings;
mod tables;
mod types;

#[cfg(test)]
mod tests;

/// Whether a JSON classifier's path can be followed.
pub fn is_json_path(path: &str) -> bool {
    jsonpath::JsonPath::parse(path).is_some()
}

/// Why a grok classifier's pattern cannot be followed.
pub fn check_grok(classifier: &GrokClassifier) -> Result<(), String> {
    grok_lines::Grok::new(classifier).map(drop)
}

pub use merge::{Change, Delete, Known, KnownPartition, KnownTable, Policies, merge};
pub use run::{Object, Source, SourceError, run};
pub use settings::{Classifier, CsvClassifier, CsvHeader, GrokClassifier, Request, Target};
pub use tables::{Column, CrawledPartition, CrawledTable, Report, Storage};
