//! RemoveLayerVersionPermission: takes a statement out of a version's policy.

use api_lambda::{RemoveLayerVersionPermission, RemoveLayerVersionPermissionRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::layer_number;
use crate::function::Policy;
use crate::layer::{self, LayerName};
use crate::{Lambda, check};

#[async_trait]
impl Handle<RemoveLayerVersionPermission> for Lambda {
    async fn handle(&self, cx: &Cx, req: RemoveLayerVersionPermissionRequest) -> Result<Empty, Error> {
        let (layer, number) = (LayerName::parse(cx, &req.layer_name)?, layer_number(req.version_number)?);
        let (place, revision) = (layer.own(cx)?, cx.uuid());
        cx.write(&self.store, move |tx| {
            layer::find(tx, &layer, number)?;
            let key = place.layer_policy(&layer.name, number);
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
