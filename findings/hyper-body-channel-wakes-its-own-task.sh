#!/usr/bin/env bash
# hyper 1.6.0 and 1.12.0, HTTP/1 server: a request whose small body came with its head, and is read and answered without waiting for
# anything, wakes the task that is just polling it, so that the connection is polled once more for nothing; one without a body does
# not. On Tokio's multi-threaded runtime a task that wakes itself is put behind others, and another worker is woken to look for it: a
# thread switch for each request.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
run() {
    mkdir -p "$folder/$1/src"
    cat > "$folder/$1/Cargo.toml" <<TOML
[package]
name = "polls"
version = "0.0.0"
edition = "2021"
[workspace]
[dependencies]
hyper = { version = "=$1", features = ["server", "http1"] }
hyper-util = { version = "=0.1.11", features = ["tokio"] }
http-body-util = "=0.1.3"
bytes = "1"
tokio = { version = "1", features = ["rt", "io-util"] }
TOML
    cat > "$folder/$1/src/main.rs" <<'RUST'
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, atomic::{AtomicBool, AtomicUsize, Ordering}};
use std::task::{Context, Poll, Wake, Waker};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Counts the wakes that come while the future is being polled, by its own thread.
struct Counted<F> { inner: Pin<Box<F>>, bell: Arc<Bell> }
#[derive(Default)]
struct Bell { polling: AtomicBool, own: AtomicUsize, outer: std::sync::Mutex<Option<Waker>> }
impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        if self.polling.load(Ordering::SeqCst) { self.own.fetch_add(1, Ordering::SeqCst); }
        let outer = self.outer.lock().unwrap().clone();
        if let Some(outer) = outer { outer.wake() }
    }
}
impl<F: Future> Future for Counted<F> {
    type Output = F::Output;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        *self.bell.outer.lock().unwrap() = Some(cx.waker().clone());
        let waker = Waker::from(self.bell.clone());
        self.bell.polling.store(true, Ordering::SeqCst);
        let polled = self.inner.as_mut().poll(&mut Context::from_waker(&waker));
        self.bell.polling.store(false, Ordering::SeqCst);
        polled
    }
}

async fn wakes(request: &'static [u8]) -> usize {
    let (mut client, server) = tokio::io::duplex(65536);
    let service = hyper::service::service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(hyper::Response::new(Full::<Bytes>::new(body)))
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(server), service);
    let bell = Arc::new(Bell::default());
    let served = tokio::task::spawn_local(Counted { inner: Box::pin(connection), bell: bell.clone() });
    let mut answer = [0; 4096];
    for _ in 0..10 {
        client.write_all(request).await.unwrap();
        let read = client.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        tokio::task::yield_now().await;
    }
    drop(client);
    let _ = served.await;
    bell.own.load(Ordering::SeqCst)
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let without = wakes(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n").await;
        let with = wakes(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}").await;
        println!("{without} {with}");
    });
}
RUST
    (cd "$folder/$1" && cargo run --quiet)
}
older=$(run 1.6.0) newer=$(run 1.12.0)
echo "own wakes of ten requests without and with a body: hyper 1.6.0 $older, hyper 1.12.0 $newer"
[ "$older" = "0 10" ] && [ "$newer" = "0 10" ]
