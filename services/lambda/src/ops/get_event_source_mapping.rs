//! GetEventSourceMapping.

use api_lambda::{EventSourceMappingConfiguration, GetEventSourceMapping, GetEventSourceMappingRequest};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::function::Scope;
use crate::{Lambda, mapping};

#[async_trait]
impl Handle<GetEventSourceMapping> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetEventSourceMappingRequest,
    ) -> Result<EventSourceMappingConfiguration, Error> {
        let place = Scope::of(cx);
        self.store
            .read(|tx| {
                let found = tx.get_json(place.mapping(&req.uuid))?.ok_or_else(mapping::not_found)?;
                mapping::told(tx, &place, found)
            })
            .await
    }
}
