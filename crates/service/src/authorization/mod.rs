//! What an operation asks of IAM, and who decides: the actions and resources of its row (`models/authorization.toml`) with the condition
//! keys of the request, weighed by the caller's own policies and by the policy of the resource.
//!
//! Map: [`resource`] the ARNs that an input names · [`context`] the condition keys · [`lookup`] what has to be asked for them ·
//! [`names`] names that are written in several ways · [`keys`] the keys that there are, generated. Not here: the language of policies ([`crate::policy`]), who has which.

mod context;
mod keys;
mod leading;
mod lookup;
mod names;
mod resource;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use wire::{Error, OperationSpec};

pub use context::{Context, Gathered, Nothing, Request, gather, known};
pub use lookup::{BLOB_MARK, key_of_blob};
pub use names::{FunctionName, QueueName, bus_name};

use crate::identity::Judgement;
use crate::policy::{Asked, Caller, Verdict, evaluate_for};
use crate::{Cx, Principal, Router};

impl Router {
    /// Checks that the caller may use an action on a resource.
    pub async fn authorize(&self, cx: &Cx, action: &str, resource: &str) -> Result<(), Error> {
        self.authorize_with(cx, action, resource, &[]).await
    }

    /// The same, with the values of the action's own condition keys.
    pub async fn authorize_with(
        &self,
        cx: &Cx,
        action: &str,
        resource: &str,
        keys: &[(&str, &str)],
    ) -> Result<(), Error> {
        self.weigh(&Request { cx, action, resource, keys, input: None, operation: "", passes: "" }).await
    }

    /// Checks all that an operation needs for an input in its canonical form. Answers the account of what it acts on, where that is
    /// another's.
    ///
    /// # Errors
    /// `AccessDeniedException`, as the doors answer it.
    pub async fn admit(&self, cx: &Cx, spec: &OperationSpec, input: &Value) -> Result<Option<String>, Error> {
        if !self.is_weighed(cx, spec.service.name) {
            return Ok(None);
        }
        let mut homes = BTreeSet::new();
        for input in apart(spec, input).iter() {
            self.admit_one(cx, spec, input, &mut homes).await?;
        }
        if EACH_BY_ITSELF.contains(&spec.name) {
            return Ok(None);
        }
        let mut homes = homes.into_iter();
        match (homes.next(), homes.next()) {
            (Some(one), Some(other)) => {
                Err(Error::validation(format!("One request cannot act on what the accounts {one} and {other} have")))
            }
            (home, _) => Ok(home.filter(|home| home != cx.account())),
        }
    }

