//! ListModels: the newest first, unless asked otherwise.

use api_sagemaker::{ListModels, ListModelsInput, ListModelsOutput, ModelSummary};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::listing::{Between, Listed, Listing};
use crate::records::{ModelRecord, models_key};

impl Listed for ModelSummary {
    fn name(&self) -> &str {
        &self.model_name
    }
    fn created(&self) -> Timestamp {
        self.creation_time
    }
}

#[async_trait]
impl Handle<ListModels> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListModelsInput) -> Result<ListModelsOutput, Error> {
        let key = models_key(cx);
        let records: Vec<ModelRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let summaries = records.into_iter().map(|r| ModelSummary {
            model_name: r.model.model_name,
            model_arn: r.model.model_arn,
            creation_time: r.model.creation_time,
        });
        let listing = Listing {
            name_contains: req.name_contains,
            created: Between { before: req.creation_time_before, after: req.creation_time_after },
            sort_by: req.sort_by,
            order: req.sort_order,
            token: req.next_token,
            limit: req.max_results,
            ..Listing::default()
        };
        let (models, next_token) = listing.page(summaries)?;
        Ok(ListModelsOutput { models, next_token })
    }
}
