//! An execution's history in CloudWatch Logs: which events a level admits, what a line looks like, and the task that delivers them.
//!
//! Delivery follows the commits: a turn asks for it in its transaction, a cursor remembers the last event written. It never holds
//! an execution up, and what cannot be delivered is dropped, as AWS does.

use asl::HistoryEvent;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::Error;

use crate::records::{self, Summary};
use crate::runners::again;
use crate::{Engine, ExecutionArn, read};

pub(crate) const LOG_KIND: &str = "states:log";
/// Events read at once, each with up to 256 KiB where data is asked for; and the bytes of one call of PutLogEvents.
const EVENTS: usize = 1000;
const EVENTS_WITH_DATA: usize = 100;
const BATCH_BYTES: usize = 900_000;
/// Source: PutLogEvents, "A batch of log events in a single request cannot span more than 24 hours".
const BATCH_MS: i64 = 24 * 60 * 60 * 1000;
const LINE_OVERHEAD: usize = 26;
/// Source: the developer guide's page on logging: input and output over 248 KB are cut off.
const MAX_DATA_BYTES: usize = 248 * 1024;

/// Where and how much of an execution's history is logged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logging {
    pub level: Level,
    pub include_data: bool,
    pub log_group: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    All,
    Error,
    Fatal,
}

impl Level {
    /// Source: the developer guide's page "Log levels for Step Functions execution events".
    fn admits(self, kind: &str) -> bool {
        const FATAL: [&str; 3] = ["ExecutionAborted", "ExecutionFailed", "ExecutionTimedOut"];
        const ENDINGS: [&str; 3] = ["Failed", "TimedOut", "Aborted"];
        match self {
            Self::All => true,
            Self::Error => kind == "FailStateEntered" || ENDINGS.iter().any(|ending| kind.ends_with(ending)),
            Self::Fatal => FATAL.contains(&kind),
        }
    }
}

impl Logging {
    /// The line of an event, where the level admits it.
    pub fn line(&self, arn: &ExecutionArn, event: &HistoryEvent, redrives: u32) -> Option<(i64, String)> {
        let kind = event.type_name();
        if !self.level.admits(&kind) {
            return None;
        }
        let Value::Object(shown) = event.to_json(self.include_data) else { return None };
        let details = shown.into_iter().find_map(|(name, value)| match value {
            Value::Object(details) if name.ends_with("Details") => Some(details),
            _ => None,
        });
        let line = json!({
            "id": event.id.to_string(),
            "type": kind,
            "details": cut(details.unwrap_or_default()),
            "previous_event_id": event.previous_event_id.to_string(),
            "event_timestamp": event.at.0.to_string(),
            "execution_arn": arn.as_str(),
            "redrive_count": redrives.to_string(),
        });
        Some((event.at.0, line.to_string()))
    }

    /// Writes lines to the log, as many at once as it takes; what cannot be written is dropped.
    pub async fn deliver(&self, cx: &Cx, arn: &ExecutionArn, lines: Vec<(i64, String)>) {
        for batch in batches(lines) {
            if let Err(error) = self.put(cx, arn, batch).await {
                tracing::warn!(execution = arn.as_str(), %error, "history could not be logged");
            }
        }
    }

    /// Writes to the stream of the machine's hour, which is made when it is not there yet.
    async fn put(&self, cx: &Cx, arn: &ExecutionArn, lines: Vec<(i64, String)>) -> Result<(), Error> {
        let Some((first, _)) = lines.first() else { return Ok(()) };
        let stream = stream(arn, *first);
        let events: Vec<Value> =
            lines.into_iter().map(|(at, message)| json!({"Timestamp": at, "Message": message})).collect();
        let request = json!({"LogGroupName": self.log_group, "LogStreamName": stream, "LogEvents": events});
        match cx.call_json("logs", "putLogEvents", request.clone()).await {
            Err(error) if error.is("ResourceNotFoundException") => {
                let make = json!({"LogGroupName": self.log_group, "LogStreamName": stream});
                match cx.call_json("logs", "createLogStream", make).await {
                    Err(error) if !error.is("ResourceAlreadyExistsException") => Err(error),
                    _ => cx.call_json("logs", "putLogEvents", request).await.map(drop),
                }
            }
            other => other.map(drop),
        }
    }
}

