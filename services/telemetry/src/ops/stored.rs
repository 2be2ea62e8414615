//! What is only kept: resource policies and the definitions of queries.

use api_logs::error::{invalid_parameter_exception, limit_exceeded_exception, resource_not_found_exception};
use api_logs::{
    DeleteQueryDefinition, DeleteQueryDefinitionRequest, DeleteQueryDefinitionResponse, DeleteResourcePolicy,
    DeleteResourcePolicyRequest, DescribeQueryDefinitions, DescribeQueryDefinitionsRequest,
    DescribeQueryDefinitionsResponse, DescribeResourcePolicies, DescribeResourcePoliciesRequest,
    DescribeResourcePoliciesResponse, PutQueryDefinition, PutQueryDefinitionRequest, PutQueryDefinitionResponse,
    PutResourcePolicy, PutResourcePolicyRequest, PutResourcePolicyResponse, QueryDefinition, ResourcePolicy,
};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::Guard;
use service::policy::{one_or_many, parse_resource_policy, statements};
use service::{Cx, Handle};
use wire::Error;
use wire::arn::Arn;
use wire::types::Empty;

use super::{limit, page};
use crate::Telemetry;
use crate::logs::Scope;

/// Source: CloudWatch Logs quotas.
const MAX_POLICIES: usize = 10;

#[async_trait]
impl Handle<PutResourcePolicy> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutResourcePolicyRequest) -> Result<PutResourcePolicyResponse, Error> {
        let name = req.policy_name.ok_or_else(|| invalid_parameter_exception("policyName must not be null"))?;
        let document =
            req.policy_document.ok_or_else(|| invalid_parameter_exception("policyDocument must not be null"))?;
        check(&document)?;
        let policy = ResourcePolicy {
            policy_name: Some(name.clone()),
            policy_document: Some(document),
            last_updated_time: Some(cx.now().as_millisecond()),
            ..ResourcePolicy::default()
        };
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let key = scope.policies().push(&name);
            if tx.get(&key)?.is_none() && tx.scan_prefix(scope.policies(), MAX_POLICIES)?.len() >= MAX_POLICIES {
                return Err(limit_exceeded_exception("Resource limit exceeded."));
            }
            tx.put_json(&key, &policy)?;
            Ok(PutResourcePolicyResponse { resource_policy: Some(policy.clone()), ..Default::default() })
        })
        .await
    }
}

fn check(document: &str) -> Result<(), Error> {
    parse_resource_policy(document)
        .map_err(|reason| invalid_parameter_exception(format!("Policy document is malformed: {reason}.")))?;
    Ok(())
}

/// The policies of an account's log groups as the Router asks for them, all together. That there is one takes nothing from the services of
/// the account that none of them is about. Source: CloudWatch Logs User Guide, "Identity and access management", "Resource-based policies".
#[async_trait]
impl Guard for Telemetry {
    async fn policy(
        &self,
        cx: &Cx,
        _: &str,
        resource: &str,
    ) -> Result<Option<service::authorization::ResourcePolicy>, Error> {
        let Some(arn) = Arn::parse(resource) else { return Ok(None) };
        let scope = Scope::of(&cx.in_account(&arn.account).with_region(&arn.region));
        let all: Vec<ResourcePolicy> = self.store.read(|tx| tx.list_json(scope.policies(), usize::MAX)).await?;
        let documents: Vec<Value> =
            all.iter().filter_map(|one| serde_json::from_str(one.policy_document.as_deref()?).ok()).collect();
        let about: Vec<&Value> = documents.iter().flat_map(statements).collect();
        let own_service = cx.service().is_some_and(|service| service.source_account == arn.account);
        let named = about.iter().any(|statement| names_service(statement, cx));
        if about.is_empty() || (own_service && !named) {
            return Ok(None);
        }
        Ok(Some(service::authorization::ResourcePolicy {
            policy: json!({ "Version": "2012-10-17", "Statement": about }),
            must_allow: false,
        }))
    }
}

