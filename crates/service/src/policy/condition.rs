//! Conditions. Source: IAM User Guide, "IAM JSON policy elements: Condition operators", "Multivalued context keys" and "Variables
//! and tags".

use std::net::IpAddr;

use serde_json::Value;

use super::{Asked, glob, one_or_many};

/// Whether it is an operator, with `IfExists` and `ForAllValues:` or `ForAnyValue:` as they may be.
pub(super) fn is_operator(name: &str) -> bool {
    let plain = name.strip_prefix("ForAllValues:").or_else(|| name.strip_prefix("ForAnyValue:")).unwrap_or(name);
    OPERATORS.contains(&plain.strip_suffix("IfExists").unwrap_or(plain))
}

/// The operators that there are, without `IfExists` and the set operators.
pub const OPERATORS: [&str; 27] = [
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
    "StringLike",
    "StringNotLike",
    "NumericEquals",
    "NumericNotEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "DateEquals",
    "DateNotEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "Bool",
    "BinaryEquals",
    "IpAddress",
    "NotIpAddress",
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "Null",
];

/// Whether all of a condition holds; `None` where it asks about what is not known here, or in a way that is not.
pub(super) fn holds(condition: &Value, asked: Asked<'_>) -> Option<bool> {
    let mut all = true;
    for (operator, keys) in condition.as_object()? {
        for (key, wanted) in keys.as_object()? {
            all &= one(operator, key, wanted, asked)?;
        }
    }
    Some(all)
}

/// A condition operator taken apart: its set operator, its name, and whether it ends in `IfExists`.
pub(super) fn parts(operator: &str) -> (Option<&str>, &str, bool) {
    let (set, rest) = match operator.split_once(':') {
        Some((set, rest)) => (Some(set), rest),
        None => (None, operator),
    };
    match rest.strip_suffix("IfExists") {
        Some(name) => (set, name, true),
        None => (set, rest, false),
    }
}

fn one(operator: &str, key: &str, wanted: &Value, asked: Asked<'_>) -> Option<bool> {
    let (set, name, if_exists) = parts(operator);
    if !OPERATORS.contains(&name) || set.is_some_and(|s| s != "ForAnyValue" && s != "ForAllValues") {
        return None;
    }
    let values: Vec<&str> =
        asked.keys.iter().filter(|(known, _)| same_key(known, key)).map(|(_, value)| *value).collect();
    if values.is_empty() && asked.unknown.iter().any(|unknown| same_key(unknown, key)) {
        return None;
    }
    let wanted: Vec<String> = one_or_many(wanted).map(text).collect();
    if name == "Null" {
        return Some(wanted.iter().any(|w| w.eq_ignore_ascii_case("true") == values.is_empty()));
    }
    let negated = name.contains("Not");
    if values.is_empty() {
        return Some(if_exists || set == Some("ForAllValues") || (negated && set.is_none()));
    }
    let meets = |value: &&str| {
        let any = wanted.iter().any(|wanted| compare(name, wanted, value, asked));
        any != negated
    };
    let met = match set {
        Some("ForAllValues") => values.iter().all(meets),
        // A negated operator on several values: none of them may be among those named.
        None if negated => values.iter().all(meets),
        _ => values.iter().any(meets),
    };
    // What a variable stands for that is not known here could make it otherwise.
    let is_sure = met != negated || wanted.iter().all(|wanted| is_known(wanted, asked));
    is_sure.then_some(met)
}

/// Whether all variables of a text are known here, with a value or without.
pub(super) fn is_known(text: &str, asked: Asked<'_>) -> bool {
    if asked.unknown.is_empty() || !text.contains("${") {
        return true;
    }
    let mut keys = std::collections::BTreeSet::new();
    variables(text, &mut keys);
    !keys.iter().any(|key| asked.unknown.iter().any(|unknown| same_key(unknown, key)))
}

/// Names of condition keys ignore case, with the tag's key in them; S3's own tag keys do not.
/// Source: IAM User Guide, "IAM JSON policy elements: Condition".
pub(crate) fn same_key(known: &str, key: &str) -> bool {
    match (known.split_once('/'), key.split_once('/')) {
        (Some((a, tag)), Some((b, asked))) if is_of_object(a) => a.eq_ignore_ascii_case(b) && tag == asked,
        _ => known.eq_ignore_ascii_case(key),
    }
}

fn is_of_object(name: &str) -> bool {
    name.get(..3).is_some_and(|service| service.eq_ignore_ascii_case("s3:"))
}

