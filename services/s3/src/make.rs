//! What a new object is given besides its bytes: owner and grants, lock, encryption, out of what a request says and what its bucket
//! has by default. Sources: S3 User Guide, "Controlling ownership of objects", "Setting default server-side encryption behavior".

use s3s::dto::ServerSideEncryptionByDefault;
use service::Cx;
use wire::Error;

use crate::S3;
use crate::access::caller;
use crate::acl::{self, Grant, Grantee, Permission};
use crate::buckets::now_ms;
use crate::errors::{Result, access_denied, invalid_argument, invalid_request, not_implemented};
use crate::lock;
use crate::put::Attributes;
use crate::sse::{CustomerKey, Sse};
use crate::state::{Bucket, Ownership};

/// The grant headers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    pub(crate) full_control: Option<String>,
    pub(crate) read: Option<String>,
    pub(crate) write: Option<String>,
    pub(crate) read_acp: Option<String>,
    pub(crate) write_acp: Option<String>,
}

impl Grants {
    pub(crate) fn list(&self) -> [(Permission, Option<&str>); 5] {
        [
            (Permission::FullControl, self.full_control.as_deref()),
            (Permission::Read, self.read.as_deref()),
            (Permission::Write, self.write.as_deref()),
            (Permission::ReadAcp, self.read_acp.as_deref()),
            (Permission::WriteAcp, self.write_acp.as_deref()),
        ]
    }
}

/// What a request says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Making {
    pub(crate) canned: Option<String>,
    pub(crate) grants: Grants,
    pub(crate) lock_mode: Option<String>,
    pub(crate) lock_until_ms: Option<i64>,
    pub(crate) legal_hold: Option<String>,
    pub(crate) encryption: Option<String>,
    pub(crate) kms_key: Option<String>,
    pub(crate) kms_context: Option<String>,
    pub(crate) bucket_key: bool,
    pub(crate) customer: Option<CustomerKey>,
}

impl Making {
    /// Does it ask for an encryption itself?
    pub(crate) fn asks_encryption(&self) -> bool {
        self.encryption.is_some() || self.customer.is_some()
    }
}

impl S3 {
    /// Adds owner, grants, lock and encryption to what else a new object has.
    pub(crate) async fn make(
        &self,
        cx: &Cx,
        bucket: &Bucket,
        making: &Making,
        attributes: Attributes,
    ) -> Result<Attributes> {
        let writer = caller(cx);
        let grants = self.grants_asked(bucket, making.canned.as_deref(), &making.grants, writer, false)?;
        let foreign = bucket.acls() && writer != bucket.owner();
        let handed_over = bucket.ownership == Ownership::BucketOwnerPreferred
            && making.canned.as_deref() == Some("bucket-owner-full-control");
        let hold = making.legal_hold.as_deref();
        let lock = lock::Asked::parse(making.lock_mode.as_deref(), making.lock_until_ms, hold, now_ms(cx))?;
        if !lock.is_none() && !bucket.record.object_lock {
            return Err(lock::missing());
        }
        Ok(Attributes {
            owner: (foreign && !handed_over).then(|| writer.to_owned()),
            grants: if handed_over { None } else { grants },
            lock,
            sse: self.encryption(cx, bucket, making).await?,
            ..attributes
        })
    }

    /// The grants that a request asks for, of a bucket or of an object in it; `None` where it asks for none.
    pub(crate) fn grants_asked(
        &self,
        bucket: &Bucket,
        canned: Option<&str>,
        headers: &Grants,
        owner: &str,
        of_bucket: bool,
    ) -> Result<Option<Vec<Grant>>> {
        let listed = acl::of_headers(&self.known, &headers.list())?;
        let list = match (canned, listed) {
            (Some(_), Some(_)) => {
                return Err(invalid_request("Specifying both Canned ACLs and Header Grants is not allowed"));
            }
            (Some(name), None) => Some(acl::canned(name, owner, bucket.owner(), of_bucket)?),
            (None, list) => list,
        };
        let Some(list) = list else { return Ok(None) };
        Self::check_grants(bucket, canned, list)
    }

