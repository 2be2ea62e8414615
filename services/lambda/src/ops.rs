//! The operations, one a file, and the few steps that several of them share.

mod add_layer_version_permission;
mod add_permission;
mod create_alias;
mod create_event_source_mapping;
mod create_function;
mod delete_alias;
mod delete_event_source_mapping;
mod delete_function;
mod delete_function_concurrency;
mod delete_function_event_invoke_config;
mod delete_layer_version;
mod durable;
mod event_invoke_configs;
mod function_urls;
mod get_account_settings;
mod get_alias;
mod get_event_source_mapping;
mod get_function;
mod get_function_code_signing_config;
mod get_function_concurrency;
mod get_function_configuration;
mod get_function_event_invoke_config;
mod get_layer_version;
mod get_layer_version_policy;
mod get_policy;
mod invoke;
mod list_aliases;
mod list_event_source_mappings;
mod list_functions;
mod list_layer_versions;
mod list_layers;
mod list_tags;
mod list_versions_by_function;
mod mapping_tags;
mod provisioned_concurrency;
mod publish_layer_version;
mod publish_version;
mod put_function_concurrency;
mod put_function_event_invoke_config;
mod remove_layer_version_permission;
mod remove_permission;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_event_source_mapping;
mod update_function_code;
mod update_function_configuration;

