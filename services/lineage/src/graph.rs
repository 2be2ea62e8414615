//! GetLineage: from a piece of data, an execution or a job to where it comes from and where it goes.
//!
//! It is followed object by object: a worker that read an object is behind one that wrote that very content. Only what is shown is
//! gathered by folder.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use api_lineage::{Edge, GetLineage, GetLineageRequest, GetLineageResponse, Node};
use async_trait::async_trait;
use service::lineage::{Did, Worker};
use service::{Cx, Handle};
use store::Tx;
use wire::Error;

use crate::pending::{Access, Seen};
use crate::{Lineage, records};

const DEPTH: i32 = 12;
/// Workers, and rows of one step, that one answer is made of.
const MOST_WORKERS: usize = 400;
const MOST_ROWS: usize = 5000;

#[async_trait]
impl Handle<GetLineage> for Lineage {
    async fn handle(&self, cx: &Cx, input: GetLineageRequest) -> Result<GetLineageResponse, Error> {
        self.check_account(cx)?;
        // What was done a moment ago is part of the truth.
        self.flush().await?;
        let depth = usize::try_from(input.max_depth.unwrap_or(DEPTH)).unwrap_or_default();
        let direction = input.direction.as_deref().unwrap_or("BOTH");
        let walk = |tx: &mut Tx<'_>| {
            let mut walk = Walk::default();
            for (ways, wanted) in [(Way::Up, direction != "DOWNSTREAM"), (Way::Down, direction != "UPSTREAM")] {
                if wanted {
                    walk.go(tx, &input.resource, ways, depth)?;
                }
            }
            walk.climb(tx)?;
            Ok::<_, store::Error>(walk)
        };
        let walk = self.store.read(walk).await?;
        Ok(walk.answer(input.detail.as_deref() != Some("OBJECT")))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

impl Way {
    /// What is followed into a worker, and what out of it.
    fn steps(self) -> (Vec<Did>, Vec<Did>) {
        match self {
            Self::Up => (vec![Did::Wrote], vec![Did::Read]),
            Self::Down => (vec![Did::Read, Did::Deleted], vec![Did::Wrote]),
        }
    }
}

#[derive(Default)]
struct Walk {
    /// By worker and data.
    edges: BTreeMap<(String, String), Access>,
    workers: BTreeMap<String, Worker>,
    principals: BTreeMap<String, String>,
    /// What was asked for itself, and what it has started, whether they touched anything or not.
    own: BTreeSet<String>,
    /// Asked, by whom.
    started: BTreeSet<(String, String)>,
    truncated: bool,
}

fn is_data(resource: &str) -> bool {
    ["s3://", "glue://", "dynamodb://"].iter().any(|scheme| resource.starts_with(scheme))
}

impl Walk {
    fn go(&mut self, tx: &mut Tx<'_>, resource: &str, way: Way, depth: usize) -> Result<(), store::Error> {
        let (into, out) = way.steps();
        let mut queue = VecDeque::new();
        let mut seen = BTreeSet::new();
        if is_data(resource) {
            let prefix = resource.ends_with('/');
            self.follow(tx, (resource, prefix), None, (&into, way), &mut |worker| queue.push_back((worker, 1)))?;
        } else {
            let mut own = VecDeque::from([resource.to_owned()]);
            let mut taken = BTreeSet::new();
            while let Some(id) = own.pop_front() {
                if !taken.insert(id.clone()) {
                    continue;
                }
                if taken.len() > MOST_WORKERS {
                    self.truncated = true;
                    break;
                }
                self.own.insert(id.clone());
                own.extend(records::children(tx, &id, MOST_WORKERS)?);
                // All that it did is part of the answer, whatever way it is.
                for (data, access) in self.all(tx, &id)? {
                    self.edges.insert((id.clone(), data), access);
                }
                queue.push_back((id, 0));
            }
        }
        while let Some((worker, at)) = queue.pop_front() {
            if !seen.insert(worker.clone()) {
                continue;
            }
            if seen.len() > MOST_WORKERS {
                self.truncated = true;
                break;
            }
            for (data, access) in self.all(tx, &worker)? {
                let Some(done) = access.done.iter().find(|(did, _)| out.contains(did)).map(|(_, seen)| seen.clone())
                else {
                    continue;
                };
                let folder = access.folder;
                self.edges.insert((worker.clone(), data.clone()), access);
                if at < depth && data.starts_with("s3://") {
                    let place = (data.as_str(), folder);
                    let from = Some((&worker, &done));
                    self.follow(tx, place, from, (&into, way), &mut |next| queue.push_back((next, at + 1)))?;
                }
            }
        }
        Ok(())
    }

