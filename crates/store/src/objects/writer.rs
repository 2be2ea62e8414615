//! Writing one body: bytes are digested on their way to the disk, a mebibyte at a time, on the blocking pool.

use std::io;
use std::mem;

use bytes::{Bytes, BytesMut};

use super::disk::{NewFile, blocking};
use super::{Backing, BlobId, INLINE_LIMIT, Objects};

const BUFFER: usize = 1024 * 1024;

/// Sees every byte of a body once, in order.
pub trait Digest: Send + 'static {
    fn update(&mut self, bytes: &[u8]);
}

impl Digest for () {
    fn update(&mut self, _: &[u8]) {}
}

/// Changes a body on its way to where it is kept, e.g. encrypts it. The digest sees it as it came.
pub trait Seal: Send + 'static {
    /// The next bytes to keep. `last`: no more come; this is called once with it, and nothing after.
    fn seal(&mut self, bytes: &[u8], last: bool) -> io::Result<Vec<u8>>;
}

/// Where a finished body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// At most [`INLINE_LIMIT`] bytes, for the caller to keep.
    Inline(Bytes),
    /// Durable under this name.
    Blob(BlobId),
}

#[derive(Debug)]
pub struct Written<D> {
    pub body: Body,
    pub size: u64,
    pub digest: D,
}

/// A body on its way in.
#[derive(Debug)]
pub struct Writer<D> {
    objects: Objects,
    buffer: BytesMut,
    size: u64,
    /// Away while a block is being written; gone for good once writing has failed.
    sink: Option<Sink<D>>,
}

struct Sink<D> {
    digest: D,
    kept: Kept,
    seal: Option<Box<dyn Seal>>,
}

impl<D> std::fmt::Debug for Sink<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sink({:?})", self.kept)
    }
}

#[derive(Debug)]
enum Kept {
    Nothing,
    File(NewFile),
    Memory(BytesMut),
}

impl<D: Digest> Writer<D> {
    pub(super) fn new(objects: Objects, digest: D, seal: Option<Box<dyn Seal>>) -> Self {
        let sink = Some(Sink { digest, kept: Kept::Nothing, seal });
        Self { objects, buffer: BytesMut::new(), size: 0, sink }
    }

    /// How many bytes it has been given.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.size += bytes.len() as u64;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush(false).await } else { Ok(()) }
    }

    /// Makes what was written durable. Nothing names the blob yet: that is the caller's next transaction.
    pub async fn finish(mut self) -> io::Result<Written<D>> {
        if matches!(&self.sink, Some(Sink { kept: Kept::Nothing, .. })) && self.buffer.len() <= INLINE_LIMIT {
            let Sink { mut digest, seal, .. } = self.take_sink()?;
            digest.update(&self.buffer);
            let body = match seal {
                Some(mut seal) => seal.seal(&self.buffer, true)?.into(),
                None => self.buffer.freeze(),
            };
            return Ok(Written { body: Body::Inline(body), size: self.size, digest });
        }
        self.flush(true).await?;
        let Sink { digest, kept, .. } = self.take_sink()?;
        let id = match kept {
            Kept::File(file) => match &*self.objects.0 {
                Backing::Remote(remote) => remote.keep(file).await?,
                Backing::Disk(_) | Backing::Memory(_) => blocking(move || file.keep()).await?,
            },
            Kept::Memory(bytes) => match &*self.objects.0 {
                Backing::Memory(memory) => memory.keep(bytes.freeze()),
                Backing::Disk(_) | Backing::Remote(_) => return Err(io::ErrorKind::InvalidInput.into()),
            },
            Kept::Nothing => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        Ok(Written { body: Body::Blob(id), size: self.size, digest })
    }

    async fn flush(&mut self, last: bool) -> io::Result<()> {
        let Sink { mut digest, mut kept, mut seal } = self.take_sink()?;
        let mut block = mem::take(&mut self.buffer);
        let objects = self.objects.clone();
        let sink = blocking(move || {
            digest.update(&block);
            if let Some(seal) = &mut seal {
                block = BytesMut::from(Bytes::from(seal.seal(&block, last)?));
            }
            match (&mut kept, &*objects.0) {
                (Kept::File(file), _) => file.write(&block)?,
                (Kept::Memory(bytes), _) => bytes.extend_from_slice(&block),
                (Kept::Nothing, Backing::Memory(_)) => kept = Kept::Memory(block),
                (Kept::Nothing, Backing::Disk(_) | Backing::Remote(_)) => {
                    let mut file = objects.folder().ok_or(io::ErrorKind::InvalidInput)?.create()?;
                    file.write(&block)?;
                    kept = Kept::File(file);
                }
            }
            Ok(Sink { digest, kept, seal })
        })
        .await?;
        self.sink = Some(sink);
        Ok(())
    }

    fn take_sink(&mut self) -> io::Result<Sink<D>> {
        self.sink.take().ok_or_else(|| io::Error::other("an earlier write of this body has failed"))
    }
}
