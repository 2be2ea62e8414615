//! The compliance suite of RFC 9535 (`tests/data/`, BSD-2), as far as Jayway agrees with it.

use std::collections::BTreeMap;
use std::io::Read as _;

use meter::Meter;
use serde_json::Value;

use super::{Path, PathError};

/// With its filters in parentheses, as Jayway wants them.
fn in_parentheses(selector: &str) -> String {
    let mut out = String::new();
    let mut rest = selector;
    while let Some(at) = rest.find('?').filter(|at| rest[..*at].trim_end().ends_with('[')) {
        let (before, filter) = rest.split_at(at + 1);
        out.push_str(before);
        let (mut depth, mut quote, mut escape, mut end) = (0, None, false, None);
        for (at, c) in filter.char_indices() {
            match (quote, c) {
                _ if escape => escape = false,
                (Some(_), '\\') => escape = true,
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, '[' | '(') => depth += 1,
                (None, ']') if depth == 0 => {
                    end = Some(at);
                    break;
                }
                (None, ']' | ')') => depth -= 1,
                _ => {}
            }
        }
        let Some(end) = end else { return selector.to_owned() };
        out = out + "(" + &in_parentheses(&filter[..end]) + ")";
        rest = &filter[end..];
    }
    out + rest
}

fn run(case: &Value) -> Result<(), String> {
    let selector = &in_parentheses(case["selector"].as_str().unwrap());
    let refused = case["invalid_selector"] == true;
    let Some(steps) = selector.strip_prefix('$') else { return if refused { Ok(()) } else { Err("no $".to_owned()) } };
    let path = match (Path::parse(selector, steps), refused) {
        (Err(_), true) => return Ok(()),
        (Ok(_), true) => return Err("is taken".to_owned()),
        (Err(problem), false) => return Err(format!("is refused: {problem}")),
        (Ok(path), false) => path,
    };
    let found = match path.read(&case["document"], &Meter::default()) {
        // A definite path yields its value itself, and nothing is an error.
        Ok(found) if path.is_definite() => Value::Array(vec![found]),
        Ok(found) => found,
        Err(PathError::NotFound(_)) => Value::Array(Vec::new()),
        Err(other) => return Err(other.to_string()),
    };
    let wanted: Vec<&Value> =
        case["results"].as_array().map_or_else(|| vec![&case["result"]], |results| results.iter().collect());
    if wanted.contains(&&found) { Ok(()) } else { Err(format!("wanted {}, got {found}", wanted[0])) }
}

/// Why a case ends otherwise here.
fn reason(name: &str, selector: &str) -> Option<&'static str> {
    let named = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
    let calls = ["count(", "length(", "match(", "search(", "value("].iter().any(|call| selector.contains(call));
    Some(if calls {
        "functions of filters"
    } else if named(&["slice selector", "whitespace, slice"]) {
        "slices"
    } else if name.contains("multiple selectors") || name.contains("comma") || name.contains("selects multiple") {
        "several selectors in one bracket"
    } else if named(&[
        "filter, relative non-singular",
        "filter, absolute non-singular",
        "filter, non-singular",
        "filter, nested",
    ]) {
        "indefinite paths in filters"
    } else if named(&["filter, less than or equal", "filter, greater than or equal"]) {
        "order"
    } else if named(&["filter, literal", "filter, and,", "filter, or,"]) {
        "literals alone"
    } else if named(&["filter, equals, absent", "filter, equals, empty node list"]) {
        "nothing equals nothing"
    } else if named(&[
        "filter, existence, without",
        "filter, absolute existence, without",
        "filter, object data",
        "filter, name segment on primitive",
    ]) {
        "filters on objects"
    } else if named(&["whitespace, selectors"]) {
        "space between steps"
    } else if named(&["name selector", "index selector", "basic, name shorthand, number"]) {
        "names and numbers"
    } else {
        return None;
    })
}

/// `docs/decisions/006-jsonpath.md` says what is behind each reason.
#[test]
fn the_rfcs_suite_passes_where_jayway_agrees() {
    let packed = include_bytes!("../tests/data/suite.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (mut passed, mut different, mut wrong) = (0, BTreeMap::new(), Vec::new());
    for case in &cases {
        let (name, selector) = (case["name"].as_str().unwrap(), case["selector"].as_str().unwrap());
        match (run(case), reason(name, selector)) {
            (Ok(()), _) => passed += 1,
            (Err(_), Some(reason)) => *different.entry(reason).or_insert(0) += 1,
            (Err(why), None) => wrong.push(format!("{name}: {selector}: {why}")),
        }
    }
    println!("{passed} of {} passed; {different:?}", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(passed, 361, "{different:?}");
}
