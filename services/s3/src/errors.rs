//! S3's errors, with its own codes, statuses and messages.

use std::fmt;

use wire::Error;

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

pub(crate) fn no_such_bucket(bucket: &str) -> Error {
    Error::new("NoSuchBucket", 404, "The specified bucket does not exist").with("BucketName", bucket)
}
pub(crate) fn no_such_key(key: &str) -> Error {
    Error::new("NoSuchKey", 404, "The specified key does not exist.").with("Key", key)
}
pub(crate) fn no_such_upload(id: &str) -> Error {
    Error::new(
        "NoSuchUpload",
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    )
    .with("UploadId", id)
}
pub(crate) fn no_such_version(key: &str, id: &str) -> Error {
    Error::new("NoSuchVersion", 404, "The specified version does not exist.").with("Key", key).with("VersionId", id)
}
pub(crate) fn method_not_allowed() -> Error {
    Error::new("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
}
pub(crate) fn access_denied(message: impl Into<String>) -> Error {
    Error::new("AccessDenied", 403, message)
}
pub(crate) fn malformed_xml() -> Error {
    Error::new(
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published schema",
    )
}
pub(crate) fn precondition_failed(condition: &str) -> Error {
    Error::new("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
        .with("Condition", condition)
}
pub(crate) fn not_modified() -> Error {
    Error::new("NotModified", 304, "Not Modified")
}
pub(crate) fn invalid_range(requested: &str, size: u64) -> Error {
    Error::new("InvalidRange", 416, "The requested range is not satisfiable")
        .with("RangeRequested", requested)
        .with("ActualObjectSize", size)
}
pub(crate) fn invalid_argument(message: impl Into<String>) -> Error {
    Error::new("InvalidArgument", 400, message)
}
/// With the argument that is meant, and its value.
pub(crate) fn invalid_argument_of(name: &str, value: &str, message: impl Into<String>) -> Error {
    invalid_argument(message).with("ArgumentName", name).with("ArgumentValue", value)
}
pub(crate) fn invalid_part_number(number: &str) -> Error {
    let message = "Part number must be an integer between 1 and 10000, inclusive";
    invalid_argument_of("partNumber", number, message)
}
pub(crate) fn invalid_request(message: impl Into<String>) -> Error {
    Error::new("InvalidRequest", 400, message)
}
pub(crate) fn bad_digest(message: impl Into<String>) -> Error {
    Error::new("BadDigest", 400, message)
}
pub(crate) fn entity_too_large(max: u64) -> Error {
    Error::new("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
        .with("MaxSizeAllowed", max)
}
pub(crate) fn key_too_long(size: usize) -> Error {
    Error::new("KeyTooLongError", 400, "Your key is too long").with("Size", size).with("MaxSizeAllowed", 1024)
}
pub(crate) fn not_implemented(what: &str) -> Error {
    Error::new("NotImplemented", 501, format!("{what} is not implemented"))
}
/// Disk or store trouble: the cause goes to the log, an id to the client.
pub(crate) fn internal(cause: impl fmt::Display) -> Error {
    Error::new("InternalError", 500, cause.to_string())
}

/// Of inventory, analytics and intelligent tiering, which no bucket has, and of metrics that it has not.
pub(crate) fn no_such_configuration() -> Error {
    Error::new("NoSuchConfiguration", 404, "The specified configuration does not exist.")
}