    fn all(&mut self, tx: &mut Tx<'_>, worker: &str) -> Result<BTreeMap<String, Access>, store::Error> {
        let all = records::accesses(tx, worker, MOST_ROWS)?;
        self.truncated |= all.len() == MOST_ROWS;
        Ok(all)
    }

    /// The workers that did one of these to the data; `from`: what the worker it comes from did to it.
    fn follow(
        &mut self,
        tx: &mut Tx<'_>,
        (data, prefix): (&str, bool),
        from: Option<(&String, &Seen)>,
        (into, way): (&[Did], Way),
        found: &mut dyn FnMut(String),
    ) -> Result<(), store::Error> {
        let mut rows = records::touching(tx, data, prefix, MOST_ROWS)?;
        self.truncated |= rows.len() == MOST_ROWS;
        if !prefix && let Some(slash) = data.rfind('/').filter(|_| data.starts_with("s3://")) {
            // Whoever touched too much of the folder to have told its objects apart.
            rows.extend(records::touching(tx, &data[..=slash], false, MOST_ROWS)?);
        }
        for (touched, worker) in rows {
            let Some(access) = records::access(tx, &worker, &touched)? else { continue };
            let mut linked = false;
            for (did, seen) in access.done.iter().filter(|(did, _)| into.contains(did)) {
                linked |= match (from, prefix || access.folder || *did == Did::Deleted) {
                    (None, _) => true,
                    (Some((_, from)), true) => same_content(way, from, seen),
                    (Some((by, from)), false) => {
                        let (writer, read) = if way == Way::Up { (&worker, from) } else { (by, seen) };
                        same_content(way, from, seen) && last_writer(tx, data, read)?.is_none_or(|last| last == *writer)
                    }
                };
            }
            if linked {
                self.edges.insert((worker.clone(), touched), access);
                found(worker);
            }
        }
        Ok(())
    }

    /// Who asked for each worker, up to the execution or the principal.
    fn climb(&mut self, tx: &mut Tx<'_>) -> Result<(), store::Error> {
        let mut queue: VecDeque<String> = self.edges.keys().map(|(worker, _)| worker.clone()).collect();
        queue.extend(self.own.iter().cloned());
        let mut seen = BTreeSet::new();
        while let Some(id) = queue.pop_front() {
            if !seen.insert(id.clone()) {
                continue;
            }
            let Some(known) = records::known(tx, &id)? else {
                if self.own.contains(&id)
                    && !self.edges.keys().any(|(worker, _)| *worker == id)
                    && self.started.iter().all(|(by, _)| *by != id)
                {
                    continue;
                }
                // A state that only asked for others; else an execution that began before this was kept.
                if let Some((execution, state)) = id.split_once('#').filter(|(arn, _)| arn.contains(":states:")) {
                    let (execution, state) = (execution.to_owned(), state.to_owned());
                    self.started.insert((execution.clone(), id.clone()));
                    queue.push_back(execution.clone());
                    self.workers.insert(id, Worker::State { execution, state });
                    continue;
                }
                self.workers.insert(id.clone(), Worker::Execution(id));
                continue;
            };
            self.workers.insert(id.clone(), known.worker);
            if !known.principal.is_empty() {
                self.principals.insert(id.clone(), known.principal);
            }
            if let Some(asked) = known.asked {
                self.started.insert((asked.clone(), id));
                queue.push_back(asked);
            }
        }
        Ok(())
    }

