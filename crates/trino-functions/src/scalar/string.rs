//! Text functions; positions count characters from 1.

use super::Row;
use crate::call::{Call, Kernel::Nullable, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::text::to_text;
use crate::types::Type;
use crate::value::Value;

/// White space that `trim` takes, after Java's `Character.isWhitespace`.
fn is_space(c: char) -> bool {
    matches!(c, '\u{9}'..='\u{d}' | '\u{1c}'..='\u{20}' | '\u{1680}' | '\u{2000}'..='\u{2006}' | '\u{2008}'..='\u{200a}'
        | '\u{2028}' | '\u{2029}' | '\u{205f}' | '\u{3000}')
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
    Both,
}

fn trim(a: &[Value], side: Side) -> Value {
    let text = a[0].as_str();
    let set: Option<Vec<char>> = a.get(1).map(|set| set.as_str().chars().collect());
    let out = |c: char| set.as_ref().map_or_else(|| is_space(c), |set| set.contains(&c));
    match side {
        Side::Left => text.trim_start_matches(out),
        Side::Right => text.trim_end_matches(out),
        Side::Both => text.trim_matches(out),
    }
    .into()
}

/// The characters from a position on, negative from the end; so many, if it is said.
fn substr<T: Clone>(all: &[T], start: i64, length: Option<i64>) -> &[T] {
    let count = all.len() as i64;
    let from = match start {
        1.. => start - 1,
        0 => return &[],
        _ => count + start,
    };
    if from < 0 || from >= count || length.is_some_and(|n| n <= 0) {
        return &[];
    }
    let to = length.map_or(count, |n| from.saturating_add(n).min(count));
    &all[from as usize..to as usize]
}

const SUBSTR: Rows = |call, a| {
    let length = a.get(2).map(Value::as_int);
    Ok(match &a[0] {
        Value::Bytes(bytes) => Value::Bytes(substr(bytes, a[1].as_int(), length).to_vec()),
        value => {
            let text = to_text(value, &call.params[0]);
            if text.is_ascii() {
                let bytes = substr(text.as_bytes(), a[1].as_int(), length);
                return Ok(String::from_utf8_lossy(bytes).into_owned().into());
            }
            let chars: Vec<char> = text.chars().collect();
            Value::Str(substr(&chars, a[1].as_int(), length).iter().collect())
        }
    })
};

const LENGTH: Rows = |call, a| {
    Ok(Value::Int(match (&a[0], &call.params[0]) {
        (_, Type::Char(n)) => i64::from(*n),
        (Value::Bytes(bytes), _) => bytes.len() as i64,
        (value, _) => value.as_str().chars().count() as i64,
    }))
};

/// One character at a time, as Java maps code points.
fn mapped(text: &str, map: fn(char) -> Option<char>) -> Value {
    Value::Str(text.chars().map(|c| map(c).unwrap_or(c)).collect())
}

fn single(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_some() { None } else { first }
}

const LOWER: Rows = |_, a| Ok(mapped(a[0].as_str(), |c| if c == 'İ' { Some('i') } else { single(c.to_lowercase()) }));
const UPPER: Rows = |_, a| Ok(mapped(a[0].as_str(), |c| single(c.to_uppercase())));

fn pad(a: &[Value], left: bool) -> Result<Value> {
    let length = a[1].as_int();
    if !(0..=i64::from(i32::MAX)).contains(&length) {
        return Err(Error::argument("Target length must be in the range [0..2147483647]"));
    }
    let length = length as usize;
    if length > 64 << 20 {
        return Err(Error::argument("calculated result length exceeds the allowed maximum"));
    }
    let filled = |own: Vec<u32>, fill: Vec<u32>| -> Result<Vec<u32>> {
        if fill.is_empty() {
            return Err(Error::argument("Padding string must not be empty"));
        }
        if own.len() >= length {
            return Ok(own[..length].to_vec());
        }
        let padding = fill.iter().cycle().take(length - own.len()).copied();
        Ok(if left {
            padding.chain(own.iter().copied()).collect()
        } else {
            own.iter().copied().chain(padding).collect()
        })
    };
    if let (Value::Bytes(own), Value::Bytes(fill)) = (&a[0], &a[2]) {
        let wide = |bytes: &[u8]| bytes.iter().map(|b| u32::from(*b)).collect();
        let done = filled(wide(own), wide(fill))?;
        return Ok(Value::Bytes(done.into_iter().map(|b| b as u8).collect()));
    }
    let wide = |text: &str| text.chars().map(u32::from).collect();
    let done = filled(wide(a[0].as_str()), wide(a[2].as_str()))?;
    Ok(Value::Str(done.into_iter().filter_map(char::from_u32).collect()))
}

const LPAD: Rows = |_, a| pad(a, true);
const RPAD: Rows = |_, a| pad(a, false);

const CHR: Rows = |_, a| {
    let code = a[0].as_int();
    u32::try_from(code)
        .ok()
        .and_then(char::from_u32)
        .map(|c| c.to_string().into())
        .ok_or_else(|| Error::argument(format!("Not a valid Unicode code point: {code}")))
};

const CODEPOINT: Rows = |_, a| {
    let mut chars = a[0].as_str().chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) => Ok(Value::Int(u32::from(c).into())),
        _ => Err(Error::argument("Input must be a single character string")),
    }
};

