//! Lines by a grok pattern: a custom classifier that names the columns and, behind a second colon, their types.

use std::fmt::Write;

use super::sample::Sample;
use super::schema::{FileSchema, Format};
use super::settings::GrokClassifier;
use super::types::HiveType;

/// Of a file's lines this share must match (the guide says only that the pattern is matched against the data).
const SHARE_PERCENT: usize = 70;
/// Lines that are looked at.
const MOST_LINES: usize = 1000;

pub(super) struct Grok {
    rules: GrokClassifier,
    pattern: grok::Pattern,
    columns: Vec<(String, HiveType)>,
}

impl Grok {
    /// An error says what of the pattern cannot be understood.
    pub(super) fn new(rules: &GrokClassifier) -> Result<Self, String> {
        let mut all = grok::Grok::with_default_patterns();
        for line in rules.custom_patterns.lines() {
            if let Some((name, pattern)) = line.trim().split_once(char::is_whitespace) {
                all.add_pattern(name, pattern.trim_start());
            }
        }
        let mut plain = String::new();
        let mut columns: Vec<(String, HiveType)> = Vec::new();
        let mut rest = rules.pattern.as_str();
        while let Some(at) = rest.find("%{") {
            let Some(end) = rest[at..].find('}') else { break };
            let mut parts = rest[at + 2..at + end].splitn(3, ':');
            let pattern = parts.next().unwrap_or_default();
            plain.push_str(&rest[..at]);
            match parts.next() {
                Some(name) => {
                    let ty = match parts.next().unwrap_or("string") {
                        "byte" => HiveType::TinyInt,
                        "boolean" => HiveType::Boolean,
                        "double" => HiveType::Double,
                        "short" => HiveType::SmallInt,
                        "int" => HiveType::Int,
                        "long" => HiveType::BigInt,
                        "float" => HiveType::Float,
                        "string" => HiveType::String,
                        other => return Err(format!("the type {other} of {name} is not known")),
                    };
                    if !columns.iter().any(|(known, _)| *known == name.to_lowercase()) {
                        columns.push((name.to_lowercase(), ty));
                    }
                    let _ = write!(plain, "%{{{pattern}:{name}}}");
                }
                None => {
                    let _ = write!(plain, "%{{{pattern}}}");
                }
            }
            rest = &rest[at + end + 1..];
        }
        plain.push_str(rest);
        let pattern = all.compile(&plain, true).map_err(|error| error.to_string())?;
        Ok(Self { rules: rules.clone(), pattern, columns })
    }

    pub(super) fn classify(&self, sample: &Sample) -> Option<FileSchema> {
        let text = String::from_utf8_lossy(&sample.data);
        let mut lines: Vec<&str> = text.lines().collect();
        if !sample.complete {
            // The last line may be cut short.
            lines.pop();
        }
        let looked: Vec<&&str> = lines.iter().filter(|line| !line.trim().is_empty()).take(MOST_LINES).collect();
        let matched = looked.iter().filter(|line| self.pattern.match_against(line).is_some()).count();
        (matched > 0 && matched * 100 >= looked.len() * SHARE_PERCENT).then(|| FileSchema {
            format: Format::Grok {
                pattern: self.rules.pattern.clone(),
                custom_patterns: self.rules.custom_patterns.clone(),
                classification: self.rules.classification.clone(),
            },
            compression: sample.compression,
            columns: self.columns.clone(),
            records: lines.len() as u64,
            bytes: sample.stored,
            first_row: None,
        })
    }
}
