//! GetLayerVersionPolicy: who else may use a version.

use api_lambda::{GetLayerVersionPolicy, GetLayerVersionPolicyRequest, GetLayerVersionPolicyResponse, error};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;

use super::layer_number;
use crate::Lambda;
use crate::function::Policy;
use crate::layer::{self, LayerName};

#[async_trait]
impl Handle<GetLayerVersionPolicy> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetLayerVersionPolicyRequest) -> Result<GetLayerVersionPolicyResponse, Error> {
        let (layer, number) = (LayerName::parse(cx, &req.layer_name)?, layer_number(req.version_number)?);
        let place = layer.own(cx)?;
        let policy = self
            .store
            .read(|tx| {
                layer::find(tx, &layer, number)?;
                Ok::<_, Error>(tx.get_json::<Policy>(place.layer_policy(&layer.name, number))?)
            })
            .await?;
        let policy = policy.ok_or_else(|| {
            error::resource_not_found_exception("No policy is associated with the given resource.").with("Type", "User")
        })?;
        let document = json!({ "Version": "2012-10-17", "Id": "default", "Statement": policy.statements });
        Ok(GetLayerVersionPolicyResponse { policy: Some(document.to_string()), revision_id: Some(policy.revision) })
    }
}
