//! The job's S3: which objects it reads, reading and writing them.

use std::sync::Arc;

use api_sagemaker::TransformS3DataSource;
use bytes::Bytes;
use compute::worker::Failure;
use futures::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ObjectStore as _, ObjectStoreExt as _};
use serde::{Deserialize, Serialize};

/// As whom and where.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) endpoint: String,
    pub(crate) region: String,
    pub(crate) key_id: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

/// One object to transform. `relative` names its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) relative: String,
}

impl Access {
    /// What a program finds in its environment.
    pub(crate) fn set(&self, command: &mut compute::sandbox::Command) {
        command.env("AWS_ENDPOINT_URL", &self.endpoint).env("AWS_REGION", &self.region);
        command.env("AWS_DEFAULT_REGION", &self.region).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_ACCESS_KEY_ID", &self.key_id).env("AWS_SECRET_ACCESS_KEY", &self.secret_key);
        if let Some(token) = &self.session_token {
            command.env("AWS_SESSION_TOKEN", token);
        }
    }

    fn bucket(&self, bucket: &str) -> Result<Arc<AmazonS3>, Failure> {
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_endpoint(&self.endpoint)
            .with_region(&self.region)
            .with_access_key_id(&self.key_id)
            .with_secret_access_key(&self.secret_key)
            .with_virtual_hosted_style_request(false)
            .with_allow_http(true)
            .with_config(AmazonS3ConfigKey::UnsignedPayload, "true");
        if let Some(token) = &self.session_token {
            builder = builder.with_token(token);
        }
        builder.build().map(Arc::new).map_err(|e| client(e.to_string()))
    }

    pub(crate) async fn get(&self, url: &str) -> Result<Bytes, Failure> {
        let (bucket, key) = parse(url)?;
        let failed = |e: object_store::Error| client(format!("{url} could not be read: {e}"));
        let answer = self.bucket(bucket)?.get(&path(key)?).await.map_err(failed)?;
        answer.bytes().await.map_err(failed)
    }

    pub(crate) async fn put(&self, url: &str, body: Vec<u8>) -> Result<(), Failure> {
        let (bucket, key) = parse(url)?;
        let failed = |e: object_store::Error| client(format!("{url} could not be written: {e}"));
        self.bucket(bucket)?.put(&path(key)?, body.into()).await.map_err(failed)?;
        Ok(())
    }

    /// The objects of a data source: those whose keys begin with the prefix, or those that a manifest lists.
    pub(crate) async fn objects(&self, source: &TransformS3DataSource) -> Result<Vec<Object>, Failure> {
        let (bucket, prefix) = parse(&source.s3_uri)?;
        let objects = if source.s3_data_type == "ManifestFile" {
            manifest(&self.get(&source.s3_uri).await?)?
        } else {
            self.list(bucket, prefix).await?
        };
        if objects.is_empty() {
            return Err(client(format!(
                "No S3 objects found under S3 URL \"{}\" given in input data source. Please ensure that the bucket exists in the selected region, that objects exist under that S3 prefix, and that the role has \"s3:ListBucket\" permissions on bucket \"{bucket}\"",
                source.s3_uri
            )));
        }
        Ok(objects)
    }

    async fn list(&self, bucket: &str, prefix: &str) -> Result<Vec<Object>, Failure> {
        // object_store lists folders; a prefix may end inside a name.
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let place = if folder.is_empty() { None } else { Some(path(folder)?) };
        let failed = |e: object_store::Error| client(format!("s3://{bucket}/{prefix} could not be listed: {e}"));
        let found: Vec<_> = self.bucket(bucket)?.list(place.as_ref()).try_collect().await.map_err(failed)?;
        let mut objects: Vec<_> = found
            .into_iter()
            .filter(|meta| meta.size > 0)
            .filter_map(|meta| object(bucket, prefix, meta.location.as_ref()))
            .collect();
        objects.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(objects)
    }
}

/// An object under the prefix, whatever it is called. Source: `SageMaker` API Reference, `TransformS3DataSource`: "all objects with the
/// specified key name prefix".
fn object(bucket: &str, prefix: &str, key: &str) -> Option<Object> {
    let root = prefix.rfind('/').map_or(0, |at| at + 1);
    let relative = key.get(root..).filter(|_| key.starts_with(prefix))?;
    (!relative.is_empty()).then(|| Object {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        relative: relative.to_owned(),
    })
}

/// `[{"prefix": "s3://bucket/folder/"}, "a.csv", …]`
fn manifest(bytes: &[u8]) -> Result<Vec<Object>, Failure> {
    let wrong = || client("the manifest is no JSON list of a prefix and names".to_owned());
    let entries: Vec<serde_json::Value> = serde_json::from_slice(bytes).map_err(|_| wrong())?;
    let (first, names) = entries.split_first().ok_or_else(wrong)?;
    let prefix = first.get("prefix").and_then(serde_json::Value::as_str).ok_or_else(wrong)?;
    let (bucket, folder) = parse(prefix)?;
    names
        .iter()
        .map(|name| {
            let name = name.as_str().ok_or_else(wrong)?;
            Ok(Object { bucket: bucket.to_owned(), key: format!("{folder}{name}"), relative: name.to_owned() })
        })
        .collect()
}

fn parse(url: &str) -> Result<(&str, &str), Failure> {
    let rest = url.strip_prefix("s3://").ok_or_else(|| client(format!("{url:?} is no S3 location")))?;
    Ok(rest.split_once('/').unwrap_or((rest, "")))
}

fn path(key: &str) -> Result<Path, Failure> {
    Path::parse(key).map_err(|e| client(format!("key {key:?}: {e}")))
}

pub(crate) fn client(message: String) -> Failure {
    Failure::new("ClientError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_under_a_prefix() {
        let relative = |prefix: &str, key: &str| object("b", prefix, key).map(|o| o.relative);
        assert_eq!(relative("in/", "in/a/b.csv").as_deref(), Some("a/b.csv"));
        assert_eq!(relative("in/a", "in/a1.csv").as_deref(), Some("a1.csv"));
        assert_eq!(relative("in/x.csv", "in/x.csv").as_deref(), Some("x.csv"));
        assert_eq!(relative("in/", "in/year=1/_x=1/p.parquet").as_deref(), Some("year=1/_x=1/p.parquet"));
        assert_eq!(relative("in/", "in/_part-1.csv").as_deref(), Some("_part-1.csv"));
        assert_eq!(relative("in/", "in/.staging/x.csv").as_deref(), Some(".staging/x.csv"));
        assert_eq!(relative("in/", "in/"), None);
        assert_eq!(relative("in/a", "in/b.csv"), None);
    }

    #[test]
    fn manifests() {
        let objects = manifest(br#"[{"prefix": "s3://b/in/"}, "x.csv", "y/z.csv"]"#).unwrap();
        assert_eq!(objects[1], Object { bucket: "b".into(), key: "in/y/z.csv".into(), relative: "y/z.csv".into() });
        assert!(manifest(b"{}").is_err());
    }
}