    /// Whether the bucket takes such grants; `None` where it has none of its own and they say what it means anyway.
    pub(crate) fn check_grants(bucket: &Bucket, canned: Option<&str>, list: Vec<Grant>) -> Result<Option<Vec<Grant>>> {
        if !bucket.acls() {
            let owners = |g: &Grant| {
                g.grantee == Grantee::Account(bucket.owner().to_owned()) && g.permission == Permission::FullControl
            };
            if matches!(canned, Some("private" | "bucket-owner-full-control")) || list.iter().all(owners) {
                return Ok(None);
            }
            return Err(Error::new("AccessControlListNotSupported", 400, "The bucket does not allow ACLs"));
        }
        if bucket.access_block.public_acls && list.iter().any(Grant::is_public) {
            return Err(access_denied("Access Denied"));
        }
        Ok(Some(list))
    }

    /// How a new object is encrypted: as it is asked for, else as its bucket does by default, else not.
    async fn encryption(&self, cx: &Cx, bucket: &Bucket, making: &Making) -> Result<Option<Sse>> {
        if let Some(customer) = &making.customer {
            if making.encryption.is_some() {
                return Err(invalid_argument(
                    "Server Side Encryption with Customer provided key is incompatible with the encryption method specified",
                ));
            }
            return Ok(Some(Sse::Customer { md5: customer.md5.clone() }));
        }
        if making.encryption.is_none() && making.kms_key.is_some() {
            return Err(invalid_argument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            ));
        }
        match making.encryption.as_deref() {
            Some("AES256") if making.kms_key.is_some() => Err(invalid_argument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
            )),
            Some("AES256") => Ok(Some(Sse::Managed)),
            Some("aws:kms") => {
                let (key, context) = (making.kms_key.as_deref(), making.kms_context.clone());
                Ok(Some(self.kms(cx, bucket, key, context, making.bucket_key).await?))
            }
            Some("aws:kms:dsse") => Err(not_implemented("Dual-layer server-side encryption (aws:kms:dsse)")),
            Some(_) => Err(invalid_argument("The encryption method specified is not supported")
                .with("ArgumentName", "x-amz-server-side-encryption")),
            None => {
                let rule = bucket.encryption.as_ref().and_then(|e| e.rules.first());
                let Some(rule) = rule else { return Ok(None) };
                let Some(default) = &rule.apply_server_side_encryption_by_default else { return Ok(None) };
                let bucket_key = rule.bucket_key_enabled.unwrap_or(false);
                self.default_encryption(cx, bucket, default, bucket_key).await.map(Some)
            }
        }
    }

    pub(crate) async fn default_encryption(
        &self,
        cx: &Cx,
        bucket: &Bucket,
        default: &ServerSideEncryptionByDefault,
        bucket_key: bool,
    ) -> Result<Sse> {
        match default.sse_algorithm.as_str() {
            "AES256" => Ok(Sse::Managed),
            "aws:kms" => self.kms(cx, bucket, default.kms_master_key_id.as_deref(), None, bucket_key).await,
            _ => Err(not_implemented("Dual-layer server-side encryption (aws:kms:dsse)")),
        }
    }

    /// A key by its id, ARN or alias: one of KMS, `alias/aws/s3`, or one that the settings name; the last two are derived from the
    /// data folder's key.
    async fn kms(
        &self,
        cx: &Cx,
        bucket: &Bucket,
        asked: Option<&str>,
        context: Option<String>,
        bucket_key: bool,
    ) -> Result<Sse> {
        let home = format!("arn:aws:kms:{}:{}:", bucket.record.region, bucket.owner());
        let own = "alias/aws/s3";
        let id = asked.unwrap_or(own);
        let short = id.strip_prefix(&home).unwrap_or(id);
        let plain = short.strip_prefix("key/").unwrap_or(short);
        let key = if short == own {
            format!("{home}{own}")
        } else if self.settings.kms_keys.iter().any(|k| k == plain) {
            format!("{home}key/{plain}")
        } else {
            Box::pin(crate::kms::arn(cx, id, &home)).await?
        };
        if let Some(context) = &context
            && crate::kms::parse_context(context).is_none()
        {
            return Err(invalid_argument(
                "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map",
            ));
        }
        Ok(Sse::Kms { key, context, bucket_key })
    }
}
