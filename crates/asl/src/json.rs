//! Names made of texts, and what the Java side of AWS says of texts that are no JSON.

use sha2::{Digest as _, Sha256};

/// A text's name among texts: its SHA-256.
pub fn fingerprint(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// Line, column and Jackson's sentence for a text that serde could not read.
pub fn json_problem(text: &str, error: &serde_json::Error) -> (usize, usize, String) {
    let start = text.len() - text.trim_start().len();
    let rest = &text[start..];
    let word_length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
    let word = &rest[..word_length];
    if !word.is_empty() && !word.starts_with(|c: char| c.is_ascii_digit()) && !matches!(word, "true" | "false" | "null")
    {
        let line = 1 + text[..start].matches('\n').count();
        let sentence = format!(
            "Unrecognized token '{word}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
        );
        return (line, start + word_length + 1, sentence);
    }
    let (line, column) = (error.line(), error.column());
    let said = error.to_string();
    if said.starts_with("recursion limit") {
        // As Jackson says it of its own bound.
        let (depth, most) = (jsontext::MAX_DEPTH + 1, jsontext::MAX_DEPTH);
        return (line, column + 1, format!("Document nesting depth ({depth}) exceeds the maximum allowed ({most})"));
    }
    if said.starts_with("number out of range") {
        return (line, column + 1, "Numeric value out of range of double".to_owned());
    }
    let at = text.lines().nth(line.saturating_sub(1)).and_then(|line| line.chars().nth(column.saturating_sub(1)));
    let sentence = match at {
        Some(c) if error.is_syntax() && said.starts_with("key must be a string") => {
            format!(
                "Unexpected character ('{c}' (code {})): was expecting double-quote to start field name",
                u32::from(c)
            )
        }
        Some(c) if error.is_syntax() => format!("Unexpected character ('{c}' (code {}))", u32::from(c)),
        _ => "Unexpected end-of-input".to_owned(),
    };
    (line, column + 1, sentence)
}

/// A UUID of version 3: the same name gives the same one, as AWS's labels and children have it.
pub(crate) fn named_uuid(name: &str) -> String {
    let mut bytes: [u8; 16] = md5::Md5::digest(name).into();
    bytes[6] = (bytes[6] & 0x0F) | 0x30;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    let digits = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}
