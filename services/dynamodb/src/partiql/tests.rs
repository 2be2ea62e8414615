//! Statements of PartiQL: parsed, planned, refused.

use super::*;
use crate::value::Item;

fn parse(source: &str, parameters: &str) -> Result<Statement, Invalid> {
    Statement::parse(source, serde_json::from_str(parameters).unwrap())
}

#[test]
fn selects_ask_what_they_say() {
    let item: Item = serde_json::from_str(
        r#"{"pk":{"S":"a"},"n":{"N":"2"},"m":{"M":{"l":{"L":[{"N":"1"},{"S":"x"}]}}},"t":{"SS":["x"]},"z":{"NULL":true}}"#,
    )
    .unwrap();
    for (filter, parameters, holds) in [
        ("pk = 'a' AND n > 1", "[]", true),
        ("pk = ? AND n = ?", r#"[{"S":"a"},{"N":"3"}]"#, false),
        ("\"pk\" IN ['b', 'a']", "[]", true),
        ("pk NOT IN ('b', 'a')", "[]", false),
        ("m.l[1] = 'x'", "[]", true),
        ("m.l[0] BETWEEN 0 AND 1", "[]", true),
        ("t = <<'x'>>", "[]", true),
        ("nothing IS MISSING AND n IS NOT MISSING", "[]", true),
        ("z IS NULL", "[]", true),
        ("begins_with(pk, 'a') AND contains(t, 'x') AND size(t) = 1", "[]", true),
        ("NOT (n = 2) OR n < -1", "[]", false),
        ("attribute_type(n, 'N')", "[]", true),
        ("m = {'l': [1, 'x']}", "[]", true),
    ] {
        let Statement::Select(select) = parse(&format!("SELECT * FROM \"t-1\" WHERE {filter}"), parameters).unwrap()
        else {
            panic!("a SELECT");
        };
        assert_eq!(Condition::of(select.filter.unwrap()).holds(&item), holds, "{filter}");
    }
}

#[test]
fn names_projections_and_order() {
    let Statement::Select(select) =
        parse("SELECT a, \"b\".c[2] FROM \"t\".\"by-x\" WHERE pk='a' ORDER BY sk DESC", "[]").unwrap()
    else {
        panic!("a SELECT");
    };
    assert_eq!((select.table.as_str(), select.index.as_deref()), ("t", Some("by-x")));
    assert_eq!(select.projection.unwrap()[1].to_string(), "[b, c, [2]]");
    assert_eq!(select.order, [("sk".to_owned(), true)]);
}

#[test]
fn updates_change_what_they_say() {
    let item: Item =
        serde_json::from_str(r#"{"pk":{"S":"a"},"n":{"N":"2"},"l":{"L":[]},"t":{"SS":["x"]},"old":{"S":"o"}}"#)
            .unwrap();
    let source = "UPDATE t SET n = n + ?, l = list_append(l, ['y']) SET t = set_add(t, <<'z'>>) REMOVE old \
                  WHERE pk = 'a' RETURNING ALL NEW *";
    let Statement::Update { update, returning, .. } = parse(source, r#"[{"N":"5"}]"#).unwrap() else {
        panic!("an UPDATE");
    };
    assert_eq!(returning, Some(Returning::AllNew));
    assert_eq!(
        serde_json::to_string(&update.apply(&item).unwrap()).unwrap(),
        r#"{"l":{"L":[{"S":"y"}]},"n":{"N":"7"},"pk":{"S":"a"},"t":{"SS":["x","z"]}}"#
    );
}

#[test]
fn refuses() {
    for (source, parameters) in [
        ("SELECT * FROM", "[]"),
        ("SELECT * FROM t WHERE a = ?", "[]"),
        ("SELECT * FROM t WHERE a = 1", r#"[{"N":"5"}]"#),
        ("DROP TABLE t", "[]"),
        ("SELECT * FROM t WHERE a LIKE 'x'", "[]"),
        ("SELECT count(*) FROM t", "[]"),
        ("INSERT INTO t VALUE 5", "[]"),
        ("UPDATE t WHERE pk = 1", "[]"),
        ("DELETE FROM t", "[]"),
        ("SELECT * FROM t WHERE a = <<1, 'x'>>", "[]"),
        ("SELECT * FROM t; SELECT * FROM t", "[]"),
        ("", "[]"),
    ] {
        assert!(parse(source, parameters).is_err(), "{source}");
    }
    let deep = format!("SELECT * FROM t WHERE {}a = 1{}", "(".repeat(3000), ")".repeat(3000));
    assert!(parse(&deep, "[]").is_err());
}

const PIECES: [&str; 50] = [
    "SELECT",
    "*",
    "FROM",
    "t",
    "\"t\"",
    "WHERE",
    "ORDER BY",
    "INSERT INTO",
    "VALUE",
    "{",
    "}",
    "'k'",
    ":",
    ",",
    "UPDATE",
    "SET",
    "REMOVE",
    "DELETE FROM",
    "RETURNING",
    "ALL",
    "MODIFIED",
    "OLD",
    "NEW",
    "EXISTS",
    "(",
    ")",
    "[",
    "]",
    "<<",
    ">>",
    "?",
    "=",
    "<>",
    "AND",
    "OR",
    "NOT",
    "IN",
    "BETWEEN",
    "IS",
    "MISSING",
    "NULL",
    "a",
    "a.b",
    "1",
    "-",
    "+",
    "'x'",
    "size(a)",
    ";",
    "DESC",
];

/// Whatever the text: a statement or an error, in bounded time.
#[test]
fn any_text_is_parsed_or_refused() {
    let mut state = 11_u64;
    let mut draw = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let beginnings = ["SELECT * FROM t WHERE ", "INSERT INTO t VALUE ", "UPDATE t SET ", "DELETE FROM t WHERE ", ""];
    for _ in 0..10_000 {
        let count = draw(16);
        let rest: Vec<&str> = (0..count).map(|_| PIECES[draw(PIECES.len())]).collect();
        let text = format!("{}{}", beginnings[draw(beginnings.len())], rest.join(" "));
        drop(Statement::parse(&text, vec![Value::S("x".to_owned())]));
    }
}
