//! RegisterSchemaVersion, GetSchemaVersion, ListSchemaVersions, DeleteSchemaVersions, GetSchemaByDefinition, GetSchemaVersionsDiff.

use serde_json::Value;
use store::Tx;
use wire::Operation as _;

use super::check;
use super::prelude::*;
use super::records::Version;

#[async_trait]
impl Handle<RegisterSchemaVersion> for Glue {
    /// What does not go with the earlier versions is kept as a failure: it has an id and a number, and is not the latest.
    async fn handle(&self, cx: &Cx, req: RegisterSchemaVersionInput) -> Result<RegisterSchemaVersionResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let (id, now, definition) = (cx.uuid(), cx.now().to_string(), req.schema_definition);
        let made: (String, i64, String) = cx
            .write(&self.store, move |tx| {
                let mut schema = records::find_schema(tx, &scope, &name)?;
                check::check(&schema.data_format, &definition)?;
                let earlier = records::versions(tx, &scope, &name)?;
                let known =
                    |version: &&Version| version.status == AVAILABLE && check::same(&version.definition, &definition);
                if let Some(known) = earlier.iter().find(known) {
                    return Ok((known.id.clone(), known.number, known.status.clone()));
                }
                if schema.compatibility == "DISABLED" && !earlier.is_empty() {
                    return Err(invalid_input_exception(
                        "Compatibility DISABLED does not allow versioning. SchemaVersion can not be registered.",
                    ));
                }
                let fits = check::goes_with(&schema, &definition, &earlier)?;
                let version = Version {
                    id: id.clone(),
                    number: schema.next,
                    definition: definition.clone(),
                    status: if fits { AVAILABLE } else { FAILURE }.to_owned(),
                    created: now.clone(),
                    metadata: Vec::new(),
                };
                schema.next += 1;
                if fits {
                    schema.latest = version.number;
                }
                schema.updated.clone_from(&now);
                tx.put_json(scope.schema(&name), &schema)?;
                put(tx, &scope, &name, &version)?;
                Ok::<_, Error>((version.id, version.number, version.status))
            })
            .await?;
        Ok(RegisterSchemaVersionResponse {
            schema_version_id: Some(made.0),
            version_number: Some(made.1),
            status: Some(made.2),
        })
    }
}

#[async_trait]
impl Handle<GetSchemaVersion> for Glue {
    async fn handle(&self, cx: &Cx, req: GetSchemaVersionInput) -> Result<GetSchemaVersionResponse, Error> {
        let scope = Scope::of(cx);
        self.admit_version(cx, GetSchemaVersion::SPEC, req.schema_version_id.as_deref()).await?;
        let asked = (req.schema_id.as_ref(), req.schema_version_number.as_ref(), req.schema_version_id.as_deref());
        let (schema, name, version) = self.store.read(|tx| records::version_of(tx, &scope, asked)).await?;
        Ok(GetSchemaVersionResponse {
            schema_version_id: Some(version.id),
            schema_definition: Some(version.definition),
            data_format: Some(schema.data_format),
            schema_arn: Some(scope.schema_arn(&name)),
            version_number: Some(version.number),
            status: Some(version.status),
            created_time: Some(version.created),
        })
    }
}

#[async_trait]
impl Handle<ListSchemaVersions> for Glue {
    async fn handle(&self, cx: &Cx, req: ListSchemaVersionsInput) -> Result<ListSchemaVersionsResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let limit = scope::limit(req.max_results, 25);
        let item = |version: Version| SchemaVersionListItem {
            schema_arn: Some(scope.schema_arn(&name)),
            schema_version_id: Some(version.id),
            version_number: Some(version.number),
            status: Some(version.status),
            created_time: Some(version.created),
        };
        let (schemas, next_token) = self
            .store
            .read(|tx| {
                records::find_schema(tx, &scope, &name)?;
                let prefix = scope.schema_versions(&name);
                scope::page(tx, &prefix, req.next_token.as_deref(), limit, |version| Ok(Some(item(version))))
            })
            .await?;
        Ok(ListSchemaVersionsResponse { schemas: Some(schemas), next_token })
    }
}

