//! Cases as the guide gives them.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::expr::{Expr, Scope};
use crate::info::Info;
use crate::random::Random;
use crate::time::Timestamp;

fn eval(text: &str, input: &Value) -> Result<Value, String> {
    let info = Info::default();
    let context = Context::new(&info, "S", Timestamp(0));
    let variables = Map::from_iter([("v".to_owned(), json!([1]))]);
    let (variables, random) = ([&variables], RefCell::new(Random::new(1)));
    let scope = Scope::new(input, &context, &variables, &random, Timestamp(0));
    Expr::parse(text)?.eval(&scope).map_err(|error| format!("{error:?}"))
}

#[test]
fn the_functions_do_what_the_guide_says() {
    let input = json!({"a": [1, 2, 3, 3], "s": "x,y", "o": {"k": 1}, "n": "it's"});
    for (call, want) in [
        ("States.Array()", json!([])),
        ("States.Array($.s, 1, null, 'q', true)", json!(["x,y", 1, null, "q", true])),
        ("States.ArrayContains($.a, 2)", json!(true)),
        ("States.ArrayContains($v, 2)", json!(false)),
        ("States.ArrayGetItem($.a, 1)", json!(2)),
        ("States.ArrayLength($.a)", json!(4)),
        ("States.ArrayPartition($.a, 3)", json!([[1, 2, 3], [3]])),
        ("States.ArrayRange(1, 9, 4)", json!([1, 5, 9])),
        ("States.ArrayRange(3, 1, -1)", json!([3, 2, 1])),
        ("States.ArrayUnique($.a)", json!([1, 2, 3])),
        ("States.Base64Encode('Data to encode')", json!("RGF0YSB0byBlbmNvZGU=")),
        ("States.Base64Decode('RGF0YSB0byBlbmNvZGU=')", json!("Data to encode")),
        ("States.Format('{}/{} \\{\\} it\\'s', $.s, $.o)", json!("x,y/{k=1} {} it's")),
        ("States.Format('{}', States.Format('{}-{}', 1, $.a[0]))", json!("1-1")),
        ("States.Hash('input data', 'SHA-1')", json!("aaff4a450a104cd177d28d18d74485e8cae074b7")),
        ("States.Array('\\{\\}\\\\', '\\'')", json!(["{}\\", "'"])),
        ("States.JsonMerge($.o, States.StringToJson('{\"k\":2}'), false)", json!({"k": 2})),
        ("States.JsonToString($.o)", json!("{\"k\":1}")),
        ("States.MathAdd(1.5, -0.5)", json!(2)),
        ("States.StringSplit($.s, ',')", json!(["x", "y"])),
        ("States.StringSplit('a.b+c', '.+')", json!(["a", "b", "c"])),
        ("States.ArrayLength($['a'])", json!(4)),
    ] {
        assert_eq!(eval(call, &input), Ok(want), "{call}");
    }
    for bad in [
        "States.Nope(1)",
        "States.ArrayLength()",
        "States.ArrayLength($.s)",
        "States.Format('{}')",
        "States.Format('x",
        "States.Array('a\\nb')",
        "States.StringToJson('{\"a\":\"\\\"b\\\"\"}')",
        "States.UUID(",
        "States.MathAdd(1, 'x')",
        "States.ArrayGetItem($.a, 9)",
        "States.ArrayRange(0, 100000, 1)",
        "nonsense",
    ] {
        assert!(eval(bad, &input).is_err(), "{bad}");
    }
}

#[test]
fn uuid_has_the_shape_of_one_and_comes_from_the_seed() {
    let first = eval("States.UUID()", &Value::Null).unwrap();
    assert_eq!(first, eval("States.UUID()", &Value::Null).unwrap());
    let text = first.as_str().unwrap();
    assert_eq!((text.len(), &text[14..15]), (36, "4"));
    let number = eval("States.MathRandom(1, 5)", &Value::Null).unwrap().as_i64().unwrap();
    assert!((1..5).contains(&number));
}
