//! What a crawl is told: targets, classifiers and the crawler's configuration, as they travel to the worker.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub targets: Vec<Target>,
    /// The crawler's own classifiers, in the order in which they are tried.
    pub classifiers: Vec<Classifier>,
    /// `CombineCompatibleSchemas`: folders share a table whenever format and structure agree.
    pub combine: bool,
    /// `TableLevelConfiguration`: the depth at which tables begin, the bucket being 1.
    pub table_level: Option<usize>,
    /// `TableThreshold`: more tables than this fail the crawl.
    pub table_threshold: Option<usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub bucket: String,
    /// Key prefix without leading slash; empty for the whole bucket.
    pub prefix: String,
    pub exclusions: Vec<String>,
    /// How many files of a leaf folder are read; all that matter when absent.
    pub sample_size: Option<usize>,
    /// A catalog target: all that lies below is one table.
    pub whole: bool,
    /// Folders of earlier crawls, which `CRAWL_NEW_FOLDERS_ONLY` leaves alone.
    pub known_folders: Option<Vec<String>>,
    /// Where the crawler's own tables lie in the bucket, folders (with a slash at their end) and files: a table that is there keeps its
    /// files, whatever its siblings look like.
    #[serde(default)]
    pub roots: BTreeSet<String>,
}

impl Target {
    /// Reads `s3://bucket/prefix`, as well as `bucket/prefix` and the older `s3a`/`s3n` spellings.
    pub fn parse(path: &str) -> Option<Self> {
        let rest = ["s3://", "s3a://", "s3n://"].iter().find_map(|s| path.strip_prefix(s)).unwrap_or(path);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(':') {
            return None;
        }
        Some(Self { bucket: bucket.to_owned(), prefix: prefix.trim_start_matches('/').to_owned(), ..Self::default() })
    }

    /// The folder that bounds the crawl, with its trailing slash; empty for a whole bucket.
    pub(crate) fn folder(&self) -> String {
        match self.prefix.trim_end_matches('/') {
            "" => String::new(),
            some => format!("{some}/"),
        }
    }
}

/// A custom classifier that a crawl can apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Classifier {
    Csv(CsvClassifier),
    Json { name: String, path: String },
    Grok(GrokClassifier),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GrokClassifier {
    pub name: String,
    pub classification: String,
    pub pattern: String,
    /// One `NAME pattern` a line.
    pub custom_patterns: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CsvClassifier {
    pub name: String,
    pub delimiter: Option<char>,
    pub quote: Option<char>,
    pub header: CsvHeader,
    pub names: Vec<String>,
    pub keep_white_space: bool,
    pub allow_single_column: bool,
    /// Hive types by position, used when there is one for each column.
    pub types: Vec<String>,
    /// `OpenCSVSerDe` or `LazySimpleSerDe`; otherwise decided by whether quotes occur.
    pub serde: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CsvHeader {
    #[default]
    Unknown,
    Present,
    Absent,
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn reads_include_paths() {
        for (path, want) in [
            ("s3://b", Some(("b", ""))),
            ("s3://b/", Some(("b", ""))),
            ("s3://b/x/y/", Some(("b", "x/y/"))),
            ("b/x", Some(("b", "x"))),
            ("s3a://b/x", Some(("b", "x"))),
            ("https://b/x", None),
            ("s3:///x", None),
        ] {
            let got = Target::parse(path);
            assert_eq!(got.as_ref().map(|t| (t.bucket.as_str(), t.prefix.as_str())), want, "{path}");
        }
    }
}
