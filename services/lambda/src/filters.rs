//! Filters of an event source mapping: which messages or records a function gets; what none of them matches is done with.
//! Source: Lambda Developer Guide, "Control which events Lambda sends to your function".

use api_lambda::{FilterCriteria, error};
use pattern::Pattern;
use serde_json::Value;
use wire::Error;

/// AWS's quota.
const MOST: usize = 5;

/// Without any everything is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters(Vec<Pattern>);

impl Filters {
    pub(crate) fn parse(criteria: Option<&FilterCriteria>) -> Result<Self, Error> {
        let filters = criteria.and_then(|criteria| criteria.filters.as_deref()).unwrap_or_default();
        if filters.len() > MOST {
            let message = format!("Cannot have more than {MOST} filters in FilterCriteria.");
            return Err(error::invalid_parameter_value_exception(message));
        }
        let invalid =
            |why: String| error::invalid_parameter_value_exception(format!("Invalid filter pattern definition. {why}"));
        let parse = |text: &Option<String>| {
            Pattern::parse(text.as_deref().unwrap_or_default()).map_err(|error| invalid(error.to_string()))
        };
        Ok(Self(filters.iter().map(|filter| parse(&filter.pattern)).collect::<Result<_, _>>()?))
    }

    /// Those of a mapping, which were checked when it was made.
    pub(crate) fn of(criteria: Option<&FilterCriteria>) -> Self {
        Self::parse(criteria).unwrap_or_default()
    }

    pub(crate) fn want(&self, record: &Value) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(record))
    }

    /// A message of SQS: a body that is JSON is looked into, another is a text.
    pub(crate) fn want_message(&self, message: &Value) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let body = message["body"].as_str().and_then(|body| jsontext::read::<Value>(body).ok());
        match body.filter(Value::is_object) {
            Some(body) => {
                let mut message = message.clone();
                message["body"] = body;
                self.want(&message)
            }
            None => self.want(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use api_lambda::Filter;
    use serde_json::json;

    use super::*;

    fn filters(patterns: &[Value]) -> Filters {
        let filters = patterns.iter().map(|pattern| Filter { pattern: Some(pattern.to_string()) }).collect();
        Filters::parse(Some(&FilterCriteria { filters: Some(filters) })).unwrap()
    }

    #[test]
    fn bodies_are_looked_into_where_they_are_json() {
        let number = filters(&[json!({ "body": { "n": [{ "numeric": [">", 5] }] } }), json!({ "body": ["text"] })]);
        let wants = |body: &str| number.want_message(&json!({ "body": body }));
        assert_eq!(
            [wants(r#"{"n": 6}"#), wants(r#"{"n": 5}"#), wants("text"), wants("other")],
            [true, false, true, false]
        );
        // Cut within an emoji, as JavaScript does.
        assert!(wants(r#"{"n": 6, "t": "\ud83d"}"#));
        assert!(Filters::default().want_message(&json!({ "body": "any" })));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let one = |text: &str| FilterCriteria { filters: Some(vec![Filter { pattern: Some(text.to_owned()) }]) };
        for text in ["", "[]", "{\"a\": 1}", "{\"a\": [{\"numeric\": [\">\"]}]}"] {
            assert_eq!(
                Filters::parse(Some(&one(text))).unwrap_err().code(),
                "InvalidParameterValueException",
                "{text}"
            );
        }
    }
}
