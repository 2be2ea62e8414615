//! What stands in front of S3's operations: a request must match an operation of S3's model with all its query keys, its `x-amz-`
//! headers and its conditions, and s3s must have taken it for that very operation. All else is refused by name, before anything
//! happens: `PUT key?annotation` is not a PutObject.
//!
//! Keys that AWS itself passes over are passed over: those of signatures, and all that begin with `x-`.
//! Source: Amazon S3 User Guide, "Adding custom information to the access log" and "Authenticating requests (query parameters)".

use std::borrow::Cow;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result};

use super::requests::OPERATIONS;
use crate::checksum::ALGORITHMS;

/// An operation of the model as HTTP shows it. Header names are in lower case.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) method: &'static str,
    pub(super) target: Target,
    /// Query keys that tell it, with their value where it matters.
    pub(super) fixed: &'static [(&'static str, &'static str)],
    /// Query keys that it requires.
    pub(super) needs: &'static [&'static str],
    /// Query keys that it may have.
    pub(super) may: &'static [&'static str],
    pub(super) needs_headers: &'static [&'static str],
    /// A last dash stands for all names that begin so.
    pub(super) headers: &'static [&'static str],
    /// Query keys and headers that nothing here obeys, each with the values that it may have all the same: `models/refused.toml`.
    pub(super) refused: &'static [(&'static str, &'static [&'static str])],
    /// What it asks of IAM: models/authorization.toml.
    pub(super) actions: &'static [Action],
    /// Takes `x-amz-checksum-*` of its body.
    pub(super) checksums: bool,
}

/// An action that an operation stands for.
#[derive(Debug)]
pub(super) struct Action {
    pub(super) name: &'static str,
    /// Only where the request has this (or, with false, has it not).
    pub(super) when: Option<(When, bool)>,
}

/// What a request may have.
#[derive(Debug)]
pub(super) enum When {
    Query(&'static str),
    Header(&'static str),
}

impl When {
    fn given(&self, keys: &[(Cow<'_, str>, Cow<'_, str>)], headers: &HeaderMap) -> bool {
        let value = match self {
            Self::Query(name) => keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_bytes()),
            Self::Header(name) => headers.get(*name).map(HeaderValue::as_bytes),
        };
        value.is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case(b"false"))
    }
}

/// The actions that a request of an operation needs.
pub(super) fn actions(operation: &str, query: &str, headers: &HeaderMap) -> Vec<&'static str> {
    // The model does not describe a browser's upload, which is a PutObject.
    let name = if operation == POST_OBJECT { "PutObject" } else { operation };
    let keys = keys(query);
    let of = OPERATIONS.iter().find(|one| one.name == name).map_or(&[][..], |one| one.actions);
    let needed =
        of.iter().filter(|action| action.when.as_ref().is_none_or(|(when, set)| when.given(&keys, headers) == *set));
    needed.map(|action| action.name).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Root,
    Bucket,
    Object,
}

/// The operations that the door serves: those that [`super::Handler`] has a function for.
const SERVED: [&str; 86] = [
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateBucket",
    "CreateMultipartUpload",
    "DeleteBucket",
    "DeleteBucketAnalyticsConfiguration",
    "DeleteBucketCors",
    "DeleteBucketEncryption",
    "DeleteBucketIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration",
    "DeleteBucketLifecycle",
    "DeleteBucketMetricsConfiguration",
    "DeleteBucketOwnershipControls",
    "DeleteBucketPolicy",
    "DeleteBucketReplication",
    "DeleteBucketTagging",
    "DeleteBucketWebsite",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjects",
    "DeletePublicAccessBlock",
    "GetBucketAccelerateConfiguration",
    "GetBucketAcl",
    "GetBucketAnalyticsConfiguration",
    "GetBucketCors",
    "GetBucketEncryption",
    "GetBucketIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration",
    "GetBucketLifecycleConfiguration",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketMetricsConfiguration",
    "GetBucketNotificationConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketReplication",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectLockConfiguration",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetPublicAccessBlock",
    "HeadBucket",
    "HeadObject",
    "ListBucketAnalyticsConfigurations",
    "ListBucketIntelligentTieringConfigurations",
    "ListBucketInventoryConfigurations",
    "ListBucketMetricsConfigurations",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectVersions",
    "ListObjects",
    "ListObjectsV2",
    "ListParts",
    "PutBucketAcl",
    "PutBucketCors",
    "PutBucketEncryption",
    "PutBucketLifecycleConfiguration",
    "PutBucketLogging",
    "PutBucketMetricsConfiguration",
    "PutBucketNotificationConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectLockConfiguration",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutPublicAccessBlock",
    "RestoreObject",
    "SelectObjectContent",
    "UploadPart",
    "UploadPartCopy",
];

