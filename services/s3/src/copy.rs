//! CopyObject: a second object with the same bytes. On disk that is a hard link, unless new checksums are wanted or the
//! source came in parts.

use futures::TryStreamExt as _;
use service::Cx;

use crate::S3;
use crate::body::{Expected, Opened, Received};
use crate::checksum::Checksums;
use crate::conditions::Conditions;
use crate::errors::{Result, internal, invalid_request};
use crate::events::Change;
use crate::put::{Attributes, Commit, Stored};
use crate::records::Segment;

#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) source: (String, String),
    pub(crate) target: (String, String),
    pub(crate) source_conditions: Conditions,
    /// `REPLACE` as opposed to `COPY`, with what replaces.
    pub(crate) attributes: Option<(crate::records::Headers, std::collections::BTreeMap<String, String>)>,
    pub(crate) tags: Option<Vec<(String, String)>>,
    pub(crate) storage_class: Option<String>,
    pub(crate) algorithm: Option<String>,
}

impl S3 {
    pub(crate) async fn copy_object(&self, cx: &Cx, copy: Copy) -> Result<Stored> {
        if copy.source == copy.target
            && copy.attributes.is_none()
            && copy.storage_class.is_none()
            && copy.tags.is_none()
        {
            return Err(invalid_request(
                "This copy request is illegal because it is trying to copy an object to itself without changing the \
                 object's metadata, storage class, website redirect location or encryption attributes.",
            ));
        }
        let opened = self.open(&copy.source.0, &copy.source.1).await?;
        let record = opened.record.clone();
        copy.source_conditions.check_source(&record)?;
        if record.size > crate::body::MAX_PUT {
            return Err(invalid_request(
                "The specified copy source is larger than the maximum allowable size for a copy source: 5368709120",
            ));
        }
        let (mut headers, metadata) =
            copy.attributes.unwrap_or_else(|| (record.headers.clone(), record.metadata.clone()));
        headers.storage_class = copy.storage_class;
        let attributes = Attributes { headers, metadata, tags: copy.tags.unwrap_or_else(|| record.tags.clone()) };
        attributes.check(&copy.target.1)?;
        self.check_write(&copy.target.0, &copy.target.1, &Conditions::default()).await?;
        let (etag, checksums, segment, inline) = self.second(opened, copy.algorithm).await?;
        self.commit(
            cx,
            Commit {
                bucket: copy.target.0,
                key: copy.target.1,
                attributes,
                conditions: Conditions::default(),
                etag,
                checksums,
                inline: inline.map(|bytes| (segment.id.clone(), bytes)).into_iter().collect(),
                segments: vec![segment],
                parts: None,
                change: Change::Copy,
                upload: None,
            },
        )
        .await
    }

    async fn second(
        &self,
        opened: Opened,
        algorithm: Option<String>,
    ) -> Result<(String, Checksums, Segment, Option<bytes::Bytes>)> {
        let record = &opened.record;
        let known = algorithm.as_deref().is_none_or(|a| record.checksums.of(a).is_some());
        if let ([segment], true, true) = (record.segments.as_slice(), known, record.parts.is_none()) {
            let (etag, checksums, size) = (record.etag.clone(), record.checksums.clone(), segment.size);
            if segment.inline {
                let id = self.objects.new_id();
                return Ok((etag, checksums, Segment { id, size, inline: true }, Some(opened.bytes(0..size).await?)));
            }
            match self.objects.duplicate(&segment.id).await {
                Ok(id) => return Ok((etag, checksums, Segment { id, size, inline: false }, None)),
                // Deleted since, or too many links: the opened bytes are still there to be copied.
                Err(error) => tracing::debug!(%error, "a blob cannot be linked; copying its bytes"),
            }
        }
        let algorithm = algorithm.or_else(|| record.checksums.algorithms().first().map(|a| (*a).to_owned()));
        let expected = Expected { algorithm, ..Expected::default() };
        let size = record.size;
        let body = opened.stream(0..size).map_err(internal);
        let Received { segment, inline, digests } = self.receive(body, &expected, Checksums::default).await?;
        Ok((digests.etag(), digests.checksums, segment, inline))
    }
}
