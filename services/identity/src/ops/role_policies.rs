//! A role's policies: inline ones and attached ones.

use api_iam::error::no_such_entity_exception;
use api_iam::{
    AttachRolePolicy, AttachRolePolicyRequest, AttachedPolicy, DeleteRolePolicy, DeleteRolePolicyRequest,
    DetachRolePolicy, DetachRolePolicyRequest, GetRolePolicy, GetRolePolicyRequest, GetRolePolicyResponse,
    ListAttachedRolePolicies, ListAttachedRolePoliciesRequest, ListAttachedRolePoliciesResponse, ListRolePolicies,
    ListRolePoliciesRequest, ListRolePoliciesResponse, PutRolePolicy, PutRolePolicyRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::roles::encode;
use crate::Identity;
use crate::records::{policy, role, role_key};

#[async_trait]
impl Handle<PutRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: PutRolePolicyRequest) -> Result<Empty, Error> {
        crate::policy::check(&req.policy_document)?;
        let (name, document) = (req.policy_name, req.policy_document);
        self.change_role(cx, req.role_name, move |r| {
            r.inline.insert(name.clone(), document.clone());
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

fn no_policy(name: &str) -> Error {
    no_such_entity_exception(format!("The role policy with name {name} cannot be found."))
}

#[async_trait]
impl Handle<GetRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: GetRolePolicyRequest) -> Result<GetRolePolicyResponse, Error> {
        let mut found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        let document = found.inline.remove(&req.policy_name).ok_or_else(|| no_policy(&req.policy_name))?;
        Ok(GetRolePolicyResponse {
            role_name: req.role_name,
            policy_name: req.policy_name,
            policy_document: encode(&document),
        })
    }
}

#[async_trait]
impl Handle<DeleteRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteRolePolicyRequest) -> Result<Empty, Error> {
        let name = req.policy_name;
        self.change_role(cx, req.role_name, move |r| {
            r.inline.remove(&name).map(|_| ()).ok_or_else(|| no_policy(&name))
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListRolePolicies> for Identity {
    async fn handle(&self, cx: &Cx, req: ListRolePoliciesRequest) -> Result<ListRolePoliciesResponse, Error> {
        let found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        Ok(ListRolePoliciesResponse {
            policy_names: found.inline.into_keys().collect(),
            is_truncated: Some(false),
            marker: None,
        })
    }
}

#[async_trait]
impl Handle<AttachRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: AttachRolePolicyRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            policy(tx, &account, &req.policy_arn)?;
            let mut record = role(tx, &account, &req.role_name)?;
            if !record.attached.contains(&req.policy_arn) {
                record.attached.push(req.policy_arn.clone());
            }
            tx.put_json(role_key(&account, &req.role_name), &record)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DetachRolePolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: DetachRolePolicyRequest) -> Result<Empty, Error> {
        let arn = req.policy_arn;
        self.change_role(cx, req.role_name, move |r| {
            let before = r.attached.len();
            r.attached.retain(|a| *a != arn);
            if r.attached.len() == before {
                return Err(no_such_entity_exception(format!("Policy {arn} was not found.")));
            }
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListAttachedRolePolicies> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListAttachedRolePoliciesRequest,
    ) -> Result<ListAttachedRolePoliciesResponse, Error> {
        let found = self.store.read(|tx| role(tx, cx.account(), &req.role_name)).await?;
        let attached = found.attached.into_iter().map(|arn| AttachedPolicy {
            policy_name: arn.rsplit('/').next().map(str::to_owned),
            policy_arn: Some(arn),
        });
        Ok(ListAttachedRolePoliciesResponse {
            attached_policies: Some(attached.collect()),
            is_truncated: Some(false),
            marker: None,
        })
    }
}