/// A browser's upload, which the model does not describe.
const POST_OBJECT: &str = "PostObject";

/// Headers that any request may have: those of signing and of transport.
const COMMON: [&str; 10] = [
    // The C++ SDK sends the version of the API with every request.
    "x-amz-api-version",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-decoded-content-length",
    // What a bucket that makes requesters pay asks for; others pass it over, as AWS does.
    "x-amz-request-payer",
    // Says how a checksum would be computed; without one in a header or trailer there is none to check.
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-te",
    "x-amz-trailer",
    "x-amz-user-agent",
];

/// Query keys of the older signature.
const SIGNATURE_2: [&str; 3] = ["AWSAccessKeyId", "Signature", "Expires"];

/// The query keys that tell an operation and that it covers, and one that changes nothing of what is permitted.
/// Source: Amazon S3 User Guide, "Signing and authenticating REST requests", `CanonicalizedResource`; `INCLUDED_QUERY` of s3s.
const TOLD_BY_SIGNATURE_2: [&str; 26] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "inventory",
    "lifecycle",
    "list-type",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "replication",
    "requestPayment",
    "restore",
    "select",
    "select-type",
    "tagging",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

/// Headers that were signed with it, which SDKs write into the URL as well: of no meaning there.
const SIGNED_2: [&str; 2] = ["content-type", "content-md5"];

/// Query keys of a presigned URL that are the signature's own, in lower case.
const SIGNATURE_4: [&str; 8] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-expires",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
];

/// A presigned URL is good for a week at most. Source: Amazon S3 API Reference, "Authenticating requests: using query parameters".
const MAX_EXPIRES_SECONDS: i64 = 7 * 24 * 3600;

/// Refuses a request of which anything would be passed over; `taken` is the operation that s3s has found.
pub(super) fn check(method: &Method, path: &S3Path, query: &str, headers: &HeaderMap, taken: &str) -> S3Result<()> {
    if taken == POST_OBJECT {
        return Ok(());
    }
    let target = match path {
        S3Path::Root => Target::Root,
        S3Path::Bucket { .. } => Target::Bucket,
        S3Path::Object { .. } => Target::Object,
    };
    let keys = keys(query);
    let operation = find(method.as_str(), target, &keys, headers)
        .ok_or_else(|| not_implemented(format!("{method} of {target:?} is no operation of S3")))?;
    let old = SIGNATURE_2.iter().all(|name| keys.iter().any(|(key, _)| key == name));
    // Who was given a link to one request may not make another of it.
    if old && let Some((key, _)) = operation.fixed.iter().find(|(key, _)| !TOLD_BY_SIGNATURE_2.contains(key)) {
        let error =
            crate::errors::access_denied("There were query parameters present in the request which were not signed");
        return Err(super::convert::error(error.with("ParametersNotSigned", *key)));
    }
    let signed = |key: &str| old && SIGNED_2.iter().any(|name| key.eq_ignore_ascii_case(name));
    if let Some((key, _)) = keys.iter().find(|(key, _)| !operation.takes_key(key) && !signed(key)) {
        return Err(not_implemented(format!("A query parameter you provided is not one of {}: {key}", operation.name)));
    }
    for name in headers.keys().map(HeaderName::as_str) {
        if !operation.takes_header(name) {
            // AWS's words. Source: Amazon S3 API Reference, "Error responses".
            return Err(not_implemented(format!(
                "A header you provided implies functionality that is not implemented: {name}"
            )));
        }
    }
    check_algorithms(operation, headers)?;
    let sums = headers.keys().filter(|name| is_checksum(name.as_str())).count();
    if sums > 1 && operation.checksums {
        let message = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
        return Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    }
    if headers.get("content-md5").is_some_and(HeaderValue::is_empty) {
        return Err(S3Error::with_message(S3ErrorCode::InvalidDigest, "The Content-MD5 you specified is not valid."));
    }
    if matches!(operation.name, "PutObject" | "UploadPart")
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
    {
        let message = "You must provide the Content-Length HTTP header.";
        return Err(S3Error::with_message(S3ErrorCode::MissingContentLength, message));
    }
    for (name, unless) in operation.refused {
        let key = keys.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_ref());
        let value = key.or_else(|| headers.get(*name).and_then(|value| value.to_str().ok())).unwrap_or_default();
        if !value.is_empty() && !unless.iter().any(|unless| unless.eq_ignore_ascii_case(value)) {
            return Err(not_implemented(format!("{name} of {} is not implemented, given: {value}", operation.name)));
        }
    }
    if operation.name != taken || !SERVED.contains(&taken) {
        return Err(not_implemented(format!("{} is not implemented", operation.name)));
    }
    Ok(())
}

