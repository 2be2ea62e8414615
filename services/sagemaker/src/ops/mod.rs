//! The operations, one a file.

mod add_tags;
mod create_model;
mod create_transform_job;
mod delete_model;
mod delete_tags;
mod describe_model;
mod describe_transform_job;
mod endpoint_configs;
mod endpoint_weights;
mod endpoints;
mod invoke_endpoint;
mod invoke_endpoint_async;
mod list_models;
mod list_tags;
mod list_transform_jobs;
mod stop_transform_job;

use service::Cx;
use store::Key;
use wire::Error;
use wire::types::Empty;

use crate::SageMaker;

impl SageMaker {
    /// Removes a record and its tags, or says that it is `missing`.
    async fn remove(&self, cx: &Cx, (record, tags): (Key, Key), missing: Error) -> Result<Empty, Error> {
        cx.write(&self.store, move |tx| {
            if tx.get(&record)?.is_none() {
                return Err(missing.clone());
            }
            tx.delete(&record)?;
            tx.delete(&tags)?;
            Ok(Empty::default())
        })
        .await
    }
}
