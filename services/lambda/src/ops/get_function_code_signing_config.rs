//! GetFunctionCodeSigningConfig: no function has one, which AWS says with an empty ARN.

use api_lambda::{
    GetFunctionCodeSigningConfig, GetFunctionCodeSigningConfigRequest, GetFunctionCodeSigningConfigResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetFunctionCodeSigningConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetFunctionCodeSigningConfigRequest,
    ) -> Result<GetFunctionCodeSigningConfigResponse, Error> {
        let (place, function_name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        self.store.read(|tx| place.load(tx, &function_name)).await?;
        Ok(GetFunctionCodeSigningConfigResponse { code_signing_config_arn: String::new(), function_name })
    }
}
