//! Holds results against recordings, in which run-specific text is replaced: by `<…>`, by words, by `timestamp`.

use std::cmp::Ordering;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

/// Words that stand for run-specific text.
const WORDS: &str = r"<[A-Za-z][A-Za-z0-9_\-]*(?::\d+)?>|111111111111|(?:snf_role_arn|sfn_role_arn|generated-uuid|lambda-function-name)(?:_t?\d+)?|\bdate\b|\btimestamp\b";
/// Texts that stand for any value.
const ANY: &[&str] = &[
    "timestamp",
    "datetime",
    "date",
    "time",
    "json-input",
    "entered-time",
    "start-time",
    "state-entered-time",
    "execution-start-time",
    "RandomNumberGenerated",
    "RandomNumberGeneratedLength",
];
const IGNORED: &[&str] = &["redriveCount", "redriveStatus"];

pub(crate) fn compare(wanted: &Value, got: &Value, at: &str) -> Result<(), String> {
    let parsed;
    let got = match (wanted, got) {
        (Value::Object(_) | Value::Array(_), Value::String(text)) => {
            parsed = serde_json::from_str(text).unwrap_or_else(|_| got.clone());
            &parsed
        }
        _ => got,
    };
    match (wanted, got) {
        (Value::String(wanted), _) if ANY.contains(&wanted.as_str()) => Ok(()),
        (Value::Object(wanted), Value::Object(got)) => {
            for (name, wanted) in wanted.iter().filter(|(name, _)| !IGNORED.contains(&name.as_str())) {
                let got = got.get(name).ok_or_else(|| format!("{at}.{name}: missing, want {wanted}"))?;
                compare(wanted, got, &format!("{at}.{name}"))?;
            }
            match got.keys().find(|name| !wanted.contains_key(*name) && !IGNORED.contains(&name.as_str())) {
                Some(name) => Err(format!("{at}: unexpected {name}")),
                None => Ok(()),
            }
        }
        (Value::Array(wanted), Value::Array(got)) if wanted.len() == got.len() => wanted
            .iter()
            .zip(got)
            .enumerate()
            .try_for_each(|(index, (wanted, got))| compare(wanted, got, &format!("{at}[{index}]"))),
        (Value::String(wanted), Value::String(got)) if matches(wanted, got) => Ok(()),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => Ok(()),
        (wanted, got) if wanted == got => Ok(()),
        (wanted, got) => Err(format!("{at}: want {wanted}\n      got {got}")),
    }
}

fn matches(wanted: &str, got: &str) -> bool {
    static WORDS_IN: LazyLock<Regex> = LazyLock::new(|| Regex::new(WORDS).expect("a constant pattern"));
    if wanted == got || !WORDS_IN.is_match(wanted) {
        return wanted == got;
    }
    let (mut pattern, mut at) = (String::from("(?s)^"), 0);
    for word in WORDS_IN.find_iter(wanted) {
        pattern += &regex::escape(&wanted[at..word.start()]);
        pattern += "(.+?)";
        at = word.end();
    }
    pattern += &regex::escape(&wanted[at..]);
    Regex::new(&(pattern + "$")).expect("an escaped pattern").is_match(got)
}

/// For machines whose events may come in any order: each event once, whatever its number.
pub(crate) fn compare_unordered(wanted: &[Value], got: &[Value]) -> Result<(), String> {
    let plain = |events: &[Value]| {
        let mut events = events.to_vec();
        for event in events.iter_mut().filter_map(Value::as_object_mut) {
            event.remove("id");
            event.remove("previousEventId");
        }
        events
    };
    let (wanted, mut left) = (plain(wanted), plain(got));
    for event in &wanted {
        let found = left.iter().position(|other| compare(event, other, "").is_ok());
        let found = found.ok_or_else(|| format!("no event like {event}; {left:?}"))?;
        left.remove(found);
    }
    match left.len().cmp(&0) {
        Ordering::Equal => Ok(()),
        _ => Err(format!("more than was recorded: {left:?}")),
    }
}
