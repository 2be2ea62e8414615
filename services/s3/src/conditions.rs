//! If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since: on reads, and on writes as S3 has had them since 2024.

use crate::errors::{Result, no_such_key, not_modified, precondition_failed};
use crate::records::ObjectRecord;

/// An ETag to compare with: `*`, or a value without quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Any,
    Value(String),
}

impl Tag {
    /// As it stands in a header or a JSON member.
    pub(crate) fn parse(text: &str) -> Self {
        match text.trim() {
            "*" => Self::Any,
            value => Self::Value(value.trim_start_matches("W/").trim_matches('"').to_owned()),
        }
    }

    fn matches(&self, record: &ObjectRecord) -> bool {
        match self {
            Self::Any => true,
            Self::Value(value) => *value == record.etag,
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "they are the headers' names")]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<Tag>,
    pub(crate) if_none_match: Option<Tag>,
    /// Milliseconds since 1970; compared by the second, as HTTP dates are.
    pub(crate) if_modified_since: Option<i64>,
    pub(crate) if_unmodified_since: Option<i64>,
    /// Of deletions alone: the object's time, to the second, and its size.
    pub(crate) if_match_modified: Option<i64>,
    pub(crate) if_match_size: Option<u64>,
}

impl Conditions {
    /// Whatever there is may be read or written.
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// For GET, HEAD; RFC 9110's order of precedence.
    pub(crate) fn check_read(&self, record: &ObjectRecord) -> Result<()> {
        let modified = record.modified_ms.div_euclid(1000);
        match &self.if_match {
            Some(tag) if !tag.matches(record) => return Err(precondition_failed("If-Match")),
            Some(_) => {}
            None => {
                if self.if_unmodified_since.is_some_and(|t| modified > t.div_euclid(1000)) {
                    return Err(precondition_failed("If-Unmodified-Since"));
                }
            }
        }
        match &self.if_none_match {
            Some(tag) if tag.matches(record) => Err(not_modified()),
            None if self.if_modified_since.is_some_and(|t| modified <= t.div_euclid(1000)) => Err(not_modified()),
            _ => Ok(()),
        }
    }

    /// For the source of a copy, which never answers 304.
    pub(crate) fn check_source(&self, record: &ObjectRecord) -> Result<()> {
        self.check_read(record).map_err(|error| {
            let own = error.fields().get("Condition").and_then(serde_json::Value::as_str);
            let passed = if self.if_none_match.is_some() { "If-None-Match" } else { "If-Modified-Since" };
            let own = own.unwrap_or(passed);
            precondition_failed(&format!("x-amz-copy-source-{own}"))
        })
    }

    /// For PUT, CompleteMultipartUpload and DELETE, against what the key holds now.
    pub(crate) fn check_write(&self, key: &str, current: Option<&ObjectRecord>) -> Result<()> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(no_such_key(key)),
            (Some(tag), Some(record)) if !tag.matches(record) => return Err(precondition_failed("If-Match")),
            _ => {}
        }
        if let Some(wanted) = self.if_match_modified {
            match current {
                None => return Err(no_such_key(key)),
                Some(record) if record.modified_ms.div_euclid(1000) != wanted.div_euclid(1000) => {
                    return Err(precondition_failed("x-amz-if-match-last-modified-time"));
                }
                Some(_) => {}
            }
        }
        if let Some(wanted) = self.if_match_size {
            match current {
                None => return Err(no_such_key(key)),
                Some(record) if record.size != wanted => return Err(precondition_failed("x-amz-if-match-size")),
                Some(_) => {}
            }
        }
        match (&self.if_none_match, current) {
            (Some(tag), Some(record)) if tag.matches(record) => Err(precondition_failed("If-None-Match")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ObjectRecord {
        serde_json::from_value(serde_json::json!({
            "v": 1, "etag": "abc", "size": 0, "modified_ms": 5_500, "segments": [],
        }))
        .unwrap()
    }

    fn code(result: Result<()>) -> String {
        result.map_or_else(|e| e.code().to_owned(), |()| "ok".to_owned())
    }

    #[test]
    fn reads() {
        let tag = |t: &str| Some(Tag::parse(t));
        let cases = [
            (Conditions::default(), "ok"),
            (Conditions { if_match: tag("\"abc\""), ..Default::default() }, "ok"),
            (Conditions { if_match: tag("x"), ..Default::default() }, "PreconditionFailed"),
            (Conditions { if_none_match: tag("abc"), ..Default::default() }, "NotModified"),
            (Conditions { if_modified_since: Some(5_000), ..Default::default() }, "NotModified"),
            (Conditions { if_modified_since: Some(4_999), ..Default::default() }, "ok"),
            (Conditions { if_unmodified_since: Some(4_000), ..Default::default() }, "PreconditionFailed"),
            (Conditions { if_match: tag("abc"), if_unmodified_since: Some(0), ..Default::default() }, "ok"),
            (Conditions { if_none_match: tag("x"), if_modified_since: Some(9_000), ..Default::default() }, "ok"),
        ];
        for (conditions, expected) in cases {
            assert_eq!(code(conditions.check_read(&record())), expected, "{conditions:?}");
        }
    }

    #[test]
    fn writes() {
        let record = record();
        let create = Conditions { if_none_match: Some(Tag::Any), ..Default::default() };
        assert_eq!(code(create.check_write("k", None)), "ok");
        assert_eq!(code(create.check_write("k", Some(&record))), "PreconditionFailed");
        let swap = Conditions { if_match: Some(Tag::parse("abc")), ..Default::default() };
        assert_eq!(code(swap.check_write("k", Some(&record))), "ok");
        assert_eq!(code(swap.check_write("k", None)), "NoSuchKey");
    }
}
