//! DeleteFunctionConcurrency: back to the account's limit.

use api_lambda::{DeleteFunctionConcurrency, DeleteFunctionConcurrencyRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::Lambda;

#[async_trait]
impl Handle<DeleteFunctionConcurrency> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteFunctionConcurrencyRequest) -> Result<Empty, Error> {
        self.change(cx, &req.function_name, |_, _, function| {
            function.reserved = None;
            Ok(())
        })
        .await?;
        Ok(Empty {})
    }
}
