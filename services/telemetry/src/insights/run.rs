//! The commands, one after the other, over the rows that are left.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use super::aggregate::Gathered;
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

    /// Its bytes in memory, about.
    fn size(&self) -> usize {
        let size = |(name, value): (&String, &Value)| name.len() + value.size() + FIELD_BYTES;
        self.fields.iter().map(size).sum()
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

/// A query to which events are given some at a time, in any order. What looks at one row only is done at once, and no more is held than the
/// rest needs: the groups of `stats`, the first rows of an order.
#[derive(Debug)]
pub(crate) struct Running {
    query: Query,
    /// Rows where the query does not say how many.
    most: usize,
    now_ms: i64,
    /// The commands before this one look at one row each.
    alone: usize,
    rows: Vec<Row>,
    /// Where `stats` is the next.
    groups: Option<Groups>,
    matched: usize,
    /// Bytes of what is held, about.
    held: usize,
}

impl Running {
    pub(crate) fn new(query: Query, most: usize, now_ms: i64) -> Self {
        let is_of_one = |command: &&Command| {
            matches!(command, Command::Fields(_) | Command::Display(_) | Command::Filter(_) | Command::Parse(..))
        };
        let alone = query.commands.iter().take_while(is_of_one).count();
        let groups = matches!(query.commands.get(alone), Some(Command::Stats(..))).then(Groups::default);
        Self { query, most, now_ms, alone, rows: Vec::new(), groups, matched: 0, held: 0 }
    }

    pub(crate) fn take(&mut self, mut rows: Vec<Row>) {
        let (alone, rest) = self.query.commands.split_at(self.alone);
        for command in alone {
            each(command, &mut rows, self.now_ms);
        }
        self.matched += rows.len();
        if let (Some(groups), Some(Command::Stats(what, by))) = (&mut self.groups, rest.first()) {
            groups.take(&rows, (what, by), self.now_ms);
            self.held = groups.held;
            return;
        }
        self.held += rows.iter().map(Row::size).sum::<usize>();
        self.rows.append(&mut rows);
        // How many rows of which order are wanted.
        let (sorts, wanted) = match rest {
            [] => (None, self.most),
            [Command::Limit(n), ..] => (None, *n),
            [Command::Sort(by)] => (Some(by), self.most),
            [Command::Sort(by), Command::Limit(n), ..] => (Some(by), *n),
            _ => return,
        };
        if self.rows.len() > wanted.saturating_mul(2).saturating_add(1000) || self.held > MOST_BYTES / 2 {
            latest_first(&mut self.rows);
            if let Some(by) = sorts {
                sort(&mut self.rows, by, self.now_ms);
            }
            self.rows.truncate(wanted);
            self.held = self.rows.iter().map(Row::size).sum();
        }
    }

    /// Whether it holds more than a query may.
    pub(crate) fn is_too_much(&self) -> bool {
        self.held > MOST_BYTES
    }

    pub(crate) fn finish(mut self) -> Found {
        let now_ms = self.now_ms;
        let (alone, mut rest) = self.query.commands.split_at(self.alone);
        let mut shown: Option<Vec<String>> = None;
        for command in alone {
            show(command, &mut shown);
        }
        let (mut rows, mut matched) = (std::mem::take(&mut self.rows), self.matched);
        let (mut counted, mut limited) = (false, false);
        if let (Some(groups), Some((Command::Stats(what, by), after))) = (self.groups.take(), rest.split_first()) {
            rows = groups.rows(what, by);
            show(&rest[0], &mut shown);
            (rest, counted) = (after, true);
        } else {
            // The latest come first where nothing is said.
            latest_first(&mut rows);
        }
        for command in rest {
            show(command, &mut shown);
            match command {
                Command::Fields(_) | Command::Display(_) | Command::Parse(..) => each(command, &mut rows, now_ms),
                Command::Filter(_) => {
                    each(command, &mut rows, now_ms);
                    if !counted {
                        matched = rows.len();
                    }
                }
                Command::Stats(what, by) => {
                    let mut groups = Groups::default();
                    groups.take(&rows, (what, by), now_ms);
                    rows = groups.rows(what, by);
                    counted = true;
                }
                Command::Sort(by) => sort(&mut rows, by, now_ms),
                Command::Limit(n) => {
                    rows.truncate(*n);
                    limited = true;
                }
                Command::Dedup(by) => {
                    let mut seen = BTreeSet::new();
                    rows.retain(|row| {
                        let key: Vec<_> = by.iter().map(|c| value(&c.value, row, now_ms).told()).collect();
                        // What has none of the fields stays. Source: "dedup".
                        key.iter().any(Option::is_none) || seen.insert(key)
                    });
                }
            }
        }
        if !limited {
            rows.truncate(self.most);
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

/// What a query may hold at once, in bytes: several run side by side, and other services beside them.
const MOST_BYTES: usize = 256 << 20;
/// What a field and a value cost besides their texts, about.
const FIELD_BYTES: usize = 80;

/// What a command that looks at one row only makes of each.
fn each(command: &Command, rows: &mut Vec<Row>, now_ms: i64) {
    match command {
        Command::Fields(columns) | Command::Display(columns) => add(rows, columns, now_ms),
        Command::Filter(holds) => rows.retain(|row| value(holds, row, now_ms).is_true()),
        Command::Parse(of, pattern, names) => take_apart(rows, of, (pattern, names), now_ms),
        Command::Stats(..) | Command::Sort(_) | Command::Limit(_) | Command::Dedup(_) => {}
    }
}

/// The columns that are shown after a command.
fn show(command: &Command, shown: &mut Option<Vec<String>>) {
    let names = |columns: &[Column]| columns.iter().map(|column| column.name.clone()).collect::<Vec<_>>();
    match command {
        Command::Fields(columns) => shown.get_or_insert_default().extend(names(columns)),
        Command::Display(columns) => *shown = Some(names(columns)),
        Command::Stats(what, by) => {
            *shown = Some(names(by).into_iter().chain(what.iter().map(|counted| counted.name.clone())).collect());
        }
        _ => {}
    }
}

fn latest_first(rows: &mut [Row]) {
    rows.sort_by_key(|row| std::cmp::Reverse(row.time()));
}

fn sort(rows: &mut [Row], by: &[(Expression, bool)], now_ms: i64) {
    rows.sort_by(|a, b| {
        let mut orders = by.iter().map(|(of, greatest_first)| {
            let order = value(of, a, now_ms).natural(&value(of, b, now_ms));
            if *greatest_first { order.reverse() } else { order }
        });
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
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

/// Adds columns to each row.
fn add(rows: &mut [Row], columns: &[Column], now_ms: i64) {
    for row in rows {
        for column in columns {
            let made = value(&column.value, row, now_ms);
            row.fields.insert(column.name.clone(), made);
        }
    }
}

/// The groups of `stats`.
#[derive(Debug, Default)]
struct Groups {
    places: BTreeMap<Vec<Option<String>>, usize>,
    all: Vec<Group>,
    held: usize,
}

#[derive(Debug)]
struct Group {
    /// Of its latest row: the latest groups come first.
    latest: i64,
    by: Vec<Value>,
    what: Vec<Gathered>,
}

impl Groups {
    fn take(&mut self, rows: &[Row], (what, by): (&[Counted], &[Column]), now_ms: i64) {
        for row in rows {
            let values: Vec<Value> = by.iter().map(|column| value(&column.value, row, now_ms)).collect();
            let key: Vec<Option<String>> = values.iter().map(Value::told).collect();
            let at = if let Some(at) = self.places.get(&key) {
                *at
            } else {
                let texts: usize = key.iter().flatten().map(String::len).sum();
                self.held += 2 * texts + FIELD_BYTES * 2 * (by.len() + what.len() + 1);
                self.places.insert(key, self.all.len());
                self.all.push(Group::new(row.time(), values, what));
                self.all.len() - 1
            };
            let group = &mut self.all[at];
            group.latest = group.latest.max(row.time());
            for (gathered, one) in group.what.iter_mut().zip(what) {
                let found = one.of.as_ref().map_or(Value::Truth(true), |of| value(of, row, now_ms));
                if found != Value::Null {
                    self.held += gathered.take(row.time(), found);
                }
            }
        }
    }

    fn rows(mut self, what: &[Counted], by: &[Column]) -> Vec<Row> {
        if self.all.is_empty() && by.is_empty() {
            self.all.push(Group::new(0, Vec::new(), what));
        }
        self.all.sort_by_key(|group| std::cmp::Reverse(group.latest));
        let row = |group: Group| {
            let named = by.iter().map(|column| column.name.clone()).zip(group.by);
            let counted = what
                .iter()
                .zip(group.what)
                .map(|(one, gathered)| (one.name.clone(), gathered.finish(one.aggregate, one.percent)));
            Row { fields: named.chain(counted).collect() }
        };
        self.all.into_iter().map(row).collect()
    }
}

impl Group {
    fn new(latest: i64, by: Vec<Value>, what: &[Counted]) -> Self {
        Self { latest, by, what: what.iter().map(|one| one.aggregate.gather()).collect() }
    }
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

    fn found(query: &str, messages: &[&str], at_once: usize) -> Found {
        let mut running = Running::new(Query::parse(query).unwrap(), 10_000, 0);
        let mut rows = rows(messages);
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(at_once));
            running.take(std::mem::replace(&mut rows, rest));
        }
        running.finish()
    }

    /// Each row as `name=value name=value`, without pointers.
    fn check(query: &str, messages: &[&str]) -> Vec<String> {
        let found = found(query, messages, messages.len().max(1));
        // However many come at a time.
        for at_once in [1, 2, 3] {
            let again = self::found(query, messages, at_once);
            assert_eq!((again.rows, again.matched), (found.rows.clone(), found.matched), "{query}");
        }
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

    /// What a query holds does not grow with what it reads.
    #[test]
    fn much_is_read_and_little_held() {
        let text = "x".repeat(1000);
        let messages: Vec<String> = (0..5000).map(|n| format!(r#"{{"n":{n},"text":"{text}"}}"#)).collect();
        let messages: Vec<&str> = messages.iter().map(String::as_str).collect();
        for (query, rows_held, first) in [
            ("fields n | filter n >= 0 | limit 20", 1100, "4999"),
            ("filter n < 4000 | sort n asc | limit 3", 1100, "0"),
            ("stats count(*) as n, sum(n), max(n), pct(n, 50), latest(n) by n % 3 | sort n desc", 100, "1667"),
        ] {
            let mut running = Running::new(Query::parse(query).unwrap(), 10_000, 0);
            let mut most = 0;
            let mut all = rows(&messages).into_iter();
            let one = all.as_slice()[0].size();
            while all.len() > 0 {
                running.take(all.by_ref().take(37).collect());
                most = most.max(running.held);
            }
            assert!(most < rows_held * one, "{query}: {most} bytes are held, {one} of an event");
            assert!(!running.is_too_much());
            let found = running.finish();
            let value = found.rows[0].iter().find(|(name, _)| name == "n" || name == "@message").unwrap();
            assert!(value.1 == first || value.1.starts_with(&format!(r#"{{"n":{first},"#)), "{query}: {value:?}");
        }
        let mut running = Running::new(Query::parse("dedup n").unwrap(), 10_000, 0);
        while !running.is_too_much() {
            running.take(rows(&messages));
        }
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
