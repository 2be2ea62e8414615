//! Buckets: made, found, listed, deleted. Their names are one space for all regions and accounts.

use s3s::dto::{
    PublicAccessBlockConfiguration, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
    ServerSideEncryptionRule, TagSet, Tagging,
};
use service::Cx;
use wire::Error;

use crate::S3;
use crate::account::DefaultEncryption;
use crate::acl::Grant;
use crate::admitted::Home;
use crate::change::Garbage;
use crate::errors::Result;
use crate::gone;
use crate::keys;
use crate::lock::DefaultRetention;
use crate::records::{BucketRecord, VERSION, Versioning};
use crate::settings::{ACL, ENCRYPTION, OBJECT_LOCK, OWNERSHIP, PUBLIC_ACCESS, TAGGING};
use crate::tx::{any, delete_all, require_bucket};

/// What a new bucket is given besides its name.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub(crate) ownership: String,
    pub(crate) grants: Option<Vec<Grant>>,
    pub(crate) object_lock: bool,
    pub(crate) tags: TagSet,
}

impl S3 {
    /// What is given where nothing is said.
    pub(crate) fn usual(&self) -> Made {
        Made {
            ownership: self.settings.object_ownership.clone(),
            grants: None,
            object_lock: false,
            tags: TagSet::new(),
        }
    }

    /// How a bucket encrypts by default of which nothing else was said.
    pub(crate) fn usual_encryption(&self) -> Option<ServerSideEncryptionConfiguration> {
        let default = match self.settings.default_encryption {
            DefaultEncryption::None => return None,
            DefaultEncryption::Aes256 => {
                ServerSideEncryptionByDefault { sse_algorithm: "AES256".to_owned().into(), kms_master_key_id: None }
            }
        };
        let rule = ServerSideEncryptionRule {
            apply_server_side_encryption_by_default: Some(default),
            bucket_key_enabled: Some(false),
        };
        Some(ServerSideEncryptionConfiguration { rules: vec![rule] })
    }