/// Lines as PutLogEvents takes them: each call's in the order of their times, of one day, and not too many bytes. The times of two
/// turns stand the other way round where the clock was set back between them.
fn batches(mut lines: Vec<(i64, String)>) -> Vec<Vec<(i64, String)>> {
    lines.sort_by_key(|(at, _)| *at);
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::<(i64, String)>::new(), 0);
    for line in lines {
        let more = line.1.len() + LINE_OVERHEAD;
        let is_late = batch.first().is_some_and(|(first, _)| line.0 - first > BATCH_MS);
        if bytes + more > BATCH_BYTES || is_late {
            batches.push(std::mem::take(&mut batch));
            bytes = 0;
        }
        bytes += more;
        batch.push(line);
    }
    batches.push(batch);
    batches
}

/// `states/<machine>/<hour>/<chance>`, as AWS names its streams.
fn stream(arn: &ExecutionArn, at_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default();
    let hour = at.strftime("%Y-%m-%d-%H").to_string();
    let machine = arn.machine();
    let part = asl::fingerprint(&format!("{}/{machine}/{hour}", arn.account()));
    format!("states/{machine}/{hour}/{}", part.get(..8).unwrap_or(&part))
}

fn cut(mut details: Map<String, Value>) -> Map<String, Value> {
    for name in ["input", "output"] {
        let Some(Value::String(text)) = details.get_mut(name) else { continue };
        if text.len() > MAX_DATA_BYTES {
            let end = (0..=MAX_DATA_BYTES).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            details.insert(format!("{name}Details"), json!({"truncated": true}));
        }
    }
    details
}

