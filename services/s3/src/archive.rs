//! Archived storage classes: an object in one is not readable until it is restored, and then for as many days as were asked for.
//! Source: API reference, RestoreObject; S3 User Guide, "Working with archived objects". Nothing is moved anywhere here: the class is
//! obeyed, not imitated in cost or delay.

use wire::Error;

use crate::errors::Result;
use crate::records::ObjectRecord;

/// The last moment that dates of HTTP can tell: the end of the year 9999.
pub(crate) const LAST_MS: i64 = 253_402_300_799_000;

pub(crate) fn is_archived(record: &ObjectRecord) -> bool {
    matches!(record.headers.storage_class.as_deref(), Some("GLACIER" | "DEEP_ARCHIVE"))
}

/// # Errors
/// `InvalidObjectState`.
pub(crate) fn check_readable(record: &ObjectRecord, now_ms: i64, source: bool) -> Result<()> {
    if !is_archived(record) || record.restored_until_ms.is_some_and(|t| t > now_ms) {
        return Ok(());
    }
    let message = if source {
        "Operation is not valid for the source object's storage class"
    } else {
        "The operation is not valid for the object's storage class"
    };
    let class = record.headers.storage_class.as_deref().unwrap_or_default();
    Err(Error::new("InvalidObjectState", 403, message).with("StorageClass", class))
}

/// The `x-amz-restore` header.
pub(crate) fn header(record: &ObjectRecord, now_ms: i64) -> Option<String> {
    let until = record.restored_until_ms.filter(|t| *t > now_ms && is_archived(record))?;
    let time = jiff::Timestamp::from_millisecond(until).ok()?;
    let date = time.strftime("%a, %d %b %Y %H:%M:%S GMT");
    Some(format!("ongoing-request=\"false\", expiry-date=\"{date}\""))
}
