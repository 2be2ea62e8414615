//! Headers of reads that say nothing and are passed over, as HTTP and S3 have it: a `Range` that is none or names several ranges, and
//! conditions with a date that is none. Source: RFC 9110, sections 13.1.3, 13.1.4 and 14.2; API reference, GetObject: "Amazon S3
//! doesn't support retrieving multiple ranges of data per GET request".

use http::header::{IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, RANGE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use s3s::dto::{Range, Timestamp, TimestampFormat};
use s3s::{Body, HttpRequest};

use super::gate;

/// Has it headers that are to be passed over?
pub(super) fn has_void_headers(request: &HttpRequest) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && void(request.headers()).next().is_some()
}

/// The request without its body and those headers. The caller's address goes with it.
pub(super) fn plain(request: &HttpRequest) -> HttpRequest {
    let mut plain = HttpRequest::new(Body::empty());
    request.method().clone_into(plain.method_mut());
    *plain.uri_mut() = unsigned(request.uri());
    request.headers().clone_into(plain.headers_mut());
    for name in void(request.headers()) {
        plain.headers_mut().remove(name);
    }
    // Without it nothing claims to be signed.
    plain.headers_mut().remove(http::header::AUTHORIZATION);
    if let Some(peer) = request.extensions().get::<super::Peer>() {
        plain.extensions_mut().insert(*peer);
    }
    plain
}

/// The address without a signature, which nobody looks at any more.
fn unsigned(uri: &Uri) -> Uri {
    let query = gate::without_signature(uri.query().unwrap_or_default());
    let text = if query.is_empty() { uri.path().to_owned() } else { format!("{}?{query}", uri.path()) };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = PathAndQuery::try_from(text).ok().or(parts.path_and_query);
    Uri::from_parts(parts).unwrap_or_else(|_| uri.clone())
}

fn void(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> + '_ {
    [RANGE, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE].into_iter().filter(|name| {
        let fits = |value: &HeaderValue| {
            value.to_str().is_ok_and(|text| match *name {
                RANGE => Range::parse(text).is_ok(),
                _ => Timestamp::parse(TimestampFormat::HttpDate, text).is_ok(),
            })
        };
        headers.get(name).is_some_and(|value| !fits(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_taken_out_of_an_address() {
        let plain = |text: &str| unsigned(&text.parse().unwrap()).to_string();
        assert_eq!(plain("/b/k%20?X-Amz-%53ignature=0&versionId=1&X-Amz-Credential=a%2Fb"), "/b/k%20?versionId=1");
        assert_eq!(plain("http://h/b/k?AWSAccessKeyId=a&Signature=b&Expires=1"), "http://h/b/k");
        assert_eq!(plain("/b/k?response-content-type=a%2Fb"), "/b/k?response-content-type=a%2Fb");
    }

    #[test]
    fn what_is_passed_over() {
        let names = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            void(&headers).count()
        };
        for good in ["bytes=0-1", "bytes=5-", "bytes=-3"] {
            assert_eq!(names("range", good), 0, "{good}");
        }
        for bad in ["bytes=3-1", "bytes=0-1,4-5", "lines=1-2", "x", ""] {
            assert_eq!(names("range", bad), 1, "{bad}");
        }
        assert_eq!(names("if-modified-since", "Sat, 28 Nov 2026 19:23:45 GMT"), 0);
        assert_eq!(names("if-unmodified-since", "yesterday"), 1);
    }
}
