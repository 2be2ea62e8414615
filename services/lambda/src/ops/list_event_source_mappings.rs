//! ListEventSourceMappings, all or those of a source or function.

use api_lambda::{
    EventSourceMappingConfiguration, ListEventSourceMappings, ListEventSourceMappingsRequest,
    ListEventSourceMappingsResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page;
use crate::function::{Name, Scope};
use crate::{Lambda, mapping};

#[async_trait]
impl Handle<ListEventSourceMappings> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListEventSourceMappingsRequest,
    ) -> Result<ListEventSourceMappingsResponse, Error> {
        let place = Scope::of(cx);
        let function = req.function_name.as_deref().map(|name| Name::parse(name, None)).transpose()?;
        let function = function.map(|name| place.arn(&name.name, name.qualifier.as_deref()));
        let (mut mappings, next_marker) = self
            .store
            .read(|tx| {
                let (page, next) = page::<EventSourceMappingConfiguration>(
                    tx,
                    &place.mappings(),
                    req.marker.as_deref(),
                    req.max_items,
                )?;
                let told: Result<Vec<_>, Error> = page.into_iter().map(|one| mapping::told(tx, &place, one)).collect();
                Ok::<_, Error>((told?, next))
            })
            .await?;
        mappings.retain(|mapping| {
            (req.event_source_arn.is_none() || mapping.event_source_arn == req.event_source_arn)
                && (function.is_none() || mapping.function_arn == function)
        });
        Ok(ListEventSourceMappingsResponse { event_source_mappings: Some(mappings), next_marker })
    }
}
