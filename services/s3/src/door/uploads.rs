//! Multipart uploads over HTTP.

#[cfg_attr(not(test), expect(clippy::wildcard_imports, reason = "every operation brings its types"))]
use s3s::dto::*;
use s3s::{S3Request, S3Response};

use super::convert::{
    self, checksums_of, condition, customer_key, error, headers_of, making, set_checksums, set_encryption,
    source_customer_key,
};
use super::{Answer, answer, cx, sums};
use crate::S3;
use crate::body::Expected;
use crate::checksum::Checksums;
use crate::conditions::Conditions;
use crate::list::{encode, page_size, wants_url};
use crate::multipart::{Claim, Upload, UploadQuery};
use crate::put::{Attributes, parse_tags};
use crate::records::UploadRecord;
use crate::sse::Sse;

pub(super) async fn create(s3: &S3, req: S3Request<CreateMultipartUploadInput>) -> Answer<CreateMultipartUploadOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let making = making!(input);
    let attributes = Attributes {
        headers: headers_of!(input),
        metadata: convert::metadata(input.metadata),
        tags: parse_tags(input.tagging.as_deref().unwrap_or_default()).map_err(error)?,
        ..Attributes::default()
    };
    let attributes = s3.make(&cx, &home, &making, attributes).await.map_err(error)?;
    let checksum = (
        input.checksum_algorithm.as_ref().map(|a| a.as_str().to_ascii_uppercase()),
        input.checksum_type.as_ref().map(|t| t.as_str().to_owned()),
    );
    let bucket = input.bucket.clone();
    let upload = s3.create_upload(&cx, (input.bucket, input.key), attributes, checksum).await.map_err(error)?;
    let mut output = CreateMultipartUploadOutput {
        bucket: Some(bucket),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        checksum_algorithm: upload.algorithm.map(Into::into),
        checksum_type: upload.checksum_type.map(Into::into),
        ..Default::default()
    };
    set_encryption!(output, upload.sse.as_ref());
    answer(output)
}

pub(super) async fn part(s3: &S3, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
    let cx = cx(&req)?;
    let announced = convert::announced(&req.headers);
    let trailing = convert::trailing(req.trailing_headers, announced.clone());
    let newer = sums::newer(&req.headers);
    let input = req.input;
    let customer = customer_key!(input);
    let expected = Expected {
        md5: input.content_md5.clone(),
        checksums: checksums_of!(input).and(&newer),
        algorithm: announced.or_else(|| input.checksum_algorithm.as_ref().map(|a| a.as_str().to_owned())),
        length: input.content_length.and_then(|n| u64::try_from(n).ok()),
        ..Expected::default()
    };
    let upload = Upload { bucket: input.bucket, key: input.key, id: input.upload_id };
    let body = convert::body(input.body);
    let (part, sse) =
        s3.upload_part(&cx, (upload, input.part_number), (expected, customer), body, trailing).await.map_err(error)?;
    let mut output = UploadPartOutput { e_tag: Some(convert::etag(&part.etag)), ..Default::default() };
    set_encryption!(output, sse.as_ref());
    set_checksums!(output, part.checksums);
    Ok(sums::told(S3Response::new(output), &part.checksums))
}

pub(super) async fn part_copy(s3: &S3, req: S3Request<UploadPartCopyInput>) -> Answer<UploadPartCopyOutput> {
    let cx = cx(&req)?;
    let text = req.headers.get("x-amz-copy-source").and_then(|v| v.to_str().ok()).map(str::to_owned);
    let input = req.input;
    let source = crate::ops::source(text.as_deref().unwrap_or_default()).map_err(error)?;
    let (customer, source_customer) = (customer_key!(input), source_customer_key!(input));
    let conditions = Conditions {
        if_match: condition(input.copy_source_if_match.as_ref()),
        if_none_match: condition(input.copy_source_if_none_match.as_ref()),
        if_modified_since: input.copy_source_if_modified_since.as_ref().and_then(convert::millis),
        if_unmodified_since: input.copy_source_if_unmodified_since.as_ref().and_then(convert::millis),
        ..Conditions::default()
    };
    let upload = Upload { bucket: input.bucket, key: input.key, id: input.upload_id };
    let range = input.copy_source_range.as_deref();
    let target = ((upload, input.part_number), customer);
    let (part, sse, version) =
        s3.upload_part_copy(&cx, target, (source, conditions, source_customer), range).await.map_err(error)?;
    let mut result = CopyPartResult {
        e_tag: Some(convert::etag(&part.etag)),
        last_modified: Some(convert::second(part.modified_ms)),
        ..Default::default()
    };
    set_checksums!(result, part.checksums);
    let mut output =
        UploadPartCopyOutput { copy_part_result: Some(result), copy_source_version_id: version, ..Default::default() };
    set_encryption!(output, sse.as_ref());
    let mut noted = sums::Noted::default();
    noted.whole(&part.checksums);
    Ok(noted.with(S3Response::new(output)))
}

