//! The commands, one after the other, over the rows that are left.

use std::collections::BTreeMap;

use regex::Regex;

use super::eval::value;
use super::parse::{Column, Command, Counted, Expression, Query};
use super::value::Value;

/// An event, or what commands have made of several.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    fields: BTreeMap<String, Value>,
}

impl Row {
    pub(super) fn get(&self, name: &str) -> Value {
        self.fields.get(name).cloned().unwrap_or(Value::Null)
    }

    /// The column that was made of an expression that is written so.
    pub(super) fn made(&self, written: &str) -> Option<Value> {
        self.fields.get(written).cloned()
    }

    fn time(&self) -> i64 {
        if let Value::Time(ms) = self.get("@timestamp") { ms } else { 0 }
    }
}

impl From<BTreeMap<String, Value>> for Row {
    fn from(fields: BTreeMap<String, Value>) -> Self {
        Self { fields }
    }
}

/// The rows that a query has found, each a list of names and texts, and how many events its filters let through.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) rows: Vec<Vec<(String, String)>>,
    pub(crate) matched: usize,
}

impl Query {
    /// Runs over the events of its time; `most` rows where it does not say how many.
    pub(crate) fn run(&self, mut rows: Vec<Row>, most: usize, now_ms: i64) -> Found {
        // The latest come first where nothing is said.
        rows.sort_by_key(|row| std::cmp::Reverse(row.time()));
        let mut shown: Option<Vec<String>> = None;
        let mut matched = rows.len();
        let (mut counted, mut limited) = (false, false);
        for command in &self.commands {
            match command {
                Command::Fields(columns) => {
                    let names = add(&mut rows, columns, now_ms);
                    shown.get_or_insert_default().extend(names);
                }
                Command::Display(columns) => shown = Some(add(&mut rows, columns, now_ms)),
                Command::Filter(holds) => {
                    rows.retain(|row| value(holds, row, now_ms).is_true());
                    if !counted {
                        matched = rows.len();
                    }
                }
                Command::Parse(of, pattern, names) => take_apart(&mut rows, of, (pattern, names), now_ms),
                Command::Stats(what, by) => {
                    rows = stats(&rows, what, by, now_ms);
                    shown =
                        Some(by.iter().map(|c| c.name.clone()).chain(what.iter().map(|c| c.name.clone())).collect());
                    counted = true;
                }
                Command::Sort(by) => rows.sort_by(|a, b| {
                    let mut orders = by.iter().map(|(of, greatest_first)| {
                        let order = value(of, a, now_ms).natural(&value(of, b, now_ms));
                        if *greatest_first { order.reverse() } else { order }
                    });
                    orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
                }),
                Command::Limit(n) => {
                    rows.truncate(*n);
                    limited = true;
                }
                Command::Dedup(by) => {
                    let mut seen = std::collections::BTreeSet::new();
                    rows.retain(|row| {
                        let key: Vec<_> = by.iter().map(|c| value(&c.value, row, now_ms).told()).collect();
                        // What has none of the fields stays. Source: "dedup".
                        key.iter().any(Option::is_none) || seen.insert(key)
                    });
                }
            }
        }
        if !limited {
            rows.truncate(most);
        }
        let mut shown = shown.unwrap_or_else(|| vec!["@timestamp".to_owned(), "@message".to_owned()]);
        if !counted {
            shown.push("@ptr".to_owned());
        }
        let mut unique: Vec<String> = Vec::new();
        for name in shown {
            if !unique.contains(&name) {
                unique.push(name);
            }
        }
        let told = |row: Row| {
            let of = |name: &String| Some((name.clone(), row.get(name).told()?));
            unique.iter().filter_map(of).collect::<Vec<_>>()
        };
        Found { rows: rows.into_iter().map(told).collect(), matched }
    }
}

