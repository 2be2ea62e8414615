//! Keys: create, describe, list, enable, disable, delete; their descriptions, policies and tags.

use api_kms::error::{
    kms_invalid_state_exception, malformed_policy_document_exception, not_found_exception, tag_exception,
    unsupported_operation_exception,
};
use api_kms::{
    CancelKeyDeletion, CancelKeyDeletionRequest, CancelKeyDeletionResponse, CreateKey, CreateKeyRequest,
    CreateKeyResponse, DescribeKey, DescribeKeyRequest, DescribeKeyResponse, DisableKey, DisableKeyRequest, EnableKey,
    EnableKeyRequest, GetKeyPolicy, GetKeyPolicyRequest, GetKeyPolicyResponse, KeyListEntry, KeyMetadata,
    ListKeyPolicies, ListKeyPoliciesRequest, ListKeyPoliciesResponse, ListKeys, ListKeysRequest, ListKeysResponse,
    ListResourceTags, ListResourceTagsRequest, ListResourceTagsResponse, PutKeyPolicy, PutKeyPolicyRequest,
    ScheduleKeyDeletion, ScheduleKeyDeletionRequest, ScheduleKeyDeletionResponse, Tag, TagResource, TagResourceRequest,
    UntagResource, UntagResourceRequest, UpdateKeyDescription, UpdateKeyDescriptionRequest,
};
use async_trait::async_trait;
use serde_json::Value;
use service::policy::{Asked, Caller, Verdict, evaluate_for, parse_resource_policy};
use service::{Cx, Handle};
use store::NewTask;
use wire::types::Empty;
use wire::{Error, Timestamp};

use super::page::page;
use super::pairs::generate;
use crate::asymmetric::PairSpec;
use crate::guard::{default_policy, managed_policy};
use crate::records::{AliasRecord, KeyLocation, KeyRecord, Material, alias_key, find, key_prefix, place};
use crate::{DELETE, Kms};

/// Services that have keys of their own, made when they are first named.
pub(super) const MANAGED: [&str; 11] =
    ["athena", "dynamodb", "events", "glue", "lambda", "s3", "sagemaker", "secretsmanager", "sns", "sqs", "ssm"];
/// Days until a key is gone, where the caller does not say.
const DELETION_DAYS: i32 = 30;
const MAX_POLICY: usize = 32 * 1024;
const MAX_TAGS: usize = 50;
const MAX_TAG_VALUE: usize = 256;

impl Kms {
    /// What a new key is, with its first material.
    fn new_key(
        &self,
        cx: &Cx,
        (spec, usage): (&str, &str),
        manager: &str,
        description: Option<String>,
    ) -> Result<(KeyLocation, KeyRecord), Error> {
        let place = KeyLocation { account: cx.account().to_owned(), region: cx.region().to_owned(), id: cx.uuid() };
        let now = Timestamp::from(cx.now());
        let material = self.new_material(cx, &place, None)?;
        let hmac = spec.strip_prefix("HMAC_");
        let pair = PairSpec::of(spec);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<String>>();
        let encryption = match pair {
            Some(pair) => names(pair.encryption()),
            None => vec!["SYMMETRIC_DEFAULT".to_owned()],
        };
        let metadata = KeyMetadata {
            aws_account_id: Some(place.account.clone()),
            key_id: place.id.clone(),
            arn: Some(place.arn()),
            creation_date: Some(now),
            enabled: Some(true),
            description: Some(description.unwrap_or_default()),
            key_usage: Some(usage.to_owned()),
            key_state: Some("Enabled".to_owned()),
            origin: Some("AWS_KMS".to_owned()),
            key_manager: Some(manager.to_owned()),
            customer_master_key_spec: Some(spec.to_owned()),
            key_spec: Some(spec.to_owned()),
            encryption_algorithms: (usage == "ENCRYPT_DECRYPT").then_some(encryption),
            signing_algorithms: pair.filter(|_| usage == "SIGN_VERIFY").map(|pair| names(pair.signing())),
            mac_algorithms: hmac.map(|bits| vec![format!("HMAC_SHA_{bits}")]),
            multi_region: Some(false),
            current_key_material_id: pair.is_none().then(|| material.id.clone()),
            ..KeyMetadata::default()
        };
        let record = KeyRecord {
            metadata,
            policy: default_policy(&place.account),
            tags: Vec::new(),
            materials: vec![material],
            rotation_days: None,
            next_rotation_ms: None,
            grants: std::collections::BTreeMap::new(),
        };
        Ok((place, record))
    }

