//! Lists over HTTP.

use s3s::S3Request;
use s3s::dto::{
    Bucket, ChecksumAlgorithm, CommonPrefix, DeleteMarkerEntry, EncodingType, ListBucketsInput, ListBucketsOutput,
    ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object, ObjectStorageClass, ObjectVersion, ObjectVersionStorageClass,
    OptionalObjectAttributes, OptionalObjectAttributesList, Owner, RestoreStatus,
};

use super::convert::{self, error};
use super::{Answer, answer, cx};
use crate::S3;
use crate::list::{Marker, Page, Query, encode, page_size, parse_token, token, wants_url};
use crate::records::ObjectRecord;

pub(super) async fn buckets(s3: &S3, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    if input.max_buckets.is_some_and(|n| !(1..=10_000).contains(&n)) {
        return Err(s3s::s3_error!(InvalidArgument, "Argument max-buckets must be an integer between 1 and 10000"));
    }
    let start = input.continuation_token.as_deref().map(parse_token).transpose().map_err(error)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let mut found = s3.list_buckets(&cx, prefix, input.bucket_region, start).await.map_err(error)?;
    let max = input.max_buckets.and_then(|n| usize::try_from(n).ok()).unwrap_or(10_000);
    let more = found.len() > max;
    found.truncate(max);
    let continuation_token = found.last().filter(|_| more).map(|b| token(&b.name));
    let buckets = found.into_iter().map(|b| Bucket {
        bucket_region: Some(b.region),
        creation_date: Some(convert::second(b.created_ms)),
        name: Some(b.name),
    });
    answer(ListBucketsOutput {
        buckets: Some(buckets.collect()),
        continuation_token,
        owner: Some(convert::owner(&s3.known, cx.account())),
        prefix: input.prefix,
    })
}

pub(super) async fn objects_v2(s3: &S3, req: S3Request<ListObjectsV2Input>) -> Answer<ListObjectsV2Output> {
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let url = wants_url(input.encoding_type.as_ref().map(EncodingType::as_str)).map_err(error)?;
    let max = page_size(input.max_keys, "max-keys").map_err(error)?;
    let token_key = input.continuation_token.as_deref().map(parse_token).transpose().map_err(error)?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: token_key.or_else(|| input.start_after.clone().filter(|s| !s.is_empty())),
        max,
    };
    let page = s3.list(&input.bucket, query).await.map_err(error)?;
    let restore = wants_restore(input.optional_object_attributes.as_ref());
    let now = s3.router.now().as_millisecond();
    let fetch = input.fetch_owner.unwrap_or(false);
    let object = |(k, r): (String, ObjectRecord)| {
        let owner = fetch.then(|| convert::owner(&s3.known, r.owner.as_deref().unwrap_or_else(|| home.owner())));
        object(&k, r, url, owner, restore.then_some(now))
    };
    answer(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default(), url)),
        max_keys: i32::try_from(max).ok(),
        key_count: i32::try_from(page.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.as_deref().map(token),
        common_prefixes: Some(prefixes(&page, url)),
        contents: Some(page.contents.into_iter().map(object).collect()),
        delimiter: input.delimiter.filter(|d| !d.is_empty()).map(|d| encode(&d, url)),
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(|s| encode(&s, url)),
        request_charged: None,
    })
}

pub(super) async fn objects(s3: &S3, req: S3Request<ListObjectsInput>) -> Answer<ListObjectsOutput> {
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let url = wants_url(input.encoding_type.as_ref().map(EncodingType::as_str)).map_err(error)?;
    let max = page_size(input.max_keys, "max-keys").map_err(error)?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: input.marker.clone().filter(|m| !m.is_empty()),
        max,
    };
    let page = s3.list(&input.bucket, query).await.map_err(error)?;
    let next_marker = page
        .next
        .as_deref()
        .filter(|_| input.delimiter.as_ref().is_some_and(|d| !d.is_empty()))
        .map(|n| encode(n, url));
    let restore = wants_restore(input.optional_object_attributes.as_ref());
    let now = s3.router.now().as_millisecond();
    let object = |(k, r): (String, ObjectRecord)| {
        let owner = convert::owner(&s3.known, r.owner.as_deref().unwrap_or_else(|| home.owner()));
        object(&k, r, url, Some(owner), restore.then_some(now))
    };
    answer(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default(), url)),
        marker: Some(encode(input.marker.as_deref().unwrap_or_default(), url)),
        max_keys: i32::try_from(max).ok(),
        is_truncated: Some(page.next.is_some()),
        common_prefixes: Some(prefixes(&page, url)),
        contents: Some(page.contents.into_iter().map(object).collect()),
        delimiter: input.delimiter.filter(|d| !d.is_empty()).map(|d| encode(&d, url)),
        next_marker,
        encoding_type: input.encoding_type,
        request_charged: None,
    })
}

