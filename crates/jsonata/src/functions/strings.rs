//! Functions over strings.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Arguments;
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::pattern::Pattern;
use crate::text;
use crate::value::{Function, Members, Val, number_text};

pub(super) fn string<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let pretty = matches!(arguments.get(1), Val::Bool(true));
    match text::of(&arguments.get(0).inner(), pretty)? {
        Some(text) => {
            machine.charge(text.len() / 64)?;
            machine.text(text)
        }
        None => Ok(Val::Undefined),
    }
}

pub(super) fn length<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 64)?;
    Ok(Val::count(text.chars().count()))
}

/// A function from text to text; undefined stays undefined.
fn mapped<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
    function: impl FnOnce(&str) -> String,
) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 64)?;
    machine.text(function(text))
}

pub(super) fn lowercase<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    mapped(machine, arguments, str::to_lowercase)
}

pub(super) fn uppercase<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    mapped(machine, arguments, str::to_uppercase)
}

pub(super) fn trim<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    mapped(machine, arguments, |text| {
        let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
        words.collect::<Vec<_>>().join(" ")
    })
}

pub(super) fn substring<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 16)?;
    let chars: Vec<char> = text.chars().collect();
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
    let count = chars.len() as f64;
    let mut start = arguments.number(1).unwrap_or(0.0);
    if count + start < 0.0 {
        start = 0.0;
    }
    let mut end = count;
    if let Some(length) = arguments.number(2) {
        if length <= 0.0 {
            return machine.text("");
        }
        end = if start >= 0.0 { start + length } else { count + start + length };
    }
    // As JavaScript's slice: negative ends count from the back, fractions are dropped.
    let place = |at: f64| {
        let at = at.trunc();
        let at = if at < 0.0 { (count + at).max(0.0) } else { at.min(count) };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between zero and the length")]
        {
            at as usize
        }
    };
    let (start, end) = (place(start), place(end));
    machine.text(if start < end { chars[start..end].iter().collect::<String>() } else { String::new() })
}

pub(super) fn substring_before<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
    _: &Val<'a>,
) -> Result<Val<'a>> {
    let separator = arguments.text(1).unwrap_or("undefined").to_owned();
    mapped(machine, arguments, |text| text.split_once(&separator).map_or(text, |(before, _)| before).to_owned())
}

pub(super) fn substring_after<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
    _: &Val<'a>,
) -> Result<Val<'a>> {
    let separator = arguments.text(1).unwrap_or("undefined").to_owned();
    mapped(machine, arguments, |text| text.split_once(&separator).map_or(text, |(_, after)| after).to_owned())
}

pub(super) fn pad<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    let width = arguments.number(1).unwrap_or(0.0).trunc();
    let filler = arguments.text(2).filter(|filler| !filler.is_empty()).unwrap_or(" ");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate")]
    let missing = (width.abs() as usize).saturating_sub(text.chars().count());
    machine.allocate(text.len().saturating_add(missing))?;
    let padding: String = filler.chars().cycle().take(missing).collect();
    machine.text(if width > 0.0 { format!("{text}{padding}") } else { format!("{padding}{text}") })
}

pub(super) fn join<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(items) = arguments.get(0).items() else { return Ok(Val::Undefined) };
    let separator = arguments.text(1).unwrap_or("");
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        joined.push_str(item.as_str().unwrap_or(""));
        if joined.len() > crate::value::MAX_BYTES {
            return Err(Failure::too_large());
        }
    }
    machine.charge(items.len() / 8)?;
    machine.text(joined)
}

// Matching.

/// One match: where in bytes, and its groups.
struct Found {
    start: usize,
    end: usize,
    groups: Vec<Option<String>>,
}

fn find(machine: &mut Machine<'_>, pattern: &Pattern, text: &str, from: usize) -> Result<Option<Found>> {
    let Some(regex) = &pattern.regex else {
        let sentence = format!("Unsupported regular expression: {}", pattern.source);
        return Err(Failure::saying("", sentence));
    };
    machine.charge(1 + (text.len() - from) / 16)?;
    let Some(captures) = regex.captures_at(text, from) else { return Ok(None) };
    let Some(whole) = captures.get(0) else { return Ok(None) };
    let groups = captures.iter().skip(1).map(|group| group.map(|group| group.as_str().to_owned())).collect();
    Ok(Some(Found { start: whole.start(), end: whole.end(), groups }))
}