const CONCAT_WS: Rows = |_, a| {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let parts: Vec<&str> = match a.get(1) {
        Some(Value::Array(items)) => items.iter().filter(|v| !v.is_null()).map(Value::as_str).collect(),
        _ => a[1..].iter().filter(|v| !v.is_null()).map(Value::as_str).collect(),
    };
    Ok(parts.join(a[0].as_str()).into())
};

const CONCAT_WS_ARRAY: Rows = |call, a| if a[1].is_null() { Ok(Value::Null) } else { CONCAT_WS(call, a) };

const HAMMING: Rows = |_, a| {
    let (x, y): (Vec<char>, Vec<char>) = (a[0].as_str().chars().collect(), a[1].as_str().chars().collect());
    if x.len() != y.len() {
        return Err(Error::argument("The input strings to hamming_distance function must have the same length"));
    }
    Ok(Value::Int(x.iter().zip(&y).filter(|(x, y)| x != y).count() as i64))
};

const LEVENSHTEIN: Rows = |_, a| {
    let (x, y): (Vec<char>, Vec<char>) = (a[0].as_str().chars().collect(), a[1].as_str().chars().collect());
    if x.len().saturating_mul(y.len()) > 1_000_000 {
        return Err(Error::argument(format!(
            "The combined inputs for Levenshtein distance are too large: {} * {}",
            x.len(),
            y.len()
        )));
    }
    let mut row: Vec<usize> = (0..=y.len()).collect();
    for (i, c) in x.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in y.iter().enumerate() {
            let changed = diagonal + usize::from(c != d);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    Ok(Value::Int(row[y.len()] as i64))
};

const REPLACE: Rows = |_, a| {
    let (text, search, with) = (a[0].as_str(), a[1].as_str(), a.get(2).map_or("", Value::as_str));
    Ok(text.replace(search, with).into())
};

const REVERSE: Rows = |_, a| {
    Ok(match &a[0] {
        Value::Bytes(bytes) => Value::Bytes(bytes.iter().rev().copied().collect()),
        Value::Array(items) => Value::Array(items.iter().rev().cloned().collect()),
        value => Value::Str(value.as_str().chars().rev().collect()),
    })
};

const SOUNDEX: Rows = |_, a| {
    let code = |c: char| match c.to_ascii_uppercase() {
        'B' | 'F' | 'P' | 'V' => b'1',
        'C' | 'G' | 'J' | 'K' | 'Q' | 'S' | 'X' | 'Z' => b'2',
        'D' | 'T' => b'3',
        'L' => b'4',
        'M' | 'N' => b'5',
        'R' => b'6',
        // These two do not part equal codes, vowels do.
        'H' | 'W' => b'-',
        _ => b'0',
    };
    let text = a[0].as_str();
    if let Some(other) = text.chars().find(|c| c.is_alphabetic() && !c.is_ascii()) {
        return Err(Error::argument(format!("The character is not mapped: {other} (index={})", u32::from(other))));
    }
    let letters: Vec<char> = text.chars().filter(char::is_ascii_alphabetic).collect();
    let Some(first) = letters.first() else { return Ok("".into()) };
    let mut out = vec![first.to_ascii_uppercase() as u8];
    let mut last = code(*first);
    for c in &letters[1..] {
        let own = code(*c);
        if own == b'-' {
            continue;
        }
        if own != b'0' && own != last {
            out.push(own);
        }
        last = own;
    }
    out.resize(4, b'0');
    Ok(String::from_utf8_lossy(&out).into_owned().into())
};

/// Parts between delimiters; an empty delimiter parts every character.
fn parts<'a>(text: &'a str, delimiter: &str) -> Vec<&'a str> {
    if delimiter.is_empty() {
        return text.char_indices().map(|(i, c)| &text[i..i + c.len_utf8()]).collect();
    }
    text.split(delimiter).collect()
}