pub(super) async fn complete(
    s3: &S3,
    req: S3Request<CompleteMultipartUploadInput>,
) -> Answer<CompleteMultipartUploadOutput> {
    let cx = cx(&req)?;
    let host = req.headers.get(http::header::HOST).and_then(|h| h.to_str().ok()).unwrap_or("localhost").to_owned();
    let newer = sums::newer(&req.headers);
    let of_parts = req.extensions.get::<sums::OfParts>().cloned().unwrap_or_default();
    let input = req.input;
    let claims = input.multipart_upload.as_ref().and_then(|m| m.parts.as_ref()).into_iter().flatten().map(|p| Claim {
        number: p.part_number.and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
        etag: p.e_tag.as_ref().map(|t| t.value().to_owned()).unwrap_or_default(),
        checksums: match p.part_number.and_then(|number| of_parts.0.get(&number)) {
            Some(newer) => checksums_of!(p).and(newer),
            None => checksums_of!(p),
        },
    });
    let claims = claims.collect();
    let conditions = Conditions {
        if_match: condition(input.if_match.as_ref()),
        if_none_match: condition(input.if_none_match.as_ref()),
        ..Conditions::default()
    };
    let expected = Expected {
        checksums: Checksums {
            kind: input.checksum_type.as_ref().map(|kind| kind.as_str().to_owned()),
            ..checksums_of!(input).and(&newer)
        },
        length: input.mpu_object_size.and_then(|n| u64::try_from(n).ok()),
        ..Expected::default()
    };
    let upload = Upload { bucket: input.bucket.clone(), key: input.key.clone(), id: input.upload_id };
    let customer = customer_key!(input);
    let (home, key) = (input.bucket.clone(), input.key.clone());
    let stored = s3.complete_upload(&cx, upload, claims, (conditions, expected, customer)).await.map_err(error)?;
    let mut output = CompleteMultipartUploadOutput {
        location: Some(format!("http://{host}/{}/{}", input.bucket, encode(&input.key, true))),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(convert::etag(&stored.etag)),
        version_id: stored.version,
        ..Default::default()
    };
    output.server_side_encryption = stored.sse.as_ref().and_then(Sse::algorithm).map(|a| a.to_owned().into());
    output.ssekms_key_id = stored.sse.as_ref().and_then(Sse::kms_key).map(str::to_owned);
    set_checksums!(output, stored.checksums);
    output.checksum_type = stored.checksums.kind.clone().map(Into::into);
    output.expiration = s3.expiration_of(&home, &key).await.map_err(error)?;
    let mut noted = sums::Noted::default();
    noted.whole(&stored.checksums);
    Ok(noted.with(S3Response::new(output)))
}

pub(super) async fn abort(s3: &S3, req: S3Request<AbortMultipartUploadInput>) -> Answer<AbortMultipartUploadOutput> {
    let cx = cx(&req)?;
    let input = req.input;
    let upload = Upload { bucket: input.bucket, key: input.key, id: input.upload_id };
    s3.abort_upload(&cx, upload).await.map_err(error)?;
    answer(AbortMultipartUploadOutput::default())
}

