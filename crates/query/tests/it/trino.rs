//! The statements of `conformance/trino`, recorded from Trino, in process. `LAKERUN_CASES` names a file that gets every
//! case's verdict, `LAKERUN_GREP` keeps the cases whose id or text holds a word, `LAKERUN_ASK` names a file of cases to run
//! instead.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::{Value, json};

use crate::Lake;

const CASES: &str = include_str!("../../../../conformance/trino/cases.jsonl");
const ASKED: &str = include_str!("../../../../conformance/trino/asked.jsonl");

/// Never fewer cases pass than these, and never more give another value than Trino's.
const PASSED: usize = 12_786;
const WRONG: usize = 3;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_cases() {
    let lake = std::sync::Arc::new(Lake::new().await);
    let wanted = std::env::var("LAKERUN_GREP").unwrap_or_default();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut all: BTreeMap<&str, usize> = BTreeMap::new();
    let mut log = String::new();
    let other = std::env::var("LAKERUN_ASK").ok().map(|path| std::fs::read_to_string(path).unwrap());
    let (cases, asked) = other.as_deref().map_or((CASES, ASKED), |other| (other, ""));
    for line in cases.lines().chain(asked.lines()) {
        let case: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| case[key].as_str().unwrap_or_default();
        if !wanted.is_empty() && !text("id").contains(&wanted) && !text("sql").contains(&wanted) {
            continue;
        }
        let (own, sql) = (std::sync::Arc::clone(&lake), text("sql").to_owned());
        let task = tokio::spawn(async move { run(&own, &sql).await });
        let stop = task.abort_handle();
        let got = if let Ok(done) = tokio::time::timeout(std::time::Duration::from_mins(10), task).await {
            done.unwrap_or_else(|_| Err("PANIC".to_owned()))
        } else {
            stop.abort();
            Err("TIMEOUT".to_owned())
        };
        let verdict = judge(&case, &got);
        *counts.entry((text("area").to_owned(), verdict)).or_default() += 1;
        *all.entry(verdict).or_default() += 1;
        let got = match got {
            Ok(rows) => json!(rows),
            Err(message) => json!(message),
        };
        let want = if case["error"].is_null() {
            case["rows"].clone()
        } else {
            json!(format!("{}: {}", text("error"), text("message")))
        };
        let _ = writeln!(
            log,
            "{}",
            json!({"id": text("id"), "sql": text("sql"), "verdict": verdict, "want": want, "got": got})
        );
    }
    for ((area, verdict), count) in &counts {
        if *verdict != "passed" {
            println!("{area:17} {verdict:12} {count}");
        }
    }
    println!("{all:?}");
    if let Ok(path) = std::env::var("LAKERUN_CASES") {
        std::fs::write(path, log).unwrap();
    }
    if wanted.is_empty() && other.is_none() {
        let count = |verdict| all.get(verdict).copied().unwrap_or(0);
        assert!(count("passed") >= PASSED, "{all:?}");
        assert!(count("wrong value") <= WRONG, "{all:?}");
    }
}

type Rows = Vec<Vec<Option<String>>>;

async fn run(lake: &Lake, sql: &str) -> Result<Rows, String> {
    let done = std::panic::AssertUnwindSafe(lake.run(sql));
    let outcome = match futures::FutureExt::catch_unwind(done).await {
        Ok(outcome) => outcome.map_err(|error| error.message)?,
        Err(_) => return Err("PANIC".to_owned()),
    };
    let text = lake.get(&outcome.output_location).await;
    Ok(read_csv(&text).into_iter().skip(1).collect())
}

/// Quoted cells, nothing at all for null.
fn read_csv(text: &str) -> Rows {
    let (mut rows, mut row) = (Vec::new(), Vec::new());
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut cell = None;
        if chars.next_if_eq(&'"').is_some() {
            let mut inside = String::new();
            while let Some(c) = chars.next() {
                if c == '"' && chars.next_if_eq(&'"').is_none() {
                    break;
                }
                inside.push(c);
            }
            cell = Some(inside);
        }
        row.push(cell);
        if chars.next() != Some(',') {
            rows.push(std::mem::take(&mut row));
        }
    }
    rows
}

