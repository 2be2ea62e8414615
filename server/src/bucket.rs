//! `objects = s3://…`: the bytes of large objects, and functions' code, in a bucket of any S3, so that nodes share them.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use serde::Deserialize;
use store::objects::{Bucket, Objects};
use store::postgres::Lease;

use crate::cluster::Term;
use crate::settings::Settings;

/// Copies of what is in the bucket; deleted at every start.
const COPIES: &str = "object-copies";
/// Whose the blobs in the bucket are.
const INSTALLATION: &str = "installation";
const NAME_CHARACTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Section `[bucket]` of the settings.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Section {
    /// Of another S3 than AWS's, e.g. `http://minio.internal:9000`.
    endpoint: Option<String>,
    region: String,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    /// How much of this machine's disk copies may take.
    cache_gib: u64,
}

impl Default for Section {
    fn default() -> Self {
        let region = "us-east-1".to_owned();
        Self { endpoint: None, region, access_key_id: None, secret_access_key: None, cache_gib: 10 }
    }
}

/// The bucket that the settings name; `None`: none.
///
/// # Errors
/// When a setting is wrong, the bucket cannot be reached, or another installation's blobs are there.
pub(crate) async fn open(settings: &Settings, term: Option<&Term>) -> Result<Option<Objects>> {
    let section: Section = settings.sections().section("bucket").map_err(anyhow::Error::msg)?;
    let Some(url) = &settings.objects else {
        if settings.sections().0.contains_key("bucket") {
            bail!("[bucket] is set, and `objects`, which says which bucket, is not");
        }
        return Ok(None);
    };
    let (name, prefix) = parse(url)?;
    let mut builder = AmazonS3Builder::new().with_bucket_name(name).with_region(&section.region);
    if let Some(endpoint) = &section.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    builder = match (section.access_key_id, section.secret_access_key) {
        (Some(access), Some(secret)) => builder.with_access_key_id(access).with_secret_access_key(secret),
        (None, None) => from_environment(builder),
        _ => bail!("[bucket]: set both access_key_id and secret_access_key, or neither"),
    };
    let lease: Option<Lease> = term.map(|term| term.lease.clone());
    let bucket = Bucket {
        store: Arc::new(builder.build().context("[bucket]")?),
        prefix: prefix.to_owned(),
        cache_bytes: section.cache_gib << 30,
        is_owner: Arc::new(move || lease.as_ref().is_none_or(Lease::is_valid)),
    };
    let installation = installation(&settings.data, term).await?;
    let folder = settings.data.join(COPIES);
    let opened = Objects::bucket(bucket, folder, &installation).await;
    Ok(Some(opened.with_context(|| format!("the bucket of objects, {url}"))?))
}

/// Bucket and prefix.
fn parse(url: &str) -> Result<(&str, &str)> {
    let place = url.strip_prefix("s3://").map(|rest| rest.split_once('/').unwrap_or((rest, "")));
    match place {
        Some((bucket, prefix)) if !bucket.is_empty() => Ok((bucket, prefix)),
        _ => bail!("objects must be s3://BUCKET/PREFIX, not {url:?}"),
    }
}

/// What AWS's SDKs would take: keys of the environment, else a role of the machine's. Not the endpoint: `lakerun env` sets it to this server.
fn from_environment(mut builder: AmazonS3Builder) -> AmazonS3Builder {
    for (variable, key) in [
        ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
        ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
        ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", AmazonS3ConfigKey::WebIdentityTokenFile),
        ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
        ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", AmazonS3ConfigKey::ContainerCredentialsRelativeUri),
    ] {
        if let Ok(value) = std::env::var(variable) {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

/// The name of this installation: the database's nodes have one, else the data folder has.
async fn installation(data: &Path, term: Option<&Term>) -> Result<String> {
    let new = format!("lakerun-{}", identity::random_text(24, NAME_CHARACTERS));
    if let Some(term) = term {
        return term.installation(new).await;
    }
    let path = data.join(INSTALLATION);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            crate::up::write_private(&path, new.as_bytes())?;
            Ok(new)
        }
        read => Ok(read?),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn places_are_buckets_and_prefixes() {
        assert_eq!(super::parse("s3://b").unwrap(), ("b", ""));
        assert_eq!(super::parse("s3://b/c/d").unwrap(), ("b", "c/d"));
        for wrong in ["s3://", "s3:///p", "file:///b", "b"] {
            super::parse(wrong).unwrap_err();
        }
    }
}