    pub(crate) async fn create_bucket(&self, cx: &Cx, name: &str, region: &str, made: Made) -> Result<BucketRecord> {
        if !s3s::path::check_bucket_name(name) || !is_name(name) {
            return Err(Error::new("InvalidBucketName", 400, "The specified bucket is not valid."));
        }
        let record = BucketRecord {
            v: VERSION,
            name: name.to_owned(),
            account: cx.account().to_owned(),
            region: region.to_owned(),
            created_ms: now_ms(cx),
            // A bucket with object lock has versions, for good.
            versioning: made.object_lock.then_some(Versioning::Enabled),
            object_lock: made.object_lock,
        };
        let block = self.settings.block_public_access;
        let encryption = self.usual_encryption();
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
            gone::check(tx, &record.name)?;
            tx.put_json(&key, &record)?;
            tx.put_json(keys::setting(&record.name, OWNERSHIP), &[made.ownership.as_str()])?;
            if block {
                let all = PublicAccessBlockConfiguration {
                    block_public_acls: Some(true),
                    block_public_policy: Some(true),
                    ignore_public_acls: Some(true),
                    restrict_public_buckets: Some(true),
                };
                tx.put_json(keys::setting(&record.name, PUBLIC_ACCESS), &all)?;
            }
            if let Some(encryption) = &encryption {
                tx.put_json(keys::setting(&record.name, ENCRYPTION), encryption)?;
            }
            if !made.tags.is_empty() {
                let tagging = Tagging { tag_set: made.tags.clone() };
                tx.put_json(keys::setting(&record.name, TAGGING), &tagging)?;
            }
            if let Some(grants) = &made.grants {
                tx.put_json(keys::setting(&record.name, ACL), grants)?;
            }
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
        let (home, name) = (Home::of(name), name.to_owned());
        let garbage = cx
            .write(&self.store, move |tx| {
                let mut garbage = Garbage::new();
                let key = keys::bucket(&name);
                home.require(tx)?;
                if any(tx, &keys::objects(&name))? {
                    return Err(Error::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty")
                        .with("BucketName", name.as_str()));
                }
                if any(tx, &keys::versions(&name))? {
                    let message =
                        "The bucket you tried to delete is not empty. You must delete all versions in the bucket.";
                    return Err(Error::new("BucketNotEmpty", 409, message).with("BucketName", name.as_str()));
                }
                tx.delete(&key)?;
                delete_all(tx, &keys::settings(&name))?;
                // Uploads under way end with their bucket.
                gone::begin(tx, &name, &mut garbage)?;
                Ok::<_, Error>(garbage)
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(())
    }

    /// Enables versioning, or suspends it.
    pub(crate) async fn put_versioning(&self, cx: &Cx, name: &str, state: Versioning) -> Result<()> {
        let (home, name) = (Home::of(name), name.to_owned());
        cx.write(&self.store, move |tx| {
            let mut record = home.require(tx)?;
            if record.object_lock && state == Versioning::Suspended {
                return Err(Error::new(
                    "InvalidBucketState",
                    409,
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.",
                ));
            }
            record.versioning = Some(state);
            Ok(tx.put_json(keys::bucket(&name), &record)?)
        })
        .await
    }

    /// Object lock, once on, stays; `default` is what new versions get.
    pub(crate) async fn put_object_lock(&self, cx: &Cx, name: &str, default: Option<DefaultRetention>) -> Result<()> {
        let (home, name) = (Home::of(name), name.to_owned());
        cx.write(&self.store, move |tx| {
            let mut record = home.require(tx)?;
            if record.versioning != Some(Versioning::Enabled) {
                return Err(Error::new(
                    "InvalidBucketState",
                    409,
                    "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration",
                ));
            }
            record.object_lock = true;
            tx.put_json(keys::bucket(&name), &record)?;
            let place = keys::setting(&name, OBJECT_LOCK);
            match &default {
                Some(default) => tx.put_json(place, default)?,
                None => tx.delete(place)?,
            }
            Ok(())
        })
        .await
    }
}

/// The region that a bucket is made in; what is asked for must be the endpoint's, or the endpoint that of us-east-1.
pub(crate) fn region_of<'a>(cx: &'a Cx, constraint: Option<&'a str>) -> Result<&'a str> {
    let incompatible = |constraint: &str| {
        let message = format!(
            "The {constraint} location constraint is incompatible for the region specific endpoint this request was sent to."
        );
        Error::new("IllegalLocationConstraintException", 400, message)
    };
    match constraint.filter(|c| !c.is_empty()) {
        Some("EU") => Ok("eu-west-1"),
        Some(constraint) if constraint != cx.region() && !is_region(constraint) => {
            Err(Error::new("InvalidLocationConstraint", 400, "The specified location-constraint is not valid"))
        }
        Some(constraint) if constraint == cx.region() || cx.region() == "us-east-1" => Ok(constraint),
        Some(constraint) => Err(incompatible(constraint)),
        None if cx.region() == "us-east-1" => Ok("us-east-1"),
        None => Err(incompatible("unspecified")),
    }
}

/// The tags of a bucket.
pub(crate) fn check_bucket_tags(tags: &[(String, String)]) -> Result<()> {
    if tags.iter().any(|(name, _)| crate::put::is_of_system(name)) {
        return Err(Error::new("InvalidTag", 400, "System tags cannot be added/updated by requester"));
    }
    crate::put::check_tags(tags, 50)
}

/// What S3 wants of a name besides its characters: labels that DNS takes, and no beginning or end that stands for something else.
/// Source: S3 User Guide, "General purpose bucket naming rules".
fn is_name(name: &str) -> bool {
    const STARTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
    const ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];
    let label = |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    name.split('.').all(label)
        && !STARTS.iter().any(|start| name.starts_with(start))
        && !ENDS.iter().any(|end| name.ends_with(end))
}

/// Is it called as regions are, such as `eu-west-1` or `us-gov-east-1`?
pub(crate) fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    parts.len() >= 3
        && (2..=3).contains(&parts[0].len())
        && parts[..parts.len() - 1].iter().all(letters)
        && parts[1..].iter().any(|part| DIRECTIONS.iter().any(|direction| part.contains(direction)))
        && parts.last().is_some_and(|last| last.len() <= 2 && last.bytes().all(|b| b.is_ascii_digit()))
}

const DIRECTIONS: [&str; 5] = ["north", "south", "east", "west", "central"];

pub(crate) fn now_ms(cx: &Cx) -> i64 {
    cx.now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::{is_name, is_region};

    #[test]
    fn names_and_regions() {
        for good in ["a.b", "abc", "my-lake.2024", "s3alias", "x-s3"] {
            assert!(is_name(good), "{good}");
        }
        for bad in [
            "a.-b",
            "a-.b",
            "xn--a",
            "sthree-a",
            "amzn-s3-demo-a",
            "a-s3alias",
            "a--ol-s3",
            "a.mrap",
            "a--x-s3",
            "a--table-s3",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
        for good in ["us-east-1", "eu-central-2", "us-gov-west-1", "ap-southeast-5", "cn-northwest-1", "mx-central-1"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "xx-1", "foo", "us-east", "us--east-1", "eu-west-1a", "default"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
