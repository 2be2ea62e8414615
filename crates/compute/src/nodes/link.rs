//! A connection between two nodes. Each proves to the other that it knows the nodes' secret, by a number that the other has made for
//! this connection alone; then frames of JSON go both ways.
//!
//! What goes over it is neither encrypted nor held together by this: where others reach the network between nodes, TLS goes below.

use std::fmt;
use std::io;

use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio_util::codec::{FramedRead, FramedWrite, LengthDelimitedCodec};

/// What a connection between nodes begins with; no HTTP request does, and no TLS handshake.
pub const MAGIC: &[u8; 9] = b"\0lakenode";
const NONCE: usize = 32;
const TAG: usize = 32;
/// An answer of a query's worker has 256 MiB at most.
const MAX_FRAME: usize = 300 << 20;

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

pub type Wire = Box<dyn Stream>;

/// What nodes know each other by, and whose time it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Keys {
    pub secret: Vec<u8>,
    /// The owner's.
    pub fence: i64,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.fence)
    }
}

impl Keys {
    fn tag(&self, side: &str, mine: &[u8], theirs: &[u8]) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        hmac::sign(&key, &self.said(side, mine, theirs))
    }

    fn verify(&self, side: &str, (mine, theirs): (&[u8], &[u8]), tag: &[u8]) -> io::Result<()> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        hmac::verify(&key, &self.said(side, mine, theirs), tag)
            .map_err(|_| io::Error::other("the other end is no node of this time"))
    }

    fn said(&self, side: &str, mine: &[u8], theirs: &[u8]) -> Vec<u8> {
        [b"lakerun node 1 ", side.as_bytes(), &self.fence.to_be_bytes(), mine, theirs].concat()
    }
}

fn nonce() -> io::Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    SystemRandom::new().fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
    Ok(nonce)
}

/// The end that has opened the connection.
///
/// # Errors
/// When the other end does not prove itself, or closes.
pub async fn connect(mut wire: Wire, keys: &Keys) -> io::Result<Link> {
    let mine = nonce()?;
    wire.write_all(&mine).await?;
    let (mut theirs, mut tag) = ([0; NONCE], [0; TAG]);
    wire.read_exact(&mut theirs).await?;
    wire.write_all(keys.tag("connects", &mine, &theirs).as_ref()).await?;
    wire.flush().await?;
    wire.read_exact(&mut tag).await?;
    keys.verify("accepts", (&mine, &theirs), &tag)?;
    Ok(Link::new(wire))
}

/// The end that has accepted it. It proves itself to who has proven to be a node, and to no one else.
///
/// # Errors
/// When the other end does not prove itself, or closes.
pub async fn accept(mut wire: Wire, keys: &Keys) -> io::Result<Link> {
    let mine = nonce()?;
    let (mut theirs, mut tag) = ([0; NONCE], [0; TAG]);
    wire.read_exact(&mut theirs).await?;
    wire.write_all(&mine).await?;
    wire.flush().await?;
    wire.read_exact(&mut tag).await?;
    keys.verify("connects", (&theirs, &mine), &tag)?;
    wire.write_all(keys.tag("accepts", &theirs, &mine).as_ref()).await?;
    wire.flush().await?;
    Ok(Link::new(wire))
}

/// A connection whose ends know each other.
pub struct Link {
    pub receiver: Receiver,
    pub sender: Sender,
}

pub struct Receiver(FramedRead<ReadHalf<Wire>, LengthDelimitedCodec>);

pub struct Sender(FramedWrite<WriteHalf<Wire>, LengthDelimitedCodec>);

impl Link {
    fn new(wire: Wire) -> Self {
        let codec = || LengthDelimitedCodec::builder().max_frame_length(MAX_FRAME).new_codec();
        let (read, write) = tokio::io::split(wire);
        Self { receiver: Receiver(FramedRead::new(read, codec())), sender: Sender(FramedWrite::new(write, codec())) }
    }

    pub async fn recv<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        self.receiver.recv().await
    }

    pub async fn send(&mut self, message: &(impl Serialize + Sync)) -> io::Result<()> {
        self.sender.send(message).await
    }
}

impl Receiver {
    /// The next message; nothing of it is lost when this is dropped.
    pub async fn recv<T: DeserializeOwned>(&mut self) -> io::Result<T> {
        match self.0.next().await {
            Some(frame) => Ok(serde_json::from_slice(&frame?)?),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl Sender {
    pub async fn send(&mut self, message: &(impl Serialize + Sync)) -> io::Result<()> {
        self.0.send(Bytes::from(serde_json::to_vec(message)?)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn meet(one: &Keys, other: &Keys) -> (io::Result<Link>, io::Result<Link>) {
        let (here, there) = tokio::io::duplex(1 << 16);
        tokio::join!(connect(Box::new(here), one), accept(Box::new(there), other))
    }

    #[tokio::test]
    async fn nodes_of_one_secret_and_one_time_meet() {
        let keys = Keys { secret: vec![7; 32], fence: 3 };
        let (here, there) = meet(&keys, &keys).await;
        let (mut here, mut there) = (here.unwrap(), there.unwrap());
        here.send(&"hello".to_owned()).await.unwrap();
        assert_eq!(there.recv::<String>().await.unwrap(), "hello");
        drop(here);
        assert_eq!(there.recv::<String>().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for other in [Keys { secret: vec![8; 32], ..keys.clone() }, Keys { fence: 4, ..keys.clone() }] {
            let (here, there) = meet(&keys, &other).await;
            assert!(here.is_err() && there.is_err());
        }
    }
}
