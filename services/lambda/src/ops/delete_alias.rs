//! DeleteAlias: one that is not there is no error.

use api_lambda::{DeleteAlias, DeleteAliasRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::url::Url;
use crate::{Lambda, provision};

#[async_trait]
impl Handle<DeleteAlias> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteAliasRequest) -> Result<Empty, Error> {
        let function_name = req.function_name.clone();
        self.change(cx, &function_name, move |tx, place, function| {
            let name = function.latest.config.function_name.clone().unwrap_or_default();
            tx.delete(place.policy(&name, Some(&req.name)))?;
            tx.delete(place.invoke_config(&name, Some(&req.name)))?;
            provision::stop(tx, place, &name, &req.name)?;
            if let Some(url) = tx.get_json::<Url>(place.url(&name, Some(&req.name)))? {
                tx.delete(Url::index(&url.id))?;
                tx.delete(place.url(&name, Some(&req.name)))?;
            }
            Ok(tx.delete(place.alias(&name, &req.name))?)
        })
        .await?;
        Ok(Empty {})
    }
}
