//! The interface as the machine uses it; the language itself is tested by its official suite.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use super::{Environment, Query, QueryError};
use crate::random::Random;
use crate::time::Timestamp;

fn eval(text: &str) -> Result<Option<Value>, QueryError> {
    let states = json!({"input": {"a": [1, 2.5, 3], "s": "x"}});
    let variables = Map::from_iter([("v".to_owned(), json!({"k": 7}))]);
    let environment = Environment {
        states: &states,
        variables: &[&variables],
        now: Timestamp(0),
        random: &RefCell::new(Random::new(1)),
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
