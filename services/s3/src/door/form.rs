//! Browser uploads: POST of `multipart/form-data` to a bucket. The form's policy document says what it may hold, and its signature
//! who allows it. Sources: API reference, "POST Object"; "Authenticating Requests in Browser-Based Uploads Using POST", "Creating a POST
//! policy".
//!
//! The file comes last and is written as it comes: no form is in memory whole.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use http::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Method, StatusCode};
use multer::{Constraints, Field, Multipart, SizeLimit};
use ring::hmac;
use s3s::dto::Tagging;
use s3s::post_policy::{PostPolicy, PostPolicyCondition};
use s3s::{HttpRequest, HttpResponse, S3Result};
use service::{Cx, Origin, Principal};
use wire::Error;

use super::audit::Asker;
use super::{Peer, Target, answer, convert};
use crate::S3;
use crate::access::Ask;
use crate::body::Expected;
use crate::checksum::Checksums;
use crate::conditions::Conditions;
use crate::errors::{Result, access_denied, entity_too_large, internal, invalid_argument, method_not_allowed};
use crate::events::Change;
use crate::make::{Grants, Making};
use crate::put::{Attributes, Stored};
use crate::records::Headers;
use crate::sse::CustomerKey;

/// Most bytes of all fields before the file.
const MAX_FIELDS: usize = 64 * 1024;
/// How far a form's date may be off.
const MAX_SKEW_S: i64 = 7 * 86_400;

pub(super) fn is_form(request: &HttpRequest) -> bool {
    let kind = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    request.method() == Method::POST && kind.len() >= 19 && kind[..19].eq_ignore_ascii_case(b"multipart/form-data")
}

impl S3 {
    pub(super) async fn post_form(&self, request: HttpRequest) -> S3Result<HttpResponse> {
        self.posted(request).await.map_err(convert::error)
    }