pub(super) async fn versions(s3: &S3, req: S3Request<ListObjectVersionsInput>) -> Answer<ListObjectVersionsOutput> {
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let url = wants_url(input.encoding_type.as_ref().map(EncodingType::as_str)).map_err(error)?;
    let max = page_size(input.max_keys, "max-keys").map_err(error)?;
    let query = Query {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone(),
        after: None,
        max,
    };
    let version = input.version_id_marker.clone().filter(|v| !v.is_empty());
    let marker = match (input.key_marker.clone().filter(|m| !m.is_empty()), version) {
        (Some(key), version) => Some(Marker { key, version }),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(s3s::s3_error!(
                InvalidArgument,
                "A version-id marker cannot be specified without a key marker."
            ));
        }
    };
    let page = s3.list_versions(&input.bucket, query, marker).await.map_err(error)?;
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (key, record, newest) in page.entries {
        let owner = Some(convert::owner(&s3.known, record.owner.as_deref().unwrap_or_else(|| home.owner())));
        let version_id = Some(record.version_id().to_owned());
        if record.marker {
            markers.push(DeleteMarkerEntry {
                is_latest: Some(newest),
                key: Some(encode(&key, url)),
                last_modified: Some(convert::second(record.modified_ms)),
                owner,
                version_id,
            });
            continue;
        }
        let class = record.headers.storage_class.clone();
        let object = object(&key, record, url, owner, None);
        versions.push(ObjectVersion { is_latest: Some(newest), version_id, ..version_entry(object, class) });
    }
    let prefix = |p: &String| CommonPrefix { prefix: Some(encode(p, url)) };
    answer(ListObjectVersionsOutput {
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: Some(page.prefixes.iter().map(prefix).collect()),
        delimiter: input.delimiter.filter(|d| !d.is_empty()).map(|d| encode(&d, url)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(encode(input.key_marker.as_deref().unwrap_or_default(), url)),
        max_keys: i32::try_from(max).ok(),
        name: Some(input.bucket),
        next_version_id_marker: page.next.as_ref().and_then(|(_, version)| version.clone()),
        next_key_marker: page.next.map(|(key, _)| encode(&key, url)),
        prefix: Some(encode(input.prefix.as_deref().unwrap_or_default(), url)),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        request_charged: None,
    })
}

fn version_entry(object: Object, class: Option<String>) -> ObjectVersion {
    ObjectVersion {
        checksum_algorithm: object.checksum_algorithm,
        checksum_type: object.checksum_type,
        e_tag: object.e_tag,
        key: object.key,
        last_modified: object.last_modified,
        owner: object.owner,
        size: object.size,
        storage_class: Some(match class {
            Some(class) => class.into(),
            None => ObjectVersionStorageClass::from_static(ObjectVersionStorageClass::STANDARD),
        }),
        ..ObjectVersion::default()
    }
}

fn wants_restore(attributes: Option<&OptionalObjectAttributesList>) -> bool {
    attributes.into_iter().flatten().any(|a| a.as_str() == OptionalObjectAttributes::RESTORE_STATUS)
}

fn prefixes(page: &Page, url: bool) -> Vec<CommonPrefix> {
    page.prefixes.iter().map(|p| CommonPrefix { prefix: Some(encode(p, url)) }).collect()
}

/// `now_ms`: whether it is restored is to be told, as of then.
fn object(key: &str, record: ObjectRecord, url: bool, owner: Option<Owner>, now_ms: Option<i64>) -> Object {
    let restored = record.restored_until_ms.filter(|until| now_ms.is_some_and(|now| *until > now));
    let algorithms = record.checksums.algorithms();
    Object {
        checksum_algorithm: (!algorithms.is_empty())
            .then(|| algorithms.into_iter().map(ChecksumAlgorithm::from_static).collect()),
        checksum_type: record.checksums.kind.map(Into::into),
        e_tag: Some(convert::etag(&record.etag)),
        key: Some(encode(key, url)),
        last_modified: Some(convert::second(record.modified_ms)),
        owner,
        restore_status: restored.map(|until| RestoreStatus {
            is_restore_in_progress: Some(false),
            restore_expiry_date: Some(convert::time(until)),
        }),
        size: Some(convert::size(record.size)),
        storage_class: Some(match record.headers.storage_class {
            Some(class) => class.into(),
            None => ObjectStorageClass::from_static(ObjectStorageClass::STANDARD),
        }),
    }
}
