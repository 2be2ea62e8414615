//! A stand-in for S3: objects in memory, ranges, listings in pages. Of results in the bucket `sink` only the line ends are counted.

use std::collections::BTreeMap;

use api_s3::{
    GetObject, GetObjectOutput, GetObjectRequest, ListObjectsV2, ListObjectsV2Output, ListObjectsV2Request, Object,
    PutObject, PutObjectOutput, PutObjectRequest,
};
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};
use wire::{Blob, Error};

use crate::world::Fakes;

/// Objects by bucket and key.
pub(crate) type Objects = BTreeMap<(String, String), Vec<u8>>;

impl Fakes {
    pub(crate) fn put(&self, bucket: &str, key: &str, body: impl Into<Vec<u8>>) {
        self.objects.lock().unwrap().insert((bucket.to_owned(), key.to_owned()), body.into());
    }

    pub(crate) fn text(&self, bucket: &str, key: &str) -> Option<String> {
        let objects = self.objects.lock().unwrap();
        objects.get(&(bucket.to_owned(), key.to_owned())).map(|body| String::from_utf8(body.clone()).unwrap())
    }

    pub(crate) fn json(&self, bucket: &str, key: &str) -> Value {
        let text = self.text(bucket, key).unwrap_or_else(|| panic!("there is no {bucket}/{key}"));
        serde_json::from_str(&text).unwrap()
    }
}

impl Fakes {
    fn moment(&self) -> Result<(), Error> {
        let mut bad = self.bad_moments.lock().unwrap();
        if *bad == 0 {
            return Ok(());
        }
        *bad -= 1;
        Err(Error::new("InternalError", 500, "We encountered an internal error. Please try again."))
    }
}

/// The same for the same content.
fn etag(body: &[u8]) -> String {
    format!("\"{}\"", body.iter().fold(7_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte))))
}

#[async_trait]
impl Handle<GetObject> for Fakes {
    async fn handle(&self, _: &Cx, input: GetObjectRequest) -> Result<GetObjectOutput, Error> {
        self.moment()?;
        let objects = self.objects.lock().unwrap();
        let body = objects
            .get(&(input.bucket, input.key))
            .ok_or_else(|| Error::new("NoSuchKey", 404, "The specified key does not exist."))?;
        if input.if_match.is_some_and(|wanted| wanted != etag(body)) {
            let message = "At least one of the pre-conditions you specified did not hold";
            return Err(Error::new("PreconditionFailed", 412, message));
        }
        let range = input.range.unwrap_or_default();
        let (from, to) = range.trim_start_matches("bytes=").split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        if from >= body.len() {
            return Err(Error::new("InvalidRange", 416, "The requested range is not satisfiable"));
        }
        let to = to.min(body.len() - 1);
        Ok(GetObjectOutput {
            body: Some(Blob::new(body[from..=to].to_vec())),
            content_range: Some(format!("bytes {from}-{to}/{}", body.len())),
            e_tag: Some(etag(body)),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<ListObjectsV2> for Fakes {
    async fn handle(&self, _: &Cx, input: ListObjectsV2Request) -> Result<ListObjectsV2Output, Error> {
        self.moment()?;
        let objects = self.objects.lock().unwrap();
        let prefix = input.prefix.unwrap_or_default();
        let after = input.continuation_token.or(input.start_after).unwrap_or_default();
        let mut keys = objects
            .iter()
            .filter(|((bucket, key), _)| *bucket == input.bucket && key.starts_with(&prefix) && *key > after);
        let contents: Vec<Object> = keys
            .by_ref()
            .take(2)
            .map(|((_, key), body)| Object {
                key: Some(key.clone()),
                e_tag: Some(etag(body)),
                size: i64::try_from(body.len()).ok(),
                last_modified: Some(wire::Timestamp::from_millis(1_668_699_881_000)),
                storage_class: Some("STANDARD".to_owned()),
                ..Default::default()
            })
            .collect();
        let next_continuation_token = keys.next().and_then(|_| contents.last().and_then(|object| object.key.clone()));
        Ok(ListObjectsV2Output { contents: Some(contents), next_continuation_token, ..Default::default() })
    }
}

#[async_trait]
impl Handle<PutObject> for Fakes {
    async fn handle(&self, _: &Cx, input: PutObjectRequest) -> Result<PutObjectOutput, Error> {
        self.moment()?;
        if input.bucket == "absent" {
            return Err(Error::new("NoSuchBucket", 404, "The specified bucket does not exist"));
        }
        let mut body = input.body.map(|body| body.as_bytes().to_vec()).unwrap_or_default();
        if input.bucket == "sink" && input.key.contains("SUCCEEDED") {
            body = String::from_utf8_lossy(&body).lines().count().to_string().into_bytes();
        }
        self.objects.lock().unwrap().insert((input.bucket, input.key), body);
        Ok(PutObjectOutput::default())
    }
}
