//! What is written to do harm: paths, calls and definitions that would take time or memory without end.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::definition::{Definition, MachineType};
use crate::expr::{EvalError, Expr, Scope};
use crate::info::Info;
use crate::random::Random;
use crate::template::Template;
use crate::time::Timestamp;

/// Generous: most take milliseconds, without optimisation and beside other tests.
const BOUND: Duration = Duration::from_mins(1);

fn scoped<T>(input: &Value, look: impl FnOnce(&Scope<'_>) -> T) -> T {
    let info = Info::default();
    let context = Context::new(&info, "S", Timestamp(0));
    let (variables, random) = (Map::new(), RefCell::new(Random::new(1)));
    let began = Instant::now();
    let seen = look(&Scope::new(input, &context, &[&variables], &random, Timestamp(0)));
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    seen
}

fn eval(text: &str, input: &Value) -> Result<Value, EvalError> {
    let expression = Expr::parse(text).unwrap_or_else(|problem| panic!("{text:.80}: {problem}"));
    scoped(input, |scope| expression.eval(scope))
}

fn wide(items: u64) -> Value {
    (0..items).map(|n| json!({"n": n, "a": "a".repeat(20)})).collect()
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(json!([1, 2]), |value, _| json!({"a": value}))
}

#[test]
fn paths_without_end_are_cut_short() {
    for path in ["$..*..*..*..*..*..*", "$..a..a..a..a..a..a", "$..[?(@..*)]..[?(@..*)]..[?(@..*)]..*"] {
        assert!(matches!(eval(path, &deep(100)), Err(EvalError::TooMuch { .. })), "{path}");
    }
    let wide = wide(6000);
    for path in
        ["$[?(@.n in $[*].n)]", "$[?(@.n == $..n)]", "$[?($ == $)]", "$[?(@.a anyof $[*].a)]", "$[?(@ subsetof $)]"]
    {
        match eval(path, &wide) {
            Ok(Value::Array(found)) => assert!(found.len() <= 6000, "{path}"),
            Err(EvalError::TooMuch { .. }) => {}
            other => panic!("{path}: {other:?}"),
        }
    }
    assert_eq!(eval("$..*", &wide).unwrap().as_array().unwrap().len(), 18_000);
    assert_eq!(eval("$..n.length()", &wide).unwrap().as_array().unwrap().len(), 6000);
}

#[test]
fn patterns_take_no_more_than_their_texts() {
    let text = json!({"l": [{"a": "a".repeat(50_000) + "b"}]});
    assert_eq!(eval("$.l[?(@.a =~ /(a+)+$/)]", &text), Ok(json!([])));
    assert_eq!(eval("$.l[?(@.a =~ /(a|aa)+b/)].length()", &text), Ok(json!([1])));
    // Larger than any sensible pattern once it is compiled.
    assert_eq!(eval("$.l[?(@.a =~ /((\\w{100}){100}){100}/)]", &text), Ok(json!([])));
    for bad in ["$.l[?(@.a =~ /(/)]", "$.l[?(@.a =~ /(?<=a)b/)]", &format!("$.l[?(@.a =~ /{}/)]", "(".repeat(10_000))] {
        assert!(Expr::parse(bad).is_err(), "{bad:.60}");
    }
    // None of them is compiled before it is used.
    let many: Vec<String> = (0..10_000).map(|n| format!("@.a =~ /\\w{{90}}{n}/")).collect();
    assert!(Expr::parse(&format!("$.l[?({})]", many.join(" || "))).is_ok());
}

#[test]
fn nested_filters_are_refused() {
    for piece in ["[?(@", "[?(", "[?(!", "[?(@.a==[", "[?((", "[?(@.a==$[?(@", "..[?(@", "['a',"] {
        let began = Instant::now();
        assert!(Expr::parse(&format!("${}", piece.repeat(100_000))).is_err(), "{piece}");
        assert!(began.elapsed() < BOUND, "{piece}");
    }
}

#[test]
fn intrinsics_are_bounded() {
    let numbers: Value = (0..60_000).collect();
    let input = json!({"l": numbers, "t": "\"".repeat(200_000)});
    for text in [
        "States.ArrayRange(9223372036854775000, 9223372036854775807, 1)",
        "States.ArrayRange(-9223372036854775807, 9223372036854775807, 1)",
        "States.ArrayRange(1, 1e300, 1)",
        "States.ArrayRange(0, -9223372036854775807, -9223372036854775807)",
    ] {
        match eval(text, &input) {
            Ok(range) => assert!(range.as_array().unwrap().len() <= 1001, "{text}"),
            Err(EvalError::Intrinsic { .. }) => {}
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(eval("States.ArrayLength(States.ArrayUnique($.l))", &input), Ok(json!(60_000)));
    assert_eq!(eval("States.ArrayLength(States.ArrayPartition($.l, 1))", &input), Ok(json!(60_000)));
    let nested = |call: &str, inner: &str| (0..9).fold(inner.to_owned(), |text, _| call.replace('#', &text));
    for text in [
        nested("States.JsonToString(#)", "$.t"),
        nested("States.Array(#, #, #)", "$.t"),
        nested("States.Format('{}{}{}', #, #, #)", "$.t"),
    ] {
        assert!(matches!(eval(&text, &input), Err(EvalError::TooMuch { .. })), "{text:.60}");
    }
    let arguments = vec!["$.t"; 100_000].join(",");
    assert!(matches!(eval(&format!("States.Array({arguments})"), &input), Err(EvalError::TooMuch { .. })));
    assert!(Expr::parse(&"States.Array(".repeat(100_000)).is_err());
}

#[test]
fn templates_do_not_multiply_their_input() {
    let members: Map<String, Value> = (0..20_000).map(|n| (format!("m{n}.$"), json!("$"))).collect();
    let template = Template::compile(&Value::Object(members), &mut Vec::new());
    let input = json!("x".repeat(250_000));
    let filled = scoped(&input, |scope| template.eval(scope));
    assert!(matches!(filled.unwrap_err().error, EvalError::TooMuch { .. }));
    // Each of them would go on until its own bound.
    let endless = "{% ($f := function($x) { $f($x + 1) }; $f(1)) %}";
    let queries: Value = (0..5000).map(|_| json!(endless)).collect();
    let template = Template::compile_jsonata(&queries, "Output", &mut Vec::new());
    assert!(matches!(scoped(&input, |scope| template.eval(scope)).unwrap_err().error, EvalError::Query { .. }));
    let large = "{% $pad('x', 1000000) %}";
    let queries: Value = (0..5000).map(|_| json!(large)).collect();
    let template = Template::compile_jsonata(&queries, "Output", &mut Vec::new());
    let error = scoped(&input, |scope| template.eval(scope)).unwrap_err().error;
    assert!(matches!(&error, EvalError::Query { outcome, .. } if outcome.contains("memory limit")), "{error:?}");
}

fn problems(definition: &str) -> Vec<String> {
    let began = Instant::now();
    let found = match Definition::parse(definition, MachineType::Standard) {
        Ok(_) => Vec::new(),
        Err(found) => found.iter().map(crate::Diagnostic::sentence).collect(),
    };
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    found
}

fn states(states: &str) -> String {
    format!("{{\"StartAt\":\"S0\",\"States\":{{{states}}}}}")
}

#[test]
fn definitions_are_read_or_refused() {
    let pass = r#""S0":{"Type":"Pass","End":true}"#;
    assert_eq!(problems(&states(pass)), [""; 0]);
    // Too large, however it is made.
    let comment = "x".repeat(10 << 20);
    assert_eq!(problems(&format!("{{\"Comment\":\"{comment}\"}}")).len(), 1);
    let many = |count: usize| -> String {
        let each = (0..count).map(|n| {
            if n + 1 == count {
                format!(r#""S{n}":{{"Type":"Succeed"}}"#)
            } else {
                format!(r#""S{n}":{{"Type":"Pass","Next":"S{}"}}"#, n + 1)
            }
        });
        states(&each.collect::<Vec<_>>().join(","))
    };
    assert_eq!(problems(&many(100_000)).len(), 1);
    assert_eq!(problems(&many(20_000)), [""; 0]);
    // Deep, in every way there is.
    let nested = |open: &str, inner: &str, close: &str, levels: usize| {
        format!("{}{inner}{}", open.repeat(levels), close.repeat(levels))
    };
    for levels in [20, 1000, 50_000] {
        let parallel = r#"{"StartAt":"S0","States":{"S0":{"Type":"Parallel","End":true,"Branches":["#;
        let map = r#"{"StartAt":"S0","States":{"S0":{"Type":"Map","End":true,"ItemProcessor":"#;
        for deep in [
            nested(parallel, "", "]}}}", levels),
            nested(map, "{}", "}}}", levels),
            states(&format!(r#""S0":{{"Type":"Pass","End":true,"Result":{}}}"#, nested("[", "", "]", levels))),
            states(&format!(
                r#""S0":{{"Type":"Pass","End":true,"Parameters":{}}}"#,
                nested("{\"a\":", "1", "}", levels)
            )),
            states(&format!(r#""S0":{{"Type":"Choice","Choices":[{}]}}"#, nested("{\"Not\":", "{}", "}", levels))),
            nested("[", "", "", levels),
            nested("{\"a\":", "", "", levels),
        ] {
            let expected = levels > 20 || !deep.contains("\"Result\"") && !deep.contains("\"Parameters\"");
            assert_eq!(!problems(&deep).is_empty(), expected, "{levels} {deep:.90}");
        }
    }
    for (odd, refused) in [
        ("", true),
        ("\u{feff}{}", true),
        ("nul", true),
        ("{\"StartAt\":NaN}", true),
        ("{\"StartAt\":1e999}", true),
        (&states(r#""S0":{"Type":"Wait","Seconds":NaN,"End":true}"#), true),
        (&states(r#""S0":{"Type":"Wait","Seconds":1e999,"End":true}"#), true),
        (&states(r#""S0":{"Type":"Wait","Seconds":-0,"End":true}"#), true),
        (&states(r#""S0":{"Type":"Wait","Seconds":99999999999999999999,"End":true}"#), true),
        (&states(r#""S0":{"Type":"Pass","Result":-1.7976931348623157e308,"End":true}"#), false),
        (&states(r#""S0":{"Type":"Pass","Result":123456789012345678901234567890,"End":true}"#), false),
        (&states(r#""S0":{"Type":"Pass","Next":"状態 😀"},"状態 😀":{"Type":"Succeed"}"#), false),
        (&states(r#""S0":{"Type":"Pass","Result":"\ud800","End":true}"#), true),
        (&states(r#""S0":{"Type":"Pass","Result":"\u0000","End":true}"#), false),
    ] {
        assert_eq!(!problems(odd).is_empty(), refused, "{odd}: {:?}", problems(odd));
    }
}
