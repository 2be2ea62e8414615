//! What a crawl tells the world: its log in CloudWatch Logs and "Glue Crawler State Change" on the event bus. Asked for in
//! the transaction that changes the crawler, told by a task of its own.

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry};
use api_logs::{CreateLogGroup, CreateLogGroupRequest, CreateLogStream, CreateLogStreamRequest, InputLogEvent};
use api_logs::{PutLogEvents, PutLogEventsRequest};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service::Cx;
use store::{Done, NewTask, Runner, Task, Tx};
use wire::{Error, Timestamp};

use super::LOG_GROUP;
use super::Payload;
use super::apply::Summary;
use crate::Glue;

/// Lines of one crawl that are kept; a crawl of a broken lake may have many.
const MOST_LINES: usize = 5000;
const LINES_PER_CALL: usize = 1000;
const ATTEMPTS: u32 = 5;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Stage {
    Started { at: Timestamp },
    Ended { at: Timestamp, state: String, error: Option<String>, seconds: i64, summary: Summary, log: Vec<String> },
}

#[derive(Serialize, Deserialize)]
struct Announcement {
    crawl: Payload,
    stage: Stage,
}

/// Asks for the event in this transaction; `task` is the crawl's.
pub(super) fn announce(tx: &mut Tx<'_>, crawl: &Payload, task: &str, stage: &Stage) -> Result<(), Error> {
    let name = match stage {
        Stage::Started { .. } => "started",
        Stage::Ended { .. } => "ended",
    };
    let announcement = Announcement { crawl: crawl.clone(), stage: stage.clone() };
    tx.enqueue(NewTask::new("glue:crawl-event", format!("{task}:{name}")).payload(&announcement)?)?;
    Ok(())
}

pub(super) struct EventRunner(pub(super) Arc<Glue>);

#[async_trait]
impl Runner for EventRunner {
    async fn run(&self, task: Task) -> Done {
        let Ok(told) = task.payload::<Announcement>() else { return Done::Finished };
        let router = &self.0.platform.router;
        let cx = Cx::platform(router, &told.crawl.account, &told.crawl.region);
        let logged = write_log(&cx.with_task(&format!("{}:log", task.id)), &told).await;
        let sent = send(&cx.with_task(&format!("{}:event", task.id)), &told).await;
        match logged.and(sent) {
            Err(error) if error.status() >= 500 && task.attempt < ATTEMPTS => {
                Done::RetryAfter(jiff::SignedDuration::from_secs(1))
            }
            Err(error) => {
                tracing::warn!(task = task.id, %error, "a crawl's event or log could not be written");
                Done::Finished
            }
            Ok(()) => Done::Finished,
        }
    }
}

async fn send(cx: &Cx, told: &Announcement) -> Result<(), Error> {
    let entry = PutEventsRequestEntry {
        time: Some(match told.stage {
            Stage::Started { at } | Stage::Ended { at, .. } => at,
        }),
        source: Some("aws.glue".to_owned()),
        detail_type: Some("Glue Crawler State Change".to_owned()),
        detail: Some(detail(told).to_string()),
        ..PutEventsRequestEntry::default()
    };
    cx.call::<PutEvents>(PutEventsRequest { entries: vec![entry], ..PutEventsRequest::default() }).await?;
    Ok(())
}

fn detail(told: &Announcement) -> Value {
    let Payload { account, region, crawler, .. } = &told.crawl;
    let link = format!(
        "https://console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={LOG_GROUP};stream={crawler}"
    );
    match &told.stage {
        Stage::Started { at } => json!({
            "accountId": account, "crawlerName": crawler, "startTime": at.to_iso(), "state": "Started",
            "message": "Crawler Started",
        }),
        Stage::Ended { at, state, error, seconds, summary, .. } => {
            let mut detail = json!({
                "accountId": account, "crawlerName": crawler, "completionDate": at.to_iso(), "state": state,
                "message": format!("Crawler {state}"), "warningMessage": "N/A", "cloudWatchLogLink": link,
                "runningTime (sec)": seconds.to_string(),
                "tablesCreated": summary.tables_created.len().to_string(),
                "tablesUpdated": summary.tables_updated.len().to_string(),
                "tablesDeleted": summary.tables_deleted.len().to_string(),
                "partitionsCreated": summary.partitions_created.to_string(),
                "partitionsUpdated": summary.partitions_updated.to_string(),
                "partitionsDeleted": summary.partitions_deleted.to_string(),
            });
            if let Some(error) = error {
                detail["errorMessage"] = json!(error);
            }
            detail
        }
    }
}

async fn write_log(cx: &Cx, told: &Announcement) -> Result<(), Error> {
    let Stage::Ended { at, log, .. } = &told.stage else { return Ok(()) };
    let stream =
        CreateLogStreamRequest { log_group_name: LOG_GROUP.to_owned(), log_stream_name: told.crawl.crawler.clone() };
    let group = CreateLogGroupRequest { log_group_name: LOG_GROUP.to_owned(), ..CreateLogGroupRequest::default() };
    present(cx.call::<CreateLogGroup>(group).await)?;
    present(cx.call::<CreateLogStream>(stream).await)?;
    let lines: Vec<&String> = log.iter().take(MOST_LINES).collect();
    for part in lines.chunks(LINES_PER_CALL) {
        let log_events = part
            .iter()
            .map(|line| InputLogEvent { timestamp: at.as_millis(), message: format!("[{}] {line}", told.crawl.run) });
        cx.call::<PutLogEvents>(PutLogEventsRequest {
            log_group_name: LOG_GROUP.to_owned(),
            log_stream_name: told.crawl.crawler.clone(),
            log_events: log_events.collect(),
            ..PutLogEventsRequest::default()
        })
        .await?;
    }
    Ok(())
}

/// What is there already is fine.
fn present<T>(made: Result<T, Error>) -> Result<(), Error> {
    match made {
        Err(error) if !error.is("ResourceAlreadyExistsException") => Err(error),
        _ => Ok(()),
    }
}
