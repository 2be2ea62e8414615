//! Bodies of requests: how much of one is taken, how slowly it may come, and what all that are under way hold together.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body, Frame, Incoming};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep, timeout};
use wire::Error;

use crate::BoxError;

/// What is taken of a body, with its signature not looked at yet, from somebody whose key is not known; and of any without asking whose.
pub(crate) const FROM_ANYBODY: usize = 256 << 10;
/// All of that has come by then.
const SMALL_WITHIN: Duration = Duration::from_mins(2);
/// So much of a body that is too large is waited for.
const DISCARDED: usize = 128 << 20;
/// Between two pieces of a body.
const IDLE: Duration = Duration::from_secs(30);
/// A body that has been waited for longer than [`IDLE`] in all has come at this rate at least. (What the server takes to look at what
/// it has got does not count.)
const LEAST_BYTES_A_SECOND: u64 = 256;
/// What larger bodies may hold together until their signatures are looked at, in KiB.
static ROOM: Semaphore = Semaphore::const_new(2 << 20);

/// A body in one piece.
pub(crate) async fn collect(headers: &http::HeaderMap, body: Incoming, limit: usize) -> Result<Bytes, Error> {
    let size = body.size_hint();
    let most = size.upper().map_or(limit, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let mut body = Progressing::new(body);
    if size.lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        // Who waits for 100 (Continue) has not begun to send, and would begin if this was read.
        if !headers.contains_key(http::header::EXPECT) {
            discard(&mut body).await;
        }
        return Err(too_large(limit));
    }
    let gathered = Limited::new(&mut body, limit).collect();
    let gathered = if most > FROM_ANYBODY {
        let kib = u32::try_from(most.min(limit).div_ceil(1 << 10)).unwrap_or(u32::MAX);
        let _room = ROOM.acquire_many(kib).await.map_err(|_| Error::internal("the room for bodies is closed"))?;
        gathered.await
    } else {
        let late = |_| Err(BoxError::from("it took longer than two minutes"));
        timeout(SMALL_WITHIN, gathered).await.unwrap_or_else(late)
    };
    match gathered {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(too_large(limit))
        }
        Err(e) => Err(Error::new("RequestTimeoutException", 400, format!("The request body did not arrive: {e}"))),
    }
}

/// Reads on and keeps nothing: who is still sending would not hear an answer.
async fn discard(body: &mut Progressing) {
    let mut body = Limited::new(body, DISCARDED);
    let reading = async { while let Some(Ok(_)) = body.frame().await {} };
    let _ = timeout(SMALL_WITHIN, reading).await;
}

pub(crate) fn too_large(limit: usize) -> Error {
    Error::new("RequestEntityTooLargeException", 413, format!("The request body is larger than {limit} bytes"))
}

/// A body whose pieces must keep coming.
pub(crate) struct Progressing<B = Incoming> {
    inner: B,
    /// Set while nothing comes: since when, and until when.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    waited: Duration,
    bytes: u64,
    /// The bytes that it has, where its head tells: one that ends before was cut short.
    whole: Option<u64>,
}

impl<B: Body> Progressing<B> {
    pub(crate) fn new(inner: B) -> Self {
        let whole = inner.size_hint().exact();
        Self { inner, waiting: None, waited: Duration::ZERO, bytes: 0, whole }
    }
}

impl<B> Progressing<B> {
    fn is_too_slow(&self) -> bool {
        self.waited > IDLE && self.bytes < self.waited.as_secs().saturating_mul(LEAST_BYTES_A_SECOND)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Progressing<B>
where
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            if let Some((since, _)) = self.waiting.take() {
                self.waited += since.elapsed();
            }
            if let Some(Ok(data)) = frame.as_ref().map(|frame| frame.as_ref().map(Frame::data_ref)) {
                self.bytes += data.map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            }
            if frame.is_some() && self.is_too_slow() {
                return Poll::Ready(Some(Err("it came too slowly".into())));
            }
            if frame.is_none() && self.whole.take().is_some_and(|whole| self.bytes < whole) {
                return Poll::Ready(Some(Err("its client has gone".into())));
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        let start = || (Instant::now(), Box::pin(tokio::time::sleep(IDLE)));
        let (_, deadline) = self.waiting.get_or_insert_with(start);
        match deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err("nothing came for 30 seconds".into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says that it has more than it has.
    struct Cut(Option<Bytes>);

    impl Body for Cut {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
        }
        fn size_hint(&self) -> hyper::body::SizeHint {
            hyper::body::SizeHint::with_exact(if self.0.is_some() { 5 } else { 0 })
        }
    }

    #[tokio::test]
    async fn a_body_that_is_cut_short_is_no_body() {
        let whole = Progressing::new(Cut(Some(Bytes::from_static(b"hello")))).collect().await.unwrap();
        assert_eq!(whole.to_bytes(), "hello");
        assert!(Progressing::new(Cut(Some(Bytes::from_static(b"hell")))).collect().await.is_err());
    }

    #[test]
    fn a_body_that_only_trickles_is_too_slow() {
        let body = |waited: u64, bytes: u64| Progressing {
            inner: (),
            waiting: None,
            waited: Duration::from_secs(waited),
            bytes,
            whole: None,
        };
        assert!(!body(29, 1).is_too_slow());
        assert!(body(58, 2).is_too_slow());
        assert!(!body(58, 58 * LEAST_BYTES_A_SECOND).is_too_slow());
    }
}