use api_lambda::{FunctionConfiguration, error};
use api_s3::{GetObject, GetObjectRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use service::Cx;
use store::{Key, NewTask, Tx};
use wire::{Blob, Error};

use crate::Lambda;
use crate::asynchronous::{PREPARE, Prepare};
use crate::code::{Code, MAX_DIRECT_BYTES};
use crate::function::{Function, Name, Scope, Version};
use crate::layer::Used;

/// Where a request says that code is.
struct Source {
    zip: Option<Blob>,
    bucket: Option<String>,
    key: Option<String>,
    object_version: Option<String>,
}

impl Lambda {
    /// Changes a function's record; what it returns is remembered for a repeated call of the same task.
    async fn change<T, F>(&self, cx: &Cx, function_name: &str, mut change: F) -> Result<T, Error>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: FnMut(&mut Tx<'_>, &Scope, &mut Function) -> Result<T, Error> + Send + 'static,
    {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(function_name)?);
        cx.write(&self.store, move |tx| {
            let mut function = place.load(tx, &name)?;
            let result = change(tx, &place, &mut function)?;
            tx.put_json(place.function(&name), &function)?;
            Ok(result)
        })
        .await
    }

    /// Fetches the archive, checks it and keeps it.
    async fn fetch(&self, cx: &Cx, source: Source) -> Result<Code, Error> {
        let zip = match source {
            Source { zip: Some(zip), bucket: None, key: None, .. } => {
                if zip.0.len() > MAX_DIRECT_BYTES {
                    let message = format!(
                        "Request must be smaller than {MAX_DIRECT_BYTES} bytes for the CreateFunction operation"
                    );
                    return Err(error::request_too_large_exception(message));
                }
                zip
            }
            Source { zip: None, bucket: Some(bucket), key: Some(key), object_version } => {
                let request = GetObjectRequest { bucket, key, version_id: object_version, ..Default::default() };
                let object = cx.call::<GetObject>(request).await.map_err(|error| {
                    error::invalid_parameter_value_exception(format!(
                        "Error occurred while GetObject. S3 Error Code: {}. S3 Error Message: {}",
                        error.code(),
                        error.message()
                    ))
                })?;
                object.body.unwrap_or_default()
            }
            _ => return Err(error::invalid_parameter_value_exception("Please provide a source for function code.")),
        };
        let archive = self.archive.clone();
        let code =
            tokio::task::spawn_blocking(move || archive.keep(zip.as_bytes())).await.map_err(Error::internal)??;
        self.archive.share(&code).await?;
        Ok(code)
    }
}

/// Has the code made ready by the queue.
fn prepare(tx: &mut Tx<'_>, cx: (&str, &str), version: &Version) -> Result<(), Error> {
    let (account, region) = (cx.0.to_owned(), cx.1.to_owned());
    let function = version.config.function_name.clone().unwrap_or_default();
    let runtime = version.config.runtime.clone().unwrap_or_default();
    let layers = version.layers.join("+");
    let id = format!("{PREPARE}:{account}:{region}:{function}:{}:{layers}:{runtime}", version.code);
    let task =
        Prepare { account, region, function, code: version.code.clone(), layers: version.layers.clone(), runtime };
    Ok(tx.enqueue(NewTask::new(PREPARE, id).payload(&task)?)?)
}

/// The layers of a version, as it runs and as it shows them.
fn set_layers(version: &mut Version, used: Vec<Used>) {
    version.layers = used.iter().map(|one| one.code.clone()).collect();
    let shown: Vec<_> = used.into_iter().map(|one| one.shown).collect();
    version.config.layers = Some(shown).filter(|layers| !layers.is_empty());
}

/// Freezes `$LATEST` as the next version, unless nothing changed since the last one.
fn publish(
    tx: &mut Tx<'_>,
    place: &Scope,
    function: &mut Function,
    description: Option<String>,
) -> Result<FunctionConfiguration, Error> {
    let name = function.latest.config.function_name.clone().unwrap_or_default();
    if function.last_version > 0
        && let Some(last) = tx.get_json::<Version>(place.version(&name, function.last_version))?
        && alike(&last, &function.latest)
    {
        return Ok(last.shown(true));
    }
    function.last_version += 1;
    let mut version = function.latest.clone();
    version.config.version = Some(function.last_version.to_string());
    if description.is_some() {
        version.config.description = description;
    }
    tx.put_json(place.version(&name, function.last_version), &version)?;
    Ok(version.shown(true))
}

/// Whether two versions would do the same.
fn alike(one: &Version, other: &Version) -> bool {
    let essence = |version: &Version| FunctionConfiguration {
        version: None,
        description: None,
        last_modified: None,
        revision_id: None,
        state: None,
        state_reason: None,
        state_reason_code: None,
        last_update_status: None,
        last_update_status_reason: None,
        last_update_status_reason_code: None,
        ..version.config.clone()
    };
    one.code == other.code && one.layers == other.layers && essence(one) == essence(other)
}

/// Marks a change of `$LATEST`.
fn touch(config: &mut FunctionConfiguration, now: jiff::Timestamp, revision: &str) {
    config.last_modified = Some(last_modified(now));
    config.revision_id = Some(revision.to_owned());
}

fn last_modified(now: jiff::Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// One page of records under a prefix, with the marker of the next.
fn page<T: DeserializeOwned>(
    tx: &mut Tx<'_>,
    prefix: &Key,
    marker: Option<&str>,
    max: Option<i32>,
) -> Result<(Vec<T>, Option<String>), Error> {
    let max = usize::try_from(max.unwrap_or(50).clamp(1, 10_000)).unwrap_or(50);
    let after = marker.map(|marker| hex::decode(marker).map_err(|_| invalid_marker())).transpose()?;
    let mut found = match &after {
        Some(after) => tx.scan_after(prefix, after, max + 1)?,
        None => tx.scan_prefix(prefix, max + 1)?,
    };
    let more = found.len() > max;
    found.truncate(max);
    let next = found.last().filter(|_| more).map(|(key, _)| hex::encode(key));
    let records = found
        .iter()
        .map(|(_, value)| serde_json::from_slice(value).map_err(Error::internal))
        .collect::<Result<_, _>>()?;
    Ok((records, next))
}

/// One page of what is in an order already, with the marker of the next: the place of the last one, behind which the next page begins
/// though that one is gone. `passed` says of one whether it stands at such a place or before it.
fn page_of<T>(
    mut all: Vec<T>,
    passed: impl Fn(&T) -> bool,
    place: impl Fn(&T) -> String,
    max: Option<i32>,
) -> (Vec<T>, Option<String>) {
    let max = max.and_then(|max| usize::try_from(max).ok()).filter(|max| *max > 0).unwrap_or(50);
    all.retain(|one| !passed(one));
    let more = all.len() > max;
    all.truncate(max);
    let next = all.last().filter(|_| more).map(place);
    (all, next)
}

fn invalid_marker() -> Error {
    error::invalid_parameter_value_exception("Invalid marker")
}

fn layer_number(number: i64) -> Result<u64, Error> {
    u64::try_from(number).map_err(|_| error::invalid_parameter_value_exception("Layer Version Cannot be less than 1."))
}

/// The function that a tagging operation's ARN names.
fn tagged(arn: &str) -> Result<String, Error> {
    Name::parse_unqualified(arn)
}

/// Everything of a function but itself: deleted with it.
fn delete_all(tx: &mut Tx<'_>, prefix: &Key) -> Result<(), Error> {
    for (key, _) in tx.scan_prefix(prefix, 100_000)? {
        tx.delete(key)?;
    }
    Ok(())
}
