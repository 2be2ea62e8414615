//! A future that is woken by what it does itself is polled again at once, on its thread. hyper wakes the task of a connection for each
//! request with a body: the two ends of the body's channel are both polled by that task. Tokio would put the task behind others and wake
//! another thread to look for it, which takes longer than the whole answer does.
//! Seen: `findings/hyper-body-channel-wakes-its-own-task.sh`; source: tokio 1, `multi_thread/worker.rs` (`schedule_local` of a task that
//! yields).

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// So often a future is polled again before others get their turn.
const TURNS: usize = 8;

/// A future whose own wakes cost nothing.
pub(crate) struct Quiet<F> {
    inner: Pin<Box<F>>,
    bell: Arc<Bell>,
    waker: Waker,
}

impl<F: Future> Quiet<F> {
    pub(crate) fn new(inner: F) -> Self {
        let bell = Arc::new(Bell::default());
        Self { inner: Box::pin(inner), waker: Arc::clone(&bell).into(), bell }
    }
}

impl<F: Future> Future for Quiet<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { inner, bell, waker } = &mut *self;
        bell.answer_to(cx.waker());
        for _ in 0..TURNS {
            bell.polls.store(true, Ordering::SeqCst);
            bell.rang.store(false, Ordering::SeqCst);
            let polled = inner.as_mut().poll(&mut Context::from_waker(waker));
            // In this order, as in `wake_by_ref` the other way round: whoever rings is seen here, or sees that nobody polls.
            bell.polls.store(false, Ordering::SeqCst);
            if polled.is_ready() {
                return polled;
            }
            if !bell.rang.swap(false, Ordering::SeqCst) {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The waker that the future is given.
#[derive(Default)]
struct Bell {
    /// The future is being polled.
    polls: AtomicBool,
    /// It was woken meanwhile.
    rang: AtomicBool,
    /// Who is woken otherwise.
    outer: Mutex<Option<Waker>>,
}

impl Bell {
    fn answer_to(&self, waker: &Waker) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        if !outer.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *outer = Some(waker.clone());
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rang.store(true, Ordering::SeqCst);
        if self.polls.load(Ordering::SeqCst) {
            return;
        }
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// How often a task was woken from outside.
    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn its_own_wakes_are_polls_and_those_of_others_are_wakes() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut cx = Context::from_waker(&waker);
        let (mut polls, mut kept) = (0, None);
        let mut quiet = Quiet::new(std::future::poll_fn(move |cx| {
            polls += 1;
            match polls {
                1 | 2 => cx.waker().wake_by_ref(),
                3 => kept = Some(cx.waker().clone()),
                4 => std::thread::scope(|scope| {
                    let kept = kept.clone();
                    scope.spawn(move || kept.map(Waker::wake));
                }),
                _ => return Poll::Ready(polls),
            }
            if polls == 3 {
                let kept = kept.clone();
                // When nobody polls any more.
                LATE.with(|late| *late.borrow_mut() = kept);
            }
            Poll::Pending
        }));
        assert!(Pin::new(&mut quiet).poll(&mut cx).is_pending());
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
        LATE.with(|late| late.borrow_mut().take()).unwrap().wake();
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
        assert_eq!(Pin::new(&mut quiet).poll(&mut cx), Poll::Ready(5), "what rings in the midst is heard");
    }

    thread_local! {
        static LATE: std::cell::RefCell<Option<Waker>> = const { std::cell::RefCell::new(None) };
    }

    #[test]
    fn one_that_wakes_itself_for_ever_lets_others_have_their_turn() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let mut quiet = Quiet::new(std::future::poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        assert!(Pin::new(&mut quiet).poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    }
}
