//! Filter patterns of log events: terms, regular expressions, JSON (`{ $.level = "ERROR" }`) and space-delimited fields
//! (`[ip, ..., status = 5*, bytes]`). Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription
//! filters, filter log events, and Live Tail".

mod condition;
mod fields;
mod json;

use std::collections::BTreeMap;

use api_logs::error::invalid_parameter_exception;
use regex::Regex;
use wire::Error;

use condition::Cursor;
use fields::Fields;
use json::Json;

#[derive(Debug)]
pub(crate) enum Pattern {
    Terms(Terms),
    Json(Json),
    Fields(Fields),
}

/// Terms that must all be there, `?term` of which one must, `-term` that must not; quoted phrases, `%regular expressions%`.
#[derive(Debug, Default)]
pub(crate) struct Terms {
    all: Vec<Term>,
    any: Vec<Term>,
    none: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

fn invalid(why: &str) -> Error {
    invalid_parameter_exception(format!("Invalid filter pattern: {why}"))
}

impl Pattern {
    /// # Errors
    /// `InvalidParameterException`, with what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        match text.chars().next() {
            Some('{') => Json::parse(text).map(Self::Json),
            Some('[') => Fields::parse(text).map(Self::Fields),
            _ => Terms::parse(text).map(Self::Terms),
        }
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Terms(terms) => terms.matches(message),
            Self::Json(json) => json.matches(message),
            Self::Fields(fields) => fields.matches(message),
        }
    }

    /// What `$.latency` or `$bytes` is in a message that matches.
    pub(crate) fn extract(&self, message: &str, selector: &str) -> Option<String> {
        match self {
            Self::Terms(_) => None,
            Self::Json(_) => json::value_at(message, selector),
            Self::Fields(fields) => fields.value(message, selector.trim_start_matches('$')),
        }
    }

    /// What the pattern names in a message that matches, by its selectors.
    pub(crate) fn extracted(&self, message: &str) -> BTreeMap<String, String> {
        match self {
            Self::Terms(_) => BTreeMap::new(),
            Self::Json(json) => json.extracted(message),
            Self::Fields(fields) => fields.extracted(message),
        }
    }

    /// Whether values can be taken out of what matches.
    pub(crate) fn has_values(&self) -> bool {
        !matches!(self, Self::Terms(_))
    }
}

impl Terms {
    fn parse(text: &str) -> Result<Self, Error> {
        let mut terms = Self::default();
        let mut cursor = Cursor::new(text);
        loop {
            cursor.skip_space();
            let Some(first) = cursor.peek() else { return Ok(terms) };
            let sign = Some(first).filter(|c| matches!(c, '?' | '-'));
            if sign.is_some() {
                cursor.next();
            }
            let term = match cursor.peek() {
                Some('"') => Term::Text(cursor.quoted('"')?),
                Some('%') => Term::Regex(regex(&cursor.quoted('%')?)?),
                _ => Term::Text(cursor.word(char::is_whitespace)),
            };
            match sign {
                Some('?') => terms.any.push(term),
                Some(_) => terms.none.push(term),
                None => terms.all.push(term),
            }
        }
    }

    fn matches(&self, message: &str) -> bool {
        self.all.iter().all(|t| t.is_in(message))
            && (self.any.is_empty() || self.any.iter().any(|t| t.is_in(message)))
            && !self.none.iter().any(|t| t.is_in(message))
    }
}

