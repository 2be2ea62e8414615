//! States that decide, wait or have states within: Choice, Wait, Parallel, Map.

use std::sync::Arc;

use serde_json::{Map as Object, Value};

use super::Reader;
use super::allowed::{BRANCH, PROCESSOR};
use crate::choice::{Condition, Rule};
use crate::definition::{Distributed, Items, Language, MachineType, Map, StateKind, Wait};
use crate::time::Timestamp;

impl Reader {
    pub(super) fn choice(&mut self, object: &Object<String, Value>, at: &str) -> Option<StateKind> {
        if !self.require(object, &["Choices"], at) {
            return None;
        }
        let rules = self.list(object, "Choices", at, Self::rule);
        if object["Choices"].as_array().is_some_and(Vec::is_empty) {
            self.complain("Choices must not be empty", format!("{at}/Choices"));
        }
        let default = if object.contains_key("Default") { self.text(object, "Default", at) } else { None };
        Some(StateKind::Choice { rules, default })
    }

    fn rule(&mut self, object: &Object<String, Value>, at: &str) -> Option<Rule> {
        self.check_rule(object, at);
        let condition = self.condition(object, at);
        if !self.require(object, &["Next"], at) {
            return None;
        }
        Some(Rule {
            condition: condition?,
            next: self.text(object, "Next", at)?,
            output: self.output(object, at),
            assign: self.template(object, "Assign", at),
        })
    }

    fn condition(&mut self, object: &Object<String, Value>, at: &str) -> Option<Condition> {
        if self.language == Language::JsonPath {
            let complain = |(way, problem): (String, String)| self.complain(problem, format!("{at}{way}"));
            return Condition::parse(object, "", 0).map_err(complain).ok();
        }
        if !self.require(object, &["Condition"], at) {
            return None;
        }
        if let Some(query) = self.query(object, "Condition", at) {
            return query.map(Condition::Query);
        }
        let literal = object["Condition"].as_bool();
        if literal.is_none() {
            self.complain("Expected value of type Boolean or a JSONata expression", format!("{at}/Condition"));
        }
        literal.map(Condition::Literal)
    }

    pub(super) fn wait(&mut self, object: &Object<String, Value>, at: &str) -> Option<Wait> {
        let allowed: &[&str] = match self.language {
            Language::JsonPath => &["Seconds", "SecondsPath", "Timestamp", "TimestampPath"],
            Language::Jsonata => &["Seconds", "Timestamp"],
        };
        let fields: Vec<_> = allowed.iter().copied().filter(|field| object.contains_key(*field)).collect();
        let [field] = fields[..] else {
            self.complain(format!("Exactly one of these fields is required: [{}]", allowed.join(", ")), at);
            return None;
        };
        match field {
            "Timestamp" => {
                if let Some(query) = self.query(object, field, at) {
                    return query.map(Wait::TimestampExpr);
                }
                let text = self.text(object, field, at)?;
                let parsed = Timestamp::parse(&text);
                if parsed.is_none() {
                    self.complain("String does not match RFC3339 timestamp", format!("{at}/{field}"));
                }
                parsed.map(Wait::Timestamp)
            }
            "TimestampPath" => self.expr(object, field, at).map(Wait::TimestampExpr),
            _ => self.amount(object, "Seconds", at).map(Wait::Seconds),
        }
    }

    pub(super) fn parallel(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<StateKind> {
        if !self.require(object, &["Branches"], at) {
            return None;
        }
        let mut branches = Vec::new();
        match &object["Branches"] {
            Value::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    let place = format!("{at}/Branches[{index}]");
                    match item {
                        Value::Object(item) => {
                            self.check_only(item, BRANCH, &place);
                            branches.extend(self.body(item, &place, depth + 1).map(Arc::new));
                        }
                        _ => self.complain("Expected value of type Object", place),
                    }
                }
            }
            _ => self.complain("Expected a non-empty array", format!("{at}/Branches")),
        }
        Some(StateKind::Parallel { branches, work: Box::new(self.work(object, self.parameters(), at)) })
    }

    pub(super) fn map(&mut self, object: &Object<String, Value>, at: &str, depth: usize) -> Option<StateKind> {
        let field = if object.contains_key("Iterator") { "Iterator" } else { "ItemProcessor" };
        if !self.require(object, &[field], at) {
            return None;
        }
        self.either(object, ["ItemProcessor", "Iterator"], at);
        if self.language == Language::JsonPath {
            self.either(object, ["ItemSelector", "Parameters"], at);
        }
        let place = format!("{at}/{field}");
        let Value::Object(processor) = &object[field] else {
            self.complain("Expected value of type Object", place);
            return None;
        };
        self.check_only(processor, PROCESSOR, &place);
        let distributed =
            match processor.get("ProcessorConfig").and_then(|config| config.get("Mode")).and_then(Value::as_str) {
                None | Some("INLINE") => None,
                Some("DISTRIBUTED") => {
                    self.check_may_distribute(&place);
                    Some(Box::new(self.distributed(object, processor, at)))
                }
                Some(_) => {
                    self.not_one_of("Mode", &["INLINE", "DISTRIBUTED"], &format!("{place}/ProcessorConfig"));
                    None
                }
            };
        let of_machine = self.kind;
        if distributed.as_deref().is_some_and(|distributed: &Distributed| distributed.express) && !self.is_accepted {
            self.kind = MachineType::Express;
        }
        let body = self.body(processor, &place, depth + 1);
        self.kind = of_machine;
        let processor = Arc::new(body?);
        let legacy = self.language == Language::JsonPath && !object.contains_key("ItemSelector");
        let parameters = if legacy { "Parameters" } else { "ItemSelector" };
        Some(StateKind::Map(Box::new(Map {
            processor,
            items: self.items(object, at),
            max_concurrency: self.amount(object, "MaxConcurrency", at),
            tolerated_failure_count: self.number(object, "ToleratedFailureCount", at, Self::whole_count),
            tolerated_failure_percentage: self.number(object, "ToleratedFailurePercentage", at, Self::percentage),
            distributed,
            work: self.work(object, parameters, at),
        })))
    }

    fn items(&mut self, object: &Object<String, Value>, at: &str) -> Items {
        match self.language {
            Language::JsonPath if object.contains_key("ItemsPath") => {
                self.expr(object, "ItemsPath", at).map_or(Items::Input, Items::Path)
            }
            Language::JsonPath => Items::Input,
            Language::Jsonata => self.template(object, "Items", at).map_or(Items::Input, Items::Template),
        }
    }
}
