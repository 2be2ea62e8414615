//! A request that has begun to change something goes on when its client has gone: hyper drops the future of a request as soon as its
//! connection ends, wherever it waits, and what was done would be done by halves, and be in no trail.
//!
//! As long as the client is there it costs nothing: the future stays in the connection's task, and only moves out of it when it is dropped.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Whether a request has begun something that is to be finished. In the request's extensions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Begun(Arc<AtomicBool>);

impl Begun {
    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A request that is finished where it has [`Begun`].
pub(crate) struct Finished<F: Future<Output: Send> + Send + 'static> {
    request: Option<Pin<Box<F>>>,
    begun: Begun,
}

impl<F: Future<Output: Send> + Send + 'static> Finished<F> {
    pub(crate) fn new(request: F, begun: Begun) -> Self {
        Self { request: Some(Box::pin(request)), begun }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Finished<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(request) = &mut self.request else { return Poll::Pending };
        let polled = request.as_mut().poll(cx);
        if polled.is_ready() {
            self.request = None;
        }
        polled
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Finished<F> {
    fn drop(&mut self) {
        // One that has panicked is not polled again.
        if std::thread::panicking() || !self.begun.0.load(Ordering::Relaxed) {
            return;
        }
        if let (Some(request), Ok(runtime)) = (self.request.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(request);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_has_begun_is_finished_and_the_rest_is_not() {
        for has_begun in [true, false] {
            let (go, gone) = oneshot::channel::<()>();
            let (done, end) = oneshot::channel();
            let begun = Begun::default();
            let note = begun.clone();
            let request = async move {
                if has_begun {
                    note.note();
                }
                let _ = gone.await;
                let _ = done.send(());
            };
            let mut request = Finished::new(request, begun);
            let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut request).poll(cx).is_pending())).await;
            assert!(polled);
            drop(request);
            let _ = go.send(());
            assert_eq!(end.await.is_ok(), has_begun);
        }
    }
}