    pub(super) fn new_material(&self, cx: &Cx, place: &KeyLocation, by: Option<&str>) -> Result<Material, Error> {
        let id = crate::crypt::random_id()?;
        let sealed = self.root.new_material(&place.arn())?;
        Ok(Material { id, sealed, since: cx.now().into(), by: by.map(str::to_owned) })
    }

    /// The key that a request names; AWS's own key of a service is made when it is first named.
    pub(super) async fn named(&self, cx: &Cx, id: &str) -> Result<(KeyLocation, KeyRecord), Error> {
        let service = managed_service(cx, id);
        let found = self.store.read(|tx| find(tx, cx, id)).await;
        let service = match (found, service) {
            (Err(error), Some(service)) if error.is("NotFoundException") => service,
            (found, _) => return found,
        };
        let what = Some(format!("Default key that protects my {service} data when no other key is defined"));
        let (place, mut record) = self.new_key(cx, ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), "AWS", what)?;
        record.policy = managed_policy(&place.account, &place.region, service);
        let now = Timestamp::from(cx.now());
        let alias =
            AliasRecord { name: format!("alias/aws/{service}"), target: place.id.clone(), created: now, updated: now };
        let (cx, id) = (cx.clone(), id.to_owned());
        self.store
            .write(move |tx| {
                // Another call may have made it meanwhile.
                if let Ok(found) = find(tx, &cx, &id) {
                    return Ok(found);
                }
                tx.put_json(alias_key((&place.account, &place.region), &alias.name), &alias)?;
                tx.put_json(place.key(), &record)?;
                Ok::<_, Error>((place.clone(), record.clone()))
            })
            .await
    }

    /// Loads, changes and stores a key that somebody has made.
    pub(super) async fn change(
        &self,
        cx: &Cx,
        id: String,
        mut change: impl FnMut(&mut KeyRecord) -> Result<(), Error> + Send + 'static,
    ) -> Result<KeyRecord, Error> {
        let own = cx.clone();
        cx.write(&self.store, move |tx| {
            if id.contains("alias/") {
                let name = id.split_once("alias/").map_or("", |(_, name)| name);
                return Err(api_kms::error::invalid_arn_exception(format!("Invalid keyId alias/{name}")));
            }
            let (place, mut record) = find(tx, &own, &id)?;
            if record.is_managed() {
                let message = format!("You cannot perform this operation on an AWS managed key: {}", record.arn());
                return Err(unsupported_operation_exception(message));
            }
            change(&mut record)?;
            tx.put_json(place.key(), &record)?;
            Ok(record)
        })
        .await
    }
}

/// The service whose own key a request names: by the alias or its ARN here, and by nothing else that has one in it.
fn managed_service<'a>(cx: &Cx, id: &'a str) -> Option<&'a str> {
    let alias = id.strip_prefix(&cx.arn("kms", "")).unwrap_or(id);
    alias.strip_prefix("alias/aws/").filter(|service| MANAGED.contains(service))
}

