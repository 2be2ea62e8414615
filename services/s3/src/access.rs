//! Who may do what: the caller's own policies, the bucket's policy, ACLs and the public access block together. Sources: IAM User
//! Guide, "Policy evaluation logic"; S3 User Guide, "How Amazon S3 authorizes a request", "Blocking public access".

use service::identity::Judgement;
use service::policy::{Asked, Caller, Verdict, evaluate_for};
use service::{Cx, Principal};
use wire::Error;

use crate::S3;
use crate::acl::{self, Permission};
use crate::errors::{Result, access_denied, no_such_bucket};
use crate::records::ObjectRecord;
use crate::state::Bucket;
use crate::version;

/// One request for permission.
#[derive(Clone, Debug)]
pub(crate) struct Ask<'a> {
    /// `s3:GetObject`, …
    pub(crate) action: &'a str,
    pub(crate) bucket: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) version: Option<&'a str>,
    /// Condition keys that come with the request.
    pub(crate) keys: &'a [(String, String)],
    /// The members of a call in process that tell the others.
    pub(crate) input: Option<&'a serde_json::Value>,
    /// It is about an object that is to be made, which will be the caller's, not about the one that may be there.
    pub(crate) upload: bool,
}

impl Ask<'_> {
    fn object_permission(&self) -> Option<Permission> {
        object_permission(self.action).filter(|_| !self.upload)
    }

    /// Whoever is let write into a bucket owns what is written, so its ACL is for the writer's own policies, unless the bucket's policy
    /// denies it. Sources: API reference, PutObject, "Permissions"; S3 User Guide, "Policy examples for ACLs", whose bucket policies allow
    /// `s3:PutObject` alone.
    fn writers_acl(&self) -> bool {
        self.upload && self.action == "s3:PutObjectAcl"
    }
}

impl S3 {
    /// # Errors
    /// `AccessDenied`, `NoSuchBucket`.
    pub(crate) async fn permit(&self, cx: &Cx, ask: &Ask<'_>) -> Result<()> {
        let bucket = match self.governed(ask.bucket).await {
            Ok(bucket) => bucket,
            Err(error) if error.is("NoSuchBucket") => {
                // Its name may be in a role's policies; whether it exists is no secret.
                if cx.principal().has_policies() {
                    let resource = resource(ask);
                    cx.router().authorize(cx, ask.action, &resource).await.map_err(|e| refused(&e, &resource))?;
                }
                return Err(no_such_bucket(ask.bucket));
            }
            Err(error) => return Err(error),
        };
        let (account, own) = (caller(cx), matches!(cx.principal(), Principal::Root { .. } | Principal::Platform));
        if bucket.policy.is_none() && own && account == bucket.owner() && !foreign(ask, &bucket) {
            return Ok(());
        }
        if matches!(cx.principal(), Principal::Platform) {
            return Ok(());
        }
        self.weigh(cx, account, &bucket, ask).await
    }

    /// Is it the bucket of whom the caller takes it for? Names of buckets are taken again by others.
    ///
    /// # Errors
    /// `AccessDenied`, `InvalidBucketOwnerAWSAccountID`, `NoSuchBucket`.
    pub(crate) async fn owner_is_expected(&self, bucket: &str, expected: Option<&str>) -> Result<()> {
        let Some(expected) = expected else { return Ok(()) };
        let bucket = self.governed(bucket).await?;
        if bucket.owner() == expected {
            return Ok(());
        }
        if expected.len() != 12 || !expected.bytes().all(|b| b.is_ascii_digit()) {
            let message = "The value of the expected bucket owner parameter must be an AWS account ID.";
            return Err(Error::new("InvalidBucketOwnerAWSAccountID", 400, message));
        }
        Err(access_denied("Access Denied"))
    }

    /// Where the requester pays, they say that they know.
    ///
    /// # Errors
    /// `AccessDenied`.
    pub(crate) async fn payer(&self, cx: &Cx, bucket: &str, said: Option<&str>) -> Result<()> {
        let Ok(bucket) = self.governed(bucket).await else { return Ok(()) };
        let account = caller(cx);
        if !bucket.requester_pays || account == bucket.owner() || (said == Some("requester") && !account.is_empty()) {
            return Ok(());
        }
        Err(access_denied("Bucket is requester pays. The request must say that the requester pays."))
    }

    /// May the caller learn which keys there are?
    pub(crate) async fn may_list(&self, cx: &Cx, bucket: &str, keys: &[(String, String)]) -> bool {
        let ask = Ask { action: "s3:ListBucket", bucket, key: None, version: None, keys, input: None, upload: false };
        match self.permit(cx, &ask).await {
            Ok(()) => true,
            Err(error) => error.status() != 403,
        }
    }

