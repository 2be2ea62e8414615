//! Who sends a request, and whether they may: the session of a request whose signature s3s has checked, and every action that the
//! request stands for. What is permitted, [`crate::access`] knows. Source: Service Authorization Reference, "Actions, resources, and
//! condition keys for Amazon S3"; API reference, "Permissions" of each operation.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{DeleteObjectsInput, PutObjectTaggingInput};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};
use service::{Cx, Origin, Principal};

use super::{Peer, convert};
use crate::S3;
use crate::access::{Ask, caller};
use crate::errors::access_denied;
use crate::put::{parse_tags, url_decode};
use crate::tags::Named;

pub(super) struct Access {
    s3: Arc<S3>,
}

impl Access {
    pub(super) fn new(s3: Arc<S3>) -> Self {
        Self { s3 }
    }

    async fn cx(&self, acx: &mut S3AccessContext<'_>) -> S3Result<Cx> {
        let router = Arc::clone(&self.s3.router);
        let (own, home) = self.s3.known.own();
        let Some(credentials) = acx.credentials() else {
            return Ok(Cx::new(router, Principal::Anonymous, own, home).with_origin(origin(acx)));
        };
        let found = router.identity().credentials(&credentials.access_key).await.map_err(convert::error)?;
        let Some(found) = found else { return Err(unknown_key()) };
        let token = query(acx.uri().query().unwrap_or_default(), "X-Amz-Security-Token");
        let header = acx.headers().get("x-amz-security-token").and_then(|v| v.to_str().ok()).map(str::to_owned);
        found.check_session(header.or(token).as_deref(), router.now()).map_err(session_error)?;
        let region = region(acx).unwrap_or_else(|| home.to_owned());
        if matches!(found.principal, Principal::User { context: None, .. }) {
            router.identity().used(&found.access_key, "s3", &region).await.map_err(convert::error)?;
        }
        let account = if found.account.is_empty() { own.to_owned() } else { found.account.clone() };
        Ok(Cx::platform(&router, &account, &region).with_credentials(found).with_origin(origin(acx)))
    }
}

/// Who was found to send a request that may be made; for those who go on without [`Access`].
#[derive(Clone, Debug, Default)]
pub(super) struct Caller(pub(super) Arc<std::sync::OnceLock<Cx>>);

/// For requests that [`Access`] has let through, with their [`Cx`].
pub(super) struct Passed;

