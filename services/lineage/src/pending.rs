//! What was noted and is not written yet: merged, so that an object that is read in a thousand pieces is one row.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use service::lineage::{Did, Touched, Worker};

/// Objects of one folder that are told apart for one worker; of more of them only the folder is kept.
const APART: usize = 1000;
/// A worker of which nothing was heard for so long has ended.
const IDLE_MS: i64 = 60_000;
/// Workers that are known in memory; of more, those that were quiet for a moment are taken as ended.
const MOST_ACTIVE: usize = 20_000;
const MOMENT_MS: i64 = 2_000;

/// How often something was done, since when and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) count: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) bytes: u64,
    /// Of the content, the last time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

/// What one worker did to one piece of data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) version: u8,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) done: BTreeMap<Did, Seen>,
    /// The data is a folder, below which more objects than are told apart were touched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) folder: bool,
}

/// A worker, and who asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Known {
    pub(crate) version: u8,
    pub(crate) worker: Worker,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) asked: Option<String>,
    /// Empty where it is not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) principal: String,
    pub(crate) first_ms: i64,
}

impl Seen {
    pub(crate) fn add(&mut self, more: &Self) {
        if self.count == 0 {
            *self = more.clone();
            return;
        }
        self.count += more.count;
        self.bytes += more.bytes;
        self.first_ms = self.first_ms.min(more.first_ms);
        if more.last_ms >= self.last_ms {
            (self.last_ms, self.etag) = (more.last_ms, more.etag.clone());
        }
    }
}

impl Access {
    pub(crate) fn add(&mut self, more: &Self) {
        self.version = 1;
        self.folder |= more.folder;
        for (did, seen) in &more.done {
            self.done.entry(*did).or_default().add(seen);
        }
    }
}

/// What is to be written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) accesses: BTreeMap<(String, String), Access>,
    pub(crate) workers: BTreeMap<String, Known>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.accesses.is_empty() && self.workers.is_empty()
    }

    /// Executions that a Distributed Map has started: their names have its label before them.
    pub(crate) fn children(&self) -> BTreeSet<String> {
        let executions = self.workers.values().filter_map(|known| match &known.worker {
            Worker::State { execution, .. } => Some(execution),
            _ => None,
        });
        executions.filter(|arn| arn.contains(":execution:") && arn.contains('/')).cloned().collect()
    }

    pub(crate) fn began(&mut self, worker: Worker, asked: Option<String>) {
        let known = Known { version: 1, worker, asked, principal: String::new(), first_ms: 0 };
        self.workers.entry(known.worker.to_string()).or_insert(known);
    }
}

/// What is in memory.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    batch: Batch,
    active: BTreeMap<String, Active>,
    /// Invocations that no execution waits for: they count once they touch something.
    begun: BTreeMap<String, Known>,
}

#[derive(Debug, Default)]
struct Active {
    last_ms: i64,
    folders: BTreeMap<String, BTreeSet<String>>,
}

impl Pending {
    pub(crate) fn touched(&mut self, worker: &Worker, touched: Touched, now: i64) {
        let id = worker.to_string();
        let active = self.active.entry(id.clone()).or_insert_with(|| {
            let asked = match worker {
                Worker::State { execution, .. } => Some(execution.clone()),
                _ => None,
            };
            let (worker, principal) = (worker.clone(), String::new());
            let known = Known { version: 1, worker, asked, principal, first_ms: now };
            let known = self.begun.remove(&id).unwrap_or(known);
            self.batch.workers.entry(id.clone()).or_insert(known);
            Active::default()
        });
        active.last_ms = now;
        let (mut data, mut folder) = (touched.data, false);
        if let Some(slash) = data.strip_prefix("s3://").and_then(|rest| rest.rfind('/')) {
            let above = data[..="s3://".len() + slash].to_owned();
            let apart = active.folders.entry(above.clone()).or_default();
            if !apart.contains(&data) {
                if apart.len() < APART {
                    apart.insert(data.clone());
                } else {
                    (data, folder) = (above, true);
                }
            }
        }
        let seen = Seen {
            count: 1,
            first_ms: now,
            last_ms: now,
            bytes: touched.bytes,
            etag: touched.etag.filter(|_| !folder),
        };
        let access = Access { version: 1, done: BTreeMap::from([(touched.did, seen)]), folder };
        self.batch.accesses.entry((id, data)).or_default().add(&access);
    }

