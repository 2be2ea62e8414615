//! Glue: the Data Catalog, crawlers and jobs.
//!
//! | module | what it holds |
//! |---|---|
//! | `catalog` | records of databases, tables, versions and partitions, and where they lie |
//! | `crawl` | the crawler as a library, without I/O of its own |
//! | `crawlers` | crawler records, the durable crawl, its schedule |
//! | `triggers` | what starts jobs and crawlers, and when |
//! | `connections` | where databases are |
//! | `quality` | rulesets of data quality, and what evaluations have found |
//! | `statistics` | statistics of columns that the catalog computes itself |
//! | `security` | how what jobs write is encrypted |
//! | `schemas` | the schema registry |
//! | `worker` | the child process in which a crawl reads S3 |
//! | `iceberg` | tables whose metadata the catalog writes itself, and the REST catalog over them |
//! | `history` | how long runs, crawls and results are remembered |
//! | `jobs` | job definitions and their runs, with operations of their own |
//! | `sessions` | interactive sessions and their statements |
//! | `ops` | one file for each operation or pair of them |

mod catalog;
mod connections;
pub mod crawl;
mod crawlers;
mod history;
pub mod iceberg;
mod jobs;
mod ops;
mod quality;
mod schemas;
mod scope;
mod security;
mod sessions;
mod statistics;
mod tags;
mod triggers;
pub mod worker;
mod workflows;

pub use jobs::standby;

use std::sync::Arc;

use compute::Compute;
use compute::spark::Spark;
use service::Platform;
use store::Store;

/// The service. Cheap to clone.
#[derive(Clone)]
pub struct Glue {
    pub(crate) platform: Platform,
    pub(crate) compute: Compute,
    pub(crate) store: Store,
}

impl std::fmt::Debug for Glue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Glue")
    }
}

impl Glue {
    /// Forgets what has run long ago, for ever.
    pub async fn forget_history(self: Arc<Self>) {
        history::run(self).await;
    }
}

/// Adds the operations to the router and the runners to the queue.
///
/// # Errors
/// A text, where a setting is wrong.
pub fn register(platform: &Platform, compute: &Compute) -> Result<Arc<Glue>, String> {
    let service = Arc::new(Glue {
        platform: platform.clone(),
        compute: compute.clone(),
        store: platform.control.store().clone(),
    });
    ops::register(&platform.router, &service);
    platform.router.add_guard("glue", service.clone());
    platform.router.add_participant(service.clone());
    crawlers::register(&platform.control, &service);
    schemas::register(&platform.router, &service);
    statistics::register(&platform.control, &service);
    triggers::register(&platform.control, &service);
    let spark = Spark::new(platform.data.join("tmp").join("spark"), compute, standby(&platform.settings)?);
    jobs::register(platform, spark.clone())?;
    sessions::register(platform, spark);
    Ok(service)
}
