//! The checksums that s3s knows nothing of (SHA512, MD5, XXHASH64, XXHASH3, XXHASH128): out of headers and the body of
//! CompleteMultipartUpload, and into headers and XML.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3s::{Body, HttpRequest, HttpResponse, S3Response, S3Result};
use store::objects::Digest as _;

use super::{answer, convert, lenient};
use crate::checksum::{ALGORITHMS, Checksums, Hasher};

const NEWER: [&str; 5] = ["SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"];

/// A header that never leaves: what is to stand in the XML, as hexadecimal JSON, of the whole under 0 and of parts under their numbers.
const NOTED: &str = "x-lakerun-checksums";

/// Largest body of CompleteMultipartUpload: 10,000 parts.
const MAX_BODY: usize = 8 << 20;

fn header(algorithm: &str) -> String {
    format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase())
}

/// Those that a request's headers name.
pub(super) fn newer(headers: &HeaderMap) -> Checksums {
    let mut sums = Checksums::default();
    for algorithm in NEWER {
        if let Some(value) = headers.get(header(algorithm)).and_then(|value| value.to_str().ok()) {
            sums.set(algorithm, value.to_owned());
        }
    }
    sums
}

/// Tells them in the answer's headers.
pub(super) fn told<T>(mut response: S3Response<T>, sums: &Checksums) -> S3Response<T> {
    for algorithm in NEWER {
        let value = sums.of(algorithm).and_then(|value| HeaderValue::from_str(value).ok());
        if let (Some(value), Ok(name)) = (value, HeaderName::try_from(header(algorithm))) {
            response.headers.insert(name, value);
        }
    }
    response
}