/// The positive form of an operator.
fn compare(name: &str, wanted: &str, value: &str, asked: Asked<'_>) -> bool {
    let plain = || substitute(wanted, asked);
    let number = |order: fn(f64, f64) -> bool| match (value.parse(), plain().parse()) {
        (Ok(value), Ok(wanted)) => order(value, wanted),
        _ => false,
    };
    let date = |order: fn(i128, i128) -> bool| match (nanos(value), nanos(&plain())) {
        (Some(value), Some(wanted)) => order(value, wanted),
        _ => false,
    };
    match name {
        "StringEquals" | "StringNotEquals" | "BinaryEquals" => plain() == value,
        "StringEqualsIgnoreCase" | "StringNotEqualsIgnoreCase" | "Bool" => plain().eq_ignore_ascii_case(value),
        "StringLike" | "StringNotLike" => like(wanted, value, asked, false),
        "ArnEquals" | "ArnLike" | "ArnNotEquals" | "ArnNotLike" => arn_like(wanted, value, asked),
        #[expect(clippy::float_cmp, reason = "both are as they were written")]
        "NumericEquals" | "NumericNotEquals" => number(|a, b| a == b),
        "NumericLessThan" => number(|a, b| a < b),
        "NumericLessThanEquals" => number(|a, b| a <= b),
        "NumericGreaterThan" => number(|a, b| a > b),
        "NumericGreaterThanEquals" => number(|a, b| a >= b),
        "DateEquals" | "DateNotEquals" => date(|a, b| a == b),
        "DateLessThan" => date(|a, b| a < b),
        "DateLessThanEquals" => date(|a, b| a <= b),
        "DateGreaterThan" => date(|a, b| a > b),
        "DateGreaterThanEquals" => date(|a, b| a >= b),
        "IpAddress" | "NotIpAddress" => within(value, &plain()),
        _ => false,
    }
}

/// Each of an ARN's six parts is compared by itself: a wildcard does not reach over a colon but in the last.
fn arn_like(pattern: &str, value: &str, asked: Asked<'_>) -> bool {
    if pattern == "*" {
        return true;
    }
    // Colons within variables are no separators.
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in pattern.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ':' if depth == 0 && parts.len() < 6 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().expect("it begins with one").push(c);
    }
    let values: Vec<&str> = value.splitn(6, ':').collect();
    parts.len() == values.len() && parts.iter().zip(values).all(|(pattern, value)| like(pattern, value, asked, false))
}

/// A pattern with variables against a value. What a variable brings in is no pattern.
pub(super) fn like(pattern: &str, value: &str, asked: Asked<'_>, fold: bool) -> bool {
    if !pattern.contains("${") {
        return glob(pattern, value, fold);
    }
    // Wildcards out of variables stand for themselves: both sides write them as characters that no name has.
    let hide = |text: &str| text.replace('*', "\u{1}").replace('?', "\u{2}");
    let mut built = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        built.push_str(before);
        match variable(name, asked) {
            Some(text) => built.push_str(&hide(&text)),
            None => return false,
        }
        rest = after;
    }
    built.push_str(rest);
    glob(&built, value, fold) || glob(&built, &hide(value), fold)
}

/// The keys of the variables in a text.
pub(super) fn variables(text: &str, keys: &mut std::collections::BTreeSet<String>) {
    for part in text.split("${").skip(1) {
        let name = part.split(['}', ',']).next().unwrap_or_default().trim();
        if !matches!(name, "*" | "?" | "$" | "") {
            keys.insert(name.to_owned());
        }
    }
}

fn substitute(wanted: &str, asked: Asked<'_>) -> String {
    let mut built = String::new();
    let mut rest = wanted;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        built.push_str(before);
        match variable(name, asked) {
            Some(text) => built.push_str(&text),
            // A variable without a value matches nothing: it stays as it is written.
            None => built.extend(["${", name, "}"]),
        }
        rest = after;
    }
    built.push_str(rest);
    built
}

/// `${aws:username}`, `${aws:username, 'default'}`, and the three that write a character: `${*}`, `${?}`, `${$}`.
fn variable(name: &str, asked: Asked<'_>) -> Option<String> {
    if matches!(name, "*" | "?" | "$") {
        return Some(name.to_owned());
    }
    let (key, default) = match name.split_once(',') {
        Some((key, default)) => (key.trim(), Some(default.trim().trim_matches('\'').to_owned())),
        None => (name.trim(), None),
    };
    asked.keys.iter().find(|(known, _)| same_key(known, key)).map(|(_, value)| (*value).to_owned()).or(default)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A date in ISO 8601, or seconds since 1970.
fn nanos(text: &str) -> Option<i128> {
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(i128::from(seconds) * 1_000_000_000);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_nanosecond());
    }
    let date: jiff::civil::Date = text.parse().ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_nanosecond())
}