/// Checks a key's policy: its form, and that whoever puts it can put another.
fn check_policy(cx: &Cx, text: &str, arn: &str, bypass: bool) -> Result<(), Error> {
    let malformed = |text: &str| malformed_policy_document_exception(text);
    let policy: Value = serde_json::from_str(text).map_err(|_| malformed("The policy is not valid JSON."))?;
    if text.len() > MAX_POLICY {
        return Err(malformed(
            "Policy contains a statement with one or more invalid principals, actions or resources.",
        ));
    }
    parse_resource_policy(text).map_err(|reason| malformed(&format!("The policy is not valid: {reason}.")))?;
    let account = cx.principal().account().unwrap_or_else(|| cx.account());
    let mut arns = cx.principal().arns(account);
    arns.push(format!("arn:aws:iam::{account}:root"));
    let caller = Caller { account, arns: &arns, canonical: "", service: "" };
    let asked = Asked { action: "kms:PutKeyPolicy", resource: arn, keys: &[], unknown: &[] };
    if !bypass && !matches!(evaluate_for(&policy, caller, asked), Verdict::Allowed | Verdict::Delegated) {
        return Err(malformed("The new key policy will not allow you to update the key policy in the future."));
    }
    Ok(())
}

fn check_tags(cx: &Cx, tags: &[Tag]) -> Result<(), Error> {
    // A service that makes the key for somebody may set them.
    let aws = |tag: &Tag| tag.tag_key.to_ascii_lowercase().starts_with("aws:");
    let reserved = cx.called_via().is_none() && tags.iter().any(aws);
    if tags.iter().any(|tag| tag.tag_value.chars().count() > MAX_TAG_VALUE) {
        return Err(tag_exception("A tag's value has at most 256 characters."));
    }
    if reserved || tags.len() > MAX_TAGS {
        return Err(tag_exception("A tag's key may not begin with aws:, and a key has at most 50 tags."));
    }
    Ok(())
}

/// What a key of the spec is for. Where there is a choice, it has to be made.
fn usage(spec: &str, asked: Option<&str>) -> Result<String, Error> {
    let known: &[&str] = match spec {
        "SYMMETRIC_DEFAULT" => &["ENCRYPT_DECRYPT"],
        "HMAC_256" | "HMAC_384" | "HMAC_512" => &["GENERATE_VERIFY_MAC"],
        other => match PairSpec::of(other) {
            Some(pair) if pair.encryption().is_empty() => &["SIGN_VERIFY", "KEY_AGREEMENT"],
            Some(_) => &["ENCRYPT_DECRYPT", "SIGN_VERIFY"],
            None => {
                return Err(unsupported_operation_exception(format!("KeySpec {other} is not supported by Lakerun.")));
            }
        },
    };
    let asked = match asked {
        Some(asked) => asked,
        None if PairSpec::of(spec).is_some() => {
            return Err(Error::validation("You must specify a KeyUsage value for an asymmetric KMS key."));
        }
        None => "ENCRYPT_DECRYPT",
    };
    if !known.contains(&asked) || spec == "ECC_SECG_P256K1" && asked == "KEY_AGREEMENT" {
        return Err(Error::validation(format!("KeyUsage {asked} is not compatible with KeySpec {spec}")));
    }
    if asked == "KEY_AGREEMENT" {
        return Err(unsupported_operation_exception("KeyUsage KEY_AGREEMENT is not supported by Lakerun."));
    }
    Ok(asked.to_owned())
}

#[async_trait]
impl Handle<CreateKey> for Kms {
    async fn handle(&self, cx: &Cx, req: CreateKeyRequest) -> Result<CreateKeyResponse, Error> {
        let spec = req.key_spec.or(req.customer_master_key_spec).unwrap_or_else(|| "SYMMETRIC_DEFAULT".to_owned());
        let usage = usage(&spec, req.key_usage.as_deref())?;
        let tags = req.tags.unwrap_or_default();
        check_tags(cx, &tags)?;
        let (place, mut record) = self.new_key(cx, (&spec, &usage), "CUSTOMER", req.description)?;
        if let Some(pair) = PairSpec::of(&spec) {
            let made = generate(pair).await?;
            record.materials[0].sealed = self.root.kept(&made, &place.arn())?;
        }
        if let Some(policy) = req.policy {
            check_policy(cx, &policy, &place.arn(), req.bypass_policy_lockout_safety_check == Some(true))?;
            record.policy = policy;
        }
        record.tags = tags;
        let made = cx
            .write(&self.store, move |tx| {
                tx.put_json(place.key(), &record)?;
                Ok::<_, Error>(record.metadata.clone())
            })
            .await?;
        Ok(CreateKeyResponse { key_metadata: Some(made) })
    }
}