    async fn posted(&self, request: HttpRequest) -> Result<HttpResponse> {
        let target = Target::of(&request).ok_or_else(method_not_allowed)?;
        let host = request.headers().get(http::header::HOST).and_then(|h| h.to_str().ok()).map(str::to_owned);
        let (told, origin) = (told_by(&request), origin_of(&request));
        let asker = request.extensions().get::<Asker>().cloned().unwrap_or_default();
        let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let boundary = multer::parse_boundary(kind).map_err(|_| malformed())?;
        let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(crate::body::MAX_PUT + (1 << 20)));
        let mut form = Multipart::with_constraints(request.into_body(), boundary, limits);
        let (fields, file) = read_fields(&mut form).await?;
        let mut fields = fields;
        let Some(file) = file else {
            return Err(invalid_argument("POST requires exactly one file upload per request."));
        };
        let name = file.file_name().map(|n| n.rsplit(['/', '\\']).next().unwrap_or(n).to_owned());
        let Some(key) = fields.get("key") else {
            return Err(invalid_argument(
                "Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.",
            ));
        };
        let key = key.replace("${filename}", name.as_deref().unwrap_or_default());
        if key.is_empty() {
            return Err(invalid_argument("User key must have a length greater than 0."));
        }
        fields.insert("key".to_owned(), key.clone());
        let bucket = self.governed(&target.bucket).await?;
        let (cx, policy) = self.form_author(&fields).await?;
        let cx = cx.with_origin(origin);
        drop((asker.0.set(cx.clone()), asker.1.set(key.clone())));
        let range = match &policy {
            Some(policy) => check_policy(policy, &fields, &target.bucket, self.router.now())?,
            None => 0..=u64::MAX,
        };
        let attributes = attributes(&fields)?;
        self.form_allowed(&cx, (&target.bucket, &key), (&fields, &attributes.tags), &told).await?;
        self.payer(&cx, &target.bucket, fields.get("x-amz-request-payer").map(String::as_str)).await?;
        let making = making(&fields)?;
        let attributes = self.make(&cx, &bucket, &making, attributes).await?;
        let expected = Expected {
            md5: fields.get("content-md5").cloned(),
            checksums: checksums(&fields),
            algorithm: fields.get("x-amz-checksum-algorithm").cloned(),
            ..Expected::default()
        };
        let place = (target.bucket.clone(), key.clone());
        let what = (Conditions::default(), expected, making.customer);
        let body = (bounded(file, range), Change::Post);
        let stored = self.put_object(&cx, place, attributes, what, body, crate::checksum::none_trailing).await?;
        answer_of(&fields, host.as_deref(), (&target.bucket, &key), &stored)
    }

    /// Who signed the form, and the policy that was signed.
    async fn form_author(&self, fields: &BTreeMap<String, String>) -> Result<(Cx, Option<PostPolicy>)> {
        let (own, home) = self.known.own();
        let policy = fields.get("policy");
        let new = fields.contains_key("x-amz-signature") || fields.contains_key("x-amz-algorithm");
        let old = fields.contains_key("signature") || fields.contains_key("awsaccesskeyid");
        let Some(encoded) = policy else {
            if new || old {
                return Err(missing("policy"));
            }
            return Ok((Cx::new(Arc::clone(&self.router), Principal::Anonymous, own, home), None));
        };
        let field = |name: &str| fields.get(name).ok_or_else(|| missing(name));
        let (access_key, region) = if new {
            if field("x-amz-algorithm")? != "AWS4-HMAC-SHA256" {
                return Err(invalid_argument("x-amz-algorithm must be AWS4-HMAC-SHA256"));
            }
            let scope: Vec<&str> = field("x-amz-credential")?.split('/').collect();
            let [access_key, _, region, "s3", "aws4_request"] = scope.as_slice() else {
                return Err(invalid_argument(
                    "The credential of the form is malformed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request\".",
                ));
            };
            ((*access_key).to_owned(), (*region).to_owned())
        } else {
            (fields.get("awsaccesskeyid").ok_or_else(|| missing("AWSAccessKeyId"))?.clone(), home.to_owned())
        };
        let found = self.router.identity().credentials(&access_key).await?.ok_or_else(|| {
            Error::new("InvalidAccessKeyId", 403, "The AWS Access Key Id you provided does not exist in our records.")
        })?;
        let signed = if new {
            self.signed_v4(fields, &found.secret_key, encoded)?
        } else {
            use base64::Engine as _;
            let signature = base64::engine::general_purpose::STANDARD.decode(field("signature")?).unwrap_or_default();
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, found.secret_key.as_bytes());
            hmac::verify(&key, encoded.as_bytes(), &signature)
        };
        signed.map_err(|_| {
            Error::new(
                "SignatureDoesNotMatch",
                403,
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            )
        })?;
        found.check_session(fields.get("x-amz-security-token").map(String::as_str), self.router.now()).map_err(
            |e| {
                Error::new(
                    if e.is("ExpiredTokenException") { "ExpiredToken" } else { "InvalidToken" },
                    400,
                    e.message(),
                )
            },
        )?;
        let parsed = PostPolicy::from_base64(encoded)
            .map_err(|e| Error::new("InvalidPolicyDocument", 400, format!("Invalid Policy: {e}")))?;
        let account = if found.account.is_empty() { own } else { &found.account };
        let cx = Cx::platform(&self.router, account, &region).with_credentials(found);
        Ok((cx, Some(parsed)))
    }

    /// Whether a form's version 4 signature is its key's; `Err` where the fields are not such a signature, or too old.
    fn signed_v4(
        &self,
        fields: &BTreeMap<String, String>,
        secret: &str,
        encoded: &str,
    ) -> Result<std::result::Result<(), ring::error::Unspecified>> {
        let field = |name: &str| fields.get(name).ok_or_else(|| missing(name));
        let scope: Vec<&str> = field("x-amz-credential")?.split('/').collect();
        let date = field("x-amz-date")?;
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", date)
            .ok()
            .and_then(|t| t.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .ok_or_else(|| invalid_argument("x-amz-date must be in ISO 8601 basic format"))?;
        let off = self.router.now().as_second() - time.timestamp().as_second();
        if !(-900..=MAX_SKEW_S).contains(&off) || !date.starts_with(scope[1]) {
            return Err(access_denied("Invalid according to Policy: Policy expired."));
        }
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in &scope[1..] {
            key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
        }
        let signature = hex::decode(field("x-amz-signature")?).unwrap_or_default();
        Ok(hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), encoded.as_bytes(), &signature))
    }

    /// A form needs what a PUT with its fields as headers does.
    async fn form_allowed(
        &self,
        cx: &Cx,
        (bucket, key): (&str, &str),
        (fields, tags): (&BTreeMap<String, String>, &[(String, String)]),
        told: &[(String, String)],
    ) -> Result<()> {
        let mut headers = HeaderMap::new();
        let mut keys: Vec<(String, String)> = Vec::new();
        for (name, value) in fields {
            let header = match name.as_str() {
                "acl" => "x-amz-acl",
                "tagging" => "x-amz-tagging",
                name if name.starts_with("x-amz-") && !name.starts_with("x-amz-meta-") => name,
                _ => continue,
            };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(header), HeaderValue::try_from(value.as_str())) {
                headers.insert(name, value);
            }
            if header != "x-amz-tagging" {
                keys.push((super::access::header_key(header), value.clone()));
            }
        }
        super::access::tag_keys(&mut keys, tags);
        keys.push(("s3:authType".to_owned(), "POST".to_owned()));
        if fields.contains_key("policy") {
            let new = fields.contains_key("x-amz-signature");
            let version = if new { "AWS4-HMAC-SHA256" } else { "AWS" };
            keys.push(("s3:signatureversion".to_owned(), version.to_owned()));
            let signed_at = fields.get("x-amz-date").filter(|_| new);
            let now = self.router.now().as_millisecond();
            keys.extend(signed_at.and_then(|time| super::access::signature_age(time, now)));
        }
        keys.extend_from_slice(told);
        for action in super::gate::actions("PutObject", "", &headers) {
            let ask = Ask { action, bucket, key: Some(key), version: None, keys: &keys, input: None, upload: true };
            self.permit(cx, &ask).await?;
        }
        Ok(())
    }
}

