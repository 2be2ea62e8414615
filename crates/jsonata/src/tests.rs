//! The interface as the machine uses it; the language itself is tested by its official suite.

use std::cell::RefCell;

use meter::Meter;
use serde_json::{Map, Value, json};

use super::chance::Drawn;
use super::{Environment, Query, QueryError, Timestamp};

fn eval(text: &str) -> Result<Option<Value>, QueryError> {
    let states = json!({"input": {"a": [1, 2.5, 3], "s": "x", "id": 1_234_567_890_123_456_789_u64}});
    let variables = Map::from_iter([("v".to_owned(), json!({"k": 7}))]);
    let environment = Environment {
        named: ("states", &states),
        variables: &[&variables],
        now: Timestamp(0),
        random: &RefCell::new(Drawn(1)),
        meter: &Meter::default(),
    };
    Query::parse(text).unwrap().eval(&environment)
}

#[test]
fn reads_states_and_variables() {
    assert_eq!(eval(" $sum($states.input.a) + $v.k "), Ok(Some(json!(13.5))));
    assert_eq!(eval("$states.input.nothing"), Ok(None));
    assert_eq!(eval("[1..3]"), Ok(Some(json!([1, 2, 3]))));
    assert_eq!(eval("function($x){$x}"), Err(QueryError::Unsupported));
    assert_eq!(eval("$fn := function($x){$x}"), Err(QueryError::Unsupported));
    assert_eq!(eval("($f := function($n){ $n = 0 ? 'done' : $f($n - 1) }; $f(10000))"), Ok(Some(json!("done"))));
}

/// An id is not reckoned with, and comes out as it went in; what is reckoned is a double, written without an exponent as JavaScript does.
#[test]
fn long_whole_numbers_stay_whole() {
    let text = |query: &str| eval(query).unwrap().unwrap().to_string();
    for (query, want) in [
        ("$states.input.id", "1234567890123456789"),
        ("{'id': $states.input.id}", r#"{"id":1234567890123456789}"#),
        ("[$states.input.id, 1].$", "[1234567890123456789,1]"),
        ("$sort([$states.input.id, 5])", "[5,1234567890123456789]"),
        ("$states.input.id + 0", "1234567890123456800"),
        ("1700000000123 * 1000000", "1700000000123000000"),
        ("-9007199254740992", "-9007199254740992"),
        ("$states.input.id > 1 and $type($states.input.id) = 'number'", "true"),
        ("$states.input.id = $states.input.id", "true"),
        ("2.5e22", "2.5e+22"),
    ] {
        assert_eq!(text(query), want, "{query}");
    }
}

#[test]
fn fails_in_the_languages_words() {
    for (text, code, message) in [
        ("1 + 'x'", "T2002", "The right side of the \"+\" operator must evaluate to a number"),
        ("$sum(['a'])", "T0412", "Argument 1 of function \"sum\" must be an array of \"numbers\""),
        ("$abs('a')", "T0410", "Argument 1 of function \"abs\" does not match function signature"),
        ("$eval('1')", "T1006", "Attempted to invoke a non-function"),
        ("$number('x')", "D3030", "Unable to cast value to a number: \"x\""),
        ("$error('mine')", "D3137", "mine"),
    ] {
        let want = QueryError::Failed { code: Some(code.to_owned()), message: message.to_owned() };
        assert_eq!(eval(text), Err(want), "{text}");
    }
}

#[test]
fn lists_what_it_reads() {
    let references = |text: &str| Query::parse(text).unwrap().references();
    assert_eq!(references("$states.input.x & $v"), [vec!["states", "input", "x"], vec!["v"]]);
    assert_eq!(references("($y := 1; $y + $z)"), [vec!["z"]]);
    assert_eq!(references("$map($states.result, function($i){ $i.a + $k })"), [vec!["states", "result"], vec!["k"]]);
}

fn limit(text: &str) -> String {
    match eval(text) {
        Err(QueryError::Limit(message)) => message,
        other => panic!("{}: {other:?}", text.chars().take(80).collect::<String>()),
    }
}

const STACK: &str =
    "Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive.";
const TIME: &str = "Expression evaluation timeout: Check for infinite loop";
const MEMORY: &str = "Expression evaluation memory limit exceeded: Check for excessive memory usage";

/// The edges that were measured on AWS, and others that would cost time or memory without end.
#[test]
fn everything_is_bounded() {
    let doubled = |times: u32| {
        format!("($p := function($s, $n) {{ $n = 0 ? $s : $p($s & $s, $n - 1) }}; $length($p('x', {times})))")
    };
    assert_eq!(eval("[1..873782] ~> $count()"), Ok(Some(json!(873_782))));
    assert_eq!(eval(&doubled(22)), Ok(Some(json!(4_194_304))));
    assert_eq!(eval(&vec!["1"; 95].join("+")), Ok(Some(json!(95))));
    for text in [
        "[1..873783] ~> $count()",
        "$sum([1..10000000])",
        &doubled(23),
        "$pad('x', 2e9)",
        "$count($range(1, 9000000, 1))",
        "$reduce([1..5000], function($a, $i) { {'a': $a} })",
        "$reduce([1..60], function($a, $i) { [[$a], [$a]] })",
        "$string($reduce([1..60], function($a, $i) { [[$a], [$a]] }))",
        "$reduce([1..200], function($a, $i) { $append($a, $a) }, [1])",
    ] {
        assert_eq!(limit(text), MEMORY, "{}", text.chars().take(80).collect::<String>());
    }
    for text in [
        &vec!["1"; 200].join("+"),
        &vec!["1"; 20_000].join("+"),
        &format!("{}1{}", "(".repeat(10_000), ")".repeat(10_000)),
        &format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        &format!("{}1", "-".repeat(10_000)),
        &"function(){".repeat(10_000),
        "($f := function($n) { 1 + $f($n) }; $f(1))",
    ] {
        assert_eq!(limit(text), STACK, "{}", text.chars().take(80).collect::<String>());
    }
    for text in [
        "($f := function($x) { $f($x + 1) }; $f(1))",
        "$reduce([1..30], function($s, $i) { $replace($s, 'x', 'xxxx') }, 'x')",
        "($x := $reduce([1..60], function($a, $i) { [[$a], [$a]] }); $x = $x)",
        "($x := $reduce([1..60], function($a, $i) { {'a': $a, 'b': $a} }); $count($x.**))",
    ] {
        assert!([TIME, MEMORY].contains(&limit(text).as_str()), "{text}");
    }
    assert_eq!(eval("$contains($pad('', 20000, 'a'), /(a+)+b/)"), Ok(Some(json!(false))));
    assert!(eval("$contains('x', /(?<=y)x/)").is_err());
}
