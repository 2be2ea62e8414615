//! The condition keys of a request: those of every request, and those that the service's table tells out of the input. A value is
//! looked for only where a policy asks for it. Sources: IAM User Guide, "AWS global condition context keys"; Service Authorization
//! Reference, condition keys of each service.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};
use wire::Error;

use super::keys::KEYS;
use super::names::FunctionName;
use crate::policy::same_key;
use crate::{Cx, Principal};

/// Where a condition key's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What every request has, or what the caller passes in.
    Given,
    /// It never has one here.
    Absent,
    /// A member of the input.
    Member(&'static str),
    /// Told by code of this name.
    Told(&'static str),
}

/// Values of condition keys.
#[async_trait]
pub trait Context: Send + Sync {
    /// The values that a key has: none where it has none, `None` where it is not known here.
    async fn values(&self, key: &str) -> Result<Option<Vec<String>>, Error>;
}

/// A context in which no key is known.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

#[async_trait]
impl Context for Nothing {
    async fn values(&self, _: &str) -> Result<Option<Vec<String>>, Error> {
        Ok(None)
    }
}

/// Keys with their values, and those that are not known.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    values: Vec<(String, String)>,
    pub unknown: Vec<String>,
}

impl Gathered {
    pub fn keys(&self) -> Vec<(&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

/// The values of the keys that policies ask about.
///
/// # Errors
/// When a service that has to be asked fails.
pub async fn gather(context: &(impl Context + ?Sized), asked: BTreeSet<String>) -> Result<Gathered, Error> {
    let mut gathered = Gathered::default();
    for key in asked {
        match context.values(&key).await? {
            Some(values) => gathered.values.extend(values.into_iter().map(|value| (key.clone(), value))),
            None => gathered.unknown.push(key),
        }
    }
    Ok(gathered)
}

/// Whether a condition key exists here at all.
pub fn known(key: &str) -> bool {
    source(key).is_some()
}

/// A key's row, by its whole name or by a row that ends in `*`.
fn source(key: &str) -> Option<(Source, &str)> {
    let lower = key.to_ascii_lowercase();
    if let Ok(at) = KEYS.binary_search_by(|(name, _)| (*name).cmp(lower.as_str())) {
        return Some((KEYS[at].1, ""));
    }
    let of_prefix = KEYS.iter().filter_map(|(name, source)| {
        let prefix = name.strip_suffix('*')?;
        lower.strip_prefix(prefix).filter(|rest| !rest.is_empty())?;
        Some((*source, &key[prefix.len()..]))
    });
    // The longest: what is said of all keys of a service holds for those of which nothing else is.
    of_prefix.min_by_key(|(_, rest)| rest.len())
}

/// A request for permission, with what its condition keys come from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub cx: &'a Cx,
    pub action: &'a str,
    pub resource: &'a str,
    /// Values that are known already; they come before all others.
    pub keys: &'a [(&'a str, &'a str)],
    /// The operation's input, in its canonical form. Without it no key that it would tell is known.
    pub input: Option<&'a Value>,
    pub operation: &'a str,
    /// The service that a role is passed to.
    pub passes: &'a str,
}

#[async_trait]
impl Context for Request<'_> {
    async fn values(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let given: Vec<String> =
            self.keys.iter().filter(|(name, _)| same_key(name, key)).map(|(_, value)| (*value).to_owned()).collect();
        if !given.is_empty() {
            return Ok(Some(given));
        }
        let Some((source, rest)) = source(key) else { return Ok(None) };
        Ok(match source {
            Source::Given => self.general(&key.to_ascii_lowercase(), rest).await?,
            Source::Absent => Some(Vec::new()),
            Source::Member(path) => {
                let (path, default) =
                    path.split_once(':').map_or((path, None), |(path, default)| (path, Some(default)));
                // Of the two contexts of ReEncrypt the one that its action is about; of a grant the one that its constraints ask for.
                let paths = match (self.action, path.strip_prefix("EncryptionContext")) {
                    ("kms:ReEncryptFrom", Some(rest)) => vec![format!("SourceEncryptionContext{rest}")],
                    ("kms:ReEncryptTo", Some(rest)) => vec![format!("DestinationEncryptionContext{rest}")],
                    ("kms:CreateGrant", Some(rest)) => {
                        ["Equals", "Subset"].map(|kind| format!("Constraints.EncryptionContext{kind}{rest}")).into()
                    }
                    _ => vec![path.to_owned()],
                };
                self.input.map(|input| {
                    let mut found = Vec::new();
                    for path in paths {
                        let path = if rest.is_empty() { path } else { format!("{path}.{rest}") };
                        texts(input, &path, &mut found);
                    }
                    if found.is_empty() {
                        found.extend(default.map(str::to_owned));
                    }
                    found
                })
            }
            Source::Told(how) => self.told(how, rest).await?,
        })
    }
}

