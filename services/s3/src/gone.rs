//! What a deleted bucket leaves: parts of its uploads, lines of its log, notes of deletions. As much goes with the bucket as one
//! transaction may hold; the rest goes piece by piece, and until it is gone no bucket of the name is made.

use store::{Done, NewTask, Task};
use wire::Error;

use crate::S3;
use crate::change::{self, Garbage};
use crate::errors::Result;
use crate::keys;
use crate::records::{PartRecord, UploadRecord};
use crate::tx::Tx;

/// The kind of task that clears up.
pub(crate) const TASK: &str = "s3:bucket-gone";
/// Records of one transaction.
const PIECE: usize = if cfg!(test) { 3 } else { 1000 };

/// With the bucket itself: removes what there is, or as much of it as is allowed, and asks for the rest.
pub(crate) fn begin(tx: &mut Tx<'_>, bucket: &str, garbage: &mut Garbage) -> Result<()> {
    if clear(tx, bucket, garbage)? {
        return Ok(());
    }
    tx.put_json(keys::gone(bucket), &bucket)?;
    Ok(tx.enqueue(NewTask::new(TASK, format!("s3-gone-{bucket}")).payload(&bucket)?)?)
}

/// Fails while a deleted bucket of the name still goes.
pub(crate) fn check(tx: &mut Tx<'_>, bucket: &str) -> Result<()> {
    if tx.get(keys::gone(bucket))?.is_none() {
        return Ok(());
    }
    let message =
        "A conflicting conditional operation is currently in progress against this resource. Please try again.";
    Err(Error::new("OperationAborted", 409, message))
}

/// Removes a piece; whether nothing is left.
fn clear(tx: &mut Tx<'_>, bucket: &str, garbage: &mut Garbage) -> Result<bool> {
    let mut left = PIECE;
    for (place, value) in tx.scan_prefix(keys::uploads(bucket), PIECE)? {
        let upload: UploadRecord = store::kv::decode(&place, &value)?;
        let parts = tx.scan_prefix(keys::parts(&upload.id), left)?;
        for (place, value) in &parts {
            let part: PartRecord = store::kv::decode(place, value)?;
            change::drop_segment(tx, &part.segment, garbage)?;
            tx.delete(place)?;
        }
        left -= parts.len();
        if left == 0 {
            return Ok(false);
        }
        tx.delete(place)?;
        left -= 1;
    }
    for prefix in [keys::uploads(bucket), keys::log_lines(bucket), keys::deletions(bucket)] {
        let records = tx.scan_prefix(&prefix, left)?;
        for (place, _) in &records {
            tx.delete(place)?;
        }
        left -= records.len();
        if left == 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

impl S3 {
    pub(crate) async fn run_gone(&self, task: &Task) -> Done {
        let cleared = match task.payload() {
            Ok(bucket) => self.clear_gone(bucket).await,
            Err(error) => Err(error.into()),
        };
        match cleared {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::warn!(task = task.id, %error, "what a deleted bucket left could not be removed; it is tried again");
                Done::RetryAfter(jiff::SignedDuration::from_secs(10))
            }
        }
    }

    async fn clear_gone(&self, bucket: String) -> Result<()> {
        loop {
            let name = bucket.clone();
            let (garbage, done) = self
                .store
                .write(move |tx| {
                    let mut garbage = Garbage::new();
                    // Run again after its end, it would remove what is another's.
                    if tx.get(keys::gone(&name))?.is_none() {
                        return Ok((garbage, true));
                    }
                    let done = clear(tx, &name, &mut garbage)?;
                    if done {
                        tx.delete(keys::gone(&name))?;
                    }
                    Ok::<_, Error>((garbage, done))
                })
                .await?;
            self.objects.delete(garbage).await;
            if done {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use service::{Accounts, Cx, Principal, Router};
    use store::Store;
    use store::objects::Objects;

    use super::*;

    /// A bucket with more than a piece goes at once for who asks, and its name is free when all is gone.
    #[tokio::test]
    async fn a_large_bucket_goes_piece_by_piece() {
        let router = Router::new();
        let (store, objects, settings) = (Store::memory(), Objects::memory(), crate::Settings::default());
        let s3 = S3::new(router.clone(), store, objects, ("0", Accounts::default()), settings).unwrap();
        let cx = Cx::new(router.clone(), Principal::Platform, "0", "us-east-1");
        s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.unwrap();
        let lines = 3 * PIECE + 1;
        let write = move |tx: &mut Tx<'_>| {
            (0..lines).try_for_each(|n| tx.put_json(keys::log_lines("bucket").push(format!("{n:04}")), &n))?;
            Ok::<_, Error>(())
        };
        s3.store.write(write).await.unwrap();
        s3.delete_bucket(&cx, "bucket").await.unwrap();
        assert!(s3.bucket("bucket").await.unwrap_err().is("NoSuchBucket"));
        let again = s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await;
        assert!(again.unwrap_err().is("OperationAborted"));
        s3.clear_gone("bucket".to_owned()).await.unwrap();
        s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.unwrap();
        let left = s3.store.read(|tx| tx.scan_prefix(keys::log_lines("bucket"), 9)).await.unwrap();
        assert!(left.is_empty());
        // Run again, it leaves the new bucket alone.
        s3.store.write(write).await.unwrap();
        s3.clear_gone("bucket".to_owned()).await.unwrap();
        assert_eq!(s3.store.read(|tx| tx.scan_prefix(keys::log_lines("bucket"), 99)).await.unwrap().len(), lines);
    }
}
