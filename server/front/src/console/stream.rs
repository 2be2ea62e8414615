//! One stream of events to an open page (server-sent events): which services have written something, so that a page reads again
//! what it shows, and only then. A page on which nothing changes asks nothing. Source of the format: HTML Standard, 9.2.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};
use service::Platform;
use store::{Changes, Key, Store};
use tokio::sync::mpsc;
use wire::Error;

use crate::{BoxError, ResponseBody};

/// Owners of records in the control store, by the name of what they concern.
const CONTROL: [&str; 18] = [
    "states",
    "glue",
    "athena",
    "lambda",
    "logs",
    "metrics",
    "sqs",
    "sns",
    "events",
    "cloudformation",
    "sagemaker",
    "iam",
    "secretsmanager",
    "lineage",
    "alarms",
    "kms",
    "ssm",
    "ecr",
];
/// How often the counts are looked at: a look is some reads of memory.
const LOOK: Duration = Duration::from_millis(200);
/// Looks between two events at least, so that a busy server does not make its pages busy.
const PAUSE: Duration = Duration::from_millis(700);
/// Between two signs of life, by which both sides see that the other is gone.
const ALIVE: Duration = Duration::from_secs(25);
const MAX_STREAMS: usize = 256;

pub(super) struct Topics {
    topics: Vec<(&'static str, Changes)>,
    open: Arc<AtomicUsize>,
}

impl Topics {
    pub(super) fn new(platform: &Platform) -> Self {
        let mut topics: Vec<_> = CONTROL.iter().map(|name| (*name, owned(platform.control.store(), name))).collect();
        topics.push(("s3", Changes::new(platform.s3.store(), |_| true)));
        topics.push(("dynamodb", Changes::new(platform.dynamodb.store(), |_| true)));
        Self { topics, open: Arc::default() }
    }

    /// `asked`: names with commas between.
    pub(super) fn listen(&self, asked: &str) -> Result<http::Response<ResponseBody>, Error> {
        let mut wanted = Vec::new();
        for name in asked.split(',').filter(|name| !name.is_empty()) {
            let topic = self.topics.iter().find(|(topic, _)| *topic == name);
            wanted.push(topic.cloned().ok_or_else(|| Error::validation(format!("There is no topic {name}")))?);
        }
        let permit = Permit::take(&self.open)?;
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(tell(wanted, sender, permit));
        let mut response = http::Response::new(Events(receiver).boxed_unsync());
        let headers = response.headers_mut();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/event-stream"));
        headers.insert(http::header::CACHE_CONTROL, http::HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

fn owned(store: &Store, owner: &str) -> Changes {
    let prefix = Key::new(owner);
    Changes::new(store, move |key| key.starts_with(prefix.as_bytes()))
}

async fn tell(topics: Vec<(&'static str, Changes)>, sender: mpsc::Sender<Bytes>, _permit: Permit) {
    let counts = || topics.iter().map(|(_, changes)| changes.count()).collect::<Vec<_>>();
    let mut seen = counts();
    let mut quiet = Duration::ZERO;
    let mut text = Bytes::from_static(b"retry: 2000\n: open\n\n");
    loop {
        if sender.send(text.clone()).await.is_err() {
            return;
        }
        let mut since = Duration::ZERO;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = sender.closed() => return,
            }
            since += LOOK;
            quiet += LOOK;
            let now = counts();
            if now != seen && since >= PAUSE {
                let changed = topics.iter().zip(seen.iter().zip(&now)).filter(|(_, (old, new))| old != new);
                let names: Vec<_> = changed.map(|((name, _), _)| *name).collect();
                text = format!("data: {}\n\n", names.join(",")).into();
                (seen, quiet) = (now, Duration::ZERO);
                break;
            }
            if quiet >= ALIVE {
                text = Bytes::from_static(b":\n\n");
                quiet = Duration::ZERO;
                break;
            }
        }
    }
}

/// One of the streams that may be open at once.
struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(open: &Arc<AtomicUsize>) -> Result<Self, Error> {
        let permit = Self(open.clone());
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            return Err(Error::throttling("Too many pages of the console are open"));
        }
        Ok(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Events(mpsc::Receiver<Bytes>);

impl Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.poll_recv(cx).map(|text| text.map(|text| Ok(Frame::data(text))))
    }
}
