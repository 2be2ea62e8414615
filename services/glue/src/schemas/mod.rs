//! The schema registry: registries, schemas and their versions, of Avro and JSON Schema. Protobuf is refused by name.
//!
//! | module | what it holds |
//! |---|---|
//! | `records` | what is stored, and how requests name it |
//! | `avro`, `json` | the languages of schemas |
//! | `check` | what a definition is checked for |
//! | `registries`, `definitions`, `versions`, `metadata` | the operations |

mod avro;
mod check;
mod definitions;
mod json;
mod metadata;
mod records;
mod registries;
mod versions;

use std::sync::Arc;

use service::{Router, operations};

use crate::Glue;

pub(crate) fn register(router: &Router, service: &Arc<Glue>) {
    operations!(router, service, api_glue:
        CreateRegistry, GetRegistry, ListRegistries, UpdateRegistry, DeleteRegistry, CreateSchema, GetSchema, ListSchemas,
        UpdateSchema, DeleteSchema, RegisterSchemaVersion, GetSchemaVersion, ListSchemaVersions, DeleteSchemaVersions,
        GetSchemaByDefinition, GetSchemaVersionsDiff, CheckSchemaVersionValidity, PutSchemaVersionMetadata,
        QuerySchemaVersionMetadata, RemoveSchemaVersionMetadata);
}

/// What every operation needs.
mod prelude {
    pub(super) use api_glue::error::*;
    pub(super) use api_glue::*;
    pub(super) use async_trait::async_trait;
    pub(super) use service::{Cx, Handle};
    pub(super) use wire::Error;

    pub(super) use super::records::{self, AVAILABLE, DEFAULT_REGISTRY, FAILURE, Name};
    pub(super) use crate::scope::{self, Scope};
    pub(super) use crate::{Glue, tags};
}
