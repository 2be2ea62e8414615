//! Connections of other nodes, counted for as long as they are open: until one has proven to be a node's it is anybody's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_rustls::server::TlsStream;

use crate::tls::Tls;

/// A budget of their own: neither they nor clients can keep the others out.
static OPEN: Semaphore = Semaphore::const_new(1024);

/// A connection of another node. It gives its place back when it is dropped.
#[derive(Debug)]
pub struct Counted<S>(S, SemaphorePermit<'static>);

impl Counted<TcpStream> {
    /// None where there are as many as may be.
    pub(crate) fn new(stream: TcpStream) -> Option<Self> {
        let Ok(place) = OPEN.try_acquire() else {
            tracing::warn!("too many connections of other nodes: one more is closed");
            return None;
        };
        Some(Self(stream, place))
    }

    /// # Errors
    /// When the handshake fails, or takes too long.
    pub async fn by_tls(self, tls: &Tls) -> io::Result<Counted<TlsStream<TcpStream>>> {
        let Self(stream, place) = self;
        Ok(Counted(tls.accept(stream).await?, place))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
