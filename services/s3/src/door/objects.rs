//! Objects over HTTP.

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    Checksum, CopyObjectInput, CopyObjectOutput, CopyObjectResult, Delete, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadObjectInput, HeadObjectOutput, MetadataDirective,
    ObjectAttributes, ObjectPart, PutObjectInput, PutObjectOutput, PutObjectTaggingInput, PutObjectTaggingOutput,
    StorageClass, StreamingBlob, TaggingDirective,
};
use s3s::{S3Error, S3Request, S3Response, S3Result, s3_error};
use service::Principal;

use super::access::Refused;
use super::convert::{
    self, checksums_of, condition, customer_key, describe, error, headers_of, making, set_checksums, set_encryption,
    source_customer_key,
};
use super::{Answer, Files, answer, cx, sums};
use crate::S3;
use crate::archive;
use crate::body::{Expected, Reader, content_range, parts_count, wanted};
use crate::buckets::now_ms;
use crate::checksum::{Checksums, of_range};
use crate::conditions::Conditions;
use crate::copy::{Copied, Copy};
use crate::delete::Deletion;
use crate::events::Change;
use crate::put::{Attributes, parse_tags};
use crate::records::ObjectRecord;
use crate::tags::Named;

pub(super) async fn put(s3: &S3, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let cx = cx(&req)?;
    let announced = convert::announced(&req.headers);
    let trailing = convert::trailing(req.trailing_headers, announced.clone());
    let newer = sums::newer(&req.headers);
    let input = req.input;
    if input.write_offset_bytes.is_some() {
        return Err(error(crate::errors::not_implemented("Appending to an object (x-amz-write-offset-bytes)")));
    }
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    let making = making!(input);
    let attributes = Attributes {
        headers: headers_of!(input),
        metadata: convert::metadata(input.metadata),
        tags: parse_tags(input.tagging.as_deref().unwrap_or_default()).map_err(error)?,
        ..Attributes::default()
    };
    let attributes = s3.make(&cx, &bucket, &making, attributes).await.map_err(error)?;
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        ..Conditions::default()
    };
    let expected = Expected {
        md5: input.content_md5.clone(),
        checksums: checksums_of!(input).and(&newer),
        algorithm: announced.or_else(|| input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned())),
        length: input.content_length.and_then(|n| u64::try_from(n).ok()),
        ..Expected::default()
    };
    let body = convert::body(input.body);
    let (home, key) = (input.bucket.clone(), input.key.clone());
    let stored = s3
        .put_object(
            &cx,
            (input.bucket, input.key),
            attributes,
            (conditions, expected, making.customer),
            (body, Change::Put),
            trailing,
        )
        .await
        .map_err(error)?;
    let mut output =
        PutObjectOutput { e_tag: Some(convert::etag(&stored.etag)), version_id: stored.version, ..Default::default() };
    set_encryption!(output, stored.sse.as_ref());
    set_checksums!(output, stored.checksums);
    output.checksum_type = stored.checksums.kind.clone().map(Into::into);
    output.expiration = s3.expiration_of(&home, &key).await.map_err(error)?;
    Ok(sums::told(S3Response::new(output), &stored.checksums))
}