/// Where the request came from.
fn origin_of(request: &HttpRequest) -> Origin {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let peer = request.extensions().get::<Peer>();
    let (agent, referer) = (header(http::header::USER_AGENT), header(http::header::REFERER));
    let origin = Origin::new(peer.map(|peer| peer.address), agent, referer);
    Origin { secure: peer.map_or(origin.secure, |peer| peer.secure), ..origin }
}

/// The condition keys that the request itself tells.
fn told_by(request: &HttpRequest) -> Vec<(String, String)> {
    let header = |(name, key): (HeaderName, &str)| {
        let value = request.headers().get(name)?.to_str().ok()?;
        Some((key.to_owned(), value.to_owned()))
    };
    let named = [(http::header::USER_AGENT, "aws:UserAgent"), (http::header::REFERER, "aws:Referer")];
    let mut told: Vec<(String, String)> = named.into_iter().filter_map(header).collect();
    told.extend(request.extensions().get::<Peer>().into_iter().flat_map(|peer| peer.keys()));
    told
}

fn malformed() -> Error {
    Error::new("MalformedPOSTRequest", 400, "The body of your POST request is not well-formed multipart/form-data.")
}

/// The fields up to the file, their names in lower case, and the file.
async fn read_fields(form: &mut Multipart<'static>) -> Result<(BTreeMap<String, String>, Option<Field<'static>>)> {
    let (mut fields, mut size) = (BTreeMap::new(), 0);
    while let Some(mut field) = form.next_field().await.map_err(|_| malformed())? {
        let name = field.name().unwrap_or_default().to_ascii_lowercase();
        if name == "file" {
            return Ok((fields, Some(field)));
        }
        let mut value = Vec::new();
        while let Some(chunk) = field.chunk().await.map_err(|_| malformed())? {
            size += chunk.len();
            if size > MAX_FIELDS {
                return Err(Error::new(
                    "MaxPostPreDataLengthExceeded",
                    400,
                    "Your POST request fields preceding the upload file were too large.",
                ));
            }
            value.extend_from_slice(&chunk);
        }
        fields.insert(name, String::from_utf8(value).map_err(|_| malformed())?);
    }
    Ok((fields, None))
}

