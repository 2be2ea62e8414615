//! Tables, one at a time: made, loaded, changed, registered, dropped.

use std::collections::BTreeMap;

use api_glue::{DeleteTable, DeleteTableRequest, GetTables, GetTablesRequest};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::Error;

use super::super::metadata::{PartitionSpec, SortOrder, TableMetadata};
use super::super::requirement::Requirement;
use super::super::schema::Schema;
use super::super::table::{self, Loaded, Name};
use super::super::update::{Builder, USUAL_VERSION, Update};
use super::super::{creation, files};
use super::{Answer, Call, Identifier, bad, conflict, exists, name, no_table, one_level};

/// How often changes are made on top of what others have committed meanwhile: what must hold is checked each time.
const TRIES: usize = 20;

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct NewTable {
    name: String,
    location: Option<String>,
    schema: Schema,
    partition_spec: Option<PartitionSpec>,
    write_order: Option<SortOrder>,
    #[serde(default)]
    stage_create: bool,
    #[serde(default)]
    properties: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Registration {
    name: String,
    metadata_location: String,
    #[serde(default)]
    overwrite: bool,
}

/// What a commit asks of one table.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Changes {
    pub(super) identifier: Option<Identifier>,
    #[serde(default)]
    requirements: Vec<Requirement>,
    #[serde(default)]
    updates: Vec<Update>,
}

impl Changes {
    fn creates(&self) -> bool {
        self.requirements.iter().any(|requirement| matches!(requirement, Requirement::Create))
    }

    /// The changed metadata, if what must hold does.
    pub(super) fn on(&self, base: Option<&TableMetadata>) -> Result<Builder, Error> {
        self.requirements.iter().try_for_each(|requirement| requirement.check(base))?;
        base.map_or_else(Builder::new, Builder::on).apply(self.updates.clone())
    }
}

