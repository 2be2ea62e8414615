//! Objects over HTTP.

use http::{HeaderMap, HeaderValue};
use s3s::dto::{
    Checksum, CopyObjectInput, CopyObjectOutput, CopyObjectResult, Delete, DeleteObjectInput, DeleteObjectOutput,
    DeleteObjectTaggingInput, DeleteObjectTaggingOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, Error,
    GetObjectAttributesInput, GetObjectAttributesOutput, GetObjectAttributesParts, GetObjectInput, GetObjectOutput,
    GetObjectTaggingInput, GetObjectTaggingOutput, HeadObjectInput, HeadObjectOutput, MetadataDirective,
    ObjectAttributes, ObjectCannedACL, ObjectPart, PutObjectInput, PutObjectOutput, PutObjectTaggingInput,
    PutObjectTaggingOutput, Range, StorageClass, StreamingBlob, TaggingDirective,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::convert::{self, checksums_of, condition, describe, error, headers_of, set_checksums};
use super::{Answer, answer, cx};
use crate::S3;
use crate::body::Expected;
use crate::conditions::Conditions;
use crate::copy::Copy;
use crate::delete::Doomed;
use crate::put::{Attributes, parse_tags};
use crate::records::ObjectRecord;

pub(super) async fn put(s3: &S3, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
    let cx = cx(&req)?;
    let trailing = convert::trailing(req.trailing_headers);
    let announced = convert::announced(&req.headers);
    let input = req.input;
    convert::no_customer_key(input.sse_customer_algorithm.as_ref())?;
    if input.object_lock_mode.is_some() || input.object_lock_legal_hold_status.is_some() {
        return Err(error(crate::errors::not_implemented("Object lock")));
    }
    let grants = [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write_acp];
    convert::acl(input.acl.as_ref().map(ObjectCannedACL::as_str), &grants.map(Option::as_ref))?;
    let attributes = Attributes {
        headers: headers_of!(input),
        metadata: convert::metadata(input.metadata),
        tags: parse_tags(input.tagging.as_deref().unwrap_or_default()).map_err(error)?,
    };
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        ..Conditions::default()
    };
    let expected = Expected {
        md5: input.content_md5.clone(),
        checksums: checksums_of!(input),
        algorithm: announced.or_else(|| input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned())),
        length: input.content_length.and_then(|n| u64::try_from(n).ok()),
    };
    let body = convert::body(input.body);
    let stored = s3
        .put_object(&cx, (input.bucket, input.key), attributes, (conditions, expected), body, trailing)
        .await
        .map_err(error)?;
    let mut output = PutObjectOutput {
        e_tag: Some(convert::etag(&stored.etag)),
        server_side_encryption: Some(crate::settings::ENCRYPTED.to_owned().into()),
        ..Default::default()
    };
    set_checksums!(output, stored.checksums);
    output.checksum_type = stored.checksums.kind.map(Into::into);
    answer(output)
}

pub(super) async fn get(s3: &S3, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
    let input = req.input;
    convert::version(input.version_id.as_deref())?;
    let opened = s3.open(&input.bucket, &input.key).await.map_err(error)?;
    let record = opened.record.clone();
    check_read(&record, &read_conditions(&input))?;
    let (range, partial) = wanted(&record, input.range, input.part_number)?;
    let mut output = GetObjectOutput::default();
    let whole = !partial;
    describe!(output, record, whole && input.checksum_mode.is_some());
    output.content_length = Some(convert::size(range.end - range.start));
    output.content_range = partial.then(|| content_range(&range, record.size));
    output.parts_count = parts_count(&record, input.part_number);
    output.tag_count = (!record.tags.is_empty()).then(|| i32::try_from(record.tags.len()).unwrap_or(i32::MAX));
    output.body = Some(StreamingBlob::wrap(opened.stream(range)));
    answer(output)
}

