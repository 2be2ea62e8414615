//! PutSchemaVersionMetadata, QuerySchemaVersionMetadata, RemoveSchemaVersionMetadata: pairs of a version; a key may have several values.

use std::collections::BTreeMap;

use wire::Operation as _;

use super::prelude::*;
use super::records::{Metadata, Schema, Version};

/// Source: Glue Developer Guide, "Quotas of the Schema Registry".
const MOST: usize = 10;

/// The version, and the pair that is meant.
type Changed = (Schema, Name, Version);

fn pair(given: MetadataKeyValuePair) -> Result<(String, String), Error> {
    match (given.metadata_key, given.metadata_value) {
        (Some(key), Some(value)) if !key.is_empty() && !value.is_empty() => Ok((key, value)),
        _ => Err(invalid_input_exception("MetadataKey and MetadataValue are required.")),
    }
}

#[async_trait]
impl Handle<PutSchemaVersionMetadata> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: PutSchemaVersionMetadataInput,
    ) -> Result<PutSchemaVersionMetadataResponse, Error> {
        self.admit_version(cx, PutSchemaVersionMetadata::SPEC, req.schema_version_id.as_deref()).await?;
        let (scope, now) = (Scope::of(cx), cx.now().to_string());
        let (key, value) = pair(req.metadata_key_value)?;
        let (given, of) = ((key.clone(), value.clone()), scope.clone());
        let (schema, name, version): Changed = cx
            .write(&self.store, move |tx| {
                let asked =
                    (req.schema_id.as_ref(), req.schema_version_number.as_ref(), req.schema_version_id.as_deref());
                let (schema, name, mut version) = records::version_of(tx, &of, asked)?;
                let (key, value) = given.clone();
                if version.metadata.iter().any(|known| (&known.key, &known.value) == (&key, &value)) {
                    return Err(already_exists_exception(format!(
                        "Metadata already exists. MetadataKey: {key}, MetadataValue: {value}"
                    )));
                }
                if version.metadata.len() >= MOST {
                    return Err(resource_number_limit_exceeded_exception(format!(
                        "A schema version has at most {MOST} metadata."
                    )));
                }
                version.metadata.push(Metadata { key, value, created: now.clone() });
                super::versions::put(tx, &of, &name, &version)?;
                Ok::<_, Error>((schema, name, version))
            })
            .await?;
        Ok(PutSchemaVersionMetadataResponse {
            schema_arn: Some(scope.schema_arn(&name)),
            schema_name: Some(name.schema),
            registry_name: Some(name.registry),
            latest_version: Some(schema.latest == version.number),
            version_number: Some(version.number),
            schema_version_id: Some(version.id),
            metadata_key: Some(key),
            metadata_value: Some(value),
        })
    }
}

#[async_trait]
impl Handle<QuerySchemaVersionMetadata> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: QuerySchemaVersionMetadataInput,
    ) -> Result<QuerySchemaVersionMetadataResponse, Error> {
        self.admit_version(cx, QuerySchemaVersionMetadata::SPEC, req.schema_version_id.as_deref()).await?;
        let scope = Scope::of(cx);
        if req.next_token.is_some() {
            return Err(invalid_input_exception("Invalid NextToken"));
        }
        let asked = (req.schema_id.as_ref(), req.schema_version_number.as_ref(), req.schema_version_id.as_deref());
        let (_, _, version) = self.store.read(|tx| records::version_of(tx, &scope, asked)).await?;
        let filters = req.metadata_list.unwrap_or_default();
        let wanted = |one: &Metadata| {
            filters.is_empty()
                || filters.iter().any(|filter| {
                    filter.metadata_key.as_ref().is_none_or(|key| *key == one.key)
                        && filter.metadata_value.as_ref().is_none_or(|value| *value == one.value)
                })
        };
        // A version has so few that one page holds them.
        let most = scope::limit(req.max_results, MOST);
        let mut map: BTreeMap<String, MetadataInfo> = BTreeMap::new();
        for one in version.metadata.into_iter().filter(wanted).take(most) {
            let (value, created) = (Some(one.value), Some(one.created));
            match map.get_mut(&one.key) {
                None => {
                    let info =
                        MetadataInfo { metadata_value: value, created_time: created, other_metadata_value_list: None };
                    map.insert(one.key, info);
                }
                Some(info) => info
                    .other_metadata_value_list
                    .get_or_insert_default()
                    .push(OtherMetadataValueListItem { metadata_value: value, created_time: created }),
            }
        }
        Ok(QuerySchemaVersionMetadataResponse {
            metadata_info_map: Some(map),
            schema_version_id: Some(version.id),
            next_token: None,
        })
    }
}

#[async_trait]
impl Handle<RemoveSchemaVersionMetadata> for Glue {
    async fn handle(
        &self,
        cx: &Cx,
        req: RemoveSchemaVersionMetadataInput,
    ) -> Result<RemoveSchemaVersionMetadataResponse, Error> {
        self.admit_version(cx, RemoveSchemaVersionMetadata::SPEC, req.schema_version_id.as_deref()).await?;
        let scope = Scope::of(cx);
        let (key, value) = pair(req.metadata_key_value)?;
        let (given, of) = ((key.clone(), value.clone()), scope.clone());
        let (schema, name, version): Changed = cx
            .write(&self.store, move |tx| {
                let asked =
                    (req.schema_id.as_ref(), req.schema_version_number.as_ref(), req.schema_version_id.as_deref());
                let (schema, name, mut version) = records::version_of(tx, &of, asked)?;
                let before = version.metadata.len();
                version.metadata.retain(|known| (&known.key, &known.value) != (&given.0, &given.1));
                if version.metadata.len() == before {
                    let message =
                        format!("Metadata is not found. MetadataKey: {}, MetadataValue: {}", given.0, given.1);
                    return Err(entity_not_found_exception(message));
                }
                super::versions::put(tx, &of, &name, &version)?;
                Ok::<_, Error>((schema, name, version))
            })
            .await?;
        Ok(RemoveSchemaVersionMetadataResponse {
            schema_arn: Some(scope.schema_arn(&name)),
            schema_name: Some(name.schema),
            registry_name: Some(name.registry),
            latest_version: Some(schema.latest == version.number),
            version_number: Some(version.number),
            schema_version_id: Some(version.id),
            metadata_key: Some(key),
            metadata_value: Some(value),
        })
    }
}
