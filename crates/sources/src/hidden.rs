//! Messages of a queue that are hidden from others, and stay so while their batch waits: for more messages, for room on the machine, for code
//! that is made ready. On AWS an invocation finds room at once or is throttled at once; here it may wait for longer than the queue's
//! visibility timeout, and a message that is visible again is delivered twice.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use service::Cx;
use wire::Error;

/// Entries of one call of ChangeMessageVisibilityBatch.
const AT_ONCE: usize = 10;
/// So much may have passed since the messages were received before they are hidden anew.
const PROMPT_MS: i64 = 1000;

/// The messages of a batch.
#[derive(Debug)]
pub struct Hidden {
    cx: Cx,
    queue_url: String,
    /// The queue's.
    visibility_ms: i64,
    state: Mutex<State>,
    /// What has been called works on the messages.
    begun: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct State {
    receipts: Vec<String>,
    /// Until when all are hidden.
    until_ms: i64,
    /// One of them is visible again, or gone.
    is_lost: bool,
}

impl Hidden {
    /// Of a queue whose platform's context this is.
    ///
    /// # Errors
    /// Where the queue cannot be asked.
    pub async fn of(cx: Cx, queue_url: String) -> Result<Self, Error> {
        let asked = json!({ "QueueUrl": queue_url, "AttributeNames": ["VisibilityTimeout"] });
        let told = cx.call_json("sqs", "getQueueAttributes", asked).await?;
        let seconds = told["Attributes"]["VisibilityTimeout"].as_str().and_then(|text| text.parse::<i64>().ok());
        let visibility_ms = seconds.unwrap_or(30) * 1000;
        Ok(Self { cx, queue_url, visibility_ms, state: Mutex::default(), begun: AtomicBool::new(false) })
    }

    /// Adds messages that were received now.
    pub fn add(&self, receipts: impl IntoIterator<Item = String>) {
        let until_ms = self.now_ms() + self.visibility_ms;
        let mut state = self.state();
        state.until_ms = if state.receipts.is_empty() { until_ms } else { state.until_ms.min(until_ms) };
        state.receipts.extend(receipts);
    }

    /// Takes messages out that need not be hidden any more.
    pub fn leave(&self, receipts: &[String]) {
        self.state().receipts.retain(|receipt| !receipts.contains(receipt));
    }

    /// Two of it: those messages apart from the others, which go their own way.
    #[must_use]
    pub fn split(&self, apart: &[String]) -> (Self, Self) {
        let state = self.state().clone();
        let (later, first) = state.receipts.iter().cloned().partition(|receipt| apart.contains(receipt));
        let with = |receipts: Vec<String>| Self {
            cx: self.cx.clone(),
            queue_url: self.queue_url.clone(),
            visibility_ms: self.visibility_ms,
            state: Mutex::new(State { receipts, ..state.clone() }),
            begun: AtomicBool::new(false),
        };
        (with(first), with(later))
    }

    /// Keeps them hidden until what has been called begins; does not return.
    pub async fn keep(&self) -> Infallible {
        loop {
            let (lost, until_ms) = {
                let state = self.state();
                (state.is_lost || state.receipts.is_empty(), state.until_ms)
            };
            if lost || self.visibility_ms <= 0 || self.begun.load(Ordering::Relaxed) {
                return std::future::pending().await;
            }
            let wait = until_ms - self.visibility_ms / 2 - self.now_ms();
            if wait > 0 {
                self.cx.router().clock().sleep(Duration::from_millis(wait.unsigned_abs())).await;
            } else if let Err(error) = self.renew().await {
                tracing::warn!(%error, queue = self.queue_url, "a batch that waits cannot be kept hidden");
                if error.status() >= 500 {
                    self.cx.router().clock().sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// What has been called begins, and takes up to that long: all messages are hidden for that, or as long as the queue has it.
    ///
    /// # Errors
    /// Where a message is visible again, or gone: others may have it.
    pub async fn begin(&self, takes: Duration) -> Result<(), Error> {
        let takes_ms = i64::try_from(takes.as_millis()).unwrap_or(i64::MAX).min(self.visibility_ms);
        let (is_lost, left) = {
            let state = self.state();
            (state.is_lost, state.until_ms - self.now_ms())
        };
        if is_lost {
            return Err(lost());
        }
        if left + PROMPT_MS < takes_ms {
            self.renew().await?;
        }
        self.begun.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Hides all messages for the queue's visibility timeout from now on.
    async fn renew(&self) -> Result<(), Error> {
        let (receipts, until_ms) = (self.state().receipts.clone(), self.now_ms() + self.visibility_ms);
        for chunk in receipts.chunks(AT_ONCE) {
            let entry = |(id, receipt): (usize, &String)| json!({ "Id": id.to_string(), "ReceiptHandle": receipt, "VisibilityTimeout": self.visibility_ms / 1000 });
            let entries: Vec<Value> = chunk.iter().enumerate().map(entry).collect();
            let input = json!({ "QueueUrl": self.queue_url, "Entries": entries });
            let answer = self.cx.call_json("sqs", "changeMessageVisibilityBatch", input).await?;
            if answer["Failed"].as_array().is_some_and(|failed| !failed.is_empty()) {
                self.state().is_lost = true;
                return Err(lost());
            }
        }
        let mut state = self.state();
        if state.receipts.len() == receipts.len() {
            state.until_ms = until_ms;
        }
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.cx.now().as_millisecond()
    }
}

fn lost() -> Error {
    Error::new("MessagesVisible", 409, "messages of the batch are visible again, or gone: others may have them")
}
