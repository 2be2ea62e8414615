//! Customer-managed policies and their versions.

use api_iam::error::{
    delete_conflict_exception, entity_already_exists_exception, limit_exceeded_exception, no_such_entity_exception,
};
use api_iam::{
    CreatePolicy, CreatePolicyRequest, CreatePolicyResponse, CreatePolicyVersion, CreatePolicyVersionRequest,
    CreatePolicyVersionResponse, DeletePolicy, DeletePolicyRequest, DeletePolicyVersion, DeletePolicyVersionRequest,
    GetPolicy, GetPolicyRequest, GetPolicyResponse, GetPolicyVersion, GetPolicyVersionRequest,
    GetPolicyVersionResponse, ListPolicies, ListPoliciesRequest, ListPoliciesResponse, ListPolicyTags,
    ListPolicyTagsRequest, ListPolicyTagsResponse, ListPolicyVersions, ListPolicyVersionsRequest,
    ListPolicyVersionsResponse, Policy, PolicyVersion, SetDefaultPolicyVersion, SetDefaultPolicyVersionRequest, Tag,
    TagPolicy, TagPolicyRequest, UntagPolicy, UntagPolicyRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::account::{attached_everywhere, bounding_everywhere};
use super::page::page;
use super::roles::encode;
use super::tags::{given, merged, without};
use crate::Identity;
use crate::policy::check_size;
use crate::port::random_text;
use crate::records::{PolicyRecord, policy, policy_key, policy_prefix};

/// AWS's quota.
const MAX_VERSIONS: usize = 5;
/// The longest document of a managed policy.
const MAX_SIZE: usize = 6144;

fn no_version(arn: &str, id: &str) -> Error {
    no_such_entity_exception(format!("Policy {arn} version {id} does not exist or is not attachable."))
}

#[async_trait]
impl Handle<CreatePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: CreatePolicyRequest) -> Result<CreatePolicyResponse, Error> {
        crate::policy::check(&req.policy_document)?;
        check_size([&req.policy_document].into_iter(), MAX_SIZE, &format!("policy {}", req.policy_name))?;
        let account = cx.account().to_owned();
        let path = req.path.unwrap_or_else(|| "/".to_owned());
        let now = Some(cx.now().into());
        let arn = format!("arn:aws:iam::{account}:policy{path}{}", req.policy_name);
        let new = PolicyRecord {
            policy: Policy {
                policy_name: Some(req.policy_name),
                policy_id: Some(format!("ANPA{}", random_text(17, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))),
                arn: Some(arn.clone()),
                path: Some(path),
                default_version_id: Some("v1".to_owned()),
                attachment_count: Some(0),
                permissions_boundary_usage_count: Some(0),
                is_attachable: Some(true),
                description: req.description,
                create_date: now,
                update_date: now,
                tags: given(req.tags, "Policy")?,
            },
            versions: vec![PolicyVersion {
                document: Some(req.policy_document),
                version_id: Some("v1".to_owned()),
                is_default_version: Some(true),
                create_date: now,
            }],
            last_version: 1,
        };
        let made = cx
            .write(&self.store, move |tx| {
                let key = policy_key(&account, &arn);
                // Names are unique whatever their path and case. Source: IAM API reference, CreatePolicy.
                let all: Vec<PolicyRecord> = tx.list_json(policy_prefix(&account), usize::MAX)?;
                let name = new.policy.policy_name.as_deref().unwrap_or_default();
                if all
                    .iter()
                    .filter_map(|p| p.policy.policy_name.as_deref())
                    .any(|other| other.eq_ignore_ascii_case(name))
                {
                    return Err(entity_already_exists_exception(format!(
                        "A policy called {name} already exists. Duplicate names are not allowed."
                    )));
                }
                tx.put_json(&key, &new)?;
                Ok(new.policy.clone())
            })
            .await?;
        Ok(CreatePolicyResponse { policy: Some(made) })
    }
}

impl Identity {
    /// A policy with how often it is attached and bounds.
    fn counted(mut policy: Policy, attached: &[String], bounding: &[String]) -> Policy {
        let count = |all: &[String]| {
            let uses = all.iter().filter(|arn| policy.arn.as_ref() == Some(arn)).count();
            i32::try_from(uses).ok()
        };
        (policy.attachment_count, policy.permissions_boundary_usage_count) = (count(attached), count(bounding));
        policy
    }

