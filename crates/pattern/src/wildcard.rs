//! `*` stands for any run of characters; `\*` and `\\` for themselves.

use crate::Error;

#[derive(Clone, Debug)]
pub(crate) struct Wildcard {
    /// What stands between the stars.
    parts: Vec<String>,
}

impl Wildcard {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = vec![String::new()];
        let mut after_star = false;
        let mut chars = text.chars();
        while let Some(next) = chars.next() {
            let plain = match next {
                '*' if after_star => {
                    return Err(Error("Consecutive wildcard characters at pos".to_owned()));
                }
                '*' => {
                    parts.push(String::new());
                    after_star = true;
                    continue;
                }
                '\\' => match chars.next() {
                    Some(escaped @ ('*' | '\\')) => escaped,
                    _ => return Err(Error("Invalid escape character in wildcard".to_owned())),
                },
                plain => plain,
            };
            after_star = false;
            if let Some(part) = parts.last_mut() {
                part.push(plain);
            }
        }
        Ok(Self { parts })
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.first().is_some_and(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_runs() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*b*", "abc", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            (r"a\*", "a*", true),
            (r"a\*", "ab", false),
            ("abc", "abc", true),
        ] {
            assert_eq!(Wildcard::parse(pattern).unwrap().matches(text), expected, "{pattern} {text}");
        }
    }
}