/// A regular expression, or a function that gives objects as one would.
enum Matcher<'a> {
    Pattern(Arc<Pattern>),
    Function(Val<'a>),
}

impl<'a> Matcher<'a> {
    fn of(value: &Val<'a>) -> Self {
        if let Val::Function(function) = value
            && let Function::Regex(pattern) = &**function
        {
            return Self::Pattern(Arc::clone(pattern));
        }
        Self::Function(value.clone())
    }

    /// The matches from left to right, at most so many.
    fn all(&self, machine: &mut Machine<'a>, text: &Arc<str>, limit: Option<f64>) -> Result<Vec<Found>> {
        let mut found: Vec<Found> = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
        let more = |found: &Vec<Found>| limit.is_none_or(|limit| (found.len() as f64) < limit);
        if !more(&found) {
            return Ok(found);
        }
        match self {
            Self::Pattern(pattern) => {
                let mut next = find(machine, pattern, text, 0)?;
                while let Some(one) = next {
                    let end = one.end;
                    machine.allocate(64 + (end - one.start))?;
                    found.push(one);
                    // The next one is looked for before it is known to be wanted, so that an empty one always fails.
                    next = if end < text.len() { find(machine, pattern, text, end)? } else { None };
                    if next.as_ref().is_some_and(|next| next.start == next.end) {
                        return Err(Failure::new("D1004"));
                    }
                    if !more(&found) {
                        break;
                    }
                }
            }
            Self::Function(function) => {
                let mut next = machine.apply(function, vec![Val::Text(Arc::clone(text))], &Val::Null)?;
                while !next.is_undefined() && more(&found) {
                    found.push(described(&next, text)?);
                    next = match next.member("next") {
                        function @ Val::Function(_) => machine.apply(&function, Vec::new(), &Val::Null)?,
                        _ => Val::Undefined,
                    };
                }
            }
        }
        Ok(found)
    }
}

/// A match as a function describes it, by places in UTF-16.
fn described(value: &Val<'_>, text: &str) -> Result<Found> {
    let (start, end) = (value.member("start").as_number(), value.member("end").as_number());
    let groups = value.member("groups");
    if start.is_none() && end.is_none() && !groups.is_array() && !matches!(value.member("next"), Val::Function(_)) {
        return Err(Failure::new("T1010"));
    }
    let start = byte_at(text, start.unwrap_or(0.0));
    let end = byte_at(text, end.unwrap_or(0.0)).max(start);
    let groups = groups.into_items().into_iter().map(|group| group.as_str().map(str::to_owned)).collect();
    Ok(Found { start, end, groups })
}

fn byte_at(text: &str, place: f64) -> usize {
    let mut units = 0.0;
    for (at, c) in text.char_indices() {
        if units >= place {
            return at;
        }
        units += if c.len_utf16() == 2 { 2.0 } else { 1.0 };
    }
    text.len()
}

fn utf16_length(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// What calling a regular expression gives: its first match from a place on.
pub(crate) fn first_match<'a>(
    machine: &mut Machine<'a>,
    pattern: &Arc<Pattern>,
    text: &Arc<str>,
    from: usize,
) -> Result<Val<'a>> {
    let Some(found) = find(machine, pattern, text, from)? else { return Ok(Val::Undefined) };
    if from > 0 && found.start == found.end {
        return Err(Failure::new("D1004"));
    }
    let start = utf16_length(&text[..found.start]);
    let end = start + utf16_length(&text[found.start..found.end]);
    let next = Function::NextMatch { pattern: Arc::clone(pattern), text: Arc::clone(text), from: found.end };
    let whole = machine.text(&text[found.start..found.end])?;
    let groups = groups(machine, &found)?;
    Val::object(Members::from_iter([
        ("match".into(), whole),
        ("start".into(), Val::count(start)),
        ("end".into(), Val::count(end)),
        ("groups".into(), groups),
        ("next".into(), Val::function(next)?),
    ]))
}

fn groups<'a>(machine: &mut Machine<'a>, found: &Found) -> Result<Val<'a>> {
    let mut groups = Vec::with_capacity(found.groups.len());
    for group in &found.groups {
        groups.push(match group {
            Some(group) => machine.text(group.as_str())?,
            None => Val::Undefined,
        });
    }
    machine.plain(groups)
}