pub(super) async fn head(s3: &S3, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
    let input = req.input;
    convert::version(input.version_id.as_deref())?;
    let record = s3.head(&input.bucket, &input.key).await.map_err(error)?;
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        if_modified_since: input.if_modified_since.as_ref().and_then(convert::millis),
        if_unmodified_since: input.if_unmodified_since.as_ref().and_then(convert::millis),
    };
    check_read(&record, &conditions)?;
    let (range, partial) = wanted(&record, input.range, input.part_number)?;
    let mut output = HeadObjectOutput::default();
    describe!(output, record, !partial && input.checksum_mode.is_some());
    output.content_length = Some(convert::size(range.end - range.start));
    output.content_range = partial.then(|| content_range(&range, record.size));
    output.parts_count = parts_count(&record, input.part_number);
    let mut response = s3s::S3Response::new(output);
    response.status = partial.then_some(http::StatusCode::PARTIAL_CONTENT);
    Ok(response)
}

pub(super) async fn attributes(s3: &S3, req: S3Request<GetObjectAttributesInput>) -> Answer<GetObjectAttributesOutput> {
    let input = req.input;
    convert::version(input.version_id.as_deref())?;
    let record = s3.head(&input.bucket, &input.key).await.map_err(error)?;
    let asked = |name: &str| input.object_attributes.iter().any(|a| a.as_str() == name);
    let mut output =
        GetObjectAttributesOutput { last_modified: Some(convert::time(record.modified_ms)), ..Default::default() };
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
                part
            })
            .collect();
        output.object_parts = Some(GetObjectAttributesParts {
            is_truncated: Some(rest.next().is_some()),
            max_parts: i32::try_from(max).ok(),
            next_part_number_marker: page.last().and_then(|p| p.part_number),
            part_number_marker: Some(marker),
            total_parts_count: i32::try_from(parts.len()).ok(),
            parts: Some(page),
        });
    }
    answer(output)
}

pub(super) async fn copy(s3: &S3, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    convert::no_customer_key(
        input.sse_customer_algorithm.as_ref().or(input.copy_source_sse_customer_algorithm.as_ref()),
    )?;
    let grants = [&input.grant_full_control, &input.grant_read, &input.grant_read_acp, &input.grant_write_acp];
    convert::acl(input.acl.as_ref().map(ObjectCannedACL::as_str), &grants.map(Option::as_ref))?;
    let replaces = input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE);
    let retags = input.tagging_directive.as_ref().is_some_and(|d| d.as_str() == TaggingDirective::REPLACE);
    let copy = Copy {
        source: convert::source(&input.copy_source)?,
        source_conditions: Conditions {
            if_match: condition(input.copy_source_if_match.as_ref()),
            if_none_match: condition(input.copy_source_if_none_match.as_ref()),
            if_modified_since: input.copy_source_if_modified_since.as_ref().and_then(convert::millis),
            if_unmodified_since: input.copy_source_if_unmodified_since.as_ref().and_then(convert::millis),
        },
        attributes: replaces.then(|| (headers_of!(input), convert::metadata(input.metadata.clone()))),
        tags: if retags {
            Some(parse_tags(input.tagging.as_deref().unwrap_or_default()).map_err(error)?)
        } else {
            None
        },
        storage_class: input.storage_class.as_ref().map(|c| c.as_str().to_owned()),
        algorithm: input.checksum_algorithm.map(|a| a.as_str().to_owned()),
        target: (input.bucket, input.key),
    };
    let stored = s3.copy_object(&cx, copy).await.map_err(error)?;
    let mut result = CopyObjectResult {
        e_tag: Some(convert::etag(&stored.etag)),
        last_modified: Some(convert::time(stored.modified_ms)),
        ..Default::default()
    };
    set_checksums!(result, stored.checksums);
    result.checksum_type = stored.checksums.kind.map(Into::into);
    answer(CopyObjectOutput {
        copy_object_result: Some(result),
        server_side_encryption: Some(crate::settings::ENCRYPTED.to_owned().into()),
        ..Default::default()
    })
}

pub(super) async fn delete(s3: &S3, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let conditions = Conditions { if_match: condition(input.if_match.as_ref()), ..Conditions::default() };
    let doomed = Doomed { key: input.key, version: input.version_id, conditions };
    s3.delete_object(&cx, &input.bucket, doomed).await.map_err(error)?;
    answer(DeleteObjectOutput::default())
}