    /// Of one whose own policies have been asked: has nobody else a say, as it is its own account's bucket?
    pub(crate) async fn is_own(&self, cx: &Cx, ask: &Ask<'_>) -> bool {
        let found = self.governed(ask.bucket).await;
        found.is_ok_and(|bucket| bucket.policy.is_none() && bucket.owner() == caller(cx) && !foreign(ask, &bucket))
    }

    /// Does the caller own the bucket, and neither policy nor ACL could say anything else?
    pub(crate) async fn unquestioned(&self, cx: &Cx, bucket: &str) -> bool {
        matches!(cx.principal(), Principal::Root { .. })
            && self.governed(bucket).await.is_ok_and(|b| b.policy.is_none() && !b.acls() && b.owner() == caller(cx))
    }

    async fn weigh(&self, cx: &Cx, account: &str, bucket: &Bucket, ask: &Ask<'_>) -> Result<()> {
        let resource = resource(ask);
        let object = self.object_asked_about(bucket, ask).await?;
        let tags = object.iter().flat_map(|o| &o.tags);
        let tags: Vec<(String, &str)> =
            tags.map(|(name, value)| (format!("s3:ExistingObjectTag/{name}"), value.as_str())).collect();
        let mut keys: Vec<(&str, &str)> = ask.keys.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        keys.extend([("aws:ResourceAccount", bucket.owner()), ("s3:ResourceAccount", bucket.owner())]);
        keys.extend(tags.iter().map(|(name, value)| (name.as_str(), *value)));
        let arns = cx.principal().arns(account);
        let request = service::authorization::Request {
            cx,
            action: ask.action,
            resource: &resource,
            keys: &keys,
            input: Some(ask.input.unwrap_or(&serde_json::Value::Null)),
            operation: "",
            passes: "",
        };
        let canonical = self.known.canonical(account);
        let same = account == bucket.owner();
        let by_policy = match &bucket.policy {
            None => Verdict::Silent,
            Some(policy) => {
                let about = service::policy::asked_about(std::slice::from_ref(policy), ask.action);
                let gathered = service::authorization::gather(&request, about).await?;
                let (keys, unknown) = (gathered.keys(), gathered.unknown.as_slice());
                let asked = Asked { action: ask.action, resource: &resource, keys: &keys, unknown };
                let caller = Caller { account, arns: &arns, canonical: &canonical, service: "" };
                evaluate_for(policy, caller, asked)
            }
        };
        if by_policy == Verdict::Denied {
            // The owner's root can always take a policy away that shuts everybody out.
            let rescue = ["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"].contains(&ask.action);
            if !(rescue && same && matches!(cx.principal(), Principal::Root { .. })) {
                return Err(denied(
                    cx,
                    account,
                    ask.action,
                    &resource,
                    "with an explicit deny in a resource-based policy",
                ));
            }
        }
        // A public policy is for the owner's account alone where the bucket is restricted.
        let by_policy = match by_policy {
            Verdict::Allowed | Verdict::Delegated if bucket.public_policy && bucket.access_block.restrict && !same => {
                Verdict::Silent
            }
            other => other,
        };
        let by_acl = bucket.acls() && acl_allows(bucket, object.as_ref(), account, ask);
        let own = match cx.principal() {
            Principal::Anonymous => None,
            Principal::Root { .. } | Principal::Platform => Some(Judgement::Allowed),
            principal @ (Principal::Role { .. } | Principal::User { .. }) => {
                Some(self.router.identity().judge(principal, ask.action, &resource, &request).await?)
            }
        };
        let resource_allows = by_acl || ask.writers_acl() || matches!(by_policy, Verdict::Allowed | Verdict::Delegated);
        match own {
            // In the bucket's own account one side is enough, but what another account has written is that account's.
            Some(Judgement::Allowed) if same && !others_object(bucket, object.as_ref(), ask) => Ok(()),
            Some(Judgement::Silent(_)) if same && by_policy == Verdict::Allowed => Ok(()),
            Some(Judgement::Allowed) | None if resource_allows => Ok(()),
            Some(Judgement::Denied(error) | Judgement::Silent(error)) => Err(refused(&error, &resource)),
            Some(Judgement::Allowed) | None => {
                Err(denied(cx, account, ask.action, &resource, "because no resource-based policy allows the action"))
            }
        }
    }

