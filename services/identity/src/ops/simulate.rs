//! What policies would say: the simulator, and the condition keys that policies ask about. The same evaluation as that of requests.
//! Source: IAM API reference, SimulateCustomPolicy and SimulatePrincipalPolicy.

use std::collections::BTreeSet;

use api_iam::error::{invalid_input_exception, no_such_entity_exception};
use api_iam::{
    ContextEntry, EvaluationResult, GetContextKeysForCustomPolicy, GetContextKeysForCustomPolicyRequest,
    GetContextKeysForPolicyResponse, GetContextKeysForPrincipalPolicy, GetContextKeysForPrincipalPolicyRequest,
    PermissionsBoundaryDecisionDetail, SimulateCustomPolicy, SimulateCustomPolicyRequest, SimulatePolicyResponse,
    SimulatePrincipalPolicy, SimulatePrincipalPolicyRequest,
};
use async_trait::async_trait;
use serde_json::Value;
use service::policy::{Asked, Caller, Verdict, asked_about, evaluate, evaluate_for};
use service::{Cx, Handle};
use wire::Error;
use wire::arn::Arn;

use super::page::page;
use crate::Identity;
use crate::records::{self, GroupRecord};

/// What a simulation is about.
struct Case {
    policies: Vec<Value>,
    boundary: Option<Vec<Value>>,
    actions: Vec<String>,
    resources: Vec<String>,
    resource_policy: Option<Value>,
    caller: Option<String>,
    entries: Vec<ContextEntry>,
}

fn parse(texts: Vec<String>, check: bool) -> Result<Vec<Value>, Error> {
    texts
        .into_iter()
        .map(|text| {
            let parsed = serde_json::from_str(&text).ok();
            if check && crate::policy::check(&text).is_err() || parsed.is_none() {
                return Err(invalid_input_exception("Invalid Input Policy:Policy document is not valid"));
            }
            Ok(parsed.unwrap_or_default())
        })
        .collect()
}

fn results(case: &Case, cx: &Cx) -> Vec<EvaluationResult> {
    let entries = case.entries.iter().filter_map(|entry| Some((entry.context_key_name.as_deref()?, entry)));
    let keys: Vec<(&str, &str)> = entries
        .flat_map(|(name, entry)| entry.context_key_values.iter().flatten().map(move |value| (name, value.as_str())))
        .collect();
    let any = ["*".to_owned()];
    let resources = if case.resources.is_empty() { &any[..] } else { &case.resources[..] };
    let mut results = Vec::new();
    for action in &case.actions {
        for resource in resources {
            results.push(result(case, cx, &keys, (action, resource)));
        }
    }
    results
}

fn result(case: &Case, cx: &Cx, keys: &[(&str, &str)], (action, resource): (&str, &str)) -> EvaluationResult {
    let asked = Asked { action, resource, keys, unknown: &[] };
    let own = evaluate(&case.policies, asked);
    let bound = case.boundary.as_ref().map(|boundary| evaluate(boundary, asked));
    let caller = case.caller.clone().unwrap_or_default();
    let account = Arn::parse(&caller).map_or_else(|| cx.account().to_owned(), |arn| arn.account);
    let arns = [caller];
    let of_resource = case.resource_policy.as_ref().map(|policy| {
        evaluate_for(policy, Caller { account: &account, arns: &arns, canonical: "", service: "" }, asked)
    });
    let decision = match (own, bound, of_resource) {
        (Verdict::Denied, _, _) | (_, Some(Verdict::Denied), _) | (_, _, Some(Verdict::Denied)) => "explicitDeny",
        (_, _, Some(Verdict::Allowed)) | (Verdict::Allowed, None | Some(Verdict::Allowed), _) => "allowed",
        _ => "implicitDeny",
    };
    let given = |key: &String| keys.iter().any(|(name, _)| name.eq_ignore_ascii_case(key));
    let mut about = asked_about(&case.policies, action);
    if let Some(more) = &case.boundary {
        about.extend(asked_about(more, action));
    }
    let missing = about.into_iter().filter(|key| !given(key)).collect();
    EvaluationResult {
        eval_action_name: action.to_owned(),
        eval_resource_name: Some(resource.to_owned()),
        eval_decision: decision.to_owned(),
        missing_context_values: Some(missing),
        permissions_boundary_decision_detail: bound.map(|verdict| PermissionsBoundaryDecisionDetail {
            allowed_by_permissions_boundary: Some(verdict == Verdict::Allowed),
        }),
        ..EvaluationResult::default()
    }
}

