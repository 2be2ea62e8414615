//! Whole executions as data.
//!
//! `cases/*.json` hold a definition, its input and what happens on the way; the history and the end stand in the same file.
//! `UPDATE_EXPECT=1` writes what came out. With `LAKERUN_SHARED` set, what AWS recorded is replayed too, as far as it needs no service.

mod bench;
mod compare;
mod statelint;

use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::{Value, json};

use bench::Bench;

#[test]
fn cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let got = with_result(&case);
        if got == case {
            continue;
        }
        if env::var_os("UPDATE_EXPECT").is_some() {
            fs::write(&file, format!("{got:#}\n")).unwrap();
        } else {
            wrong.push(format!("{}: got {got:#}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The case with what comes of it.
fn with_result(case: &Value) -> Value {
    let definition = case["definition"].as_str().map_or_else(|| case["definition"].to_string(), str::to_owned);
    let mut got = case.clone();
    match Bench::start(&definition, &case["input"].to_string()) {
        Err(problems) => got["refused"] = json!(problems),
        Ok(mut bench) => {
            for event in case["events"].as_array().into_iter().flatten() {
                bench.happen(event);
            }
            got["history"] = bench.compact_history().into();
            got["outcome"] = bench.outcome();
        }
    }
    got
}

/// Cases of AWS's that are not met, each with the reason.
const KNOWN: &[&str] = &[
    // AWS never gets on with it; here it fails.
    "test_max_concurrency_path_negative",
];

#[test]
fn what_aws_recorded() {
    let Some(shared) = env::var_os("LAKERUN_SHARED") else { return };
    let Ok(text) = fs::read_to_string(PathBuf::from(shared).join("conformance/asl/cases.jsonl")) else { return };
    let (mut passed, mut wrong) = (0, Vec::new());
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = case["case_id"].as_str().unwrap_or_default();
        let name = name.rsplit("::").next().unwrap_or(name);
        if case["kind"] != "execution" || case["needs"] != "pure" {
            continue;
        }
        let Some((definition, input)) = runnable(&case) else { continue };
        if KNOWN.contains(&name) || env::var("CASE").is_ok_and(|wanted| !name.contains(&wanted)) {
            continue;
        }
        match replay(&definition, &input, &case["expected"]) {
            Ok(()) => passed += 1,
            Err(problem) => wrong.push(format!("{name}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{passed} passed, {} failed\n{}", wrong.len(), wrong.join("\n"));
}

/// Definition and input of a case that starts no task.
fn runnable(case: &Value) -> Option<(String, String)> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let definition = text(&case["definition"]);
    let input = if case["input_raw"].is_null() { "{}".to_owned() } else { text(&case["input_raw"]) };
    let compact: String = definition.chars().filter(|c| !c.is_whitespace()).collect();
    let other = ["\"Type\":\"Task\"", "\"DISTRIBUTED\""].iter().any(|part| compact.contains(part));
    (!other && !definition.contains("${") && !input.contains("${")).then_some((definition, input))
}

fn replay(definition: &str, input: &str, expected: &Value) -> Result<(), String> {
    let mut bench = Bench::start(definition, input).map_err(|problems| problems.join("; "))?;
    bench.run_timers();
    let outcome = bench.outcome();
    for member in ["status", "output", "error", "cause"] {
        compare::compare(&expected[member], &outcome[member], member)?;
    }
    let Some(wanted) = expected["history"].as_array() else { return Ok(()) };
    if definition.contains("\"Map\"") || definition.contains("\"Parallel\"") {
        return compare::compare_unordered(wanted, &bench.history);
    }
    compare::compare(&expected["history"], &Value::Array(bench.history.clone()), "history")
}
