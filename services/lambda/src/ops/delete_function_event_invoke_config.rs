//! DeleteFunctionEventInvokeConfig: back to two retries and no destinations.

use api_lambda::{DeleteFunctionEventInvokeConfig, DeleteFunctionEventInvokeConfigRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::put_function_event_invoke_config::not_found;
use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<DeleteFunctionEventInvokeConfig> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteFunctionEventInvokeConfigRequest) -> Result<Empty, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        cx.write(&self.store, move |tx| {
            let key = place.invoke_config(&name.name, name.qualifier.as_deref());
            tx.get(&key)?.ok_or_else(|| not_found(&place, &name))?;
            Ok::<_, Error>(tx.delete(key)?)
        })
        .await?;
        Ok(Empty {})
    }
}
