//! CreateModel: names an archive and a role. The archive is looked at when a job needs it.

use api_sagemaker::{CreateModel, CreateModelInput, CreateModelOutput, DescribeModelOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::SageMaker;
use crate::records::{ModelRecord, VERSION, add_tags, model_arn, model_key, tags_key};

#[async_trait]
impl Handle<CreateModel> for SageMaker {
    async fn handle(&self, cx: &Cx, req: CreateModelInput) -> Result<CreateModelOutput, Error> {
        if req.primary_container.is_none() && req.containers.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::validation("You must provide either PrimaryContainer or Containers."));
        }
        if req.containers.as_ref().is_some_and(|c| c.len() > 1) {
            return Err(Error::not_implemented("CreateModel with several containers"));
        }
        let arn = model_arn(cx, &req.model_name);
        let (key, tags) = (model_key(cx, &req.model_name), tags_key(cx, &arn));
        let labels = req.tags.unwrap_or_default();
        let model = DescribeModelOutput {
            model_name: req.model_name,
            primary_container: req.primary_container,
            containers: req.containers,
            inference_execution_config: req.inference_execution_config,
            execution_role_arn: req.execution_role_arn,
            vpc_config: req.vpc_config,
            creation_time: Timestamp(cx.now()),
            model_arn: arn.clone(),
            enable_network_isolation: Some(req.enable_network_isolation.unwrap_or(false)),
            ..Default::default()
        };
        let record = ModelRecord { version: VERSION, model };
        cx.write(&self.store, move |tx| {
            if tx.get(&key)?.is_some() {
                return Err(Error::validation(format!("Cannot create already existing model \"{arn}\".")));
            }
            tx.put_json(&key, &record)?;
            add_tags(tx, &tags, &labels)?;
            Ok(CreateModelOutput { model_arn: arn.clone() })
        })
        .await
    }
}
