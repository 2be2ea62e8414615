//! Keys for S3 that come with a table, where the client asks for them (`X-Iceberg-Access-Delegation`). They are the caller's own,
//! for an hour: a role's are bounded to the table's folder, a user's to S3.

use serde_json::{Value, json};
use service::identity::Credentials;
use service::{Cx, Principal, SessionContext};
use wire::Error;

use super::super::files;
use super::Call;

const VALID: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);
/// AWS's managed policy that bounds a user's keys.
const S3_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3FullAccess";

impl Call<'_> {
    /// What a client needs to know to read and write a table's files.
    pub(super) async fn access(&self, location: &str) -> Result<(Value, Value), Error> {
        let wanted = self.header("x-iceberg-access-delegation").unwrap_or_default();
        let wanted = wanted.split(',').any(|way| way.trim().eq_ignore_ascii_case("vended-credentials"));
        let Some(keys) = (if wanted { self.keys(location).await? } else { None }) else {
            return Ok((self.way(), json!([])));
        };
        let secret = self.with_keys(keys);
        Ok((secret.clone(), json!([{ "prefix": location, "config": secret }])))
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.request.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Where S3 is: where this request came.
    fn way(&self) -> Value {
        let mut config =
            json!({ "s3.path-style-access": "true", "client.region": self.cx.region(), "s3.region": self.cx.region() });
        if let Some(host) = self.header("host") {
            // A proxy that ends TLS says so.
            let scheme = self.header("x-forwarded-proto").filter(|scheme| ["http", "https"].contains(scheme));
            config["s3.endpoint"] = format!("{}://{host}", scheme.unwrap_or("http")).into();
        }
        config
    }

    pub(super) fn with_keys(&self, keys: Credentials) -> Value {
        let mut config = self.way();
        config["s3.access-key-id"] = keys.access_key.into();
        config["s3.secret-access-key"] = keys.secret_key.into();
        config["s3.session-token"] = keys.session_token.unwrap_or_default().into();
        if let Some(expires) = keys.expires {
            config["s3.session-token-expires-at-ms"] = expires.as_millisecond().to_string().into();
        }
        config
    }

    /// None for a session that has bounds already, to which nothing can be added here, and for the owner, whose keys have none.
    pub(super) async fn keys(&self, location: &str) -> Result<Option<Credentials>, Error> {
        let Some(principal) = narrowed(self.cx, location) else { return Ok(None) };
        let identity = self.cx.router().identity();
        let keys = match self.cx.attempt() {
            Some(attempt) => identity.lend_attempt(&principal, attempt, VALID).await?,
            None => identity.issue_unlogged(&principal, VALID).await?,
        };
        Ok(Some(keys))
    }
}

fn narrowed(cx: &Cx, location: &str) -> Option<Principal> {
    let issued_ms = Some(cx.now().as_millisecond());
    match cx.principal() {
        // Nothing bounds the owner's: those would be good for all that there is.
        Principal::Root { .. } | Principal::Platform | Principal::Anonymous => None,
        Principal::User { user_arn, attempt, context, .. } => {
            if context.as_ref().is_some_and(|context| !context.policy_arns.is_empty() || context.federated.is_some()) {
                return None;
            }
            let policy_arns = vec![S3_ONLY.to_owned()];
            let context = SessionContext { policy_arns, issued_ms, ..context.as_deref().cloned().unwrap_or_default() };
            let (user_arn, attempt) = (user_arn.clone(), attempt.clone());
            Some(Principal::User { user_arn, attempt, access_key: None, context: Some(Box::new(context)) })
        }
        Principal::Role { role_arn, session, policy, attempt, context, .. } => {
            if policy.is_some() || !context.policy_arns.is_empty() {
                return None;
            }
            Some(Principal::Role {
                role_arn: role_arn.clone(),
                session: session.clone(),
                policy: Some(bounds(location)?),
                attempt: attempt.clone(),
                access_key: None,
                context: context.clone(),
            })
        }
    }
}

/// A session policy that leaves a table's folder.
fn bounds(location: &str) -> Option<String> {
    let (bucket, key) = files::place(location)?;
    let folder = key.trim_end_matches('/');
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Resource": format!("arn:aws:s3:::{bucket}/{folder}/*"), "Action": [
            "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"] },
        { "Effect": "Allow", "Resource": format!("arn:aws:s3:::{bucket}"), "Action": "s3:ListBucket",
          "Condition": { "StringLike": { "s3:prefix": [folder, format!("{folder}/*")] } } },
        { "Effect": "Allow", "Resource": format!("arn:aws:s3:::{bucket}"), "Action": "s3:GetBucketLocation" },
        { "Effect": "Allow", "Resource": "*", "Action": ["kms:Decrypt", "kms:GenerateDataKey"] },
    ] });
    Some(policy.to_string())
}
