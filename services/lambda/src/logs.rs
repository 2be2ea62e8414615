//! Shipping lines to CloudWatch Logs: one stream per environment, in batches, in order.

use std::time::Duration;

use api_logs::{
    CreateLogGroup, CreateLogGroupRequest, CreateLogStream, CreateLogStreamRequest, InputLogEvent, PutLogEvents,
    PutLogEventsRequest,
};
use service::Cx;
use tokio::sync::mpsc;

/// Lines wait this long for others to go with them.
const GATHER: Duration = Duration::from_millis(200);
const MAX_EVENTS: usize = 1000;
const MAX_BYTES: usize = 900_000;
const TRIES: u32 = 5;

/// The writing end of a log stream. Slows its writer when the log does not keep up.
pub(crate) struct Stream(mpsc::Sender<InputLogEvent>);

impl Stream {
    /// `cx` acts for the platform. The stream is made at the first line.
    pub(crate) fn open(cx: Cx, group: String, name: String) -> Self {
        let (sender, events) = mpsc::channel(2 * MAX_EVENTS);
        tokio::spawn(ship(cx, group, name, events));
        Self(sender)
    }

    pub(crate) async fn write(&self, message: String) {
        if !message.is_empty() {
            let event = InputLogEvent { timestamp: jiff::Timestamp::now().as_millisecond(), message };
            // The shipper ends only after its last sender.
            let _ = self.0.send(event).await;
        }
    }
}

async fn ship(cx: Cx, group: String, stream: String, mut events: mpsc::Receiver<InputLogEvent>) {
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
    let request = CreateLogGroupRequest { log_group_name: group.to_owned(), ..Default::default() };
    if let Err(error) = cx.call::<CreateLogGroup>(request).await
        && error.code() != "ResourceAlreadyExistsException"
    {
        tracing::warn!(%error, group, "a log group cannot be made");
    }
    let request = CreateLogStreamRequest { log_group_name: group.to_owned(), log_stream_name: stream.to_owned() };
    if let Err(error) = cx.call::<CreateLogStream>(request).await
        && error.code() != "ResourceAlreadyExistsException"
    {
        tracing::warn!(%error, group, stream, "a log stream cannot be made");
    }
}

async fn put(cx: &Cx, group: &str, stream: &str, batch: Vec<InputLogEvent>) {
    let request = PutLogEventsRequest {
        log_group_name: group.to_owned(),
        log_stream_name: stream.to_owned(),
        log_events: batch,
        ..Default::default()
    };
    for attempt in 1..=TRIES {
        match cx.call::<PutLogEvents>(request.clone()).await {
            Ok(_) => return,
            // Somebody deleted the group meanwhile, as one does to empty it.
            Err(error) if error.code() == "ResourceNotFoundException" => make(cx, group, stream).await,
            Err(error) if attempt == TRIES => tracing::warn!(%error, group, stream, "log lines are lost"),
            Err(_) => tokio::time::sleep(GATHER * attempt).await,
        }
    }
}