    async fn change_policy<T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static>(
        &self,
        cx: &Cx,
        arn: String,
        mut change: impl FnMut(&mut PolicyRecord) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let account = cx.account().to_owned();
        let now = wire::Timestamp::from(cx.now());
        cx.write(&self.store, move |tx| {
            let key = policy_key(&account, &arn);
            let mut record: PolicyRecord =
                tx.get_json(&key)?.ok_or_else(|| no_such_entity_exception(format!("Policy {arn} was not found.")))?;
            let out = change(&mut record)?;
            record.policy.update_date = Some(now);
            tx.put_json(&key, &record)?;
            Ok(out)
        })
        .await
    }
}

#[async_trait]
impl Handle<GetPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: GetPolicyRequest) -> Result<GetPolicyResponse, Error> {
        let found = self.store.read(|tx| policy(tx, cx.account(), &req.policy_arn)).await?.policy;
        let holders = self.holders(cx.account()).await?;
        let found = Self::counted(found, &attached_everywhere(&holders), &bounding_everywhere(&holders));
        Ok(GetPolicyResponse { policy: Some(found) })
    }
}

#[async_trait]
impl Handle<DeletePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: DeletePolicyRequest) -> Result<Empty, Error> {
        let holders = self.holders(cx.account()).await?;
        let uses = [attached_everywhere(&holders), bounding_everywhere(&holders)].concat();
        if uses.contains(&req.policy_arn) {
            return Err(delete_conflict_exception("Cannot delete a policy attached to entities."));
        }
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let key = policy_key(&account, &req.policy_arn);
            if tx.get(&key)?.is_none() {
                return Err(no_such_entity_exception(format!("Policy {} was not found.", req.policy_arn)));
            }
            let record: PolicyRecord = store::kv::decode(key.as_bytes(), &tx.get(&key)?.unwrap_or_default())?;
            if record.versions.len() > 1 {
                return Err(delete_conflict_exception(
                    "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy.",
                ));
            }
            Ok(tx.delete(&key)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListPolicies> for Identity {
    async fn handle(&self, cx: &Cx, req: ListPoliciesRequest) -> Result<ListPoliciesResponse, Error> {
        let own: Vec<PolicyRecord> =
            self.store.read(|tx| tx.list_json(policy_prefix(cx.account()), usize::MAX)).await?;
        let scope = req.scope.as_deref().unwrap_or("All");
        let own = own.into_iter().filter(|_| scope != "AWS");
        let aws = crate::managed::all().filter(|_| scope != "Local");
        let holders = self.holders(cx.account()).await?;
        let (attached, bounding) = (attached_everywhere(&holders), bounding_everywhere(&holders));
        let path = req.path_prefix.unwrap_or_else(|| "/".to_owned());
        let usage = req.policy_usage_filter.as_deref();
        let policies = own.chain(aws).map(|p| Self::counted(p.policy, &attached, &bounding));
        let policies = policies.filter(|p| p.path.as_deref().is_some_and(|p| p.starts_with(&path))).filter(|p| {
            let attached = p.attachment_count > Some(0) && usage != Some("PermissionsBoundary");
            let bounding = p.permissions_boundary_usage_count > Some(0) && usage != Some("PermissionsPolicy");
            let filtered = req.only_attached == Some(true) || usage.is_some();
            !filtered || attached || bounding
        });
        // Lists do not tell tags and descriptions. Source: IAM API reference, ListPolicies.
        let policies = policies.map(|p| Policy { tags: None, description: None, ..p }).collect();
        let arn = |p: &Policy| p.arn.clone().unwrap_or_default();
        let (policies, is_truncated, marker) = page(policies, req.max_items, req.marker, arn);
        Ok(ListPoliciesResponse { policies: Some(policies), is_truncated, marker })
    }
}

#[async_trait]
impl Handle<CreatePolicyVersion> for Identity {
    async fn handle(&self, cx: &Cx, req: CreatePolicyVersionRequest) -> Result<CreatePolicyVersionResponse, Error> {
        crate::policy::check(&req.policy_document)?;
        check_size([&req.policy_document].into_iter(), MAX_SIZE, &format!("policy {}", req.policy_arn))?;
        let now = wire::Timestamp::from(cx.now());
        let default = req.set_as_default.unwrap_or(false);
        let document = req.policy_document;
        let version = self
            .change_policy(cx, req.policy_arn, move |p| {
                if p.versions.len() >= MAX_VERSIONS {
                    return Err(limit_exceeded_exception(
                        "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing version.",
                    ));
                }
                p.last_version += 1;
                let id = format!("v{}", p.last_version);
                if default {
                    p.versions.iter_mut().for_each(|v| v.is_default_version = Some(false));
                    p.policy.default_version_id = Some(id.clone());
                }
                let version = PolicyVersion {
                    document: Some(document.clone()),
                    version_id: Some(id),
                    is_default_version: Some(default),
                    create_date: Some(now),
                };
                p.versions.insert(0, version.clone());
                Ok(version)
            })
            .await?;
        let policy_version = Some(PolicyVersion { document: None, ..version });
        Ok(CreatePolicyVersionResponse { policy_version })
    }
}

#[async_trait]
impl Handle<GetPolicyVersion> for Identity {
    async fn handle(&self, cx: &Cx, req: GetPolicyVersionRequest) -> Result<GetPolicyVersionResponse, Error> {
        let found = self.store.read(|tx| policy(tx, cx.account(), &req.policy_arn)).await?;
        let version = found.versions.into_iter().find(|v| v.version_id.as_ref() == Some(&req.version_id));
        let mut version = version.ok_or_else(|| no_version(&req.policy_arn, &req.version_id))?;
        version.document = version.document.map(|d| encode(&d));
        Ok(GetPolicyVersionResponse { policy_version: Some(version) })
    }
}

#[async_trait]
impl Handle<DeletePolicyVersion> for Identity {
    async fn handle(&self, cx: &Cx, req: DeletePolicyVersionRequest) -> Result<Empty, Error> {
        let id = req.version_id;
        let arn = req.policy_arn.clone();
        self.change_policy(cx, req.policy_arn, move |p| {
            if p.policy.default_version_id.as_ref() == Some(&id) {
                return Err(delete_conflict_exception("Cannot delete the default version of a policy."));
            }
            if p.versions.iter().all(|v| v.version_id.as_ref() != Some(&id)) {
                return Err(no_version(&arn, &id));
            }
            p.versions.retain(|v| v.version_id.as_ref() != Some(&id));
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListPolicyVersions> for Identity {
    async fn handle(&self, cx: &Cx, req: ListPolicyVersionsRequest) -> Result<ListPolicyVersionsResponse, Error> {
        let found = self.store.read(|tx| policy(tx, cx.account(), &req.policy_arn)).await?;
        // Newest first, as AWS tells them.
        let versions: Vec<(usize, PolicyVersion)> = found.versions.into_iter().enumerate().collect();
        let (page, is_truncated, marker) = page(versions, req.max_items, req.marker, |(n, _)| format!("{n:08}"));
        let versions = page.into_iter().map(|(_, v)| PolicyVersion { document: None, ..v }).collect();
        Ok(ListPolicyVersionsResponse { versions: Some(versions), is_truncated, marker })
    }
}

#[async_trait]
impl Handle<TagPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: TagPolicyRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_policy(cx, req.policy_arn, move |p| {
            p.policy.tags = Some(merged(p.policy.tags.take().unwrap_or_default(), &tags, "Policy")?);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagPolicyRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change_policy(cx, req.policy_arn, move |p| {
            without(&mut p.policy.tags, &keys);
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListPolicyTags> for Identity {
    async fn handle(&self, cx: &Cx, req: ListPolicyTagsRequest) -> Result<ListPolicyTagsResponse, Error> {
        let found = self.store.read(|tx| policy(tx, cx.account(), &req.policy_arn)).await?;
        let tags = found.policy.tags.unwrap_or_default();
        let (tags, is_truncated, marker) = page(tags, req.max_items, req.marker, |t: &Tag| t.key.clone());
        Ok(ListPolicyTagsResponse { tags, is_truncated, marker })
    }
}

#[async_trait]
impl Handle<SetDefaultPolicyVersion> for Identity {
    async fn handle(&self, cx: &Cx, req: SetDefaultPolicyVersionRequest) -> Result<Empty, Error> {
        let (arn, id) = (req.policy_arn.clone(), req.version_id);
        self.change_policy(cx, req.policy_arn, move |p| {
            if p.versions.iter().all(|v| v.version_id.as_ref() != Some(&id)) {
                return Err(no_version(&arn, &id));
            }
            p.versions.iter_mut().for_each(|v| v.is_default_version = Some(v.version_id.as_ref() == Some(&id)));
            p.policy.default_version_id = Some(id.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
