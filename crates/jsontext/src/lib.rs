//! Documents that others wrote, read as Jackson reads them on AWS: half of a surrogate pair, which JavaScript writes where it cuts a text
//! within an emoji, is a character like another. Rust's texts cannot hold it: it is read as U+FFFD, and the rest of the document as it is.
//!
//! A document is checked where it comes in by being read with this, as what `IgnoredAny` takes need be nothing that a `Value` can hold:
//! numbers beyond a double, arrays nested without end.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Error, Value};

/// What is nested deeper cannot be read again once it is written.
pub const MAX_DEPTH: usize = 127;

/// Reads a document.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).or_else(|error| match mended(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(mended) => serde_json::from_str(&mended),
    })
}

/// Reads a document of bytes.
pub fn read_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    match str::from_utf8(bytes) {
        Ok(text) => read(text),
        Err(_) => serde_json::from_slice(bytes),
    }
}

/// Whether a value nests more arrays and objects in each other than `limit`.
pub fn is_deeper(value: &Value, limit: usize) -> bool {
    match value {
        Value::Array(items) => limit == 0 || items.iter().any(|item| is_deeper(item, limit - 1)),
        Value::Object(members) => limit == 0 || members.values().any(|member| is_deeper(member, limit - 1)),
        _ => false,
    }
}

/// The text with each half of a surrogate pair that stands alone as the escape of U+FFFD. Where the text is JSON, a backslash begins
/// an escape; where it is none, it is none afterwards either.
fn mended(text: &str) -> Cow<'_, str> {
    let mut mended = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        let escape = at + found;
        // Two characters at least, of which the second may be a long one in what is no JSON.
        at = escape + 1 + text[escape + 1..].chars().next().map_or(0, char::len_utf8);
        let Some(unit) = unit(text, escape) else { continue };
        at = escape + UNIT;
        match unit {
            0xD800..=0xDBFF if matches!(self::unit(text, at), Some(0xDC00..=0xDFFF)) => at += UNIT,
            0xD800..=0xDFFF => {
                mended.push_str(&text[copied..escape]);
                mended.push_str("\\ufffd");
                copied = at;
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    mended.push_str(&text[copied..]);
    Cow::Owned(mended)
}

/// The bytes of `\uXXXX`.
const UNIT: usize = 6;

/// The code unit of the escape that stands at `at`.
fn unit(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + UNIT)?.strip_prefix("\\u")?;
    u16::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn halves_of_pairs_are_read_and_the_rest_is_as_it_is() {
        let read = |text: &str| read::<Value>(text).unwrap();
        assert_eq!(read(r#"{"text":"abc\ud83d","id":7}"#), json!({ "text": "abc\u{fffd}", "id": 7 }));
        assert_eq!(read(r#""\uDE00\ud83d\ude00\ud83d\ud83d\ude00""#), json!("\u{fffd}😀\u{fffd}😀"));
        assert_eq!(read(r#""\ud83dx\\ud83d\\\udc00\n""#), json!("\u{fffd}x\\ud83d\\\u{fffd}\n"));
        assert_eq!(read(r#"{"k\udfff":[1.5,"é\ud800"]}"#), json!({ "k\u{fffd}": [1.5, "é\u{fffd}"] }));
        assert_eq!(read_slice::<Map<String, Value>>(br#"{"a":"\ud800"}"#).unwrap()["a"], "\u{fffd}");
    }

    #[test]
    fn what_no_value_holds_is_refused() {
        for text in [
            "",
            "{",
            r#""\"#,
            r#""\u"#,
            r#""\ud83d"#,
            r#""\ud83"#,
            r#""\ud83é""#,
            "\"\\é\"",
            "1e400",
            "[1e400,\"\\ud800\"]",
        ] {
            assert!(read::<Value>(text).is_err(), "{text}");
        }
        assert!(read_slice::<Value>(b"\"\xff\"").is_err());
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(read::<Value>(&nested(MAX_DEPTH + 1)).is_err());
        let deepest = read::<Value>(&nested(MAX_DEPTH)).unwrap();
        assert!(!is_deeper(&deepest, MAX_DEPTH) && is_deeper(&deepest, MAX_DEPTH - 1));
        assert!(is_deeper(&json!([deepest]), MAX_DEPTH));
    }
}
