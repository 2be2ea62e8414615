//! CopyObject: a second object with the same bytes. On disk that is a hard link, unless new checksums or another encryption are wanted
//! or the source came in parts.

use futures::TryStreamExt as _;
use service::Cx;

use crate::S3;
use crate::access::Ask;
use crate::archive;
use crate::body::{Expected, Opened, Reader, Received, Sealing};
use crate::buckets::now_ms;
use crate::checksum::Checksums;
use crate::conditions::Conditions;
use crate::errors::{Result, internal, invalid_request};
use crate::events::Change;
use crate::put::{Attributes, Commit, Stored};
use crate::records::Segment;
use crate::sse::CustomerKey;
use crate::tags::Named;

#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) source: Named,
    pub(crate) source_customer: Option<CustomerKey>,
    pub(crate) source_conditions: Conditions,
    pub(crate) target: (String, String),
    /// Condition keys that come with the request.
    pub(crate) keys: Vec<(String, String)>,
    pub(crate) conditions: Conditions,
    /// `REPLACE` as opposed to `COPY`: headers and metadata of `attributes` are taken.
    pub(crate) replaces: bool,
    /// The same for tags.
    pub(crate) retags: bool,
    pub(crate) attributes: Attributes,
    pub(crate) customer: Option<CustomerKey>,
    /// The request asks for an encryption, as opposed to what the bucket gives.
    pub(crate) asks_encryption: bool,
    pub(crate) algorithm: Option<String>,
}

/// A delete marker is no source. Source: API reference, CopyObject.
pub(crate) fn of_source(error: wire::Error) -> wire::Error {
    if error.is("MethodNotAllowed") {
        return invalid_request(
            "The source of a copy request may not specifically refer to a delete marker by version id.",
        );
    }
    error
}

/// What was copied, and of which version.
pub(crate) struct Copied {
    pub(crate) stored: Stored,
    pub(crate) source_version: Option<String>,
}

impl S3 {
    pub(crate) async fn copy_object(&self, cx: &Cx, copy: Copy) -> Result<Copied> {
        let same = copy.source.bucket == copy.target.0 && copy.source.key == copy.target.1;
        let headers = &copy.attributes.headers;
        if same
            && copy.source.version.is_none()
            && !copy.replaces
            && headers.storage_class.is_none()
            && headers.website_redirect_location.is_none()
            && !copy.asks_encryption
        {
            return Err(invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        let named = &copy.source;
        let reader = Reader { cx, customer: copy.source_customer.as_ref() };
        let opened = self.open(&named.bucket, &named.key, named.version.as_deref(), reader).await.map_err(of_source)?;
        let record = opened.record.clone();
        copy.source_conditions.check_source(&record)?;
        archive::check_readable(&record, now_ms(cx), true)?;
        if record.size > crate::body::MAX_PUT {
            return Err(invalid_request(
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
            ));
        }
        let mut attributes = copy.attributes;
        if !copy.replaces {
            let asked = attributes.headers;
            attributes.headers = record.headers.clone();
            attributes.headers.storage_class = asked.storage_class;
            attributes.headers.website_redirect_location = asked.website_redirect_location;
            attributes.metadata.clone_from(&record.metadata);
        }
        if !copy.retags {
            self.may_copy_tags(cx, (named, &copy.target), &record.tags, &copy.keys).await?;
            attributes.tags.clone_from(&record.tags);
        }
        attributes.check(&copy.target.1)?;
        self.check_write(cx, &copy.target.0, &copy.target.1, &copy.conditions).await?;
        let target = (copy.target.0.as_str(), copy.target.1.as_str());
        let sealing = Sealing::of(cx, target, attributes.sse.clone(), copy.customer);
        let (etag, checksums, segment, inline) = self.second(opened, copy.algorithm, &sealing).await?;
        crate::lineage::read(cx, &named.bucket, &named.key, &record, &(0..record.size));
        let source_version = record.version.clone().or_else(|| copy.source.version.clone());
        let stored = self
            .commit(
                cx,
                Commit {
                    bucket: copy.target.0,
                    key: copy.target.1,
                    attributes,
                    conditions: copy.conditions,
                    etag,
                    checksums,
                    inline: inline.map(|bytes| (segment.id.clone(), bytes)).into_iter().collect(),
                    segments: vec![segment],
                    parts: None,
                    change: Change::Copy,
                    completion: None,
                },
            )
            .await?;
        Ok(Copied { stored, source_version })
    }

    /// Tags that go with a copy are read, and written. Source: S3 User Guide, "Object tagging and additional information".
    async fn may_copy_tags(
        &self,
        cx: &Cx,
        (source, target): (&Named, &(String, String)),
        tags: &[(String, String)],
        keys: &[(String, String)],
    ) -> Result<()> {
        if tags.is_empty() {
            return Ok(());
        }
        let version = source.version.as_deref();
        let action = if version.is_some() { "s3:GetObjectVersionTagging" } else { "s3:GetObjectTagging" };
        let (bucket, key) = (source.bucket.as_str(), Some(source.key.as_str()));
        self.permit(cx, &Ask { action, bucket, key, version, keys, input: None, upload: false }).await?;
        let mut keys = keys.to_vec();
        crate::door::tag_keys(&mut keys, tags);
        let ask = Ask {
            action: "s3:PutObjectTagging",
            bucket: &target.0,
            key: Some(&target.1),
            version: None,
            keys: &keys,
            input: None,
            upload: true,
        };
        self.permit(cx, &ask).await
    }

    async fn second(
        &self,
        opened: Opened,
        algorithm: Option<String>,
        sealing: &Sealing,
    ) -> Result<(String, Checksums, Segment, Option<bytes::Bytes>)> {
        let record = &opened.record;
        let known = algorithm.as_deref().is_none_or(|a| record.checksums.of(a).is_some());
        let alike = sealing.is_like(record.sse.as_ref());
        if let ([segment], true, true, true) = (record.segments.as_slice(), known, record.parts.is_none(), alike) {
            let (etag, checksums, segment) = (record.etag.clone(), record.checksums.clone(), segment.clone());
            if segment.inline {
                let id = self.objects.new_id();
                return Ok((etag, checksums, Segment { id, ..segment }, Some(opened.kept_bytes().await?)));
            }
            match self.objects.duplicate(&segment.id).await {
                Ok(id) => return Ok((etag, checksums, Segment { id, ..segment }, None)),
                // Deleted since, or too many links: the opened bytes are still there to be copied.
                Err(error) => tracing::debug!(%error, "a blob cannot be linked; copying its bytes"),
            }
        }
        let algorithm = algorithm.or_else(|| record.checksums.algorithms().first().map(|a| (*a).to_owned()));
        let expected = Expected { algorithm, ..Expected::default() };
        let size = record.size;
        let body = opened.stream(0..size).map_err(internal);
        let Received { segment, inline, digests } =
            self.receive(body, &expected, sealing, crate::checksum::none_trailing).await?;
        Ok((digests.etag(), digests.checksums, segment, inline))
    }
}
