//! CreateTransformJob: puts a job on the queue.

use api_sagemaker::{
    CreateTransformJob, CreateTransformJobRequest, CreateTransformJobResponse, DescribeTransformJobResponse,
};
use async_trait::async_trait;
use service::lineage::Worker;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::records::{JobKey, JobRecord, ModelRecord, VERSION, add_tags, job_arn, model_key, no_model, tags_key};
use crate::transform::Transforms;
use crate::{SageMaker, event};

#[async_trait]
impl Handle<CreateTransformJob> for SageMaker {
    async fn handle(&self, cx: &Cx, req: CreateTransformJobRequest) -> Result<CreateTransformJobResponse, Error> {
        for (what, path) in [
            ("S3Uri", &req.transform_input.data_source.s3_data_source.s3_uri),
            ("S3OutputPath", &req.transform_output.s3_output_path),
        ] {
            if !path.starts_with("s3://") {
                return Err(Error::validation(format!("{what} must be an s3:// path, not {path}")));
            }
        }
        check_payload(&req)?;
        let arn = job_arn(cx, &req.transform_job_name);
        let (place, now) = (JobKey::of(cx, &req.transform_job_name), Timestamp(cx.now()));
        let (model, tags) = (model_key(cx, &req.model_name), tags_key(cx, &arn));
        let missing = no_model(cx, &req.model_name);
        let labels = req.tags.clone().unwrap_or_default();
        let job = described(req, arn.clone(), now);
        let task = place.task();
        let made = cx.write(&self.store, move |tx| {
            if tx.get(place.record())?.is_some() {
                let message = format!("Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})");
                return Err(api_sagemaker::error::resource_in_use(message));
            }
            let model = tx.get_json::<ModelRecord>(&model)?.ok_or_else(|| missing.clone())?.model;
            let record = JobRecord { version: VERSION, job: job.clone(), model, attempt: None, ended: None, used: None };
            tx.put_json(place.record(), &record)?;
            add_tags(tx, &tags, &labels)?;
            jobs::start::<Transforms>(tx, &place.task(), &place)?;
            event::enqueue(tx, &place, &record, now)?;
            Ok(CreateTransformJobResponse { transform_job_arn: arn.clone() })
        });
        let made = made.await?;
        cx.began(Worker::Job(task));
        Ok(made)
    }
}

/// Source: SageMaker API Reference, CreateTransformJob, MaxPayloadInMB: 100 MB, for all at once too.
fn check_payload(req: &CreateTransformJobRequest) -> Result<(), Error> {
    let (payload, at_once) =
        (i64::from(req.max_payload_in_mb.unwrap_or(0)), i64::from(req.max_concurrent_transforms.unwrap_or(0)));
    if payload > 100 {
        return Err(Error::validation(format!("MaxPayloadInMB cannot be greater than 100 MB, given: {payload}")));
    }
    if payload * at_once > 100 {
        let message =
            format!("MaxConcurrentTransforms * MaxPayloadInMB cannot exceed 100 MB, given: {at_once} * {payload}");
        return Err(Error::validation(message));
    }
    Ok(())
}

fn described(req: CreateTransformJobRequest, arn: String, now: Timestamp) -> DescribeTransformJobResponse {
    DescribeTransformJobResponse {
        transform_job_name: req.transform_job_name,
        transform_job_arn: arn,
        transform_job_status: "InProgress".to_owned(),
        model_name: req.model_name,
        max_concurrent_transforms: req.max_concurrent_transforms,
        model_client_config: req.model_client_config,
        max_payload_in_mb: req.max_payload_in_mb,
        batch_strategy: req.batch_strategy,
        environment: req.environment,
        transform_input: req.transform_input,
        transform_output: Some(req.transform_output),
        data_capture_config: req.data_capture_config,
        transform_resources: req.transform_resources,
        creation_time: now,
        data_processing: req.data_processing,
        experiment_config: req.experiment_config,
        ..Default::default()
    }
}
