//! Buckets and lists of keys.

use api_s3 as api;
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use super::Place;
use crate::S3;
use crate::buckets::Made;
use crate::errors::Result;
use crate::list::{Query, encode, page_size, parse_token, token, wants_url};
use crate::records::ObjectRecord;

#[async_trait]
impl Handle<api::CreateBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::CreateBucketRequest) -> Result<api::CreateBucketOutput> {
        let asked = input.create_bucket_configuration.as_ref().and_then(|c| c.location_constraint.clone());
        // The platform's own callers mean the region that they are in.
        let region = match asked.as_deref() {
            Some(constraint) => crate::buckets::region_of(cx, Some(constraint))?,
            None => cx.region(),
        };
        let unserved = [
            ("ACL", input.acl.is_some()),
            ("GrantFullControl", input.grant_full_control.is_some()),
            ("GrantRead", input.grant_read.is_some()),
            ("GrantReadACP", input.grant_read_acp.is_some()),
            ("GrantWrite", input.grant_write.is_some()),
            ("GrantWriteACP", input.grant_write_acp.is_some()),
        ];
        super::refuse(&unserved)?;
        let asked = input.create_bucket_configuration.as_ref().and_then(|c| c.tags.clone()).unwrap_or_default();
        let tags: Vec<(String, String)> = asked.into_iter().map(|tag| (tag.key, tag.value)).collect();
        crate::buckets::check_bucket_tags(&tags)?;
        let one = |(key, value)| s3s::dto::Tag { key: Some(key), value: Some(value) };
        let tags = tags.into_iter().map(one).collect();
        let usual = self.usual();
        let made = Made {
            ownership: input.object_ownership.unwrap_or(usual.ownership),
            grants: None,
            object_lock: input.object_lock_enabled_for_bucket.unwrap_or(false),
            tags,
        };
        if crate::state::Ownership::parse(&made.ownership).is_none() {
            return Err(bad_member("ObjectOwnership"));
        }
        let bucket = self.create_bucket(cx, &input.bucket, region, made).await?;
        Ok(api::CreateBucketOutput { location: Some(format!("/{}", bucket.name)), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::DeleteBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketRequest) -> Result<Empty> {
        match super::guard_bucket::<api::DeleteBucket>(self, cx, super::home!(input)).await {
            // A task that is repeated after a crash has deleted it perhaps: then the transaction knows its first answer.
            Err(error) if error.is("NoSuchBucket") && cx.task_id().is_some() => {}
            asked => asked?,
        }
        self.delete_bucket(cx, &input.bucket).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::HeadBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::HeadBucketRequest) -> Result<api::HeadBucketOutput> {
        super::guard_bucket::<api::HeadBucket>(self, cx, super::home!(input)).await?;
        let bucket = self.bucket(&input.bucket).await?;
        Ok(api::HeadBucketOutput { bucket_region: Some(bucket.region), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::GetBucketLocation> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketLocationRequest) -> Result<api::GetBucketLocationOutput> {
        super::guard_bucket::<api::GetBucketLocation>(self, cx, super::home!(input)).await?;
        let bucket = self.bucket(&input.bucket).await?;
        Ok(api::GetBucketLocationOutput { location_constraint: Some(bucket.region).filter(|r| r != "us-east-1") })
    }
}

#[async_trait]
impl Handle<api::ListBuckets> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListBucketsRequest) -> Result<api::ListBucketsOutput> {
        if input.max_buckets.is_some_and(|n| !(1..=10_000).contains(&n)) {
            let (asked, message) = (
                input.max_buckets.unwrap_or_default().to_string(),
                "Argument max-buckets must be an integer between 1 and 10000",
            );
            return Err(crate::errors::invalid_argument_of("max-buckets", &asked, message));
        }
        let start = input.continuation_token.as_deref().map(parse_token).transpose()?;
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut found = self.list_buckets(cx, prefix, input.bucket_region, start).await?;
        let max = input.max_buckets.and_then(|n| usize::try_from(n).ok()).unwrap_or(10_000);
        let more = found.len() > max;
        found.truncate(max);
        let continuation_token = found.last().filter(|_| more).map(|bucket| token(&bucket.name));
        let buckets = found.into_iter().map(|b| api::Bucket {
            name: Some(b.name),
            creation_date: Some(Timestamp::from_millis(b.created_ms)),
            bucket_region: Some(b.region),
            ..Default::default()
        });
        Ok(api::ListBucketsOutput {
            buckets: Some(buckets.collect()),
            continuation_token,
            owner: Some(owner(self, cx.account())),
            prefix: input.prefix,
        })
    }
}

#[async_trait]
impl Handle<api::ListObjectsV2> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListObjectsV2Request) -> Result<api::ListObjectsV2Output> {
        let place = Place::bucket(&input.bucket, input.expected_bucket_owner.as_deref());
        let told = json!({ "Prefix": input.prefix, "Delimiter": input.delimiter, "MaxKeys": input.max_keys });
        super::guard_told::<api::ListObjectsV2>(self, cx, "s3:ListBucket", place, &told).await?;
        super::refuse(&[("OptionalObjectAttributes", input.optional_object_attributes.is_some())])?;
        let url = wants_url(input.encoding_type.as_deref())?;
        let home = self.governed(&input.bucket).await?;
        let owned = input.fetch_owner.unwrap_or(false);
        let token_key = input.continuation_token.as_deref().map(parse_token).transpose()?;
        let max = page_size(input.max_keys, "max-keys")?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: token_key.or_else(|| input.start_after.clone().filter(|s| !s.is_empty())),
            max,
        };
        let page = self.list(&input.bucket, query).await?;
        Ok(api::ListObjectsV2Output {
            is_truncated: Some(page.next.is_some()),
            name: Some(input.bucket),
            prefix: Some(encode(&input.prefix.unwrap_or_default(), url)),
            delimiter: input.delimiter.map(|delimiter| encode(&delimiter, url)),
            encoding_type: input.encoding_type,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(page.len()).ok(),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.as_deref().map(token),
            start_after: input.start_after.map(|start| encode(&start, url)),
            common_prefixes: prefixes(page.prefixes, url),
            contents: Some(
                page.contents
                    .into_iter()
                    .map(|one| object(self, one, url, Some(home.owner()).filter(|_| owned)))
                    .collect(),
            ),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::ListObjects> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListObjectsRequest) -> Result<api::ListObjectsOutput> {
        let place = Place::bucket(&input.bucket, input.expected_bucket_owner.as_deref());
        let told = json!({ "Prefix": input.prefix, "Delimiter": input.delimiter, "MaxKeys": input.max_keys });
        super::guard_told::<api::ListObjects>(self, cx, "s3:ListBucket", place, &told).await?;
        super::refuse(&[("OptionalObjectAttributes", input.optional_object_attributes.is_some())])?;
        let url = wants_url(input.encoding_type.as_deref())?;
        let home = self.governed(&input.bucket).await?;
        let max = page_size(input.max_keys, "max-keys")?;
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after: input.marker.clone().filter(|m| !m.is_empty()),
            max,
        };
        let page = self.list(&input.bucket, query).await?;
        Ok(api::ListObjectsOutput {
            is_truncated: Some(page.next.is_some()),
            marker: Some(encode(&input.marker.unwrap_or_default(), url)),
            next_marker: page.next.filter(|_| input.delimiter.is_some()).map(|next| encode(&next, url)),
            name: Some(input.bucket),
            prefix: Some(encode(&input.prefix.unwrap_or_default(), url)),
            delimiter: input.delimiter.map(|delimiter| encode(&delimiter, url)),
            encoding_type: input.encoding_type,
            max_keys: i32::try_from(max).ok(),
            common_prefixes: prefixes(page.prefixes, url),
            contents: Some(page.contents.into_iter().map(|one| object(self, one, url, Some(home.owner()))).collect()),
            ..Default::default()
        })
    }
}

