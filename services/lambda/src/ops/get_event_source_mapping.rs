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
        let found = self.store.read(|tx| Ok::<_, Error>(tx.get_json(place.mapping(&req.uuid))?)).await?;
        found.ok_or_else(mapping::not_found)
    }
}
