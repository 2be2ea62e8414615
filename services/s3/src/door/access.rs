//! Who sends a request, and whether they may: the session of a request whose signature s3s has checked, and every action that the
//! request stands for. What is permitted, [`crate::access`] knows. Source: Service Authorization Reference, "Actions, resources, and
//! condition keys for Amazon S3"; API reference, "Permissions" of each operation.

use std::sync::Arc;

use http::HeaderMap;
use s3s::access::{S3Access, S3AccessContext};
use s3s::dto::{
    CreateBucketInput, DeleteObjectsInput, ObjectLockRetentionMode, PutObjectLegalHoldInput, PutObjectRetentionInput,
    PutObjectTaggingInput,
};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};
use service::{Cx, Origin, Principal};

use super::gate::SignatureKind;
use super::{Peer, convert};
use crate::S3;
use crate::access::Ask;
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

/// The condition keys of a request, kept for operations whose body, or whose object, says what they are about.
#[derive(Clone, Debug, Default)]
struct RequestKeys(Arc<Vec<(String, String)>>);

/// The condition keys that come with a request.
pub(super) fn keys_of<T>(req: &S3Request<T>) -> Vec<(String, String)> {
    req.extensions.get::<RequestKeys>().map(|keys| keys.0.to_vec()).unwrap_or_default()
}

/// Who asks for an object.
pub(super) struct Asker {
    cx: Option<Cx>,
    bucket: String,
    keys: RequestKeys,
}

impl Asker {
    pub(super) fn of<T>(req: &S3Request<T>, bucket: &str) -> Self {
        let keys = req.extensions.get::<RequestKeys>().cloned().unwrap_or_default();
        Self { cx: req.extensions.get::<Cx>().cloned(), bucket: bucket.to_owned(), keys }
    }

    /// That there is no such key is told only to who may list the bucket. Source: API reference, GetObject and HeadObject, "Permissions".
    pub(super) async fn told(&self, s3: &S3, error: S3Error) -> S3Error {
        let missing = *error.code() == S3ErrorCode::NoSuchKey;
        match self.cx.as_ref().filter(|_| missing) {
            Some(cx) if !s3.may_list(cx, &self.bucket, &self.keys.0).await => s3_error!(AccessDenied, "Access Denied"),
            _ => error,
        }
    }
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, acx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let cx = self.cx(acx).await?;
        let caller = acx.extensions_mut().get::<Caller>().cloned();
        if let Some(super::audit::Asker(asker, _)) = acx.extensions_mut().get() {
            drop(asker.set(cx.clone()));
        }
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
                upload: false,
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

    /// Its permissions are those of all that the bucket is given.
    async fn create_bucket(&self, req: &mut S3Request<CreateBucketInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let mut keys = req.extensions.get::<RequestKeys>().map(|k| k.0.to_vec()).unwrap_or_default();
        let configuration = req.input.create_bucket_configuration.as_ref();
        let constraint = configuration.and_then(|c| c.location_constraint.as_ref());
        keys.extend(constraint.map(|c| ("s3:locationconstraint".to_owned(), c.as_str().to_owned())));
        let tags = super::settings::new_tags(req);
        for tag in &tags {
            let (name, value) = (tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default());
            keys.push((format!("aws:RequestTag/{name}"), value));
            keys.push(("aws:TagKeys".to_owned(), name));
        }
        let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let resource = format!("arn:aws:s3:::{}", req.input.bucket);
        for action in creation(&req.input, !tags.is_empty()) {
            allow_account(&cx, action, &resource, &keys).await?;
        }
        Ok(())
    }

    /// What is asked for is in the body.
    async fn put_object_retention(&self, req: &mut S3Request<PutObjectRetentionInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let mut keys = req.extensions.get::<RequestKeys>().map(|k| k.0.to_vec()).unwrap_or_default();
        let asked = req.input.retention.as_ref();
        let mode = asked.and_then(|r| r.mode.as_ref()).map(ObjectLockRetentionMode::as_str);
        let until = asked.and_then(|r| r.retain_until_date.as_ref()).and_then(convert::millis);
        retention_keys(&mut keys, mode, until, self.s3.router.now().as_millisecond());
        let bypass = req.input.bypass_governance_retention == Some(true);
        let actions = ["s3:PutObjectRetention", "s3:BypassGovernanceRetention"];
        for action in actions.into_iter().take(1 + usize::from(bypass)) {
            let version = req.input.version_id.as_deref();
            let (bucket, key) = (&req.input.bucket, Some(req.input.key.as_str()));
            let ask = Ask { action, bucket, key, version, keys: &keys, input: None, upload: false };
            self.s3.permit(&cx, &ask).await.map_err(convert::error)?;
        }
        Ok(())
    }

