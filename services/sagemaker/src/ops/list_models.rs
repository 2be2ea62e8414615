//! ListModels: the newest first, unless asked otherwise.

use api_sagemaker::{ListModels, ListModelsInput, ListModelsOutput, ModelSummary};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{ModelRecord, models_key, page};

#[async_trait]
impl Handle<ListModels> for SageMaker {
    async fn handle(&self, cx: &Cx, req: ListModelsInput) -> Result<ListModelsOutput, Error> {
        let key = models_key(cx);
        let records: Vec<ModelRecord> = self.store.read(|tx| tx.list_json(&key, usize::MAX)).await?;
        let mut models: Vec<_> = records
            .into_iter()
            .map(|r| ModelSummary {
                model_name: r.model.model_name,
                model_arn: r.model.model_arn,
                creation_time: r.model.creation_time,
            })
            .filter(|m| req.name_contains.as_ref().is_none_or(|part| m.model_name.contains(part)))
            .filter(|m| req.creation_time_before.is_none_or(|t| m.creation_time < t))
            .filter(|m| req.creation_time_after.is_none_or(|t| m.creation_time > t))
            .collect();
        match req.sort_by.as_deref() {
            Some("Name") => models.sort_by(|a, b| a.model_name.cmp(&b.model_name)),
            _ => models.sort_by_key(|m| m.creation_time),
        }
        if req.sort_order.as_deref() != Some("Ascending") {
            models.reverse();
        }
        let (models, next) = page(models, |m| m.model_name.clone(), req.next_token.as_deref(), req.max_results);
        Ok(ListModelsOutput { models, next_token: next })
    }
}
