//! Regular expressions as Joni's Java syntax has them, with look-around and back references.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use fancy_regex::Regex;

use super::Row;
use crate::call::{Call, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::types::Type;
use crate::value::Value;

thread_local! {
    static COMPILED: RefCell<BTreeMap<String, Rc<Regex>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The compiled pattern, kept for the rows to come.
pub(crate) fn compiled(pattern: &str) -> Result<Rc<Regex>> {
    COMPILED.with_borrow_mut(|known| {
        if let Some(regex) = known.get(pattern) {
            return Ok(Rc::clone(regex));
        }
        if known.len() > 256 {
            known.clear();
        }
        let regex =
            Rc::new(Regex::new(&translated(pattern)).map_err(|error| Error::argument(reason(pattern, &error)))?);
        known.insert(pattern.to_owned(), Rc::clone(&regex));
        Ok(regex)
    })
}

/// Java's classes are of ASCII and its `$` and `.` know of no `\r`; the rest is the same.
fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars().peekable();
    let mut in_class = 0;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('h') if in_class == 0 => out.push_str("[0-9a-fA-F]"),
                Some('Q') => {
                    let mut rest: String = chars.clone().collect();
                    let end = rest.find("\\E").unwrap_or(rest.len());
                    rest.truncate(end);
                    for _ in 0..rest.chars().count() {
                        chars.next();
                    }
                    if chars.peek() == Some(&'\\') {
                        chars.next();
                        chars.next();
                    }
                    out.push_str(&fancy_regex::escape(&rest));
                }
                Some(class @ ('w' | 'W' | 'd' | 'D' | 's' | 'S')) => {
                    let set = match class.to_ascii_lowercase() {
                        'w' => "0-9A-Za-z_",
                        'd' => "0-9",
                        _ => "\\t\\n\\x0B\\f\\r ",
                    };
                    match (class.is_ascii_uppercase(), in_class > 0) {
                        (false, true) => out.push_str(set),
                        (negated, _) => {
                            out.push_str(if negated { "[^" } else { "[" });
                            out.push_str(set);
                            out.push(']');
                        }
                    }
                }
                Some('Z') => out.push_str("(?=\\n?\\z)"),
                Some(next) => {
                    out.push('\\');
                    out.push(next);
                }
                None => out.push('\\'),
            },
            '[' => {
                in_class += 1;
                out.push('[');
                // A bracket right at the start is itself.
                if chars.peek() == Some(&'^') {
                    chars.next();
                    out.push('^');
                }
                if chars.peek() == Some(&']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            ']' => {
                in_class = (in_class - 1i32).max(0);
                out.push(']');
            }
            '$' if in_class == 0 => out.push_str("(?=\\n?\\z)"),
            other => out.push(other),
        }
    }
    if out.contains("(?m") || out.contains("(?im") || out.contains("(?sm") {
        out = out.replace("(?=\\n?\\z)", "$");
    }
    out
}

fn reason(pattern: &str, error: &fancy_regex::Error) -> String {
    let text = error.to_string();
    if pattern.starts_with(['*', '+', '?']) || text.contains("repeat") || text.contains("repetition") {
        return "target of repeat operator is not specified".to_owned();
    }
    if text.contains("class") || text.contains("unclosed character") {
        return "premature end of char-class".to_owned();
    }
    if text.contains("parenthes") || text.contains("group") {
        return "end pattern with unmatched parenthesis".to_owned();
    }
    format!("Invalid regular expression: {pattern}")
}

fn failed(error: fancy_regex::Error) -> Error {
    Error::argument(format!("Regular expression could not be matched: {error}"))
}

/// The matches of a pattern one after the other, as Java and Joni find them: an empty one may follow right behind another.
fn each<'t>(regex: &Regex, text: &'t str, mut take: impl FnMut(fancy_regex::Captures<'t>) -> Result<()>) -> Result<()> {
    let mut at = 0;
    while let Some(found) = regex.captures_from_pos(text, at).map_err(failed)? {
        let Some(whole) = found.get(0) else { break };
        let (start, end) = (whole.start(), whole.end());
        take(found)?;
        at = if end > start {
            end
        } else {
            match text[end..].chars().next() {
                Some(c) => end + c.len_utf8(),
                None => break,
            }
        };
    }
    Ok(())
}