fn paged(all: Vec<EvaluationResult>, max_items: Option<i32>, marker: Option<String>) -> SimulatePolicyResponse {
    // In order of what was asked, so that pages are of numbers.
    let numbered: Vec<(usize, EvaluationResult)> = all.into_iter().enumerate().collect();
    let (found, is_truncated, marker) = page(numbered, max_items, marker, |(n, _)| format!("{n:08}"));
    let found = found.into_iter().map(|(_, result)| result).collect();
    SimulatePolicyResponse { evaluation_results: Some(found), is_truncated, marker }
}

#[async_trait]
impl Handle<SimulateCustomPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: SimulateCustomPolicyRequest) -> Result<SimulatePolicyResponse, Error> {
        let boundary = req.permissions_boundary_policy_input_list.map(|texts| parse(texts, true)).transpose()?;
        let case = Case {
            policies: parse(req.policy_input_list, true)?,
            boundary,
            actions: req.action_names,
            resources: req.resource_arns.unwrap_or_default(),
            resource_policy: parse(req.resource_policy.into_iter().collect(), false)?.pop(),
            caller: req.caller_arn,
            entries: req.context_entries.unwrap_or_default(),
        };
        Ok(paged(results(&case, cx), req.max_items, req.marker))
    }
}

#[async_trait]
impl Handle<SimulatePrincipalPolicy> for Identity {
    async fn handle(&self, cx: &Cx, req: SimulatePrincipalPolicyRequest) -> Result<SimulatePolicyResponse, Error> {
        let (mut policies, own_boundary) = self.policies_of(cx, &req.policy_source_arn).await?;
        policies.extend(parse(req.policy_input_list.unwrap_or_default(), true)?);
        let boundary = req.permissions_boundary_policy_input_list.map(|texts| parse(texts, true)).transpose()?;
        let case = Case {
            policies,
            boundary: boundary.or(own_boundary),
            actions: req.action_names,
            resources: req.resource_arns.unwrap_or_default(),
            resource_policy: parse(req.resource_policy.into_iter().collect(), false)?.pop(),
            caller: req.caller_arn.or(Some(req.policy_source_arn)),
            entries: req.context_entries.unwrap_or_default(),
        };
        Ok(paged(results(&case, cx), req.max_items, req.marker))
    }
}

impl Identity {
    /// The policies of a user, group or role by its ARN, and its boundary.
    async fn policies_of(&self, cx: &Cx, arn: &str) -> Result<(Vec<Value>, Option<Vec<Value>>), Error> {
        let missing = || no_such_entity_exception(format!("The entity {arn} cannot be found."));
        let parsed = Arn::parse(arn).filter(|arn| arn.service == "iam").ok_or_else(|| {
            invalid_input_exception(format!("Invalid Entity Arn: {arn} does not clearly define entity type and name."))
        })?;
        let (account, name) = (parsed.account.clone(), parsed.name().to_owned());
        let known = match parsed.resource.split('/').next() {
            Some("role") => self.role(&account, &name).await?,
            Some("user") => self.user(&account, &name).await?,
            Some("group") => {
                let group: GroupRecord = self.holder(cx, &name).await?;
                let policies = self
                    .store
                    .read(|tx| records::documents(tx, &account, group.inline.clone(), &group.attached))
                    .await?;
                return Ok((policies, None));
            }
            _ => None,
        };
        let known = known.ok_or_else(missing)?;
        Ok((known.policies.clone(), known.boundary.clone()))
    }
}

/// All the keys that policies ask about, whatever the action.
fn context_keys(policies: &[Value]) -> GetContextKeysForPolicyResponse {
    let mut keys = BTreeSet::new();
    for statement in policies.iter().flat_map(service::policy::statements) {
        let mut patterns = service::policy::one_or_many(&statement["Action"])
            .chain(service::policy::one_or_many(&statement["NotAction"]));
        let any = patterns.find_map(Value::as_str).unwrap_or("*");
        // An action that the statement is about: its own pattern is one to itself.
        let action = if statement.get("NotAction").is_some() { "none:None" } else { any };
        keys.extend(asked_about(&[serde_json::json!({ "Statement": statement })], action));
    }
    GetContextKeysForPolicyResponse { context_key_names: Some(keys.into_iter().collect()) }
}

#[async_trait]
impl Handle<GetContextKeysForCustomPolicy> for Identity {
    async fn handle(
        &self,
        _: &Cx,
        req: GetContextKeysForCustomPolicyRequest,
    ) -> Result<GetContextKeysForPolicyResponse, Error> {
        Ok(context_keys(&parse(req.policy_input_list, false)?))
    }
}

#[async_trait]
impl Handle<GetContextKeysForPrincipalPolicy> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetContextKeysForPrincipalPolicyRequest,
    ) -> Result<GetContextKeysForPolicyResponse, Error> {
        let (mut policies, _) = self.policies_of(cx, &req.policy_source_arn).await?;
        policies.extend(parse(req.policy_input_list.unwrap_or_default(), false)?);
        Ok(context_keys(&policies))
    }
}
