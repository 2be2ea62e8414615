//! How answers are printed: aligned for people, JSON or YAML for programs.

use std::io::{IsTerminal as _, Write as _};

use anyhow::Result;
use serde_json::Value;

/// `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Aligned columns, for people
    #[default]
    Table,
    /// One JSON document, with the members that AWS's API has
    Json,
    /// The same as YAML
    Yaml,
}

pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Whether what goes to stderr may have colours and be drawn anew. Source: no-color.org, bixense.com/clicolors.
pub(crate) fn is_terminal() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let refused = set("NO_COLOR") || std::env::var_os("CLICOLOR").is_some_and(|value| value == "0");
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !refused && !dumb
}

/// A document as JSON or YAML.
pub(crate) fn document(format: Format, value: &Value) -> Result<()> {
    let text = match format {
        Format::Yaml => serde_yaml_ng::to_string(value)?,
        Format::Json | Format::Table => serde_json::to_string_pretty(value)?,
    };
    say(text.trim_end());
    Ok(())
}

/// Rows below their names, each column as wide as its widest cell.
pub(crate) fn table(names: &[&str], rows: &[Vec<String>]) {
    for line in aligned(names, rows) {
        say(&line);
    }
}

fn aligned(names: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |text: &str| unicode_width::UnicodeWidthStr::width(text);
    let widths: Vec<usize> = names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            rows.iter().filter_map(|row| row.get(at)).map(|c| width(c)).max().unwrap_or(0).max(width(name))
        })
        .collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, wide) in cells.zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(wide.saturating_sub(width(cell)) + 2));
        }
        line.trim_end().to_owned()
    };
    let mut lines = vec![line(&mut names.iter().copied())];
    lines.extend(rows.iter().map(|row| line(&mut row.iter().map(String::as_str))));
    lines
}

/// One record: a line for each member, values that are structures as JSON.
pub(crate) fn record(value: &Value) {
    let Some(members) = value.as_object() else { return say(&plain(value)) };
    let wide = members.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in members {
        let text = time(name, value).unwrap_or_else(|| plain(value));
        if text.contains('\n') {
            say(&format!("{name}\n  {}", text.replace('\n', "\n  ")));
        } else {
            say(&format!("{name:<wide$}  {text}"));
        }
    }
}

/// A member that is a time by its name and its value, as people read it: AWS's JSON has seconds since 1970, and milliseconds for logs.
fn time(name: &str, value: &Value) -> Option<String> {
    const SECONDS: std::ops::Range<f64> = 1e9..1e10;
    let is_time = ["Time", "Date", "Timestamp", "On", "At", "date", "time"].iter().any(|end| name.ends_with(end));
    let value = value.as_f64().filter(|_| is_time)?;
    let seconds = [value, value / 1000.0].into_iter().find(|seconds| SECONDS.contains(seconds))?;
    Some(crate::executions::moment(seconds))
}

/// A value as a cell: texts without their quotes, JSON in a text as indented JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => pretty(&inner),
            _ => text.clone(),
        },
        Value::Null => String::new(),
        Value::Array(_) | Value::Object(_) => pretty(value),
        other => other.to_string(),
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// A cause in words: what Lambda and Spark put into JSON is taken out of it.
pub(crate) fn cause(text: &str) -> String {
    let Ok(Value::Object(parts)) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let Some(message) = parts.get("errorMessage").or_else(|| parts.get("ErrorMessage")).and_then(Value::as_str) else {
        return text.to_owned();
    };
    let mut words = match parts.get("errorType").and_then(Value::as_str) {
        Some(kind) => format!("{kind}: {message}"),
        None => message.to_owned(),
    };
    for line in parts.get("stackTrace").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        words.push_str("\n  ");
        words.push_str(line.trim_end());
    }
    words
}

/// An error and its cause, each after a colon; a cause that begins with the error says it for both.
pub(crate) fn failure(error: &str, cause: &str) -> String {
    let said = cause.strip_prefix(error).is_some_and(|rest| rest.starts_with(':'));
    [error, cause]
        .into_iter()
        .filter(|part| !part.is_empty())
        .skip(usize::from(said))
        .fold(String::new(), |words, part| words + ": " + part)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{aligned, cause, failure, time};

    #[test]
    fn times_are_read_by_people() {
        let told = |name, value| time(name, &value);
        assert_eq!(told("CreateTime", json!(1_796_088_748.809)).as_deref(), Some("2026-12-01 01:32:28Z"));
        assert_eq!(told("creationTime", json!(1_796_088_748_809_u64)).as_deref(), Some("2026-12-01 01:32:28Z"));
        assert_eq!(told("Timeout", json!(2880)), None);
        assert_eq!(told("ExecutionTime", json!(17)), None, "it is a duration");
        assert_eq!(told("Version", json!(1_796_088_748)), None);
    }

    #[test]
    fn an_error_is_said_once() {
        assert_eq!(failure("ValueError", "ValueError: broken"), ": ValueError: broken");
        assert_eq!(failure("States.Timeout", ""), ": States.Timeout");
        assert_eq!(failure("S3.NoSuchKey", "It is not there"), ": S3.NoSuchKey: It is not there");
        assert_eq!(failure("", ""), "");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["日本".to_owned(), "1".to_owned()], vec!["a".to_owned(), "22".to_owned()]];
        assert_eq!(aligned(&["C", "N"], &rows), ["C     N", "日本  1", "a     22"]);
    }

    #[test]
    fn a_cause_in_json_becomes_words() {
        let text =
            r#"{"errorMessage": "no such file", "errorType": "OSError", "stackTrace": ["  File \"x.py\", line 3\n"]}"#;
        assert_eq!(cause(text), "OSError: no such file\n    File \"x.py\", line 3");
        assert_eq!(cause("plain"), "plain");
        assert_eq!(cause(r#"{"a": 1}"#), r#"{"a": 1}"#);
    }
}
