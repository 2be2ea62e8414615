//! DeleteLayerVersion: it can be added to no function any more; those that have it keep it. One that is not there is no error.

use api_lambda::{DeleteLayerVersion, DeleteLayerVersionRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::layer_number;
use crate::Lambda;
use crate::layer::LayerName;

#[async_trait]
impl Handle<DeleteLayerVersion> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteLayerVersionRequest) -> Result<Empty, Error> {
        let (layer, number) = (LayerName::parse(cx, &req.layer_name)?, layer_number(req.version_number)?);
        let place = layer.own(cx)?;
        cx.write(&self.store, move |tx| {
            tx.delete(place.layer_version(&layer.name, number))?;
            tx.delete(place.layer_policy(&layer.name, number))?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}
