//! Athena: query executions, workgroups, named queries, prepared statements, data catalogs.
//!
//! | module | what it holds |
//! |---|---|
//! | `records` | what is stored, and where |
//! | `classify` | what kind of statement a text is, without parsing it |
//! | `run` | a query as a job: worker, end |
//! | `elsewhere` | queries of workgroups that are sent to Trino |
//! | `event` | the event `Athena Query State Change` |
//! | `metrics` | what queries took, as metrics of `AWS/Athena` |
//! | `sweep` | queries that are forgotten after 45 days |
//! | `results` | pages of a result file |
//! | `ops` | the operations, a file per resource |
//!
//! Statements run in `lakerun worker query` (crate `query`), with credentials of the caller's rights that end with the attempt.
//! Results are objects in S3. Not here: SQL.

mod classify;
mod elsewhere;
mod event;
mod metrics;
mod ops;
mod records;
mod results;
mod run;
mod sweep;

use std::sync::Arc;

use compute::Compute;
use service::Platform;
use store::Store;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Athena {
    compute: Compute,
    store: Store,
    router: Arc<service::Router>,
    endpoint: String,
    /// The socket where workers get the open files of objects.
    files: std::path::PathBuf,
    trino: Arc<elsewhere::Section>,
}

impl std::fmt::Debug for Athena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Athena")
    }
}

/// Queries that run side by side; more wait as QUEUED.
const QUERIES_AT_ONCE: usize = 4;

/// Adds the operations to the router and the runners to the queue.
///
/// # Errors
/// A text, where section `[trino]` of the settings is wrong.
pub fn register(platform: &Platform, compute: &Compute) -> Result<Arc<Athena>, String> {
    let service = Arc::new(Athena {
        compute: compute.clone(),
        store: platform.control.store().clone(),
        router: Arc::clone(&platform.router),
        endpoint: platform.endpoint.clone(),
        files: platform.objects_socket(),
        trino: Arc::new(elsewhere::Section::of(&platform.settings)?),
    });
    ops::register(&platform.router, &service);
    let queries = Arc::new(run::Queries(Arc::clone(&service)));
    jobs::register(&platform.control, &platform.router, queries, QUERIES_AT_ONCE);
    platform.control.register(sweep::SWEEP, 1, Arc::new(sweep::Sweeper(service.clone())));
    Ok(service)
}