const SPLIT: Rows = |_, a| {
    let (text, delimiter) = (a[0].as_str(), a[1].as_str());
    let limit = a.get(2).map_or_else(|| i64::from(i32::MAX), Value::as_int);
    if limit <= 0 {
        return Err(Error::argument("Limit must be positive"));
    }
    if limit > i64::from(i32::MAX) {
        return Err(Error::argument("Limit is too large"));
    }
    if delimiter.is_empty() {
        return Err(Error::argument("The delimiter may not be the empty string"));
    }
    Ok(Value::Array(text.splitn(limit as usize, delimiter).map(Value::from).collect()))
};

const SPLIT_PART: Rows = |_, a| {
    let index = a[2].as_int();
    if index <= 0 {
        return Err(Error::argument("Index must be greater than zero"));
    }
    Ok(parts(a[0].as_str(), a[1].as_str()).get(index as usize - 1).copied().map_or(Value::Null, Value::from))
};

fn pairs(a: &[Value]) -> Result<Vec<(&str, &str)>> {
    let (text, between, inside) = (a[0].as_str(), a[1].as_str(), a[2].as_str());
    if between.is_empty() {
        return Err(Error::argument("entryDelimiter is empty"));
    }
    if inside.is_empty() {
        return Err(Error::argument("keyValueDelimiter is empty"));
    }
    if between == inside {
        return Err(Error::argument("entryDelimiter and keyValueDelimiter must not be the same"));
    }
    let mut entries: Vec<&str> = text.split(between).collect();
    // What stands behind the last delimiter may be nothing.
    if entries.last().is_some_and(|last| last.is_empty()) {
        entries.pop();
    }
    entries
        .into_iter()
        .map(|entry| {
            let mut found = entry.split(inside);
            match (found.next(), found.next(), found.next()) {
                (Some(key), Some(value), None) => Ok((key, value)),
                _ => Err(Error::argument(format!(
                    "Key-value delimiter must appear exactly once in each entry. Bad input: '{entry}'"
                ))),
            }
        })
        .collect()
}

const SPLIT_TO_MAP: Rows = |_, a| {
    let mut map: Vec<(Value, Value)> = Vec::new();
    for (key, value) in pairs(a)? {
        if map.iter().any(|(known, _)| known.as_str() == key) {
            return Err(Error::argument(format!("Duplicate keys ({key}) are not allowed")));
        }
        map.push((key.into(), value.into()));
    }
    Ok(Value::Map(map))
};

const SPLIT_TO_MULTIMAP: Rows = |_, a| {
    let mut map: Vec<(Value, Value)> = Vec::new();
    for (key, value) in pairs(a)? {
        match map.iter_mut().find(|(known, _)| known.as_str() == key) {
            Some((_, Value::Array(items))) => items.push(value.into()),
            _ => map.push((key.into(), Value::Array(vec![value.into()]))),
        }
    }
    Ok(Value::Map(map))
};