#[async_trait::async_trait]
impl S3Access for Passed {
    async fn check(&self, acx: &mut S3AccessContext<'_>) -> S3Result<()> {
        match acx.extensions_mut().get::<Cx>() {
            Some(_) => Ok(()),
            None => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// The condition keys of a request, kept for operations whose body says what they are about.
#[derive(Clone)]
struct RequestKeys(Arc<Vec<(String, String)>>);

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, acx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let cx = self.cx(acx).await?;
        let caller = acx.extensions_mut().get::<Caller>().cloned();
        self.may(acx, cx.clone()).await?;
        if let Some(Caller(caller)) = caller {
            drop(caller.set(cx));
        }
        Ok(())
    }

    /// The keys are in the body: each is asked for, and what may not be deleted is told in the answer.
    async fn delete_objects(&self, req: &mut S3Request<DeleteObjectsInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let keys = req.extensions.get::<RequestKeys>().map(|k| Arc::clone(&k.0)).unwrap_or_default();
        let bucket = req.input.bucket.clone();
        let mut refused = Vec::new();
        for object in &req.input.delete.objects {
            let action = if object.version_id.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
            let ask = Ask {
                action,
                bucket: &bucket,
                key: Some(&object.key),
                version: object.version_id.as_deref(),
                keys: &keys,
                input: None,
            };
            match self.s3.permit(&cx, &ask).await {
                Ok(()) => {}
                Err(error) if error.status() == 403 => refused.push((object.key.clone(), object.version_id.clone())),
                Err(error) => return Err(convert::error(error)),
            }
        }
        if matches!(cx.principal(), Principal::Anonymous) && refused.len() == req.input.delete.objects.len() {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        req.input.delete.objects.retain(|o| !refused.iter().any(|(k, v)| *k == o.key && *v == o.version_id));
        req.extensions.insert(Refused(refused));
        Ok(())
    }

    async fn put_object_tagging(&self, req: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let mut keys = req.extensions.get::<RequestKeys>().map(|k| k.0.to_vec()).unwrap_or_default();
        tag_keys(&mut keys, &convert::tags(req.input.tagging.tag_set.clone()));
        let version = req.input.version_id.as_deref();
        let action = if version.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
        let ask =
            Ask { action, bucket: &req.input.bucket, key: Some(&req.input.key), version, keys: &keys, input: None };
        self.s3.permit(&cx, &ask).await.map_err(convert::error)
    }
}

/// The keys of a DeleteObjects that may not be deleted.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused(pub(super) Vec<(String, Option<String>)>);

impl Access {
    /// Is all allowed that the request stands for? Leaves the caller's context with it.
    async fn may(&self, acx: &mut S3AccessContext<'_>, cx: Cx) -> S3Result<()> {
        let operation: String = acx.s3_op().name().to_owned();
        let operation = operation.as_str();
        super::gate::check(
            acx.method(),
            acx.s3_path(),
            acx.uri().query().unwrap_or_default(),
            acx.headers(),
            operation,
        )?;
        let version = query(acx.uri().query().unwrap_or_default(), "versionId").filter(|v| !v.is_empty());
        let (bucket, key) = match acx.s3_path() {
            S3Path::Root => {
                for action in super::gate::actions(operation, "", acx.headers()) {
                    allow_account(&cx, action, "*").await?;
                }
                acx.extensions_mut().insert(cx);
                return Ok(());
            }
            S3Path::Bucket { bucket } => (bucket.to_string(), None),
            S3Path::Object { bucket, key } => (bucket.to_string(), Some(key.to_string())),
        };
        if operation == "CreateBucket" {
            allow_account(&cx, "s3:CreateBucket", &format!("arn:aws:s3:::{bucket}")).await?;
            acx.extensions_mut().insert(cx);
            return Ok(());
        }
        self.owner_is_expected(&bucket, header(acx.headers(), "x-amz-expected-bucket-owner")).await?;
        self.payer(&cx, &bucket, acx).await?;
        // Its owner's own bucket, with nothing that could say otherwise: nothing has to be gathered or asked.
        if self.s3.unquestioned(&cx, &bucket).await && !matches!(operation, "CopyObject" | "UploadPartCopy") {
            acx.extensions_mut().insert(cx);
            return Ok(());
        }
        let keys = request_keys(acx, version.as_deref()).map_err(convert::error)?;
        // What the body says is asked for where it has been read.
        let later = matches!(operation, "DeleteObjects" | "PutObjectTagging");
        let text = acx.uri().query().unwrap_or_default();
        let actions = if later { Vec::new() } else { super::gate::actions(operation, text, acx.headers()) };
        for action in actions {
            let ask = Ask {
                action,
                bucket: &bucket,
                key: key.as_deref(),
                version: version.as_deref(),
                keys: &keys,
                input: None,
            };
            self.s3.permit(&cx, &ask).await.map_err(convert::error)?;
        }
        if matches!(operation, "CopyObject" | "UploadPartCopy") {
            self.source(&cx, acx.headers(), &keys).await?;
        }
        acx.extensions_mut().insert(RequestKeys(Arc::new(keys)));
        acx.extensions_mut().insert(cx);
        Ok(())
    }

    async fn source(&self, cx: &Cx, headers: &HeaderMap, keys: &[(String, String)]) -> S3Result<()> {
        let text = header(headers, "x-amz-copy-source").unwrap_or_default();
        let Named { bucket, key, version } = crate::ops::source(text).map_err(convert::error)?;
        self.owner_is_expected(&bucket, header(headers, "x-amz-source-expected-bucket-owner")).await?;
        let action = if version.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
        let ask = Ask { action, bucket: &bucket, key: Some(&key), version: version.as_deref(), keys, input: None };
        self.s3.permit(cx, &ask).await.map_err(convert::error)
    }

    async fn owner_is_expected(&self, bucket: &str, expected: Option<&str>) -> S3Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let bucket = self.s3.governed(bucket).await.map_err(convert::error)?;
        if bucket.owner() == expected {
            return Ok(());
        }
        if expected.len() != 12 || !expected.bytes().all(|b| b.is_ascii_digit()) {
            return Err(convert::error(wire::Error::new(
                "InvalidBucketOwnerAWSAccountID",
                400,
                "The value of the expected bucket owner parameter must be an AWS account ID.",
            )));
        }
        Err(s3_error!(AccessDenied, "Access Denied"))
    }

    /// Where the requester pays, they say that they know.
    async fn payer(&self, cx: &Cx, bucket: &str, acx: &S3AccessContext<'_>) -> S3Result<()> {
        let Ok(bucket) = self.s3.governed(bucket).await else { return Ok(()) };
        if !bucket.requester_pays || caller(cx) == bucket.owner() {
            return Ok(());
        }
        let said = header(acx.headers(), "x-amz-request-payer").map(str::to_owned);
        let said = said.or_else(|| query(acx.uri().query().unwrap_or_default(), "x-amz-request-payer"));
        if said.as_deref() == Some("requester") && !caller(cx).is_empty() {
            return Ok(());
        }
        Err(convert::error(access_denied("Bucket is requester pays. The request must say that the requester pays.")))
    }
}

/// An action that is on no bucket that exists.
async fn allow_account(cx: &Cx, action: &str, resource: &str) -> S3Result<()> {
    cx.router().authorize(cx, action, resource).await.map_err(|error| {
        let anonymous = matches!(cx.principal(), Principal::Anonymous);
        S3Error::with_message(
            if anonymous || error.status() == 403 { S3ErrorCode::AccessDenied } else { S3ErrorCode::InternalError },
            if anonymous { "Access Denied".to_owned() } else { error.message().replacen(" on resource: *", "", 1) },
        )
    })
}

pub(super) fn unknown_key() -> S3Error {
    s3_error!(InvalidAccessKeyId, "The AWS Access Key Id you provided does not exist in our records.")
}

/// S3 has its own codes for what is wrong with a session.
#[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
pub(super) fn session_error(error: wire::Error) -> S3Error {
    if error.is("ExpiredTokenException") {
        s3_error!(ExpiredToken, "The provided token has expired.")
    } else {
        s3_error!(InvalidToken, "The provided token is malformed or otherwise invalid.")
    }
}

/// Where the request came from.
fn origin(acx: &mut S3AccessContext<'_>) -> Origin {
    let peer = acx.extensions_mut().get::<Peer>().copied();
    let agent = header(acx.headers(), "user-agent");
    let origin = Origin::new(peer.map(|peer| peer.address), agent, header(acx.headers(), "referer"));
    Origin { secure: peer.map_or(origin.secure, |peer| peer.secure), ..origin }
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

fn query(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        key.eq_ignore_ascii_case(name).then(|| url_decode(value)).flatten()
    })
}

