//! GetFunction: configuration, a link to the code, tags.

use api_lambda::{Concurrency, FunctionCodeLocation, GetFunction, GetFunctionRequest, GetFunctionResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<GetFunction> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetFunctionRequest) -> Result<GetFunctionResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let resolved = self.store.read(|tx| place.resolve(tx, &name, 1.0)).await?;
        let mut configuration = resolved.version.config.clone();
        configuration.function_arn = Some(resolved.arn);
        let code = FunctionCodeLocation {
            repository_type: Some("S3".to_owned()),
            location: Some(self.link_code(cx, &resolved.version.code)),
            ..Default::default()
        };
        Ok(GetFunctionResponse {
            configuration: Some(self.told(cx, configuration).await),
            code: Some(code),
            tags: Some(resolved.function.tags).filter(|tags| !tags.is_empty()),
            concurrency: resolved
                .function
                .reserved
                .map(|reserved| Concurrency { reserved_concurrent_executions: Some(reserved) }),
            ..Default::default()
        })
    }
}