pub(super) async fn get(s3: &S3, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let called = cx(&req)?;
    let now = now_ms(&called);
    if matches!(called.principal(), Principal::Anonymous) && overrides(&req.input) {
        return Err(s3_error!(
            InvalidRequest,
            "Request specific response headers cannot be used for anonymous GET requests."
        ));
    }
    let asks_files = req.extensions.get::<Files>().cloned();
    let input = req.input;
    let customer = customer_key!(input);
    let reader = Reader { cx: &called, customer: customer.as_ref() };
    let opened = s3.open(&input.bucket, &input.key, input.version_id.as_deref(), reader).await.map_err(error)?;
    let record = opened.record.clone();
    check_read(&record, &read_conditions(&input))?;
    archive::check_readable(&record, now, false).map_err(error)?;
    let (range, partial) = wanted(&record, input.range, input.part_number).map_err(error)?;
    crate::lineage::read(&called, &input.bucket, &input.key, &record, &range);
    let mut output = GetObjectOutput::default();
    let whole = !partial;
    let asks = input.checksum_mode.is_some();
    let told = if asks { of_range(&record, &range, partial) } else { Checksums::default() };
    describe!(output, record, told);
    output.content_length = Some(convert::size(range.end - range.start));
    output.content_range = partial.then(|| content_range(&range, record.size));
    output.parts_count = parts_count(&record, input.part_number);
    output.tag_count = (!record.tags.is_empty()).then(|| i32::try_from(record.tags.len()).unwrap_or(i32::MAX));
    output.version_id = s3.told_version(&input.bucket, &record).await;
    output.restore = archive::header(&record, now);
    output.expiration = s3.expiration(&input.bucket, &input.key, &record).await.map_err(error)?;
    if let Some(asked) = asks_files.filter(|_| whole)
        && let Some(files) = opened.files()
    {
        asked.give(files);
    } else {
        output.body = Some(StreamingBlob::wrap(opened.stream(range)));
    }
    Ok(sums::told(S3Response::new(output), &told))
}

pub(super) async fn head(s3: &S3, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let now = now_ms(&cx(&req)?);
    let input = req.input;
    let customer = customer_key!(input);
    let named = Named { bucket: input.bucket.clone(), key: input.key.clone(), version: input.version_id.clone() };
    let record = s3.head(&named).await.map_err(error)?;
    crate::sse::check_customer(record.sse.as_ref(), customer.as_ref()).map_err(error)?;
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        if_modified_since: input.if_modified_since.as_ref().and_then(convert::millis),
        if_unmodified_since: input.if_unmodified_since.as_ref().and_then(convert::millis),
        ..Conditions::default()
    };
    check_read(&record, &conditions)?;
    let (range, partial) = wanted(&record, input.range, input.part_number).map_err(error)?;
    let mut output = HeadObjectOutput::default();
    let asks = input.checksum_mode.is_some();
    let told = if asks { of_range(&record, &range, partial) } else { Checksums::default() };
    describe!(output, record, told);
    output.content_length = Some(convert::size(range.end - range.start));
    output.content_range = partial.then(|| content_range(&range, record.size));
    output.parts_count = parts_count(&record, input.part_number);
    output.version_id = s3.told_version(&input.bucket, &record).await;
    output.restore = archive::header(&record, now);
    output.expiration = s3.expiration(&input.bucket, &input.key, &record).await.map_err(error)?;
    let status = if partial { http::StatusCode::PARTIAL_CONTENT } else { http::StatusCode::OK };
    let mut response = answer::with_status(output, status);
    if !record.tags.is_empty() {
        response.headers.insert("x-amz-tagging-count", HeaderValue::from(record.tags.len()));
    }
    Ok(sums::told(response, &told))
}

/// What GetObjectAttributes tells.
const ATTRIBUTES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

