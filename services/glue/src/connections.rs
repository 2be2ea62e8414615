//! Connections: where a database is and who asks. Jobs read them by `GetConnection` under their role.

use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_glue::{Connection, ConnectionInput};
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::{Error, Timestamp};

use crate::scope::Scope;

const VERSION: u32 = 1;
const SCHEMA_VERSION: i32 = 1;
const PASSWORDS: [&str; 2] = ["PASSWORD", "ENCRYPTED_PASSWORD"];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) connection: Connection,
}

impl Record {
    /// # Errors
    /// `InvalidInputException` where a JDBC connection lacks what it connects to or who connects.
    pub(crate) fn new(input: ConnectionInput, now: Timestamp, created: Option<Timestamp>) -> Result<Self, Error> {
        let has = |name: &str| input.connection_properties.get(name).is_some_and(|value| !value.is_empty());
        if input.connection_type == "JDBC" {
            let url = input.connection_properties.get("JDBC_CONNECTION_URL").map(String::as_str).unwrap_or_default();
            if !url.starts_with("jdbc:") {
                return Err(invalid_input_exception(
                    "A JDBC connection needs a JDBC_CONNECTION_URL that begins with jdbc:",
                ));
            }
            if !has("SECRET_ID") && !has("USERNAME") && !url.starts_with("jdbc:sqlite:") {
                return Err(invalid_input_exception("A JDBC connection needs USERNAME and PASSWORD, or SECRET_ID"));
            }
        }
        Ok(Self {
            version: VERSION,
            connection: Connection {
                name: Some(input.name),
                description: input.description,
                connection_type: Some(input.connection_type),
                match_criteria: input.match_criteria,
                connection_properties: Some(input.connection_properties),
                physical_connection_requirements: input.physical_connection_requirements,
                creation_time: Some(created.unwrap_or(now)),
                last_updated_time: Some(now),
                status: Some("READY".to_owned()),
                connection_schema_version: Some(SCHEMA_VERSION),
                ..Connection::default()
            },
        })
    }

    pub(crate) fn show(mut self, hide_password: Option<bool>) -> Connection {
        if hide_password == Some(true)
            && let Some(properties) = &mut self.connection.connection_properties
        {
            properties.retain(|name, _| !PASSWORDS.contains(&name.as_str()));
        }
        self.connection
    }
}

pub(crate) fn all(scope: &Scope) -> Key {
    scope.key("connection")
}

pub(crate) fn key(scope: &Scope, name: &str) -> Key {
    all(scope).push(name)
}

pub(crate) fn arn(scope: &Scope, name: &str) -> String {
    scope.arn(&format!("connection/{name}"))
}

pub(crate) fn not_found(name: &str) -> Error {
    entity_not_found_exception(format!("Connection {name} not found."))
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Record, Error> {
    tx.get_json(key(scope, name))?.ok_or_else(|| not_found(name))
}