/// Fields that no policy has to name.
const FREE: [&str; 6] = ["x-amz-signature", "signature", "awsaccesskeyid", "policy", "file", "submit"];

/// Does the form keep to its policy? How large the file may be.
fn check_policy(
    policy: &PostPolicy,
    fields: &BTreeMap<String, String>,
    bucket: &str,
    now: jiff::Timestamp,
) -> Result<std::ops::RangeInclusive<u64>> {
    let refused = |why: String| access_denied(format!("Invalid according to Policy: {why}"));
    if convert::millis(&policy.expiration).is_none_or(|ms| ms <= now.as_millisecond()) {
        return Err(refused("Policy expired.".to_owned()));
    }
    let value = |field: &str| if field == "bucket" { Some(bucket) } else { fields.get(field).map(String::as_str) };
    let mut range = 0..=u64::MAX;
    let mut named = Vec::new();
    for condition in &policy.conditions {
        match condition {
            PostPolicyCondition::Eq { field, value: wanted } => {
                named.push(field.as_str());
                if value(field) != Some(wanted.as_str()) {
                    return Err(refused(format!("Policy Condition failed: [\"eq\", \"${field}\", \"{wanted}\"]")));
                }
            }
            PostPolicyCondition::StartsWith { field, prefix } => {
                named.push(field.as_str());
                if !value(field).unwrap_or_default().starts_with(prefix.as_str()) {
                    return Err(refused(format!(
                        "Policy Condition failed: [\"starts-with\", \"${field}\", \"{prefix}\"]"
                    )));
                }
            }
            PostPolicyCondition::ContentLengthRange { min, max } => {
                range = (*range.start()).max(*min)..=(*range.end()).min(*max);
            }
        }
    }
    // The bucket is a field that the address brings.
    for name in fields.keys().map(String::as_str).chain(["bucket"]) {
        if !named.contains(&name) && !FREE.contains(&name) && !name.starts_with("x-ignore-") {
            return Err(refused(format!("Extra input fields: {name}")));
        }
    }
    Ok(range)
}

/// A stranger's policy document, held against a form.
pub(crate) fn hold(data: &[u8]) {
    let Some(policy) = str::from_utf8(data).ok().and_then(|text| PostPolicy::from_json(text).ok()) else { return };
    let fields = crate::strangers::fields();
    if check_policy(&policy, &fields, "bucket", jiff::Timestamp::UNIX_EPOCH).is_ok() {
        assert!(!policy.conditions.is_empty(), "a form has a bucket and a key, which its policy names");
    }
}

/// The file, which fails when it is larger or smaller than it may be.
fn bounded(file: Field<'static>, range: std::ops::RangeInclusive<u64>) -> impl Stream<Item = Result<Bytes>> {
    let seen = Arc::new(Mutex::new(0_u64));
    let (counted, (min, max)) = (Arc::clone(&seen), range.into_inner());
    let add = move |n: u64| {
        let mut seen = counted.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *seen += n;
        *seen
    };
    let chunks = file.map(move |chunk| {
        let chunk = chunk.map_err(|e| {
            if e.to_string().contains("size") { entity_too_large(crate::body::MAX_PUT) } else { malformed() }
        })?;
        if add(chunk.len() as u64) > max {
            return Err(entity_too_large(max));
        }
        Ok(chunk)
    });
    let end = futures::stream::once(async move {
        let seen = *seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if seen < min {
            let text = "Your proposed upload is smaller than the minimum allowed size";
            return Err(Error::new("EntityTooSmall", 400, text).with("MinSizeAllowed", min).with("ProposedSize", seen));
        }
        Ok(Bytes::new())
    });
    chunks.chain(end)
}

