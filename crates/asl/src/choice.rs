//! The rules of a Choice state. A comparison of the wrong type is false; a missing variable is an error, but for `IsPresent`.
//! A rule of a JSONata state is one expression.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use crate::expr::{EvalError, Expr, Scope};
use crate::template::Template;
use crate::time::Timestamp;
use crate::value::compare_numbers;

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Condition,
    pub(crate) next: String,
    pub(crate) output: Option<Template>,
    pub(crate) assign: Option<Template>,
}

#[derive(Debug)]
pub(crate) enum Condition {
    /// JSONata's `Condition`, when it is written as a truth value.
    Literal(bool),
    /// JSONata's `Condition`.
    Query(Expr),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Is {
        variable: Expr,
        property: Property,
        wanted: bool,
    },
    Compare {
        variable: Expr,
        comparison: Comparison,
        operand: Operand,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Property {
    Present,
    Null,
    String,
    Numeric,
    Boolean,
    Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Comparison {
    kind: Kind,
    relation: Relation,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    String,
    Numeric,
    Boolean,
    Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    Equals,
    LessThan,
    GreaterThan,
    LessThanEquals,
    GreaterThanEquals,
    Matches,
}

#[derive(Debug)]
pub(crate) enum Operand {
    Literal(Value),
    Path(Expr),
}

/// Rules nested deeper than this are refused rather than followed.
const MAX_DEPTH: usize = 32;

impl Condition {
    /// Reads the test of a rule; `Err` says where, and what is wrong with it.
    pub(crate) fn parse(rule: &Map<String, Value>, way: &str, depth: usize) -> Result<Self, (String, String)> {
        let fail = |field: &str, problem: &str| (format!("{way}{field}"), problem.to_owned());
        if depth > MAX_DEPTH {
            return Err(fail("", "The rules are nested too deeply"));
        }
        let nested = |value: &Value, way: String| match value {
            Value::Object(rule) => match rule.keys().find(|key| matches!(key.as_str(), "Next" | "Assign" | "Output")) {
                Some(name) => Err((way, format!("Field '{name}' is not supported"))),
                None => Self::parse(rule, &way, depth + 1),
            },
            _ => Err((way, "Expected value of type Object".to_owned())),
        };
        let all = |name: &str, value: &Value| match value {
            Value::Array(rules) if !rules.is_empty() => rules
                .iter()
                .enumerate()
                .map(|(index, rule)| nested(rule, format!("{way}/{name}[{index}]")))
                .collect::<Result<Vec<_>, _>>(),
            _ => Err(fail(&format!("/{name}"), "Expected a non-empty array")),
        };
        if let Some(rules) = rule.get("And") {
            return all("And", rules).map(Self::And);
        }
        if let Some(rules) = rule.get("Or") {
            return all("Or", rules).map(Self::Or);
        }
        if let Some(rule) = rule.get("Not") {
            return nested(rule, format!("{way}/Not")).map(|rule| Self::Not(Box::new(rule)));
        }
        let variable = match rule.get("Variable") {
            Some(Value::String(path)) => {
                Expr::parse_path(path).map_err(|_| fail("/Variable", not_a_reference(path)))?
            }
            Some(_) => return Err(fail("/Variable", "Expected value of type String")),
            None => return Err(fail("", "These fields are required: [Variable]")),
        };
        let mut tests = rule.iter().filter(|(key, _)| {
            !matches!(key.as_str(), "Variable" | "Next" | "Comment" | "Assign" | "Condition" | "Output")
        });
        match (tests.next(), tests.next()) {
            (Some((name, value)), None) => Self::test(variable, name, value, way),
            _ => Err(fail("", "A Choice rule must have exactly one comparison operator")),
        }
    }

    fn test(variable: Expr, name: &str, value: &Value, way: &str) -> Result<Self, (String, String)> {
        let fail = |problem: String| (format!("{way}/{name}"), problem);
        if let Some(property) = Property::parse(name) {
            let wanted = value.as_bool().ok_or_else(|| fail("Expected value of type Boolean".to_owned()))?;
            return Ok(Self::Is { variable, property, wanted });
        }
        let (kind, is_path) = match name.strip_suffix("Path") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let comparison = Comparison::parse(kind)
            .filter(|comparison| !is_path || comparison.relation != Relation::Matches)
            .ok_or_else(|| (way.to_owned(), format!("Field '{name}' is not supported")))?;
        let operand = match (is_path, value) {
            (true, Value::String(path)) => {
                Operand::Path(Expr::parse_path(path).map_err(|_| fail(not_a_reference(path).to_owned()))?)
            }
            (true, _) => return Err(fail("Expected value of type String".to_owned())),
            (false, value) if comparison.accepts(value) => Operand::Literal(value.clone()),
            (false, Value::String(_)) if comparison.kind == Kind::Timestamp => {
                return Err(fail("String does not match RFC3339 timestamp".to_owned()));
            }
            (false, _) => return Err(fail(format!("Expected value of type {}", comparison.kind.type_name()))),
        };
        Ok(Self::Compare { variable, comparison, operand })
    }

    /// Each reference within.
    pub(crate) fn each(&self, see: &mut impl FnMut(&Expr)) {
        match self {
            Self::Literal(_) => {}
            Self::Query(query) => see(query),
            Self::And(rules) | Self::Or(rules) => rules.iter().for_each(|rule| rule.each(see)),
            Self::Not(rule) => rule.each(see),
            Self::Is { variable, .. } => see(variable),
            Self::Compare { variable, operand, .. } => {
                see(variable);
                if let Operand::Path(path) = operand {
                    see(path);
                }
            }
        }
    }

    pub(crate) fn holds(&self, scope: &Scope<'_>) -> Result<bool, EvalError> {
        match self {
            Self::Literal(holds) => Ok(*holds),
            Self::Query(query) => {
                let value = query.eval(scope)?;
                value.as_bool().ok_or_else(|| EvalError::unexpected(query.source(), "boolean", &value))
            }
            Self::And(rules) => all(rules, scope),
            Self::Or(rules) => {
                for rule in rules {
                    if rule.holds(scope)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Self::Not(rule) => Ok(!rule.holds(scope)?),
            Self::Is { variable, property: Property::Present, wanted } => {
                let present = match variable.eval(scope) {
                    Ok(_) => true,
                    Err(error) if error.is_missing_path() => false,
                    Err(error) => return Err(error),
                };
                Ok(present == *wanted)
            }
            Self::Is { variable, property, wanted } => Ok(property.holds(&variable.eval(scope)?) == *wanted),
            Self::Compare { variable, comparison, operand } => {
                let left = variable.eval(scope)?;
                Ok(match operand {
                    Operand::Literal(right) => comparison.holds(&left, right),
                    Operand::Path(path) => comparison.holds(&left, &path.eval(scope)?),
                })
            }
        }
    }
}

fn all(rules: &[Condition], scope: &Scope<'_>) -> Result<bool, EvalError> {
    for rule in rules {
        if !rule.holds(scope)? {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Property {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "IsPresent" => Self::Present,
            "IsNull" => Self::Null,
            "IsString" => Self::String,
            "IsNumeric" => Self::Numeric,
            "IsBoolean" => Self::Boolean,
            "IsTimestamp" => Self::Timestamp,
            _ => return None,
        })
    }

    fn holds(self, value: &Value) -> bool {
        match self {
            Self::Present => true,
            Self::Null => value.is_null(),
            Self::String => value.is_string(),
            Self::Numeric => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Timestamp => value.as_str().and_then(Timestamp::parse).is_some(),
        }
    }
}

impl Kind {
    fn type_name(self) -> &'static str {
        match self {
            Self::String | Self::Timestamp => "String",
            Self::Numeric => "Numeric",
            Self::Boolean => "Boolean",
        }
    }
}

impl Comparison {
    fn parse(name: &str) -> Option<Self> {
        let kinds = [
            ("String", Kind::String),
            ("Numeric", Kind::Numeric),
            ("Boolean", Kind::Boolean),
            ("Timestamp", Kind::Timestamp),
        ];
        let (rest, kind) = kinds.into_iter().find_map(|(prefix, kind)| Some((name.strip_prefix(prefix)?, kind)))?;
        let relation = match (kind, rest) {
            (_, "Equals") => Relation::Equals,
            (Kind::String, "Matches") => Relation::Matches,
            (Kind::Boolean, _) => return None,
            (_, "LessThan") => Relation::LessThan,
            (_, "GreaterThan") => Relation::GreaterThan,
            (_, "LessThanEquals") => Relation::LessThanEquals,
            (_, "GreaterThanEquals") => Relation::GreaterThanEquals,
            _ => return None,
        };
        Some(Self { kind, relation })
    }

    fn accepts(self, literal: &Value) -> bool {
        match self.kind {
            Kind::String => literal.is_string(),
            Kind::Numeric => literal.is_number(),
            Kind::Boolean => literal.is_boolean(),
            Kind::Timestamp => literal.as_str().and_then(Timestamp::parse).is_some(),
        }
    }

    fn holds(self, left: &Value, right: &Value) -> bool {
        if self.relation == Relation::Matches {
            return matches!((left, right), (Value::String(text), Value::String(pattern)) if matches_pattern(text, pattern));
        }
        let order = match (self.kind, left, right) {
            (Kind::String, Value::String(left), Value::String(right)) => {
                Some(left.encode_utf16().cmp(right.encode_utf16()))
            }
            (Kind::Numeric, Value::Number(left), Value::Number(right)) => compare_numbers(left, right),
            (Kind::Boolean, Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
            (Kind::Timestamp, Value::String(left), Value::String(right)) => {
                Timestamp::parse(left).zip(Timestamp::parse(right)).map(|(left, right)| left.cmp(&right))
            }
            _ => None,
        };
        order.is_some_and(|order| match self.relation {
            Relation::Equals => order == Ordering::Equal,
            Relation::LessThan => order == Ordering::Less,
            Relation::GreaterThan => order == Ordering::Greater,
            Relation::LessThanEquals => order.is_le(),
            Relation::GreaterThanEquals => order.is_ge(),
            Relation::Matches => false,
        })
    }
}

/// `*` stands for any run of characters, `\*` for a star, `\\` for a backslash.
fn matches_pattern(text: &str, pattern: &str) -> bool {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => parts.push(String::new()),
            '\\' => {
                let escaped = chars.next().unwrap_or('\\');
                if let Some(part) = parts.last_mut() {
                    part.push(escaped);
                }
            }
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(c);
                }
            }
        }
    }
    let Some((first, rest)) = parts.split_first() else { return false };
    let Some(mut text) = text.strip_prefix(first.as_str()) else { return false };
    let Some((last, middle)) = rest.split_last() else { return text.is_empty() };
    for part in middle {
        let Some(at) = text.find(part.as_str()) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last.as_str())
}

/// What AWS says of a text where it wants a path that names one place.
pub(crate) fn not_a_reference(text: &str) -> &'static str {
    if text.starts_with('$') {
        "Value is not a Reference Path"
    } else {
        "Value is not a Reference Path: Reference path didn't start with '$'"
    }
}

#[cfg(test)]
mod tests {
    use super::matches_pattern;

    #[test]
    fn stars_match_any_run() {
        for (text, pattern, want) in [
            ("log-1.txt", "log-*.txt", true),
            ("log-.txt", "log-*.txt", true),
            ("a*b", "a\\*b", true),
            ("axb", "a\\*b", false),
            ("foobar", "foo*foo", false),
            ("aa", "a*a*a", false),
            ("", "*", true),
            ("abc", "abc", true),
            ("abcd", "abc", false),
        ] {
            assert_eq!(matches_pattern(text, pattern), want, "{text} {pattern}");
        }
    }
}