/// Algorithms that are none, and one that is named without a value of it. Source: API reference, PutObject, `x-amz-sdk-checksum-algorithm`.
fn check_algorithms(operation: &Operation, headers: &HeaderMap) -> S3Result<()> {
    const OTHERS: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];
    let invalid = |message: &'static str| Err(S3Error::with_message(S3ErrorCode::InvalidRequest, message));
    let mut names = headers.keys().map(HeaderName::as_str);
    if names.any(|name| name.starts_with("x-amz-checksum-") && !is_checksum(name) && !OTHERS.contains(&name)) {
        return invalid("The algorithm type you specified in x-amz-checksum- header is invalid.");
    }
    let Some(algorithm) = headers.get("x-amz-sdk-checksum-algorithm").filter(|_| operation.checksums) else {
        return Ok(());
    };
    let known = |name: &str| ALGORITHMS.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !algorithm.to_str().is_ok_and(known) {
        return invalid("Value for x-amz-sdk-checksum-algorithm header is invalid.");
    }
    if !headers.keys().any(|name| is_checksum(name.as_str()) || name == "x-amz-trailer") {
        return invalid(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
        );
    }
    Ok(())
}

/// Is it an operation with a document for a body, of which digests may come along? Those of a CompleteMultipartUpload are the object's.
pub(super) fn has_document(method: &Method, host_has_bucket: bool, uri: &http::Uri) -> bool {
    let Some(name) = name(method, host_has_bucket, uri) else { return false };
    (name.starts_with("Put") && name != "PutObject") || matches!(name, "DeleteObjects" | "RestoreObject")
}

/// A header with a checksum's value.
fn is_checksum(name: &str) -> bool {
    let algorithm = name.strip_prefix("x-amz-checksum-");
    algorithm.is_some_and(|name| ALGORITHMS.iter().any(|known| known.eq_ignore_ascii_case(name)))
}

/// The operation that s3s knows nothing of, by its path below a host that may name the bucket.
pub(super) fn name(method: &Method, host_has_bucket: bool, uri: &http::Uri) -> Option<&'static str> {
    find(method.as_str(), target(host_has_bucket, uri), &keys(uri.query().unwrap_or_default()), &HeaderMap::new())
        .map(|found| found.name)
}

fn target(host_has_bucket: bool, uri: &http::Uri) -> Target {
    let path = uri.path().trim_start_matches('/');
    match (host_has_bucket, path.split_once('/').unwrap_or((path, ""))) {
        (true, ("", _)) | (false, (_, "")) if !path.is_empty() || host_has_bucket => Target::Bucket,
        (false, ("", _)) => Target::Root,
        _ => Target::Object,
    }
}

/// The operation that a request is, with its headers.
pub(super) fn told(
    method: &Method,
    host_has_bucket: bool,
    uri: &http::Uri,
    headers: &HeaderMap,
) -> Option<&'static str> {
    find(method.as_str(), target(host_has_bucket, uri), &keys(uri.query().unwrap_or_default()), headers)
        .map(|found| found.name)
}

