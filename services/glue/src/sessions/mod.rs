//! Interactive sessions: a process with the environment, the engine and the role's keys of a job (`run`) that runs statements as they come
//! (`ops`). A session is a row from CreateSession on and a durable task; its namespace is in its process alone, so a session whose process is
//! gone has FAILED and says so, whatever ended it. Statements and what they gave are rows (`records`).
//!
//! A session cannot start over on another engine, as jobs of engine `auto` do: one that does not name its engine has Apache Spark.

mod ops;
mod records;
mod run;
mod talk;

pub(crate) use records::is_old;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use compute::spark::Spark;
use service::{Platform, Router, operations};
use store::Store;
use tokio::sync::mpsc;

/// Sessions that have a process at once; others wait as PROVISIONING.
const AT_ONCE: usize = 8;

pub(crate) struct Sessions {
    store: Store,
    router: Arc<Router>,
    spark: Spark,
    endpoint: String,
    /// The sessions whose process is being started or there, by their task.
    live: Mutex<BTreeMap<String, mpsc::UnboundedSender<Order>>>,
}

/// What a session's process is told.
#[derive(Debug)]
enum Order {
    Run { number: i32, code: String },
    Cancel { number: i32 },
    Stop,
}

pub(crate) fn register(platform: &Platform, spark: Spark) {
    let service = Arc::new(Sessions {
        store: platform.control.store().clone(),
        router: platform.router.clone(),
        spark,
        endpoint: platform.endpoint.clone(),
        live: Mutex::default(),
    });
    operations!(platform.router, service, api_glue: CancelStatement, CreateSession, DeleteSession, GetSession, GetStatement,
        ListSessions, ListStatements, RunStatement, StopSession);
    ::jobs::register(&platform.control, &platform.router, Arc::new(run::Runs(service)), AT_ONCE);
}

impl Sessions {
    fn live(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, mpsc::UnboundedSender<Order>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells a session's process; one that is not there yet, or no more, reads it in the records.
    fn tell(&self, task: &str, order: Order) {
        if let Some(orders) = self.live().get(task) {
            let _ = orders.send(order);
        }
    }
}
