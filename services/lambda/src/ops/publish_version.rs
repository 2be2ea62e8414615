//! PublishVersion: freezes `$LATEST`.

use api_lambda::{FunctionConfiguration, PublishVersion, PublishVersionRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::publish;
use crate::{Lambda, check};

#[async_trait]
impl Handle<PublishVersion> for Lambda {
    async fn handle(&self, cx: &Cx, req: PublishVersionRequest) -> Result<FunctionConfiguration, Error> {
        let function_name = req.function_name.clone();
        let shown = self.change(cx, &function_name, move |tx, place, function| {
            let config = &function.latest.config;
            check::revision(req.revision_id.as_deref(), config.revision_id.as_deref())?;
            if req.code_sha256.as_ref().is_some_and(|wanted| config.code_sha256.as_ref() != Some(wanted)) {
                let current = config.code_sha256.as_deref().unwrap_or_default();
                let message = format!("CodeSHA256 ({}) is different from current CodeSHA256 in $LATEST ({current}). Please try again with the CodeSHA256 in $LATEST.", req.code_sha256.as_deref().unwrap_or_default());
                return Err(error::invalid_parameter_value_exception(message));
            }
            publish(tx, place, function, req.description.clone().filter(|text| !text.is_empty()))
        });
        Ok(self.told(cx, shown.await?).await)
    }
}