fn owned_text(value: &Val<'_>) -> Option<Arc<str>> {
    if let Val::Text(text) = value { Some(Arc::clone(text)) } else { None }
}

pub(super) fn matches<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = owned_text(arguments.get(0)) else { return Ok(Val::Undefined) };
    let limit = arguments.number(2);
    if let Some(limit) = limit.filter(|limit| *limit < 0.0) {
        return Err(Failure::of("D3040", number_text(limit)).with_index(3));
    }
    let mut results = Vec::new();
    let (mut at, mut index) = (0, 0);
    for found in Matcher::of(arguments.get(1)).all(machine, &text, limit)? {
        let start = found.start.max(at);
        index += utf16_length(&text[at..start]);
        at = start;
        let whole = machine.text(&text[found.start..found.end])?;
        let groups = groups(machine, &found)?;
        results.push(Val::object(Members::from_iter([
            ("match".into(), whole),
            ("index".into(), Val::count(index)),
            ("groups".into(), groups),
        ]))?);
    }
    machine.sequence(results)
}

pub(super) fn contains<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = owned_text(arguments.get(0)) else { return Ok(Val::Undefined) };
    let found = match arguments.get(1) {
        Val::Undefined => return Ok(Val::Undefined),
        Val::Text(part) => {
            machine.charge(text.len() / 64)?;
            text.contains(&**part)
        }
        matcher => match Matcher::of(matcher) {
            Matcher::Pattern(pattern) => find(machine, &pattern, &text, 0)?.is_some(),
            Matcher::Function(function) => {
                let found = machine.apply(&function, vec![Val::Text(Arc::clone(&text))], &Val::Null)?;
                if !found.is_undefined() {
                    described(&found, &text)?;
                }
                !found.is_undefined()
            }
        },
    };
    Ok(Val::Bool(found))
}

pub(super) fn split<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = owned_text(arguments.get(0)) else { return Ok(Val::Undefined) };
    let limit = arguments.number(2);
    if let Some(limit) = limit.filter(|limit| *limit < 0.0) {
        return Err(Failure::of("D3020", number_text(limit)).with_index(3));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and casts saturate")]
    let most = limit.map_or(usize::MAX, |limit| limit.ceil() as usize);
    let mut parts: Vec<&str> = Vec::new();
    match arguments.get(1) {
        Val::Text(separator) => {
            let most =
                limit.map_or(usize::MAX, |_| if limit.is_some_and(|l| l.fract() != 0.0) { most - 1 } else { most });
            if separator.is_empty() {
                let ends = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]);
                parts.extend(ends.take(most));
            } else {
                parts.extend(text.split(&**separator).take(most));
            }
        }
        Val::Undefined => parts.push(&text),
        matcher => {
            let mut start = 0;
            for found in Matcher::of(matcher).all(machine, &text, limit)? {
                parts.push(&text[start..found.start.max(start)]);
                start = found.end;
            }
            if parts.len() < most {
                parts.push(&text[start..]);
            }
        }
    }
    machine.charge(parts.len() / 8)?;
    let mut items = Vec::with_capacity(parts.len());
    for part in parts {
        items.push(machine.text(part)?);
    }
    machine.plain(items)
}

