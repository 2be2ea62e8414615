//! Live tail: sessions that are told of events as they are put. They are of this process and end with it; who falls behind is told a
//! sample. Source: CloudWatch Logs User Guide, "View and troubleshoot logs with Live Tail"; API Reference, StartLiveTail.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::{Value, json};
use service::Cx;
use tokio::sync::mpsc;
use wire::Error;

use crate::pattern::Pattern;

/// What the front sends on; an error breaks the connection.
pub type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

/// Events of one update. Source: the guide: "up to 500 log events per second".
const MOST: usize = 500;
/// Updates on the way before a session waits.
const PIECES: usize = 4;
const EVERY: std::time::Duration = std::time::Duration::from_secs(1);
/// Source: API Reference, StartLiveTail: sessions end after three hours.
const LONGEST: jiff::SignedDuration = jiff::SignedDuration::from_hours(3);

/// What a session is told of.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// ARNs of groups, as the request has them.
    pub(crate) groups: Vec<String>,
    pub(crate) streams: Vec<String>,
    pub(crate) prefixes: Vec<String>,
    pub(crate) pattern: Pattern,
}

#[derive(Debug)]
struct Session {
    wanted: Wanted,
    /// Events since the last update, and whether there were more.
    waiting: Mutex<(Vec<Value>, bool)>,
}

/// The sessions, and their answers until the front has fetched them.
#[derive(Debug, Default)]
pub(crate) struct Tails {
    sessions: Mutex<Vec<Arc<Session>>>,
    answers: Mutex<Vec<(String, Pieces)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Wanted {
    fn wants(&self, stream: &str, message: &str) -> bool {
        let all = self.streams.is_empty() && self.prefixes.is_empty();
        let of = all
            || self.streams.iter().any(|one| one == stream)
            || self.prefixes.iter().any(|one| stream.starts_with(one.as_str()));
        of && self.pattern.matches(message)
    }
}

impl Tails {
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.sessions).is_empty()
    }

    /// Events have been put into a group's stream.
    pub(crate) fn tell(&self, group_arn: &str, stream: &str, now_ms: i64, events: &[(i64, String)]) {
        let sessions: Vec<Arc<Session>> = lock(&self.sessions).clone();
        for session in sessions {
            let Some(group) = session.wanted.groups.iter().find(|arn| arn.trim_end_matches(":*") == group_arn) else {
                continue;
            };
            let mut waiting = lock(&session.waiting);
            for (time, message) in events.iter().filter(|(_, message)| session.wanted.wants(stream, message)) {
                if waiting.0.len() >= MOST {
                    waiting.1 = true;
                    break;
                }
                waiting.0.push(json!({
                    "logStreamName": stream, "logGroupIdentifier": group, "message": message, "timestamp": time, "ingestionTime": now_ms,
                }));
            }
        }
    }

    /// Opens a session, whose answer lies there for the front under the request's id.
    pub(crate) fn open(self: &Arc<Self>, cx: &Cx, wanted: Wanted, start: &Value) -> Result<(), Error> {
        let session = Arc::new(Session { wanted, waiting: Mutex::default() });
        let (sender, pieces) = mpsc::channel(PIECES);
        for first in [("initial-response", &json!({})), ("sessionStart", start)] {
            sender.try_send(Ok(event("event", first.0, first.1)?)).map_err(Error::internal)?;
        }
        lock(&self.sessions).push(session.clone());
        lock(&self.answers).push((cx.request_id().to_owned(), pieces));
        let (all, cx) = (Arc::clone(self), cx.clone());
        tokio::spawn(async move {
            let ended = session.run(&cx, &sender).await;
            lock(&all.sessions).retain(|one| !Arc::ptr_eq(one, &session));
            if let Err(error) = ended {
                tracing::error!(%error, "a live tail could not be told");
            }
        });
        Ok(())
    }

    /// The answer to a request, once.
    pub(crate) fn fetch(&self, request_id: &str) -> Option<Pieces> {
        let mut answers = lock(&self.answers);
        // A caller within the server has no use for one: what nobody has fetched before the next session goes.
        let found = answers.iter().position(|(id, _)| id == request_id).map(|at| answers.swap_remove(at).1);
        if answers.len() > 100 {
            answers.clear();
        }
        found
    }
}

impl Session {
    /// An update every second, until nobody listens or the time is up.
    async fn run(&self, cx: &Cx, sender: &mpsc::Sender<std::io::Result<Bytes>>) -> Result<(), Error> {
        let began = cx.now();
        while cx.now().duration_since(began) < LONGEST {
            tokio::time::sleep(EVERY).await;
            let (events, sampled) = std::mem::take(&mut *lock(&self.waiting));
            let update = json!({ "sessionMetadata": { "sampled": sampled }, "sessionResults": events });
            if sender.send(Ok(event("event", "sessionUpdate", &update)?)).await.is_err() {
                return Ok(());
            }
        }
        let text = json!({ "message": "Session has timed out after 3 hours." });
        let _ = sender.send(Ok(event("exception", "SessionTimeoutException", &text)?)).await;
        Ok(())
    }
}

/// A message of `application/vnd.amazon.eventstream`.
fn event(kind: &'static str, name: &'static str, payload: &Value) -> Result<Bytes, Error> {
    let text = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(payload.to_string().into_bytes())
        .add_header(text(":message-type", kind))
        .add_header(text(if kind == "event" { ":event-type" } else { ":exception-type" }, name))
        .add_header(text(":content-type", "application/json"));
    let mut bytes = Vec::new();
    aws_smithy_eventstream::frame::write_message_to(&message, &mut bytes).map_err(Error::internal)?;
    Ok(bytes.into())
}
