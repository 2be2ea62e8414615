//! What CloudWatch is told of requests to buckets that have metrics configurations: `AWS/S3` by bucket and filter. Source: S3 User
//! Guide, "Amazon S3 request metrics in CloudWatch". Which configurations a bucket has, [`crate::request_metrics`] keeps.

use http::Method;
use s3s::{HttpRequest, HttpResponse};
use service::meter::Measured;

use super::{Target, gate, host};
use crate::S3;
use crate::request_metrics::Asked;
use crate::tags::Named;

/// A request that is counted.
pub(super) struct Counted {
    account: String,
    region: String,
    bucket: String,
    /// The ids of the configurations that it counts for.
    filters: Vec<String>,
    started: jiff::Timestamp,
    method: Method,
    operation: &'static str,
    is_of_object: bool,
    received: u64,
}

impl Counted {
    /// None where nothing is counted.
    pub(super) async fn of(s3: &S3, request: &HttpRequest) -> Option<Self> {
        let target = Target::of(request)?;
        let bucket = s3.governed(&target.bucket).await.ok().filter(|bucket| !bucket.metrics.is_empty())?;
        let host_has_bucket = host::names_bucket(request.headers());
        let (method, headers) = (request.method(), request.headers());
        let operation = if super::form::is_form(request) {
            "PostObject"
        } else {
            gate::told(method, host_has_bucket, request.uri(), headers).unwrap_or_default()
        };
        let path = request.uri().path().trim_start_matches('/');
        let key = if host_has_bucket { path } else { path.split_once('/').map_or("", |(_, key)| key) };
        let key = crate::put::url_decode(&key.replace('+', "%2B")).unwrap_or_else(|| key.to_owned());
        let mut asked = Asked { key: (!key.is_empty()).then_some(key.as_str()), tags: Vec::new() };
        if asked.key.is_some() && bucket.metrics.iter().any(crate::request_metrics::wants_tags) {
            let named = Named { bucket: target.bucket.clone(), key: key.clone(), version: None };
            asked.tags = s3.head(&named).await.map(|record| record.tags).unwrap_or_default();
        }
        let wanted = bucket.metrics.iter().filter(|metrics| crate::request_metrics::wants(metrics, &asked));
        let filters: Vec<String> = wanted.map(|metrics| metrics.id.clone()).collect();
        let number = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        (!filters.is_empty()).then(|| Self {
            account: bucket.owner().to_owned(),
            region: bucket.record.region.clone(),
            bucket: target.bucket,
            filters,
            started: s3.router.now(),
            method: method.clone(),
            operation,
            is_of_object: !key.is_empty(),
            received: number("x-amz-decoded-content-length").or_else(|| number("content-length")).unwrap_or(0),
        })
    }

    /// Tells what became of it.
    pub(super) fn tell(self, s3: &S3, response: &HttpResponse) {
        let status = response.status().as_u16();
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        let named = length.and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u64>().ok());
        let sent = named.or_else(|| response.body().bytes().map(|body| body.len() as u64)).unwrap_or(0);
        let took = s3.router.now().duration_since(self.started).as_millis();
        #[expect(clippy::cast_precision_loss, reason = "metrics")]
        let (sent, received, took) = (sent as f64, self.received as f64, took as f64);
        let is = |class: u16| f64::from(u8::from(status / 100 == class));
        let mut told = vec![
            ("AllRequests", 1.0, "Count"),
            ("4xxErrors", is(4), "Count"),
            ("5xxErrors", is(5), "Count"),
            ("FirstByteLatency", took, "Milliseconds"),
        ];
        told.extend(kind(&self.method, self.operation, self.is_of_object).map(|kind| (kind, 1.0, "Count")));
        if received > 0.0 {
            told.push(("BytesUploaded", received, "Bytes"));
        }
        if sent > 0.0 && self.method != Method::HEAD {
            told.push(("BytesDownloaded", sent, "Bytes"));
        }
        for filter in &self.filters {
            let dimensions = &[("BucketName", self.bucket.as_str()), ("FilterId", filter.as_str())];
            for (metric, value, unit) in &told {
                let (account, region, namespace) = (self.account.as_str(), self.region.as_str(), "AWS/S3");
                s3.router.measure(Measured { account, region, namespace, metric, dimensions, value: *value, unit });
            }
        }
    }
}

/// The metric of requests of the kind, besides that of all. Lists of uploads and parts, and what is asked about buckets, have none.
fn kind(method: &Method, operation: &str, is_of_object: bool) -> Option<&'static str> {
    Some(match (method.as_str(), operation) {
        (_, "ListObjects" | "ListObjectsV2" | "ListObjectVersions") => "ListRequests",
        (_, "SelectObjectContent") => "SelectRequests",
        (_, "DeleteObjects") => "DeleteRequests",
        (_, "ListParts") => return None,
        ("HEAD", _) => "HeadRequests",
        ("POST", _) => "PostRequests",
        ("GET", _) if is_of_object => "GetRequests",
        ("PUT", _) if is_of_object => "PutRequests",
        ("DELETE", _) if is_of_object => "DeleteRequests",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_requests() {
        for (method, operation, is_of_object, wanted) in [
            (Method::GET, "GetObject", true, Some("GetRequests")),
            (Method::GET, "GetObjectTagging", true, Some("GetRequests")),
            (Method::GET, "ListObjectsV2", false, Some("ListRequests")),
            (Method::GET, "ListParts", true, None),
            (Method::GET, "GetBucketPolicy", false, None),
            (Method::PUT, "UploadPart", true, Some("PutRequests")),
            (Method::PUT, "PutBucketTagging", false, None),
            (Method::DELETE, "DeleteObject", true, Some("DeleteRequests")),
            (Method::POST, "DeleteObjects", false, Some("DeleteRequests")),
            (Method::POST, "CompleteMultipartUpload", true, Some("PostRequests")),
            (Method::POST, "SelectObjectContent", true, Some("SelectRequests")),
            (Method::HEAD, "HeadBucket", false, Some("HeadRequests")),
        ] {
            assert_eq!(kind(&method, operation, is_of_object), wanted, "{method} {operation}");
        }
    }
}
