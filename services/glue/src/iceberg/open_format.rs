//! `OpenTableFormatInput` of `CreateTable` and `UpdateTable`: the service writes the metadata that other writers of Iceberg write themselves.
//! Source: Glue API reference, `IcebergInput`, `IcebergTableUpdate`.

use api_glue::error::invalid_input_exception;
use api_glue::{
    CreateIcebergTableInput, IcebergPartitionSpec, IcebergSchema, IcebergSortOrder, IcebergTableUpdate,
    OpenTableFormatInput, TableInput, UpdateOpenTableFormatInput,
};
use serde_json::json;
use wire::Error;

use super::bad;
use super::creation::Creation;
use super::metadata::{PartitionSpec, SortOrder};
use super::schema::Schema;
use super::update::{Builder, USUAL_VERSION, Update};

/// What the REST catalog calls a bad request, Glue does by a name of its own.
pub(crate) fn as_glue(error: Error) -> Error {
    match error.code() {
        "BadRequestException" => invalid_input_exception(error.message()),
        _ => error,
    }
}

/// The table that is asked for: all of it in `IcebergInput`, or its columns and place in `TableInput`.
pub(crate) fn creation(
    input: &OpenTableFormatInput,
    table: Option<&TableInput>,
    uuid: String,
) -> Result<Creation, Error> {
    let iceberg = input.iceberg_input.as_ref().ok_or_else(|| bad("OpenTableFormatInput needs IcebergInput"))?;
    if iceberg.metadata_operation != "CREATE" {
        return Err(bad(format_args!("Invalid MetadataOperation: {}", iceberg.metadata_operation)));
    }
    let version = match iceberg.version.as_deref() {
        None => USUAL_VERSION,
        Some(text) => text.parse().map_err(|_| bad(format_args!("Invalid Iceberg table version: {text}")))?,
    };
    match (&iceberg.create_iceberg_table_input, table) {
        (Some(own), _) => of_input(own, version, uuid),
        (None, Some(table)) => of_table(table, version, uuid),
        (None, None) => Err(bad("TableInput or CreateIcebergTableInput is required")),
    }
}

fn of_input(own: &CreateIcebergTableInput, version: u8, uuid: String) -> Result<Creation, Error> {
    Ok(Creation {
        uuid,
        location: own.location.clone(),
        schema: schema(&own.schema)?,
        spec: own.partition_spec.as_ref().map(spec).transpose()?,
        order: own.write_order.as_ref().map(order).transpose()?,
        version,
        properties: own.properties.clone().unwrap_or_default(),
    })
}

fn of_table(table: &TableInput, version: u8, uuid: String) -> Result<Creation, Error> {
    if table.partition_keys.as_ref().is_some_and(|keys| !keys.is_empty()) {
        return Err(bad("Cannot create partitions in an iceberg table"));
    }
    let storage = table.storage_descriptor.as_ref();
    let columns = storage.and_then(|storage| storage.columns.as_deref()).unwrap_or_default();
    if columns.is_empty() {
        return Err(bad("StorageDescriptor#Columns cannot be empty for an iceberg table"));
    }
    let location = storage.and_then(|storage| storage.location.clone());
    Ok(Creation {
        uuid,
        location: location.ok_or_else(|| bad("StorageDescriptor#Location cannot be empty for an iceberg table"))?,
        schema: Schema::of_columns(columns)?,
        spec: None,
        order: None,
        version,
        properties: std::collections::BTreeMap::new(),
    })
}

/// Updates one after the other. One that names no action is the state that the table is to have.
pub(crate) fn update(builder: Builder, input: &UpdateOpenTableFormatInput) -> Result<Builder, Error> {
    let input = input.update_iceberg_input.as_ref();
    let input = input.ok_or_else(|| bad("UpdateOpenTableFormatInput needs UpdateIcebergInput"))?;
    let mut updates = Vec::new();
    for one in &input.update_iceberg_table_input.updates {
        updates.extend(changes(one)?);
    }
    builder.apply(updates)
}

