//! Session token, expiry and permission of a request whose signature s3s has checked; makes the caller's context.

use std::sync::Arc;

use http::HeaderValue;
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{CopyObjectInput, CopySource, DeleteObjectsInput, UploadPartCopyInput};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};
use service::{Cx, Router};

use super::convert;

pub(super) struct Access {
    router: Arc<Router>,
    account: String,
    region: String,
}

impl Access {
    pub(super) fn new(router: Arc<Router>, account: &str, region: &str) -> Self {
        Self { router, account: account.to_owned(), region: region.to_owned() }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, acx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let Some(credentials) = acx.credentials() else {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        };
        let found = self.router.identity().credentials(&credentials.access_key).await.map_err(convert::error)?;
        let Some(found) = found else {
            return Err(s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            ));
        };
        let query = query(acx.uri().query().unwrap_or_default(), "X-Amz-Security-Token");
        let header = acx.headers().get("x-amz-security-token").and_then(|v| v.to_str().ok()).map(str::to_owned);
        found.check_session(header.or(query).as_deref(), self.router.now()).map_err(session_error)?;

        let query = acx.uri().query().unwrap_or_default();
        super::gate::check(acx.method(), acx.s3_path(), query, acx.headers(), acx.s3_op().name())?;

        let region = region(acx).unwrap_or_else(|| self.region.clone());
        let account = if found.account.is_empty() { &self.account } else { &found.account };
        let cx = Cx::new(Arc::clone(&self.router), found.principal, account, &region);
        // The keys of DeleteObjects are in its body: see below.
        let operation = acx.s3_op().name();
        if operation != "DeleteObjects" {
            let resource = match acx.s3_path() {
                S3Path::Root => "*".to_owned(),
                S3Path::Bucket { bucket } => format!("arn:aws:s3:::{bucket}"),
                S3Path::Object { bucket, key } => object_arn(bucket, key),
            };
            allow(&cx, &action(operation), &resource).await?;
        }
        acx.extensions_mut().insert(cx);
        Ok(())
    }

    async fn delete_objects(&self, req: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        for object in &req.input.delete.objects {
            allow(&cx, "s3:DeleteObject", &object_arn(&req.input.bucket, &object.key)).await?;
        }
        Ok(())
    }
    async fn copy_object(&self, req: &mut S3Request<CopyObjectInput>) -> S3Result<()> {
        read_source(&super::cx(req)?, &req.input.copy_source).await
    }
    async fn upload_part_copy(&self, req: &mut S3Request<UploadPartCopyInput>) -> S3Result<()> {
        read_source(&super::cx(req)?, &req.input.copy_source).await
    }
}

async fn read_source(cx: &Cx, source: &CopySource) -> S3Result<()> {
    let (bucket, key) = convert::source(source)?;
    allow(cx, "s3:GetObject", &object_arn(&bucket, &key)).await
}

async fn allow(cx: &Cx, action: &str, resource: &str) -> S3Result<()> {
    cx.router().authorize(cx, action, resource).await.map_err(|error| {
        S3Error::with_message(
            if error.status() == 403 { S3ErrorCode::AccessDenied } else { S3ErrorCode::InternalError },
            error.message().to_owned(),
        )
    })
}

fn object_arn(bucket: &str, key: &str) -> String {
    format!("arn:aws:s3:::{bucket}/{key}")
}

/// S3 has its own codes for what is wrong with a session.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
fn session_error(error: wire::Error) -> S3Error {
    if error.is("ExpiredTokenException") {
        s3_error!(ExpiredToken, "The provided token has expired.")
    } else {
        s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")
    }
}

/// The region of the credential scope, in the header or the presigned URL.
fn region(acx: &S3AccessContext<'_>) -> Option<String> {
    let header = acx.headers().get(http::header::AUTHORIZATION).and_then(|v: &HeaderValue| v.to_str().ok());
    let scope = match header {
        Some(header) => header.split("Credential=").nth(1)?.split(',').next()?.to_owned(),
        None => query(acx.uri().query()?, "X-Amz-Credential")?,
    };
    scope.split('/').nth(2).map(str::to_owned)
}

fn query(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| crate::put::url_decode(value)).flatten()
    })
}

/// The IAM action of an operation, where it is not called the same.
fn action(operation: &str) -> String {
    let name = match operation {
        "HeadObject" => "GetObject",
        "HeadBucket" | "ListObjects" | "ListObjectsV2" => "ListBucket",
        "ListBuckets" => "ListAllMyBuckets",
        "ListObjectVersions" => "ListBucketVersions",
        "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload"
        | "CopyObject"
        | "PostObject" => "PutObject",
        "ListParts" => "ListMultipartUploadParts",
        "ListMultipartUploads" => "ListBucketMultipartUploads",
        "GetBucketLifecycleConfiguration" => "GetLifecycleConfiguration",
        "PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle" => "PutLifecycleConfiguration",
        "GetBucketEncryption" => "GetEncryptionConfiguration",
        "PutBucketEncryption" | "DeleteBucketEncryption" => "PutEncryptionConfiguration",
        "GetBucketNotificationConfiguration" => "GetBucketNotification",
        "PutBucketNotificationConfiguration" => "PutBucketNotification",
        "GetPublicAccessBlock" => "GetBucketPublicAccessBlock",
        "PutPublicAccessBlock" | "DeletePublicAccessBlock" => "PutBucketPublicAccessBlock",
        "GetBucketReplication" => "GetReplicationConfiguration",
        "GetBucketCors" => "GetBucketCORS",
        "PutBucketCors" | "DeleteBucketCors" => "PutBucketCORS",
        "DeleteBucketTagging" => "PutBucketTagging",
        "DeleteBucketOwnershipControls" => "PutBucketOwnershipControls",
        "GetObjectLockConfiguration" => "GetBucketObjectLockConfiguration",
        "GetBucketAccelerateConfiguration" => "GetAccelerateConfiguration",
        same => same,
    };
    format!("s3:{name}")
}
