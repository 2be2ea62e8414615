//! What several operations do inside their transactions.

use store::Key;
pub(crate) use store::Tx;

use crate::errors::{Result, no_such_bucket};
use crate::keys;
use crate::records::BucketRecord;

/// The bucket's record, or NoSuchBucket.
pub(crate) fn require_bucket(tx: &mut Tx<'_>, name: &str) -> Result<BucketRecord> {
    tx.get_json(keys::bucket(name))?.ok_or_else(|| no_such_bucket(name))
}

/// Is there any record under this prefix?
pub(crate) fn any(tx: &mut Tx<'_>, prefix: &Key) -> Result<bool> {
    Ok(!tx.scan_prefix(prefix, 1)?.is_empty())
}

pub(crate) fn delete_all(tx: &mut Tx<'_>, prefix: &Key) -> Result<()> {
    loop {
        let page = tx.scan_prefix(prefix, 1000)?;
        if page.is_empty() {
            return Ok(());
        }
        for (key, _) in page {
            tx.delete(key)?;
        }
    }
}