/// What no operation of S3 is, without a query that could tell a newer one: a method that its target does not have.
pub(super) fn check_method(method: &Method, host_has_bucket: bool, uri: &http::Uri) -> Result<(), wire::Error> {
    let query = without_signature(uri.query().unwrap_or_default());
    if !query.is_empty() || name(method, host_has_bucket, uri).is_some() {
        return Ok(());
    }
    let kind = match target(host_has_bucket, uri) {
        Target::Root => "SERVICE",
        Target::Bucket if *method == Method::POST => {
            let condition = "Bucket POST must be of the enclosure-type multipart/form-data";
            return Err(crate::errors::precondition_failed(condition));
        }
        Target::Bucket => "BUCKET",
        Target::Object => "OBJECT",
    };
    Err(crate::errors::method_not_allowed().with("Method", method.as_str()).with("ResourceType", kind))
}

/// Is it the query of GetObjectAttributes?
pub(super) fn asks_attributes(query: &str) -> bool {
    query.split('&').any(|pair| pair.split('=').next() == Some("attributes"))
}

/// A PUT of a bucket itself.
pub(super) fn makes_bucket(method: &Method, host_has_bucket: bool, uri: &http::Uri) -> bool {
    *method == Method::PUT && name(method, host_has_bucket, uri) == Some("CreateBucket")
}

/// The headers that a presigned URL has among its query: to S3 they are the same, but for checksums, which it passes over there. SDKs
/// put those of an empty body in, as they have none when they sign. Source: AWS's answers in aws/aws-sdk-go-v2 issue 2610.
pub(super) fn lift(query: &str, headers: &mut HeaderMap) {
    let presigned = keys(query).iter().any(|(key, _)| key.eq_ignore_ascii_case("x-amz-signature"));
    for (key, value) in keys(query).into_iter().filter(|_| presigned) {
        let key = key.to_ascii_lowercase();
        let checksum = key.starts_with("x-amz-checksum-") || key == "x-amz-sdk-checksum-algorithm";
        if !key.starts_with("x-amz-") || checksum || SIGNATURE_4.contains(&key.as_str()) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value.as_ref())) {
            headers.entry(name).or_insert(value);
        }
    }
}

/// A query without the keys of a signature.
pub(super) fn without_signature(query: &str) -> String {
    let signs = |pair: &&str| {
        let key = pair.split_once('=').map_or(*pair, |(key, _)| key);
        let key = crate::put::url_decode(key).unwrap_or_else(|| key.to_owned());
        SIGNATURE_2.contains(&key.as_str()) || SIGNATURE_4.iter().any(|name| key.eq_ignore_ascii_case(name))
    };
    query.split('&').filter(|pair| !signs(pair)).collect::<Vec<_>>().join("&")
}

/// Headers that count for nothing, or are held against the signature in another way.
const NEED_NOT_BE_SIGNED: [&str; 4] =
    ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-user-agent"];

/// Refuses a request of which it is not clear what is signed: with signatures of two kinds, with one whose signed headers are not told,
/// or with headers of S3's that its signature does not cover, by which who was given a presigned URL could make another request of it.
/// Whether there is a signature in the query is decided as who checks it does: by the decoded keys.
/// Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header", `CanonicalHeaders`, and "Using Query Parameters".
pub(super) fn check_signed(query: &str, headers: &HeaderMap) -> S3Result<()> {
    let keys = keys(query);
    let kind = SignatureKind::of(&keys, headers).map_err(super::convert::error)?;
    let signed = match kind {
        SignatureKind::None | SignatureKind::Version2 => return Ok(()),
        SignatureKind::Query => signed_of_query(&keys),
        // What cannot be read here is no signature to who checks it either, and is refused in other words.
        SignatureKind::Header => match signed_of_header(headers) {
            Some(names) => Ok(names),
            None => return Ok(()),
        },
    };
    let signed: Vec<String> = signed.map_err(super::convert::error)?.split(';').map(str::to_ascii_lowercase).collect();
    let names = headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    let lacking: Vec<&str> = names
        .filter(|name| !signed.iter().any(|signed| signed == name) && !NEED_NOT_BE_SIGNED.contains(name))
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let error = crate::errors::access_denied("There were headers present in the request which were not signed");
    Err(super::convert::error(error.with("HeadersNotSigned", lacking.join(", "))))
}

