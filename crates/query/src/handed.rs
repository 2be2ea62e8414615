//! Objects whose open files the server next door hands over: their bytes are read where they lie, not sent through HTTP. Everything else
//! goes to the store beneath. What the server does not hand over (small, encrypted, of many parts) is read there too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, Write as _};
use std::ops::Range;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::FileExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(20);
/// Files that one statement holds open; what comes after them is read over HTTP.
const MOST_OPEN: usize = 1024;
/// Reads of less do not pay for the question.
const LEAST: u64 = 64 << 10;
/// How much one read of a stream brings into memory.
const CHUNK: u64 = 1 << 20;

/// Ranges of an object that lie no further apart are read at once. `object_store` has 1 MiB, which is right where a request goes a long
/// way and reads most of a row group for a few of its columns; to the server next door a request costs what some 200 KiB do.
const NEAR: u64 = 128 << 10;

/// One bucket.
#[derive(Debug)]
pub(crate) struct Handed {
    remote: AmazonS3,
    socket: PathBuf,
    known: Mutex<BTreeMap<Path, Known>>,
}

/// `None`: it was asked for, and is read over HTTP.
type Known = Option<Arc<Local>>;

/// An object's files, in the order of its bytes.
#[derive(Debug)]
struct Local {
    files: Vec<(File, u64)>,
    meta: ObjectMeta,
}

#[derive(Serialize)]
struct Asked<'a> {
    uri: &'a str,
    host: &'a str,
}

#[derive(Deserialize)]
struct Answered {
    sizes: Vec<u64>,
    etag: Option<String>,
    last_modified: Option<String>,
}

impl Handed {
    pub(crate) fn new(remote: AmazonS3, socket: PathBuf) -> Self {
        Self { remote, socket, known: Mutex::default() }
    }

    /// The object's files, asked for once.
    async fn local(&self, location: &Path) -> Known {
        {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = known.get(location) {
                return known.clone();
            }
            if known.values().flatten().map(|local| local.files.len()).sum::<usize>() >= MOST_OPEN {
                return None;
            }
        }
        // Whatever goes wrong here: HTTP says it better.
        let local = self.ask(location).await.ok().flatten().map(Arc::new);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(location.clone()).or_insert(local).clone()
    }

    async fn ask(&self, location: &Path) -> io::Result<Option<Local>> {
        let url = self.remote.signed_url(http::Method::GET, location, PATIENCE * 3).await.map_err(io::Error::other)?;
        let uri = url[url::Position::BeforePath..].to_owned();
        let host = url[url::Position::BeforeHost..url::Position::AfterPort].to_owned();
        let (socket, location) = (self.socket.clone(), location.clone());
        blocking(move || {
            let stream = UnixStream::connect(&socket)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let mut line = serde_json::to_vec(&Asked { uri: &uri, host: &host })?;
            line.push(b'\n');
            (&stream).write_all(&line)?;
            let (answered, files) = receive(&stream)?;
            let size = answered.sizes.iter().sum();
            if files.is_empty() || files.len() != answered.sizes.len() {
                return Ok(None);
            }
            let modified = answered.last_modified.as_deref();
            let Some(last_modified) = modified.and_then(|text| chrono::DateTime::parse_from_rfc2822(text).ok()) else {
                return Ok(None);
            };
            let meta =
                ObjectMeta { location, last_modified: last_modified.into(), size, e_tag: answered.etag, version: None };
            Ok(Some(Local { files: files.into_iter().zip(answered.sizes).collect(), meta }))
        })
        .await
    }
}

fn receive(stream: &UnixStream) -> io::Result<(Answered, Vec<File>)> {
    use sendfd::RecvWithFd as _;
    let mut bytes = vec![0; 16 << 10];
    let mut descriptors: [RawFd; 253] = [-1; 253];
    let (length, count) = stream.recv_with_fd(&mut bytes, &mut descriptors)?;
    let files = descriptors[..count].iter().map(|descriptor| File::from(owned(*descriptor))).collect();
    bytes.truncate(length);
    if bytes.last() != Some(&b'\n') {
        io::BufReader::new(stream).read_until(b'\n', &mut bytes)?;
    }
    Ok((serde_json::from_slice(&bytes)?, files))
}

#[expect(
    unsafe_code,
    reason = "the standard library has no other way from a received descriptor to one that closes itself"
)]
fn owned(descriptor: RawFd) -> OwnedFd {
    // SAFETY: `recv_with_fd` has just received it for this process; nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

impl Local {
    /// The bytes of a range that lies within the object. Blocks.
    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let (mut start, mut done) = (0, 0);
        for (file, size) in &self.files {
            let (from, to) = (range.start.max(start), range.end.min(start + size));
            if from < to {
                let end = done + usize::try_from(to - from).map_err(io::Error::other)?;
                file.read_exact_at(&mut bytes[done..end], from - start)?;
                done = end;
            }
            start += size;
        }
        if done < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(bytes.into())
    }

    fn stream(self: Arc<Self>, range: Range<u64>) -> BoxStream<'static, object_store::Result<Bytes>> {
        let chunks = futures::stream::try_unfold((self, range), |(local, range)| async move {
            if range.is_empty() {
                return Ok(None);
            }
            let end = range.end.min(range.start + CHUNK);
            let (own, part) = (Arc::clone(&local), range.start..end);
            let bytes = blocking(move || own.read(part)).await.map_err(failed)?;
            Ok(Some((bytes, (local, end..range.end))))
        });
        chunks.boxed()
    }
}

