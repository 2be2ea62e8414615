//! UpdateSecretVersionStage: moves a stage from one version to another, as rotations do.

use api_secretsmanager::error::{invalid_parameter_exception, resource_not_found_exception};
use api_secretsmanager::{UpdateSecretVersionStage, UpdateSecretVersionStageRequest, UpdateSecretVersionStageResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Secrets;
use crate::secret::{CURRENT, find_live, prefix};

#[async_trait]
impl Handle<UpdateSecretVersionStage> for Secrets {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateSecretVersionStageRequest,
    ) -> Result<UpdateSecretVersionStageResponse, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            let (stage, to, from) = (&req.version_stage, req.move_to_version_id.as_deref(), req.remove_from_version_id.as_deref());
            if to.is_none() && (from.is_none() || stage == CURRENT) {
                return Err(invalid_parameter_exception(if stage == CURRENT {
                    "You must provide value for MoveToVersionId parameter. You cannot have no version labeled AWSCURRENT."
                } else {
                    "You must specify MoveToVersionId or RemoveFromVersionId."
                }));
            }
            for id in to.iter().chain(&from) {
                if !secret.versions.contains_key(*id) {
                    return Err(resource_not_found_exception("Secrets Manager can't find the specified secret version."));
                }
            }
            let holder = secret.holder(stage);
            // A stage is taken only from the version that the caller says has it.
            match (&holder, from) {
                (Some(holder), Some(from)) if holder != from => {
                    return Err(invalid_parameter_exception(format!(
                        "The parameter RemoveFromVersionId can't be {from}. Staging label {stage} is currently attached to version {holder}."
                    )));
                }
                (None, Some(from)) => {
                    return Err(invalid_parameter_exception(format!(
                        "The parameter RemoveFromVersionId can't be {from}. Staging label {stage} is not attached to any version."
                    )));
                }
                (Some(holder), None) if to.is_some_and(|to| to != holder) => {
                    return Err(invalid_parameter_exception(format!(
                        "The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to version \
                         {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                    )));
                }
                _ => {}
            }
            secret.move_stage(stage, to);
            tx.put_json(&key, &secret)?;
            Ok(UpdateSecretVersionStageResponse { arn: Some(secret.arn), name: Some(secret.name) })
        })
        .await
    }
}