    /// The object, where a policy asks for its tags or its ACL may count.
    async fn object_asked_about(&self, bucket: &Bucket, ask: &Ask<'_>) -> Result<Option<ObjectRecord>> {
        let Some(key) = ask.key else { return Ok(None) };
        let tags = bucket.policy.as_ref().is_some_and(|p| p.to_string().contains("ExistingObjectTag"));
        if !(tags || (bucket.acls() && ask.object_permission().is_some())) {
            return Ok(None);
        }
        let version = ask.version.map(str::to_owned);
        self.store
            .read(|tx| match &version {
                Some(id) => version::find(tx, bucket.name(), key, id),
                None => version::current(tx, bucket.name(), key),
            })
            .await
    }
}

/// The account that acts; empty where nobody has signed. It is the one that the caller is of, wherever it acts.
pub(crate) fn caller(cx: &Cx) -> &str {
    if matches!(cx.principal(), Principal::Anonymous) {
        return "";
    }
    cx.caller_account()
}

/// Might the object be another account's? Then its ACL has to be asked.
fn foreign(ask: &Ask<'_>, bucket: &Bucket) -> bool {
    bucket.acls() && ask.key.is_some() && ask.object_permission().is_some()
}

/// Owned by another account than the bucket's, with ACLs on.
fn others_object(bucket: &Bucket, object: Option<&ObjectRecord>, ask: &Ask<'_>) -> bool {
    bucket.acls()
        && ask.object_permission().is_some()
        && object.and_then(|o| o.owner.as_ref()).is_some_and(|owner| owner != bucket.owner())
}

fn acl_allows(bucket: &Bucket, object: Option<&ObjectRecord>, account: &str, ask: &Ask<'_>) -> bool {
    let ignore = bucket.access_block.ignore_acls;
    if let Some(permission) = ask.object_permission() {
        let Some(object) = object else {
            // Who may list the bucket learns that there is no such object; the others that they may not.
            return acl::grants(&bucket.grants, account, Permission::Read, ignore) && permission == Permission::Read;
        };
        let owner = object.owner.as_deref().unwrap_or_else(|| bucket.owner());
        let owners = !account.is_empty() && owner == account;
        return match &object.grants {
            // An object's owner can always read and write its ACL.
            _ if owners && permission != Permission::Read => true,
            Some(list) => acl::grants(list, account, permission, ignore),
            None => owners,
        };
    }
    match bucket_permission(ask.action) {
        Some(permission) => acl::grants(&bucket.grants, account, permission, ignore),
        None => false,
    }
}

/// The permission on an object's ACL that stands for an action. Source: "Mapping of ACL permissions and access policy permissions".
fn object_permission(action: &str) -> Option<Permission> {
    Some(match action {
        "s3:GetObject" | "s3:GetObjectVersion" | "s3:GetObjectTorrent" | "s3:GetObjectAttributes" => Permission::Read,
        "s3:GetObjectAcl" | "s3:GetObjectVersionAcl" => Permission::ReadAcp,
        "s3:PutObjectAcl" | "s3:PutObjectVersionAcl" => Permission::WriteAcp,
        _ => return None,
    })
}

/// The same of a bucket's ACL.
fn bucket_permission(action: &str) -> Option<Permission> {
    Some(match action {
        "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads" => Permission::Read,
        "s3:PutObject"
        | "s3:DeleteObject"
        | "s3:DeleteObjectVersion"
        | "s3:AbortMultipartUpload"
        | "s3:ListMultipartUploadParts" => Permission::Write,
        "s3:GetBucketAcl" => Permission::ReadAcp,
        "s3:PutBucketAcl" => Permission::WriteAcp,
        _ => return None,
    })
}

fn resource(ask: &Ask<'_>) -> String {
    match ask.key {
        Some(key) => format!("arn:aws:s3:::{}/{key}", ask.bucket),
        None => format!("arn:aws:s3:::{}", ask.bucket),
    }
}

fn denied(cx: &Cx, account: &str, action: &str, resource: &str, why: &str) -> Error {
    if account.is_empty() {
        return access_denied("Access Denied");
    }
    let arn = cx.principal().arn(account);
    access_denied(format!("User: {arn} is not authorized to perform: {action} on resource: \"{resource}\" {why}"))
}

/// As S3 words it: it has the resource in quotes.
fn refused(error: &Error, resource: &str) -> Error {
    let (plain, quoted) = (format!("on resource: {resource} "), format!("on resource: \"{resource}\" "));
    if error.status() == 403 { access_denied(error.message().replacen(&plain, &quoted, 1)) } else { error.clone() }
}
