//! GetLayerVersion and GetLayerVersionByArn: a version and a link to its archive.

use api_lambda::{
    GetLayerVersion, GetLayerVersionByArn, GetLayerVersionByArnRequest, GetLayerVersionRequest,
    GetLayerVersionResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::layer_number;
use crate::Lambda;
use crate::layer::{self, LayerName};

#[async_trait]
impl Handle<GetLayerVersion> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetLayerVersionRequest) -> Result<GetLayerVersionResponse, Error> {
        let layer = LayerName::parse(cx, &req.layer_name)?;
        self.layer_version(cx, &layer, layer_number(req.version_number)?).await
    }
}

#[async_trait]
impl Handle<GetLayerVersionByArn> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetLayerVersionByArnRequest) -> Result<GetLayerVersionResponse, Error> {
        let layer = LayerName::parse(cx, &req.arn)?;
        let number = layer.version.ok_or_else(|| {
            error::invalid_parameter_value_exception(format!("{} is not the ARN of a layer version.", req.arn))
        })?;
        self.layer_version(cx, &layer, number).await
    }
}

impl Lambda {
    async fn layer_version(&self, cx: &Cx, layer: &LayerName, number: u64) -> Result<GetLayerVersionResponse, Error> {
        let find = |tx: &mut store::Tx<'_>| {
            layer::allow(cx, tx, layer, number)?;
            layer::find(tx, layer, number)
        };
        let version = self.store.read(find).await?;
        let location = self.link_code(cx, &version.code);
        Ok(version.shown(&layer.place, location))
    }
}