    /// Checks what one thing that a request asks for needs. Whatever that names, some resource is asked about.
    async fn admit_one(
        &self,
        cx: &Cx,
        spec: &OperationSpec,
        input: &Value,
        homes: &mut BTreeSet<String>,
    ) -> Result<(), Error> {
        let (mut own, mut weighed) = (None, false);
        for need in spec.needs {
            own = own.or_else(|| need.passes.is_empty().then_some(need));
            if let Some((member, set)) = need.when {
                let given = context::at(input, member).is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false)));
                if given != set {
                    continue;
                }
            }
            for resource in resource::resources(need.resource, cx, input).await? {
                // A role that is not given is not passed; one that is named is in the account.
                if !need.passes.is_empty() && resource == "*" {
                    continue;
                }
                let request = Request {
                    cx,
                    action: need.action,
                    resource: &resource,
                    keys: &[],
                    input: Some(input),
                    operation: spec.name,
                    passes: need.passes,
                };
                reachable(cx, &resource)?;
                self.weigh(&request).await?;
                if need.passes.is_empty() {
                    weighed = true;
                    homes.extend(request.owner().map(str::to_owned));
                }
            }
        }
        match own.filter(|_| !weighed) {
            None => Ok(()),
            Some(need) => {
                let (action, operation) = (need.action, spec.name);
                self.weigh(&Request { cx, action, resource: "*", keys: &[], input: Some(input), operation, passes: "" })
                    .await
            }
        }
    }

    /// Whether anything but the caller itself may have a say. An owner's keys are weighed where a resource may have a policy that denies,
    /// or may be another account's.
    pub(crate) fn is_weighed(&self, cx: &Cx, service: &str) -> bool {
        match cx.principal() {
            Principal::Platform => cx.service().is_some(),
            Principal::Root { .. } => self.guard(service).is_some() || self.has_other_accounts(),
            Principal::Anonymous | Principal::Role { .. } | Principal::User { .. } => true,
        }
    }

    /// The caller's own policies and the resource's, together: a Deny of either is final; in one account the allowance of one is enough,
    /// from another account both have to allow, and a service that calls by itself has no policies of its own.
    /// Source: IAM User Guide, "Policy evaluation logic", "Cross-account policy evaluation logic".
    async fn weigh(&self, request: &Request<'_>) -> Result<(), Error> {
        let cx = request.cx;
        if matches!(cx.principal(), Principal::Platform) && cx.service().is_none() {
            return Ok(());
        }
        let by_resource = match self.policy_of(request).await? {
            None => None,
            Some(policy) => Some((judged(&policy, request).await?, policy.must_allow)),
        };
        let owner = matches!(cx.principal(), Principal::Root { .. }) && !request.is_foreign();
        if let Some((Verdict::Denied, _)) = by_resource
            && !(owner && RESCUES.contains(&request.action))
        {
            return Err(denied(request, "with an explicit deny in a resource-based policy"));
        }
        let not_given =
            || denied(request, &format!("because no resource-based policy allows the {} action", request.action));
        if cx.service().is_some() {
            // What could have a policy and has none is open to the services of its own account, and to no other's. What can have none
            // is what AWS's services need a role for.
            let could = self.guard(request.resource.split(':').nth(2).unwrap_or_default()).is_some();
            return match by_resource {
                Some((Verdict::Allowed, _)) => Ok(()),
                None if could && !request.is_foreign() => Ok(()),
                _ => Err(not_given()),
            };
        }
        let own = match cx.principal() {
            Principal::Anonymous => {
                return match by_resource {
                    Some((Verdict::Allowed, _)) => Ok(()),
                    _ => Err(nobody(request.action)),
                };
            }
            Principal::Root { .. } | Principal::Platform if owner => return Ok(()),
            Principal::Root { .. } | Principal::Platform => Judgement::Allowed,
            principal => self.identity().judge(principal, request.action, request.resource, request).await?,
        };
        match (own, by_resource) {
            (Judgement::Denied(error), _) | (Judgement::Silent(error), None) => Err(error),
            (Judgement::Allowed, Some((Verdict::Allowed | Verdict::Delegated, _))) => Ok(()),
            (Judgement::Allowed, _) if request.is_foreign() => Err(not_given()),
            (_, Some((Verdict::Allowed, _))) if !request.is_foreign() => Ok(()),
            (Judgement::Allowed, None | Some((_, false))) => Ok(()),
            (Judgement::Allowed, Some((_, true))) => Err(not_given()),
            (Judgement::Silent(error), _) => Err(error),
        }
    }

    async fn policy_of(&self, request: &Request<'_>) -> Result<Option<ResourcePolicy>, Error> {
        let service = request.resource.split(':').nth(2).unwrap_or_default();
        match self.guard(service) {
            Some(guard) => guard.policy(request.cx, request.action, request.resource).await,
            None => Ok(None),
        }
    }
}

/// Operations that find each of their resources by its own ARN, wherever the call is.
const EACH_BY_ITSELF: [&str; 2] = ["PutEvents", "ReEncrypt"];

