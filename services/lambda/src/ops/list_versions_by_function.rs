//! ListVersionsByFunction: `$LATEST` first, then the published ones.

use api_lambda::{ListVersionsByFunction, ListVersionsByFunctionRequest, ListVersionsByFunctionResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page;
use crate::Lambda;
use crate::function::{Name, Scope, Version};

#[async_trait]
impl Handle<ListVersionsByFunction> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListVersionsByFunctionRequest,
    ) -> Result<ListVersionsByFunctionResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let (versions, next_marker) = self
            .store
            .read(|tx| {
                let function = place.load(tx, &name)?;
                let (found, next) = page::<Version>(tx, &place.versions(&name), req.marker.as_deref(), req.max_items)?;
                let latest = req.marker.is_none().then(|| function.latest.shown(true));
                let versions: Vec<_> =
                    latest.into_iter().chain(found.iter().map(|version| version.shown(true))).collect();
                Ok::<_, Error>((versions, next))
            })
            .await?;
        let versions = Some(self.all_told(cx, versions).await);
        Ok(ListVersionsByFunctionResponse { versions, next_marker })
    }
}
