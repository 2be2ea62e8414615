//! Where things are in the store. Bucket names are one space, so no key holds account or region.

use store::Key;
use store::objects::BlobId;

fn base(kind: &str) -> Key {
    Key::new("s3").push(kind)
}

pub(crate) fn buckets() -> Key {
    base("bucket")
}
pub(crate) fn bucket(name: &str) -> Key {
    buckets().push(name)
}
/// A deleted bucket of which something is left.
pub(crate) fn gone(name: &str) -> Key {
    base("gone").push(name)
}
/// All settings (policy, notification, …) of a bucket.
pub(crate) fn settings(bucket: &str) -> Key {
    base("setting").push(bucket)
}
pub(crate) fn setting(bucket: &str, name: &str) -> Key {
    settings(bucket).push(name)
}
pub(crate) fn all_objects() -> Key {
    base("object")
}
/// All objects of a bucket.
pub(crate) fn objects(bucket: &str) -> Key {
    all_objects().push(bucket)
}
pub(crate) fn object(bucket: &str, key: &str) -> Key {
    objects(bucket).push(key)
}
/// The beginning of all keys of objects whose names begin with `prefix`.
pub(crate) fn objects_with_prefix(bucket: &str, prefix: &str) -> Vec<u8> {
    let mut bytes = object(bucket, prefix).into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes
}
pub(crate) fn all_versions() -> Key {
    base("version")
}
/// The versions of a bucket's keys that are not current, and all delete markers: by key, the newest first.
pub(crate) fn versions(bucket: &str) -> Key {
    all_versions().push(bucket)
}
pub(crate) fn versions_of(bucket: &str, key: &str) -> Key {
    versions(bucket).push(key)
}
pub(crate) fn version(bucket: &str, key: &str, seq: u64) -> Key {
    versions_of(bucket, key).push_u64(u64::MAX - seq)
}
/// The beginning of all versions of keys whose names begin with `prefix`.
pub(crate) fn versions_with_prefix(bucket: &str, prefix: &str) -> Vec<u8> {
    let mut bytes = versions_of(bucket, prefix).into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes
}
/// Where a null version is that is not current.
pub(crate) fn null_version(bucket: &str, key: &str) -> Key {
    base("null-version").push(bucket).push(key)
}
/// The number of the last version.
pub(crate) fn last_version() -> Key {
    base("last-version")
}
/// Everything that says how a bucket behaves.
pub(crate) fn governs() -> impl Fn(&[u8]) -> bool {
    let (buckets, settings) = (buckets(), base("setting"));
    move |key| key.starts_with(buckets.as_bytes()) || key.starts_with(settings.as_bytes())
}
/// The bytes of a small segment.
pub(crate) fn inline(id: &BlobId) -> Key {
    base("data").push(id.as_str())
}
pub(crate) fn all_uploads() -> Key {
    base("upload")
}
/// All multipart uploads of a bucket: by key, then in the order of their beginning.
pub(crate) fn uploads(bucket: &str) -> Key {
    all_uploads().push(bucket)
}
/// The beginning of all uploads to keys whose names begin with `prefix`.
pub(crate) fn uploads_with_prefix(bucket: &str, prefix: &str) -> Vec<u8> {
    let mut bytes = uploads(bucket).push(prefix).into_bytes();
    bytes.truncate(bytes.len() - 2);
    bytes
}
pub(crate) fn upload(bucket: &str, key: &str, id: &str) -> Key {
    uploads(bucket).push(key).push(id)
}
pub(crate) fn all_parts() -> Key {
    base("part")
}
pub(crate) fn parts(upload: &str) -> Key {
    all_parts().push(upload)
}
pub(crate) fn part(upload: &str, number: u32) -> Key {
    parts(upload).push_u64(number.into())
}
pub(crate) fn all_undo() -> Key {
    base("undo")
}
/// What an attempt of user code has changed.
pub(crate) fn undo_of(attempt: &str) -> Key {
    all_undo().push(attempt)
}
pub(crate) fn undo(attempt: &str, bucket: &str, key: &str) -> Key {
    undo_of(attempt).push(bucket).push(key)
}
/// Who has deleted a bucket's keys, as long as that may be undone.
pub(crate) fn deletions(bucket: &str) -> Key {
    base("deletion").push(bucket)
}
pub(crate) fn deletion(bucket: &str, key: &str) -> Key {
    deletions(bucket).push(key)
}
pub(crate) fn all_attempt_uploads() -> Key {
    base("attempt-upload")
}
/// The uploads that an attempt has begun.
pub(crate) fn attempt_uploads(attempt: &str) -> Key {
    all_attempt_uploads().push(attempt)
}
pub(crate) fn all_log_lines() -> Key {
    base("log-line")
}
pub(crate) fn all_attempt_events() -> Key {
    base("attempt-event")
}
/// Events of what an attempt has done, of which nobody has been told yet.
pub(crate) fn attempt_events(attempt: &str) -> Key {
    all_attempt_events().push(attempt)
}
pub(crate) fn all_attempt_ends() -> Key {
    base("attempt-end")
}
/// How an attempt ends whose end takes several transactions.
pub(crate) fn attempt_end(attempt: &str) -> Key {
    all_attempt_ends().push(attempt)
}
/// Lines of a bucket's access log that are not delivered yet, by time.
pub(crate) fn log_lines(bucket: &str) -> Key {
    all_log_lines().push(bucket)
}
pub(crate) fn all_completed() -> Key {
    base("completed")
}
/// The answer of a completed upload.
pub(crate) fn completed(upload: &str) -> Key {
    all_completed().push(upload)
}
pub(crate) fn sequencer() -> Key {
    base("sequencer")
}

/// The object's key out of the place of one of its versions.
pub(crate) fn key_of_version(place: &[u8]) -> String {
    let mut parts = Key::parts(place);
    parts.pop();
    parts.pop().map(|part| String::from_utf8_lossy(&part).into_owned()).unwrap_or_default()
}

/// The last part of a stored key.
pub(crate) fn last_part(key: &[u8]) -> String {
    Key::parts(key).pop().map(|part| String::from_utf8_lossy(&part).into_owned()).unwrap_or_default()
}