/// A request taken apart where policies ask about each thing that it does by itself: an event's source is no other event's.
fn apart<'a>(spec: &OperationSpec, input: &'a Value) -> Cow<'a, [Value]> {
    let entries =
        input.get("Entries").and_then(Value::as_array).filter(|all| spec.name == "PutEvents" && all.len() > 1);
    let Some(entries) = entries else { return Cow::Borrowed(std::slice::from_ref(input)) };
    let mut parts: Vec<Value> = Vec::new();
    for entry in entries {
        let asked = |name: &str| entry.get(name).cloned().unwrap_or_default();
        let (source, kind, bus) = (asked("Source"), asked("DetailType"), asked("EventBusName"));
        let part = json!({ "Entries": [{ "Source": source, "DetailType": kind, "EventBusName": bus }] });
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    Cow::Owned(parts)
}

/// A function of another region is not reached from here, whatever a policy says of its ARN.
fn reachable(cx: &Cx, resource: &str) -> Result<(), Error> {
    let mut parts = resource.splitn(7, ':').skip(2);
    let (service, region, kind) = (parts.next(), parts.next(), parts.nth(1));
    match region.filter(|region| !region.is_empty() && *region != cx.region() && *region != "*") {
        Some(there) if service == Some("lambda") && kind == Some("function") => {
            let here = cx.region();
            let text = format!("Functions from '{there}' are not reachable in this region ('{here}')");
            Err(Error::new("ResourceNotFoundException", 404, text))
        }
        _ => Ok(()),
    }
}

/// The policy of a resource.
#[derive(Clone, Debug)]
pub struct ResourcePolicy {
    pub policy: Value,
    /// Without its allowance, or its word that the account decides by its own policies, nobody may do anything: a KMS key's.
    pub must_allow: bool,
}

/// A service whose resources have policies.
#[async_trait::async_trait]
pub trait Guard: Send + Sync {
    /// The policy that is asked for this action; `None` where the resource has none.
    async fn policy(&self, cx: &Cx, action: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error>;
}

async fn judged(policy: &ResourcePolicy, request: &Request<'_>) -> Result<Verdict, Error> {
    let policies = std::slice::from_ref(&policy.policy);
    let gathered = gather(request, crate::policy::asked_about(policies, request.action)).await?;
    let account = request.cx.caller_account();
    let arns = request.cx.principal().arns(account);
    let caller = Caller { account, arns: &arns, canonical: "", service: "" };
    let caller = match request.cx.service() {
        Some(service) => Caller { account: "", arns: &[], service: &service.name, ..caller },
        None => caller,
    };
    let caller = if matches!(request.cx.principal(), Principal::Anonymous) {
        Caller { account: "", arns: &[], ..caller }
    } else {
        caller
    };
    let keys = gathered.keys();
    let asked = Asked { action: request.action, resource: request.resource, keys: &keys, unknown: &gathered.unknown };
    Ok(evaluate_for(&policy.policy, caller, asked))
}

/// What the owner's keys may do whatever a policy denies, so that nobody is shut out of what is theirs.
const RESCUES: [&str; 10] = [
    "events:PutPermission",
    "events:RemovePermission",
    "glue:DeleteResourcePolicy",
    "glue:PutResourcePolicy",
    "kms:PutKeyPolicy",
    "secretsmanager:DeleteResourcePolicy",
    "secretsmanager:PutResourcePolicy",
    "sns:SetTopicAttributes",
    "sqs:DeleteQueue",
    "sqs:SetQueueAttributes",
];

fn denied(request: &Request<'_>, why: &str) -> Error {
    let cx = request.cx;
    let arn = cx.service().map_or_else(|| cx.principal().arn(cx.caller_account()), |service| service.name.clone());
    let (action, resource) = (request.action, request.resource);
    Error::access_denied(format!("User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"))
}

/// Only resources give anything to who has not signed.
pub(crate) fn nobody(action: &str) -> Error {
    Error::access_denied(format!("User: anonymous is not authorized to perform: {action}"))
}