#[async_trait]
impl Handle<DescribeKey> for Kms {
    async fn handle(&self, cx: &Cx, req: DescribeKeyRequest) -> Result<DescribeKeyResponse, Error> {
        let (_, record) = self.named(cx, &req.key_id).await?;
        Ok(DescribeKeyResponse { key_metadata: Some(record.metadata) })
    }
}

#[async_trait]
impl Handle<ListKeys> for Kms {
    async fn handle(&self, cx: &Cx, req: ListKeysRequest) -> Result<ListKeysResponse, Error> {
        let prefix = key_prefix(cx.account(), cx.region());
        let all: Vec<KeyRecord> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
        let entries =
            all.into_iter().map(|r| KeyListEntry { key_id: Some(r.metadata.key_id), key_arn: r.metadata.arn });
        let id = |one: &KeyListEntry| one.key_id.clone().unwrap_or_default();
        let (keys, truncated, next_marker) = page(entries.collect(), id, req.limit, req.marker.as_deref())?;
        Ok(ListKeysResponse { keys: Some(keys), truncated: Some(truncated), next_marker })
    }
}

/// Sets a key's state.
fn set(record: &mut KeyRecord, state: &str) {
    record.metadata.key_state = Some(state.to_owned());
    record.metadata.enabled = Some(state == "Enabled");
}

