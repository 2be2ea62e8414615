//! Tumbling windows: each record belongs to one of a length, by when it was written; what the function answers is its state for the
//! next batch of the window, and when the window is over the function is called once more, with the state and no records. Source:
//! Lambda Developer Guide, "Implementing stateful DynamoDB stream processing in Lambda".

use api_dynamodbstreams::Record;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::second;

/// A state that is larger ends its window.
const MOST_STATE_BYTES: usize = 1 << 20;
/// So long after its end records of a window may still become visible: they are dated before they are committed.
const GRACE_SECONDS: i64 = 1;

/// A window that is open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    start_second: i64,
    seconds: i64,
    pub(super) state: Value,
    /// It was ended early, and nothing has come since.
    #[serde(default)]
    pub(super) begins_anew: bool,
}

/// Why a function is called for a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Aggregate,
    /// It is over, by the clock or since its state has grown too large.
    Final {
        early: bool,
    },
}

impl Window {
    /// The window of so many seconds that a record belongs to, with no state yet.
    fn of(record: &Record, seconds: i64) -> Self {
        let second = second(record);
        Self { start_second: second - second.rem_euclid(seconds), seconds, state: json!({}), begins_anew: false }
    }

    pub(super) fn begin_anew(&mut self) {
        (self.state, self.begins_anew) = (json!({}), true);
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.start_second, self.seconds) == (other.start_second, other.seconds)
    }

    /// Whether no record of it can come any more.
    pub(super) fn is_over(&self, now_second: i64) -> bool {
        now_second > self.start_second + self.seconds + GRACE_SECONDS
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.state_bytes() > MOST_STATE_BYTES
    }

    pub(super) fn state_bytes(&self) -> usize {
        self.state.to_string().len()
    }

    /// What stands beside the records in the function's event.
    pub(super) fn add_to(&self, event: &mut Value, phase: Phase, shard: Option<&str>, stream: &str) {
        let time = |second: i64| jiff::Timestamp::from_second(second).map(|at| at.to_string()).ok();
        event["window"] = json!({ "start": time(self.start_second), "end": time(self.start_second + self.seconds) });
        event["state"] = self.state.clone();
        event["shardId"] = shard.into();
        event["eventSourceARN"] = stream.into();
        event["isFinalInvokeForWindow"] = (phase != Phase::Aggregate).into();
        event["isWindowTerminatedEarly"] = (phase == Phase::Final { early: true }).into();
    }
}

/// The records by their windows, in their order.
pub(super) fn by_window(records: Vec<Record>, seconds: i64) -> Vec<(Window, Vec<Record>)> {
    let mut parts: Vec<(Window, Vec<Record>)> = Vec::new();
    for record in records {
        let window = Window::of(&record, seconds);
        match parts.last_mut() {
            Some((last, part)) if last.is_same(&window) => part.push(record),
            _ => parts.push((window, vec![record])),
        }
    }
    parts
}

/// The state in what a function answered: without one its invocation has failed.
pub(super) fn state_of(payload: &[u8]) -> Option<Value> {
    let mut answer: Value = jsontext::read_slice(payload).ok()?;
    Some(answer.get_mut("state")?.take()).filter(|state| !state.is_null())
}

#[cfg(test)]
mod tests {
    use api_dynamodbstreams::StreamRecord;

    use super::*;

    fn at(second: i64) -> Record {
        let change = StreamRecord {
            approximate_creation_date_time: Some(wire::Timestamp::from_millis(second * 1000)),
            ..Default::default()
        };
        Record { dynamodb: Some(change), ..Default::default() }
    }

    #[test]
    fn windows_begin_at_multiples_of_their_length() {
        // 2020-07-30T17:00:00Z, the guide's example.
        let start = 1_596_128_400;
        let parts = by_window(vec![at(start), at(start + 299), at(start + 300)], 300);
        assert_eq!(parts.iter().map(|(_, records)| records.len()).collect::<Vec<_>>(), [2, 1]);
        let window = &parts[0].0;
        let mut event = json!({ "Records": [] });
        window.add_to(&mut event, Phase::Final { early: false }, Some("shardId-1"), "arn");
        assert_eq!(
            event,
            json!({
                "Records": [],
                "window": { "start": "2020-07-30T17:00:00Z", "end": "2020-07-30T17:05:00Z" },
                "state": {},
                "shardId": "shardId-1",
                "eventSourceARN": "arn",
                "isFinalInvokeForWindow": true,
                "isWindowTerminatedEarly": false,
            })
        );
        assert!(!window.is_over(start + 301) && window.is_over(start + 302));
    }

    #[test]
    fn an_answer_holds_a_state() {
        assert_eq!(state_of(br#"{"state":{"a":1},"batchItemFailures":[]}"#), Some(json!({ "a": 1 })));
        for none in [&b"null"[..], b"{}", b"[1]", br#"{"state":null}"#, b"no json"] {
            assert_eq!(state_of(none), None);
        }
    }
}
