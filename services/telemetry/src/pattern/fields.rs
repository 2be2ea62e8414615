//! Space-delimited patterns: `[ip, ..., status = 4*, bytes > 1000]`. Text in quotes or brackets is one field.

use std::collections::BTreeMap;

use wire::Error;

use super::condition::{Compare, Cursor};
use super::invalid;

#[derive(Debug)]
pub(crate) struct Fields {
    before: Vec<Field>,
    /// Those after an ellipsis, where there is one.
    after: Option<Vec<Field>>,
}

#[derive(Debug)]
struct Field {
    name: String,
    /// Any of lists that must hold whole.
    any: Vec<Vec<Compare>>,
}

impl Fields {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let mut cursor = Cursor::new(text);
        cursor.expect("[")?;
        let (mut before, mut after): (Vec<Field>, Option<Vec<Field>>) = (Vec::new(), None);
        loop {
            cursor.skip_space();
            if cursor.take("...") {
                if after.replace(Vec::new()).is_some() {
                    return Err(invalid("there are two ellipses"));
                }
            } else {
                let field = Field::parse(&mut cursor)?;
                after.as_mut().unwrap_or(&mut before).push(field);
            }
            cursor.skip_space();
            if cursor.take("]") {
                break;
            }
            cursor.expect(",")?;
        }
        if cursor.is_at_end() {
            Ok(Self { before, after })
        } else {
            Err(invalid("there is something after the closing ]"))
        }
    }

    /// The fields with what they are in a message, where it has as many.
    fn bind<'a, 'b>(&'a self, values: &'b [String]) -> Option<Vec<(&'a Field, &'b str)>> {
        let tail = self.after.as_deref().unwrap_or_default();
        let fits = match self.after {
            None => values.len() == self.before.len(),
            Some(_) => values.len() >= self.before.len() + tail.len(),
        };
        let from = values.len().checked_sub(tail.len())?;
        fits.then(|| {
            let front = self.before.iter().zip(values.iter().map(String::as_str));
            front.chain(tail.iter().zip(values[from..].iter().map(String::as_str))).collect()
        })
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        let values = split(message);
        self.bind(&values).is_some_and(|bound| bound.iter().all(|(field, value)| field.holds(value)))
    }

    pub(super) fn value(&self, message: &str, name: &str) -> Option<String> {
        let values = split(message);
        let bound = self.bind(&values)?;
        bound.into_iter().find(|(field, _)| field.name == name).map(|(_, value)| value.to_owned())
    }

    pub(super) fn extracted(&self, message: &str) -> BTreeMap<String, String> {
        let values = split(message);
        let bound = self.bind(&values).unwrap_or_default();
        bound.into_iter().map(|(field, value)| (format!("${}", field.name), value.to_owned())).collect()
    }
}

impl Field {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ']' | '=' | '!' | '<' | '>');
        let name = cursor.word(ends);
        if name.is_empty() {
            return Err(invalid("a field has no name"));
        }
        let mut any = vec![Vec::new()];
        loop {
            cursor.skip_space();
            if matches!(cursor.peek(), Some(',' | ']') | None) {
                break;
            }
            let last = any.last_mut().expect("there is always one");
            last.push(Compare::parse(cursor)?);
            cursor.skip_space();
            if cursor.take("||") {
                any.push(Vec::new());
            } else if !cursor.take("&&") {
                break;
            }
            cursor.skip_space();
            if cursor.word(ends) != name {
                return Err(invalid("a condition is about another field"));
            }
        }
        Ok(Self { name, any })
    }

    fn holds(&self, value: &str) -> bool {
        self.any.iter().any(|all| all.iter().all(|compare| compare.holds(value)))
    }
}

/// A line's fields, without their quotes and brackets.
fn split(message: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut rest = message.trim();
    while let Some(first) = rest.chars().next() {
        let close = match first {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        let closed = close.and_then(|close| rest[1..].split_once(close));
        let (field, after) = closed.unwrap_or_else(|| rest.split_once(char::is_whitespace).unwrap_or((rest, "")));
        fields.push(field.to_owned());
        rest = after.trim_start();
    }
    fields
}
