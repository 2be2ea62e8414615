//! JSON: one value after another, on a line each or not; broken lines are stepped over.

use serde_json::Value;

use super::jsonpath::JsonPath;
use super::sample::Sample;
use super::schema::{FileSchema, Format};
use super::types::HiveType;

pub(super) enum Verdict {
    Json(FileSchema),
    /// The sample ends before the first record does.
    NeedMore,
    No,
}

pub(super) fn classify(sample: &Sample, path: Option<&JsonPath>) -> Verdict {
    let data = sample.data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sample.data);
    if !matches!(data.iter().find(|b| !b.is_ascii_whitespace()), Some(b'{' | b'[')) {
        return Verdict::No;
    }
    let read = values(data, sample.complete);
    if read.values.is_empty() {
        return if sample.complete || read.broken > 0 { Verdict::No } else { Verdict::NeedMore };
    }
    if read.broken > read.values.len() {
        return Verdict::No;
    }
    let mut fields = Vec::new();
    let mut records = 0;
    for value in &read.values {
        match path {
            Some(path) => {
                for record in path.select(value) {
                    records += u64::from(see(&mut fields, record));
                }
            }
            None => records += u64::from(see(&mut fields, value)),
        }
    }
    if fields.is_empty() {
        return Verdict::No;
    }
    let stored = if sample.complete || data.is_empty() {
        sample.stored
    } else {
        sample.stored * read.end as u64 / data.len() as u64
    };
    Verdict::Json(FileSchema {
        format: Format::Json { keys: fields.iter().map(|(name, _)| name.clone()).collect() },
        compression: sample.compression,
        columns: lower(fields),
        records,
        bytes: stored.max(1),
        first_row: None,
    })
}

struct Read {
    values: Vec<Value>,
    broken: usize,
    /// Bytes up to the end of the last whole value.
    end: usize,
}

fn values(data: &[u8], complete: bool) -> Read {
    let mut read = Read { values: Vec::new(), broken: 0, end: 0 };
    let mut from = 0;
    while from < data.len() {
        let mut stream = serde_json::Deserializer::from_slice(&data[from..]).into_iter::<Value>();
        let failed = loop {
            match stream.next() {
                Some(Ok(value)) => {
                    read.values.push(value);
                    read.end = from + stream.byte_offset();
                }
                Some(Err(error)) => break Some(error),
                None => break None,
            }
        };
        let Some(error) = failed else { break };
        if error.is_eof() && !complete {
            break;
        }
        read.broken += 1;
        // Go on behind the line on which the broken value began.
        let begin = data[read.end.max(from)..].iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
        let begin = read.end.max(from) + begin;
        match data[begin..].iter().position(|b| *b == b'\n') {
            Some(line) => from = begin + line + 1,
            None => break,
        }
        read.end = from;
    }
    read
}

/// Adds one record; a list at the top is the single column `array`, as the built-in classifier has it.
fn see(fields: &mut Vec<(String, HiveType)>, value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                add(fields, name, infer(member));
            }
            true
        }
        Value::Array(_) => {
            add(fields, "array", infer(value));
            true
        }
        _ => false,
    }
}

fn add(fields: &mut Vec<(String, HiveType)>, name: &str, ty: HiveType) {
    match fields.iter_mut().find(|(n, _)| n == name) {
        Some((_, seen)) if *seen == ty => {}
        Some((_, seen)) => *seen = std::mem::replace(seen, HiveType::Unknown).merge(ty),
        None => fields.push((name.to_owned(), ty)),
    }
}

fn infer(value: &Value) -> HiveType {
    match value {
        Value::Null => HiveType::Unknown,
        Value::Bool(_) => HiveType::Boolean,
        Value::Number(number) => match number.as_i64() {
            Some(n) if i32::try_from(n).is_ok() => HiveType::Int,
            Some(_) => HiveType::BigInt,
            None => HiveType::Double,
        },
        Value::String(_) => HiveType::String,
        Value::Array(items) => {
            let of = items.iter().map(infer).fold(HiveType::Unknown, HiveType::merge);
            HiveType::Array(Box::new(of))
        }
        Value::Object(members) => {
            let mut fields = Vec::new();
            for (name, member) in members {
                add(&mut fields, name, infer(member));
            }
            HiveType::Struct(fields)
        }
    }
}

/// Column names are lower case; keys that differ in case only are one column.
fn lower(fields: Vec<(String, HiveType)>) -> Vec<(String, HiveType)> {
    let mut out = Vec::with_capacity(fields.len());
    for (name, ty) in fields {
        add(&mut out, &name.to_lowercase(), ty);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::jsonpath::JsonPath;
    use super::super::sample::decode;
    use super::super::schema::Format;
    use super::{Verdict, classify};

    fn show(text: &str, path: Option<&str>, complete: bool) -> String {
        let path = path.map(|p| JsonPath::parse(p).unwrap());
        let sample = decode(text.as_bytes(), complete, 1 << 20).unwrap();
        match classify(&sample, path.as_ref()) {
            Verdict::No => "no".into(),
            Verdict::NeedMore => "more".into(),
            Verdict::Json(schema) => {
                let columns: Vec<String> = schema.columns.iter().map(|(n, t)| format!("{n}:{t}")).collect();
                let Format::Json { keys } = schema.format else { return "not json".into() };
                format!("{} [{}] x{}", columns.join(","), keys.join(","), schema.records)
            }
        }
    }

    #[test]
    fn infers_records() {
        for (text, want) in [
            ("{\"A\":1,\"b\":\"x\"}\n{\"A\":3000000000}\n", "a:bigint,b:string [A,b] x2"),
            ("{\"a\":1}{\"a\":1.5}", "a:double [a] x2"),
            ("{\n \"a\": {\"X\": [1, null]},\n \"n\": null\n}", "a:struct<x:array<int>>,n:string [a,n] x1"),
            ("{\"a\":true}\n{\"a\":\"x\"}", "a:string [a] x2"),
            ("[{\"a\":1},{\"a\":2,\"b\":\"c\"}]", "array:array<struct<a:int,b:string>> [array] x1"),
            ("{\"a\":1}\n{broken\n{\"a\":2}\n", "a:int [a] x2"),
            ("{broken\n{\"a\":2}\n{\"a\":2}\n", "a:int [a] x2"),
            ("{broken\n{\"a\":", "no"),
            ("{}", "no"),
            ("hello", "no"),
            ("", "no"),
            ("1\n2\n", "no"),
        ] {
            assert_eq!(show(text, None, true), want, "{text:?}");
        }
    }

    #[test]
    fn a_record_longer_than_the_sample_asks_for_more() {
        assert_eq!(show("{\"a\": [1, 2, ", None, false), "more");
        assert_eq!(show("{\"a\": 1}\n{\"a\": [1, 2, ", None, false), "a:int [a] x1");
    }

    #[test]
    fn a_custom_path_chooses_the_records() {
        assert_eq!(show("[{\"a\":1},{\"a\":2}]", Some("$[*]"), true), "a:int [a] x2");
        assert_eq!(show("{\"items\":[{\"a\":1},{\"b\":2}]}", Some("$.items[*]"), true), "a:int,b:int [a,b] x2");
    }
}
