//! RemovePermission: takes a statement out of a resource policy.

use api_lambda::{RemovePermission, RemovePermissionRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::function::{Name, Policy, Scope};
use crate::{Lambda, check};

#[async_trait]
impl Handle<RemovePermission> for Lambda {
    async fn handle(&self, cx: &Cx, req: RemovePermissionRequest) -> Result<Empty, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let revision = cx.uuid();
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            let key = place.policy(&name.name, name.qualifier.as_deref());
            let unknown = || {
                error::resource_not_found_exception(format!(
                    "Statement {} is not found in resource policy.",
                    req.statement_id
                ))
            };
            let mut policy = tx.get_json::<Policy>(&key)?.ok_or_else(unknown)?;
            check::revision(req.revision_id.as_deref(), Some(&policy.revision))?;
            let before = policy.statements.len();
            policy.statements.retain(|statement| statement["Sid"] != req.statement_id.as_str());
            if policy.statements.len() == before {
                return Err(unknown());
            }
            policy.revision.clone_from(&revision);
            if policy.statements.is_empty() { Ok(tx.delete(key)?) } else { Ok(tx.put_json(key, &policy)?) }
        })
        .await?;
        Ok(Empty {})
    }
}
