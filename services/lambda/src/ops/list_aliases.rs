//! ListAliases, all or those of one version.

use api_lambda::{AliasConfiguration, ListAliases, ListAliasesRequest, ListAliasesResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page;
use crate::Lambda;
use crate::function::{Name, Scope};

#[async_trait]
impl Handle<ListAliases> for Lambda {
    async fn handle(&self, cx: &Cx, req: ListAliasesRequest) -> Result<ListAliasesResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let (mut aliases, next_marker) = self
            .store
            .read(|tx| {
                place.load(tx, &name)?;
                page::<AliasConfiguration>(tx, &place.aliases(&name), req.marker.as_deref(), req.max_items)
            })
            .await?;
        aliases.retain(|alias| req.function_version.is_none() || alias.function_version == req.function_version);
        Ok(ListAliasesResponse { aliases: Some(aliases), next_marker })
    }
}
