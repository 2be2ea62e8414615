//! Responses that are sent while the function writes them: `InvokeWithResponseStream`, whose answer is a stream of events, and function
//! URLs in `RESPONSE_STREAM` mode. What a function writes at once is one piece.
//! Source: Lambda Developer Guide, "Response streaming for Lambda functions".

use std::sync::PoisonError;

use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use service::Cx;
use tokio::sync::mpsc;
use wire::Error;

use crate::Lambda;
use crate::failure;
use crate::invoke::{Call, Finished};

/// Source: Lambda quotas: "200 MB for streamed responses".
pub(crate) const MAX_STREAM_BYTES: usize = 200 << 20;
/// Pieces on the way before the function has to wait.
const PIECES: usize = 16;
/// Streams that nobody fetched are let go after this: a caller within the server has no use for one.
const UNFETCHED: jiff::SignedDuration = jiff::SignedDuration::from_secs(60);

/// What the front sends on; an error breaks the connection.
pub type Pieces = mpsc::Receiver<std::io::Result<Bytes>>;

/// What happens to a streamed invocation, in this order.
#[derive(Debug)]
pub(crate) enum Piece {
    /// The environment is there and gets the event.
    Began {
        version: String,
    },
    /// The function writes piece by piece.
    Head {
        content_type: Option<String>,
    },
    Data(Bytes),
    End(Box<Finished>),
    /// The function was not called.
    Refused(Error),
}

impl Lambda {
    /// Runs a function, as on AWS to its end though its caller hangs up.
    pub(crate) fn run_streaming(&self, cx: &Cx, mut call: Call) -> Result<mpsc::Receiver<Piece>, Error> {
        let me = self.me.upgrade().ok_or_else(|| Error::internal("the service is shutting down"))?;
        let (cx, (sink, pieces)) = (cx.clone(), mpsc::channel(PIECES));
        call.sink = Some(sink.clone());
        tokio::spawn(async move {
            let end = match me.run(&cx, call, None).await {
                Ok(finished) => {
                    if !finished.failed && !finished.streamed {
                        let _ = sink.send(Piece::Data(finished.payload.clone())).await;
                    }
                    Piece::End(Box::new(finished))
                }
                Err(error) => Piece::Refused(error),
            };
            let _ = sink.send(end).await;
        });
        Ok(pieces)
    }

    /// The version that runs, and its answer as events under the request's id, for the front to fetch.
    pub(crate) async fn stream(&self, cx: &Cx, call: Call, with_log: bool) -> Result<String, Error> {
        let mut pieces = self.run_streaming(cx, call)?;
        let (sender, events) = mpsc::channel(PIECES);
        let first = pieces.recv().await.ok_or_else(|| Error::internal("an invocation without an end"))?;
        let version = match &first {
            Piece::Refused(error) => return Err(error.clone()),
            Piece::Began { version } => version.clone(),
            Piece::End(finished) => finished.version.clone(),
            Piece::Head { .. } | Piece::Data(_) => String::new(),
        };
        let now = cx.now();
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|_, (since, _)| now.duration_since(*since) < UNFETCHED);
        streams.insert(cx.request_id().to_owned(), (now, events));
        drop(streams);
        tokio::spawn(async move {
            let mut next = Some(first);
            while let Some(piece) = next {
                if let Some(event) = event(piece, with_log)
                    && sender.send(Ok(event)).await.is_err()
                {
                    // Who hung up does not hold up the function: what still comes is dropped with the receiver.
                    return;
                }
                next = pieces.recv().await;
            }
        });
        Ok(version)
    }

    /// The answer of `InvokeWithResponseStream` to a request, once.
    pub fn fetch_stream(&self, request_id: &str) -> Option<Pieces> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.remove(request_id).map(|(_, events)| events)
    }
}

/// A piece as an event of `application/vnd.amazon.eventstream`.
fn event(piece: Piece, with_log: bool) -> Option<Bytes> {
    let (kind, content_type, payload) = match piece {
        Piece::Began { .. } | Piece::Head { .. } | Piece::Refused(_) => return None,
        Piece::Data(data) if data.is_empty() => return None,
        Piece::Data(data) => ("PayloadChunk", "application/octet-stream", data),
        Piece::End(finished) => ("InvokeComplete", "application/json", complete(&finished, with_log)),
    };
    let text = |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
    let message = Message::new(payload)
        .add_header(text(":message-type", "event"))
        .add_header(text(":event-type", kind))
        .add_header(text(":content-type", content_type));
    let mut bytes = Vec::new();
    match aws_smithy_eventstream::frame::write_message_to(&message, &mut bytes) {
        Ok(()) => Some(bytes.into()),
        Err(error) => {
            tracing::error!(%error, "an event could not be written");
            None
        }
    }
}

fn complete(finished: &Finished, with_log: bool) -> Bytes {
    let mut told = serde_json::Map::new();
    if finished.failed {
        let code = failure::kind_of(&finished.payload).unwrap_or_else(|| "Unhandled".to_owned());
        told.insert("ErrorCode".to_owned(), code.into());
        told.insert("ErrorDetails".to_owned(), String::from_utf8_lossy(&finished.payload).into());
    }
    if with_log {
        told.insert("LogResult".to_owned(), finished.tail.clone().into());
    }
    serde_json::Value::Object(told).to_string().into()
}