impl Request<'_> {
    /// Whether the resource is another account's than the caller's. What no account owns, such as AWS's own policies, is nobody else's.
    pub(super) fn is_foreign(&self) -> bool {
        self.owner().is_some_and(|account| account != self.cx.caller_account())
    }

    /// The account that has the resource.
    pub(super) fn owner(&self) -> Option<&str> {
        self.resource.split(':').nth(4).filter(|account| wire::arn::is_account_id(account))
    }

    /// The keys that every request has.
    async fn general(&self, key: &str, rest: &str) -> Result<Option<Vec<String>>, Error> {
        let cx = self.cx;
        let principal = cx.principal();
        let one = |text: &str| vec![text.to_owned()];
        let some = |text: Option<&str>| text.map(str::to_owned).into_iter().collect::<Vec<_>>();
        if key.starts_with("aws:resourcetag/") {
            return self.resource_tag(rest).await;
        }
        Ok(Some(match key {
            "aws:currenttime" => one(&cx.now().to_string()),
            "aws:epochtime" => one(&cx.now().as_second().to_string()),
            "aws:requestedregion" => one(if self.global() { "us-east-1" } else { cx.region() }),
            "aws:securetransport" => one(if cx.origin().is_none_or(|o| o.secure) { "true" } else { "false" }),
            "aws:sourceip" => cx.origin().and_then(|o| o.address).map(|ip| ip.to_string()).into_iter().collect(),
            "aws:useragent" => some(cx.origin().and_then(|o| o.user_agent.as_deref())),
            "aws:referer" => some(cx.origin().and_then(|o| o.referer.as_deref())),
            "aws:calledvia" | "aws:calledviafirst" | "aws:calledvialast" => some(cx.called_via()),
            "aws:viaawsservice" => one(if cx.called_via().is_some() { "true" } else { "false" }),
            "aws:sourcearn" => some(cx.service().map(|service| service.source_arn.as_str())),
            "aws:sourceaccount" => some(cx.service().map(|service| service.source_account.as_str())),
            "aws:principalisawsservice" => one(if cx.service().is_some() { "true" } else { "false" }),
            "aws:principalservicename" | "aws:principalservicenameslist" => {
                some(cx.service().map(|service| service.name.as_str()))
            }
            "aws:principalaccount" | "aws:principalarn" | "aws:principaltype" | "aws:userid"
                if cx.service().is_some() =>
            {
                Vec::new()
            }
            // `aws:SourceOwner`, the account that asks, is SNS's own. Source: SNS Developer Guide, "Example cases for Amazon SNS access
            // control".
            "aws:sourceowner" | "aws:principalaccount" => one(cx.caller_account()),
            "aws:principalarn" => one(&principal.principal_arn(cx.caller_account())),
            "aws:principaltype" => one(match principal {
                Principal::Role { .. } => "AssumedRole",
                Principal::User { .. } if principal.federated().is_some() => "FederatedUser",
                Principal::User { .. } => "User",
                Principal::Anonymous => "Anonymous",
                Principal::Root { .. } | Principal::Platform => "Account",
            }),
            "aws:username" if principal.federated().is_some() => Vec::new(),
            "aws:username" => match principal {
                Principal::User { user_arn, .. } => some(user_arn.rsplit('/').next()),
                _ => Vec::new(),
            },
            "aws:userid" => cx.router().identity().user_id(principal).await?.into_iter().collect(),
            "aws:multifactorauthpresent" | "aws:tokenissuetime" if principal.session().is_none() => Vec::new(),
            "aws:multifactorauthpresent" => one("false"),
            "aws:tokenissuetime" => principal
                .session()
                .and_then(|s| s.issued_ms)
                .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
                .map(|time| time.to_string())
                .into_iter()
                .collect(),
            "aws:sourceidentity" | "sts:sourceidentity" => {
                some(principal.session().and_then(|s| s.source_identity.as_deref()))
            }
            "aws:resourceaccount" => {
                let account = self.resource.split(':').nth(4).filter(|account| !account.is_empty());
                one(account.unwrap_or_else(|| cx.account()))
            }
            "aws:tagkeys" => self.request_tags().into_iter().map(|(key, _)| key).collect(),
            _ if key.starts_with("aws:requesttag/") => named(self.request_tags(), rest),
            _ if key.starts_with("aws:principaltag/") => {
                cx.router().identity().principal_tag(principal, rest).await?.into_iter().collect()
            }
            _ => Vec::new(),
        }))
    }

    /// IAM and STS's global endpoint are in us-east-1, whatever the request was signed for.
    fn global(&self) -> bool {
        ["iam:"].iter().any(|prefix| self.action.starts_with(prefix))
    }

    /// The tags that a request sets, or the keys of those that it takes away.
    fn request_tags(&self) -> Vec<(String, String)> {
        const MEMBERS: [&str; 8] =
            ["Tags", "tags", "TagsToAdd", "TagList", "TagsList", "TagKeys", "tagKeys", "TagsToRemove"];
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut found = Vec::new();
        for member in MEMBERS {
            match self.input.and_then(|input| input.get(member)) {
                Some(Value::Object(map)) => {
                    found.extend(map.iter().map(|(k, v)| (k.clone(), text(v).unwrap_or_default())));
                }
                Some(Value::Array(list)) => found.extend(list.iter().filter_map(|tag| {
                    let part = |names: [&str; 3]| names.iter().find_map(|name| tag.get(name)).and_then(text);
                    let key = text(tag).or_else(|| part(["Key", "key", "TagKey"]))?;
                    Some((key, part(["Value", "value", "TagValue"]).unwrap_or_default()))
                })),
                _ => {}
            }
        }
        found
    }

    async fn resource_tag(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let tags = super::lookup::tags(self.cx, self.resource).await?;
        Ok(tags.map(|tags| named(tags, name)))
    }

    /// The keys that no member tells as it stands.
    async fn told(&self, how: &str, rest: &str) -> Result<Option<Vec<String>>, Error> {
        let cx = self.cx;
        let one = |text: &str| Some(vec![text.to_owned()]);
        match how {
            "account" => return Ok(one(cx.caller_account())),
            "passed" => {
                return Ok((!self.passes.is_empty()).then(|| vec![self.passes.to_owned()]).or(Some(Vec::new())));
            }
            "resource-tags" => return self.resource_tag(rest).await,
            // The service that uses the key for somebody says so in the region's form.
            "via" => {
                let name = cx.called_via().and_then(|via| via.split('.').next());
                return Ok(Some(
                    name.map(|name| format!("{name}.{}.amazonaws.com", cx.region())).into_iter().collect(),
                ));
            }
            "grant-for-aws" => return Ok(one(if cx.called_via().is_some() { "true" } else { "false" })),
            "resource-aliases" => return Ok(Some(self.aliases().await?)),
            "boundary" => return Ok(Some(self.boundary().await?)),
            "existing-object-tags" => return Ok(Some(self.object_tags(rest).await?)),
            _ => {}
        }
        let Some(input) = self.input else { return Ok(None) };
        let text = |path: &str| {
            let mut found = Vec::new();
            texts(input, path, &mut found);
            found
        };
        Ok(Some(match how {
            "operation" => match self.operation {
                name if name.starts_with("Transact") || name.starts_with("Batch") => vec![name.to_owned()],
                _ => Vec::new(),
            },
            "leading-keys" => return super::leading::keys(cx, self.operation, input, self.resource).await,
            "attributes" => super::leading::attributes(self.operation, input, self.resource),
            "request-object-tags" => {
                let tags = object_tags(input.get("Tagging").unwrap_or(&Value::Null)).into_iter();
                match rest {
                    "" => tags.map(|(key, _)| key).collect(),
                    rest => tags.filter(|(key, _)| key == rest).map(|(_, value)| value).collect(),
                }
            }
            "associated" => text("FunctionArn"),
            "event-source" | "event-detail-type" => self.event(input, how),
            "pattern-event-type-code" => pattern(input, &["detail", "eventTypeCode"]),
            "pattern-service" => pattern(input, &["detail", "service"]),
            "pattern-principal-id" => pattern(input, &["detail", "userIdentity", "principalId"]),
            "function-of-mapping" => self.function_of_mapping(input).await?,
            "resource-of-secret" => vec![self.resource.to_owned()],
            "version-stage" => {
                let stages = text("VersionStage");
                match self.operation {
                    "GetSecretValue" if stages.is_empty() => vec!["AWSCURRENT".to_owned()],
                    _ if stages.is_empty() => text("VersionStages[]"),
                    _ => stages,
                }
            }
            "qualifier" => text("stateMachineArn")
                .into_iter()
                .chain(text("stateMachineAliasArn"))
                .filter_map(|arn| arn.splitn(8, ':').nth(7).map(str::to_owned))
                .collect(),
            "request-alias" => {
                text("KeyId").into_iter().filter_map(|id| id.find("alias/").map(|at| id[at..].to_owned())).collect()
            }
            _ => return Ok(None),
        }))
    }

    /// `events:source` and `events:detail-type`: of the entries that go to this bus, or of the rule's pattern.
    fn event(&self, input: &Value, how: &str) -> Vec<String> {
        let (member, field) = if how == "event-source" { ("Source", "source") } else { ("DetailType", "detail-type") };
        if self.operation != "PutEvents" {
            return pattern(input, &[field]);
        }
        let mut found = Vec::new();
        texts(input, &format!("Entries[].{member}"), &mut found);
        found
    }

    /// The function of an event source mapping: the one named, else the mapping's.
    async fn function_of_mapping(&self, input: &Value) -> Result<Vec<String>, Error> {
        let cx = self.cx;
        let name = input.get("FunctionName").and_then(Value::as_str);
        let name = match (name, input.get("UUID").and_then(Value::as_str)) {
            (Some(name), _) => name.to_owned(),
            (None, Some(uuid)) => {
                let found = super::lookup::ask(cx, "lambda", "getEventSourceMapping", json!({ "UUID": uuid })).await;
                match found {
                    Ok(found) => found["FunctionArn"].as_str().unwrap_or_default().to_owned(),
                    Err(_) => return Ok(Vec::new()),
                }
            }
            (None, None) => return Ok(Vec::new()),
        };
        let FunctionName { name, qualifier, .. } = FunctionName::parse(&name);
        let qualifier = qualifier.map(|qualifier| format!(":{qualifier}")).unwrap_or_default();
        Ok(vec![cx.arn("lambda", format!("function:{name}{qualifier}"))])
    }

    /// A tag of the object that the request is about, in its version.
    async fn object_tags(&self, name: &str) -> Result<Vec<String>, Error> {
        let path = self.resource.strip_prefix("arn:aws:s3:::").unwrap_or_default();
        let Some((bucket, key)) = path.split_once('/') else { return Ok(Vec::new()) };
        let version = self.keys.iter().find(|(name, _)| name.eq_ignore_ascii_case("s3:VersionId"));
        let version = version.map(|(_, id)| *id);
        let version = version.or_else(|| self.input?.get("VersionId")?.as_str());
        let asked = json!({ "Bucket": bucket, "Key": key, "VersionId": version });
        let found = match super::lookup::ask(self.cx, "s3", "getObjectTagging", asked).await {
            Ok(found) => found,
            Err(error) if error.status() < 500 || error.is("NotImplemented") => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let tags = object_tags(&found).into_iter();
        Ok(tags.filter(|(key, _)| key == name).map(|(_, value)| value).collect())
    }

    async fn aliases(&self) -> Result<Vec<String>, Error> {
        let asked = json!({ "KeyId": self.resource });
        let found = super::lookup::ask(self.cx, "kms", "listAliases", asked).await.unwrap_or_default();
        let mut names = Vec::new();
        texts(&found, "Aliases[].AliasName", &mut names);
        Ok(names)
    }

    /// `iam:PermissionsBoundary`: the one that the request sets, else the one that the user or role has.
    async fn boundary(&self) -> Result<Vec<String>, Error> {
        let set = self.input.and_then(|input| input.get("PermissionsBoundary")).and_then(Value::as_str);
        if let Some(set) = set {
            return Ok(vec![set.to_owned()]);
        }
        let name = self.resource.rsplit('/').next().unwrap_or_default();
        let (operation, member, path) = match self.resource.split(':').nth(5).unwrap_or_default() {
            kind if kind.starts_with("role/") => {
                ("getRole", "RoleName", "Role.PermissionsBoundary.PermissionsBoundaryArn")
            }
            kind if kind.starts_with("user/") => {
                ("getUser", "UserName", "User.PermissionsBoundary.PermissionsBoundaryArn")
            }
            _ => return Ok(Vec::new()),
        };
        let found = super::lookup::ask(self.cx, "iam", operation, json!({ member: name })).await.unwrap_or_default();
        Ok(at(&found, path).and_then(Value::as_str).map(str::to_owned).into_iter().collect())
    }
}

