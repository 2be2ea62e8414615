//! Payload templates: JSON in which, in JSONPath, a member named `x.$` becomes `x` with the value its path or intrinsic call yields,
//! and in JSONata each text `{% … %}` becomes the value of its expression.

use serde_json::{Map, Value};

use crate::expr::{EvalError, Expr, QueryFault, Scope};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Template {
    Literal(Value),
    /// `field` is how errors name the place: the member in JSONPath, the way to it from the state in JSONata.
    Expr {
        field: String,
        expr: Expr,
    },
    Array(Vec<Template>),
    Object(Vec<(String, Template)>),
}

/// Which member failed, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TemplateError {
    pub(crate) field: String,
    pub(crate) error: EvalError,
}

impl Template {
    /// Compiles; reports each member whose value is no path or call as (field, reason).
    pub(crate) fn compile(value: &Value, problems: &mut Vec<(String, String)>) -> Self {
        match value {
            Value::Object(members) => {
                Self::Object(members.iter().map(|(key, value)| Self::member(key, value, problems)).collect())
                    .folded(value)
            }
            Value::Array(items) => {
                Self::Array(items.iter().map(|item| Self::compile(item, problems)).collect()).folded(value)
            }
            other => Self::Literal(other.clone()),
        }
    }

    fn member(key: &str, value: &Value, problems: &mut Vec<(String, String)>) -> (String, Self) {
        let Some(name) = key.strip_suffix(".$") else { return (key.to_owned(), Self::compile(value, problems)) };
        let parsed = value.as_str().ok_or_else(|| "not a string".to_owned()).and_then(Expr::parse);
        match parsed {
            Ok(expr) => (name.to_owned(), Self::Expr { field: key.to_owned(), expr }),
            Err(reason) => {
                problems.push((key.to_owned(), reason));
                (name.to_owned(), Self::Literal(Value::Null))
            }
        }
    }

    /// Compiles for JSONata; `at` is the way to the value: `Output/total`. Reports texts that are no expression as (place, fault).
    pub(crate) fn compile_jsonata(value: &Value, at: &str, problems: &mut Vec<(String, QueryFault)>) -> Self {
        match value {
            Value::String(text) => match query_text(text).and_then(|text| text.map(Expr::parse_query).transpose()) {
                Ok(None) => Self::Literal(value.clone()),
                Ok(Some(expr)) => Self::Expr { field: at.to_owned(), expr },
                Err(fault) => {
                    problems.push((at.to_owned(), fault));
                    Self::Literal(Value::Null)
                }
            },
            Value::Object(members) => {
                let compiled = members
                    .iter()
                    .map(|(key, value)| (key.clone(), Self::compile_jsonata(value, &format!("{at}/{key}"), problems)));
                Self::Object(compiled.collect()).folded(value)
            }
            Value::Array(items) => {
                let compiled = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| Self::compile_jsonata(item, &format!("{at}[{index}]"), problems));
                Self::Array(compiled.collect()).folded(value)
            }
            other => Self::Literal(other.clone()),
        }
    }

    /// Each reference within, with the way to it.
    pub(crate) fn each(&self, see: &mut impl FnMut(&str, &Expr)) {
        match self {
            Self::Literal(_) => {}
            Self::Expr { field, expr } => see(field, expr),
            Self::Array(items) => items.iter().for_each(|item| item.each(see)),
            Self::Object(members) => members.iter().for_each(|(_, member)| member.each(see)),
        }
    }

    /// The names of its members, where it is an object.
    pub(crate) fn member_names(&self) -> Vec<&str> {
        match self {
            Self::Object(members) => members.iter().map(|(name, _)| name.as_str()).collect(),
            Self::Literal(Value::Object(members)) => members.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// A template without references is a literal.
    fn folded(self, value: &Value) -> Self {
        let literal = match &self {
            Self::Array(items) => items.iter().all(|item| matches!(item, Self::Literal(_))),
            Self::Object(members) => members.iter().all(|(_, member)| matches!(member, Self::Literal(_))),
            _ => false,
        };
        if literal { Self::Literal(value.clone()) } else { self }
    }

    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Value, TemplateError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expr { field, expr } => {
                expr.eval(scope).map_err(|error| TemplateError { field: field.clone(), error })?
            }
            Self::Array(items) => Value::Array(items.iter().map(|item| item.eval(scope)).collect::<Result<_, _>>()?),
            Self::Object(members) => {
                let mut object = Map::with_capacity(members.len());
                for (key, member) in members {
                    object.insert(key.clone(), member.eval(scope)?);
                }
                Value::Object(object)
            }
        })
    }
}

/// What stands between `{%` and `%}`; `None` for a text that is no expression. Only one of the two is a fault.
pub(crate) fn query_text(text: &str) -> Result<Option<&str>, QueryFault> {
    match (text.strip_prefix("{%"), text.ends_with("%}")) {
        (Some(rest), true) => Ok(rest.strip_suffix("%}").or(Some(""))),
        (None, false) => Ok(None),
        _ => Err(QueryFault::Delimiters),
    }
}