/// Asks for delivery of what the transaction adds to the history.
pub(crate) fn ask(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<(), store::Error> {
    let name = task_name(arn);
    if tx.has_task(&name)? { Ok(()) } else { tx.enqueue(NewTask::new(LOG_KIND, name).payload(arn)?) }
}

fn task_name(arn: &ExecutionArn) -> String {
    format!("{arn}/log")
}

/// Delivers.
pub(crate) struct Deliver(pub(crate) Engine);

#[async_trait]
impl Runner for Deliver {
    async fn run(&self, task: Task) -> Done {
        let Ok(arn) = task.payload::<ExecutionArn>() else { return Done::Finished };
        match self.deliver(&arn).await {
            Ok(()) => Done::Committed,
            Err(error) => again(&task, &error),
        }
    }
}

impl Deliver {
    /// Until the cursor has reached the history's end, in the transaction that removes the task.
    async fn deliver(&self, arn: &ExecutionArn) -> Result<(), Error> {
        loop {
            let (summary, from) = self
                .0
                .store_of(arn)
                .read(|tx| {
                    let summary: Option<Summary> = tx.get_json(records::summary(arn))?;
                    Ok::<_, Error>((summary, tx.get_json::<u64>(records::logged(arn))?.unwrap_or(0)))
                })
                .await?;
            let redrives = summary.as_ref().map_or(0, |summary| summary.redrive.count);
            let logging = summary.and_then(|summary| summary.logging);
            let with_data = logging.as_ref().is_some_and(|logging| logging.include_data);
            let most = if with_data { EVENTS_WITH_DATA } else { EVENTS };
            let events = self.0.history(arn, from + 1, most, (false, with_data)).await?;
            let last = events.last().map_or(from, |event| event.id);
            if let Some(logging) = &logging {
                let lines: Vec<_> = events.iter().filter_map(|event| logging.line(arn, event, redrives)).collect();
                let cx = Cx::platform(self.0.router(), arn.account(), arn.region());
                logging.deliver(&cx, arn, lines).await;
            }
            let of = arn.clone();
            let finished = self
                .0
                .store_of(arn)
                .write(move |tx| {
                    tx.put_json(records::logged(&of), &last)?;
                    let more = logging.is_some() && read::last_event(tx, &of)? > last;
                    if !more {
                        tx.finish_task(&task_name(&of))?;
                    }
                    Ok::<_, Error>(!more)
                })
                .await?;
            if finished {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use asl::{Details, HistoryEvent, Payload, Timestamp};

    use super::{BATCH_BYTES, BATCH_MS, Level, Logging, batches, stream};
    use crate::ExecutionArn;

    fn line(level: Level, include_data: bool, details: Details) -> Option<String> {
        let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
        let event = HistoryEvent { id: 1, previous_event_id: 0, at: Timestamp(1_668_385_713_883), details };
        let logging = Logging { level, include_data, log_group: "g".to_owned() };
        logging.line(&arn, &event, 0).map(|(_, line)| line)
    }

    fn started() -> Details {
        Details::ExecutionStarted { input: Payload::inline("{}".to_owned()), role_arn: "r".to_owned() }
    }

    #[test]
    fn lines_are_as_aws_writes_them() {
        assert_eq!(
            line(Level::All, true, started()).unwrap(),
            r#"{"id":"1","type":"ExecutionStarted","details":{"input":"{}","inputDetails":{"truncated":false},"roleArn":"r"},"previous_event_id":"0","event_timestamp":"1668385713883","execution_arn":"arn:aws:states:us-east-1:000000000000:execution:m:e","redrive_count":"0"}"#
        );
        assert!(line(Level::All, false, started()).unwrap().contains(r#""details":{"roleArn":"r"}"#));
        assert!(line(Level::All, false, Details::LambdaFunctionStarted).unwrap().contains(r#""details":{}"#));
    }

    #[test]
    fn levels_admit_what_the_guide_says() {
        let failed = Details::ExecutionFailed { error: None, cause: None };
        assert!(line(Level::Fatal, true, failed.clone()).is_some() && line(Level::Error, true, failed).is_some());
        assert!(line(Level::Fatal, true, Details::MapStateFailed).is_none());
        assert!(line(Level::Error, true, Details::MapStateFailed).is_some());
        assert!(line(Level::Error, true, started()).is_none());
    }

    #[test]
    fn lines_are_put_as_the_log_takes_them() {
        let check = |times: &[i64], want: &[&[i64]]| {
            let lines = times.iter().map(|at| (*at, at.to_string())).collect();
            let found: Vec<Vec<i64>> =
                batches(lines).into_iter().map(|batch| batch.into_iter().map(|(at, _)| at).collect()).collect();
            assert_eq!(found, want);
        };
        check(&[], &[&[]]);
        check(&[5, 7, 6, 7], &[&[5, 6, 7, 7]]);
        check(&[BATCH_MS + 1, 1, 0, 3 * BATCH_MS], &[&[0, 1], &[BATCH_MS + 1], &[3 * BATCH_MS]]);
        let long = "x".repeat(BATCH_BYTES / 2);
        let lines = vec![(2, "b".to_owned()), (1, long.clone()), (2, long)];
        let found: Vec<usize> = batches(lines).iter().map(Vec::len).collect();
        assert_eq!(found, [2, 1]);
    }

    #[test]
    fn streams_are_of_a_machine_and_an_hour() {
        let arn = ExecutionArn::standard("000000000000", "us-east-1", "m", "e");
        let name = stream(&arn, 1_668_385_713_883);
        assert!(
            name.starts_with("states/m/2022-11-14-00/") && name.len() == "states/m/2022-11-14-00/".len() + 8,
            "{name}"
        );
    }
}
