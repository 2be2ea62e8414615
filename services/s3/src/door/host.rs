//! Virtual-host addressing: `bucket.localhost`, `bucket.s3.localhost`, `bucket.s3.region.localhost`. Every other host is
//! path style.

use s3s::S3Result;
use s3s::host::{S3Host, VirtualHost};

pub(super) struct Localhost;

impl S3Host for Localhost {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        let domain = VirtualHost::new(host);
        Ok(match bucket(host) {
            Some(bucket) => domain.with_bucket(bucket),
            None => domain,
        })
    }
}

/// Whether the request's host says which bucket is meant.
#[must_use]
pub fn names_bucket(headers: &http::HeaderMap) -> bool {
    let host = headers.get(http::header::HOST).and_then(|host| host.to_str().ok());
    host.and_then(bucket).is_some()
}

pub(super) fn bucket(host: &str) -> Option<&str> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let front = name.strip_suffix(".localhost")?;
    let front = match front.rsplit_once(".s3.") {
        Some((bucket, region)) if !region.contains('.') => bucket,
        _ => front.strip_suffix(".s3").unwrap_or(front),
    };
    (front != "s3" && !front.starts_with("s3.")).then_some(front)
}

#[cfg(test)]
mod tests {
    #[test]
    fn hosts() {
        let cases = [
            ("localhost", None),
            ("localhost:4566", None),
            ("127.0.0.1:4566", None),
            ("example.org", None),
            ("s3.localhost", None),
            ("s3.eu-west-1.localhost:1", None),
            ("b.localhost:4566", Some("b")),
            ("a.b.localhost", Some("a.b")),
            ("b.s3.localhost", Some("b")),
            ("b.s3.eu-west-1.localhost", Some("b")),
        ];
        for (host, expected) in cases {
            assert_eq!(super::bucket(host), expected, "{host}");
        }
    }
}