pub(super) async fn attributes(s3: &S3, req: S3Request<GetObjectAttributesInput>) -> Answer<GetObjectAttributesOutput> {
    let input = req.input;
    let customer = customer_key!(input);
    let named = Named { bucket: input.bucket.clone(), key: input.key.clone(), version: input.version_id.clone() };
    let record = s3.head(&named).await.map_err(error)?;
    crate::sse::check_customer(record.sse.as_ref(), customer.as_ref()).map_err(error)?;
    // The header may be given several times, or once with commas.
    let asked_for: Vec<&str> =
        input.object_attributes.iter().flat_map(|a| a.as_str().split(',')).map(str::trim).collect();
    if asked_for.is_empty() || asked_for.iter().any(|n| !ATTRIBUTES.contains(n)) {
        return Err(s3_error!(InvalidArgument, "Invalid attribute name specified."));
    }
    let asked = |name: &str| asked_for.contains(&name);
    let mut noted = sums::Noted::default();
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(convert::second(record.modified_ms)),
        version_id: s3.told_version(&input.bucket, &record).await,
        ..Default::default()
    };
    if asked(ObjectAttributes::ETAG) {
        output.e_tag = Some(convert::etag(&record.etag));
    }
    if asked(ObjectAttributes::OBJECT_SIZE) {
        output.object_size = Some(convert::size(record.size));
    }
    if asked(ObjectAttributes::STORAGE_CLASS) {
        let class = record.headers.storage_class.clone().unwrap_or_else(|| StorageClass::STANDARD.to_owned());
        output.storage_class = Some(class.into());
    }
    if asked(ObjectAttributes::CHECKSUM) && !record.checksums.is_empty() {
        let mut checksum = Checksum::default();
        set_checksums!(checksum, record.checksums);
        checksum.checksum_type = record.checksums.kind.clone().map(Into::into);
        output.checksum = Some(checksum);
        noted.whole(&record.checksums);
    }
    if asked(ObjectAttributes::OBJECT_PARTS)
        && let Some(parts) = &record.parts
    {
        let marker = input.part_number_marker.unwrap_or(0);
        let max = crate::list::page_size(input.max_parts, "MaxParts").map_err(error)?;
        let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let mut rest = parts.iter().filter(|p| number(p.number) > marker);
        let page: Vec<ObjectPart> = rest
            .by_ref()
            .take(max)
            .map(|p| {
                let mut part = ObjectPart {
                    part_number: Some(number(p.number)),
                    size: Some(convert::size(p.size)),
                    ..Default::default()
                };
                set_checksums!(part, p.checksums);
                noted.part(p.number, &p.checksums);
                part
            })
            .collect();
        // The parts themselves are told of where they have checksums.
        let page = if record.checksums.is_empty() { Vec::new() } else { page };
        output.object_parts = Some(GetObjectAttributesParts {
            is_truncated: Some(rest.next().is_some()),
            max_parts: i32::try_from(max).ok(),
            next_part_number_marker: page.last().and_then(|p| p.part_number),
            part_number_marker: Some(marker),
            total_parts_count: i32::try_from(parts.len()).ok(),
            parts: Some(page),
        });
    }
    Ok(noted.with(S3Response::new(output)))
}

pub(super) async fn copy(s3: &S3, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let cx = cx(&req)?;
    let keys = super::access::keys_of(&req);
    let headers = req.headers;
    let input = req.input;
    let making = making!(input);
    let source_customer = source_customer_key!(input);
    let bucket = s3.governed(&input.bucket).await.map_err(error)?;
    let replaces = directive(input.metadata_directive.as_ref().map(MetadataDirective::as_str))?;
    let retags = directive(input.tagging_directive.as_ref().map(TaggingDirective::as_str))?;
    let attributes = Attributes {
        headers: headers_of!(input),
        metadata: convert::metadata(input.metadata.clone()),
        tags: if retags {
            parse_tags(input.tagging.as_deref().unwrap_or_default()).map_err(error)?
        } else {
            Vec::new()
        },
        ..Attributes::default()
    };
    // s3s has no members for them: CopyObject has had conditions on its target since 2025.
    let target = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(crate::conditions::Tag::parse);
    let mut attributes = s3.make(&cx, &bucket, &making, attributes).await.map_err(error)?;
    // Unlike elsewhere, the class STANDARD is a class that is asked for.
    attributes.headers.storage_class = input.storage_class.as_ref().map(|c| c.as_str().to_owned());
    let copy = Copy {
        source: crate::ops::source(headers.get("x-amz-copy-source").and_then(|v| v.to_str().ok()).unwrap_or_default())
            .map_err(error)?,
        source_customer,
        source_conditions: Conditions {
            if_match: condition(input.copy_source_if_match.as_ref()),
            if_none_match: condition(input.copy_source_if_none_match.as_ref()),
            if_modified_since: input.copy_source_if_modified_since.as_ref().and_then(convert::millis),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref().and_then(convert::millis),
            ..Conditions::default()
        },
        conditions: Conditions {
            if_match: target("if-match"),
            if_none_match: target("if-none-match"),
            ..Conditions::default()
        },
        replaces,
        retags,
        attributes,
        asks_encryption: making.asks_encryption(),
        customer: making.customer,
        algorithm: input.checksum_algorithm.map(|a| a.as_str().to_owned()),
        target: (input.bucket, input.key),
        keys,
    };
    let (home, key) = copy.target.clone();
    let Copied { stored, source_version } = s3.copy_object(&cx, copy).await.map_err(error)?;
    let mut result = CopyObjectResult {
        e_tag: Some(convert::etag(&stored.etag)),
        last_modified: Some(convert::second(stored.modified_ms)),
        ..Default::default()
    };
    set_checksums!(result, stored.checksums);
    result.checksum_type = stored.checksums.kind.clone().map(Into::into);
    let mut noted = sums::Noted::default();
    noted.whole(&stored.checksums);
    let mut output = CopyObjectOutput {
        copy_object_result: Some(result),
        version_id: stored.version,
        copy_source_version_id: source_version,
        ..Default::default()
    };
    set_encryption!(output, stored.sse.as_ref());
    output.expiration = s3.expiration_of(&home, &key).await.map_err(error)?;
    Ok(noted.with(S3Response::new(output)))
}

