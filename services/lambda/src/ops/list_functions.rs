//! ListFunctions: `$LATEST` of every function; with `FunctionVersion: ALL` the published versions too.

use api_lambda::{ListFunctions, ListFunctionsRequest, ListFunctionsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page;
use crate::Lambda;
use crate::function::{Function, Scope, Version};

#[async_trait]
impl Handle<ListFunctions> for Lambda {
    async fn handle(&self, cx: &Cx, req: ListFunctionsRequest) -> Result<ListFunctionsResponse, Error> {
        let place = Scope::of(cx);
        let all = req.function_version.as_deref() == Some("ALL");
        let (functions, next_marker) = self
            .store
            .read(|tx| {
                let (functions, next) = page::<Function>(tx, &place.functions(), req.marker.as_deref(), req.max_items)?;
                let mut shown = Vec::new();
                for function in functions {
                    shown.push(function.latest.shown(all));
                    if all {
                        let name = function.latest.config.function_name.as_deref().unwrap_or_default();
                        let versions: Vec<Version> = tx.list_json(place.versions(name), 10_000)?;
                        shown.extend(versions.iter().map(|version| version.shown(true)));
                    }
                }
                Ok::<_, Error>((shown, next))
            })
            .await?;
        let functions = Some(self.all_told(cx, functions).await);
        Ok(ListFunctionsResponse { functions, next_marker })
    }
}
