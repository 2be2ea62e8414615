//! DeleteModel: jobs that were asked for, and endpoints, go on with the model as it was.

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
        let name = &req.model_name;
        let keys = (model_key(cx, name), tags_key(cx, &model_arn(cx, name)));
        self.remove(cx, keys, no_model(cx, name)).await
    }
}
