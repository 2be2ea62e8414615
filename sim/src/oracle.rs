//! What must hold of every history.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// One event, as far as its form goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub id: u64,
    pub previous: u64,
    pub at: String,
    pub kind: String,
    pub name: Option<String>,
}

impl Seen {
    /// From the form of HTTP (camelCase) or of Step Functions' own SDK integration (PascalCase).
    pub fn read(event: &Value) -> Self {
        let field =
            |camel: &str, pascal: &str| if event[camel].is_null() { &event[pascal] } else { &event[camel] }.clone();
        let details = event.as_object().into_iter().flatten().find(|(name, _)| name.ends_with("EventDetails"));
        let name = details.and_then(|(_, d)| d.get("name").or_else(|| d.get("Name"))).and_then(Value::as_str);
        Self {
            id: field("id", "Id").as_u64().unwrap_or(0),
            previous: field("previousEventId", "PreviousEventId").as_u64().unwrap_or(0),
            at: field("timestamp", "Timestamp").to_string(),
            kind: field("type", "Type").as_str().unwrap_or_default().to_owned(),
            name: name.map(str::to_owned),
        }
    }
}

const TERMINAL: [&str; 4] = ["ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut"];

/// The whole history of an execution that is over.
pub fn check_history(events: &[Seen]) -> Result<(), String> {
    let fault = |event: &Seen, what: &str| Err(format!("event {} ({}): {what}", event.id, event.kind));
    let Some(last) = events.last() else { return Err("an empty history".to_owned()) };
    if events[0].kind != "ExecutionStarted" {
        return fault(&events[0], "does not begin the history");
    }
    if !TERMINAL.contains(&last.kind.as_str()) {
        return fault(last, "does not end the history");
    }
    let by_id: BTreeMap<u64, &Seen> = events.iter().map(|event| (event.id, event)).collect();
    let mut ended = BTreeSet::new();
    for (n, event) in events.iter().enumerate() {
        if event.id != n as u64 + 1 {
            return fault(event, "leaves a gap");
        }
        // AWS leaves open, at times, what an EvaluationFailed follows; an end from outside follows nothing.
        let open = ["EvaluationFailed", "ExecutionAborted"].contains(&event.kind.as_str());
        let follows = event.previous > 0 || n < 2 || open;
        if event.previous >= event.id || !follows || (n == 1 && event.previous != 0) {
            return fault(event, &format!("has {} as its previous event", event.previous));
        }
        let goes_on = events.get(n + 1).is_some_and(|next| next.kind != "ExecutionRedriven");
        if goes_on && TERMINAL.contains(&event.kind.as_str()) {
            return fault(event, "is not the last one");
        }
        let begins = if let Some(state) = event.kind.strip_suffix("StateExited") {
            format!("{state}StateEntered")
        } else if let Some(task) = ["Succeeded", "Failed", "TimedOut"].iter().find_map(|end| {
            let task = event.kind.strip_suffix(end)?;
            ["Task", "LambdaFunction", "Activity"].contains(&task).then_some(task)
        }) {
            format!("{task}Scheduled")
        } else {
            continue;
        };
        let Some(begin) = beginning(&by_id, event, &begins, &ended) else {
            return fault(event, "ends what has not begun");
        };
        if !ended.insert(begin.id) {
            return fault(event, &format!("ends event {} a second time", begin.id));
        }
    }
    if last.kind == "ExecutionSucceeded" {
        all_left(events, &ended)?;
    }
    Ok(())
}

/// The nearest event of that kind, back along the thread; of a state, that of the same name: what failed within another was
/// entered and never left.
fn beginning<'a>(by_id: &BTreeMap<u64, &'a Seen>, event: &Seen, kind: &str, ended: &BTreeSet<u64>) -> Option<&'a Seen> {
    let begins = |found: &Seen| found.kind == kind && (found.name == event.name || kind.ends_with("Scheduled"));
    let mut at = event.previous;
    while let Some(found) = by_id.get(&at) {
        if begins(found) {
            return Some(found);
        }
        if found.kind == "ExecutionRedriven" {
            // All threads go on from there.
            let before = by_id.range(..found.id).rev().map(|(_, before)| *before);
            return before.into_iter().find(|before| begins(before) && !ended.contains(&before.id));
        }
        at = found.previous;
    }
    None
}

/// Where nothing was given up, everything entered was left and every task came to an end.
fn all_left(events: &[Seen], ended: &BTreeSet<u64>) -> Result<(), String> {
    let given_up = |event: &Seen| {
        event.kind.ends_with("Aborted") || event.kind.ends_with("StateFailed") || event.kind == "ExecutionRedriven"
    };
    // A Parallel or Map that was tried again gave up the branch that had failed, though there was no other left to abort.
    let count = |kind: &str| events.iter().filter(|event| event.kind == kind).count();
    let tried_again = |state: &str| count(&format!("{state}StateStarted")) > count(&format!("{state}StateEntered"));
    if events.iter().any(given_up) || ["Parallel", "Map"].into_iter().any(tried_again) {
        return Ok(());
    }
    for event in events {
        let begins = event.kind.ends_with("StateEntered") || event.kind.ends_with("Scheduled");
        if begins && !ended.contains(&event.id) {
            return Err(format!("event {} ({}) has no end", event.id, event.kind));
        }
    }
    Ok(())
}
