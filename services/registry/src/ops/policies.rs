//! Policies of repositories and of their images' lives. Both are kept: there are no images that they could be about.

use api_ecr::error::{
    invalid_parameter_exception, lifecycle_policy_not_found_exception, repository_policy_not_found_exception,
};
use api_ecr::{
    DeleteLifecyclePolicy, DeleteLifecyclePolicyRequest, DeleteLifecyclePolicyResponse, DeleteRepositoryPolicy,
    DeleteRepositoryPolicyRequest, DeleteRepositoryPolicyResponse, GetLifecyclePolicy, GetLifecyclePolicyRequest,
    GetLifecyclePolicyResponse, GetRepositoryPolicy, GetRepositoryPolicyRequest, GetRepositoryPolicyResponse,
    PutLifecyclePolicy, PutLifecyclePolicyRequest, PutLifecyclePolicyResponse, SetRepositoryPolicy,
    SetRepositoryPolicyRequest, SetRepositoryPolicyResponse,
};
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};
use wire::Error;

use crate::Registry;
use crate::repository::{Record, check_registry, load, prefix};

impl Registry {
    /// Changes a repository and answers of it.
    pub(super) async fn change<T: serde::Serialize + serde::de::DeserializeOwned + Send + 'static>(
        &self,
        cx: &Cx,
        (registry, name): (Option<&str>, &str),
        change: impl Fn(&mut Record) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        check_registry(cx, registry)?;
        let (prefix, account, name) = (prefix(cx), cx.account().to_owned(), name.to_owned());
        cx.write(&self.store, move |tx| {
            let (key, mut record) = load(tx, &prefix, &account, &name)?;
            let answer = change(&mut record)?;
            tx.put_json(&key, &record)?;
            Ok(answer)
        })
        .await
    }

    pub(super) async fn find(&self, cx: &Cx, registry: Option<&str>, name: &str) -> Result<Record, Error> {
        check_registry(cx, registry)?;
        let (prefix, account) = (prefix(cx), cx.account().to_owned());
        Ok(self.store.read(|tx| load(tx, &prefix, &account, name)).await?.1)
    }
}

fn no_policy(name: &str, account: &str) -> Error {
    repository_policy_not_found_exception(format!(
        "Repository policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    ))
}

fn no_lifecycle(name: &str, account: &str) -> Error {
    lifecycle_policy_not_found_exception(format!(
        "Lifecycle policy does not exist for the repository with name '{name}' in the registry with id '{account}'"
    ))
}

#[async_trait]
impl Handle<SetRepositoryPolicy> for Registry {
    async fn handle(&self, cx: &Cx, req: SetRepositoryPolicyRequest) -> Result<SetRepositoryPolicyResponse, Error> {
        service::policy::parse_policy_without_resource(&req.policy_text).map_err(|reason| {
            let what = "Invalid parameter at 'PolicyText' failed to satisfy constraint";
            invalid_parameter_exception(format!("{what}: 'Invalid repository policy provided' ({reason})"))
        })?;
        let (registry, name) = (req.registry_id.clone(), req.repository_name.clone());
        self.change(cx, (registry.as_deref(), &name), move |record| {
            record.policy = Some(req.policy_text.clone());
            Ok(SetRepositoryPolicyResponse {
                registry_id: record.shown.registry_id.clone(),
                repository_name: record.shown.repository_name.clone(),
                policy_text: record.policy.clone(),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetRepositoryPolicy> for Registry {
    async fn handle(&self, cx: &Cx, req: GetRepositoryPolicyRequest) -> Result<GetRepositoryPolicyResponse, Error> {
        let record = self.find(cx, req.registry_id.as_deref(), &req.repository_name).await?;
        let policy = record.policy.ok_or_else(|| no_policy(&req.repository_name, cx.account()))?;
        Ok(GetRepositoryPolicyResponse {
            registry_id: record.shown.registry_id,
            repository_name: record.shown.repository_name,
            policy_text: Some(policy),
        })
    }
}

#[async_trait]
impl Handle<DeleteRepositoryPolicy> for Registry {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteRepositoryPolicyRequest,
    ) -> Result<DeleteRepositoryPolicyResponse, Error> {
        let (registry, name, account) = (req.registry_id, req.repository_name, cx.account().to_owned());
        let named = name.clone();
        self.change(cx, (registry.as_deref(), &name), move |record| {
            let policy = record.policy.take().ok_or_else(|| no_policy(&named, &account))?;
            Ok(DeleteRepositoryPolicyResponse {
                registry_id: record.shown.registry_id.clone(),
                repository_name: record.shown.repository_name.clone(),
                policy_text: Some(policy),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<PutLifecyclePolicy> for Registry {
    async fn handle(&self, cx: &Cx, req: PutLifecyclePolicyRequest) -> Result<PutLifecyclePolicyResponse, Error> {
        let policy = serde_json::from_str::<Value>(&req.lifecycle_policy_text).ok();
        if policy.is_none_or(|policy| policy["rules"].as_array().is_none_or(Vec::is_empty)) {
            let what = "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint";
            return Err(invalid_parameter_exception(format!("{what}: 'Lifecycle policy validation failure'")));
        }
        let (registry, name) = (req.registry_id.clone(), req.repository_name.clone());
        self.change(cx, (registry.as_deref(), &name), move |record| {
            record.lifecycle = Some(req.lifecycle_policy_text.clone());
            Ok(PutLifecyclePolicyResponse {
                registry_id: record.shown.registry_id.clone(),
                repository_name: record.shown.repository_name.clone(),
                lifecycle_policy_text: record.lifecycle.clone(),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetLifecyclePolicy> for Registry {
    async fn handle(&self, cx: &Cx, req: GetLifecyclePolicyRequest) -> Result<GetLifecyclePolicyResponse, Error> {
        let record = self.find(cx, req.registry_id.as_deref(), &req.repository_name).await?;
        let policy = record.lifecycle.ok_or_else(|| no_lifecycle(&req.repository_name, cx.account()))?;
        Ok(GetLifecyclePolicyResponse {
            registry_id: record.shown.registry_id,
            repository_name: record.shown.repository_name,
            lifecycle_policy_text: Some(policy),
            ..GetLifecyclePolicyResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DeleteLifecyclePolicy> for Registry {
    async fn handle(&self, cx: &Cx, req: DeleteLifecyclePolicyRequest) -> Result<DeleteLifecyclePolicyResponse, Error> {
        let (registry, name, account) = (req.registry_id, req.repository_name, cx.account().to_owned());
        let named = name.clone();
        self.change(cx, (registry.as_deref(), &name), move |record| {
            let policy = record.lifecycle.take().ok_or_else(|| no_lifecycle(&named, &account))?;
            Ok(DeleteLifecyclePolicyResponse {
                registry_id: record.shown.registry_id.clone(),
                repository_name: record.shown.repository_name.clone(),
                lifecycle_policy_text: Some(policy),
                ..DeleteLifecyclePolicyResponse::default()
            })
        })
        .await
    }
}