/// What is to stand in an answer's XML.
#[derive(Default)]
pub(super) struct Noted(BTreeMap<u32, Vec<(&'static str, String)>>);

impl Noted {
    pub(super) fn whole(&mut self, sums: &Checksums) {
        self.part(0, sums);
    }

    pub(super) fn part(&mut self, number: u32, sums: &Checksums) {
        let named = NEWER.into_iter().filter_map(|name| Some((name, sums.of(name)?.to_owned())));
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            self.0.insert(number, named);
        }
    }

    pub(super) fn with<T>(self, mut response: S3Response<T>) -> S3Response<T> {
        if !self.0.is_empty()
            && let Ok(text) = serde_json::to_string(&self.0)
            && let Ok(value) = HeaderValue::from_str(&hex::encode(text))
        {
            response.headers.insert(NOTED, value);
        }
        response
    }
}

/// Writes them there: the whole's at the end of the element that has checksums, a part's behind its number.
pub(super) fn write(response: &mut HttpResponse) {
    let Some(noted) = response.headers_mut().remove(NOTED) else { return };
    let noted = hex::decode(noted.as_bytes()).ok();
    let noted: Option<BTreeMap<u32, Vec<(String, String)>>> = noted.and_then(|text| serde_json::from_slice(&text).ok());
    let (Some(noted), Some(bytes)) = (noted, response.body().bytes()) else { return };
    let mut xml = String::from_utf8_lossy(&bytes).into_owned();
    for (number, sums) in noted {
        let mut told = String::new();
        for (name, value) in sums {
            let _ = write!(told, "<Checksum{name}>{}</Checksum{name}>", answer::escaped(&value));
        }
        let place = if number > 0 {
            let own = format!("<PartNumber>{number}</PartNumber>");
            xml.find(&own).map(|at| at + own.len())
        } else {
            ENDS.iter().find_map(|end| xml.find(end))
        };
        if let Some(place) = place {
            xml.insert_str(place, &told);
        }
    }
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = xml.into_bytes().into();
}

/// The ends of elements that have the checksums of a whole.
const ENDS: [&str; 4] = ["</Checksum>", "</CopyObjectResult>", "</CopyPartResult>", "</CompleteMultipartUploadResult>"];

/// Holds the document that a request has for a body against the digests that came with it. s3s reads it, but not them.
pub(super) async fn check_document(request: &mut HttpRequest) -> S3Result<()> {
    let headers = request.headers();
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut sums = Checksums::default();
    for algorithm in ALGORITHMS {
        if let Some(value) = value(&header(algorithm)) {
            sums.set(algorithm, value);
        }
    }
    let md5 = value("content-md5").filter(|md5| !md5.is_empty());
    let chunked = value("x-amz-content-sha256").is_some_and(|kind| kind.starts_with("STREAMING-"));
    if chunked || (sums.is_empty() && md5.is_none()) {
        return Ok(());
    }
    let body = request.body_mut().store_all_limited(MAX_BODY).await;
    let body = body.map_err(|_| convert::error(crate::errors::malformed_xml()))?;
    let mut hasher = Hasher::new(&sums.algorithms()).map_err(convert::error)?;
    hasher.update(&body);
    let digests = hasher.finish();
    digests.check_md5(md5.as_deref()).and_then(|()| sums.check(&digests.checksums)).map_err(convert::error)
}

/// Of the parts that a CompleteMultipartUpload names, by their numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct OfParts(pub(super) BTreeMap<i32, Checksums>);

/// A CompleteMultipartUpload whose parts have such checksums, without them in its body, for s3s would refuse it.
pub(super) async fn without_newer(request: &mut HttpRequest) -> S3Result<Option<HttpRequest>> {
    let query = request.uri().query().unwrap_or_default();
    if *request.method() != Method::POST || !query.split('&').any(|pair| pair.starts_with("uploadId=")) {
        return Ok(None);
    }
    let body = request.body_mut().store_all_limited(MAX_BODY).await;
    let body = body.map_err(|_| convert::error(crate::errors::malformed_xml()))?;
    let Some((text, parts)) = str::from_utf8(&body).ok().and_then(without) else { return Ok(None) };
    let mut plain = lenient::plain(request);
    if let Ok(length) = HeaderValue::try_from(text.len().to_string()) {
        plain.headers_mut().insert(CONTENT_LENGTH, length);
    }
    *plain.body_mut() = Body::from(text.into_bytes());
    plain.extensions_mut().insert(OfParts(parts));
    Ok(Some(plain))
}

/// The body without them, and them; none where there are none, or what is no such body.
fn without(body: &str) -> Option<(String, BTreeMap<i32, Checksums>)> {
    if !NEWER.iter().any(|name| body.contains(&format!("<Checksum{name}>"))) {
        return None;
    }
    let mut parts = BTreeMap::new();
    let mut reader = s3s::xml::Deserializer::new(body.as_bytes());
    let read = reader.named_element("CompleteMultipartUpload", |d| {
        d.for_each_element(|d, _| {
            let (mut number, mut sums) = (0, Checksums::default());
            d.for_each_element(|d, name| {
                let value: String = d.content()?;
                match name {
                    b"PartNumber" => number = value.parse().unwrap_or(0),
                    name => {
                        let known = NEWER.iter().find(|known| name.strip_prefix(b"Checksum") == Some(known.as_bytes()));
                        if let Some(known) = known {
                            sums.set(known, value);
                        }
                    }
                }
                Ok(())
            })?;
            parts.insert(number, sums);
            Ok(())
        })
    });
    read.ok()?;
    let mut text = body.to_owned();
    for name in NEWER {
        let (open, close) = (format!("<Checksum{name}>"), format!("</Checksum{name}>"));
        while let Some(from) = text.find(&open) {
            let to = text[from..].find(&close)? + from + close.len();
            text.replace_range(from..to, "");
        }
    }
    Some((text, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_completion() {
        let body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Part><ChecksumXXHASH64>aa==</ChecksumXXHASH64>\
                    <ETag>\"e\"</ETag><PartNumber>2</PartNumber></Part><Part><PartNumber>1</PartNumber><ETag>f</ETag></Part></CompleteMultipartUpload>";
        let (text, parts) = without(body).unwrap();
        assert!(
            !text.contains("XXHASH") && text.contains("<Part><ETag>\"e\"</ETag><PartNumber>2</PartNumber></Part>"),
            "{text}"
        );
        assert_eq!(parts[&2].xxhash64.as_deref(), Some("aa=="));
        assert!(parts[&1].is_empty());
        assert!(without(&body.replace("XXHASH64", "SHA256")).is_none());
        assert!(without("<ChecksumMD5>").is_none());
    }

    #[test]
    fn answers() {
        let mut noted = Noted::default();
        noted.whole(&Checksums { md5: Some("w".into()), ..Checksums::default() });
        noted.part(7, &Checksums { sha512: Some("p".into()), sha1: Some("x".into()), ..Checksums::default() });
        let mut response = HttpResponse::default();
        let marked = noted.with(S3Response::new(()));
        *response.headers_mut() = marked.headers;
        let xml = "<R><Checksum><ChecksumType>A</ChecksumType></Checksum><Part><PartNumber>7</PartNumber></Part></R>";
        *response.body_mut() = Body::from(xml.to_owned());
        write(&mut response);
        let text = String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap();
        let wanted = "<R><Checksum><ChecksumType>A</ChecksumType><ChecksumMD5>w</ChecksumMD5></Checksum><Part><PartNumber>7</PartNumber>\
                      <ChecksumSHA512>p</ChecksumSHA512></Part></R>";
        assert_eq!(text, wanted);
        assert!(response.headers().is_empty());
    }
}