impl Call<'_> {
    pub(super) async fn list_tables(&self, namespace: &str) -> Result<Answer, Error> {
        let database = one_level(namespace)?;
        let (size, mut token) = self.page()?;
        let mut all = Vec::new();
        loop {
            let request = GetTablesRequest {
                database_name: database.clone(),
                max_results: size,
                next_token: token.take(),
                ..GetTablesRequest::default()
            };
            let page = match Box::pin(self.cx.call::<GetTables>(request)).await {
                Err(error) if error.is("EntityNotFoundException") => return Err(super::no_namespace(&database)),
                page => page?,
            };
            let tables = page.table_list.into_iter().flatten().filter(|one| table::place(one).is_some());
            all.extend(tables.map(|one| json!({ "namespace": [database], "name": one.name })));
            token = page.next_token;
            if size.is_some() || token.is_none() {
                break;
            }
        }
        Ok(Answer::Json(json!({ "identifiers": all, "next-page-token": token })))
    }

    pub(super) async fn create_table(&self, namespace: &str) -> Result<Answer, Error> {
        let new: NewTable = self.body()?;
        let name = named(namespace, &new.name)?;
        let database = self.database(&name.database).await?;
        let of_database = || database.location_uri.as_ref().filter(|uri| !uri.is_empty());
        let location = new
            .location
            .clone()
            .or_else(|| of_database().map(|uri| format!("{}/{}", uri.trim_end_matches('/'), name.table)))
            .or_else(|| self.warehouse.location(&name.database, &name.table))
            .ok_or_else(|| {
                bad(format_args!(
                    "Table {} needs a location: neither it nor its namespace nor the warehouse has one",
                    name.table
                ))
            })?;
        let builder = creation::Creation {
            uuid: self.cx.uuid(),
            location,
            schema: new.schema,
            spec: new.partition_spec,
            order: new.write_order,
            version: USUAL_VERSION,
            properties: new.properties.unwrap_or_default(),
        }
        .builder()?;
        if new.stage_create {
            if table::find(self.cx, &name).await?.is_some() {
                return Err(exists("Table", &format!("{}.{}", name.database, name.table)));
            }
            let (metadata, _) = builder.finish(None, self.cx.now().as_millisecond())?;
            return self.told(&metadata, None).await;
        }
        let made = table::create(self.cx, &name, builder).await.map_err(|error| not_new(error, &name))?;
        self.told(&made.metadata, Some(&made.place)).await
    }

    pub(super) async fn register_table(&self, namespace: &str) -> Result<Answer, Error> {
        let asked: Registration = self.body()?;
        let name = named(namespace, &asked.name)?;
        if asked.overwrite {
            return Err(super::unsupported("Registering a table over another is not supported"));
        }
        self.database(&name.database).await?;
        let place = asked.metadata_location;
        let metadata = TableMetadata::parse(&files::read(self.cx, &place).await?, &place)?;
        let registered = table::register(self.cx, &name, &metadata, &place).await;
        registered.map_err(|error| not_new(error, &name))?;
        self.told(&metadata, Some(&place)).await
    }

    pub(super) async fn load_table(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let loaded = self.loaded(&name(namespace, table)?).await?;
        self.told(&loaded.metadata, Some(&loaded.place)).await
    }

    pub(super) async fn has_table(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let name = name(namespace, table)?;
        table::find(self.cx, &name).await?.map(|_| Answer::Nothing).ok_or_else(|| no_table(&name))
    }

    pub(super) async fn load_credentials(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let loaded = self.loaded(&name(namespace, table)?).await?;
        let location = &loaded.metadata.location;
        let keys = self.keys(location).await?;
        let all = keys.map(|keys| json!({ "prefix": location, "config": self.with_keys(keys) }));
        Ok(Answer::Json(json!({ "storage-credentials": all.into_iter().collect::<Vec<_>>() })))
    }

    /// What a client has measured of a scan or commit: taken, and not kept.
    pub(super) async fn report(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let report: Value = self.body()?;
        let name = name(namespace, table)?;
        table::find(self.cx, &name).await?.ok_or_else(|| no_table(&name))?;
        match report["report-type"].as_str() {
            Some("scan-report" | "commit-report") => Ok(Answer::Nothing),
            _ => Err(bad("A report is a scan-report or a commit-report")),
        }
    }

    pub(super) async fn commit_table(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let name = name(namespace, table)?;
        let changes: Changes = self.body()?;
        if let Some(said) = &changes.identifier
            && said.name()? != name
        {
            return Err(bad("The identifier is not that of the path"));
        }
        let done = if changes.creates() {
            self.database(&name.database).await?;
            let builder = changes.on(self.base(&name).await?.as_ref())?;
            table::create(self.cx, &name, builder).await.map_err(|error| not_new(error, &name))?
        } else {
            self.change(&name, &changes).await?
        };
        Ok(Answer::Json(json!({ "metadata-location": done.place, "metadata": done.metadata.to_json()? })))
    }

    /// Any table of the name, whatever it is.
    async fn base(&self, name: &Name) -> Result<Option<TableMetadata>, Error> {
        Ok(table::load(self.cx, name).await?.map(|loaded| loaded.metadata))
    }

    async fn change(&self, name: &Name, changes: &Changes) -> Result<Loaded, Error> {
        for _ in 0..TRIES {
            let loaded = self.loaded(name).await?;
            let builder = changes.on(Some(&loaded.metadata))?;
            match table::replace(self.cx, name, loaded, builder, true).await {
                Err(error) if error.is("ConcurrentModificationException") => {}
                done => return done,
            }
        }
        Err(conflict(format_args!("Cannot commit {}.{}: others were first {TRIES} times", name.database, name.table)))
    }

    pub(super) async fn drop_table(&self, namespace: &str, table: &str) -> Result<Answer, Error> {
        let name = name(namespace, table)?;
        let purge = self.asked("purgeRequested").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        // Files are looked for before the table goes: after it nobody would know them.
        let files = if purge {
            let loaded = self.loaded(&name).await?;
            let all = files::reachable(self.cx, &loaded.metadata, &loaded.place).await?;
            files::below(&loaded.metadata.location, all)
        } else {
            table::find(self.cx, &name).await?.ok_or_else(|| no_table(&name))?;
            std::collections::BTreeSet::new()
        };
        let Name { database: database_name, table } = name.clone();
        let request = DeleteTableRequest { database_name, name: table, ..DeleteTableRequest::default() };
        match Box::pin(self.cx.call::<DeleteTable>(request)).await {
            Err(error) if error.is("EntityNotFoundException") => return Err(no_table(&name)),
            gone => gone?,
        };
        files::delete(self.cx, files).await?;
        Ok(Answer::Nothing)
    }

    pub(super) async fn loaded(&self, name: &Name) -> Result<Loaded, Error> {
        table::load(self.cx, name).await?.ok_or_else(|| no_table(name))
    }

    /// `LoadTableResult`.
    async fn told(&self, metadata: &TableMetadata, place: Option<&str>) -> Result<Answer, Error> {
        let (config, credentials) = self.access(&metadata.location).await?;
        let mut shown = metadata.to_json()?;
        if self.asked("snapshots") == Some("refs") {
            let kept: Vec<i64> = metadata.refs.values().map(|reference| reference.snapshot_id).collect();
            if let Some(all) = shown["snapshots"].as_array_mut() {
                all.retain(|one| one["snapshot-id"].as_i64().is_some_and(|id| kept.contains(&id)));
            }
        }
        let mut told = json!({ "metadata": shown, "config": config });
        if let Some(place) = place {
            told["metadata-location"] = place.into();
        }
        if credentials.as_array().is_some_and(|all| !all.is_empty()) {
            told["storage-credentials"] = credentials;
        }
        Ok(Answer::Json(told))
    }
}

/// The name of what is to be.
fn named(namespace: &str, table: &str) -> Result<Name, Error> {
    Ok(Name { database: one_level(namespace)?, table: crate::catalog::check_name(table)? })
}

fn not_new(error: Error, name: &Name) -> Error {
    let Name { database, table } = name;
    match error.code() {
        "AlreadyExistsException" => exists("Table", &format!("{database}.{table}")),
        "EntityNotFoundException" => super::no_namespace(database),
        _ => error,
    }
}
