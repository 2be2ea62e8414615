//! The console's bundle: embedded, compressed once, with ETags, so that a page that was seen before costs nothing but its question.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::Compression;

// Written by console/build.mjs: `FILES: &[(&str, &[u8])]`, every file of the bundle.
include!("../../../../console/dist/files.rs");

/// Only what the bundle itself brings may run.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(super) struct Files {
    /// Read anew for every request where it is set.
    folder: Option<PathBuf>,
    /// By their place in `FILES`.
    packed: Mutex<Vec<Option<Packed>>>,
}

#[derive(Clone)]
struct Packed {
    etag: String,
    gzip: Bytes,
}

impl Files {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, packed: Mutex::new(vec![None; FILES.len()]) }
    }

    pub(super) fn answer(&self, path: &str, asked: &http::HeaderMap) -> http::Response<Bytes> {
        let name = if path.is_empty() { "index.html" } else { path };
        let embedded = FILES.iter().position(|(file, _)| *file == name);
        let (plain, packed) = match (&self.folder, embedded) {
            // A name is one component: nothing outside the folder has one.
            (Some(folder), _) if !name.contains(['/', '\\']) => match std::fs::read(folder.join(name)) {
                Ok(bytes) => (Bytes::from(bytes.clone()), pack(&bytes, Compression::fast())),
                Err(_) => return not_found(),
            },
            (None, Some(at)) => (Bytes::from_static(FILES[at].1), self.packed(at)),
            _ => return not_found(),
        };
        let mut response = http::Response::new(Bytes::new());
        let known = asked.get(http::header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
        if known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == packed.etag)) {
            *response.status_mut() = http::StatusCode::NOT_MODIFIED;
        } else if takes_gzip(asked) {
            *response.body_mut() = packed.gzip;
            response.headers_mut().insert(http::header::CONTENT_ENCODING, http::HeaderValue::from_static("gzip"));
        } else {
            *response.body_mut() = plain;
        }
        let headers = response.headers_mut();
        for (name, value) in [
            ("content-type", kind(name)),
            ("content-security-policy", POLICY),
            ("cache-control", "no-cache"),
            ("vary", "accept-encoding"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        if let Ok(etag) = http::HeaderValue::from_str(&packed.etag) {
            headers.insert(http::header::ETAG, etag);
        }
        response
    }

    fn packed(&self, at: usize) -> Packed {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        packed[at].get_or_insert_with(|| pack(FILES[at].1, Compression::best())).clone()
    }
}

fn pack(bytes: &[u8], level: Compression) -> Packed {
    let hash = wire::sigv4::sha256_hex(bytes);
    Packed { etag: format!("\"{}\"", &hash[..20]), gzip: gzip(bytes, level).into() }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

fn not_found() -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from_static(b"not found"));
    *response.status_mut() = http::StatusCode::NOT_FOUND;
    response
}

pub(super) fn takes_gzip(asked: &http::HeaderMap) -> bool {
    let said = asked.get(http::header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    said.split(',').any(|part| {
        let mut words = part.split(';').map(str::trim);
        words.next() == Some("gzip") && !words.any(|word| word == "q=0")
    })
}

pub(super) fn gzip(bytes: &[u8], level: Compression) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::with_capacity(bytes.len() / 3), level);
    packer.write_all(bytes).and_then(|()| packer.finish()).expect("memory takes all that is written")
}
