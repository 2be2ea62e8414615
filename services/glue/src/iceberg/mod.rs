//! Iceberg tables whose metadata the catalog itself writes, as the specification has it (<https://iceberg.apache.org/spec/>): for the
//! REST catalog and for `OpenTableFormatInput`. What a table holds is its clients' and Athena's; nothing here reads rows.
//!
//! | module | what it owns |
//! |---|---|
//! | `schema` | types and columns, and the same in the catalog's words |
//! | `metadata` | the metadata file |
//! | `update` | changes of it, as the REST specification names them |
//! | `creation` | what a new table is made of |
//! | `requirement` | what a commit says must hold |
//! | `files` | metadata files in S3, and what a table's files are |
//! | `table` | tables of the catalog that point to metadata, and how they come to point to new one |
//! | `open_format` | `OpenTableFormatInput` of Glue's own operations |
//! | `rest` | the REST catalog |

pub(crate) mod creation;
pub(crate) mod files;
pub(crate) mod metadata;
pub(crate) mod open_format;
pub(crate) mod requirement;
pub mod rest;
pub(crate) mod schema;
pub(crate) mod table;
pub(crate) mod update;

use wire::Error;

/// What a request says cannot be. Names and statuses are those of the REST specification.
pub(crate) fn bad(message: impl std::fmt::Display) -> Error {
    Error::new("BadRequestException", 400, message.to_string())
}

/// What was to hold does not.
pub(crate) fn conflict(message: impl std::fmt::Display) -> Error {
    Error::new("CommitFailedException", 409, message.to_string())
}