/// Where a pattern matches, and its groups there from the first on.
pub fn matches(text: &str, pattern: &str) -> Result<Vec<(std::ops::Range<usize>, Vec<Value>)>> {
    let regex = compiled(pattern)?;
    let mut all = Vec::new();
    each(&regex, text, |found| {
        let Some(whole) = found.get(0) else { return Ok(()) };
        let groups = (1..regex.captures_len()).map(|group| found.get(group).map(|m| m.as_str().to_owned()).into());
        all.push((whole.range(), groups.collect()));
        Ok(())
    })?;
    Ok(all)
}

fn group_of(regex: &Regex, a: &[Value], at: usize) -> Result<usize> {
    let group = a.get(at).map_or(0, Value::as_int);
    if group < 0 {
        return Err(Error::argument("Group cannot be negative"));
    }
    let most = regex.captures_len() as i64 - 1;
    if group > most {
        return Err(Error::argument(format!("Pattern has {most} groups. Cannot access group {group}")));
    }
    Ok(group as usize)
}

const LIKE: Rows = |_, a| Ok(compiled(a[1].as_str())?.is_match(a[0].as_str()).map_err(failed)?.into());

const EXTRACT: Rows = |_, a| {
    let regex = compiled(a[1].as_str())?;
    let group = group_of(&regex, a, 2)?;
    let found = regex.captures(a[0].as_str()).map_err(failed)?;
    Ok(found.and_then(|found| found.get(group).map(|m| m.as_str().to_owned())).into())
};

const EXTRACT_ALL: Rows = |_, a| {
    let regex = compiled(a[1].as_str())?;
    let group = group_of(&regex, a, 2)?;
    let mut all = Vec::new();
    each(&regex, a[0].as_str(), |found| {
        all.push(found.get(group).map(|m| m.as_str().to_owned()).into());
        Ok(())
    })?;
    Ok(Value::Array(all))
};

const COUNT: Rows = |_, a| {
    let regex = compiled(a[1].as_str())?;
    let mut count = 0;
    each(&regex, a[0].as_str(), |_| {
        count += 1;
        Ok(())
    })?;
    Ok(Value::Int(count))
};

const POSITION: Rows = |_, a| {
    let (text, start, occurrence) =
        (a[0].as_str(), a.get(2).map_or(1, Value::as_int), a.get(3).map_or(1, Value::as_int));
    if start < 1 {
        return Err(Error::argument("start position cannot be smaller than 1"));
    }
    if occurrence < 1 {
        return Err(Error::argument("occurrence cannot be smaller than 1"));
    }
    let regex = compiled(a[1].as_str())?;
    let Some((from, _)) = text.char_indices().chain([(text.len(), ' ')]).nth(start as usize - 1) else {
        return Ok(Value::Int(-1));
    };
    let mut at = from;
    for seen in 1.. {
        let Some(found) = regex.find_from_pos(text, at).map_err(failed)? else { break };
        if seen == occurrence {
            return Ok(Value::Int(text[..found.start()].chars().count() as i64 + 1));
        }
        at = if found.end() > found.start() {
            found.end()
        } else {
            match text[found.end()..].chars().next() {
                Some(c) => found.end() + c.len_utf8(),
                None => break,
            }
        };
    }
    Ok(Value::Int(-1))
};

const SPLIT: Rows = |_, a| {
    let regex = compiled(a[1].as_str())?;
    let text = a[0].as_str();
    let (mut parts, mut last) = (Vec::new(), 0);
    each(&regex, text, |found| {
        let Some(whole) = found.get(0) else { return Ok(()) };
        parts.push(text[last..whole.start()].into());
        last = whole.end();
        Ok(())
    })?;
    parts.push(text[last..].into());
    Ok(Value::Array(parts))
};