/// Is the address in the block (or is it the address itself)?
fn within(address: &str, block: &str) -> bool {
    let (network, bits) = match block.split_once('/') {
        Some((network, bits)) => (network, bits.parse::<u32>().ok()),
        None => (block, None),
    };
    let (Ok(address), Ok(network)) = (address.parse::<IpAddr>(), network.parse::<IpAddr>()) else { return false };
    let (a, b, width) = match (address.to_canonical(), network.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(u32::from(a)), u128::from(u32::from(b)), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (u128::from(a), u128::from(b), 128),
        _ => return false,
    };
    match bits.unwrap_or(width) {
        bits if bits > width => false,
        0 => true,
        bits => (a >> (width - bits)) == (b >> (width - bits)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(condition: &Value, complete: bool) -> Option<bool> {
        let keys = [
            ("s3:prefix", "home/ann"),
            ("aws:SourceIp", "10.1.2.3"),
            ("aws:CurrentTime", "2026-03-01T00:00:00Z"),
            ("s3:max-keys", "10"),
            ("aws:SecureTransport", "false"),
            ("s3:ExistingObjectTag/Team", "Red"),
            ("s3:RequestObjectTagKeys", "a"),
            ("s3:RequestObjectTagKeys", "b"),
            ("aws:username", "ann"),
            ("aws:ResourceTag/Env", "prod"),
            ("aws:PrincipalTag/User", "ann"),
        ];
        let unknown = if complete { Vec::new() } else { vec!["s3:x-amz-acl".to_owned()] };
        holds(condition, Asked { action: "s3:ListBucket", resource: "arn:aws:s3:::b", keys: &keys, unknown: &unknown })
    }

    #[test]
    fn operators() {
        let cases = [
            (json!({"StringEquals": {"s3:prefix": ["x", "home/ann"]}}), true),
            (json!({"StringNotEquals": {"s3:prefix": ["x", "home/ann"]}}), false),
            (json!({"StringLike": {"S3:Prefix": "home/*"}}), true),
            (json!({"StringLike": {"s3:prefix": "home/${aws:username}"}}), true),
            (json!({"StringLike": {"s3:prefix": "home/${aws:userid}*"}}), false),
            (json!({"StringLike": {"s3:prefix": "home/${aws:userid, 'ann'}"}}), true),
            (json!({"StringNotLike": {"s3:prefix": "home/*"}}), false),
            (json!({"StringEquals": {"s3:ExistingObjectTag/Team": "Red"}}), true),
            (json!({"StringEquals": {"s3:ExistingObjectTag/team": "Red"}}), false),
            (json!({"StringEqualsIgnoreCase": {"s3:ExistingObjectTag/Team": "RED"}}), true),
            (json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), true),
            (json!({"IpAddress": {"aws:SourceIp": ["10.1.2.4", "192.168.0.0/16"]}}), false),
            (json!({"NotIpAddress": {"aws:SourceIp": "10.1.2.3"}}), false),
            (json!({"NumericLessThanEquals": {"s3:max-keys": "10"}}), true),
            (json!({"NumericGreaterThan": {"s3:max-keys": 10}}), false),
            (json!({"DateGreaterThan": {"aws:CurrentTime": "2026-02-28T23:59:59Z"}}), true),
            (json!({"DateLessThan": {"aws:CurrentTime": "2026-02-28"}}), false),
            (json!({"Bool": {"aws:SecureTransport": "false"}}), true),
            (json!({"Bool": {"aws:SecureTransport": true}}), false),
            (json!({"Null": {"s3:x-amz-acl": "true"}}), true),
            (json!({"Null": {"s3:prefix": "true"}}), false),
            (json!({"Null": {"s3:x-amz-acl": "True"}}), true),
            (json!({"Null": {"s3:x-amz-acl": true}}), true),
            (json!({"Null": {"s3:prefix": "False"}}), true),
            (json!({"StringEquals": {"AWS:resourcetag/env": "prod"}}), true),
            (json!({"StringNotEquals": {"aws:ResourceTag/ENV": "prod"}}), false),
            (json!({"StringLike": {"s3:prefix": "home/${aws:principaltag/USER}"}}), true),
            (json!({"StringEquals": {"s3:x-amz-acl": "private"}}), false),
            (json!({"StringNotEquals": {"s3:x-amz-acl": "private"}}), true),
            (json!({"StringEqualsIfExists": {"s3:x-amz-acl": "private"}}), true),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a", "b", "c"]}}), true),
            (json!({"ForAllValues:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), false),
            (json!({"ForAnyValue:StringEquals": {"s3:RequestObjectTagKeys": ["a"]}}), true),
            (json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}}), false),
            (json!({"StringEquals": {"s3:prefix": "home/ann"}, "Bool": {"aws:SecureTransport": "true"}}), false),
        ];
        for (condition, expected) in cases {
            assert_eq!(check(&condition, true), Some(expected), "{condition}");
        }
        assert_eq!(check(&json!({"StringEquals": {"s3:x-amz-acl": "private"}}), false), None);
        assert_eq!(check(&json!({"Sounds": {"s3:prefix": "private"}}), true), None);
        // A variable that is not known here decides nothing, but where another value does.
        let unknown = "${s3:x-amz-acl}";
        for (condition, expected) in [
            (json!({"StringEquals": {"s3:prefix": unknown}}), None),
            (json!({"StringNotEquals": {"s3:prefix": unknown}}), None),
            (json!({"StringLike": {"s3:prefix": format!("x{unknown}*")}}), None),
            (json!({"StringEquals": {"s3:prefix": [unknown, "home/ann"]}}), Some(true)),
            (json!({"StringNotEquals": {"s3:prefix": [unknown, "home/ann"]}}), Some(false)),
        ] {
            assert_eq!(check(&condition, false), expected, "{condition}");
        }
    }
}
