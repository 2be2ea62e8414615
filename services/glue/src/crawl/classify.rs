//! What a text sample is: the crawler's own classifiers in their order, then JSON, then CSV.
//!
//! XML, Ion and the log formats that AWS knows without a classifier are not recognised: their files stay UNKNOWN and
//! make no table.

use super::grok_lines::Grok;
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
    Grok(Box<Grok>),
}

impl Classifiers {
    /// An error names a classifier that cannot be applied.
    pub(super) fn new(given: &[Classifier]) -> Result<Self, String> {
        let mut all = Vec::with_capacity(given.len());
        for classifier in given {
            match classifier {
                Classifier::Csv(rules) => all.push(Custom::Csv(rules.clone())),
                Classifier::Json { path, .. } => all.extend(JsonPath::parse(path).map(Custom::Json)),
                Classifier::Grok(rules) => {
                    let grok = Grok::new(rules).map_err(|why| format!("Classifier {}: {why}", rules.name))?;
                    all.push(Custom::Grok(Box::new(grok)));
                }
            }
        }
        Ok(Self(all))
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
                Custom::Grok(grok) => {
                    if let Some(schema) = grok.classify(sample) {
                        return Verdict::Known(Box::new(schema));
                    }
                }
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
