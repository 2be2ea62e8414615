//! JSON patterns: `{ ($.a = "x" && $.b[0].c > 3) || $.d IS NULL }`.

use std::collections::BTreeMap;

use serde_json::Value;
use wire::Error;

use super::condition::{Compare, Cursor};
use super::invalid;

/// How deep parentheses may be nested.
const MAX_DEPTH: usize = 32;

#[derive(Debug)]
pub(crate) struct Json(Expression);

#[derive(Debug)]
enum Expression {
    Or(Vec<Self>),
    And(Vec<Self>),
    Test(Selector, Test),
}

#[derive(Debug)]
enum Test {
    Compare(Compare),
    IsNull,
    IsTrue,
    IsFalse,
    Exists,
    NotExists,
}

/// `$.a.b[0]`, with the text that it was written with.
#[derive(Debug)]
struct Selector {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    Member(String),
    Item(usize),
    Items,
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut cursor = Cursor::new(text);
        cursor.expect("{")?;
        let expression = or(&mut cursor, 0)?;
        cursor.expect("}")?;
        if cursor.is_at_end() { Ok(Self(expression)) } else { Err(invalid("there is something after the closing }")) }
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        parse(message).is_some_and(|value| self.0.holds(&value))
    }

    pub(super) fn extracted(&self, message: &str) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        if let Some(value) = parse(message) {
            self.0.extract(&value, &mut found);
        }
        found
    }
}

fn parse(message: &str) -> Option<Value> {
    jsontext::read(message).ok().filter(Value::is_object)
}

/// The text of what a selector finds first.
pub(super) fn value_at(message: &str, selector: &str) -> Option<String> {
    let mut cursor = Cursor::new(selector);
    let selector = Selector::parse(&mut cursor).ok()?;
    let value = parse(message)?;
    selector.find(&value).first().and_then(|found| text(found))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

fn or(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, Error> {
    let mut parts = vec![and(cursor, depth)?];
    loop {
        cursor.skip_space();
        if !cursor.take("||") {
            return Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::Or(parts) });
        }
        parts.push(and(cursor, depth)?);
    }
}

fn and(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, Error> {
    let mut parts = vec![test(cursor, depth)?];
    loop {
        cursor.skip_space();
        if !cursor.take("&&") {
            return Ok(if parts.len() == 1 { parts.remove(0) } else { Expression::And(parts) });
        }
        parts.push(test(cursor, depth)?);
    }
}

fn test(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, Error> {
    if depth > MAX_DEPTH {
        return Err(invalid("it is nested too deeply"));
    }
    cursor.skip_space();
    if cursor.take("(") {
        let inner = or(cursor, depth + 1)?;
        cursor.expect(")")?;
        return Ok(inner);
    }
    let selector = Selector::parse(cursor)?;
    let test = if cursor.keyword("IS") {
        let tests = [("NULL", Test::IsNull), ("TRUE", Test::IsTrue), ("FALSE", Test::IsFalse)];
        let found = tests.into_iter().find_map(|(word, test)| cursor.keyword(word).then_some(test));
        found.ok_or_else(|| invalid("IS needs NULL, TRUE or FALSE"))?
    } else if cursor.keyword("NOT") {
        if !cursor.keyword("EXISTS") {
            return Err(invalid("NOT needs EXISTS"));
        }
        Test::NotExists
    } else if cursor.keyword("EXISTS") {
        Test::Exists
    } else {
        Test::Compare(Compare::parse(cursor)?)
    };
    Ok(Expression::Test(selector, test))
}

impl Expression {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Or(parts) => parts.iter().any(|part| part.holds(value)),
            Self::And(parts) => parts.iter().all(|part| part.holds(value)),
            Self::Test(selector, test) => {
                let found = selector.find(value);
                match test {
                    Test::Compare(compare) => {
                        found.iter().any(|found| text(found).is_some_and(|text| compare.holds(&text)))
                    }
                    Test::IsNull => found.iter().any(|found| found.is_null()),
                    Test::IsTrue => found.iter().any(|found| **found == Value::Bool(true)),
                    Test::IsFalse => found.iter().any(|found| **found == Value::Bool(false)),
                    Test::Exists => !found.is_empty(),
                    Test::NotExists => found.is_empty(),
                }
            }
        }
    }

    fn extract(&self, value: &Value, into: &mut BTreeMap<String, String>) {
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().for_each(|part| part.extract(value, into)),
            Self::Test(selector, _) => {
                if let Some(text) = selector.find(value).first().and_then(|found| text(found)) {
                    into.insert(selector.text.clone(), text);
                }
            }
        }
    }
}

impl Selector {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        cursor.skip_space();
        if !cursor.take("$") {
            return Err(invalid("a selector begins with $"));
        }
        let mut selector = Self { text: "$".to_owned(), steps: Vec::new() };
        loop {
            let dot = cursor.take(".");
            if dot {
                selector.text.push('.');
            }
            if cursor.take("[") {
                let step = match cursor.peek() {
                    Some(mark @ ('"' | '\'')) => Step::Member(cursor.quoted(mark)?),
                    _ => match cursor.word(|c| c == ']').trim() {
                        "*" => Step::Items,
                        number => Step::Item(number.parse().map_err(|_| invalid("an index is a number or *"))?),
                    },
                };
                cursor.expect("]")?;
                let written = match &step {
                    Step::Member(name) => format!("['{name}']"),
                    Step::Item(n) => format!("[{n}]"),
                    Step::Items => "[*]".to_owned(),
                };
                selector.text.push_str(&written);
                selector.steps.push(step);
            } else if dot {
                let name =
                    cursor.word(|c| c.is_whitespace() || matches!(c, '.' | '[' | '=' | '!' | '<' | '>' | ')' | '}'));
                if name.is_empty() {
                    return Err(invalid("a selector ends with a dot"));
                }
                selector.text.push_str(&name);
                selector.steps.push(Step::Member(name));
            } else {
                break;
            }
        }
        if selector.steps.is_empty() { Err(invalid("a selector names nothing")) } else { Ok(selector) }
    }

    fn find<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.steps {
            found = match step {
                Step::Member(name) => found.into_iter().filter_map(|value| value.get(name)).collect(),
                Step::Item(n) => found.into_iter().filter_map(|value| value.get(*n)).collect(),
                Step::Items => found.into_iter().filter_map(Value::as_array).flatten().collect(),
            };
        }
        found
    }
}
