//! GetFunctionConcurrency.

use api_lambda::{GetFunctionConcurrency, GetFunctionConcurrencyRequest, GetFunctionConcurrencyResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetFunctionConcurrency> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetFunctionConcurrencyRequest,
    ) -> Result<GetFunctionConcurrencyResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let function = self.store.read(|tx| place.load(tx, &name)).await?;
        Ok(GetFunctionConcurrencyResponse { reserved_concurrent_executions: function.reserved })
    }
}
