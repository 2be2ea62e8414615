//! What is stored: models, transform jobs, tags by ARN.

use std::collections::BTreeMap;

use api_sagemaker::{
    ContainerDefinition, DescribeEndpointConfigOutput, DescribeEndpointOutput, DescribeModelOutput,
    DescribeTransformJobResponse, Tag,
};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::endpoint::Deployment;

/// Version 1 of all records.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ModelRecord {
    pub(crate) version: u32,
    pub(crate) model: DescribeModelOutput,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndpointConfigRecord {
    pub(crate) version: u32,
    pub(crate) config: DescribeEndpointConfigOutput,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndpointRecord {
    pub(crate) version: u32,
    pub(crate) endpoint: DescribeEndpointOutput,
    /// What answers calls; a server of an earlier version kept none.
    #[serde(default)]
    pub(crate) current: Option<Deployment>,
    /// What is being started.
    #[serde(default)]
    pub(crate) pending: Option<Deployment>,
}

/// The attempt that a server of an earlier version had under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobRecord {
    pub(crate) version: u32,
    pub(crate) job: DescribeTransformJobResponse,
    /// The model as it was when the job was asked for.
    pub(crate) model: DescribeModelOutput,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// How the work ended, as a server of an earlier version noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Ended>,
    /// What the job took.
    #[serde(default)]
    pub(crate) used: Option<jobs::Used>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) status: String,
    pub(crate) reason: Option<String>,
}

impl JobRecord {
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.job.transform_job_status.as_str(), "Completed" | "Failed" | "Stopped")
    }
}

/// Where a job is. The payload of its tasks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct JobKey {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) job: String,
}

impl JobKey {
    pub(crate) fn of(cx: &Cx, job: &str) -> Self {
        Self { account: cx.account().into(), region: cx.region().into(), job: job.into() }
    }
    pub(crate) fn task(&self) -> String {
        format!("sagemaker:transform:{}:{}:{}", self.account, self.region, self.job)
    }
    pub(crate) fn record(&self) -> Key {
        Key::new("sagemaker").push(&self.account).push(&self.region).push("transform").push(&self.job)
    }
    pub(crate) fn load(&self, tx: &mut Tx<'_>) -> Result<JobRecord, Error> {
        let missing = || Error::validation(format!("Could not find requested job with name: {}", self.job));
        tx.get_json(self.record())?.ok_or_else(missing)
    }
}

fn under(cx: &Cx, what: &str) -> Key {
    Key::new("sagemaker").push(cx.account()).push(cx.region()).push(what)
}

pub(crate) fn jobs_key(cx: &Cx) -> Key {
    under(cx, "transform")
}

pub(crate) fn models_key(cx: &Cx) -> Key {
    under(cx, "model")
}

pub(crate) fn model_key(cx: &Cx, name: &str) -> Key {
    models_key(cx).push(name)
}

pub(crate) fn tags_key(cx: &Cx, arn: &str) -> Key {
    under(cx, "tags").push(arn)
}

pub(crate) fn model_arn(cx: &Cx, name: &str) -> String {
    cx.arn("sagemaker", format!("model/{}", name.to_lowercase()))
}

pub(crate) fn job_arn(cx: &Cx, name: &str) -> String {
    cx.arn("sagemaker", format!("transform-job/{}", name.to_lowercase()))
}

pub(crate) fn endpoint_configs_key(cx: &Cx) -> Key {
    under(cx, "endpoint-config")
}

pub(crate) fn endpoint_config_key(cx: &Cx, name: &str) -> Key {
    endpoint_configs_key(cx).push(name)
}

pub(crate) fn endpoints_key(cx: &Cx) -> Key {
    under(cx, "endpoint")
}

pub(crate) fn endpoint_key(cx: &Cx, name: &str) -> Key {
    endpoints_key(cx).push(name)
}

pub(crate) fn endpoint_config_arn(cx: &Cx, name: &str) -> String {
    cx.arn("sagemaker", format!("endpoint-config/{}", name.to_lowercase()))
}

pub(crate) fn endpoint_arn(cx: &Cx, name: &str) -> String {
    cx.arn("sagemaker", format!("endpoint/{}", name.to_lowercase()))
}

pub(crate) fn no_endpoint_config(cx: &Cx, name: &str) -> Error {
    Error::validation(format!("Could not find endpoint configuration \"{}\".", endpoint_config_arn(cx, name)))
}

pub(crate) fn no_endpoint(cx: &Cx, name: &str) -> Error {
    Error::validation(format!("Could not find endpoint \"{}\".", endpoint_arn(cx, name)))
}

pub(crate) fn no_model(cx: &Cx, name: &str) -> Error {
    Error::validation(format!("Could not find model \"{}\".", model_arn(cx, name)))
}

/// Errs where nothing has the ARN. Names in ARNs are in small letters, whatever the resource's own.
pub(crate) fn exists(tx: &mut Tx<'_>, cx: &Cx, arn: &str) -> Result<(), Error> {
    let found = match arn.split(':').nth(5).and_then(|resource| resource.split_once('/')) {
        Some(("model", _)) => told(tx, &models_key(cx), arn, |one: ModelRecord| one.model.model_arn)?,
        Some(("transform-job", _)) => told(tx, &jobs_key(cx), arn, |one: JobRecord| one.job.transform_job_arn)?,
        Some(("endpoint", _)) => told(tx, &endpoints_key(cx), arn, |one: EndpointRecord| one.endpoint.endpoint_arn)?,
        Some(("endpoint-config", _)) => {
            told(tx, &endpoint_configs_key(cx), arn, |one: EndpointConfigRecord| one.config.endpoint_config_arn)?
        }
        _ => false,
    };
    if found { Ok(()) } else { Err(Error::validation(format!("Could not find resource \"{arn}\"."))) }
}

fn told<T: serde::de::DeserializeOwned>(
    tx: &mut Tx<'_>,
    all: &Key,
    arn: &str,
    its: impl Fn(T) -> String,
) -> Result<bool, Error> {
    Ok(tx.list_json::<T>(all, usize::MAX)?.into_iter().any(|one| its(one) == arn))
}

pub(crate) fn load_tags(tx: &mut Tx<'_>, key: &Key) -> Result<BTreeMap<String, String>, Error> {
    Ok(tx.get_json(key)?.unwrap_or_default())
}

pub(crate) fn add_tags(tx: &mut Tx<'_>, key: &Key, tags: &[Tag]) -> Result<BTreeMap<String, String>, Error> {
    let mut all = load_tags(tx, key)?;
    all.extend(tags.iter().map(|t| (t.key.clone(), t.value.clone())));
    if all.len() > 50 {
        return Err(Error::validation("The number of tags exceeds the limit of 50."));
    }
    if !tags.is_empty() {
        tx.put_json(key, &all)?;
    }
    Ok(all)
}

pub(crate) fn as_tags(all: BTreeMap<String, String>) -> Vec<Tag> {
    all.into_iter().map(|(key, value)| Tag { key, value }).collect()
}

/// The one container of a model.
pub(crate) fn container(model: &DescribeModelOutput) -> Option<&ContainerDefinition> {
    model.primary_container.as_ref().or_else(|| model.containers.as_ref()?.first())
}

/// Where a model's archive is.
pub(crate) fn model_data(model: &DescribeModelOutput) -> String {
    let Some(container) = container(model) else { return String::new() };
    let source = container.model_data_source.as_ref().and_then(|source| source.s3_data_source.as_ref());
    container.model_data_url.clone().or_else(|| source.map(|source| source.s3_uri.clone())).unwrap_or_default()
}
