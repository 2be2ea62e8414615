//! Tags of objects.

use service::Cx;

use crate::S3;
use crate::errors::{Result, no_such_key};
use crate::keys;
use crate::put::check_tags;
use crate::records::ObjectRecord;
use crate::tx::require_bucket;

impl S3 {
    /// The object's record without its bytes.
    pub(crate) async fn head(&self, bucket: &str, key: &str) -> Result<ObjectRecord> {
        self.store
            .read(|tx| {
                require_bucket(tx, bucket)?;
                tx.get_json(keys::object(bucket, key))?.ok_or_else(|| no_such_key(key))
            })
            .await
    }

    pub(crate) async fn put_object_tags(
        &self,
        cx: &Cx,
        (bucket, key): (String, String),
        tags: Vec<(String, String)>,
    ) -> Result<()> {
        check_tags(&tags, 10)?;
        cx.write(&self.store, move |tx| {
            require_bucket(tx, &bucket)?;
            let place = keys::object(&bucket, &key);
            let mut record: ObjectRecord = tx.get_json(&place)?.ok_or_else(|| no_such_key(&key))?;
            record.tags.clone_from(&tags);
            Ok(tx.put_json(&place, &record)?)
        })
        .await
    }
}