    fn answer(self, by_folder: bool) -> GetLineageResponse {
        let mut nodes = BTreeMap::new();
        let mut edges: BTreeMap<(String, String, &str), (Seen, bool)> = BTreeMap::new();
        let mut objects: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for ((worker, data), access) in &self.edges {
            let place = if by_folder { folder(data) } else { data.as_str() }.to_owned();
            objects.entry(place.clone()).or_default().insert(data);
            for (did, seen) in &access.done {
                let (source, target, kind) = match did {
                    Did::Read => (place.clone(), worker.clone(), "READ"),
                    Did::Wrote => (worker.clone(), place.clone(), "WROTE"),
                    Did::Deleted => (worker.clone(), place.clone(), "DELETED"),
                };
                let (all, several) = edges.entry((source, target, kind)).or_default();
                *several |= all.count > 0;
                all.add(seen);
            }
        }
        for (id, data) in objects {
            let node = data_node(&id, data.len());
            nodes.insert(id, node);
        }
        for (id, worker) in &self.workers {
            nodes.insert(id.clone(), worker_node(id, worker, self.principals.get(id)));
        }
        let mut told: Vec<Edge> = edges
            .into_iter()
            .map(|((source, target, kind), (seen, several))| Edge {
                source,
                target,
                r#type: kind.to_owned(),
                count: i64::try_from(seen.count).ok(),
                bytes: i64::try_from(seen.bytes).ok(),
                first_time: Some(wire::Timestamp::from_millis(seen.first_ms)),
                last_time: Some(wire::Timestamp::from_millis(seen.last_ms)),
                e_tag: seen.etag.filter(|_| !several),
            })
            .collect();
        told.extend(self.started.into_iter().map(|(source, target)| Edge {
            source,
            target,
            r#type: "STARTED".to_owned(),
            ..Edge::default()
        }));
        GetLineageResponse { nodes: nodes.into_values().collect(), edges: told, truncated: self.truncated }
    }
}

/// Whether both are about one content: by its ETag where it is known, else by the order of time.
fn same_content(way: Way, from: &Seen, to: &Seen) -> bool {
    let (wrote, read) = if way == Way::Up { (to, from) } else { (from, to) };
    if wrote.first_ms > read.last_ms {
        return false;
    }
    match (&wrote.etag, &read.etag) {
        (Some(wrote), Some(read)) => wrote == read,
        _ => true,
    }
}

/// Of all who wrote the content that was read, the last before: the same content may have been written again.
fn last_writer(tx: &mut Tx<'_>, data: &str, read: &Seen) -> Result<Option<String>, store::Error> {
    let mut last: Option<(i64, String)> = None;
    for (_, worker) in records::touching(tx, data, false, MOST_ROWS)? {
        let Some(access) = records::access(tx, &worker, data)? else { continue };
        let Some(wrote) = access.done.get(&Did::Wrote) else { continue };
        let same = wrote.etag.is_none() || read.etag.is_none() || wrote.etag == read.etag;
        // What it wrote after the reading was not what was read; when it wrote before, its first time tells.
        let at = if wrote.last_ms <= read.last_ms { wrote.last_ms } else { wrote.first_ms };
        if same && at <= read.last_ms && last.as_ref().is_none_or(|(known, _)| at >= *known) {
            last = Some((at, worker));
        }
    }
    Ok(last.map(|(_, worker)| worker))
}

/// The folder of an object, without the folders of Hive's partitions (`day=2024-05-01/`).
fn folder(data: &str) -> &str {
    let Some(rest) = data.strip_prefix("s3://") else { return data };
    let mut end = rest.rfind('/').map_or(rest.len(), |at| at + 1);
    loop {
        let above = rest[..end].trim_end_matches('/').rfind('/');
        match above {
            Some(at) if rest[at + 1..end].contains('=') => end = at + 1,
            _ => return &data[.."s3://".len() + end],
        }
    }
}

fn data_node(id: &str, objects: usize) -> Node {
    let (kind, name) = match id.split_once("://") {
        Some(("glue", name)) => ("CATALOG_TABLE", name.replace('/', ".")),
        Some(("dynamodb", name)) => ("DYNAMODB_TABLE", name.to_owned()),
        _ if id.ends_with('/') => ("FOLDER", id.to_owned()),
        _ => ("OBJECT", id.to_owned()),
    };
    let objects = (kind == "FOLDER").then(|| i64::try_from(objects).unwrap_or(i64::MAX));
    Node { id: id.to_owned(), r#type: kind.to_owned(), name, objects, ..Node::default() }
}

pub(crate) fn worker_node(id: &str, worker: &Worker, principal: Option<&String>) -> Node {
    let mut node = Node { id: id.to_owned(), asked_by: principal.cloned(), ..Node::default() };
    let last = |text: &str| text.rsplit([':', '/']).next().unwrap_or(text).to_owned();
    let (kind, name) = match worker {
        Worker::State { execution, state } => {
            (node.execution_arn, node.state_name) = (Some(execution.clone()), Some(state.clone()));
            ("STATE", state.clone())
        }
        Worker::Execution(arn) if arn.contains(":mapRun:") => ("MAP_RUN", last(arn)),
        Worker::Execution(arn) if arn.contains(":stateMachine:") => ("STATE_MACHINE", last(arn)),
        Worker::Execution(arn) => {
            node.execution_arn = Some(arn.clone());
            ("EXECUTION", last(arn))
        }
        Worker::Invocation { function, .. } => {
            ("INVOCATION", function.split(':').nth(6).unwrap_or(function).to_owned())
        }
        Worker::Job(id) => {
            let mut parts = id.split(':');
            match (parts.next(), parts.next()) {
                (Some("athena"), Some("query")) => ("QUERY", last(id)),
                (Some("glue"), Some("jobrun")) => ("JOB_RUN", last(id)),
                // glue:crawl:ACCOUNT:REGION:NAME:RUN
                (Some("glue"), Some("crawl")) => ("CRAWL", parts.nth(2).unwrap_or_default().to_owned()),
                (Some("sagemaker"), Some("transform")) => ("TRANSFORM_JOB", last(id)),
                (Some("lambda"), Some("invoke")) => ("INVOCATION", last(id)),
                _ => ("JOB", id.clone()),
            }
        }
    };
    (node.r#type, node.name) = (kind.to_owned(), name);
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_of_tables() {
        let of = |key: &str| folder(key).to_owned();
        assert_eq!(of("s3://b/sales/day=1/hour=2/x.parquet"), "s3://b/sales/");
        assert_eq!(of("s3://b/x.csv"), "s3://b/");
        assert_eq!(of("s3://b/a=b/x"), "s3://b/");
        assert_eq!(of("glue://db/t"), "glue://db/t");
    }

    #[test]
    fn contents_are_told_apart() {
        let seen = |first_ms, last_ms, etag: &str| Seen {
            count: 1,
            first_ms,
            last_ms,
            bytes: 0,
            etag: Some(etag.to_owned()).filter(|e| !e.is_empty()),
        };
        let up = |wrote: Seen, read: Seen| same_content(Way::Up, &read, &wrote);
        assert!(up(seen(1, 1, "a"), seen(2, 2, "a")));
        assert!(!up(seen(1, 1, "b"), seen(2, 2, "a")), "it was overwritten in between");
        assert!(!up(seen(3, 3, "a"), seen(2, 2, "a")), "it was written later");
        assert!(up(seen(1, 1, ""), seen(2, 2, "a")), "the writer's objects were too many to be told apart");
    }
}
