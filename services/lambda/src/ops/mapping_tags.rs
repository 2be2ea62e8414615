//! The tags of event source mappings, which the operations on tags take as they take functions.

use std::collections::BTreeMap;

use api_lambda::EventSourceMappingConfiguration;
use service::Cx;
use wire::Error;
use wire::types::Empty;

use crate::function::Scope;
use crate::{Lambda, mapping};

/// The mapping that an ARN names, where it is one's of here.
pub(super) fn tagged_mapping<'a>(cx: &Cx, arn: &'a str) -> Option<&'a str> {
    arn.strip_prefix(&cx.arn("lambda", "event-source-mapping:"))
}

impl Lambda {
    pub(super) async fn mapping_tags(&self, cx: &Cx, uuid: &str) -> Result<BTreeMap<String, String>, Error> {
        let place = Scope::of(cx);
        self.store
            .read(|tx| {
                tx.get_json::<EventSourceMappingConfiguration>(place.mapping(uuid))?.ok_or_else(mapping::not_found)?;
                Ok(tx.get_json(place.mapping_tags(uuid))?.unwrap_or_default())
            })
            .await
    }

    pub(super) async fn change_mapping_tags(
        &self,
        cx: &Cx,
        uuid: &str,
        change: impl Fn(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<Empty, Error> {
        let (place, uuid) = (Scope::of(cx), uuid.to_owned());
        cx.write(&self.store, move |tx| {
            tx.get_json::<EventSourceMappingConfiguration>(place.mapping(&uuid))?.ok_or_else(mapping::not_found)?;
            let mut tags = tx.get_json(place.mapping_tags(&uuid))?.unwrap_or_default();
            change(&mut tags);
            tx.put_json(place.mapping_tags(&uuid), &tags)?;
            Ok(Empty {})
        })
        .await
    }
}