fn making(fields: &BTreeMap<String, String>) -> Result<Making> {
    let field = |name: &str| fields.get(name).cloned();
    let text = |name: &str| fields.get(name).map(String::as_str);
    let customer = "x-amz-server-side-encryption-customer-";
    let until = text("x-amz-object-lock-retain-until-date");
    Ok(Making {
        canned: field("acl").or_else(|| field("x-amz-acl")),
        grants: Grants {
            full_control: field("x-amz-grant-full-control"),
            read: field("x-amz-grant-read"),
            write: None,
            read_acp: field("x-amz-grant-read-acp"),
            write_acp: field("x-amz-grant-write-acp"),
        },
        lock_mode: field("x-amz-object-lock-mode"),
        lock_until_ms: until.and_then(wire::Timestamp::parse_iso).map(wire::Timestamp::as_millis),
        legal_hold: field("x-amz-object-lock-legal-hold"),
        encryption: field("x-amz-server-side-encryption"),
        kms_key: field("x-amz-server-side-encryption-aws-kms-key-id"),
        kms_context: field("x-amz-server-side-encryption-context"),
        bucket_key: text("x-amz-server-side-encryption-bucket-key-enabled") == Some("true"),
        customer: CustomerKey::parse(
            text(&format!("{customer}algorithm")),
            text(&format!("{customer}key")),
            text(&format!("{customer}key-md5")),
        )?,
    })
}

fn attributes(fields: &BTreeMap<String, String>) -> Result<Attributes> {
    let field = |name: &str| fields.get(name).cloned();
    let expires = field("expires").and_then(|text| {
        let time = s3s::dto::Timestamp::parse(s3s::dto::TimestampFormat::HttpDate, &text).ok()?;
        convert::millis(&time)
    });
    let tags = match fields.get("tagging") {
        None => Vec::new(),
        Some(xml) => {
            let mut reader = s3s::xml::Deserializer::new(xml.as_bytes());
            let parsed: Tagging =
                s3s::xml::Deserialize::deserialize(&mut reader).map_err(|_| crate::errors::malformed_xml())?;
            convert::tags(parsed.tag_set)
        }
    };
    Ok(Attributes {
        headers: Headers {
            content_type: field("content-type"),
            content_encoding: convert::encoding(field("content-encoding")),
            content_language: field("content-language"),
            content_disposition: field("content-disposition"),
            cache_control: field("cache-control"),
            expires_ms: expires,
            website_redirect_location: field("x-amz-website-redirect-location"),
            storage_class: field("x-amz-storage-class").filter(|c| c != "STANDARD"),
        },
        metadata: fields
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone())))
            .collect(),
        tags,
        ..Attributes::default()
    })
}

fn checksums(fields: &BTreeMap<String, String>) -> Checksums {
    let mut sums = Checksums::default();
    for algorithm in ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"] {
        if let Some(value) = fields.get(&format!("x-amz-checksum-{}", algorithm.to_ascii_lowercase())) {
            sums.set(algorithm, value.clone());
        }
    }
    sums
}

fn answer_of(
    fields: &BTreeMap<String, String>,
    host: Option<&str>,
    (bucket, key): (&str, &str),
    stored: &Stored,
) -> Result<HttpResponse> {
    let mut response = HttpResponse::default();
    let header = |text: &str| HeaderValue::from_str(text).map_err(internal);
    let etag = format!("\"{}\"", stored.etag);
    let location = format!("http://{}/{bucket}/{}", host.unwrap_or("localhost"), crate::list::encode(key, true));
    response.headers_mut().insert(ETAG, header(&etag)?);
    response.headers_mut().insert(LOCATION, header(&location)?);
    if let Some(version) = &stored.version {
        response.headers_mut().insert("x-amz-version-id", header(version)?);
    }
    if let Some(algorithm) = stored.sse.as_ref().and_then(crate::sse::Sse::algorithm) {
        response.headers_mut().insert("x-amz-server-side-encryption", header(algorithm)?);
    }
    let redirect = fields.get("success_action_redirect").or_else(|| fields.get("redirect"));
    let redirect = redirect.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
    if let Some(url) = redirect {
        let joint = if url.contains('?') { '&' } else { '?' };
        let encode = |text: &str| crate::list::encode(text, true).replace('/', "%2F");
        let to = format!("{url}{joint}bucket={}&key={}&etag={}", encode(bucket), encode(key), encode(&etag));
        if let Ok(value) = HeaderValue::from_str(&to) {
            response.headers_mut().insert(LOCATION, value);
            *response.status_mut() = StatusCode::SEE_OTHER;
            return Ok(response);
        }
    }
    *response.status_mut() = match fields.get("success_action_status").map(String::as_str) {
        Some("200") => StatusCode::OK,
        Some("201") => {
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<PostResponse><Location>{}</Location><Bucket>{bucket}</Bucket>\
                 <Key>{}</Key><ETag>{}</ETag></PostResponse>",
                answer::escaped(&location),
                answer::escaped(key),
                answer::escaped(&etag)
            );
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
            *response.body_mut() = body.into_bytes().into();
            StatusCode::CREATED
        }
        _ => StatusCode::NO_CONTENT,
    };
    Ok(response)
}

