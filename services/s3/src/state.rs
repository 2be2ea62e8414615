//! What governs requests to a bucket, read once and kept until a setting of any bucket is written: its record, and those of its
//! settings that act on requests.

use std::sync::Arc;

use s3s::dto::{
    BucketLifecycleConfiguration, CORSConfiguration, MetricsConfiguration, PublicAccessBlockConfiguration,
    ServerSideEncryptionConfiguration,
};
use serde_json::Value;

use crate::S3;
use crate::acl::{self, Grant};
use crate::errors::{Result, no_such_bucket};
use crate::keys;
use crate::lock::DefaultRetention;
use crate::policy;
use crate::records::BucketRecord;
use crate::settings::{
    ACL, CORS, ENCRYPTION, LIFECYCLE, LOGGING, METRICS, OBJECT_LOCK, OWNERSHIP, POLICY, PUBLIC_ACCESS, REQUEST_PAYMENT,
};
use crate::tx::Tx;

#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) record: BucketRecord,
    pub(crate) policy: Option<Value>,
    pub(crate) public_policy: bool,
    pub(crate) access_block: AccessBlock,
    pub(crate) ownership: Ownership,
    pub(crate) grants: Vec<Grant>,
    pub(crate) encryption: Option<ServerSideEncryptionConfiguration>,
    pub(crate) retention: Option<DefaultRetention>,
    pub(crate) cors: Option<CORSConfiguration>,
    pub(crate) lifecycle: Option<BucketLifecycleConfiguration>,
    pub(crate) requester_pays: bool,
    /// Requests to it are logged.
    pub(crate) logs: bool,
    /// Of which requests to it CloudWatch is told.
    pub(crate) metrics: Vec<MetricsConfiguration>,
}

/// The four switches of a public access block.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "they are the four of AWS")]
pub(crate) struct AccessBlock {
    pub(crate) public_acls: bool,
    pub(crate) ignore_acls: bool,
    pub(crate) public_policy: bool,
    pub(crate) restrict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ownership {
    /// ACLs are off.
    BucketOwnerEnforced,
    BucketOwnerPreferred,
    ObjectWriter,
}

impl Ownership {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "BucketOwnerEnforced" => Self::BucketOwnerEnforced,
            "BucketOwnerPreferred" => Self::BucketOwnerPreferred,
            "ObjectWriter" => Self::ObjectWriter,
            _ => return None,
        })
    }
}

impl Bucket {
    pub(crate) fn name(&self) -> &str {
        &self.record.name
    }
    pub(crate) fn owner(&self) -> &str {
        &self.record.account
    }
    pub(crate) fn acls(&self) -> bool {
        self.ownership != Ownership::BucketOwnerEnforced
    }
}

impl S3 {
    /// The bucket, or NoSuchBucket.
    pub(crate) async fn governed(&self, name: &str) -> Result<Arc<Bucket>> {
        let found = self.buckets.find(keys::bucket(name), |tx| read(tx, name)).await?;
        let found = found.ok_or_else(|| no_such_bucket(name))?;
        crate::admitted::note(&found.record)?;
        Ok(found)
    }
}

fn read(tx: &mut Tx<'_>, name: &str) -> Result<Option<Bucket>> {
    let Some(record) = tx.get_json::<BucketRecord>(keys::bucket(name))? else { return Ok(None) };
    let text: Option<String> = tx.get_json(keys::setting(name, POLICY))?;
    // What does not parse any more denies nobody silently: see PutBucketPolicy, which lets nothing through that does not.
    let policy: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
    let block: Option<PublicAccessBlockConfiguration> = tx.get_json(keys::setting(name, PUBLIC_ACCESS))?;
    let ownership: Option<Vec<String>> = tx.get_json(keys::setting(name, OWNERSHIP))?;
    let ownership = ownership.and_then(|o| o.first().and_then(|o| Ownership::parse(o)));
    let grants: Option<Vec<Grant>> = tx.get_json(keys::setting(name, ACL))?;
    let payer: Option<String> = tx.get_json(keys::setting(name, REQUEST_PAYMENT))?;
    Ok(Some(Bucket {
        public_policy: policy.as_ref().is_some_and(policy::is_public),
        policy,
        access_block: block.map_or_else(AccessBlock::default, |b| AccessBlock {
            public_acls: b.block_public_acls.unwrap_or(false),
            ignore_acls: b.ignore_public_acls.unwrap_or(false),
            public_policy: b.block_public_policy.unwrap_or(false),
            restrict: b.restrict_public_buckets.unwrap_or(false),
        }),
        ownership: ownership.unwrap_or(Ownership::ObjectWriter),
        grants: grants.unwrap_or_else(|| acl::private(&record.account)),
        encryption: tx.get_json(keys::setting(name, ENCRYPTION))?,
        retention: tx.get_json(keys::setting(name, OBJECT_LOCK))?,
        cors: tx.get_json(keys::setting(name, CORS))?,
        lifecycle: tx.get_json(keys::setting(name, LIFECYCLE))?,
        requester_pays: payer.as_deref() == Some("Requester"),
        logs: tx.get(keys::setting(name, LOGGING))?.is_some(),
        metrics: tx.get_json(keys::setting(name, METRICS))?.unwrap_or_default(),
        record,
    }))
}
