//! DeleteFunction: a function with everything of it, or one published version.

use api_lambda::{
    AliasConfiguration, DeleteFunction, DeleteFunctionRequest, DeleteFunctionResponse, FunctionConfiguration, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use super::delete_all;
use crate::durable::Record;
use crate::function::{Function, LATEST, Name, Scope, Version, version_number};
use crate::url::Url;
use crate::{Lambda, mapping, provision};

#[async_trait]
impl Handle<DeleteFunction> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteFunctionRequest) -> Result<DeleteFunctionResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse(&req.function_name, req.qualifier.as_deref())?);
        let prefix = match &name.qualifier {
            Some(qualifier) => format!("{} {qualifier} ", place.arn(&name.name, None)),
            None => format!("{} ", place.arn(&name.name, None)),
        };
        let now = Timestamp(cx.now());
        let granted =
            if name.qualifier.is_none() { self.configurations(&place, &name.name).await? } else { Vec::new() };
        cx.write(&self.store, move |tx| {
            if tx.get_json::<Function>(place.function(&name.name))?.is_none() {
                return Err(place.not_found(&name.name, name.qualifier.as_deref()));
            }
            match name.qualifier.as_deref() {
                None => delete(tx, &place, &name.name, now),
                Some(LATEST) => Err(error::invalid_parameter_value_exception(
                    "$LATEST version cannot be deleted without deleting the function.",
                )),
                Some(version) => delete_version(tx, &place, &name.name, version),
            }
        })
        .await?;
        self.pool.retire(&prefix);
        self.take_grants_back(cx, &granted).await;
        self.ended.notify_waiters();
        Ok(DeleteFunctionResponse { status_code: Some(204) })
    }
}

impl Lambda {
    /// Those of all versions.
    async fn configurations(&self, place: &Scope, name: &str) -> Result<Vec<FunctionConfiguration>, Error> {
        self.store
            .read(|tx| {
                let latest = tx.get_json::<Function>(place.function(name))?.map(|function| function.latest);
                let versions: Vec<Version> = tx.list_json(place.versions(name), 10_000)?;
                Ok::<_, Error>(latest.into_iter().chain(versions).map(|version| version.config).collect())
            })
            .await
    }
}

fn delete(tx: &mut Tx<'_>, place: &Scope, name: &str, now: Timestamp) -> Result<(), Error> {
    // Before the function itself: their destinations are its.
    Record::orphan(tx, place, name, now)?;
    for url in tx.list_json::<Url>(place.urls(name), 10_000)? {
        tx.delete(Url::index(&url.id))?;
    }
    provision::stop_all(tx, place, name)?;
    for prefix in [
        place.versions(name),
        place.aliases(name),
        place.policies(name),
        place.invoke_configs(name),
        place.urls(name),
        place.provisions(name),
    ] {
        delete_all(tx, &prefix)?;
    }
    // As on AWS a mapping outlives its function; ours would only try and fail, and goes on when there is one again.
    for mapped in mapping::of_function(tx, place, name)? {
        mapping::stop(tx, mapped.uuid.as_deref().unwrap_or_default())?;
    }
    Ok(tx.delete(place.function(name))?)
}

fn delete_version(tx: &mut Tx<'_>, place: &Scope, name: &str, version: &str) -> Result<(), Error> {
    let Some(number) = version_number(version) else {
        if version.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(place.not_found(name, Some(version)));
        }
        return Err(error::invalid_parameter_value_exception("Deletion of aliases is not currently supported."));
    };
    let aliases = tx.list_json::<AliasConfiguration>(place.aliases(name), 10_000)?;
    let used: Vec<_> =
        aliases.iter().filter(|alias| points_to(alias, version)).filter_map(|alias| alias.name.as_deref()).collect();
    if !used.is_empty() {
        let message = format!("Version: {version} is referenced by the following aliases: [{}]", used.join(", "));
        return Err(error::resource_conflict_exception(message));
    }
    Ok(tx.delete(place.version(name, number))?)
}

fn points_to(alias: &AliasConfiguration, version: &str) -> bool {
    let weights = alias.routing_config.as_ref().and_then(|routing| routing.additional_version_weights.as_ref());
    alias.function_version.as_deref() == Some(version) || weights.is_some_and(|weights| weights.contains_key(version))
}
