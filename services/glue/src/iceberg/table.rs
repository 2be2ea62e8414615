//! Tables of the catalog that point to metadata, as Iceberg's `GlueCatalog` and Athena keep them: the parameters say what the table is
//! and where its metadata lies, the columns are those of its schemas.

use api_glue::error::concurrent_modification_exception;
use api_glue::{
    CreateTable, CreateTableRequest, GetTable, GetTableRequest, StorageDescriptor, Table, TableInput, UpdateTable,
    UpdateTableRequest,
};
use serde_json::json;
use service::Cx;
use wire::{Error, Operation as _};

use super::files;
use super::metadata::TableMetadata;
use super::update::Builder;

const METADATA_LOCATION: &str = "metadata_location";
const PREVIOUS_METADATA_LOCATION: &str = "previous_metadata_location";

/// A table's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) database: String,
    pub(crate) table: String,
}

/// A table as loaded: changes are made against exactly this state.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) table: Table,
    pub(crate) place: String,
    pub(crate) metadata: TableMetadata,
}

/// Where a table's metadata is; none for tables of other kinds.
pub(crate) fn place(table: &Table) -> Option<&str> {
    let parameters = table.parameters.as_ref()?;
    let is_iceberg = parameters.get("table_type").is_some_and(|kind| kind.eq_ignore_ascii_case("ICEBERG"));
    parameters.get(METADATA_LOCATION).filter(|_| is_iceberg).map(String::as_str)
}

/// Names the very state that a change is made against. A version alone does not: a table that was dropped and made again counts from 0.
fn state(version: Option<&str>, place: &str) -> String {
    format!("{}@{place}", version.unwrap_or("0"))
}

/// Whether a table is in the state that `expected` names: a version, or what a change here was made against.
pub(crate) fn is_in(table: &Table, expected: &str) -> bool {
    table.version_id.as_deref() == Some(expected)
        || place(table).is_some_and(|place| state(table.version_id.as_deref(), place) == expected)
}