fn request_keys(acx: &mut S3AccessContext<'_>, version: Option<&str>) -> crate::errors::Result<Vec<(String, String)>> {
    let mut keys: Vec<(String, String)> = Vec::new();
    keys.extend(acx.extensions_mut().get::<Peer>().into_iter().flat_map(|peer| peer.keys()));
    let headers = acx.headers();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        let key = match name.as_str() {
            "user-agent" => "aws:UserAgent".to_owned(),
            "referer" => "aws:Referer".to_owned(),
            "if-match" | "if-none-match" => format!("s3:{name}"),
            name if name.starts_with("x-amz-meta-") => continue,
            name if name.starts_with("x-amz-") => header_key(name),
            _ => continue,
        };
        keys.push((key, value.to_owned()));
    }
    let text = acx.uri().query().unwrap_or_default();
    for name in ["prefix", "delimiter", "max-keys"] {
        if let Some(value) = query(text, name) {
            keys.push((format!("s3:{name}"), value));
        }
    }
    if let Some(version) = version {
        keys.push(("s3:VersionId".to_owned(), version.to_owned()));
    }
    let authorization = header(headers, "authorization").unwrap_or_default();
    if acx.credentials().is_some() {
        let presigned = authorization.is_empty();
        let old = authorization.starts_with("AWS ") || (presigned && query(text, "Signature").is_some());
        keys.push(("s3:signatureversion".to_owned(), if old { "AWS" } else { "AWS4-HMAC-SHA256" }.to_owned()));
        keys.push(("s3:authType".to_owned(), if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" }.to_owned()));
    }
    if let Some(tags) = header(headers, "x-amz-tagging") {
        tag_keys(&mut keys, &parse_tags(tags)?);
    }
    Ok(keys)
}

/// The condition key of a header.
pub(super) fn header_key(name: &str) -> String {
    let name = name.strip_prefix("x-amz-").filter(|rest| rest.starts_with("object-lock-")).unwrap_or(name);
    format!("s3:{name}")
}

pub(super) fn tag_keys(keys: &mut Vec<(String, String)>, tags: &[(String, String)]) {
    for (name, value) in tags {
        keys.push((format!("s3:RequestObjectTag/{name}"), value.clone()));
        keys.push(("s3:RequestObjectTagKeys".to_owned(), name.clone()));
    }
}