fn regex(text: &str) -> Result<Regex, Error> {
    Regex::new(text).map_err(|error| invalid(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        let cases = [
            ("", "anything", true),
            ("ERROR", "an ERROR here", true),
            ("ERROR", "an error here", false),
            ("ERROR arguments", "ERROR: wrong arguments", true),
            ("ERROR arguments", "ERROR", false),
            ("\"out of memory\"", "ran out of memory", true),
            ("\"out of memory\"", "memory of out", false),
            ("?ERROR ?WARN", "WARN: x", true),
            ("?ERROR ?WARN", "INFO: x", false),
            ("ERROR -Exit", "ERROR then", true),
            ("ERROR -Exit", "ERROR Exit", false),
            ("%E[0-9]+%", "code E42", true),
            ("%E[0-9]+%", "code E", false),
        ];
        for (pattern, message, expected) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), expected, "{pattern} on {message}");
        }
        for bad in ["\"open", "%open", "%(%", "{ $.x }", "{ $.x = 1", "[a, b", "[a = ]", "{ x = 1 }"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    /// The examples of the guide.
    #[test]
    fn json() {
        let message = r#"{"eventType": "UpdateTrail", "sourceIPAddress": "111.111.111.111", "arrayKey": ["value", "another value"],
            "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}], "SomeObject": null, "cluster.name": "c", "n": 50, "ok": true}"#;
        let cases = [
            ("{ $.eventType = \"UpdateTrail\" }", true),
            ("{ $.eventType = UpdateTrail }", true),
            ("{ $.eventType = \"Update\" }", false),
            ("{ $.eventType = \"Update*\" }", true),
            ("{ $.sourceIPAddress != 123.123.* }", true),
            ("{ $.sourceIPAddress = 111.111.* }", true),
            ("{ $.arrayKey[0] = \"value\" }", true),
            ("{ $.arrayKey[*] = \"another value\" }", true),
            ("{ $.objectList[1].id = 2 }", true),
            ("{ $.objectList[1].id = 3 }", false),
            ("{ $.SomeObject IS NULL }", true),
            ("{ $.SomeOtherObject NOT EXISTS }", true),
            ("{ $.eventType NOT EXISTS }", false),
            ("{ $.ok IS TRUE }", true),
            ("{ $.ok IS FALSE }", false),
            ("{ $.['cluster.name'] = \"c\" }", true),
            ("{ $.n > 49 && $.n <= 5e1 }", true),
            ("{ ($.n > 60) || ($.n = 50 && $.eventType = %Update.*% ) }", true),
            ("{ $.n = 1 && $.n = 50 || $.n = 50 }", true),
            ("{ $.n != 50 }", false),
            ("{ $.nothing != 50 }", false),
        ];
        for (pattern, expected) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), expected, "{pattern}");
        }
        let pattern = Pattern::parse("{ $.n > 1 }").unwrap();
        assert!(!pattern.matches("no JSON, n = 50"));
        assert_eq!(pattern.extract(message, "$.objectList[1].name").as_deref(), Some("b"));
        assert_eq!(pattern.extracted(message), BTreeMap::from([("$.n".to_owned(), "50".to_owned())]));
    }

    #[test]
    fn fields() {
        let message = r#"127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /apache_pb.gif HTTP/1.0" 404 1534"#;
        let cases = [
            ("[ip, user, username, timestamp, request, status_code, bytes]", true),
            ("[ip, user, username, timestamp, request =*.gif*, status_code = 4*, bytes]", true),
            ("[ip, user, username, timestamp, request =*.html*, status_code = 4*, bytes]", false),
            ("[ip, user, username, timestamp, request, status_code = 404 || status_code = 410, bytes > 1000]", true),
            ("[ip, user, username, timestamp, request, status_code, bytes > 2000]", false),
            ("[..., status_code, bytes]", true),
            ("[ip, ..., bytes >= 1534]", true),
            ("[ip, user]", false),
            ("[w1 != \"127*\", ...]", false),
        ];
        for (pattern, expected) in cases {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), expected, "{pattern}");
        }
        let pattern = Pattern::parse("[ip, ..., status, bytes]").unwrap();
        assert_eq!(pattern.extract(message, "$bytes").as_deref(), Some("1534"));
        assert_eq!(pattern.extract(message, "$ip").as_deref(), Some("127.0.0.1"));
        assert_eq!(pattern.extract(message, "$nope"), None);
    }
}
