//! AddPermission: a statement in a function's resource policy.

use api_lambda::{AddPermission, AddPermissionRequest, AddPermissionResponse, error};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Policy, Scope};

#[async_trait]
impl Handle<AddPermission> for Lambda {
    async fn handle(&self, cx: &Cx, req: AddPermissionRequest) -> Result<AddPermissionResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let statement = statement(&req, &place.arn(&name.name, name.qualifier.as_deref()));
        let revision = cx.uuid();
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            let key = place.policy(&name.name, name.qualifier.as_deref());
            let empty = || Policy { statements: Vec::new(), revision: String::new() };
            let mut policy = tx.get_json::<Policy>(&key)?.unwrap_or_else(empty);
            if policy.statements.iter().any(|other| other["Sid"] == req.statement_id.as_str()) {
                return Err(error::resource_conflict_exception(format!(
                    "The statement id ({}) provided already exists. Please provide a new statement id, or remove the existing statement.",
                    req.statement_id
                )));
            }
            policy.statements.push(statement.clone());
            policy.revision.clone_from(&revision);
            tx.put_json(key, &policy)?;
            Ok(AddPermissionResponse { statement: Some(statement.to_string()) })
        })
        .await
    }
}

fn statement(req: &AddPermissionRequest, resource: &str) -> Value {
    let principal = match req.principal.as_str() {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
        id if wire::arn::is_account_id(id) => {
            json!({ "AWS": format!("arn:aws:iam::{id}:root") })
        }
        arn => json!({ "AWS": arn }),
    };
    let mut statement = json!({
        "Sid": req.statement_id, "Effect": "Allow", "Principal": principal, "Action": req.action, "Resource": resource,
    });
    let mut condition = json!({});
    if let Some(account) = &req.source_account {
        condition["StringEquals"]["AWS:SourceAccount"] = account.as_str().into();
    }
    if let Some(token) = &req.event_source_token {
        condition["StringEquals"]["lambda:EventSourceToken"] = token.as_str().into();
    }
    if let Some(organisation) = &req.principal_org_id {
        condition["StringEquals"]["aws:PrincipalOrgID"] = organisation.as_str().into();
    }
    if let Some(kind) = &req.function_url_auth_type {
        condition["StringEquals"]["lambda:FunctionUrlAuthType"] = kind.as_str().into();
    }
    if let Some(via) = req.invoked_via_function_url {
        condition["Bool"]["lambda:InvokedViaFunctionUrl"] = via.to_string().into();
    }
    if let Some(arn) = &req.source_arn {
        condition["ArnLike"]["AWS:SourceArn"] = arn.as_str().into();
    }
    if condition != json!({}) {
        statement["Condition"] = condition;
    }
    statement
}