fn prefixes(prefixes: Vec<String>, url: bool) -> Option<Vec<api::CommonPrefix>> {
    let all: Vec<_> =
        prefixes.into_iter().map(|prefix| api::CommonPrefix { prefix: Some(encode(&prefix, url)) }).collect();
    (!all.is_empty()).then_some(all)
}

fn owner(s3: &S3, account: &str) -> api::Owner {
    api::Owner { display_name: s3.known.display_name(account), id: Some(s3.known.canonical(account)) }
}

/// `home`: the bucket's owner, where the object's is to be told.
fn object(s3: &S3, (key, record): (String, ObjectRecord), url: bool, home: Option<&str>) -> api::Object {
    let algorithms = record.checksums.algorithms();
    api::Object {
        key: Some(encode(&key, url)),
        last_modified: Some(Timestamp::from_millis(record.modified_ms)),
        e_tag: Some(super::objects::quoted(&record.etag)),
        checksum_algorithm: (!algorithms.is_empty()).then(|| algorithms.into_iter().map(str::to_owned).collect()),
        checksum_type: record.checksums.kind.clone(),
        size: i64::try_from(record.size).ok(),
        storage_class: Some(record.headers.storage_class.unwrap_or_else(|| "STANDARD".to_owned())),
        owner: home.map(|home| owner(s3, record.owner.as_deref().unwrap_or(home))),
        restore_status: None,
    }
}

/// An argument's error, in one place for all of them.
pub(super) fn bad_member(name: &str) -> Error {
    crate::errors::invalid_argument(format!("The value of {name} is not valid"))
}