fn missing(name: &str) -> Error {
    invalid_argument(format!(
        "Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use service::identity::{Credentials, Identity};
    use service::{Accounts, Router};
    use store::Store;
    use store::objects::Objects;

    use super::*;

    /// Every role may put objects, and nothing else.
    struct Puts;

    #[async_trait]
    impl Identity for Puts {
        async fn credentials(&self, _: &str) -> Result<Option<Credentials>> {
            Ok(None)
        }
        async fn authorize(&self, _: &Principal, action: &str, _: &str) -> Result<()> {
            if action == "s3:PutObject" { Ok(()) } else { Err(Error::access_denied(action)) }
        }
        async fn role_session(&self, role_arn: &str, _: &str, _: Option<&str>) -> Result<Principal> {
            Ok(Principal::role(role_arn, "s", None))
        }
        async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials> {
            Err(Error::not_implemented("issue"))
        }
        async fn revoke(&self, _: &str) -> Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_form_needs_what_a_put_with_its_fields_does() {
        const OWN: &str = "000000000000";
        let router = Router::new();
        router.set_identity(Arc::new(Puts));
        let (accounts, settings) = (Accounts::default(), crate::Settings::default());
        let s3 = S3::new(router.clone(), Store::memory(), Objects::memory(), (OWN, accounts), settings).unwrap();
        crate::ops::register(&router, &s3);
        let cx = |principal| Cx::new(router.clone(), principal, OWN, "us-east-1");
        let bucket = serde_json::json!({ "Bucket": "bucket" });
        cx(Principal::root(OWN)).call_json("s3", "CreateBucket", bucket).await.unwrap();
        let role = cx(Principal::role("arn:aws:iam::000000000000:role/r", "s", None));
        let statement = |effect: &str, who: &str, condition: serde_json::Value| serde_json::json!({ "Effect": effect, "Principal": { "AWS": who }, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/*", "Condition": condition });
        let set = |cx: &Cx, statements: Vec<serde_json::Value>| {
            let policy = serde_json::json!({ "Version": "2012-10-17", "Statement": statements });
            let (input, cx) = (serde_json::json!({ "Bucket": "bucket", "Policy": policy.to_string() }), cx.clone());
            async move { cx.call_json("s3", "PutBucketPolicy", input).await.unwrap() }
        };
        let may = |fields: &[(&str, &str)]| {
            let fields: BTreeMap<String, String> =
                fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let (s3, role) = (Arc::clone(&s3), role.clone());
            async move { s3.form_allowed(&role, ("bucket", "k"), (&fields, &[]), &[]).await.map_err(|e| e.status()) }
        };
        may(&[("key", "k"), ("x-amz-meta-a", "b"), ("x-amz-storage-class", "STANDARD")]).await.unwrap();
        for field in ["tagging", "acl", "x-amz-grant-read", "x-amz-object-lock-mode", "x-amz-object-lock-legal-hold"] {
            assert_eq!(may(&[("key", "k"), (field, "x")]).await, Err(403), "{field}");
        }
        let owner = cx(Principal::root(OWN));
        let old = serde_json::json!({ "StringEquals": { "s3:signatureversion": "AWS" } });
        set(&owner, vec![statement("Deny", "*", old)]).await;
        may(&[("key", "k"), ("policy", "x"), ("x-amz-signature", "x")]).await.unwrap();
        assert_eq!(may(&[("key", "k"), ("policy", "x"), ("signature", "x")]).await, Err(403));
    }
}
