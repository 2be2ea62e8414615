//! What a text sample is: the crawler's own classifiers in their order, then JSON, then CSV.
//!
//! Avro, ORC, XML, Ion and the log formats are not recognised: their files stay UNKNOWN and make no table.

use super::jsonpath::JsonPath;
use super::sample::Sample;
use super::schema::FileSchema;
use super::settings::{Classifier, CsvClassifier};
use super::{csv, json};

pub(super) enum Verdict {
    Known(Box<FileSchema>),
    /// A longer sample may decide.
    NeedMore,
    Unknown,
}

/// The classifiers of a crawl, their paths parsed.
pub(super) struct Classifiers(Vec<Custom>);

enum Custom {
    Csv(CsvClassifier),
    Json(JsonPath),
}

impl Classifiers {
    pub(super) fn new(given: &[Classifier]) -> Self {
        let custom = given.iter().filter_map(|classifier| match classifier {
            Classifier::Csv(rules) => Some(Custom::Csv(rules.clone())),
            Classifier::Json { path, .. } => JsonPath::parse(path).map(Custom::Json),
        });
        Self(custom.collect())
    }

    pub(super) fn classify(&self, sample: &Sample) -> Verdict {
        let builtin = json::classify(sample, None);
        let is_json = !matches!(builtin, json::Verdict::No);
        for custom in &self.0 {
            match custom {
                // A JSON text has delimiters and lines too; a CSV classifier is not certain of it.
                Custom::Csv(rules) if !is_json => {
                    if let Some(schema) = csv::classify_as(sample, rules) {
                        return Verdict::Known(Box::new(schema));
                    }
                }
                Custom::Csv(_) => {}
                Custom::Json(path) => match json::classify(sample, Some(path)) {
                    json::Verdict::Json(schema) => return Verdict::Known(Box::new(schema)),
                    json::Verdict::NeedMore => return Verdict::NeedMore,
                    json::Verdict::No => {}
                },
            }
        }
        match builtin {
            json::Verdict::Json(schema) => Verdict::Known(Box::new(schema)),
            json::Verdict::NeedMore => Verdict::NeedMore,
            json::Verdict::No => {
                csv::classify(sample).map_or(Verdict::Unknown, |schema| Verdict::Known(Box::new(schema)))
            }
        }
    }
}
