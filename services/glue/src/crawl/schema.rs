//! What one file turned out to hold, and when two files are alike enough to share a table.

use super::types::HiveType;

/// Schemas that overlap by this much belong together (Knowledge Center, glue-crawler-detect-schema).
const SIMILARITY: f64 = 0.7;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Compression {
    None,
    Gzip,
    Zip,
    Bzip2,
    Zstd,
    Lz4,
    Snappy,
}

impl Compression {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zip => "zip",
            Self::Bzip2 => "bzip2",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Snappy => "snappy",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Format {
    Csv(CsvFormat),
    /// Top-level keys in the spelling of the file.
    Json {
        keys: Vec<String>,
    },
    Parquet,
    Orc,
    Avro {
        /// The schema as the file has it.
        literal: String,
    },
    Grok {
        pattern: String,
        custom_patterns: String,
        classification: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct CsvFormat {
    pub(super) delimiter: char,
    /// Set where the table is to be read by OpenCSVSerde.
    pub(super) quote: Option<char>,
    pub(super) header: bool,
    /// Whether quoted cells were seen.
    pub(super) quoted: bool,
    /// Names of the columns were made up (`col0` …), so that only types can tell files apart.
    pub(super) unnamed: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct FileSchema {
    pub(super) format: Format,
    pub(super) compression: Compression,
    pub(super) columns: Vec<(String, HiveType)>,
    /// Records in the part that was read, and how many stored bytes that part is.
    pub(super) records: u64,
    pub(super) bytes: u64,
    /// The first row of a CSV file without header: a sibling may show that it is one.
    pub(super) first_row: Option<Vec<String>>,
}

impl FileSchema {
    pub(super) fn classification(&self) -> &str {
        match &self.format {
            Format::Csv(_) => "csv",
            Format::Json { .. } => "json",
            Format::Parquet => "parquet",
            Format::Orc => "orc",
            Format::Avro { .. } => "avro",
            Format::Grok { classification, .. } => classification,
        }
    }

    /// Same format, compression and dialect: what one table definition can read.
    pub(super) fn compatible(&self, other: &Self) -> bool {
        self.compression == other.compression
            && match (&self.format, &other.format) {
                (Format::Csv(a), Format::Csv(b)) => {
                    a.delimiter == b.delimiter && a.header == b.header && a.quote.is_some() == b.quote.is_some()
                }
                (Format::Json { .. }, Format::Json { .. })
                | (Format::Parquet, Format::Parquet)
                | (Format::Orc, Format::Orc)
                | (Format::Avro { .. }, Format::Avro { .. }) => true,
                (a @ Format::Grok { .. }, b @ Format::Grok { .. }) => a == b,
                _ => false,
            }
    }

    /// How much of the larger schema both have, from 0 to 1.
    pub(super) fn overlap(&self, other: &Self) -> f64 {
        let most = self.columns.len().max(other.columns.len());
        if most == 0 {
            return 1.0;
        }
        let common = match (&self.format, &other.format) {
            // A delimited file is read by position, so a name counts only where it stands.
            (Format::Csv(a), Format::Csv(b)) => self
                .columns
                .iter()
                .zip(&other.columns)
                .filter(|((n, t), (m, u))| if a.unnamed || b.unnamed { t.fits(u) } else { n == m })
                .count(),
            _ => self.columns.iter().filter(|(n, _)| other.columns.iter().any(|(m, _)| n == m)).count(),
        };
        ratio(common, most)
    }

    /// Whether one has all columns of the other: a schema that only grew.
    pub(super) fn grown(&self, other: &Self) -> bool {
        let most = self.columns.len().max(other.columns.len());
        let least = self.columns.len().min(other.columns.len());
        self.compatible(other) && least > 0 && self.overlap(other) >= ratio(least, most)
    }

    pub(super) fn similar(&self, other: &Self) -> bool {
        self.compatible(other) && self.overlap(other) >= SIMILARITY
    }

    /// The union of both: this file's columns first, then what only the other has.
    pub(super) fn absorb(&mut self, other: &Self) {
        // Of two schemas that a table can have only one of, the one that tells more.
        if let (Format::Avro { literal }, Format::Avro { literal: more }) = (&mut self.format, &other.format)
            && other.columns.len() > self.columns.len()
        {
            literal.clone_from(more);
        }
        self.columns = union(std::mem::take(&mut self.columns), &other.columns);
        self.records += other.records;
        self.bytes += other.bytes;
        match (&mut self.format, &other.format) {
            (Format::Json { keys }, Format::Json { keys: more }) => {
                for key in more {
                    if !keys.contains(key) {
                        keys.push(key.clone());
                    }
                }
            }
            (Format::Csv(a), Format::Csv(b)) => a.quoted |= b.quoted,
            _ => {}
        }
    }
}

fn union(mut a: Vec<(String, HiveType)>, b: &[(String, HiveType)]) -> Vec<(String, HiveType)> {
    for (name, ty) in b {
        match a.iter_mut().find(|(n, _)| n == name) {
            Some((_, seen)) => {
                if seen != ty {
                    *seen = std::mem::replace(seen, HiveType::Unknown).merge(ty.clone());
                }
            }
            None => a.push((name.clone(), ty.clone())),
        }
    }
    a
}

fn ratio(part: usize, whole: usize) -> f64 {
    let part = u32::try_from(part).unwrap_or(u32::MAX);
    let whole = u32::try_from(whole).unwrap_or(u32::MAX).max(1);
    f64::from(part) / f64::from(whole)
}
