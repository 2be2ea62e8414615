//! CreateAlias: a name for a version.

use api_lambda::{AliasConfiguration, AliasRoutingConfiguration, CreateAlias, CreateAliasRequest, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::Lambda;
use crate::function::{LATEST, Scope, version_number};

#[async_trait]
impl Handle<CreateAlias> for Lambda {
    async fn handle(&self, cx: &Cx, req: CreateAliasRequest) -> Result<AliasConfiguration, Error> {
        if req.name.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(Error::validation(format!(
                "1 validation error detected: Value '{}' at 'name' failed to satisfy constraint: Member must satisfy regular \
                 expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
                req.name
            )));
        }
        let (function_name, revision) = (req.function_name.clone(), cx.uuid());
        self.change(cx, &function_name, move |tx, place, function| {
            let name = function.latest.config.function_name.clone().unwrap_or_default();
            let key = place.alias(&name, &req.name);
            let arn = place.arn(&name, Some(&req.name));
            if tx.get(&key)?.is_some() {
                return Err(error::resource_conflict_exception(format!("Alias already exists: {arn}")));
            }
            check_version(tx, place, &name, &req.function_version)?;
            check_routing(tx, place, &name, &req.function_version, req.routing_config.as_ref())?;
            let alias = AliasConfiguration {
                alias_arn: Some(arn),
                name: Some(req.name.clone()),
                function_version: Some(req.function_version.clone()),
                description: Some(req.description.clone().unwrap_or_default()),
                // No weights are told as no routing; Terraform sends such and compares.
                routing_config: req.routing_config.clone().filter(is_weighted),
                revision_id: Some(revision.clone()),
            };
            tx.put_json(key, &alias)?;
            Ok(alias)
        })
        .await
    }
}

pub(super) fn is_weighted(routing: &AliasRoutingConfiguration) -> bool {
    routing.additional_version_weights.as_ref().is_some_and(|weights| !weights.is_empty())
}

pub(super) fn check_version(tx: &mut Tx<'_>, place: &Scope, name: &str, version: &str) -> Result<(), Error> {
    let exists = match version_number(version) {
        Some(number) => tx.get(place.version(name, number))?.is_some(),
        None => version == LATEST,
    };
    if exists { Ok(()) } else { Err(place.not_found(name, Some(version))) }
}

/// The second version of an alias, and its part of the calls. Source: AWS Lambda Developer Guide, "Implement Lambda
/// canary deployments using a weighted alias": two published versions at most.
pub(super) fn check_routing(
    tx: &mut Tx<'_>,
    place: &Scope,
    name: &str,
    primary: &str,
    routing: Option<&AliasRoutingConfiguration>,
) -> Result<(), Error> {
    let weights = routing.and_then(|routing| routing.additional_version_weights.as_ref());
    let Some((version, weight)) = weights.and_then(|weights| weights.first_key_value()) else { return Ok(()) };
    let invalid = |message: String| Err(error::invalid_parameter_value_exception(message).with("Type", "User"));
    if !(0.0..=1.0).contains(weight) {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{{{version}={weight}}}' at 'routingConfig.additionalVersionWeights' failed \
             to satisfy constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, \
             Member must have value greater than or equal to 0.0]"
        )));
    }
    if weights.is_some_and(|weights| weights.len() > 1) {
        return invalid("Number of items in AdditionalVersionWeights cannot be greater than 1".to_owned());
    }
    if [primary, version.as_str()].contains(&LATEST) {
        return invalid(format!("{LATEST} is not supported for an alias pointing to more than 1 version"));
    }
    if version == primary {
        return invalid(format!(
            "Invalid function version {version}. Function version {version} is already included in routing \
             configuration."
        ));
    }
    check_version(tx, place, name, version)
}

pub(super) fn not_found(place: &Scope, name: &str, alias: &str) -> Error {
    let arn = place.arn(name, Some(alias));
    error::resource_not_found_exception(format!("Cannot find alias arn: {arn}")).with("Type", "User")
}
