//! Buckets and lists of keys.

use api_s3 as api;
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::S3;
use crate::buckets::Made;
use crate::errors::Result;
use crate::list::{Query, page_size, parse_token, token};
use crate::records::ObjectRecord;

#[async_trait]
impl Handle<api::CreateBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::CreateBucketRequest) -> Result<api::CreateBucketOutput> {
        let asked = input.create_bucket_configuration.as_ref().and_then(|c| c.location_constraint.clone());
        let region = asked.unwrap_or_else(|| cx.region().to_owned());
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
        crate::put::check_tags(&tags, 50)?;
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
        let bucket = self.create_bucket(cx, &input.bucket, &region, made).await?;
        Ok(api::CreateBucketOutput { location: Some(format!("/{}", bucket.name)), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::DeleteBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::DeleteBucketRequest) -> Result<Empty> {
        super::guard_bucket::<api::DeleteBucket>(self, cx, &input.bucket).await?;
        self.delete_bucket(cx, &input.bucket).await.map(|()| Empty {})
    }
}

#[async_trait]
impl Handle<api::HeadBucket> for S3 {
    async fn handle(&self, cx: &Cx, input: api::HeadBucketRequest) -> Result<api::HeadBucketOutput> {
        super::guard_bucket::<api::HeadBucket>(self, cx, &input.bucket).await?;
        let bucket = self.bucket(&input.bucket).await?;
        Ok(api::HeadBucketOutput { bucket_region: Some(bucket.region), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::GetBucketLocation> for S3 {
    async fn handle(&self, cx: &Cx, input: api::GetBucketLocationRequest) -> Result<api::GetBucketLocationOutput> {
        super::guard_bucket::<api::GetBucketLocation>(self, cx, &input.bucket).await?;
        let bucket = self.bucket(&input.bucket).await?;
        Ok(api::GetBucketLocationOutput { location_constraint: Some(bucket.region).filter(|r| r != "us-east-1") })
    }
}

#[async_trait]
impl Handle<api::ListBuckets> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListBucketsRequest) -> Result<api::ListBucketsOutput> {
        let prefix = input.prefix.unwrap_or_default();
        let found = self.list_buckets(cx, prefix, input.bucket_region, None).await?;
        let buckets = found.into_iter().map(|b| api::Bucket {
            name: Some(b.name),
            creation_date: Some(Timestamp::from_millis(b.created_ms)),
            bucket_region: Some(b.region),
            ..Default::default()
        });
        Ok(api::ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() })
    }
}

#[async_trait]
impl Handle<api::ListObjectsV2> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListObjectsV2Request) -> Result<api::ListObjectsV2Output> {
        let told = json!({ "Prefix": input.prefix, "Delimiter": input.delimiter, "MaxKeys": input.max_keys });
        super::guard_told(self, cx, "s3:ListBucket", (&input.bucket, None, None), &told).await?;
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
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            max_keys: i32::try_from(max).ok(),
            key_count: i32::try_from(page.len()).ok(),
            continuation_token: input.continuation_token,
            next_continuation_token: page.next.as_deref().map(token),
            start_after: input.start_after,
            common_prefixes: prefixes(page.prefixes),
            contents: Some(page.contents.into_iter().map(object).collect()),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::ListObjects> for S3 {
    async fn handle(&self, cx: &Cx, input: api::ListObjectsRequest) -> Result<api::ListObjectsOutput> {
        let told = json!({ "Prefix": input.prefix, "Delimiter": input.delimiter, "MaxKeys": input.max_keys });
        super::guard_told(self, cx, "s3:ListBucket", (&input.bucket, None, None), &told).await?;
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
            marker: Some(input.marker.unwrap_or_default()),
            next_marker: page.next.filter(|_| input.delimiter.is_some()),
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            max_keys: i32::try_from(max).ok(),
            common_prefixes: prefixes(page.prefixes),
            contents: Some(page.contents.into_iter().map(object).collect()),
            ..Default::default()
        })
    }
}

fn prefixes(prefixes: Vec<String>) -> Option<Vec<api::CommonPrefix>> {
    let all: Vec<_> = prefixes.into_iter().map(|prefix| api::CommonPrefix { prefix: Some(prefix) }).collect();
    (!all.is_empty()).then_some(all)
}

fn object((key, record): (String, ObjectRecord)) -> api::Object {
    api::Object {
        key: Some(key),
        last_modified: Some(Timestamp::from_millis(record.modified_ms)),
        e_tag: Some(super::objects::quoted(&record.etag)),
        size: i64::try_from(record.size).ok(),
        storage_class: Some(record.headers.storage_class.unwrap_or_else(|| "STANDARD".to_owned())),
        ..Default::default()
    }
}

/// An argument's error, in one place for all of them.
pub(super) fn bad_member(name: &str) -> Error {
    crate::errors::invalid_argument(format!("The value of {name} is not valid"))
}