pub(super) fn replace<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = owned_text(arguments.get(0)) else { return Ok(Val::Undefined) };
    let (pattern, replacement, limit) = (arguments.get(1), arguments.get(2), arguments.number(3));
    if pattern.as_str() == Some("") {
        return Err(Failure::of("D3010", "\"\"".to_owned()).with_index(2));
    }
    if let Some(limit) = limit.filter(|limit| *limit < 0.0) {
        return Err(Failure::of("D3011", number_text(limit)).with_index(4));
    }
    let found = match pattern {
        Val::Text(part) => {
            machine.charge(text.len() / 64)?;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts saturate")]
            let most = limit.map_or(usize::MAX, |limit| limit.ceil() as usize);
            let places = text.match_indices(&**part).take(most);
            places.map(|(at, part)| Found { start: at, end: at + part.len(), groups: Vec::new() }).collect()
        }
        matcher => Matcher::of(matcher).all(machine, &text, limit)?,
    };
    machine.charge(found.len())?;
    let mut result = String::new();
    let mut at = 0;
    for one in found {
        result.push_str(&text[at..one.start.max(at)]);
        match (pattern, replacement) {
            (Val::Text(_), Val::Text(replacement)) => result.push_str(replacement),
            (_, Val::Text(replacement)) => substitute(replacement, &text[one.start..one.end], &one.groups, &mut result),
            (_, function) => {
                let start = utf16_length(&text[..one.start]);
                let whole = machine.text(&text[one.start..one.end])?;
                let groups = groups(machine, &one)?;
                let described = Val::object(Members::from_iter([
                    ("match".into(), whole),
                    ("start".into(), Val::count(start)),
                    ("end".into(), Val::count(start + utf16_length(&text[one.start..one.end]))),
                    ("groups".into(), groups),
                ]))?;
                let with = machine.apply(function, vec![described], &Val::Null)?;
                match with.as_str() {
                    Some(with) => result.push_str(with),
                    None => return Err(Failure::of("D3012", with.shown())),
                }
            }
        }
        at = one.end.max(at);
        if result.len() > crate::value::MAX_BYTES {
            return Err(Failure::too_large());
        }
    }
    result.push_str(&text[at..]);
    machine.text(result)
}

/// A replacement with `$0`, `$1` … and `$$`; of two digits the second counts only if there are so many groups.
fn substitute(replacement: &str, whole: &str, groups: &[Option<String>], result: &mut String) {
    let mut rest = replacement;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            result.push('$');
            rest = after;
            continue;
        }
        if let Some(after) = rest.strip_prefix('0') {
            result.push_str(whole);
            rest = after;
            continue;
        }
        let most = if groups.is_empty() { 1 } else { groups.len().to_string().len() };
        let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let index = |digits: usize| rest[..digits].parse::<usize>().ok();
        let mut taken = digits;
        if most > 1 && index(digits).is_some_and(|index| index > groups.len()) {
            taken = digits.min(most - 1);
        }
        match index(taken) {
            Some(index) => {
                if let Some(Some(group)) = index.checked_sub(1).and_then(|index| groups.get(index)) {
                    result.push_str(group);
                }
                rest = &rest[index.to_string().len().min(rest.len())..];
            }
            None => result.push('$'),
        }
    }
    result.push_str(rest);
}

// Encodings.

pub(super) fn base64_encode<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    mapped(machine, arguments, |text| STANDARD.encode(text))
}

pub(super) fn base64_decode<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 64)?;
    let bytes =
        STANDARD.decode(text).map_err(|_| Failure::saying("", "The argument of $base64decode is not valid Base64"))?;
    machine.text(String::from_utf8_lossy(&bytes).into_owned())
}

fn encoded(text: &str, kept: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || kept.contains(c) {
            result.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                result.push('%');
                result.push_str(&hex::encode_upper([byte]));
            }
        }
    }
    result
}

pub(super) fn encode_url_component<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
    _: &Val<'a>,
) -> Result<Val<'a>> {
    mapped(machine, arguments, |text| encoded(text, "-_.!~*'()"))
}

pub(super) fn encode_url<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    mapped(machine, arguments, |text| encoded(text, "-_.!~*'();/?:@&=+$,#"))
}

pub(super) fn decode_url_component<'a>(
    machine: &mut Machine<'a>,
    arguments: &Arguments<'a>,
    _: &Val<'a>,
) -> Result<Val<'a>> {
    decode(machine, arguments, "", "decodeUrlComponent")
}

pub(super) fn decode_url<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    decode(machine, arguments, ";/?:@&=+$,#", "decodeUrl")
}

fn decode<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, kept: &str, name: &str) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 64)?;
    match decoded(text, kept) {
        Some(decoded) => machine.text(decoded),
        None => Err(Failure::of("D3140", arguments.get(0).shown()).with_token(name)),
    }
}

/// Percent codes read back, but for those that stand for a kept character.
fn decoded(text: &str, kept: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut result = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'%' {
            result.push(bytes[at]);
            at += 1;
            continue;
        }
        let code = bytes.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok())?;
        let byte = u8::from_str_radix(code, 16).ok().filter(|_| !code.starts_with('+'))?;
        if kept.contains(char::from(byte)) && byte.is_ascii() {
            result.extend_from_slice(&bytes[at..at + 3]);
        } else {
            result.push(byte);
        }
        at += 3;
    }
    String::from_utf8(result).ok()
}