const REPLACE: Rows = |_, a| {
    let regex = compiled(a[1].as_str())?;
    let (text, with) = (a[0].as_str(), a.get(2).map_or("", Value::as_str));
    let (mut out, mut last) = (String::new(), 0);
    each(&regex, text, |found| {
        let Some(whole) = found.get(0) else { return Ok(()) };
        out.push_str(&text[last..whole.start()]);
        expand(with, &regex, &found, &mut out)?;
        last = whole.end();
        Ok(())
    })?;
    out.push_str(&text[last..]);
    Ok(out.into())
};

/// Puts `$1`, `${name}` and `\$` of a replacement in place.
fn expand(with: &str, regex: &Regex, found: &fancy_regex::Captures<'_>, out: &mut String) -> Result<()> {
    let wrong = |text: &str| Error::argument(format!("Illegal replacement sequence: {text}"));
    let mut chars = with.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().ok_or_else(|| wrong("character to be escaped is missing"))?),
            '$' => {
                if chars.next_if_eq(&'{').is_some() {
                    let mut name = String::new();
                    loop {
                        match chars.next() {
                            Some('}') => break,
                            Some(c) => name.push(c),
                            None => return Err(wrong("group reference is missing closing '}'")),
                        }
                    }
                    if !regex.capture_names().flatten().any(|known| known == name) {
                        return Err(wrong(&format!("unknown group {{{name}}}")));
                    }
                    out.push_str(found.name(&name).map_or("", |m| m.as_str()));
                    continue;
                }
                let Some(first) = chars.next_if(char::is_ascii_digit) else {
                    return Err(wrong("unexpected character after '$'"));
                };
                let mut group = first.to_digit(10).unwrap_or(0) as usize;
                if group >= regex.captures_len() {
                    return Err(wrong(&format!("unknown group {group}")));
                }
                // More digits belong to it as long as there is such a group.
                while let Some(next) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = group * 10 + next as usize;
                    if longer >= regex.captures_len() {
                        break;
                    }
                    group = longer;
                    chars.next();
                }
                out.push_str(found.get(group).map_or("", |m| m.as_str()));
            }
            other => out.push(other),
        }
    }
    Ok(())
}

pub(super) const TABLE: &[Row] = &[
    ("regexp_like", "varchar(x), varchar -> boolean", Strict(LIKE)),
    ("regexp_extract", "varchar(x), varchar -> varchar(x)", Strict(EXTRACT)),
    ("regexp_extract", "varchar(x), varchar, bigint -> varchar(x)", Strict(EXTRACT)),
    ("regexp_extract_all", "varchar(x), varchar -> array(varchar(x))", Strict(EXTRACT_ALL)),
    ("regexp_extract_all", "varchar(x), varchar, bigint -> array(varchar(x))", Strict(EXTRACT_ALL)),
    ("regexp_count", "varchar(x), varchar -> bigint", Strict(COUNT)),
    ("regexp_position", "varchar(x), varchar -> integer", Strict(POSITION)),
    ("regexp_position", "varchar(x), varchar, bigint -> integer", Strict(POSITION)),
    ("regexp_position", "varchar(x), varchar, bigint, bigint -> integer", Strict(POSITION)),
    ("regexp_split", "varchar(x), varchar -> array(varchar(x))", Strict(SPLIT)),
    ("regexp_replace", "varchar(x), varchar -> varchar(x)", Strict(REPLACE)),
];

/// `regexp_replace` with a replacement, whose length Trino reckons.
pub(super) fn replace(types: &[Type]) -> Option<Call> {
    let length = |ty: &Type| match ty {
        Type::Varchar(n) => Some(n.map(u64::from)),
        Type::Unknown => Some(Some(0)),
        _ => None,
    };
    let [text, pattern, with] = types else { return None };
    length(pattern)?;
    let bound = match (length(text)?, length(with)?) {
        (Some(x), Some(y)) => {
            let most = x + (x * y / 2).max(y) * (x + 1);
            Some(most.min(i32::MAX as u64) as u32).filter(|n| *n < i32::MAX as u32)
        }
        _ => None,
    };
    let params = vec![text.clone(), Type::Varchar(None), with.clone()];
    Some(Call { name: "regexp_replace", params, returns: Type::Varchar(bound), kernel: Strict(REPLACE) })
}