pub(super) async fn delete_many(s3: &S3, req: S3Request<DeleteObjectsInput>) -> Answer<DeleteObjectsOutput> {
    let cx = cx(&req)?;
    let Delete { objects, quiet } = req.input.delete;
    if objects.is_empty() || objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "The XML you provided was not well-formed or did not validate against our published schema"
        ));
    }
    let doomed = objects.into_iter().map(|o| Doomed {
        key: o.key,
        version: o.version_id,
        conditions: Conditions {
            if_match: o.e_tag.map(|t| crate::conditions::Tag::Value(t.into_value())),
            ..Conditions::default()
        },
    });
    let outcomes = s3.delete_objects(&cx, &req.input.bucket, doomed.collect()).await.map_err(error)?;
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        match outcome {
            Ok(key) => deleted.push(DeletedObject { key: Some(key), ..Default::default() }),
            Err((key, error)) => errors.push(Error {
                code: Some(error.code().to_owned()),
                key: Some(key),
                message: Some(error.message().to_owned()),
                version_id: None,
            }),
        }
    }
    let deleted = (!quiet.unwrap_or(false)).then_some(deleted);
    answer(DeleteObjectsOutput { deleted, errors: Some(errors), ..Default::default() })
}

pub(super) async fn tags(s3: &S3, req: S3Request<GetObjectTaggingInput>) -> Answer<GetObjectTaggingOutput> {
    convert::version(req.input.version_id.as_deref())?;
    let record = s3.head(&req.input.bucket, &req.input.key).await.map_err(error)?;
    answer(GetObjectTaggingOutput { tag_set: convert::tag_set(record.tags), ..Default::default() })
}

pub(super) async fn put_tags(s3: &S3, req: S3Request<PutObjectTaggingInput>) -> Answer<PutObjectTaggingOutput> {
    let cx = cx(&req)?;
    convert::version(req.input.version_id.as_deref())?;
    let tags = convert::tags(req.input.tagging.tag_set);
    s3.put_object_tags(&cx, (req.input.bucket, req.input.key), tags).await.map_err(error)?;
    answer(PutObjectTaggingOutput::default())
}

pub(super) async fn delete_tags(
    s3: &S3,
    req: S3Request<DeleteObjectTaggingInput>,
) -> Answer<DeleteObjectTaggingOutput> {
    let cx = cx(&req)?;
    convert::version(req.input.version_id.as_deref())?;
    s3.put_object_tags(&cx, (req.input.bucket, req.input.key), Vec::new()).await.map_err(error)?;
    answer(DeleteObjectTaggingOutput::default())
}

fn read_conditions(input: &GetObjectInput) -> Conditions {
    Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        if_modified_since: input.if_modified_since.as_ref().and_then(convert::millis),
        if_unmodified_since: input.if_unmodified_since.as_ref().and_then(convert::millis),
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

/// The bytes that a request wants: all, a range, or a part; and whether that makes the answer a partial one.
fn wanted(record: &ObjectRecord, range: Option<Range>, part: Option<i32>) -> S3Result<(std::ops::Range<u64>, bool)> {
    match (range, part) {
        (None, None) => Ok((0..record.size, false)),
        (Some(_), Some(_)) => {
            Err(s3_error!(InvalidRequest, "Cannot specify both Range header and partNumber query parameter"))
        }
        (Some(range), None) => {
            let found = range.check(record.size).map_err(|_| error(crate::errors::invalid_range()))?;
            if found.is_empty() { Ok((0..record.size, false)) } else { Ok((found, true)) }
        }
        (None, Some(number)) => {
            let index = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
            let missing =
                || error(wire::Error::new("InvalidPartNumber", 416, "The requested partnumber is not satisfiable"));
            let index = index.ok_or_else(missing)?;
            let Some(parts) = &record.parts else {
                return if index == 0 { Ok((0..record.size, false)) } else { Err(missing()) };
            };
            let part = parts.get(index).ok_or_else(missing)?;
            let start: u64 = parts[..index].iter().map(|p| p.size).sum();
            Ok((start..start + part.size, true))
        }
    }
}

fn content_range(range: &std::ops::Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1))
}

fn parts_count(record: &ObjectRecord, asked: Option<i32>) -> Option<i32> {
    asked?;
    record.parts.as_ref().and_then(|p| i32::try_from(p.len()).ok())
}
