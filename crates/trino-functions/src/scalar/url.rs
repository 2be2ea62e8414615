//! Parts of URLs, as `java.net.URI` sees them.

use super::Row;
use crate::call::{Kernel::Strict, Rows};
use crate::error::Error;
use crate::types::Type;
use crate::value::Value;

/// A URI cut by RFC 3986's expression. The `url` crate would do more: it normalises, and refuses what has no scheme.
#[derive(Debug, Default, PartialEq)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    // What may stand nowhere in a URI makes it none.
    let allowed =
        |c: char| c.is_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c) || !c.is_ascii() && !c.is_whitespace();
    if !text.chars().all(allowed) || !escapes_are_whole(text) {
        return None;
    }
    let mut found = Parts::default();
    let mut rest = text;
    if let Some((before, fragment)) = rest.split_once('#') {
        (rest, found.fragment) = (before, Some(fragment));
    }
    let scheme_end = rest.find([':', '/', '?']).filter(|at| rest[*at..].starts_with(':'));
    if let Some(at) = scheme_end {
        let scheme = &rest[..at];
        let right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !right {
            return None;
        }
        (found.scheme, rest) = (Some(scheme), &rest[at + 1..]);
        if rest.is_empty() {
            return None;
        }
        if !rest.starts_with('/') {
            // An opaque URI has neither path nor query.
            return Some(found);
        }
    }
    if let Some((before, query)) = rest.split_once('?') {
        (rest, found.query) = (before, Some(query));
    }
    if let Some(after) = rest.strip_prefix("//") {
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        found.path = path;
        let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
        let (host, port) = match server.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (server, None),
        };
        // An authority that is none of a server's has neither host nor port.
        let named = host.starts_with('[')
            || host.split('.').all(|label| {
                !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
            });
        if named && !host.is_empty() && port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit())) {
            (found.host, found.port) = (Some(host), port);
        }
    } else {
        found.path = rest;
    }
    Some(found)
}

fn escapes_are_whole(text: &str) -> bool {
    text.match_indices('%')
        .all(|(at, _)| text.as_bytes().get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)))
}

/// Percent escapes undone; with `plus`, a plus sign is a blank.
fn decoded(text: &str, plus: bool) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match first {
            b'%' => {
                let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    bytes.push(byte);
                    rest = &after[2..];
                } else {
                    bytes.push(b'%');
                }
            }
            b'+' if plus => bytes.push(b' '),
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const ENCODE: Rows = |_, a| {
    use std::fmt::Write;
    let mut out = String::new();
    for byte in a[0].as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(*byte)),
            b' ' => out.push('+'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    Ok(out.into())
};

const DECODE: Rows = |_, a| {
    if !escapes_are_whole(a[0].as_str()) {
        return Err(Error::argument("URLDecoder: Illegal hex characters in escape (%) pattern"));
    }
    Ok(decoded(a[0].as_str(), true).into())
};

/// A part's text, `''` where the URL has none; null where it is no URL.
fn part(a: &[Value], choose: fn(&Parts<'_>) -> Option<String>) -> Value {
    parts(a[0].as_str()).map(|parts| choose(&parts).unwrap_or_default()).into()
}

const PORT: Rows = |_, a| Ok(parts(a[0].as_str()).and_then(|p| p.port?.parse::<i64>().ok()).into());

const PARAMETER: Rows = |_, a| {
    let Some(query) = parts(a[0].as_str()).and_then(|parts| parts.query.map(str::to_owned)) else {
        return Ok(Value::Null);
    };
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if decoded(name, false) == a[1].as_str() {
            return Ok(decoded(value, false).into());
        }
    }
    Ok(Value::Null)
};

pub(super) const TABLE: &[Row] = &[
    ("url_decode", "varchar(x) -> varchar(x)", Strict(DECODE)),
    (
        "url_extract_fragment",
        "varchar(x) -> varchar(x)",
        Strict(|_, a| Ok(part(a, |p| p.fragment.map(|f| decoded(f, false))))),
    ),
    ("url_extract_host", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(part(a, |p| p.host.map(str::to_owned))))),
    ("url_extract_parameter", "varchar(x), varchar(y) -> varchar(x)", Strict(PARAMETER)),
    ("url_extract_path", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(part(a, |p| Some(decoded(p.path, false)))))),
    ("url_extract_port", "varchar(x) -> bigint", Strict(PORT)),
    ("url_extract_protocol", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(part(a, |p| p.scheme.map(str::to_owned))))),
    (
        "url_extract_query",
        "varchar(x) -> varchar(x)",
        Strict(|_, a| Ok(part(a, |p| p.query.map(|q| decoded(q, false))))),
    ),
];

/// `url_encode`, which may grow a text twelvefold.
pub(super) fn encode(types: &[Type]) -> Option<crate::call::Call> {
    let length = match types {
        [Type::Varchar(n)] => *n,
        [Type::Unknown] => Some(0),
        _ => return None,
    };
    let returns = Type::Varchar(length.and_then(|n| n.checked_mul(12)).filter(|n| *n < i32::MAX as u32));
    Some(crate::call::Call { name: "url_encode", params: types.to_vec(), returns, kernel: Strict(ENCODE) })
}
