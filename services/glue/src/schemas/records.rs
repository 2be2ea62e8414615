//! Registries, schemas and versions as they are stored, and how requests name them.

use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_glue::{RegistryId, SchemaId, SchemaVersionNumber};
use serde::{Deserialize, Serialize};
use serde_json::json;
use service::Cx;
use store::{Key, Tx};
use wire::{Error, OperationSpec};

use crate::Glue;
use crate::scope::Scope;

/// The registry of schemas for which none is named; it is there as soon as one is.
pub(super) const DEFAULT_REGISTRY: &str = "default-registry";
pub(super) const AVAILABLE: &str = "AVAILABLE";
pub(super) const FAILURE: &str = "FAILURE";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Registry {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) created: String,
    pub(super) updated: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Schema {
    pub(super) registry: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) data_format: String,
    pub(super) compatibility: String,
    /// The version from which on others are compared.
    pub(super) checkpoint: i64,
    /// The newest version that counts.
    pub(super) latest: i64,
    pub(super) next: i64,
    pub(super) created: String,
    pub(super) updated: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) definition: String,
    pub(super) status: String,
    pub(super) created: String,
    /// Keys with their values, in the order in which they came.
    pub(super) metadata: Vec<Metadata>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Metadata {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) created: String,
}

/// A schema's full name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Name {
    pub(super) registry: String,
    pub(super) schema: String,
}

impl Scope {
    pub(super) fn registries(&self) -> Key {
        self.key("registry")
    }
    pub(super) fn registry(&self, name: &str) -> Key {
        self.registries().push(name)
    }
    /// Of one registry, or of all.
    pub(super) fn schemas(&self, registry: Option<&str>) -> Key {
        let all = self.key("schema");
        registry.map_or_else(|| all.clone(), |name| all.clone().push(name))
    }
    pub(super) fn schema(&self, name: &Name) -> Key {
        self.schemas(Some(&name.registry)).push(&name.schema)
    }
    pub(super) fn schema_versions(&self, name: &Name) -> Key {
        self.key("schema-version").push(&name.registry).push(&name.schema)
    }
    pub(super) fn schema_version(&self, name: &Name, number: i64) -> Key {
        self.schema_versions(name).push_u64(number.unsigned_abs())
    }
    /// The name and number of a version by its id.
    pub(super) fn schema_version_id(&self, id: &str) -> Key {
        self.key("schema-version-id").push(id)
    }
    pub(super) fn registry_arn(&self, name: &str) -> String {
        self.arn(&format!("registry/{name}"))
    }
    pub(super) fn schema_arn(&self, name: &Name) -> String {
        self.arn(&format!("schema/{}/{}", name.registry, name.schema))
    }
}

/// The resource of an ARN, `schema/registry/name`.
fn resource(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or_default()
}

pub(super) fn registry_name(scope: &Scope, id: Option<&RegistryId>) -> Result<String, Error> {
    let Some(id) = id else { return Ok(DEFAULT_REGISTRY.to_owned()) };
    match (&id.registry_name, &id.registry_arn) {
        (Some(_), Some(_)) => Err(invalid_input_exception("RegistryName and RegistryArn exclude each other.")),
        (Some(name), None) => Ok(name.clone()),
        (None, Some(arn)) => {
            let name = resource(arn).strip_prefix("registry/");
            let name = name.ok_or_else(|| invalid_input_exception(format!("{arn} is no ARN of a registry.")))?;
            if *arn != scope.registry_arn(name) {
                return Err(entity_not_found_exception(format!("Registry is not found. RegistryArn: {arn}")));
            }
            Ok(name.to_owned())
        }
        (None, None) => Ok(DEFAULT_REGISTRY.to_owned()),
    }
}

pub(super) fn schema_name(scope: &Scope, id: &SchemaId) -> Result<Name, Error> {
    match (&id.schema_arn, &id.schema_name) {
        (Some(_), Some(_)) => Err(invalid_input_exception("SchemaArn and SchemaName exclude each other.")),
        (Some(arn), None) => {
            let parts = resource(arn).strip_prefix("schema/").and_then(|path| path.split_once('/'));
            let (registry, schema) =
                parts.ok_or_else(|| invalid_input_exception(format!("{arn} is no ARN of a schema.")))?;
            let name = Name { registry: registry.to_owned(), schema: schema.to_owned() };
            // What was weighed was the whole ARN.
            if *arn != scope.schema_arn(&name) {
                return Err(entity_not_found_exception(format!("Schema is not found. SchemaArn: {arn}")));
            }
            Ok(name)
        }
        (None, Some(name)) => {
            let registry = id.registry_name.clone().unwrap_or_else(|| DEFAULT_REGISTRY.to_owned());
            Ok(Name { registry, schema: name.clone() })
        }
        (None, None) => Err(invalid_input_exception("SchemaArn or SchemaName is required.")),
    }
}

