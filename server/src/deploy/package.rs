//! Local files and folders that a template names go to S3, and the template names them there, as `aws cloudformation package`
//! does it: by content, so that what has not changed is not deployed again.

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;

use crate::client::{Call, Client};

/// What a property wants in the place of a local path.
#[derive(Clone, Copy)]
enum Form {
    /// An archive; an object with these members for bucket and key.
    Zip(&'static str, &'static str),
    /// A file as it is; an object with these members.
    File(&'static str, &'static str),
    /// A file as it is; an `s3://` address.
    Url,
    /// A file as it is, or a folder as an archive; an `s3://` address.
    TarGz,
}

const PROPERTIES: [(&str, &str, Form); 5] = [
    ("AWS::Lambda::Function", "/Code", Form::Zip("S3Bucket", "S3Key")),
    ("AWS::Lambda::LayerVersion", "/Content", Form::Zip("S3Bucket", "S3Key")),
    ("AWS::StepFunctions::StateMachine", "/DefinitionS3Location", Form::File("Bucket", "Key")),
    ("AWS::Glue::Job", "/Command/ScriptLocation", Form::Url),
    ("AWS::SageMaker::Model", "/PrimaryContainer/ModelDataUrl", Form::TarGz),
];

/// Uploads what `template` names of `folder` and rewrites it.
pub(super) async fn package(client: &Client, folder: &Path, template: &mut Value) -> Result<()> {
    let bucket = format!("lakerun-artifacts-{}-{}", client.server.account, client.server.region);
    let mut made = false;
    let Some(resources) = template.get_mut("Resources").and_then(Value::as_object_mut) else { return Ok(()) };
    for (id, resource) in resources {
        let kind = resource["Type"].as_str().unwrap_or_default().to_owned();
        for (_, place, form) in PROPERTIES.iter().filter(|(of, ..)| *of == kind) {
            let Some(value) = resource.get_mut("Properties").and_then(|p| p.pointer_mut(place)) else { continue };
            let Some(path) = value.as_str().filter(|text| !text.contains("://")).map(|text| folder.join(text)) else {
                continue;
            };
            let (bytes, ending) = read(&path, *form).with_context(|| format!("{id}: {kind}{place}"))?;
            if !made {
                make_bucket(client, &bucket).await?;
                made = true;
            }
            let key = format!("{}{ending}", hex::encode(Sha256::digest(&bytes)));
            upload(client, &bucket, &key, bytes).await?;
            *value = match form {
                Form::Zip(b, k) | Form::File(b, k) => json!({*b: bucket, *k: key}),
                Form::Url | Form::TarGz => json!(format!("s3://{bucket}/{key}")),
            };
        }
    }
    Ok(())
}

fn read(path: &Path, form: Form) -> Result<(Vec<u8>, String)> {
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    if path.is_dir() {
        return match form {
            Form::Zip(..) => Ok((archive(path)?, ".zip".to_owned())),
            Form::TarGz => Ok((tar_gz(path)?, ".tar.gz".to_owned())),
            Form::File(..) | Form::Url => bail!("{} is a folder, a file is needed", path.display()),
        };
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok((bytes, extension))
}

/// The same folder gives the same bytes: sorted names, no times.
fn archive(folder: &Path) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().last_modified_time(zip::DateTime::default()).unix_permissions(0o644);
    for path in files(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        zip.start_file(name, options)?;
        zip.write_all(&std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A ustar archive: a header of 512 bytes a file, contents padded to as much, two empty blocks.
fn tar_gz(folder: &Path) -> Result<Vec<u8>> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    for path in files(folder)? {
        let name = path.strip_prefix(folder)?.to_string_lossy().into_owned();
        let content = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        gzip.write_all(&tar_header(&name, content.len())?)?;
        gzip.write_all(&content)?;
        gzip.write_all(&vec![0; content.len().next_multiple_of(512) - content.len()])?;
    }
    gzip.write_all(&[0; 1024])?;
    Ok(gzip.finish()?)
}

fn tar_header(name: &str, size: usize) -> Result<[u8; 512]> {
    if name.len() > 100 {
        bail!("{name}: names in an archive have at most 100 characters");
    }
    let mut header = [0_u8; 512];
    let mut set = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, name.as_bytes());
    set(100, b"0000644\0");
    set(108, b"0000000\0");
    set(116, b"0000000\0");
    set(124, format!("{size:011o}\0").as_bytes());
    set(136, b"00000000000\0");
    set(148, b"        ");
    set(156, b"0");
    set(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "__pycache__") {
                found.extend(files(&path)?);
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

async fn make_bucket(client: &Client, bucket: &str) -> Result<()> {
    let region = &client.server.region;
    let body = if region == "us-east-1" {
        String::new()
    } else {
        format!(
            "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><LocationConstraint>{region}</LocationConstraint></CreateBucketConfiguration>"
        )
    };
    let path = format!("/{bucket}");
    let (code, body) =
        client.send(Call { service: "s3", method: "PUT", path: &path, headers: &[], body: body.into() }).await?;
    if code.is_success() || code == http::StatusCode::CONFLICT {
        return Ok(());
    }
    bail!("cannot make the bucket {bucket}: {code} {}", String::from_utf8_lossy(&body))
}

async fn upload(client: &Client, bucket: &str, key: &str, bytes: Vec<u8>) -> Result<()> {
    let path = format!("/{bucket}/{key}");
    let (code, body) =
        client.send(Call { service: "s3", method: "PUT", path: &path, headers: &[], body: Bytes::from(bytes) }).await?;
    if !code.is_success() {
        bail!("cannot upload to s3://{bucket}/{key}: {code} {}", String::from_utf8_lossy(&body));
    }
    Ok(())
}

/// Percent-encodes all but RFC 3986's unreserved characters.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}
