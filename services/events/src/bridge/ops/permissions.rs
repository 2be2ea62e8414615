//! PutPermission and RemovePermission: the policy of a bus, as the Router asks for it.
//! Source: EventBridge User Guide, "Permissions for Amazon EventBridge event buses".

use api_events::{PutPermission, PutPermissionRequest, RemovePermission, RemovePermissionRequest, error};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::{Guard, ResourcePolicy};
use service::policy::{one_or_many, parse_resource_policy};
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::bridge::Bridge;
use crate::bridge::rule::Home;

/// Source: EventBridge quotas.
const MAX_POLICY: usize = 10_240;

#[async_trait]
impl Handle<PutPermission> for Bridge {
    async fn handle(&self, cx: &Cx, req: PutPermissionRequest) -> Result<Empty, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        cx.write(&self.store, move |tx| {
            let mut bus = home.check_bus(tx)?;
            let policy = match &req.policy {
                Some(_) if req.action.is_some() || req.principal.is_some() || req.statement_id.is_some() => {
                    return Err(Error::validation(
                        "Policy can not be specified with Action, Principal, StatementId or Condition.",
                    ));
                }
                Some(text) => text.clone(),
                None => with_statement(bus.policy.as_deref(), &statement(&req, &bus.arn)?),
            };
            parse_resource_policy(&policy).map_err(|reason| Error::validation(format!("Invalid policy: {reason}.")))?;
            if policy.len() > MAX_POLICY {
                return Err(error::policy_length_exceeded_exception("Total policy length exceeds the limit."));
            }
            bus.policy = Some(policy);
            bus.save(tx, &home)
        })
        .await?;
        Ok(Empty {})
    }
}

/// What the parameters say, as a statement.
fn statement(req: &PutPermissionRequest, bus_arn: &str) -> Result<Value, Error> {
    let given = |value: &Option<String>, name: &str| {
        value.clone().ok_or_else(|| Error::validation(format!("Parameter {name} must be specified.")))
    };
    let (action, principal) = (given(&req.action, "Action")?, given(&req.principal, "Principal")?);
    if action != "events:PutEvents" {
        return Err(Error::validation(format!("Provided value in parameter 'action' is not supported: {action}")));
    }
    let principal = match principal.as_str() {
        "*" => json!("*"),
        account => json!({ "AWS": format!("arn:aws:iam::{account}:root") }),
    };
    let mut statement = json!({
        "Sid": given(&req.statement_id, "StatementId")?,
        "Effect": "Allow",
        "Principal": principal,
        "Action": action,
        "Resource": bus_arn,
    });
    if let Some(condition) = &req.condition {
        statement["Condition"] = json!({ &condition.r#type: { &condition.key: &condition.value } });
    }
    Ok(statement)
}

/// A statement of a name takes the place of the one before.
fn with_statement(policy: Option<&str>, statement: &Value) -> String {
    let policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let mut statements: Vec<Value> =
        one_or_many(&policy["Statement"]).filter(|old| old["Sid"] != statement["Sid"]).cloned().collect();
    statements.push(statement.clone());
    json!({ "Version": "2012-10-17", "Statement": statements }).to_string()
}

#[async_trait]
impl Handle<RemovePermission> for Bridge {
    async fn handle(&self, cx: &Cx, req: RemovePermissionRequest) -> Result<Empty, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        cx.write(&self.store, move |tx| {
            let mut bus = home.check_bus(tx)?;
            let policy: Value =
                bus.policy.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let all: Vec<&Value> = one_or_many(&policy["Statement"]).collect();
            let left: Vec<&Value> = match (&req.statement_id, req.remove_all_permissions) {
                (_, Some(true)) => Vec::new(),
                (Some(id), _) => all.iter().filter(|old| old["Sid"] != id.as_str()).copied().collect(),
                (None, _) => return Err(Error::validation("Parameter StatementId must be specified.")),
            };
            if left.len() == all.len() && req.remove_all_permissions != Some(true) {
                return Err(error::resource_not_found_exception("Statement with the provided id does not exist."));
            }
            bus.policy = (!left.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": left }).to_string());
            bus.save(tx, &home)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Guard for Bridge {
    async fn policy(&self, _: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        let Some(home) = Home::of_bus_arn(resource) else { return Ok(None) };
        let policy = self.store.read(|tx| home.find_bus(tx)).await?.and_then(|bus| bus.policy);
        Ok(policy
            .and_then(|text| serde_json::from_str(&text).ok())
            .map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