const STRPOS: Rows = |_, a| {
    let (text, part) = (a[0].as_str(), a[1].as_str());
    let instance = a.get(2).map_or(1, Value::as_int);
    if instance == 0 {
        return Err(Error::argument("'instance' must not be a positive or negative number."));
    }
    let position = |at: usize| Value::Int(text[..at].chars().count() as i64 + 1);
    if part.is_empty() {
        return Ok(Value::Int(1));
    }
    let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).filter(|at| text[*at..].starts_with(part)).collect();
    let found = if instance > 0 {
        starts.get(instance as usize - 1)
    } else {
        starts.len().checked_sub(instance.unsigned_abs() as usize).and_then(|i| starts.get(i))
    };
    Ok(found.map_or(Value::Int(0), |at| position(*at)))
};

const TRANSLATE: Rows = |_, a| {
    let (from, to): (Vec<char>, Vec<char>) = (a[1].as_str().chars().collect(), a[2].as_str().chars().collect());
    let one = |c: char| match from.iter().position(|f| *f == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    Ok(Value::Str(a[0].as_str().chars().filter_map(one).collect()))
};

const FROM_UTF8: Rows = |_, a| {
    let replacement = match a.get(1) {
        None => "\u{fffd}".to_owned(),
        Some(Value::Int(code)) => u32::try_from(*code)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| Error::argument("Invalid replacement character"))?
            .to_string(),
        Some(text) => {
            if text.as_str().chars().count() > 1 {
                return Err(Error::argument("Replacement character string must empty or a single character"));
            }
            text.as_str().to_owned()
        }
    };
    let mut out = String::new();
    for chunk in a[0].as_bytes().utf8_chunks() {
        out.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push_str(&replacement);
        }
    }
    Ok(out.into())
};

const WORD_STEM: Rows = |_, a| {
    use rust_stemmers::{Algorithm, Stemmer};
    let language = a.get(1).map_or("en", Value::as_str);
    let algorithm = match language {
        "en" => Algorithm::English,
        "da" => Algorithm::Danish,
        "de" => Algorithm::German,
        "es" => Algorithm::Spanish,
        "fi" => Algorithm::Finnish,
        "fr" => Algorithm::French,
        "hu" => Algorithm::Hungarian,
        "it" => Algorithm::Italian,
        "nl" => Algorithm::Dutch,
        "no" => Algorithm::Norwegian,
        "pt" => Algorithm::Portuguese,
        "ro" => Algorithm::Romanian,
        "ru" => Algorithm::Russian,
        "sv" => Algorithm::Swedish,
        "tr" => Algorithm::Turkish,
        "ca" | "eu" | "hy" | "ir" | "lt" => {
            return Err(Error::not_supported(format!("word_stem of the language '{language}' is not supported")));
        }
        other => return Err(Error::argument(format!("Unknown stemmer language: {other}"))),
    };
    Ok(Stemmer::create(algorithm).stem(a[0].as_str()).into_owned().into())
};

const NORMALIZE: Rows = |_, a| {
    use icu_normalizer::{ComposingNormalizerBorrowed as Composing, DecomposingNormalizerBorrowed as Decomposing};
    let text = a[0].as_str();
    Ok(match a.get(1).map_or("NFC", Value::as_str) {
        "NFC" => Composing::new_nfc().normalize(text),
        "NFKC" => Composing::new_nfkc().normalize(text),
        "NFD" => Decomposing::new_nfd().normalize(text),
        "NFKD" => Decomposing::new_nfkd().normalize(text),
        other => {
            return Err(Error::argument(format!("Normalization form must be one of [NFD, NFC, NFKD, NFKC]: {other}")));
        }
    }
    .into_owned()
    .into())
};

