//! DeleteEventSourceMapping.

use api_lambda::{DeleteEventSourceMapping, DeleteEventSourceMappingRequest, EventSourceMappingConfiguration};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::function::Scope;
use crate::{Lambda, mapping};

#[async_trait]
impl Handle<DeleteEventSourceMapping> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: DeleteEventSourceMappingRequest,
    ) -> Result<EventSourceMappingConfiguration, Error> {
        let place = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let key = place.mapping(&req.uuid);
            let found = tx.get_json::<EventSourceMappingConfiguration>(&key)?.ok_or_else(mapping::not_found)?;
            mapping::stop(tx, &req.uuid)?;
            tx.delete(place.position(&req.uuid))?;
            tx.delete(place.mapping_tags(&req.uuid))?;
            tx.delete(key)?;
            Ok(EventSourceMappingConfiguration { state: Some("Deleting".to_owned()), ..found })
        })
        .await
    }
}
