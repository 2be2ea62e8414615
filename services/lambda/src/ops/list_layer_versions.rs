//! ListLayerVersions: the newest first.

use api_lambda::{ListLayerVersions, ListLayerVersionsRequest, ListLayerVersionsResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;

use super::{invalid_marker, page_of};
use crate::Lambda;
use crate::layer::{LayerName, LayerVersion};

#[async_trait]
impl Handle<ListLayerVersions> for Lambda {
    async fn handle(&self, cx: &Cx, req: ListLayerVersionsRequest) -> Result<ListLayerVersionsResponse, Error> {
        let layer = LayerName::parse(cx, &req.layer_name)?;
        let (runtime, architecture) = (req.compatible_runtime.as_deref(), req.compatible_architecture.as_deref());
        let mut versions = self.layer_versions(layer.place.layer_versions(&layer.name)).await?;
        versions.retain(|version| version.suits(runtime, architecture));
        versions.reverse();
        let last: Option<u64> = req.marker.map(|last| last.parse().map_err(|_| invalid_marker())).transpose()?;
        let passed = |version: &LayerVersion| last.is_some_and(|last| version.number >= last);
        let (page, next_marker) = page_of(versions, passed, |version| version.number.to_string(), req.max_items);
        let versions = page.iter().map(|version| version.listed(&layer.place)).collect();
        Ok(ListLayerVersionsResponse { next_marker, layer_versions: Some(versions) })
    }
}

impl Lambda {
    /// All versions under a prefix, oldest first.
    pub(super) async fn layer_versions(&self, prefix: Key) -> Result<Vec<LayerVersion>, Error> {
        self.store
            .read(move |tx| {
                let found = tx.scan_prefix(&prefix, 100_000)?;
                found.iter().map(|(_, value)| serde_json::from_slice(value).map_err(Error::internal)).collect()
            })
            .await
    }
}
