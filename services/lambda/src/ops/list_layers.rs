//! ListLayers: each layer with the newest version that suits.

use api_lambda::{LayersListItem, ListLayers, ListLayersRequest, ListLayersResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::page_of;
use crate::Lambda;
use crate::function::Scope;
use crate::layer::LayerVersion;

#[async_trait]
impl Handle<ListLayers> for Lambda {
    async fn handle(&self, cx: &Cx, req: ListLayersRequest) -> Result<ListLayersResponse, Error> {
        let place = Scope::of(cx);
        let (runtime, architecture) = (req.compatible_runtime.as_deref(), req.compatible_architecture.as_deref());
        let mut newest: Vec<LayerVersion> = Vec::new();
        // Versions of a layer lie together, the newest last.
        for version in self.layer_versions(place.layers()).await? {
            if !version.suits(runtime, architecture) {
                continue;
            }
            match newest.last_mut().filter(|last| last.name == version.name) {
                Some(last) => *last = version,
                None => newest.push(version),
            }
        }
        // By their names.
        let passed = |version: &LayerVersion| req.marker.as_deref().is_some_and(|last| version.name.as_str() <= last);
        let (page, next_marker) = page_of(newest, passed, |version| version.name.clone(), req.max_items);
        let layers = page.iter().map(|version| LayersListItem {
            layer_name: Some(version.name.clone()),
            layer_arn: Some(place.layer_arn(&version.name)),
            latest_matching_version: Some(version.listed(&place)),
        });
        Ok(ListLayersResponse { next_marker, layers: Some(layers.collect()) })
    }
}
