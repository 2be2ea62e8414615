//! PutFunctionConcurrency: how many invocations of a function may run at once.

use api_lambda::{Concurrency, PutFunctionConcurrency, PutFunctionConcurrencyRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::Lambda;

#[async_trait]
impl Handle<PutFunctionConcurrency> for Lambda {
    async fn handle(&self, cx: &Cx, req: PutFunctionConcurrencyRequest) -> Result<Concurrency, Error> {
        let reserved = req.reserved_concurrent_executions;
        self.change(cx, &req.function_name, move |_, _, function| {
            function.reserved = Some(reserved);
            Ok(Concurrency { reserved_concurrent_executions: Some(reserved) })
        })
        .await
    }
}
