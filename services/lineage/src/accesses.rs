//! ListAccesses: what was noted, row by row. The table `lineage` of the database `lakerun` is made of it.

use std::collections::BTreeMap;
use std::fmt::Write;

use api_lineage::{Access as Shape, ListAccesses, ListAccessesRequest, ListAccessesResponse};
use async_trait::async_trait;
use service::lineage::{Did, Worker};
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::graph::worker_node;
use crate::pending::{Access, Known};
use crate::records::Wanted;
use crate::{Lineage, records};

const PAGE: i32 = 1000;

#[async_trait]
impl Handle<ListAccesses> for Lineage {
    async fn handle(&self, cx: &Cx, input: ListAccessesRequest) -> Result<ListAccessesResponse, Error> {
        self.check_account(cx)?;
        let after = input.next_token.as_deref().map_or(Some(Vec::new()), key_of);
        let after = after.ok_or_else(|| Error::validation("NextToken is none that ListAccesses has given"))?;
        let wanted = match (&input.worker, &input.resource, &input.resource_prefix) {
            (Some(worker), ..) => Wanted::Worker(worker.clone()),
            (None, Some(name), _) => Wanted::Data { name: name.clone(), is_prefix: false },
            (None, None, Some(name)) => Wanted::Data { name: name.clone(), is_prefix: true },
            (None, None, None) => Wanted::All,
        };
        // What was done a moment ago is part of the truth.
        self.flush().await?;
        let most = usize::try_from(input.max_results.unwrap_or(PAGE)).unwrap_or_default();
        let (rows, workers) = self
            .store
            .read(|tx| {
                // A worker may have done three things to one piece of data.
                let rows = records::page(tx, &wanted, &after, most)?;
                let mut workers = BTreeMap::new();
                for (_, worker, _, _) in &rows {
                    if !workers.contains_key(worker) {
                        workers.insert(worker.clone(), records::known(tx, worker)?);
                    }
                }
                Ok::<_, store::Error>((rows, workers))
            })
            .await?;
        let (mut accesses, mut last, mut is_whole) = (Vec::new(), None, rows.len() < most);
        for (key, worker, data, access) in rows {
            // One that has more by itself is told whole, or it would never be told.
            if !accesses.is_empty() && accesses.len() + access.done.len() > most {
                is_whole = false;
                break;
            }
            let is_wanted = input.resource.as_ref().is_none_or(|name| *name == data)
                && input.resource_prefix.as_ref().is_none_or(|prefix| data.starts_with(prefix.as_str()));
            if is_wanted {
                accesses.extend(shapes(&worker, workers.get(&worker).and_then(Option::as_ref), &data, &access));
            }
            last = Some(key);
        }
        let next_token = if is_whole { None } else { last.map(|key| token_of(&key)) };
        Ok(ListAccessesResponse { accesses, next_token })
    }
}

fn shapes(id: &str, known: Option<&Known>, data: &str, access: &Access) -> Vec<Shape> {
    let nobody = Worker::Job(id.to_owned());
    let worker = known.map_or(&nobody, |known| &known.worker);
    let principal = known.map(|known| &known.principal).filter(|principal| !principal.is_empty());
    let asked = known.and_then(|known| known.asked.as_ref()).or(principal);
    let node = worker_node(id, worker, asked);
    let time = |ms| Timestamp(jiff::Timestamp::from_millisecond(ms).unwrap_or_default());
    let each = access.done.iter().map(|(did, seen)| Shape {
        worker: id.to_owned(),
        worker_type: node.r#type.clone(),
        worker_name: node.name.clone(),
        execution_arn: node.execution_arn.clone(),
        state_name: node.state_name.clone(),
        asked_by: node.asked_by.clone(),
        action: match did {
            Did::Read => "READ",
            Did::Wrote => "WROTE",
            Did::Deleted => "DELETED",
        }
        .to_owned(),
        resource: data.to_owned(),
        folder: access.folder,
        count: i64::try_from(seen.count).unwrap_or(i64::MAX),
        bytes: i64::try_from(seen.bytes).unwrap_or(i64::MAX),
        first_time: time(seen.first_ms),
        last_time: time(seen.last_ms),
        e_tag: seen.etag.clone(),
    });
    each.collect()
}

fn token_of(key: &[u8]) -> String {
    key.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key_of(token: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = token.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().filter_map(|[high, low]| u8::try_from(high << 4 | low).ok()).collect())
}
