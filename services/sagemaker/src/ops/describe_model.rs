//! DescribeModel.

use api_sagemaker::{DescribeModel, DescribeModelInput, DescribeModelOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::SageMaker;
use crate::records::{ModelRecord, model_key, no_model};

#[async_trait]
impl Handle<DescribeModel> for SageMaker {
    async fn handle(&self, cx: &Cx, req: DescribeModelInput) -> Result<DescribeModelOutput, Error> {
        let key = model_key(cx, &req.model_name);
        let record: Option<ModelRecord> = self.store.read(|tx| tx.get_json(&key)).await?;
        record.map(|r| r.model).ok_or_else(|| no_model(cx, &req.model_name))
    }
}