fn judge(case: &Value, got: &Result<Rows, String>) -> &'static str {
    match (case["error"].as_str(), got) {
        (Some(_), Ok(_)) => "accepted",
        (Some(code), Err(message)) => {
            let text = case["message"].as_str().unwrap_or_default();
            let text = text.strip_prefix("line ").and_then(|t| t.split_once(": ")).map_or(text, |(_, t)| t);
            let start: String = text.chars().take(60).collect();
            let alike = match code {
                "SYNTAX_ERROR" => {
                    ["mismatched", "extraneous", "no viable", "missing", "token recognition", "unexpected"]
                        .iter()
                        .any(|word| message.starts_with("line ") && message.contains(word))
                }
                "COLUMN_NOT_FOUND" => message.contains("cannot be resolved"),
                "TABLE_NOT_FOUND" => message.contains("does not exist"),
                "FUNCTION_NOT_FOUND" => message.contains("not registered") || message.contains("Unexpected parameters"),
                _ => false,
            };
            if message.contains(code) || (text.len() > 11 && message.contains(&start)) || alike {
                "passed"
            } else {
                "other error"
            }
        }
        (None, Err(_)) => "refused",
        (None, Ok(rows)) if same_rows(case, rows) => "passed",
        (None, Ok(_)) => "wrong value",
    }
}

fn same_rows(case: &Value, got: &Rows) -> bool {
    let kinds: Vec<&str> = case["types"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let want: Rows = case["rows"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|row| row.as_array().into_iter().flatten().map(|cell| cell.as_str().map(str::to_owned)).collect())
        .collect();
    if want.len() != got.len() || got.iter().any(|row| row.len() != kinds.len()) {
        return false;
    }
    let alike = |a: &[Option<String>], b: &[Option<String>]| {
        a.iter().zip(b).zip(&kinds).all(|((a, b), kind)| same(a.as_ref(), b.as_ref(), kind))
    };
    if case["ordered"].as_bool() == Some(true) || want.len() == 1 {
        return want.iter().zip(got).all(|(a, b)| alike(a, b));
    }
    let mut left: Vec<&Vec<Option<String>>> = got.iter().collect();
    want.iter().all(|row| match left.iter().position(|other| alike(row, other)) {
        Some(at) => {
            left.swap_remove(at);
            true
        }
        None => false,
    })
}

fn same(want: Option<&String>, got: Option<&String>, kind: &str) -> bool {
    let (Some(a), Some(b)) = (want, got) else { return want == got };
    let (a, b) = (normal(a, kind), normal(b, kind));
    if a == b {
        return true;
    }
    if !matches!(kind, "double" | "real") || a.contains('E') != b.contains('E') {
        return false;
    }
    let (Ok(x), Ok(y)) = (a.parse::<f64>(), b.parse::<f64>()) else { return false };
    (x - y).abs() <= if kind == "double" { 1e-13 } else { 1e-6 } * x.abs().max(y.abs())
}

/// What does not count: trailing zeros of a fraction of seconds, names of unnamed fields, the order of maps.
fn normal(text: &str, kind: &str) -> String {
    let fraction = regex::Regex::new(r"(\d\d:\d\d:\d\d)(\.\d+)").unwrap();
    let mut text = fraction
        .replace_all(text, |found: &regex::Captures<'_>| {
            format!("{}{}", &found[1], found[2].trim_end_matches('0').trim_end_matches('.'))
        })
        .into_owned();
    text = regex::Regex::new(r"\b(timestamp|time)\(\d+\)").unwrap().replace_all(&text, "$1").into_owned();
    if kind.contains("row(") {
        text = regex::Regex::new(r"\bfield\d+=").unwrap().replace_all(&text, "").into_owned();
    }
    if kind.contains("map(") {
        let mut parts: Vec<&str> = text.split(['[', ']', '{', '}']).flat_map(|part| part.split(", ")).collect();
        parts.sort_unstable();
        return parts.join("\u{1}");
    }
    text
}