/// The values of the tags of a name, of which case says nothing. Source: IAM User Guide, "IAM JSON policy elements: Condition": "the
/// condition matches a resource tag key named either `TagKey1` or `tagkey1`".
fn named(tags: Vec<(String, String)>, name: &str) -> Vec<String> {
    tags.into_iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

/// Tags of an object as a set, or as they stand in a query: `a=1&b=2`.
fn object_tags(tagging: &Value) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    match tagging {
        Value::String(text) => text
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(key, value)| (decoded(key), decoded(value)))
            .collect(),
        set => {
            let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
            let tags = set["TagSet"].as_array().into_iter().flatten();
            tags.map(|tag| (text(tag, "Key"), text(tag, "Value"))).collect()
        }
    }
}

/// The plain values that a rule's event pattern names at a path.
fn pattern(input: &Value, path: &[&str]) -> Vec<String> {
    let text = input.get("EventPattern").and_then(Value::as_str).unwrap_or_default();
    let parsed: Value = serde_json::from_str(text).unwrap_or_default();
    let found = path.iter().fold(&parsed, |value, name| &value[*name]);
    found.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The value at a path of members.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// The texts at a path, whose members may be lists (`A[]`) or stand for a map's keys (`A@keys`).
pub(super) fn texts(value: &Value, path: &str, found: &mut Vec<String>) {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let next = |value: &Value, found: &mut Vec<String>| match value {
        _ if !rest.is_empty() => texts(value, rest, found),
        Value::String(text) => found.push(text.clone()),
        Value::Bool(_) | Value::Number(_) => found.push(value.to_string()),
        _ => {}
    };
    if let Some(list) = first.strip_suffix("[]") {
        value.get(list).and_then(Value::as_array).into_iter().flatten().for_each(|item| next(item, found));
    } else if let Some(map) = first.strip_suffix("@keys") {
        let map = value.get(map).and_then(Value::as_object).into_iter().flatten();
        found.extend(map.filter(|(_, value)| !value.is_null()).map(|(key, _)| key.clone()));
    } else if let Some(inner) = value.get(first) {
        next(inner, found);
    } else if let Some(whole) = value.get(path) {
        // A map's key may have dots in it.
        next_text(whole, found);
    }
}

fn next_text(value: &Value, found: &mut Vec<String>) {
    if let Value::String(text) = value {
        found.push(text.clone());
    }
}
