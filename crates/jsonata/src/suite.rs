//! JSONata's official test suite (`tests/data/`, MIT), as far as it holds on AWS.

use std::cell::RefCell;
use std::io::Read as _;

use meter::Meter;
use serde_json::{Map, Value};

use super::chance::Drawn;
use super::eval::Limits;
use super::value::{Val, same};
use super::{Environment, QueryError, Timestamp, evaluate, parser, resolve};

/// Cases that end otherwise here, and why.
const DIFFERENT: &[(&str, &str)] = &[
    ("function-eval/", "AWS takes $eval away"),
    ("function-string/case002", "jsonata.js writes 1e+100; this copy of the suite says 1e100"),
    ("function-string/case007", "jsonata.js writes 1e+21; this copy of the suite says 1e21"),
    ("range-operator/case021", "ten million numbers are over AWS's memory limit"),
    ("range-operator/case024", "ten million numbers are over AWS's memory limit"),
];

const WIDE: Limits = Limits { depth: 3000, fuel: 3_000_000, bytes: 1 << 30 };

enum Expected {
    Value(Option<Value>),
    Failure(String),
}

fn run(case: &Value, datasets: &Value) -> Expected {
    let text = case["expr"].as_str().unwrap();
    let data = case.get("data").or_else(|| case["dataset"].as_str().map(|name| &datasets[name]));
    let empty = Map::new();
    let bindings = case.get("bindings").and_then(Value::as_object).unwrap_or(&empty);
    let environment = Environment {
        named: ("states", &Value::Null),
        variables: &[bindings],
        now: Timestamp(1_700_000_000_000),
        random: &RefCell::new(Drawn(1)),
        meter: &Meter::default(),
    };
    let mut limits = WIDE;
    if let Some(depth) = case["depth"].as_u64() {
        limits.depth = usize::try_from(depth).unwrap();
    }
    let input = data.map_or(Val::Undefined, Val::json);
    let tree = match parser::parse(text).and_then(|raw| resolve::resolve(&raw)) {
        Ok(tree) => tree,
        Err(failure) => return Expected::Failure(failure.code.to_owned()),
    };
    match evaluate(&tree, &environment, input, limits) {
        Ok(value) => Expected::Value(value),
        Err(QueryError::Unsupported) => Expected::Value(Some(Value::from(""))),
        Err(QueryError::Failed { code, .. }) => Expected::Failure(code.unwrap_or_default()),
        Err(QueryError::Limit(_)) => Expected::Failure("U1001".to_owned()),
    }
}

fn judge(case: &Value, outcome: &Expected) -> Result<(), String> {
    let code = case["code"].as_str().or_else(|| case["error"]["code"].as_str());
    match outcome {
        Expected::Value(found) => {
            if let Some(code) = code {
                return Err(format!("wanted {code}, got {found:?}"));
            }
            if case["undefinedResult"] == true {
                return if found.is_none() { Ok(()) } else { Err(format!("wanted nothing, got {found:?}")) };
            }
            if let Some(pattern) = case["result_re"].as_str() {
                let text = found.as_ref().and_then(Value::as_str).unwrap_or_default();
                return if regex::Regex::new(pattern).unwrap().is_match(text) { Ok(()) } else { Err(text.to_owned()) };
            }
            let Some(wanted) = case.get("result") else { return Ok(()) };
            let Some(found) = found else { return Err(format!("wanted {wanted}, got nothing")) };
            let sorted = |value: &Value| {
                let mut items: Vec<String> = value.as_array().unwrap().iter().map(Value::to_string).collect();
                items.sort();
                items
            };
            let equal = if case["unordered"] == true {
                sorted(wanted) == sorted(found)
            } else {
                same(&Val::json(wanted), &Val::json(found), &mut 1_000_000).unwrap_or(false)
            };
            if equal { Ok(()) } else { Err(format!("wanted {wanted}, got {found}")) }
        }
        Expected::Failure(found) => match code {
            Some(code) if code == found => Ok(()),
            _ => Err(format!("wanted {}, failed with {found}", code.unwrap_or("a value"))),
        },
    }
}

#[test]
fn the_official_suite_passes() {
    let packed = include_bytes!("../tests/data/suite.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let suite: Value = serde_json::from_str(&text).unwrap();
    let mut wrong = Vec::new();
    let (mut passed, mut different) = (0, 0);
    for case in suite["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let verdict = judge(case, &run(case, &suite["datasets"]));
        let known = DIFFERENT.iter().any(|(prefix, _)| name.starts_with(prefix));
        match verdict {
            Ok(()) => passed += 1,
            Err(_) if known => different += 1,
            Err(why) => wrong.push(format!("{name}: {}: {why}", case["expr"])),
        }
    }
    println!("{passed} passed, {different} differ as listed");
    assert!(wrong.is_empty(), "{passed} passed, {} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