    pub(crate) fn began(&mut self, worker: Worker, asked: Option<&Worker>, principal: &str, now: i64) {
        let known = Known {
            version: 1,
            asked: asked.map(ToString::to_string),
            principal: principal.to_owned(),
            first_ms: now,
            worker,
        };
        let waited_for =
            asked.is_some_and(|by| matches!(by, Worker::State { execution, .. } if execution.contains(":execution:")));
        if matches!(known.worker, Worker::Invocation { .. }) && !waited_for {
            if self.begun.len() >= MOST_ACTIVE {
                self.begun.clear();
            }
            self.begun.insert(known.worker.to_string(), known);
            return;
        }
        if let Some(by @ Worker::State { execution, .. }) = asked {
            // The state itself may touch nothing.
            let known = Known {
                version: 1,
                worker: by.clone(),
                asked: Some(execution.clone()),
                principal: String::new(),
                first_ms: now,
            };
            self.batch.workers.entry(by.to_string()).or_insert(known);
        }
        // What was begun is said by who began it, though the worker was quicker to touch something.
        self.batch.workers.insert(known.worker.to_string(), known);
    }

    pub(crate) fn has(&self, worker: &str) -> bool {
        let mut from = self.batch.accesses.range((worker.to_owned(), String::new())..);
        from.next().is_some_and(|((of, _), _)| of == worker)
    }

    /// All that is to be written; who was not heard of for long is forgotten here.
    pub(crate) fn take(&mut self, now: i64) -> Batch {
        if !self.active.is_empty() {
            let most = if self.active.len() > MOST_ACTIVE { MOMENT_MS } else { IDLE_MS };
            self.active.retain(|_, active| now - active.last_ms < most);
        }
        std::mem::take(&mut self.batch)
    }

    pub(crate) fn give_back(&mut self, batch: Batch) {
        let newer = std::mem::replace(&mut self.batch, batch);
        for (key, access) in newer.accesses {
            self.batch.accesses.entry(key).or_default().add(&access);
        }
        self.batch.workers.extend(newer.workers);
    }

    /// An attempt's writes are undone.
    pub(crate) fn undo(&mut self, job: &str) {
        self.active.remove(job);
        self.batch.accesses.retain(|(of, _), access| {
            if of == job {
                access.done.retain(|did, _| *did == Did::Read);
            }
            !access.done.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(pending: &mut Pending, did: Did, data: &str, now: i64) {
        let touched = Touched { did, data: data.to_owned(), bytes: 10, etag: Some(format!("e{now}")) };
        pending.touched(&Worker::Job("j".to_owned()), touched, now);
    }

    #[test]
    fn pieces_are_one_row_and_many_objects_a_folder() {
        let mut pending = Pending::default();
        touch(&mut pending, Did::Read, "s3://b/k", 5);
        touch(&mut pending, Did::Read, "s3://b/k", 7);
        for n in 0..APART + 5 {
            touch(&mut pending, Did::Wrote, &format!("s3://b/many/{n}"), 8);
        }
        let batch = pending.take(9);
        let of = |data: &str| batch.accesses.get(&("j".to_owned(), data.to_owned()));
        let read = &of("s3://b/k").unwrap().done[&Did::Read];
        assert_eq!((read.count, read.bytes, read.first_ms, read.last_ms), (2, 20, 5, 7));
        assert_eq!(read.etag.as_deref(), Some("e7"));
        let many = of("s3://b/many/").unwrap();
        assert!(many.folder);
        assert_eq!((many.done[&Did::Wrote].count, &many.done[&Did::Wrote].etag), (5, &None));
        assert_eq!(batch.accesses.len(), APART + 2);
    }

    #[test]
    fn an_invocation_that_nobody_waits_for_counts_once_it_touches_something() {
        let mut pending = Pending::default();
        let invocation = |n: u32| Worker::Invocation { function: "f".to_owned(), request: n.to_string() };
        pending.began(invocation(1), None, "root", 1);
        pending.began(invocation(2), None, "root", 1);
        let data = "s3://b/k".to_owned();
        pending.touched(&invocation(2), Touched { did: Did::Read, data, bytes: 1, etag: None }, 2);
        let state = Worker::State { execution: "arn:aws:states:r:0:execution:m:e".to_owned(), state: "S".to_owned() };
        pending.began(invocation(3), Some(&state), "role", 3);
        let batch = pending.take(4);
        let ids: Vec<_> = batch.workers.keys().map(String::as_str).collect();
        assert_eq!(ids, ["arn:aws:states:r:0:execution:m:e#S", "f#2", "f#3"]);
        assert_eq!(batch.workers["f#2"].principal, "root");
    }

    #[test]
    fn what_is_undone_was_read_but_not_written() {
        let mut pending = Pending::default();
        touch(&mut pending, Did::Read, "s3://b/in", 1);
        touch(&mut pending, Did::Wrote, "s3://b/in", 1);
        touch(&mut pending, Did::Wrote, "s3://b/out", 1);
        pending.undo("j");
        let batch = pending.take(2);
        assert_eq!(batch.accesses.len(), 1);
        assert_eq!(batch.accesses.values().next().unwrap().done.keys().collect::<Vec<_>>(), [&Did::Read]);
    }
}