const FAIL: Rows = |_, a| Err(Error::new("GENERIC_USER_ERROR", a.last().map_or("", Value::as_str)));

/// Arguments of which the first, a char, has its padding.
fn padded(call: &Call, a: &[Value]) -> Vec<Value> {
    let first = a.iter().zip(&call.params).take(1).map(|(text, ty)| to_text(text, ty).into());
    first.chain(a.iter().skip(1).cloned()).collect()
}

pub(super) const TABLE: &[Row] = &[
    ("chr", "bigint -> varchar(1)", Strict(CHR)),
    ("codepoint", "varchar(1) -> integer", Strict(CODEPOINT)),
    ("concat_ws", "varchar, array(varchar) -> varchar", Nullable(CONCAT_WS_ARRAY)),
    ("concat_ws", "varchar, varchar, varchar... -> varchar", Nullable(CONCAT_WS)),
    ("concat_ws", "varchar, varchar -> varchar", Nullable(CONCAT_WS)),
    ("fail", "varchar -> unknown", Strict(FAIL)),
    ("fail", "integer, varchar -> unknown", Strict(FAIL)),
    ("hamming_distance", "varchar(x), varchar(y) -> bigint", Strict(HAMMING)),
    ("levenshtein_distance", "varchar(x), varchar(y) -> bigint", Strict(LEVENSHTEIN)),
    ("length", "char(x) -> bigint", Strict(LENGTH)),
    ("length", "varchar(x) -> bigint", Strict(LENGTH)),
    ("length", "varbinary -> bigint", Strict(LENGTH)),
    ("lower", "char(x) -> char(x)", Strict(LOWER)),
    ("lower", "varchar(x) -> varchar(x)", Strict(LOWER)),
    ("upper", "char(x) -> char(x)", Strict(UPPER)),
    ("upper", "varchar(x) -> varchar(x)", Strict(UPPER)),
    ("lpad", "char(x), bigint, varchar(y) -> varchar", Strict(|call, a| LPAD(call, &padded(call, a)))),
    ("lpad", "varchar(x), bigint, varchar(y) -> varchar", Strict(LPAD)),
    ("lpad", "varbinary, bigint, varbinary -> varbinary", Strict(LPAD)),
    ("rpad", "varchar(x), bigint, varchar(y) -> varchar", Strict(RPAD)),
    ("rpad", "varbinary, bigint, varbinary -> varbinary", Strict(RPAD)),
    ("ltrim", "char(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Left)))),
    ("rtrim", "char(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Right)))),
    ("trim", "char(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Both)))),
    ("ltrim", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Left)))),
    ("ltrim", "varchar(x), char(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Left)))),
    ("ltrim", "varchar(x), varchar(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Left)))),
    ("rtrim", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Right)))),
    ("rtrim", "varchar(x), char(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Right)))),
    ("rtrim", "varchar(x), varchar(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Right)))),
    ("trim", "varchar(x) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Both)))),
    ("trim", "varchar(x), char(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Both)))),
    ("trim", "varchar(x), varchar(y) -> varchar(x)", Strict(|_, a| Ok(trim(a, Side::Both)))),
    ("normalize", "varchar(x) -> varchar", Strict(NORMALIZE)),
    ("normalize", "varchar(x), varchar(y) -> varchar", Strict(NORMALIZE)),
    ("reverse", "char(x) -> char(x)", Strict(|call, a| REVERSE(call, &padded(call, a)))),
    ("reverse", "varchar(x) -> varchar(x)", Strict(REVERSE)),
    ("reverse", "varbinary -> varbinary", Strict(REVERSE)),
    ("reverse", "array(E) -> array(E)", Strict(REVERSE)),
    ("soundex", "varchar -> varchar(4)", Strict(SOUNDEX)),
    ("split", "varchar(x), varchar(y) -> array(varchar(x))", Strict(SPLIT)),
    ("split", "varchar(x), varchar(y), bigint -> array(varchar(x))", Strict(SPLIT)),
    ("split_part", "varchar(x), varchar(y), bigint -> varchar(x)", Strict(SPLIT_PART)),
    ("split_to_map", "varchar, varchar, varchar -> map(varchar, varchar)", Strict(SPLIT_TO_MAP)),
    ("split_to_multimap", "varchar, varchar, varchar -> map(varchar, array(varchar))", Strict(SPLIT_TO_MULTIMAP)),
    (
        "starts_with",
        "varchar(x), varchar(y) -> boolean",
        Strict(|_, a| Ok(a[0].as_str().starts_with(a[1].as_str()).into())),
    ),
    ("strpos", "varchar(x), varchar(y) -> bigint", Strict(STRPOS)),
    ("strpos", "varchar(x), varchar(y), bigint -> bigint", Strict(STRPOS)),
    ("substr", "char(x), bigint -> varchar(x)", Strict(SUBSTR)),
    ("substr", "char(x), bigint, bigint -> varchar(x)", Strict(SUBSTR)),
    ("substr", "varchar(x), bigint -> varchar(x)", Strict(SUBSTR)),
    ("substr", "varchar(x), bigint, bigint -> varchar(x)", Strict(SUBSTR)),
    ("substr", "varbinary, bigint -> varbinary", Strict(SUBSTR)),
    ("substr", "varbinary, bigint, bigint -> varbinary", Strict(SUBSTR)),
    ("substring", "char(x), bigint -> char(x)", Strict(SUBSTR)),
    ("substring", "char(x), bigint, bigint -> char(x)", Strict(SUBSTR)),
    ("substring", "varchar(x), bigint -> varchar(x)", Strict(SUBSTR)),
    ("substring", "varchar(x), bigint, bigint -> varchar(x)", Strict(SUBSTR)),
    ("to_utf8", "char(x) -> varbinary", Strict(|call, a| Ok(to_text(&a[0], &call.params[0]).into_bytes().into()))),
    ("to_utf8", "varchar(x) -> varbinary", Strict(|_, a| Ok(a[0].as_bytes().to_vec().into()))),
    ("from_utf8", "varbinary -> varchar", Strict(FROM_UTF8)),
    ("from_utf8", "varbinary, bigint -> varchar", Strict(FROM_UTF8)),
    ("from_utf8", "varbinary, varchar(x) -> varchar", Strict(FROM_UTF8)),
    ("translate", "varchar(x), varchar(y), varchar(z) -> varchar", Strict(TRANSLATE)),
    ("word_stem", "varchar(x) -> varchar(x)", Strict(WORD_STEM)),
    ("word_stem", "varchar(x), varchar(2) -> varchar(x)", Strict(WORD_STEM)),
];

/// The length of what `replace` may give, as Trino reckons it.
pub(super) fn replaced_length(x: u32, z: u32) -> u32 {
    let (x, z) = (u64::from(x), u64::from(z));
    (x + (x + 1) * z).min(i32::MAX as u64) as u32
}

/// `replace`, whose result's length is reckoned from its arguments'.
pub(super) fn replace(types: &[Type]) -> Option<Call> {
    let length = |ty: &Type| match ty {
        Type::Varchar(n) => Some(*n),
        // The length of three is reckoned, for which Trino finds no coercion.
        Type::Char(n) if types.len() == 2 => Some(Some(*n)),
        Type::Unknown => Some(Some(0)),
        _ => None,
    };
    let lengths: Vec<Option<u32>> = types.iter().map(length).collect::<Option<_>>()?;
    let bounds: Option<Vec<u32>> = lengths.iter().copied().collect();
    let returns = match (lengths.len(), bounds.as_deref()) {
        (2, _) => Type::Varchar(lengths[0]),
        (3, Some([x, _, z])) => Type::Varchar(Some(replaced_length(*x, *z))),
        (3, _) => Type::Varchar(None),
        _ => return None,
    };
    let params = lengths.into_iter().map(Type::Varchar).collect();
    Some(Call { name: "replace", params, returns, kernel: Strict(REPLACE) })
}
