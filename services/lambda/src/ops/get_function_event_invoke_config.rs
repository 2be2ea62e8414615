//! GetFunctionEventInvokeConfig.

use api_lambda::{FunctionEventInvokeConfig, GetFunctionEventInvokeConfig, GetFunctionEventInvokeConfigRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::put_function_event_invoke_config::not_found;
use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetFunctionEventInvokeConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetFunctionEventInvokeConfigRequest,
    ) -> Result<FunctionEventInvokeConfig, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let resolved = self.store.read(|tx| place.resolve(tx, &name, 1.0)).await?;
        resolved.invoke_config.ok_or_else(|| not_found(&place, &name))
    }
}
