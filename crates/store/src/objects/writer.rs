//! Writing one body: bytes are digested on their way to the disk, a mebibyte at a time, on the blocking pool. The pieces that come are
//! kept as they are until then: they are not copied together.

use std::io;
use std::mem;

use bytes::{Bytes, BytesMut};

use super::disk::NewFile;
use super::{Backing, BlobId, INLINE_LIMIT, Objects};

const BUFFER: usize = 1024 * 1024;
/// Smaller pieces are copied together: each keeps the memory that it came in, and costs some of its own.
const SMALL: usize = 4096;

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
    waiting: Pieces,
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

/// What came and is not written yet.
#[derive(Debug, Default)]
struct Pieces {
    whole: Vec<Bytes>,
    /// Small ones, which follow the others.
    small: BytesMut,
    bytes: usize,
}

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        self.bytes += piece.len();
        if piece.len() < SMALL {
            self.small.extend_from_slice(&piece);
            return;
        }
        self.close();
        self.whole.push(piece);
    }

    fn close(&mut self) {
        if !self.small.is_empty() {
            self.whole.push(self.small.split().freeze());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close();
        self.bytes = 0;
        mem::take(&mut self.whole)
    }

    fn take_joined(&mut self) -> Bytes {
        let mut pieces = self.take();
        if pieces.len() == 1 { pieces.swap_remove(0) } else { pieces.concat().into() }
    }
}

impl<D: Digest> Writer<D> {
    pub(super) fn new(objects: Objects, digest: D, seal: Option<Box<dyn Seal>>) -> Self {
        let sink = Some(Sink { digest, kept: Kept::Nothing, seal });
        Self { objects, waiting: Pieces::default(), size: 0, sink }
    }

    /// How many bytes it has been given.
    pub fn size(&self) -> u64 {
        self.size
    }

    pub async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        // What may be the last block is left to `finish`, which has more to do on the same thread.
        if self.waiting.bytes >= BUFFER && !bytes.is_empty() {
            let (sink, pieces, objects) = (self.take_sink()?, self.waiting.take(), self.objects.clone());
            self.sink = Some(self.objects.work(move || sink.write(&pieces, false, &objects)).await?);
        }
        self.size += bytes.len() as u64;
        self.waiting.push(bytes);
        Ok(())
    }

    /// Makes what was written durable. Nothing names the blob yet: that is the caller's next transaction.
    pub async fn finish(mut self) -> io::Result<Written<D>> {
        let size = self.size;
        let sink = self.take_sink()?;
        if matches!(sink.kept, Kept::Nothing) && self.waiting.bytes <= INLINE_LIMIT {
            let bytes = self.waiting.take_joined();
            let Sink { mut digest, seal, .. } = sink;
            digest.update(&bytes);
            let body = match seal {
                Some(mut seal) => seal.seal(&bytes, true)?.into(),
                None => bytes,
            };
            return Ok(Written { body: Body::Inline(body), size, digest });
        }
        let (pieces, objects) = (self.waiting.take(), self.objects.clone());
        let written = move || {
            let Sink { digest, kept, .. } = sink.write(&pieces, true, &objects)?;
            drop(pieces);
            Ok((digest, kept.keep(&objects)?))
        };
        let (digest, kept) = self.objects.work(written).await?;
        let id = match (kept, &*self.objects.0) {
            (Done::Here(id), _) => id,
            (Done::Sends(file), Backing::Remote(remote)) => remote.keep(file).await?,
            (Done::Sends(_), Backing::Disk(_) | Backing::Memory(_)) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        Ok(Written { body: Body::Blob(id), size, digest })
    }

    fn take_sink(&mut self) -> io::Result<Sink<D>> {
        self.sink.take().ok_or_else(|| io::Error::other("an earlier write of this body has failed"))
    }
}

impl<D: Digest> Sink<D> {
    /// Digests and keeps pieces, one after the other while it is in the processor's cache. `last`: no more come. Blocks.
    fn write(mut self, pieces: &[Bytes], last: bool, objects: &Objects) -> io::Result<Self> {
        for piece in pieces {
            self.digest.update(piece);
            match &mut self.seal {
                Some(seal) => {
                    let sealed = seal.seal(piece, false)?;
                    self.kept.write(&sealed, objects)?;
                }
                None => self.kept.write(piece, objects)?,
            }
        }
        if last && let Some(seal) = &mut self.seal {
            let sealed = seal.seal(&[], true)?;
            self.kept.write(&sealed, objects)?;
        }
        Ok(self)
    }
}

/// A body of which all is written.
enum Done {
    /// Durable.
    Here(BlobId),
    /// To be sent where it will be durable.
    Sends(NewFile),
}

impl Kept {
    fn write(&mut self, bytes: &[u8], objects: &Objects) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        match (&mut *self, &*objects.0) {
            (Self::File(file), _) => file.write(bytes)?,
            (Self::Memory(memory), _) => memory.extend_from_slice(bytes),
            (Self::Nothing, Backing::Memory(_)) => *self = Self::Memory(BytesMut::from(bytes)),
            (Self::Nothing, Backing::Disk(_) | Backing::Remote(_)) => {
                let mut file = objects.folder().ok_or(io::ErrorKind::InvalidInput)?.create()?;
                file.write(bytes)?;
                *self = Self::File(file);
            }
        }
        Ok(())
    }

    fn keep(self, objects: &Objects) -> io::Result<Done> {
        match (self, &*objects.0) {
            (Self::File(file), Backing::Remote(_)) => Ok(Done::Sends(file)),
            (Self::File(file), Backing::Disk(_) | Backing::Memory(_)) => file.keep().map(Done::Here),
            (Self::Memory(bytes), Backing::Memory(memory)) => Ok(Done::Here(memory.keep(bytes.freeze()))),
            (Self::Memory(_), Backing::Disk(_) | Backing::Remote(_)) => Err(io::ErrorKind::InvalidInput.into()),
            (Self::Nothing, _) => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
