//! Namespaces: the catalog's databases. `location` is the database's place, `comment` its description, all else its parameters.

use std::collections::{BTreeMap, BTreeSet};

use api_glue::{
    CreateDatabase, CreateDatabaseRequest, Database, DatabaseInput, DeleteDatabase, GetDatabase, GetDatabaseRequest,
    GetDatabases, GetDatabasesRequest, UpdateDatabase, UpdateDatabaseRequest,
};
use serde::Deserialize;
use serde_json::json;
use wire::{Error, Operation as _};

use super::super::files;
use super::{Answer, Call, LEVELS, exists, level, no_namespace, one_level};
use crate::catalog;
use crate::scope::Scope;

#[derive(Deserialize)]
struct NewNamespace {
    namespace: Vec<String>,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    removals: Vec<String>,
    #[serde(default)]
    updates: BTreeMap<String, String>,
}

impl Call<'_> {
    pub(super) async fn list_namespaces(&self) -> Result<Answer, Error> {
        if let Some(parent) = self.asked("parent") {
            // A database has none within it.
            let levels: Vec<&str> = parent.split(LEVELS).collect();
            self.database(&level(&levels)?).await?;
            return Ok(Answer::Json(json!({ "namespaces": [] })));
        }
        let (size, mut token) = self.page()?;
        let mut all = Vec::new();
        loop {
            let request =
                GetDatabasesRequest { max_results: size, next_token: token.take(), ..GetDatabasesRequest::default() };
            let page = Box::pin(self.cx.call::<GetDatabases>(request)).await?;
            all.extend(page.database_list.into_iter().map(|database| json!([database.name])));
            token = page.next_token;
            if size.is_some() || token.is_none() {
                break;
            }
        }
        Ok(Answer::Json(json!({ "namespaces": all, "next-page-token": token })))
    }

    pub(super) async fn create_namespace(&self) -> Result<Answer, Error> {
        let new: NewNamespace = self.body()?;
        let [name] = new.namespace.as_slice() else {
            return Err(super::bad(format_args!(
                "Invalid namespace {}: a database has one level",
                new.namespace.join(".")
            )));
        };
        let name = catalog::fold(name);
        let database_input = input(&name, new.properties)?;
        let request = CreateDatabaseRequest { database_input, ..CreateDatabaseRequest::default() };
        match Box::pin(self.cx.call::<CreateDatabase>(request)).await {
            Ok(_) => {}
            Err(error) if error.is("AlreadyExistsException") => return Err(exists("Namespace", &name)),
            Err(error) => return Err(error),
        }
        self.load_namespace(&name).await
    }

    pub(super) async fn load_namespace(&self, namespace: &str) -> Result<Answer, Error> {
        let database = self.database(&one_level(namespace)?).await?;
        Ok(Answer::Json(json!({ "namespace": [database.name], "properties": properties(&database) })))
    }

    /// Only an empty one goes: who looks and who deletes is one transaction.
    pub(super) async fn drop_namespace(&self, namespace: &str) -> Result<Answer, Error> {
        let name = one_level(namespace)?;
        let cx = self.cx;
        cx.router().admit(cx, DeleteDatabase::SPEC, &json!({ "Name": name })).await?;
        let scope = Scope::of(cx);
        cx.write(&self.glue.store, move |tx| {
            if tx.get(scope.database(&name))?.is_none() {
                return Err(no_namespace(&name));
            }
            if !tx.scan_prefix(scope.tables(&name), 1)?.is_empty() {
                let message = format!("Namespace {name} is not empty. One or more tables exist.");
                return Err(Error::new("NamespaceNotEmptyException", 409, message));
            }
            catalog::delete_database(tx, &scope, &name)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Answer::Nothing)
    }

    pub(super) async fn update_namespace(&self, namespace: &str) -> Result<Answer, Error> {
        let name = one_level(namespace)?;
        let changes: Changes = self.body()?;
        if let Some(both) = changes.removals.iter().find(|key| changes.updates.contains_key(*key)) {
            let message = format!("Invalid namespace update: cannot simultaneously set and remove {both}");
            return Err(Error::new("UnprocessableEntityException", 422, message));
        }
        let database = self.database(&name).await?;
        let mut all = properties(&database);
        let wanted: BTreeSet<&String> = changes.removals.iter().collect();
        let (removed, missing): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|key| all.contains_key(*key));
        all.retain(|key, _| !changes.removals.contains(key));
        all.extend(changes.updates.clone());
        let database_input = DatabaseInput {
            create_table_default_permissions: database.create_table_default_permissions,
            target_database: database.target_database,
            federated_database: database.federated_database,
            ..input(&name, all)?
        };
        let request = UpdateDatabaseRequest { name, database_input, ..UpdateDatabaseRequest::default() };
        Box::pin(self.cx.call::<UpdateDatabase>(request)).await?;
        let updated: Vec<&String> = changes.updates.keys().collect();
        Ok(Answer::Json(json!({ "updated": updated, "removed": removed, "missing": missing })))
    }

    pub(super) async fn database(&self, name: &str) -> Result<Database, Error> {
        let request = GetDatabaseRequest { name: name.to_owned(), ..GetDatabaseRequest::default() };
        match Box::pin(self.cx.call::<GetDatabase>(request)).await {
            Ok(found) => found.database.ok_or_else(|| no_namespace(name)),
            Err(error) if error.is("EntityNotFoundException") => Err(no_namespace(name)),
            Err(error) => Err(error),
        }
    }
}

fn input(name: &str, mut properties: BTreeMap<String, String>) -> Result<DatabaseInput, Error> {
    let location = properties.remove("location").map(|location| files::folder(&location));
    Ok(DatabaseInput {
        name: name.to_owned(),
        location_uri: location.transpose()?,
        description: properties.remove("comment"),
        parameters: Some(properties),
        ..DatabaseInput::default()
    })
}

fn properties(database: &Database) -> BTreeMap<String, String> {
    let mut all = database.parameters.clone().unwrap_or_default();
    for (key, value) in [("location", &database.location_uri), ("comment", &database.description)] {
        all.extend(value.clone().filter(|text| !text.is_empty()).map(|text| (key.to_owned(), text)));
    }
    all
}
