//! Everything that must survive: records, object bytes, and the work that is still to be done.
//!
//! - [`kv`]: the key-value port. `Store::read(|tx| …)`, `Store::write(|tx| …)`: closures are synchronous, re-runnable and touch
//!   only `tx` (`get`, `put`, `delete`, `scan_prefix`, `get_json`, `put_json`, `list_json`, `next_number`, `enqueue`). A write
//!   answers after its commit is on disk; many requests share a commit. `Store::write_once` remembers its result.
//! - [`key::Key`]: `Key::new("sqs").push(account).push(region).push(name)`; order of keys = order of parts.
//! - [`queue`]: the durable task queue. `tx.enqueue(NewTask::new("lambda:invoke", id).payload(&p)?.at(t))` in the transaction
//!   that asks for the work; `Queue::register("lambda:invoke", 16, Arc::new(runner))`; the runner ends with
//!   `Done::Finished`, or removes the task itself in the transaction that records the result (`tx.finish_task(&task.id)`,
//!   then `Done::Committed`), or asks to be run again (`Done::RetryAfter(pause)`). After a crash, tasks run again. Timers are tasks.
//! - [`journal`]: what records held before a job changed them; [`sweep`]: forgets what nothing needs any more.
//! - [`Cache`]: decoded records, kept in memory until somebody writes records like them.
//! - [`objects`]: object bytes.
//! - [`cut`]: a copy of several stores as of one moment.
//! - [`clock::Clock`]: time and chance, which the simulation replaces.
//! - [`metrics`]: what stores count of themselves.
//! - [`dir::DataDir`]: the data folder with its lock and format version.
//!
//! Backends: SQLite for servers, [`postgres`] for several that take each other's place, memory for tests, and that of `sim/`, which fails. Not here: what the records mean.

mod cache;
pub mod clock;
pub mod cut;
pub mod dir;
mod error;
pub mod journal;
pub mod key;
pub mod kv;
mod layered;
mod log;
mod memory;
pub mod metrics;
pub mod objects;
mod overlay;
pub mod postgres;
pub mod queue;
pub mod room;
mod sqlite;
pub mod sweep;

pub use cache::{Cache, Changes};
pub use clock::{Clock, SystemClock};
pub use dir::DataDir;
pub use error::Error;
pub use key::Key;
pub use kv::{Pair, Store, Tx};
pub use layered::at_rest;
pub use queue::{Done, NewTask, Queue, Runner, Task};