    async fn put_object_legal_hold(&self, req: &mut S3Request<PutObjectLegalHoldInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let mut keys = req.extensions.get::<RequestKeys>().map(|k| k.0.to_vec()).unwrap_or_default();
        let status = req.input.legal_hold.as_ref().and_then(|hold| hold.status.as_ref());
        keys.extend(status.map(|status| ("s3:object-lock-legal-hold".to_owned(), status.as_str().to_owned())));
        let ask = Ask {
            action: "s3:PutObjectLegalHold",
            bucket: &req.input.bucket,
            key: Some(&req.input.key),
            version: req.input.version_id.as_deref(),
            keys: &keys,
            input: None,
            upload: false,
        };
        self.s3.permit(&cx, &ask).await.map_err(convert::error)
    }

    async fn put_object_tagging(&self, req: &mut S3Request<PutObjectTaggingInput>) -> S3Result<()> {
        let cx = super::cx(req)?;
        let mut keys = req.extensions.get::<RequestKeys>().map(|k| k.0.to_vec()).unwrap_or_default();
        tag_keys(&mut keys, &convert::tags(req.input.tagging.tag_set.clone()));
        let version = req.input.version_id.as_deref();
        let action = if version.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
        let ask = Ask {
            action,
            bucket: &req.input.bucket,
            key: Some(&req.input.key),
            version,
            keys: &keys,
            input: None,
            upload: false,
        };
        self.s3.permit(&cx, &ask).await.map_err(convert::error)
    }
}

/// How long an object is to be locked: the condition keys of a retention.
fn retention_keys(keys: &mut Vec<(String, String)>, mode: Option<&str>, until_ms: Option<i64>, now_ms: i64) {
    keys.retain(|(key, _)| !key.starts_with("s3:object-lock-"));
    keys.extend(mode.map(|mode| ("s3:object-lock-mode".to_owned(), mode.to_owned())));
    if let Some(until) = until_ms {
        keys.push((RETAIN_UNTIL.to_owned(), wire::Timestamp::from_millis(until).to_iso()));
        keys.push((REMAINING_DAYS.to_owned(), remaining_days(until, now_ms)));
    }
}

const RETAIN_UNTIL: &str = "s3:object-lock-retain-until-date";
const REMAINING_DAYS: &str = "s3:object-lock-remaining-retention-days";
const DAY_MS: i64 = 86_400_000;

/// Whole days, the last one counted as well.
fn remaining_days(until_ms: i64, now_ms: i64) -> String {
    let left = (until_ms - now_ms).max(0);
    (left / DAY_MS + i64::from(left % DAY_MS > 0)).to_string()
}

