//! CreateSchema, GetSchema, ListSchemas, UpdateSchema, DeleteSchema, CheckSchemaVersionValidity.

use store::Tx;

use super::check;
use super::prelude::*;
use super::records::{Registry, Schema, Version};

/// The mode of a schema for which none is asked.
const USUAL_MODE: &str = "BACKWARD";

#[async_trait]
impl Handle<CreateSchema> for Glue {
    async fn handle(&self, cx: &Cx, req: CreateSchemaInput) -> Result<CreateSchemaResponse, Error> {
        let (scope, now) = (Scope::of(cx), cx.now().to_string());
        let name =
            Name { registry: records::registry_name(&scope, req.registry_id.as_ref())?, schema: req.schema_name };
        let mode = req.compatibility.unwrap_or_else(|| USUAL_MODE.to_owned());
        let definition = req.schema_definition.filter(|text| !text.is_empty());
        match &definition {
            Some(text) => check::check(&req.data_format, text)?,
            None => check::known(&req.data_format)?,
        }
        check::check_mode(&req.data_format, &mode)?;
        let first = definition.map(|definition| Version {
            id: cx.uuid(),
            number: 1,
            definition,
            status: AVAILABLE.to_owned(),
            created: now.clone(),
            metadata: Vec::new(),
        });
        let latest = i64::from(first.is_some());
        let record = Schema {
            registry: name.registry.clone(),
            name: name.schema.clone(),
            description: req.description,
            data_format: req.data_format,
            compatibility: mode,
            checkpoint: 1,
            latest,
            next: latest + 1,
            created: now.clone(),
            updated: now,
        };
        let arn = scope.schema_arn(&name);
        let answer = CreateSchemaResponse {
            registry_name: Some(name.registry.clone()),
            registry_arn: Some(scope.registry_arn(&name.registry)),
            schema_name: Some(name.schema.clone()),
            schema_arn: Some(arn.clone()),
            description: record.description.clone(),
            data_format: Some(record.data_format.clone()),
            compatibility: Some(record.compatibility.clone()),
            schema_checkpoint: Some(1),
            latest_schema_version: Some(latest),
            next_schema_version: Some(record.next),
            schema_status: Some(AVAILABLE.to_owned()),
            tags: req.tags.clone(),
            schema_version_id: first.as_ref().map(|first| first.id.clone()),
            schema_version_status: first.as_ref().map(|first| first.status.clone()),
        };
        let given = req.tags.unwrap_or_default();
        cx.write(&self.store, move |tx| {
            if name.registry == DEFAULT_REGISTRY && tx.get(scope.registry(DEFAULT_REGISTRY))?.is_none() {
                let (created, updated) = (record.created.clone(), record.created.clone());
                let registry = Registry { name: DEFAULT_REGISTRY.to_owned(), description: None, created, updated };
                tx.put_json(scope.registry(DEFAULT_REGISTRY), &registry)?;
            }
            records::find_registry(tx, &scope, &name.registry)?;
            if tx.get(scope.schema(&name))?.is_some() {
                let message =
                    format!("Schema already exists. RegistryName: {}, SchemaName: {}", name.registry, name.schema);
                return Err(already_exists_exception(message));
            }
            tags::add(tx, &scope, &arn, &given)?;
            tx.put_json(scope.schema(&name), &record)?;
            if let Some(first) = &first {
                super::versions::put(tx, &scope, &name, first)?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        Ok(answer)
    }
}

#[async_trait]
impl Handle<GetSchema> for Glue {
    async fn handle(&self, cx: &Cx, req: GetSchemaInput) -> Result<GetSchemaResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let found = self.store.read(|tx| records::find_schema(tx, &scope, &name)).await?;
        Ok(GetSchemaResponse {
            registry_name: Some(found.registry),
            registry_arn: Some(scope.registry_arn(&name.registry)),
            schema_name: Some(found.name),
            schema_arn: Some(scope.schema_arn(&name)),
            description: found.description,
            data_format: Some(found.data_format),
            compatibility: Some(found.compatibility),
            schema_checkpoint: Some(found.checkpoint),
            latest_schema_version: Some(found.latest),
            next_schema_version: Some(found.next),
            schema_status: Some(AVAILABLE.to_owned()),
            created_time: Some(found.created),
            updated_time: Some(found.updated),
        })
    }
}

#[async_trait]
impl Handle<ListSchemas> for Glue {
    async fn handle(&self, cx: &Cx, req: ListSchemasInput) -> Result<ListSchemasResponse, Error> {
        let scope = Scope::of(cx);
        let registry = req.registry_id.as_ref().map(|id| records::registry_name(&scope, Some(id))).transpose()?;
        let limit = scope::limit(req.max_results, 25);
        let item = |found: Schema| {
            let name = Name { registry: found.registry.clone(), schema: found.name.clone() };
            SchemaListItem {
                registry_name: Some(found.registry),
                schema_name: Some(found.name),
                schema_arn: Some(scope.schema_arn(&name)),
                description: found.description,
                schema_status: Some(AVAILABLE.to_owned()),
                created_time: Some(found.created),
                updated_time: Some(found.updated),
            }
        };
        let (schemas, next_token) = self
            .store
            .read(|tx| {
                if let Some(registry) = &registry {
                    records::find_registry(tx, &scope, registry)?;
                }
                let prefix = scope.schemas(registry.as_deref());
                scope::page(tx, &prefix, req.next_token.as_deref(), limit, |found| Ok(Some(item(found))))
            })
            .await?;
        Ok(ListSchemasResponse { schemas: Some(schemas), next_token })
    }
}

#[async_trait]
impl Handle<UpdateSchema> for Glue {
    async fn handle(&self, cx: &Cx, req: UpdateSchemaInput) -> Result<UpdateSchemaResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        if req.compatibility.is_some() && req.schema_version_number.is_none() {
            return Err(invalid_input_exception("SchemaVersionNumber is required to update Compatibility."));
        }
        let answer = UpdateSchemaResponse {
            schema_arn: Some(scope.schema_arn(&name)),
            schema_name: Some(name.schema.clone()),
            registry_name: Some(name.registry.clone()),
        };
        let now = cx.now().to_string();
        cx.write(&self.store, move |tx| {
            let mut schema = records::find_schema(tx, &scope, &name)?;
            if let Some(mode) = &req.compatibility {
                check::check_mode(&schema.data_format, mode)?;
                schema.compatibility.clone_from(mode);
            }
            if let Some(number) = &req.schema_version_number {
                let number = records::wanted(Some(number), schema.latest)?;
                records::find_version(tx, &scope, &name, number)?;
                schema.checkpoint = number;
            }
            if let Some(description) = &req.description {
                schema.description = Some(description.clone());
            }
            schema.updated.clone_from(&now);
            tx.put_json(scope.schema(&name), &schema)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(answer)
    }
}

#[async_trait]
impl Handle<DeleteSchema> for Glue {
    /// At once: AWS takes a while.
    async fn handle(&self, cx: &Cx, req: DeleteSchemaInput) -> Result<DeleteSchemaResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let answer = DeleteSchemaResponse {
            schema_arn: Some(scope.schema_arn(&name)),
            schema_name: Some(name.schema.clone()),
            status: Some("DELETING".to_owned()),
        };
        cx.write(&self.store, move |tx| {
            records::find_schema(tx, &scope, &name)?;
            delete(tx, &scope, &name)
        })
        .await?;
        Ok(answer)
    }
}

#[async_trait]
impl Handle<CheckSchemaVersionValidity> for Glue {
    async fn handle(
        &self,
        _: &Cx,
        req: CheckSchemaVersionValidityInput,
    ) -> Result<CheckSchemaVersionValidityResponse, Error> {
        let error = check::invalid(&req.data_format, &req.schema_definition)?;
        Ok(CheckSchemaVersionValidityResponse { valid: Some(error.is_none()), error })
    }
}

/// A schema with its versions and tags.
pub(super) fn delete(tx: &mut Tx<'_>, scope: &Scope, name: &Name) -> Result<(), Error> {
    for version in records::versions(tx, scope, name)? {
        tx.delete(scope.schema_version_id(&version.id))?;
    }
    scope::clear(tx, &scope.schema_versions(name))?;
    tags::clear(tx, scope, &scope.schema_arn(name))?;
    tx.delete(scope.schema(name))?;
    Ok(())
}
