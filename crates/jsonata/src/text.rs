//! `$string`: values as text.

use super::failure::{Failure, Result};
use super::value::{MAX_BYTES, Val, number_text};

/// The text of a value; nothing for undefined.
pub(super) fn of(value: &Val<'_>, pretty: bool) -> Result<Option<String>> {
    let mut text = String::new();
    match value {
        Val::Undefined => return Ok(None),
        Val::Text(string) => text.push_str(string),
        Val::Function(_) => {}
        Val::Number(number) if !number.is_finite() => return Err(Failure::new("D3001")),
        other => write(other, pretty.then_some(2), 0, &mut text)?,
    }
    Ok(Some(text))
}

/// As `JSON.stringify` does, numbers to fifteen digits.
pub(super) fn write(value: &Val<'_>, indent: Option<usize>, level: usize, text: &mut String) -> Result<()> {
    if text.len() > MAX_BYTES {
        return Err(Failure::too_large());
    }
    match value {
        Val::Undefined | Val::Null | Val::Tuples(_) => text.push_str("null"),
        Val::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Val::Number(number) if !number.is_finite() => return Err(Failure::of("D1001", "null".to_owned())),
        Val::Number(number) | Val::Long(number, _) => text.push_str(&number_text(fifteen_digits(*number))),
        Val::Text(string) => text.push_str(&serde_json::Value::from(&**string).to_string()),
        Val::Function(_) => text.push_str("\"\""),
        other => {
            let (open, close, members) = match other.items() {
                Some(items) => ('[', ']', items.iter().map(|item| (None, item)).collect::<Vec<_>>()),
                None => ('{', '}', other.members().into_iter().map(|(key, value)| (Some(key), value)).collect()),
            };
            text.push(open);
            for (index, (key, member)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(indent, level + 1, text);
                if let Some(key) = key {
                    text.push_str(&serde_json::Value::from(&**key).to_string());
                    text.push_str(if indent.is_some() { ": " } else { ":" });
                }
                write(member, indent, level + 1, text)?;
            }
            if !members.is_empty() {
                line(indent, level, text);
            }
            text.push(close);
        }
    }
    Ok(())
}

fn line(indent: Option<usize>, level: usize, text: &mut String) {
    if let Some(width) = indent {
        text.push('\n');
        text.push_str(&" ".repeat(width * level));
    }
}

fn fifteen_digits(number: f64) -> f64 {
    if number.fract() == 0.0 { number } else { format!("{number:.14e}").parse().unwrap_or(number) }
}