fn failed(source: io::Error) -> object_store::Error {
    object_store::Error::Generic { store: "handed over", source: source.into() }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Whether the bytes alone are asked for, and enough of them.
fn is_plain(options: &GetOptions) -> bool {
    let large = match &options.range {
        None | Some(object_store::GetRange::Offset(_)) => true,
        Some(object_store::GetRange::Bounded(range)) => range.end.saturating_sub(range.start) >= LEAST,
        Some(object_store::GetRange::Suffix(length)) => *length >= LEAST,
    };
    large
        && !options.head
        && options.version.is_none()
        && options.if_match.is_none()
        && options.if_none_match.is_none()
        && options.if_modified_since.is_none()
        && options.if_unmodified_since.is_none()
}

impl std::fmt::Display for Handed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.remote.fmt(f)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Handed {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> object_store::Result<PutResult> {
        self.remote.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        self.remote.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        if !is_plain(&options) {
            return self.remote.get_opts(location, options).await;
        }
        let Some(local) = self.local(location).await else { return self.remote.get_opts(location, options).await };
        let size = local.meta.size;
        let range = match options.range {
            None => 0..size,
            Some(object_store::GetRange::Bounded(range)) if range.start < size => range.start..range.end.min(size),
            Some(object_store::GetRange::Offset(start)) if start < size => start..size,
            Some(object_store::GetRange::Suffix(length)) => size.saturating_sub(length)..size,
            // What is wrong with the range, S3 says.
            Some(_) => return self.remote.get_opts(location, options).await,
        };
        let meta = local.meta.clone();
        let payload = GetResultPayload::Stream(local.stream(range.clone()));
        Ok(GetResult { payload, meta, range, attributes: Attributes::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        if ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>() >= LEAST
            && let Some(local) = self.local(location).await
            && ranges.iter().all(|range| range.start <= range.end && range.end <= local.meta.size)
        {
            let ranges = ranges.to_vec();
            return blocking(move || ranges.into_iter().map(|range| local.read(range)).collect()).await.map_err(failed);
        }
        let read = |range: Range<u64>| async move {
            let options = GetOptions { range: Some(range.into()), ..GetOptions::default() };
            self.remote.get_opts(location, options).await?.bytes().await
        };
        object_store::coalesce_ranges(ranges, read, NEAR).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        self.remote.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        self.remote.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.remote.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        self.remote.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    use object_store::aws::AmazonS3Builder;
    use sendfd::SendWithFd as _;

    use super::*;

    /// A server that hands over the object `a` as two files, and nothing else.
    fn server(socket: &std::path::Path, folder: &std::path::Path) {
        let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                let mut line = String::new();
                io::BufReader::new(&stream).read_line(&mut line).unwrap();
                if !line.contains("/b/a?") {
                    (&stream).write_all(b"{\"status\":404,\"sizes\":[]}\n").unwrap();
                    continue;
                }
                let files = ["1", "2"].map(|name| File::open(folder.join(name)).unwrap());
                let descriptors = files.each_ref().map(std::os::fd::AsRawFd::as_raw_fd);
                let answer =
                    b"{\"sizes\":[100000,50000],\"etag\":\"x\",\"last_modified\":\"Tue, 01 Oct 2024 00:00:00 GMT\"}\n";
                // Cut in two, as it may come.
                let sent = stream.send_with_fd(&answer[..20], &descriptors).unwrap();
                (&stream).write_all(&answer[sent..]).unwrap();
            }
        });
    }

    #[tokio::test]
    async fn ranges_across_files_and_whole_objects() {
        let folder = tempfile::tempdir().unwrap();
        let all: Vec<u8> = (0..150_000_u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(folder.path().join("1"), &all[..100_000]).unwrap();
        std::fs::write(folder.path().join("2"), &all[100_000..]).unwrap();
        let socket = folder.path().join("socket");
        server(&socket, folder.path());
        let remote =
            AmazonS3Builder::new().with_bucket_name("b").with_endpoint("http://127.0.0.1:1").with_allow_http(true);
        let remote = remote.with_access_key_id("k").with_secret_access_key("s").with_region("us-east-1");
        let retries = object_store::RetryConfig { max_retries: 0, ..Default::default() };
        let store = Handed::new(remote.with_retry(retries).build().unwrap(), socket);

        let path = Path::parse("a").unwrap();
        let whole = store.get_opts(&path, GetOptions::default()).await.unwrap();
        assert_eq!((whole.range.clone(), whole.meta.size), (0..150_000, 150_000));
        assert_eq!(whole.bytes().await.unwrap(), all);
        let parts = store.get_ranges(&path, &[99_000..101_000, 0..70_000, 150_000..150_000]).await.unwrap();
        assert_eq!(parts, [&all[99_000..101_000], &all[..70_000], &[]].map(Bytes::copy_from_slice));
        let options = GetOptions { range: Some(object_store::GetRange::Suffix(70_000)), ..Default::default() };
        let mut end = store.get_opts(&path, options).await.unwrap();
        assert_eq!(end.range, 80_000..150_000);
        let GetResultPayload::Stream(stream) = &mut end.payload else { panic!("a stream") };
        assert_eq!(stream.next().await.unwrap().unwrap(), &all[80_000..]);
        // What is not handed over, or too little to ask for, goes over HTTP, where nobody is.
        assert!(store.get_opts(&Path::parse("other").unwrap(), GetOptions::default()).await.is_err());
        let little = GetOptions { range: Some((0..10).into()), ..Default::default() };
        assert!(store.get_opts(&path, little).await.is_err());
    }
}
