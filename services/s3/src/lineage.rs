//! What objects are read, written and deleted on behalf of states, jobs and invocations: noted at both doors.

use std::ops::Range;

use service::Cx;
use service::lineage::Did;

use crate::put::Stored;
use crate::records::ObjectRecord;

fn uri(bucket: &str, key: &str) -> String {
    format!("s3://{bucket}/{key}")
}

pub(crate) fn read(cx: &Cx, bucket: &str, key: &str, record: &ObjectRecord, range: &Range<u64>) {
    cx.touched(Did::Read, || uri(bucket, key), range.end - range.start, Some(&record.etag));
}

pub(crate) fn wrote(cx: &Cx, (bucket, key): &(String, String), stored: &Stored) {
    cx.touched(Did::Wrote, || uri(bucket, key), stored.size, Some(&stored.etag));
}

pub(crate) fn deleted(cx: &Cx, bucket: &str, key: &str) {
    cx.touched(Did::Deleted, || uri(bucket, key), 0, None);
}