/// The actions that making a bucket stands for. Source: API reference, CreateBucket, "Permissions".
fn creation(input: &CreateBucketInput, tagged: bool) -> Vec<&'static str> {
    let granted = [
        &input.grant_full_control,
        &input.grant_read,
        &input.grant_read_acp,
        &input.grant_write,
        &input.grant_write_acp,
    ];
    let shared = input.acl.as_ref().is_some_and(|acl| acl.as_str() != "private");
    let locked = input.object_lock_enabled_for_bucket == Some(true);
    let actions = [
        ("s3:CreateBucket", true),
        ("s3:PutBucketAcl", shared || granted.iter().any(|grant| grant.is_some())),
        ("s3:PutBucketObjectLockConfiguration", locked),
        ("s3:PutBucketVersioning", locked),
        ("s3:PutBucketOwnershipControls", input.object_ownership.is_some()),
        ("s3:TagResource", tagged),
    ];
    actions.into_iter().filter(|(_, asked)| *asked).map(|(action, _)| action).collect()
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
                    allow_account(&cx, action, "*", &[]).await?;
                }
                acx.extensions_mut().insert(cx);
                return Ok(());
            }
            S3Path::Bucket { bucket } => (bucket.to_string(), None),
            S3Path::Object { bucket, key } => (bucket.to_string(), Some(key.to_string())),
        };
        if operation == "CreateBucket" {
            // Where and like what it is to be made is asked about when the body has been read.
            let keys = request_keys(acx, None, self.s3.router.now().as_millisecond()).map_err(convert::error)?;
            acx.extensions_mut().insert(RequestKeys(Arc::new(keys)));
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
        let now = self.s3.router.now().as_millisecond();
        let keys = request_keys(acx, version.as_deref(), now).map_err(convert::error)?;
        // What the body says is asked for where it has been read.
        let later =
            matches!(operation, "DeleteObjects" | "PutObjectTagging" | "PutObjectRetention" | "PutObjectLegalHold");
        let text = acx.uri().query().unwrap_or_default();
        let actions = if later { Vec::new() } else { super::gate::actions(operation, text, acx.headers()) };
        let upload = matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload");
        for action in actions {
            let ask = Ask {
                action,
                bucket: &bucket,
                key: key.as_deref(),
                version: version.as_deref(),
                keys: &keys,
                input: None,
                upload,
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
        let ask = Ask {
            action,
            bucket: &bucket,
            key: Some(&key),
            version: version.as_deref(),
            keys,
            input: None,
            upload: false,
        };
        self.s3.permit(cx, &ask).await.map_err(convert::error)
    }

    async fn owner_is_expected(&self, bucket: &str, expected: Option<&str>) -> S3Result<()> {
        self.s3.owner_is_expected(bucket, expected).await.map_err(convert::error)
    }

    async fn payer(&self, cx: &Cx, bucket: &str, acx: &S3AccessContext<'_>) -> S3Result<()> {
        let said = header(acx.headers(), "x-amz-request-payer").map(str::to_owned);
        let said = said.or_else(|| query(acx.uri().query().unwrap_or_default(), "x-amz-request-payer"));
        self.s3.payer(cx, bucket, said.as_deref()).await.map_err(convert::error)
    }
}

/// An action that is on no bucket that exists.
async fn allow_account(cx: &Cx, action: &str, resource: &str, keys: &[(&str, &str)]) -> S3Result<()> {
    cx.router().authorize_with(cx, action, resource, keys).await.map_err(|error| {
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

/// The region of the credential scope that was checked, in the header or the presigned URL.
fn region(acx: &S3AccessContext<'_>) -> Option<String> {
    let text = acx.uri().query().unwrap_or_default();
    let scope = match SignatureKind::of_checked(text, acx.headers()) {
        SignatureKind::Query => query(text, "X-Amz-Credential")?,
        SignatureKind::Header => {
            header(acx.headers(), "authorization")?.split("Credential=").nth(1)?.split(',').next()?.to_owned()
        }
        SignatureKind::None | SignatureKind::Version2 => return None,
    };
    scope.split('/').nth(2).map(str::to_owned)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

fn query(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        url_decode(key)?.eq_ignore_ascii_case(name).then(|| url_decode(value)).flatten()
    })
}

/// How old a signature is, in milliseconds. Source: Amazon S3 API Reference, "Amazon S3 Signature Version 4 Authentication Specific Policy
/// Keys".
pub(super) fn signature_age(time: &str, now_ms: i64) -> Option<(String, String)> {
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).ok()?;
    let signed = signed.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond();
    Some(("s3:signatureAge".to_owned(), (now_ms - signed).max(0).to_string()))
}

fn request_keys(
    acx: &mut S3AccessContext<'_>,
    version: Option<&str>,
    now_ms: i64,
) -> crate::errors::Result<Vec<(String, String)>> {
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
    if acx.credentials().is_some() {
        let kind = SignatureKind::of_checked(text, headers);
        let old = kind == SignatureKind::Version2;
        let presigned = kind == SignatureKind::Query || !headers.contains_key(http::header::AUTHORIZATION);
        keys.push(("s3:signatureversion".to_owned(), if old { "AWS" } else { "AWS4-HMAC-SHA256" }.to_owned()));
        keys.push(("s3:authType".to_owned(), if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" }.to_owned()));
        let signed_at = match kind {
            SignatureKind::Query => query(text, "X-Amz-Date"),
            SignatureKind::Header => header(headers, "x-amz-date").map(str::to_owned),
            SignatureKind::None | SignatureKind::Version2 => None,
        };
        keys.extend(signed_at.and_then(|time| signature_age(&time, now_ms)));
    }
    let until = header(headers, "x-amz-object-lock-retain-until-date").and_then(wire::Timestamp::parse_iso);
    keys.extend(until.map(|until| (REMAINING_DAYS.to_owned(), remaining_days(until.as_millis(), now_ms))));
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

pub(crate) fn tag_keys(keys: &mut Vec<(String, String)>, tags: &[(String, String)]) {
    for (name, value) in tags {
        keys.push((format!("s3:RequestObjectTag/{name}"), value.clone()));
        keys.push(("s3:RequestObjectTagKeys".to_owned(), name.clone()));
    }
}
