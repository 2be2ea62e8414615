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
pub(crate) fn no_such_upload() -> Error {
    Error::new(
        "NoSuchUpload",
        404,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
    )
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
pub(crate) fn invalid_range() -> Error {
    Error::new("InvalidRange", 416, "The requested range is not satisfiable")
}
pub(crate) fn invalid_argument(message: impl Into<String>) -> Error {
    Error::new("InvalidArgument", 400, message)
}
pub(crate) fn invalid_request(message: impl Into<String>) -> Error {
    Error::new("InvalidRequest", 400, message)
}
pub(crate) fn bad_digest(message: impl Into<String>) -> Error {
    Error::new("BadDigest", 400, message)
}
pub(crate) fn entity_too_large() -> Error {
    Error::new("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
}
pub(crate) fn key_too_long() -> Error {
    Error::new("KeyTooLongError", 400, "Your key is too long")
}
pub(crate) fn not_implemented(what: &str) -> Error {
    Error::new("NotImplemented", 501, format!("{what} is not implemented"))
}
/// Disk or store trouble: the cause goes to the log, an id to the client.
pub(crate) fn internal(cause: impl fmt::Display) -> Error {
    Error::new("InternalError", 500, cause.to_string())
}

/// Of inventory, metrics, analytics and intelligent tiering, which no bucket has.
pub(crate) fn no_such_configuration() -> Error {
    Error::new("NoSuchConfiguration", 404, "The specified configuration does not exist.")
}