/// `COPY`, `REPLACE` or nothing: whether it is the second.
fn directive(text: Option<&str>) -> S3Result<bool> {
    match text {
        None | Some("COPY") => Ok(false),
        Some("REPLACE") => Ok(true),
        Some(_) => Err(s3_error!(InvalidArgument, "Unknown metadata directive.")),
    }
}

pub(super) async fn delete(s3: &S3, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_match_modified: input.if_match_last_modified_time.as_ref().and_then(convert::millis),
        if_match_size: input.if_match_size.and_then(|n| u64::try_from(n).ok()),
        ..Conditions::default()
    };
    let version = input.version_id.filter(|v| !v.is_empty());
    let bypass = input.bypass_governance_retention.unwrap_or(false);
    let deletion = Deletion { key: input.key, version: version.clone(), conditions, bypass };
    let deleted = s3.delete_object(&cx, &input.bucket, deletion).await.map_err(error)?;
    answer(DeleteObjectOutput {
        delete_marker: deleted.marker.is_some().then_some(true),
        version_id: version.or(deleted.marker),
        request_charged: None,
    })
}

pub(super) async fn delete_many(s3: &S3, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
    let cx = cx(&req)?;
    let Refused(refused) = req.extensions.get::<Refused>().cloned().unwrap_or_default();
    let bypass = req.input.bypass_governance_retention.unwrap_or(false);
    let Delete { objects, quiet } = req.input.delete;
    let asked = objects.len() + refused.len();
    if asked == 0 || asked > 1000 || objects.iter().any(|object| object.key.is_empty()) {
        return Err(error(crate::errors::malformed_xml()));
    }
    if bypass {
        let name = &req.input.bucket;
        for object in objects.iter().filter(|o| o.version_id.is_some()) {
            let ask = crate::access::Ask {
                action: "s3:BypassGovernanceRetention",
                bucket: name,
                key: Some(&object.key),
                version: object.version_id.as_deref(),
                keys: &[],
                input: None,
                upload: false,
            };
            s3.permit(&cx, &ask).await.map_err(error)?;
        }
    }
    let deletion = objects.into_iter().map(|o| Deletion {
        key: o.key,
        version: o.version_id.filter(|v| !v.is_empty()),
        conditions: Conditions {
            if_match: o.e_tag.map(|t| crate::conditions::Tag::parse(t.value())),
            if_match_modified: o.last_modified_time.as_ref().and_then(convert::millis),
            if_match_size: o.size.and_then(|n| u64::try_from(n).ok()),
            ..Conditions::default()
        },
        bypass,
    });
    let outcomes = s3.delete_objects(&cx, &req.input.bucket, deletion.collect()).await.map_err(error)?;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(one) => deleted.push(DeletedObject {
                key: Some(one.key),
                version_id: one.version,
                delete_marker: one.marker.is_some().then_some(true),
                delete_marker_version_id: one.marker,
            }),
            Err((key, version_id, error)) => errors.push(Error {
                code: Some(error.code().to_owned()),
                key: Some(key),
                message: Some(error.message().to_owned()),
                version_id,
            }),
        }
    }
    errors.extend(refused.into_iter().map(|(key, version_id)| Error {
        code: Some("AccessDenied".to_owned()),
        key: Some(key),
        message: Some("Access Denied".to_owned()),
        version_id,
    }));
    let deleted = (!quiet.unwrap_or(false)).then_some(deleted);
    answer(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() })
}

