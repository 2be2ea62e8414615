//! GetFunctionConfiguration.

use api_lambda::{FunctionConfiguration, GetFunctionConfiguration, GetFunctionConfigurationRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetFunctionConfiguration> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetFunctionConfigurationRequest) -> Result<FunctionConfiguration, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let resolved = self.store.read(|tx| place.resolve(tx, &name, 1.0)).await?;
        let shown = FunctionConfiguration { function_arn: Some(resolved.arn), ..resolved.version.config };
        Ok(self.told(cx, shown).await)
    }
}