#[async_trait]
impl Handle<EnableKey> for Kms {
    async fn handle(&self, cx: &Cx, req: EnableKeyRequest) -> Result<Empty, Error> {
        self.change(cx, req.key_id, |record| {
            record.lives()?;
            set(record, "Enabled");
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DisableKey> for Kms {
    async fn handle(&self, cx: &Cx, req: DisableKeyRequest) -> Result<Empty, Error> {
        self.change(cx, req.key_id, |record| {
            record.lives()?;
            set(record, "Disabled");
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UpdateKeyDescription> for Kms {
    async fn handle(&self, cx: &Cx, req: UpdateKeyDescriptionRequest) -> Result<Empty, Error> {
        let description = req.description;
        self.change(cx, req.key_id, move |record| {
            record.lives()?;
            record.metadata.description = Some(description.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

fn task(place: &KeyLocation) -> String {
    format!("{DELETE}/{}", place.arn())
}

#[async_trait]
impl Handle<ScheduleKeyDeletion> for Kms {
    async fn handle(&self, cx: &Cx, req: ScheduleKeyDeletionRequest) -> Result<ScheduleKeyDeletionResponse, Error> {
        let days = req.pending_window_in_days.unwrap_or(DELETION_DAYS);
        if !(7..=30).contains(&days) {
            return Err(Error::validation("PendingWindowInDays must be between 7 and 30 (inclusive)"));
        }
        let at = cx.now() + jiff::SignedDuration::from_hours(24 * i64::from(days));
        let own = cx.clone();
        cx.write(&self.store, move |tx| {
            let (place, mut record) = find(tx, &own, &req.key_id)?;
            if record.is_managed() {
                return Err(unsupported_operation_exception("You cannot delete an AWS managed key."));
            }
            record.lives()?;
            set(&mut record, "PendingDeletion");
            record.metadata.deletion_date = Some(at.into());
            tx.put_json(place.key(), &record)?;
            tx.enqueue(NewTask::new(DELETE, task(&place)).at(at).payload(&place)?)?;
            Ok(ScheduleKeyDeletionResponse {
                key_id: Some(place.arn()),
                deletion_date: Some(at.into()),
                key_state: Some("PendingDeletion".to_owned()),
                pending_window_in_days: Some(days),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<CancelKeyDeletion> for Kms {
    async fn handle(&self, cx: &Cx, req: CancelKeyDeletionRequest) -> Result<CancelKeyDeletionResponse, Error> {
        let own = cx.clone();
        cx.write(&self.store, move |tx| {
            let (place, mut record) = find(tx, &own, &req.key_id)?;
            if record.lives().is_ok() {
                return Err(kms_invalid_state_exception(format!("{} is not pending deletion.", place.arn())));
            }
            set(&mut record, "Disabled");
            record.metadata.deletion_date = None;
            tx.put_json(place.key(), &record)?;
            tx.cancel_task(&task(&place))?;
            Ok(CancelKeyDeletionResponse { key_id: Some(place.arn()) })
        })
        .await
    }
}

/// The one name that key policies have.
fn policy_name(name: Option<&str>) -> Result<String, Error> {
    match name {
        None | Some("default") => Ok("default".to_owned()),
        Some(_) => Err(not_found_exception("No such policy exists")),
    }
}

#[async_trait]
impl Handle<GetKeyPolicy> for Kms {
    async fn handle(&self, cx: &Cx, req: GetKeyPolicyRequest) -> Result<GetKeyPolicyResponse, Error> {
        let name = policy_name(req.policy_name.as_deref())?;
        let (_, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        Ok(GetKeyPolicyResponse { policy: Some(record.policy), policy_name: Some(name) })
    }
}

#[async_trait]
impl Handle<PutKeyPolicy> for Kms {
    async fn handle(&self, cx: &Cx, req: PutKeyPolicyRequest) -> Result<Empty, Error> {
        policy_name(req.policy_name.as_deref())?;
        let place = self.store.read(|tx| place(tx, cx, &req.key_id)).await?;
        check_policy(cx, &req.policy, &place.arn(), req.bypass_policy_lockout_safety_check == Some(true))?;
        let policy = req.policy;
        self.change(cx, req.key_id, move |record| {
            record.lives()?;
            record.policy.clone_from(&policy);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListKeyPolicies> for Kms {
    async fn handle(&self, cx: &Cx, req: ListKeyPoliciesRequest) -> Result<ListKeyPoliciesResponse, Error> {
        self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        let (names, truncated, next_marker) =
            page(vec!["default".to_owned()], String::clone, req.limit, req.marker.as_deref())?;
        Ok(ListKeyPoliciesResponse { policy_names: Some(names), truncated: Some(truncated), next_marker })
    }
}

#[async_trait]
impl Handle<TagResource> for Kms {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<Empty, Error> {
        let (tags, own) = (req.tags, cx.clone());
        self.change(cx, req.key_id, move |record| {
            record.lives()?;
            record.tags.retain(|old| tags.iter().all(|new| new.tag_key != old.tag_key));
            record.tags.extend(tags.iter().cloned());
            check_tags(&own, &record.tags)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Kms {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change(cx, req.key_id, move |record| {
            record.lives()?;
            record.tags.retain(|tag| !keys.contains(&tag.tag_key));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListResourceTags> for Kms {
    async fn handle(&self, cx: &Cx, req: ListResourceTagsRequest) -> Result<ListResourceTagsResponse, Error> {
        let (_, record) = self.store.read(|tx| find(tx, cx, &req.key_id)).await?;
        let key = |tag: &Tag| tag.tag_key.clone();
        let (tags, truncated, next_marker) = page(record.tags, key, req.limit, req.marker.as_deref())?;
        Ok(ListResourceTagsResponse { tags: Some(tags), truncated: Some(truncated), next_marker })
    }
}
