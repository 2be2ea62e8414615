//! Filter patterns of log events: terms that must all be there, `?term` of which one must, `-term` that must not, quoted
//! phrases. Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, … filtering log events".

use api_logs::error::invalid_parameter_exception;
use wire::Error;

#[derive(Debug, Default)]
pub(crate) struct Pattern {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

impl Pattern {
    /// # Errors
    /// `InvalidParameterException` for JSON, space-delimited and regex patterns, which are not supported yet.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.starts_with(['{', '[', '%']) {
            return Err(invalid_parameter_exception(
                "Only term patterns are supported: words, \"phrases\", ?any and -not",
            ));
        }
        let mut pattern = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let sign = rest.chars().next().filter(|c| matches!(c, '?' | '-'));
            rest = &rest[sign.map_or(0, char::len_utf8)..];
            let (term, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted
                    .split_once('"')
                    .ok_or_else(|| invalid_parameter_exception("Invalid filter pattern: a quote is not closed"))?,
                None => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
            };
            match sign {
                Some('?') => pattern.any.push(term.to_owned()),
                Some(_) => pattern.none.push(term.to_owned()),
                None => pattern.all.push(term.to_owned()),
            }
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        self.all.iter().all(|t| message.contains(t.as_str()))
            && (self.any.is_empty() || self.any.iter().any(|t| message.contains(t.as_str())))
            && !self.none.iter().any(|t| message.contains(t.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms() {
        for (pattern, message, expected) in [
            ("", "anything", true),
            ("ERROR", "an ERROR here", true),
            ("ERROR error", "an ERROR here", false),
            ("?ERROR ?WARN", "WARN", true),
            ("\"not found\" -404", "file not found", true),
            ("\"not found\" -404", "404 not found", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), expected, "{pattern} on {message}");
        }
        assert!(Pattern::parse("{ $.x = 1 }").is_err());
        assert!(Pattern::parse("\"open").is_err());
    }
}
