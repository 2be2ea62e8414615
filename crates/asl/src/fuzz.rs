//! Texts made of the languages' own pieces, a fixed number for each: nothing panics, nothing overflows, everything ends.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::definition::{Definition, MachineType};
use crate::expr::{Expr, Scope};
use crate::info::Info;
use crate::random::{Chance as _, Random};
use crate::time::Timestamp;
use jsonata::{Environment, Query};
use meter::Meter;

const CASES: u64 = 3000;

const PATHS: &[&str] = &[
    "$",
    "$$",
    "$v",
    ".",
    "..",
    "*",
    "[",
    "]",
    "['a']",
    "['a','b']",
    "[0]",
    "[-1]",
    "[1:-1]",
    "[::2]",
    "a",
    "b c",
    "?(",
    "@",
    "@.a",
    ")",
    "==",
    "=~",
    "/a+/",
    "/(a",
    "'x'",
    "\"",
    "1",
    "-9e99",
    "in",
    "size",
    "empty",
    "!",
    "&&",
    "||",
    "(",
    ".length()",
    ".min()",
    "é",
    "💥",
    "\\",
    "'",
    "{\"a\":1}",
    " ",
];

const INTRINSICS: &[&str] = &[
    "States.Array",
    "States.Format",
    "States.ArrayRange",
    "States.ArrayGetItem",
    "States.Hash",
    "States.MathAdd",
    "States.MathRandom",
    "States.StringSplit",
    "States.JsonMerge",
    "States.UUID",
    "States.ArrayPartition",
    "States.Base64Decode",
    "States.StringToJson",
    "(",
    ")",
    ",",
    "'",
    "'{}'",
    "'a\\'b'",
    "\\",
    "$.a",
    "$.l",
    "$$",
    "1",
    "-1",
    "9223372036854775807",
    "1.5e308",
    "null",
    "true",
    "é",
    "💥",
    " ",
];

const JSONATA: &[&str] = &[
    "$",
    "$$",
    "$x",
    "$states",
    "$states.input",
    ".",
    "..",
    "*",
    "**",
    "%",
    "@$i",
    "#$i",
    "[",
    "]",
    "[]",
    "{",
    "}",
    "(",
    ")",
    ":",
    ";",
    ",",
    ":=",
    "?",
    "?:",
    "??",
    "~>",
    "|",
    "^(",
    "<",
    ">",
    "=",
    "!=",
    "and",
    "or",
    "in",
    "&",
    "+",
    "-",
    "/",
    "/a+/",
    "function($a){",
    "λ($x)<n:n>{",
    "1",
    "1e308",
    "0",
    "'x'",
    "\"\\u00e9\"",
    "`b c`",
    "true",
    "null",
    "a",
    "b",
    "é",
    "💥",
    "[1..9]",
    "[1..1e6]",
    "$map(",
    "$reduce(",
    "$sum(",
    "$string(",
    "$pad(",
    "$split(",
    "$match(",
    "$replace(",
    "$sort(",
    "$partition(",
    "$range(",
    "$parse(",
    "$formatNumber(",
    "'#,##0.00e0'",
    "$fromMillis(",
    "'[Y0001]-[MNn,3-3]'",
    "$toMillis(",
    "$formatInteger(",
    "'Ww;o'",
    "$substring(",
    "$zip(",
    "$merge(",
    "/*",
    "*/",
    " ",
];

const DEFINITIONS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"StartAt\"",
    "\"A\"",
    "\"States\"",
    "\"Type\"",
    "\"Pass\"",
    "\"Choice\"",
    "\"Map\"",
    "\"Parallel\"",
    "\"Branches\"",
    "\"End\"",
    "true",
    "null",
    "\"Next\"",
    "\"QueryLanguage\"",
    "\"JSONata\"",
    "\"{% $x %}\"",
    "\"Parameters\"",
    "\"a.$\"",
    "\"$.a\"",
    "1",
    "-1e99",
    "\"é\"",
    "\"Retry\"",
    "\"Catch\"",
    "\"ErrorEquals\"",
];

fn each(pieces: &[&str], check: impl Fn(&str)) {
    for seed in 0..CASES {
        let mut random = Random::new(seed);
        let mut pick = |most: usize| usize::try_from(random.next() % most as u64).unwrap();
        let count = 1 + pick(24);
        let text: String = (0..count).map(|_| pieces[pick(pieces.len())]).collect();
        check(&text);
    }
    for piece in pieces {
        check(&piece.repeat(3000));
    }
}

fn input() -> Value {
    json!({"a": {"a": [1, "x", null]}, "l": [3, 1, 2], "b": "aaaa", "b c": true, "é": 1.5})
}

fn eval(text: &str) {
    let (info, input) = (Info::default(), input());
    let context = Context::new(&info, "S", Timestamp(0));
    let variables = Map::from_iter([("v".to_owned(), json!([1]))]);
    let (variables, random) = ([&variables], RefCell::new(Random::new(1)));
    if let Ok(expression) = Expr::parse(text) {
        let _ = expression.eval(&Scope::new(&input, &context, &variables, &random, Timestamp(0)));
    }
}

#[test]
fn paths_end() {
    each(PATHS, |text| eval(&format!("${text}")));
}

#[test]
fn intrinsics_end() {
    each(INTRINSICS, eval);
    each(INTRINSICS, |text| eval(&format!("States.Format({text})")));
}

#[test]
fn jsonata_ends() {
    let states = json!({ "input": input() });
    each(JSONATA, |text| {
        let random = RefCell::new(Random::new(1));
        if let Ok(query) = Query::parse(text) {
            query.references();
            let environment = Environment {
                named: ("states", &states),
                variables: &[],
                now: jsonata::Timestamp(0),
                random: &random,
                meter: &Meter::default(),
            };
            let first = query.eval(&environment);
            random.replace(Random::new(1));
            assert_eq!(first, query.eval(&environment), "{text}");
        }
    });
}

#[test]
fn definitions_end() {
    each(DEFINITIONS, |text| {
        let _ = Definition::parse(text, MachineType::Standard);
        let _ = Definition::parse(&format!("{{\"StartAt\":\"A\",\"States\":{{\"A\":{text}}}}}"), MachineType::Express);
    });
}