/// Whether a statement is about the service that asks.
fn names_service(statement: &Value, cx: &Cx) -> bool {
    let Some(service) = cx.service() else { return false };
    let own = service.name.split('.').next().unwrap_or_default();
    one_or_many(&statement["Principal"]["Service"])
        .filter_map(Value::as_str)
        .any(|name| name == "*" || name.split('.').any(|part| part == own))
        || statement.get("NotPrincipal").is_some()
        || statement["Principal"] == "*"
}

#[async_trait]
impl Handle<DescribeResourcePolicies> for Telemetry {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeResourcePoliciesRequest,
    ) -> Result<DescribeResourcePoliciesResponse, Error> {
        let scope = Scope::of(cx);
        let all: Vec<ResourcePolicy> = self.store.read(|tx| tx.list_json(scope.policies(), usize::MAX)).await?;
        let name = |policy: &ResourcePolicy| policy.policy_name.clone().unwrap_or_default();
        let (found, next_token) = page(all, limit(req.limit, 50), name, req.next_token.as_deref(), |_| true);
        Ok(DescribeResourcePoliciesResponse { resource_policies: Some(found), next_token })
    }
}

#[async_trait]
impl Handle<DeleteResourcePolicy> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteResourcePolicyRequest) -> Result<Empty, Error> {
        let name = req.policy_name.ok_or_else(|| invalid_parameter_exception("policyName must not be null"))?;
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let key = scope.policies().push(&name);
            if tx.get(&key)?.is_none() {
                return Err(resource_not_found_exception(format!("Policy with name [{name}] does not exist.")));
            }
            tx.delete(key)?;
            Ok(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<PutQueryDefinition> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutQueryDefinitionRequest) -> Result<PutQueryDefinitionResponse, Error> {
        let (scope, fresh) = (Scope::of(cx), cx.uuid());
        let asked = req.query_definition_id.clone();
        let definition = QueryDefinition {
            query_language: Some(req.query_language.unwrap_or_else(|| "CWLI".to_owned())),
            query_definition_id: Some(asked.clone().unwrap_or(fresh)),
            name: Some(req.name),
            query_string: Some(req.query_string),
            last_modified: Some(cx.now().as_millisecond()),
            log_group_names: req.log_group_names,
            parameters: req.parameters,
        };
        cx.write(&self.store, move |tx| {
            let key = scope.queries().push(definition.query_definition_id.as_deref().unwrap_or_default());
            if asked.is_some() && tx.get(&key)?.is_none() {
                return Err(resource_not_found_exception("The specified query definition does not exist."));
            }
            tx.put_json(&key, &definition)?;
            Ok(PutQueryDefinitionResponse { query_definition_id: definition.query_definition_id.clone() })
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeQueryDefinitions> for Telemetry {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeQueryDefinitionsRequest,
    ) -> Result<DescribeQueryDefinitionsResponse, Error> {
        let scope = Scope::of(cx);
        let mut all: Vec<QueryDefinition> = self.store.read(|tx| tx.list_json(scope.queries(), usize::MAX)).await?;
        let name = |one: &QueryDefinition| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            format!("{}/{}", text(&one.name), text(&one.query_definition_id))
        };
        all.sort_by_key(name);
        let keep = |one: &QueryDefinition| {
            req.query_definition_name_prefix
                .as_deref()
                .is_none_or(|prefix| one.name.as_deref().unwrap_or_default().starts_with(prefix))
                && req.query_language.as_ref().is_none_or(|language| one.query_language.as_ref() == Some(language))
        };
        let (found, next_token) = page(all, limit(req.max_results, 1000), name, req.next_token.as_deref(), keep);
        Ok(DescribeQueryDefinitionsResponse { query_definitions: Some(found), next_token })
    }
}

#[async_trait]
impl Handle<DeleteQueryDefinition> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteQueryDefinitionRequest) -> Result<DeleteQueryDefinitionResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let key = scope.queries().push(&req.query_definition_id);
            if tx.get(&key)?.is_none() {
                return Err(resource_not_found_exception("The specified query definition does not exist."));
            }
            tx.delete(key)?;
            Ok(DeleteQueryDefinitionResponse { success: Some(true) })
        })
        .await
    }
}
