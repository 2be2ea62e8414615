//! Which fields a state may have, in which language; everything else is refused by name.

use serde_json::{Map as Object, Value};

use super::Reader;
use crate::definition::Language;

/// A field, the kinds of state that have it, and the language that it needs.
type Field = (&'static str, &'static [&'static str], Option<Language>);

const ALL: &[&str] = &["Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map"];
const BUT_FAIL: &[&str] = &["Pass", "Task", "Choice", "Wait", "Succeed", "Parallel", "Map"];
const GO_ON: &[&str] = &["Pass", "Task", "Wait", "Parallel", "Map"];
const WORK: &[&str] = &["Task", "Parallel", "Map"];
const PATH: Option<Language> = Some(Language::JsonPath);
const JSONATA: Option<Language> = Some(Language::Jsonata);

const FIELDS: &[Field] = &[
    ("Type", ALL, None),
    ("Comment", ALL, None),
    ("QueryLanguage", ALL, None),
    ("Next", GO_ON, None),
    ("End", GO_ON, None),
    ("Assign", &["Pass", "Task", "Choice", "Wait", "Parallel", "Map"], None),
    ("Output", BUT_FAIL, JSONATA),
    ("Arguments", &["Task", "Parallel"], JSONATA),
    ("InputPath", BUT_FAIL, PATH),
    ("OutputPath", BUT_FAIL, PATH),
    ("Parameters", &["Pass", "Task", "Parallel", "Map"], PATH),
    ("ResultSelector", WORK, PATH),
    ("ResultPath", &["Pass", "Task", "Parallel", "Map"], PATH),
    ("Result", &["Pass"], PATH),
    ("Retry", WORK, None),
    ("Catch", WORK, None),
    ("Resource", &["Task"], None),
    ("TimeoutSeconds", &["Task"], None),
    ("TimeoutSecondsPath", &["Task"], PATH),
    ("HeartbeatSeconds", &["Task"], None),
    ("HeartbeatSecondsPath", &["Task"], PATH),
    ("Credentials", &["Task"], None),
    ("Choices", &["Choice"], None),
    ("Default", &["Choice"], None),
    ("Seconds", &["Wait"], None),
    ("SecondsPath", &["Wait"], PATH),
    ("Timestamp", &["Wait"], None),
    ("TimestampPath", &["Wait"], PATH),
    ("Error", &["Fail"], None),
    ("ErrorPath", &["Fail"], PATH),
    ("Cause", &["Fail"], None),
    ("CausePath", &["Fail"], PATH),
    ("Branches", &["Parallel"], None),
    ("ItemProcessor", &["Map"], None),
    ("Iterator", &["Map"], None),
    ("ItemSelector", &["Map"], None),
    ("ItemReader", &["Map"], None),
    ("ItemBatcher", &["Map"], None),
    ("ResultWriter", &["Map"], None),
    ("Label", &["Map"], None),
    ("Items", &["Map"], JSONATA),
    ("ItemsPath", &["Map"], PATH),
    ("MaxConcurrency", &["Map"], None),
    ("MaxConcurrencyPath", &["Map"], PATH),
    ("ToleratedFailureCount", &["Map"], None),
    ("ToleratedFailureCountPath", &["Map"], PATH),
    ("ToleratedFailurePercentage", &["Map"], None),
    ("ToleratedFailurePercentagePath", &["Map"], PATH),
];

/// The machine's own fields.
pub(super) const MACHINE: &[&str] = &["Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"];
/// A Parallel's branch.
pub(super) const BRANCH: &[&str] = &["Comment", "StartAt", "States"];
/// A Map's processor.
pub(super) const PROCESSOR: &[&str] = &["Comment", "ProcessorConfig", "StartAt", "States"];
pub(super) const RETRIER: &[&str] =
    &["BackoffRate", "Comment", "ErrorEquals", "IntervalSeconds", "JitterStrategy", "MaxAttempts", "MaxDelaySeconds"];
const CATCHER: &[(&str, Option<Language>)] = &[
    ("Assign", None),
    ("Comment", None),
    ("ErrorEquals", None),
    ("Next", None),
    ("Output", JSONATA),
    ("ResultPath", PATH),
];
const QUERY_RULE: &[(&str, Option<Language>)] =
    &[("Assign", None), ("Comment", None), ("Condition", JSONATA), ("Next", None), ("Output", JSONATA)];

impl Reader {
    /// Refuses what a state of its kind and language does not have.
    pub(super) fn check_fields(&mut self, object: &Object<String, Value>, kind: &str, at: &str) {
        for name in object.keys() {
            match FIELDS.iter().find(|(field, kinds, _)| field == name && kinds.contains(&kind)) {
                Some((_, _, language)) => self.check_language(name, *language, at),
                None => self.not_supported(name, at),
            }
        }
    }

    pub(super) fn check_only(&mut self, object: &Object<String, Value>, allowed: &[&str], at: &str) {
        for name in object.keys().filter(|name| !allowed.contains(&name.as_str())) {
            self.not_supported(name, at);
        }
    }

    pub(super) fn check_catcher(&mut self, object: &Object<String, Value>, at: &str) {
        self.check_each(object, CATCHER, at);
    }

    /// The rules of a JSONPath state have one of many operators: those are looked at where the rule is read.
    pub(super) fn check_rule(&mut self, object: &Object<String, Value>, at: &str) {
        match self.language {
            Language::Jsonata => self.check_each(object, QUERY_RULE, at),
            Language::JsonPath => {
                for name in ["Condition", "Output"].into_iter().filter(|name| object.contains_key(*name)) {
                    self.check_language(name, JSONATA, at);
                }
            }
        }
    }

    fn check_each(&mut self, object: &Object<String, Value>, allowed: &[(&str, Option<Language>)], at: &str) {
        for name in object.keys() {
            match allowed.iter().find(|(field, _)| field == name) {
                Some((_, language)) => self.check_language(name, *language, at),
                None => self.not_supported(name, at),
            }
        }
    }

    fn check_language(&mut self, name: &str, needed: Option<Language>, at: &str) {
        if let Some(needed) = needed.filter(|needed| *needed != self.language) {
            self.complain(
                format!(
                    "The QueryLanguage is set to '{}', but field '{name}' is only supported for the '{}' QueryLanguage",
                    self.language.name(),
                    needed.name()
                ),
                at,
            );
        }
    }

    fn not_supported(&mut self, name: &str, at: &str) {
        self.complain(format!("Field '{name}' is not supported"), at);
    }
}