pub(super) fn find_registry(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Registry, Error> {
    let found = tx.get_json(scope.registry(name))?;
    found.ok_or_else(|| {
        entity_not_found_exception(format!(
            "Registry is not found. RegistryName: {name}, RegistryArn: {}",
            scope.registry_arn(name)
        ))
    })
}

pub(super) fn find_schema(tx: &mut Tx<'_>, scope: &Scope, name: &Name) -> Result<Schema, Error> {
    let found = tx.get_json(scope.schema(name))?;
    found.ok_or_else(|| {
        entity_not_found_exception(format!(
            "Schema is not found. RegistryName: {}, SchemaName: {}, SchemaArn: {}",
            name.registry,
            name.schema,
            scope.schema_arn(name)
        ))
    })
}

pub(super) fn find_version(tx: &mut Tx<'_>, scope: &Scope, name: &Name, number: i64) -> Result<Version, Error> {
    let found = tx.get_json(scope.schema_version(name, number))?;
    found.ok_or_else(|| {
        entity_not_found_exception(format!(
            "Schema version is not found. SchemaArn: {}, VersionNumber: {number}",
            scope.schema_arn(name)
        ))
    })
}

/// All versions, the oldest first.
pub(super) fn versions(tx: &mut Tx<'_>, scope: &Scope, name: &Name) -> Result<Vec<Version>, Error> {
    let (mut all, mut after) = (Vec::new(), Vec::new());
    loop {
        let batch = tx.scan_after(scope.schema_versions(name), &after, 1000)?;
        let Some((last, _)) = batch.last() else { return Ok(all) };
        after.clone_from(last);
        for (key, value) in batch {
            all.push(store::kv::decode(&key, &value)?);
        }
    }
}

impl Glue {
    /// A version's id says nothing of its schema: the rights are asked again on that which it is of.
    pub(super) async fn admit_version(&self, cx: &Cx, spec: &OperationSpec, id: Option<&str>) -> Result<(), Error> {
        let (Some(id), scope) = (id, Scope::of(cx)) else { return Ok(()) };
        let found: Option<(Name, i64)> = self.store.read(|tx| tx.get_json(scope.schema_version_id(id))).await?;
        if let Some((name, _)) = found {
            let input = json!({ "SchemaId": { "SchemaArn": scope.schema_arn(&name) } });
            cx.router().admit(cx, spec, &input).await?;
        }
        Ok(())
    }
}

/// Which version is meant: by its id alone, or by its number or as the latest of a schema.
pub(super) fn version_of(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (id, number, version_id): (Option<&SchemaId>, Option<&SchemaVersionNumber>, Option<&str>),
) -> Result<(Schema, Name, Version), Error> {
    let (name, number) = match (id, version_id) {
        (None, Some(id)) => {
            let found: Option<(Name, i64)> = tx.get_json(scope.schema_version_id(id))?;
            found.ok_or_else(|| {
                entity_not_found_exception(format!("Schema version is not found. SchemaVersionId: {id}"))
            })?
        }
        (Some(_), Some(_)) => return Err(invalid_input_exception("SchemaId and SchemaVersionId exclude each other.")),
        (Some(id), None) => {
            let name = schema_name(scope, id)?;
            let schema = find_schema(tx, scope, &name)?;
            let number = wanted(number, schema.latest)?;
            (name, number)
        }
        (None, None) => return Err(invalid_input_exception("SchemaId or SchemaVersionId is required.")),
    };
    let schema = find_schema(tx, scope, &name)?;
    let version = find_version(tx, scope, &name, number)?;
    Ok((schema, name, version))
}

pub(super) fn wanted(number: Option<&SchemaVersionNumber>, latest: i64) -> Result<i64, Error> {
    match number {
        Some(SchemaVersionNumber { version_number: Some(number), latest_version: None | Some(false) }) => Ok(*number),
        Some(SchemaVersionNumber { version_number: None, latest_version: Some(true) }) => Ok(latest),
        _ => Err(invalid_input_exception("One of VersionNumber and LatestVersion is required in SchemaVersionNumber.")),
    }
}
