//! DeleteModel: jobs that were asked for go on with the model as it was.

use api_sagemaker::{DeleteModel, DeleteModelInput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::SageMaker;
use crate::records::{model_arn, model_key, no_model, tags_key};

#[async_trait]
impl Handle<DeleteModel> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DeleteModelInput) -> Result<Empty, Error> {
        let key = model_key(cx, &req.model_name);
        let tags = tags_key(cx, &model_arn(cx, &req.model_name));
        let missing = no_model(cx, &req.model_name);
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_none() {
                return Err(missing.clone());
            }
            tx.delete(&key)?;
            tx.delete(&tags)?;
            Ok(Empty::default())
        })
        .await
    }
}