/// Adds what a pattern finds in a text to each row.
fn take_apart(rows: &mut [Row], of: &Expression, (pattern, names): (&Regex, &[String]), now_ms: i64) {
    let by_name = pattern.capture_names().flatten().next().is_some();
    for row in rows {
        let Some(text) = value(of, row, now_ms).told() else { continue };
        let Some(groups) = pattern.captures(&text) else { continue };
        for (n, name) in names.iter().enumerate() {
            let group = if by_name { groups.name(name) } else { groups.get(n + 1) };
            if let Some(group) = group {
                row.fields.insert(name.clone(), Value::Text(group.as_str().to_owned()));
            }
        }
    }
}

/// Adds columns to each row; their names.
fn add(rows: &mut [Row], columns: &[Column], now_ms: i64) -> Vec<String> {
    for row in rows {
        for column in columns {
            let made = value(&column.value, row, now_ms);
            row.fields.insert(column.name.clone(), made);
        }
    }
    columns.iter().map(|column| column.name.clone()).collect()
}

fn stats(rows: &[Row], what: &[Counted], by: &[Column], now_ms: i64) -> Vec<Row> {
    let mut places: BTreeMap<Vec<Option<String>>, usize> = BTreeMap::new();
    let mut groups: Vec<(Vec<Value>, Vec<&Row>)> = Vec::new();
    for row in rows {
        let values: Vec<Value> = by.iter().map(|column| value(&column.value, row, now_ms)).collect();
        let key = values.iter().map(Value::told).collect();
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((values, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row);
    }
    if groups.is_empty() && by.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    let row = |(values, members): (Vec<Value>, Vec<&Row>)| {
        let mut fields: BTreeMap<String, Value> = BTreeMap::new();
        for (column, value) in by.iter().zip(values) {
            fields.insert(column.name.clone(), value);
        }
        for one in what {
            let of = |row: &&Row| (row.time(), one.of.as_ref().map_or(Value::Truth(true), |of| value(of, row, now_ms)));
            let values: Vec<(i64, Value)> = members.iter().map(of).filter(|(_, value)| *value != Value::Null).collect();
            fields.insert(one.name.clone(), one.aggregate.of(&values, one.percent));
        }
        Row { fields }
    };
    groups.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;
    use crate::logs::Event;

    fn rows(messages: &[&str]) -> Vec<Row> {
        let event = |(n, message): (usize, &&str)| Event {
            stream: format!("s{}", n % 2),
            time_ms: 1_000_000_000_000 + i64::try_from(n).unwrap() * 60_000,
            ingested_ms: 1_000_000_000_000,
            message: (*message).to_owned(),
            id: n.to_string(),
        };
        let of = |event: Event| Row::from(fields::of(&event, "1:g", event.id.clone()));
        messages.iter().enumerate().map(event).map(of).collect()
    }

    /// Each row as `name=value name=value`, without pointers.
    fn check(query: &str, messages: &[&str]) -> Vec<String> {
        let found = Query::parse(query).unwrap().run(rows(messages), 10_000, 0);
        let row = |row: Vec<(String, String)>| {
            let fields =
                row.into_iter().filter(|(name, _)| name != "@ptr").map(|(name, value)| format!("{name}={value}"));
            fields.collect::<Vec<_>>().join(" ")
        };
        found.rows.into_iter().map(row).collect()
    }

    const JSON: [&str; 4] = [
        r#"{"level":"INFO","ms":10,"user":{"id":"a"},"tags":["x","y"]}"#,
        r#"{"level":"ERROR","ms":30,"user":{"id":"b"}}"#,
        r#"{"level":"INFO","ms":20.5,"user":{"id":"a"}}"#,
        "plain text 7",
    ];

    #[test]
    fn events_and_fields() {
        assert_eq!(check("", &["a", "b"])[0], "@timestamp=2001-09-09 01:47:40.000 @message=b");
        assert_eq!(
            check("fields level, ms * 2 as double | filter level = 'INFO'", &JSON),
            ["level=INFO double=41", "level=INFO double=20"]
        );
        assert_eq!(check("fields tags.1 | filter ispresent(tags.0)", &JSON), ["tags.1=y"]);
        assert_eq!(check("filter @message like /text \\d/ | display @message", &JSON), ["@message=plain text 7"]);
        assert_eq!(
            check("filter @message not like 'level' | display strlen(@message)", &JSON),
            ["strlen(@message)=12"]
        );
        assert_eq!(check("filter user.id in ['b', 'c'] | display ms", &JSON), ["ms=30"]);
        assert_eq!(
            check(
                "fields ms | filter ms >= 20 and not (level = \"ERROR\") or ms < 11 | sort ms asc | display ms",
                &JSON
            ),
            ["ms=10", "ms=20.5"]
        );
        assert_eq!(check("sort ms desc | limit 2 | display ms", &JSON), ["ms=30", "ms=20.5"]);
        assert_eq!(check("dedup level | display level, ms", &JSON), ["", "level=INFO ms=20.5", "level=ERROR ms=30"]);
    }

    #[test]
    fn statistics() {
        assert_eq!(
            check("stats count(*) as n, avg(ms), max(ms) by level | sort n desc", &JSON[..3]),
            ["level=INFO n=2 avg(ms)=15.25 max(ms)=20.5", "level=ERROR n=1 avg(ms)=30 max(ms)=30",]
        );
        assert_eq!(
            check("stats count(ms), count_distinct(level), pct(ms, 50), sum(ms), stddev(ms)", &JSON),
            ["count(ms)=3 count_distinct(level)=2 pct(ms, 50)=20.5 sum(ms)=60.5 stddev(ms)=8.1684"]
        );
        assert_eq!(
            check("stats count(*) by bin(2m) | sort bin(2m) asc", &JSON),
            ["bin(2m)=2001-09-09 01:46:00.000 count(*)=2", "bin(2m)=2001-09-09 01:48:00.000 count(*)=2",]
        );
        assert_eq!(
            check("stats latest(ms) as l, earliest(ms) as e, min(ms) | fields l - e as d", &JSON),
            ["l=20.5 e=10 min(ms)=10 d=10.5"]
        );
        assert_eq!(check("filter ms > 1000 | stats count(*)", &JSON), ["count(*)=0"]);
        assert_eq!(check("stats count(*) as n by level | stats max(n) as most", &JSON[..3]), ["most=2"]);
    }

    #[test]
    fn ids_are_not_rounded() {
        let ids = ["1234567890123456788", "1234567890123456789", "1234567890123456790"];
        let events = ids.map(|id| format!(r#"{{"id":{id},"text":"{id}"}}"#));
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let found = |condition: &str| check(&format!("filter {condition} | sort id asc | display id"), &events);
        for field in ["id", "text"] {
            for literal in [ids[1].to_owned(), format!("'{}'", ids[1])] {
                assert_eq!(found(&format!("{field} = {literal}")), [format!("id={}", ids[1])], "{field} {literal}");
                assert_eq!(found(&format!("{field} in [{literal}]")), [format!("id={}", ids[1])]);
                assert_eq!(found(&format!("{field} != {literal}")).len(), 2, "{field} {literal}");
                assert_eq!(found(&format!("{field} > {literal}")), [format!("id={}", ids[2])]);
            }
        }
        assert_eq!(found("id > 1"), ids.map(|id| format!("id={id}")), "in their order");
        let texts = [r#"{"a":"007"}"#, r#"{"a":7}"#, r#"{"a":"7.0"}"#];
        assert_eq!(check("filter a = '7' | display a", &texts), ["a=7"]);
        assert_eq!(check("filter a = 7 | sort @timestamp asc | display a", &texts), ["a=007", "a=7", "a=7.0"]);
    }

    #[test]
    fn natural_order() {
        let texts = ["A", "111A", "2", "*%04", "10", "5A", "a12", "0#", "1", "2345_", "@"];
        let found = check("sort @message asc | display @message as m", &texts);
        let found: Vec<&str> = found.iter().map(|row| row.trim_start_matches("m=")).collect();
        assert_eq!(found, ["*%04", "0#", "5A", "111A", "2345_", "@", "A", "a12", "1", "2", "10"]);
    }

    #[test]
    fn parts_of_texts() {
        let lines = ["GET /a took 12ms", "PUT /b took 7ms", "other"];
        assert_eq!(
            check(
                "parse @message \"* * took *ms\" as verb, path, ms | filter ispresent(verb) | display verb, path, ms",
                &lines
            ),
            ["verb=PUT path=/b ms=7", "verb=GET path=/a ms=12",]
        );
        assert_eq!(check("parse @message /took (?<ms>\\d+)/ | stats sum(ms)", &lines), ["sum(ms)=19"]);
        assert_eq!(check("parse 'took *' as rest | filter ispresent(rest) | display rest", &lines[..1]), ["rest=12ms"]);
        let report = "REPORT RequestId: 1-2\tDuration: 3.5 ms\tBilled Duration: 4 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\t";
        assert_eq!(
            check(
                "filter @type = 'REPORT' | display @requestId, @duration, @billedDuration, @memorySize / 1000 / 1000 as mb",
                &[report]
            ),
            ["@requestId=1-2 @duration=3.5 @billedDuration=4 mb=128"]
        );
    }

    #[test]
    fn functions() {
        let one =
            |expression: &str| check(&format!("display {expression} as v"), &[r#"{"a":" Abc ","n":-2.5}"#]).remove(0);
        for (expression, wanted) in [
            ("abs(n)", "v=2.5"),
            ("ceil(n) + floor(2.7)", "v=0"),
            ("trim(a)", "v=Abc"),
            ("toupper(trim(a))", "v=ABC"),
            ("substr('zxcvb', 2)", "v=cvb"),
            ("substr('zxcvb', 1, 2)", "v=xc"),
            ("replace('aba', 'a', 'x')", "v=xbx"),
            ("concat('a', 1, 'b')", "v=a1b"),
            ("coalesce(nothing, 'x')", "v=x"),
            ("strcontains('abc', 'bc')", "v=1"),
            ("2 + 3 * 4 ^ 2", "v=50"),
            ("7 % 4", "v=3"),
            ("1 / 3", "v=0.3333"),
            ("1 / 0", ""),
            ("greatest(1, n, 3)", "v=3"),
            ("datefloor(@timestamp, 1h)", "v=2001-09-09 01:00:00.000"),
            ("fromMillis(0)", "v=1970-01-01 00:00:00.000"),
        ] {
            assert_eq!(one(expression), wanted, "{expression}");
        }
    }

    #[test]
    fn what_is_not_a_query() {
        let wrong = |query: &str| {
            let wrong: wire::Error = Query::parse(query).unwrap_err().into();
            (wrong.fields()["queryCompileError"]["location"].clone(), wrong.message().to_owned())
        };
        let (at, text) = wrong("fields @message | filter = 3");
        assert_eq!((at["startCharOffset"].as_i64(), at["endCharOffset"].as_i64()), (Some(25), Some(26)), "{text}");
        for (query, part) in [
            ("flelds a", "flelds"),
            ("pattern @message", "the command pattern is not supported"),
            ("fields jsonParse(a)", "the function jsonParse is not supported"),
            ("fields (a", "expected )"),
            ("filter a like /(/", "regular expression is not valid"),
            ("parse @message '*' as a, b", "1 wildcards, and 2 fields"),
            ("stats nothing(a)", "no function that stats knows"),
            ("limit 0", "limit wants"),
            ("fields a b", "unexpected symbol found b"),
            ("filter a = 'x", "is not closed"),
            ("fields abs()", "does not take 0 arguments"),
            (&format!("fields {}", "(".repeat(9000)), "nested too deeply"),
            (&format!("fields 1{}", "+1".repeat(4000)), "more than 1000 parts"),
        ] {
            let (_, text) = wrong(query);
            assert!(text.contains(part), "{query}: {text}");
        }
    }
}
