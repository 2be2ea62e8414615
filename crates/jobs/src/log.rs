//! Shipping lines to CloudWatch Logs: one stream per process, in batches, in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::Cx;
use store::Clock;
use tokio::sync::mpsc;

/// Lines wait this long for others to go with them.
const GATHER: Duration = Duration::from_millis(200);
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 900_000;
const TRIES: u32 = 5;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The writing end of a log stream. Slows its writer when the log does not keep up.
#[derive(Debug)]
pub struct Stream {
    lines: mpsc::Sender<Line>,
    clock: Arc<dyn Clock>,
}

struct Line {
    timestamp: i64,
    message: String,
}

impl Stream {
    /// `cx` acts for the platform. The stream is made at the first line.
    pub fn open(cx: Cx, group: String, name: String) -> Self {
        let (sender, events) = mpsc::channel(2 * MAX_EVENTS);
        let clock = Arc::clone(cx.router().clock());
        tokio::spawn(ship(cx, group, name, events));
        Self { lines: sender, clock }
    }

    pub async fn write(&self, message: String) {
        if !message.is_empty() {
            let event = Line { timestamp: self.clock.now_ms(), message };
            // The shipper ends only after its last sender.
            let _ = self.lines.send(event).await;
        }
    }
}

async fn ship(cx: Cx, group: String, stream: String, mut events: mpsc::Receiver<Line>) {
    let Some(first) = events.recv().await else { return };
    make(&cx, &group, &stream).await;
    let mut next = Some(first);
    while let Some(event) = next {
        let mut bytes = event.message.len();
        let mut batch = vec![event];
        let enough = tokio::time::sleep(GATHER);
        tokio::pin!(enough);
        next = loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) if batch.len() < MAX_EVENTS && bytes + event.message.len() < MAX_BYTES => {
                        bytes += event.message.len() + 26;
                        batch.push(event);
                    }
                    // Full, or the last.
                    other => break other,
                },
                () = &mut enough => break None,
            }
        };
        put(&cx, &group, &stream, batch).await;
        if next.is_none() {
            next = events.recv().await;
        }
    }
}

async fn make(cx: &Cx, group: &str, stream: &str) {
    let asked = [
        ("createLogGroup", json!({ "LogGroupName": group })),
        ("createLogStream", json!({ "LogGroupName": group, "LogStreamName": stream })),
    ];
    for (operation, asked) in asked {
        if let Err(error) = cx.call_json("logs", operation, asked).await
            && !error.is("ResourceAlreadyExistsException")
        {
            tracing::warn!(%error, group, stream, operation, "a log cannot be made");
        }
    }
}

/// The log takes lines in the order of their times, of one day at a time. Where the clock was set, they stand otherwise.
async fn put(cx: &Cx, group: &str, stream: &str, mut batch: Vec<Line>) {
    batch.sort_by_key(|line| line.timestamp);
    for lines in batch.chunk_by(|line, next| line.timestamp / DAY_MS == next.timestamp / DAY_MS) {
        put_day(cx, group, stream, lines).await;
    }
}

async fn put_day(cx: &Cx, group: &str, stream: &str, batch: &[Line]) {
    let events: Vec<Value> =
        batch.iter().map(|line| json!({ "Timestamp": line.timestamp, "Message": line.message })).collect();
    let request = json!({ "LogGroupName": group, "LogStreamName": stream, "LogEvents": events });
    for attempt in 1..=TRIES {
        match cx.call_json("logs", "putLogEvents", request.clone()).await {
            Ok(_) => return,
            // Somebody deleted the group meanwhile, as one does to empty it.
            Err(error) if error.is("ResourceNotFoundException") => make(cx, group, stream).await,
            Err(error) if attempt == TRIES => tracing::warn!(%error, group, stream, "log lines are lost"),
            Err(_) => tokio::time::sleep(GATHER * attempt).await,
        }
    }
}
