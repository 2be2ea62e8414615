//! Athena's SQL on DataFusion: one statement in, result files and an [`Outcome`] out.
//!
//! | module | what it owns |
//! |---|---|
//! | `sql` | text to [`sql::Statement`]; Trino's words into DataFusion's |
//! | `catalog` | the Glue catalog as a port, views as Athena stores them |
//! | `scan` | tables over S3: partitions, listing, SerDes, Parquet |
//! | `iceberg` | Iceberg tables: metadata, manifests, snapshots |
//! | `plan` | relations that DataFusion does not plan: UNNEST, samples |
//! | `functions` | Trino's functions, made known to DataFusion |
//! | `analyze` | calls back into DataFusion's own expressions, where types are known |
//! | `decorrelate` | correlated subqueries that DataFusion refuses, as joins |
//! | `row_pattern` | MATCH_RECOGNIZE |
//! | `run` | carries a statement out |
//! | `trino` | queries that are sent to a Trino beside this engine |
//! | `types`, `value`, `result` | types, values and files as Athena writes them |
//! | [`worker`] | the JSON request and reply of a worker process |
//!
//! Nothing here knows the server: catalog and objects are reached through ports, in a worker over HTTP.

mod analyze;
pub mod catalog;
mod chance;
mod decorrelate;
mod delta;
mod error;
mod functions;
mod handed;
mod iceberg;
mod plan;
mod result;
mod routine;
mod row_pattern;
mod run;
mod s3_lists;
mod scan;
mod sql;
mod storage;
pub mod trino;
mod types;
mod value;
pub mod worker;

pub use error::{Error, Result};
pub use run::{Engine, Job, Outcome};
pub use storage::{Connection, Encryption, Location, Storage};
pub use types::ColumnInfo;

/// Reads a statement, without any table or function being looked up.
///
/// # Errors
/// What Athena says of a text that is no statement.
pub fn check(statement: &str) -> Result<()> {
    sql::parse(statement).map(drop)
}