/// Where a request's signature is, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignatureKind {
    None,
    /// The older one, in header or query. It covers all headers of S3's.
    Version2,
    Query,
    Header,
}

impl SignatureKind {
    fn of(keys: &[Key<'_>], headers: &HeaderMap) -> Result<Self, wire::Error> {
        let has = |name: &str| keys.iter().any(|(key, _)| key == name);
        let marks = ["x-amz-algorithm", "x-amz-signature"];
        let new = keys.iter().any(|(key, _)| marks.iter().any(|mark| key.eq_ignore_ascii_case(mark)));
        let old = has("Signature");
        let header = headers.get(http::header::AUTHORIZATION);
        if [new, old, header.is_some()].into_iter().filter(|given| *given).count() > 1 {
            return Err(two_mechanisms(header));
        }
        Ok(match header {
            _ if new => Self::Query,
            _ if old => Self::Version2,
            None => Self::None,
            Some(value) if value.as_bytes().starts_with(b"AWS ") => Self::Version2,
            Some(_) => Self::Header,
        })
    }

    /// The same of a request whose signature has been checked.
    pub(super) fn of_checked(query: &str, headers: &HeaderMap) -> Self {
        Self::of(&keys(query), headers).unwrap_or(Self::None)
    }
}

/// AWS's words. Source: its answer in catalyst/moodle-tool_objectfs issue 303.
fn two_mechanisms(header: Option<&HeaderValue>) -> wire::Error {
    let message = "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter \
                   or the Authorization header should be specified";
    let given = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
    crate::errors::invalid_argument(message).with("ArgumentName", "Authorization").with("ArgumentValue", given)
}

fn unreadable_query(message: impl Into<String>) -> wire::Error {
    wire::Error::new("AuthorizationQueryParametersError", 400, message)
}

/// The signed headers of a presigned URL, whose other parameters are there and have their forms.
fn signed_of_query<'a>(keys: &'a [Key<'_>]) -> Result<&'a str, wire::Error> {
    let value = |name: &str| {
        let missing = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, \
                       X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
        one(keys.iter().filter(|(key, _)| key == name))
            .map(|(_, value)| value.as_ref())
            .ok_or_else(|| unreadable_query(missing))
    };
    let (algorithm, credential, date) = (value("X-Amz-Algorithm")?, value("X-Amz-Credential")?, value("X-Amz-Date")?);
    let (expires, signature, signed) =
        (value("X-Amz-Expires")?, value("X-Amz-Signature")?, value("X-Amz-SignedHeaders")?);
    if algorithm != "AWS4-HMAC-SHA256" {
        let message = "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256\"";
        return Err(unreadable_query(message));
    }
    let scope: Vec<&str> = credential.rsplitn(5, '/').collect();
    let [end, _, _, day, _] = scope[..] else { return Err(malformed_credential()) };
    if end != "aws4_request" || day.len() != 8 {
        return Err(malformed_credential());
    }
    if jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date).is_err() {
        let message = "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"";
        return Err(unreadable_query(message));
    }
    if !date.starts_with(day) {
        let message =
            format!("Invalid credential date \"{day}\". This date is not the same as X-Amz-Date: \"{date}\".");
        return Err(unreadable_query(message));
    }
    match expires.parse::<i64>() {
        Err(_) => return Err(unreadable_query("X-Amz-Expires should be a number")),
        Ok(seconds) if seconds < 0 => return Err(unreadable_query("X-Amz-Expires must be non-negative")),
        Ok(seconds) if seconds > MAX_EXPIRES_SECONDS => {
            let message = "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less \
                           than 604800 seconds";
            return Err(unreadable_query(message));
        }
        Ok(_) => {}
    }
    if signature.len() != 64 || !signature.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let message = "The request signature we calculated does not match the signature you provided. Check your key and signing \
                       method.";
        return Err(wire::Error::new("SignatureDoesNotMatch", 403, message).with("SignatureProvided", signature));
    }
    Ok(signed)
}

fn malformed_credential() -> wire::Error {
    unreadable_query(
        "Error parsing the X-Amz-Credential parameter; the Credential is mal-formed; expecting \
         \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".",
    )
}