fn changes(one: &IcebergTableUpdate) -> Result<Vec<Update>, Error> {
    let action = one.action.as_deref();
    let is = |name: &str| action.is_none_or(|action| action == name);
    if let Some("add-encryption-key" | "remove-encryption-key") = action {
        return Err(Error::not_implemented(format!("{} of an Iceberg table", action.unwrap_or_default())));
    }
    let missing = |what: &str| bad(format_args!("{} needs {what}", action.unwrap_or_default()));
    let mut all = Vec::new();
    if is("set-location") {
        all.push(Update::SetLocation { location: one.location.clone() });
    }
    if is("add-schema") {
        all.push(Update::AddSchema { schema: schema(&one.schema)? });
    }
    match action {
        None => all.push(Update::SetCurrentSchema { schema_id: -1 }),
        Some("set-current-schema") => {
            let schema_id = one.schema.schema_id.ok_or_else(|| missing("SchemaId"))?;
            all.push(Update::SetCurrentSchema { schema_id });
        }
        _ => {}
    }
    match (action, &one.partition_spec) {
        (None, Some(wanted)) => {
            all.extend([Update::AddSpec { spec: spec(wanted)? }, Update::SetDefaultSpec { spec_id: -1 }]);
        }
        (Some("add-spec"), Some(wanted)) => all.push(Update::AddSpec { spec: spec(wanted)? }),
        (Some("set-default-spec"), Some(wanted)) => {
            all.push(Update::SetDefaultSpec { spec_id: wanted.spec_id.ok_or_else(|| missing("SpecId"))? });
        }
        (Some("add-spec" | "set-default-spec"), None) => return Err(missing("PartitionSpec")),
        _ => {}
    }
    match (action, &one.sort_order) {
        (None, Some(wanted)) => {
            all.extend([
                Update::AddSortOrder { sort_order: order(wanted)? },
                Update::SetDefaultSortOrder { sort_order_id: -1 },
            ]);
        }
        (Some("add-sort-order"), Some(wanted)) => all.push(Update::AddSortOrder { sort_order: order(wanted)? }),
        (Some("set-default-sort-order"), Some(wanted)) => {
            all.push(Update::SetDefaultSortOrder { sort_order_id: wanted.order_id });
        }
        (Some("add-sort-order" | "set-default-sort-order"), None) => return Err(missing("SortOrder")),
        _ => {}
    }
    match (action, &one.properties) {
        (None | Some("set-properties"), Some(updates)) => all.push(Update::SetProperties { updates: updates.clone() }),
        (Some("remove-properties"), Some(gone)) => {
            all.push(Update::RemoveProperties { removals: gone.keys().cloned().collect() });
        }
        (Some("set-properties" | "remove-properties"), None) => return Err(missing("Properties")),
        _ => {}
    }
    Ok(all)
}

fn schema(input: &IcebergSchema) -> Result<Schema, Error> {
    let fields: Vec<_> = input
        .fields
        .iter()
        .map(|field| {
            json!({ "id": field.id, "name": field.name, "required": field.required, "type": field.r#type, "doc": field.doc,
                "initial-default": field.initial_default, "write-default": field.write_default })
        })
        .collect();
    let schema = json!({
        "type": input.r#type.as_deref().unwrap_or("struct"),
        "schema-id": input.schema_id.unwrap_or(0),
        "identifier-field-ids": input.identifier_field_ids.clone().unwrap_or_default(),
        "fields": fields,
    });
    serde_json::from_value(schema).map_err(|error| bad(format_args!("Invalid schema: {error}")))
}

fn spec(input: &IcebergPartitionSpec) -> Result<PartitionSpec, Error> {
    let fields: Vec<_> = input
        .fields
        .iter()
        .map(|field| {
            json!({ "source-id": field.source_id, "field-id": field.field_id.unwrap_or(0), "transform": field.transform,
                "name": field.name })
        })
        .collect();
    let spec = json!({ "spec-id": input.spec_id.unwrap_or(0), "fields": fields });
    serde_json::from_value(spec).map_err(|error| bad(format_args!("Invalid partition spec: {error}")))
}

fn order(input: &IcebergSortOrder) -> Result<SortOrder, Error> {
    let fields: Vec<_> = input
        .fields
        .iter()
        .map(|field| {
            json!({ "source-id": field.source_id, "transform": field.transform, "direction": field.direction,
                "null-order": field.null_order })
        })
        .collect();
    let order = json!({ "order-id": input.order_id, "fields": fields });
    serde_json::from_value(order).map_err(|error| bad(format_args!("Invalid sort order: {error}")))
}