pub(super) async fn tags(s3: &S3, req: S3Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
    let named = Named { bucket: req.input.bucket, key: req.input.key, version: req.input.version_id };
    let record = s3.head(&named).await.map_err(error)?;
    let version_id = s3.told_version(&named.bucket, &record).await;
    answer(GetObjectTaggingOutput { tag_set: convert::tag_set(record.tags), version_id })
}

pub(super) async fn put_tags(s3: &S3, req: S3Request<PutObjectTaggingInput>) -> Answer<PutObjectTaggingOutput> {
    let cx = cx(&req)?;
    let tags = convert::tags(req.input.tagging.tag_set);
    let named = Named { bucket: req.input.bucket, key: req.input.key, version: req.input.version_id };
    let version_id = s3.put_object_tags(&cx, named, tags).await.map_err(error)?;
    answer(PutObjectTaggingOutput { version_id })
}

pub(super) async fn delete_tags(
    s3: &S3,
    req: S3Request<DeleteObjectTaggingInput>,
) -> Answer<DeleteObjectTaggingOutput> {
    let cx = cx(&req)?;
    let named = Named { bucket: req.input.bucket, key: req.input.key, version: req.input.version_id };
    let version_id = s3.put_object_tags(&cx, named, Vec::new()).await.map_err(error)?;
    let mut response = S3Response::new(DeleteObjectTaggingOutput { version_id });
    response.status = Some(http::StatusCode::NO_CONTENT);
    Ok(response)
}

/// Does the request want other headers than the object has?
fn overrides(input: &GetObjectInput) -> bool {
    input.response_cache_control.is_some()
        || input.response_content_disposition.is_some()
        || input.response_content_encoding.is_some()
        || input.response_content_language.is_some()
        || input.response_content_type.is_some()
        || input.response_expires.is_some()
}

fn read_conditions(input: &GetObjectInput) -> Conditions {
    Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        if_modified_since: input.if_modified_since.as_ref().and_then(convert::millis),
        if_unmodified_since: input.if_unmodified_since.as_ref().and_then(convert::millis),
        ..Conditions::default()
    }
}

impl S3 {
    /// A version's id as answers have it: none where the bucket has no versions.
    pub(super) async fn told_version(&self, bucket: &str, record: &ObjectRecord) -> Option<String> {
        let versions = self.governed(bucket).await.is_ok_and(|b| b.record.versioning.is_some());
        versions.then(|| record.version_id().to_owned())
    }
}

/// A 304 says what the client has: ETag and time.
fn check_read(record: &ObjectRecord, conditions: &Conditions) -> S3Result<()> {
    conditions.check_read(record).map_err(|refused| {
        let not_modified = refused.status() == 304;
        let mut out: S3Error = error(refused);
        if not_modified {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(&format!("\"{}\"", record.etag)) {
                headers.insert(http::header::ETAG, value);
            }
            out.set_headers(headers);
        }
        out
    })
}
