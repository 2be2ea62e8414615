//! Functions over strings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::Digest as _;

use crate::random::Random;
use crate::value::java_text;

/// Base64 and hash functions refuse more than this.
const MAX_CHARACTERS: usize = 10_000;

pub(super) fn format(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let template = string(&arguments[0])?;
    let mut values = arguments[1..].iter();
    let mut text = String::with_capacity(template.len());
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some('{' | '}')) => text.extend(chars.next()),
            ('{', Some('}')) => {
                chars.next();
                let value =
                    values.next().ok_or("The number of arguments does not match the number of occurrences of {}")?;
                text.push_str(&java_text(value));
            }
            _ => text.push(c),
        }
    }
    if values.next().is_some() {
        return Err("The number of arguments does not match the number of occurrences of {}".to_owned());
    }
    Ok(Value::String(text))
}

/// Splits at any of the delimiter's characters; empty parts are dropped, as Java's tokenizer does.
pub(super) fn string_split(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let (text, delimiters) = (string(&arguments[0])?, string(&arguments[1])?);
    let parts = text.split(|c| delimiters.contains(c)).filter(|part| !part.is_empty());
    Ok(Value::Array(parts.map(|part| Value::String(part.to_owned())).collect()))
}

pub(super) fn base64_encode(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    Ok(Value::String(STANDARD.encode(short(&arguments[0])?)))
}

pub(super) fn base64_decode(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let bytes = STANDARD.decode(short(&arguments[0])?).map_err(|_| "Failed to decode the Base64 string")?;
    Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()))
}

pub(super) fn hash(arguments: &[Value], _: &mut Random) -> Result<Value, String> {
    let data = match &arguments[0] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if data.chars().count() > MAX_CHARACTERS {
        return Err(format!("The data must not exceed {MAX_CHARACTERS} characters"));
    }
    let digest = match string(&arguments[1])? {
        "MD5" => hex::encode(md5::Md5::digest(&data)),
        "SHA-1" => hex::encode(sha1::Sha1::digest(&data)),
        "SHA-256" => hex::encode(sha2::Sha256::digest(&data)),
        "SHA-384" => hex::encode(sha2::Sha384::digest(&data)),
        "SHA-512" => hex::encode(sha2::Sha512::digest(&data)),
        other => return Err(format!("The hash algorithm '{other}' is not supported")),
    };
    Ok(Value::String(digest))
}

fn string(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "The argument must be a string".to_owned())
}

fn short(value: &Value) -> Result<&str, String> {
    let text = string(value)?;
    if text.chars().count() > MAX_CHARACTERS {
        return Err(format!("The string must not exceed {MAX_CHARACTERS} characters"));
    }
    Ok(text)
}