pub(super) async fn parts(s3: &S3, req: S3Request<ListPartsInput>) -> Answer<ListPartsOutput> {
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let upload = Upload { bucket: input.bucket.clone(), key: input.key.clone(), id: input.upload_id.clone() };
    let (record, parts) = s3.list_parts(&upload).await.map_err(error)?;
    let max = page_size(input.max_parts, "max-parts").map_err(error)?;
    let marker = input.part_number_marker.unwrap_or(0);
    let number = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    let mut rest = parts.into_iter().filter(|p| number(p.number) > marker);
    let mut noted = sums::Noted::default();
    let page: Vec<Part> = rest
        .by_ref()
        .take(max)
        .map(|p| {
            let mut part = Part {
                e_tag: Some(convert::etag(&p.etag)),
                last_modified: Some(convert::second(p.modified_ms)),
                part_number: Some(number(p.number)),
                size: Some(convert::size(p.size)),
                ..Default::default()
            };
            set_checksums!(part, p.checksums);
            noted.part(p.number, &p.checksums);
            part
        })
        .collect();
    let owner = convert::owner(&s3.known, record.owner.as_deref().unwrap_or_else(|| home.owner()));
    let output = ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        checksum_algorithm: record.algorithm.map(Into::into),
        checksum_type: record.checksum_type.map(Into::into),
        initiator: Some(Initiator { display_name: owner.display_name.clone(), id: owner.id.clone() }),
        owner: Some(owner),
        is_truncated: Some(rest.next().is_some()),
        max_parts: i32::try_from(max).ok(),
        next_part_number_marker: page.last().and_then(|p| p.part_number).or(Some(0)),
        part_number_marker: Some(marker),
        parts: Some(page),
        storage_class: Some(class(record.headers.storage_class)),
        ..Default::default()
    };
    Ok(noted.with(S3Response::new(output)))
}

fn class(name: Option<String>) -> StorageClass {
    name.map_or_else(|| StorageClass::from_static(StorageClass::STANDARD), Into::into)
}

pub(super) async fn list(s3: &S3, req: S3Request<ListMultipartUploadsInput>) -> Answer<ListMultipartUploadsOutput> {
    let input = req.input;
    let home = s3.governed(&input.bucket).await.map_err(error)?;
    let url = wants_url(input.encoding_type.as_ref().map(EncodingType::as_str)).map_err(error)?;
    let max = page_size(input.max_uploads, "max-uploads").map_err(error)?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let id_marker = input.upload_id_marker.clone().filter(|id| !id.is_empty());
    let after = input.key_marker.clone().filter(|key| !key.is_empty()).map(|key| (key, id_marker));
    let query = UploadQuery { prefix: prefix.clone(), delimiter: input.delimiter.clone(), after, max };
    let page = s3.list_uploads(&input.bucket, query).await.map_err(error)?;
    let upload = |upload: UploadRecord| {
        let owner = convert::owner(&s3.known, upload.owner.as_deref().unwrap_or_else(|| home.owner()));
        MultipartUpload {
            checksum_algorithm: upload.algorithm.map(Into::into),
            checksum_type: upload.checksum_type.map(Into::into),
            initiated: Some(convert::second(upload.initiated_ms)),
            initiator: Some(Initiator { display_name: owner.display_name.clone(), id: owner.id.clone() }),
            key: Some(encode(&upload.key, url)),
            owner: Some(owner),
            storage_class: Some(class(upload.headers.storage_class)),
            upload_id: Some(upload.id),
        }
    };
    let prefixes = page.prefixes.into_iter().map(|p| CommonPrefix { prefix: Some(encode(&p, url)) });
    answer(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(prefixes.collect()),
        delimiter: input.delimiter.filter(|d| !d.is_empty()).map(|d| encode(&d, url)),
        encoding_type: input.encoding_type,
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(encode(&input.key_marker.unwrap_or_default(), url)),
        max_uploads: i32::try_from(max).ok(),
        next_upload_id_marker: page.next.as_ref().map(|(_, id)| id.clone().unwrap_or_default()),
        next_key_marker: page.next.map(|(key, _)| encode(&key, url)),
        prefix: Some(encode(&prefix, url)),
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        uploads: Some(page.uploads.into_iter().map(upload).collect()),
        request_charged: None,
    })
}