/// `SignedHeaders` of the one `Authorization` header.
fn signed_of_header(headers: &HeaderMap) -> Option<&str> {
    let text = one(headers.get_all(http::header::AUTHORIZATION).iter())?.to_str().ok()?;
    let (_, fields) = text.split_once(' ')?;
    one(fields.split(',').filter_map(|field| field.trim().strip_prefix("SignedHeaders=")))
}

/// The only one there is.
fn one<T>(mut all: impl Iterator<Item = T>) -> Option<T> {
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn not_implemented(message: String) -> S3Error {
    S3Error::with_message(S3ErrorCode::NotImplemented, message)
}

type Key<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The query's keys and values, without those that AWS passes over.
fn keys(query: &str) -> Vec<Key<'_>> {
    let decoded = |text| crate::put::url_decode(text).map_or(Cow::Borrowed(text), Cow::Owned);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.map(|(key, value)| (decoded(key), decoded(value))).collect()
}

fn passed_over(key: &str) -> bool {
    key.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-")) || SIGNATURE_2.contains(&key)
}

/// The operation that the request can only be, the most particular first: of UploadPartCopy, UploadPart, CopyObject and PutObject the
/// one whose every key and header is there. One that takes all keys goes before one that does not.
fn find(method: &str, target: Target, keys: &[Key<'_>], headers: &HeaderMap) -> Option<&'static Operation> {
    let fits = |operation: &&Operation| {
        let has = |name: &str| keys.iter().any(|(key, _)| key == name);
        let told = |(name, value): &(&str, &str)| {
            keys.iter().any(|(key, given)| key == name && (value.is_empty() || given == value))
        };
        operation.method == method
            && operation.target == target
            && operation.fixed.iter().all(told)
            && operation.needs.iter().all(|name| has(name))
            && operation.needs_headers.iter().all(|name| headers.contains_key(*name))
    };
    let rank = |operation: &&Operation| {
        let takes_all = keys.iter().all(|(key, _)| operation.takes_key(key));
        (takes_all, operation.fixed.len() + operation.needs.len() + operation.needs_headers.len())
    };
    // The first of equals, as the model has them: ListBuckets before ListDirectoryBuckets.
    OPERATIONS.iter().filter(fits).rev().max_by_key(rank)
}

impl Operation {
    fn takes_key(&self, key: &str) -> bool {
        passed_over(key)
            || self.fixed.iter().any(|(name, _)| *name == key)
            || self.needs.contains(&key)
            || self.may.contains(&key)
    }

    fn takes_header(&self, name: &str) -> bool {
        let condition = matches!(name, "if-match" | "if-none-match" | "if-modified-since" | "if-unmodified-since");
        // A cache asks for lists and settings with conditions; that it gets them whole is right too.
        let harmless = !name.starts_with("x-amz-") && (!condition || matches!(self.method, "GET" | "HEAD"));
        harmless
            || COMMON.contains(&name)
            || self.needs_headers.contains(&name)
            || self.headers.iter().any(|known| *known == name || (known.ends_with('-') && name.starts_with(known)))
            || (self.checksums && name.starts_with("x-amz-checksum-"))
            // Of the body that such a request has not: Iceberg's `S3FileIO` sends one with GetObject, by its SDK's `LegacyMd5Plugin`.
            || (is_checksum(name) && matches!(self.method, "GET" | "HEAD" | "DELETE"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_can_name_every_action_that_is_asked_for() {
        for action in OPERATIONS.iter().flat_map(|operation| operation.actions) {
            assert_ne!(crate::actions::named(action.name), [], "{}", action.name);
        }
    }

    fn found(method: &str, target: Target, query: &str, headers: &[(&'static str, &'static str)]) -> &'static str {
        let headers: HeaderMap =
            headers.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        find(method, target, &keys(query), &headers).map_or("", |operation| operation.name)
    }

    #[test]
    fn the_list_of_what_is_served_is_the_handlers() {
        let source = include_str!("mod.rs");
        let functions =
            source.split("    async fn ").skip(1).filter_map(|f| f.split_once("S3Request<")?.1.split_once("Input>"));
        let mut served: Vec<&str> = functions.map(|(name, _)| name).filter(|name| *name != POST_OBJECT).collect();
        served.sort_unstable();
        assert_eq!(served, SERVED);
    }

    #[test]
    fn nothing_is_served_that_no_permission_is_asked_for() {
        let actions = |name: &&str| OPERATIONS.iter().find(|one| one.name == *name).map_or(0, |one| one.actions.len());
        // Of DeleteObjects each key is asked for by itself, when its body has been read.
        assert_eq!(SERVED.iter().filter(|name| actions(name) == 0).collect::<Vec<_>>(), [&"DeleteObjects"]);
    }

    #[test]
    fn a_signature_covers_the_headers_that_count() {
        let presigned = |signed: &str| {
            format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AK%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders={signed}&X-Amz-Signature={:064}",
                0
            )
        };
        let headers = |all: &[(&'static str, &'static str)]| {
            all.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
        };
        let check = |query: &str, all: &[(&'static str, &'static str)], want: &str| {
            let found = check_signed(query, &headers(all)).err();
            let found = found.map_or(String::new(), |error| error.code().as_str().to_owned());
            assert_eq!(found, want, "{query} {all:?}");
        };
        let copied = [("x-amz-copy-source", "b/k"), ("content-type", "text/plain"), ("x-amz-user-agent", "a")];
        check(&presigned("host"), &copied, "AccessDenied");
        check(&presigned("host%3Bx-amz-copy-source"), &copied, "");
        check(&presigned("host"), &[("content-type", "text/plain")], "");
        check("", &copied, "");
        let signed = "AWS4-HMAC-SHA256 Credential=AK/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";
        let own = [("authorization", signed), ("x-amz-date", "20130524T000000Z"), ("x-amz-acl", "public-read")];
        check("", &own, "AccessDenied");
        check("", &own[..2], "");
        // However the keys are written.
        let written =
            presigned("host").replace("X-Amz-Algorithm", "X-Amz-Algorith%6D").replace("X-Amz-Sig", "X-Amz-%53ig");
        check(&written, &copied, "AccessDenied");
        check(
            &presigned("host").replace("&X-Amz-SignedHeaders=host", ""),
            &copied,
            "AuthorizationQueryParametersError",
        );
        for (from, to) in [
            ("X-Amz-Expires=60", "X-Amz-Expires=6O"),
            ("X-Amz-Expires=60", "X-Amz-Expires=-1"),
            ("X-Amz-Expires=60", "X-Amz-Expires=604801"),
            ("X-Amz-Expires=60&", ""),
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            ("Date=20130524T000000Z", "Date=2013-05-24"),
            ("Date=20130524T000000Z", "Date=20130525T000000Z"),
            ("%2Faws4_request", ""),
        ] {
            check(&presigned("host").replace(from, to), &[], "AuthorizationQueryParametersError");
        }
        check(&format!("{}x", presigned("host")), &[], "SignatureDoesNotMatch");
        let twice = format!("{}&X-Amz-SignedHeaders=x-amz-copy-source", presigned("host"));
        check(&twice, &copied, "AuthorizationQueryParametersError");
        check("", &[("authorization", "AWS4-HMAC-SHA256 x"), ("x-amz-acl", "private")], "");
        let of_two = format!("{signed}, SignedHeaders=x-amz-acl");
        check("", &[("authorization", of_two.leak()), ("x-amz-acl", "private")], "");
        // No algorithm is asked for by who checks a signature.
        let other = signed.replace("AWS4-HMAC-SHA256", "Other");
        check("", &[("authorization", other.leak()), ("x-amz-acl", "private")], "AccessDenied");
        // The older signature covers them all.
        check("AWSAccessKeyId=AK&Signature=x&Expires=1", &copied, "");
        check("", &[("authorization", "AWS AK:x"), ("x-amz-acl", "private")], "");
        // Of two signatures it is not clear which is meant.
        for header in ["x", "AWS AK:x", signed] {
            for query in [presigned("host"), written.clone(), "AWSAccessKeyId=AK&%53ignature=x&Expires=1".to_owned()] {
                check(&query, &[("authorization", header)], "InvalidArgument");
            }
        }
        check(&format!("{}&Signature=x", presigned("host")), &[], "InvalidArgument");
    }

    #[test]
    fn methods_that_are_none() {
        let code = |method: &str, uri: &str| {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let found = check_method(&method, false, &uri.parse().unwrap()).err();
            found.map(|error| (error.status(), error.fields()["ResourceType"].as_str().unwrap_or_default().to_owned()))
        };
        assert_eq!(code("PATCH", "/b/k?X-Amz-Signature=0"), Some((405, "OBJECT".to_owned())));
        assert_eq!(code("PATCH", "/b"), Some((405, "BUCKET".to_owned())));
        assert_eq!(code("PUT", "/"), Some((405, "SERVICE".to_owned())));
        for (method, uri) in [("GET", "/b/k"), ("HEAD", "/b"), ("POST", "/b?delete"), ("POST", "/b/k?newer")] {
            assert_eq!(code(method, uri), None, "{method} {uri}");
        }
        let form = check_method(&Method::POST, false, &"/b".parse().unwrap()).unwrap_err();
        assert_eq!((form.code(), form.status()), ("PreconditionFailed", 412));
    }

    #[test]
    fn a_presigned_url_carries_headers_but_no_checksums() {
        let lifted = |query: &str| {
            let mut headers = HeaderMap::new();
            lift(query, &mut headers);
            let lifted = headers.iter().map(|(name, value)| format!("{name}={}", value.to_str().unwrap()));
            lifted.collect::<Vec<_>>().join(" ")
        };
        let signed = "X-Amz-Signature=0&X-Amz-Date=d&x-amz-meta-a=b%20c&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32";
        assert_eq!(lifted(signed), "x-amz-meta-a=b c");
        assert_eq!(lifted("x-amz-meta-a=b"), "");
    }

    #[test]
    fn the_most_particular_is_found() {
        let copy = [("x-amz-copy-source", "b/k")];
        let part = "partNumber=1&uploadId=u";
        assert_eq!(found("PUT", Target::Object, "", &[]), "PutObject");
        assert_eq!(found("PUT", Target::Object, "", &copy), "CopyObject");
        assert_eq!(found("PUT", Target::Object, part, &[]), "UploadPart");
        assert_eq!(found("PUT", Target::Object, part, &copy), "UploadPartCopy");
        assert_eq!(found("PUT", Target::Object, "annotation&annotationName=a", &[]), "PutObjectAnnotation");
        assert_eq!(found("GET", Target::Object, "uploadId=u", &[]), "ListParts");
        assert_eq!(found("GET", Target::Object, "partNumber=1", &[]), "GetObject");
        assert_eq!(found("GET", Target::Bucket, "list-type=2&prefix=a", &[]), "ListObjectsV2");
        assert_eq!(found("GET", Target::Bucket, "prefix=a", &[]), "ListObjects");
        assert_eq!(found("GET", Target::Bucket, "analytics", &[]), "ListBucketAnalyticsConfigurations");
        assert_eq!(found("GET", Target::Bucket, "analytics&id=1", &[]), "GetBucketAnalyticsConfiguration");
        assert_eq!(found("GET", Target::Root, "", &[]), "ListBuckets");
        assert_eq!(found("POST", Target::Object, "", &[]), "");
    }

    #[test]
    fn a_link_of_the_older_signature_is_good_for_one_operation() {
        let path = S3Path::Object { bucket: "b".into(), key: "k".into() };
        let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("0"))]);
        let link = "AWSAccessKeyId=AK&Signature=x&Expires=1";
        let check = |query: &str, taken: &str| {
            let refused = check(&Method::PUT, &path, query, &headers, taken).err();
            refused.map_or(String::new(), |error| error.code().as_str().to_owned())
        };
        assert_eq!(check(link, "PutObject"), "");
        assert_eq!(check(&format!("{link}&tagging"), "PutObjectTagging"), "");
        assert_eq!(check(&format!("{link}&legal-hold"), "PutObjectLegalHold"), "AccessDenied");
        assert_eq!(check(&format!("{link}&retention"), "PutObjectRetention"), "AccessDenied");
        assert_eq!(check("retention", "PutObjectRetention"), "");
    }

    #[test]
    fn the_sum_of_no_body_is_harmless() {
        let takes =
            |name: &str| OPERATIONS.iter().find(|one| one.name == name).unwrap().takes_header("x-amz-checksum-crc32");
        assert_eq!(["GetObject", "HeadObject", "PutObject", "CreateBucket"].map(takes), [true, true, true, false]);
    }
}