/// The catalog's record; none where it is not there or is of another kind.
pub(crate) async fn find(cx: &Cx, name: &Name) -> Result<Option<Table>, Error> {
    let (database_name, table) = (name.database.clone(), name.table.clone());
    let request = GetTableRequest { database_name, name: table, ..GetTableRequest::default() };
    match Box::pin(cx.call::<GetTable>(request)).await {
        Ok(found) => Ok(found.table.filter(|table| place(table).is_some())),
        Err(error) if error.is("EntityNotFoundException") => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) async fn load(cx: &Cx, name: &Name) -> Result<Option<Loaded>, Error> {
    load_as(cx, cx, name).await
}

/// The same where it is not the caller who looks into the catalog, but who reads the metadata.
pub(crate) async fn load_as(finder: &Cx, cx: &Cx, name: &Name) -> Result<Option<Loaded>, Error> {
    let Some(table) = find(finder, name).await? else { return Ok(None) };
    let Some(place) = place(&table).map(str::to_owned) else { return Ok(None) };
    let metadata = TableMetadata::parse(&files::read(cx, &place).await?, &place)?;
    Ok(Some(Loaded { table, place, metadata }))
}

/// Writes the metadata of a table that is new, and makes the table known.
///
/// # Errors
/// `AlreadyExistsException`; the file that was written for nothing is deleted.
pub(crate) async fn create(cx: &Cx, name: &Name, builder: Builder) -> Result<Loaded, Error> {
    Box::pin(create_as(cx, name, Table::default(), builder)).await
}

/// The same for a table of which more is said.
pub(crate) async fn create_as(cx: &Cx, name: &Name, draft: Table, builder: Builder) -> Result<Loaded, Error> {
    let wanted = json!({ "DatabaseName": name.database, "TableInput": { "Name": name.table } });
    cx.router().admit(cx, CreateTable::SPEC, &wanted).await?;
    let (metadata, _) = builder.finish(None, cx.now().as_millisecond())?;
    let place = files::next_place(&metadata, None, &cx.uuid())?;
    files::write(cx, &place, &metadata).await?;
    match register_as(cx, name, draft, &metadata, &place).await {
        Ok(table) => Ok(Loaded { table, place, metadata }),
        Err(error) => {
            discard(cx, place, &error).await;
            Err(error)
        }
    }
}

/// Makes a table known whose metadata is there.
pub(crate) async fn register(cx: &Cx, name: &Name, metadata: &TableMetadata, place: &str) -> Result<Table, Error> {
    register_as(cx, name, Table::default(), metadata, place).await
}

async fn register_as(
    cx: &Cx,
    name: &Name,
    draft: Table,
    metadata: &TableMetadata,
    place: &str,
) -> Result<Table, Error> {
    let table = described(Table { name: name.table.clone(), ..draft }, metadata, place, None);
    let (database_name, table_input) = (name.database.clone(), Some(as_input(table.clone())));
    let request = CreateTableRequest { database_name, table_input, ..CreateTableRequest::default() };
    Box::pin(cx.call::<CreateTable>(request)).await?;
    Ok(table)
}

/// Puts changed metadata in the place of what was loaded.
///
/// # Errors
/// `ConcurrentModificationException` where somebody else was first.
pub(crate) async fn replace(
    cx: &Cx,
    name: &Name,
    loaded: Loaded,
    builder: Builder,
    skip_archive: bool,
) -> Result<Loaded, Error> {
    let wanted = json!({ "DatabaseName": name.database, "TableInput": { "Name": name.table } });
    cx.router().admit(cx, UpdateTable::SPEC, &wanted).await?;
    let next = Next::write(cx, &loaded.place, builder).await?;
    let version_id = Some(state(loaded.table.version_id.as_deref(), &loaded.place));
    let table = next.describe(loaded.table);
    let request = UpdateTableRequest {
        database_name: name.database.clone(),
        table_input: Some(as_input(table.clone())),
        skip_archive: Some(skip_archive),
        version_id,
        ..UpdateTableRequest::default()
    };
    match Box::pin(cx.call::<UpdateTable>(request)).await {
        Ok(_) => next.settle(cx).await,
        Err(error) => {
            discard(cx, next.place, &error).await;
            return Err(match error.code() {
                // It was there when it was loaded.
                "EntityNotFoundException" => concurrent_modification_exception(error.message()),
                _ => error,
            });
        }
    }
    Ok(Loaded { table, place: next.place, metadata: next.metadata })
}

/// Metadata that is written and that no table names yet.
#[derive(Debug)]
pub(crate) struct Next {
    pub(crate) metadata: TableMetadata,
    pub(crate) place: String,
    pub(crate) previous: String,
    /// Files that the log names no more.
    forgotten: Vec<String>,
}

impl Next {
    pub(crate) async fn write(cx: &Cx, previous: &str, builder: Builder) -> Result<Self, Error> {
        let (metadata, forgotten) = builder.finish(Some(previous), cx.now().as_millisecond())?;
        let place = files::next_place(&metadata, Some(previous), &cx.uuid())?;
        files::write(cx, &place, &metadata).await?;
        Ok(Self { metadata, place, previous: previous.to_owned(), forgotten })
    }

    pub(crate) fn describe(&self, table: Table) -> Table {
        described(table, &self.metadata, &self.place, Some(&self.previous))
    }

    /// After the commit: files that nobody names go, where the table wants that.
    pub(crate) async fn settle(&self, cx: &Cx) {
        let wanted = self.metadata.properties.get("write.metadata.delete-after-commit.enabled");
        if wanted.is_some_and(|text| text.eq_ignore_ascii_case("true"))
            && let Err(error) = files::delete(cx, files::below(&self.metadata.location, self.forgotten.clone())).await
        {
            tracing::debug!(%error, "old metadata files stay");
        }
    }

    pub(crate) async fn discard(self, cx: &Cx, why: &Error) {
        discard(cx, self.place, why).await;
    }
}

/// A file that no table came to name. That it stays is no harm; that it goes is, where the commit was made all the same: what failed
/// within does not say whether it was.
async fn discard(cx: &Cx, place: String, why: &Error) {
    if why.status() >= 500 {
        tracing::warn!(place, error = %why, "a metadata file stays: whether a table names it is not known");
        return;
    }
    if let Err(error) = files::delete(cx, [place]).await {
        tracing::debug!(%error, "a metadata file that no table names stays");
    }
}

/// The catalog's table for this metadata: the columns of today, then those that earlier schemas had.
fn described(mut table: Table, metadata: &TableMetadata, place: &str, previous: Option<&str>) -> Table {
    table.table_type.get_or_insert_with(|| "EXTERNAL_TABLE".to_owned());
    if let Some(comment) = metadata.properties.get("comment") {
        table.description = Some(comment.clone());
    }
    let parameters = table.parameters.get_or_insert_default();
    parameters.insert("table_type".to_owned(), "ICEBERG".to_owned());
    parameters.insert(METADATA_LOCATION.to_owned(), place.to_owned());
    if let Some(previous) = previous {
        parameters.insert(PREVIOUS_METADATA_LOCATION.to_owned(), previous.to_owned());
    }
    let mut columns = metadata.schema().map(|schema| schema.columns(true)).unwrap_or_default();
    for earlier in metadata.schemas.iter().rev().flat_map(|schema| schema.columns(false)) {
        let number = |column: &api_glue::Column| column.parameters.as_ref()?.get("iceberg.field.id").cloned();
        if !columns.iter().any(|known| known.name == earlier.name || number(known) == number(&earlier)) {
            columns.push(earlier);
        }
    }
    let storage = table.storage_descriptor.get_or_insert_with(StorageDescriptor::default);
    storage.columns = Some(columns);
    storage.location = Some(metadata.location.clone());
    table
}

/// A table as what it is made with.
pub(crate) fn as_input(table: Table) -> TableInput {
    TableInput {
        name: table.name,
        description: table.description,
        owner: table.owner,
        last_access_time: table.last_access_time,
        last_analyzed_time: table.last_analyzed_time,
        retention: table.retention,
        storage_descriptor: table.storage_descriptor,
        partition_keys: table.partition_keys,
        view_original_text: table.view_original_text,
        view_expanded_text: table.view_expanded_text,
        table_type: table.table_type,
        parameters: table.parameters,
        target_table: table.target_table,
        federated_table: None,
        view_definition: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_was_made_again_is_another() {
        let table = |place: &str| Table {
            version_id: Some("0".to_owned()),
            parameters: Some(
                [("table_type", "ICEBERG"), (METADATA_LOCATION, place)].map(|(k, v)| (k.into(), v.into())).into(),
            ),
            ..Table::default()
        };
        let (first, second) = (table("s3://b/first.json"), table("s3://b/second.json"));
        let loaded = state(first.version_id.as_deref(), "s3://b/first.json");
        assert!(is_in(&first, &loaded) && !is_in(&second, &loaded));
        // Who says a version alone means it.
        assert!(is_in(&first, "0") && is_in(&second, "0") && !is_in(&first, "1"));
    }
}
