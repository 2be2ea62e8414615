//! Buckets: made, found, listed, deleted. Their names are one space for all regions and accounts.

use service::Cx;
use wire::Error;

use crate::S3;
use crate::errors::{Result, no_such_bucket};
use crate::keys;
use crate::records::{BucketRecord, VERSION};
use crate::tx::{any, delete_all, require_bucket};

impl S3 {
    pub(crate) async fn create_bucket(&self, cx: &Cx, name: &str, region: &str) -> Result<BucketRecord> {
        if !s3s::path::check_bucket_name(name) {
            return Err(Error::new("InvalidBucketName", 400, "The specified bucket is not valid."));
        }
        let record = BucketRecord {
            v: VERSION,
            name: name.to_owned(),
            account: cx.account().to_owned(),
            region: region.to_owned(),
            created_ms: now_ms(cx),
        };
        cx.write(&self.store, move |tx| {
            let key = keys::bucket(&record.name);
            if let Some(existing) = tx.get_json::<BucketRecord>(&key)? {
                return match (existing.account == record.account, record.region == "us-east-1") {
                    // us-east-1 answers 200 to the owner, and only there.
                    (true, true) if existing.region == record.region => Ok(existing),
                    (true, _) => Err(Error::new(
                        "BucketAlreadyOwnedByYou",
                        409,
                        "Your previous request to create the named bucket succeeded and you already own it.",
                    )),
                    (false, _) => Err(Error::new(
                        "BucketAlreadyExists",
                        409,
                        "The requested bucket name is not available. The bucket namespace is shared by all users of the \
                         system. Please select a different name and try again.",
                    )),
                };
            }
            tx.put_json(&key, &record)?;
            Ok(record.clone())
        })
        .await
    }

    /// The bucket, or NoSuchBucket.
    pub(crate) async fn bucket(&self, name: &str) -> Result<BucketRecord> {
        self.store.read(|tx| require_bucket(tx, name)).await
    }

    /// The caller's buckets, in the order of their names, from after `start` on.
    pub(crate) async fn list_buckets(
        &self,
        cx: &Cx,
        prefix: String,
        region: Option<String>,
        start: Option<String>,
    ) -> Result<Vec<BucketRecord>> {
        let account = cx.account().to_owned();
        self.store
            .read(move |tx| {
                let mut found = Vec::new();
                for record in tx.list_json::<BucketRecord>(keys::buckets(), usize::MAX)? {
                    if record.account == account
                        && record.name.starts_with(&prefix)
                        && region.as_ref().is_none_or(|r| *r == record.region)
                        && start.as_ref().is_none_or(|s| record.name > *s)
                    {
                        found.push(record);
                    }
                }
                Ok(found)
            })
            .await
    }

    pub(crate) async fn delete_bucket(&self, cx: &Cx, name: &str) -> Result<()> {
        let name = name.to_owned();
        cx.write(&self.store, move |tx| {
            let key = keys::bucket(&name);
            if tx.get(&key)?.is_none() {
                return Err(no_such_bucket(&name));
            }
            if any(tx, &keys::objects(&name))? || any(tx, &keys::uploads(&name))? {
                return Err(Error::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty")
                    .with("BucketName", name.as_str()));
            }
            tx.delete(&key)?;
            delete_all(tx, &keys::settings(&name))
        })
        .await
    }
}

pub(crate) fn now_ms(cx: &Cx) -> i64 {
    cx.now().as_millisecond()
}