#[async_trait]
impl Handle<DeleteSchemaVersions> for Glue {
    async fn handle(&self, cx: &Cx, req: DeleteSchemaVersionsInput) -> Result<DeleteSchemaVersionsResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let (from, to) = range(&req.versions)?;
        let errors: Vec<(i64, String, String)> = cx
            .write(&self.store, move |tx| {
                let mut schema = records::find_schema(tx, &scope, &name)?;
                let mut errors = Vec::new();
                let all = records::versions(tx, &scope, &name)?;
                let wanted: Vec<&Version> = all.iter().filter(|v| (from..=to).contains(&v.number)).collect();
                if wanted.is_empty() {
                    errors.push((
                        from,
                        "EntityNotFoundException".to_owned(),
                        format!("Schema version {from} is not found."),
                    ));
                }
                for version in wanted {
                    if version.number == schema.checkpoint {
                        let message = format!("Schema version {} is the checkpoint of the schema.", version.number);
                        errors.push((version.number, "InvalidInputException".to_owned(), message));
                        continue;
                    }
                    tx.delete(scope.schema_version_id(&version.id))?;
                    tx.delete(scope.schema_version(&name, version.number))?;
                }
                let left = records::versions(tx, &scope, &name)?;
                schema.latest = left.iter().filter(|v| v.status == AVAILABLE).map(|v| v.number).max().unwrap_or(0);
                tx.put_json(scope.schema(&name), &schema)?;
                Ok::<_, Error>(errors)
            })
            .await?;
        let errors = errors.into_iter().map(|(number, code, message)| SchemaVersionErrorItem {
            version_number: Some(number),
            error_details: Some(ErrorDetails { error_code: Some(code), error_message: Some(message) }),
        });
        Ok(DeleteSchemaVersionsResponse { schema_version_errors: Some(errors.collect()) })
    }
}

/// `5`, or `5-8`.
fn range(text: &str) -> Result<(i64, i64), Error> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.trim().parse::<i64>().ok().filter(|n| *n > 0);
    let found = number(from).zip(number(to)).filter(|(from, to)| from <= to);
    found.ok_or_else(|| invalid_input_exception(format!("Invalid version range: {text}")))
}

#[async_trait]
impl Handle<GetSchemaByDefinition> for Glue {
    async fn handle(&self, cx: &Cx, req: GetSchemaByDefinitionInput) -> Result<GetSchemaByDefinitionResponse, Error> {
        let scope = Scope::of(cx);
        let name = records::schema_name(&scope, &req.schema_id)?;
        let (schema, all) = self
            .store
            .read(|tx| {
                let schema = records::find_schema(tx, &scope, &name)?;
                Ok::<_, Error>((schema, records::versions(tx, &scope, &name)?))
            })
            .await?;
        let same = all.into_iter().filter(|version| check::same(&version.definition, &req.schema_definition));
        // One that counts before one that failed.
        let found = same.max_by_key(|version| (version.status == AVAILABLE, version.number));
        let found = found.ok_or_else(|| {
            entity_not_found_exception(format!("Schema version is not found. SchemaArn: {}", scope.schema_arn(&name)))
        })?;
        Ok(GetSchemaByDefinitionResponse {
            schema_version_id: Some(found.id),
            schema_arn: Some(scope.schema_arn(&name)),
            data_format: Some(schema.data_format),
            status: Some(found.status),
            created_time: Some(found.created),
        })
    }
}

#[async_trait]
impl Handle<GetSchemaVersionsDiff> for Glue {
    async fn handle(&self, cx: &Cx, req: GetSchemaVersionsDiffInput) -> Result<GetSchemaVersionsDiffResponse, Error> {
        let scope = Scope::of(cx);
        let (first, second) = (&req.first_schema_version_number, &req.second_schema_version_number);
        let (a, b) = self
            .store
            .read(|tx| {
                let (_, _, a) = records::version_of(tx, &scope, (Some(&req.schema_id), Some(first), None))?;
                let (_, _, b) = records::version_of(tx, &scope, (Some(&req.schema_id), Some(second), None))?;
                Ok::<_, Error>((a, b))
            })
            .await?;
        if req.schema_diff_type != "SYNTAX_DIFF" {
            return Err(invalid_input_exception(format!("Invalid SchemaDiffType: {}", req.schema_diff_type)));
        }
        let json = |version: &Version| serde_json::from_str::<Value>(&version.definition).map_err(Error::internal);
        let patch = json_patch::diff(&json(&a)?, &json(&b)?);
        Ok(GetSchemaVersionsDiffResponse { diff: Some(serde_json::to_string(&patch).map_err(Error::internal)?) })
    }
}

/// Keeps a version where its number and where its id is looked for.
pub(super) fn put(tx: &mut Tx<'_>, scope: &Scope, name: &Name, version: &Version) -> Result<(), Error> {
    tx.put_json(scope.schema_version(name, version.number), version)?;
    tx.put_json(scope.schema_version_id(&version.id), &(name, version.number))?;
    Ok(())
}
