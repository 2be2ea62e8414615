//! What is stored of log groups, streams and events, and how events are read in order of time.

use std::collections::BTreeMap;

use api_logs::error::resource_not_found_exception;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::Telemetry;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<i32>,
    pub(crate) class: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stream {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) first_ms: Option<i64>,
    pub(crate) last_ms: Option<i64>,
    pub(crate) ingested_ms: Option<i64>,
    pub(crate) bytes: i64,
}

/// One batch of events, in order of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) stream: String,
    pub(crate) ingested_ms: i64,
    /// Time in milliseconds and message.
    pub(crate) events: Vec<(i64, String)>,
}

/// An event as read.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) stream: String,
    pub(crate) time_ms: i64,
    pub(crate) ingested_ms: i64,
    pub(crate) message: String,
    /// Unique in its group and ordered as the events are read.
    pub(crate) id: String,
}

/// Where a group's records are: `scope` is account and region.
#[derive(Clone, Debug)]
pub(crate) struct Scope(Key);

impl Scope {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self(Key::new("logs").push(cx.account()).push(cx.region()))
    }
    pub(crate) fn groups(&self) -> Key {
        self.0.clone().push("group")
    }
    pub(crate) fn group(&self, name: &str) -> Key {
        self.groups().push(name)
    }
    pub(crate) fn streams(&self, group: &str) -> Key {
        self.0.clone().push("stream").push(group)
    }
    pub(crate) fn stream(&self, group: &str, stream: &str) -> Key {
        self.streams(group).push(stream)
    }
    pub(crate) fn events(&self, group: &str) -> Key {
        self.0.clone().push("events").push(group)
    }
    /// The key of a batch: time of its first event, stream, a number.
    pub(crate) fn batch(&self, group: &str, first_ms: i64, stream: &str, number: u64) -> Key {
        self.events(group).push_i64(first_ms).push(stream).push_u64(number)
    }
    pub(crate) fn all_metric_filters(&self) -> Key {
        self.0.clone().push("metric-filter")
    }
    pub(crate) fn metric_filters(&self, group: &str) -> Key {
        self.all_metric_filters().push(group)
    }
    pub(crate) fn subscriptions(&self, group: &str) -> Key {
        self.0.clone().push("subscription").push(group)
    }
    pub(crate) fn policies(&self) -> Key {
        self.0.clone().push("policy")
    }
    pub(crate) fn queries(&self) -> Key {
        self.0.clone().push("query")
    }
    /// Queries that were started.
    pub(crate) fn asked(&self) -> Key {
        self.0.clone().push("asked")
    }
    /// What they have found.
    pub(crate) fn answers(&self) -> Key {
        self.0.clone().push("answers")
    }
    pub(crate) fn counter(&self) -> Key {
        self.0.clone().push("counter")
    }

    pub(crate) fn load_group(&self, tx: &mut Tx<'_>, name: &str) -> Result<Group, Error> {
        tx.get_json(self.group(name))?
            .ok_or_else(|| resource_not_found_exception("The specified log group does not exist."))
    }
    pub(crate) fn load_stream(&self, tx: &mut Tx<'_>, group: &str, name: &str) -> Result<Stream, Error> {
        self.load_group(tx, group)?;
        tx.get_json(self.stream(group, name))?
            .ok_or_else(|| resource_not_found_exception("The specified log stream does not exist."))
    }
}

/// The longest span of one batch. Source: PutLogEvents, "A batch of log events … cannot span more than 24 hours".
pub(crate) const MAX_SPAN_MS: i64 = 24 * 3600 * 1000;

/// Deletes all records under a prefix.
pub(crate) fn clear(tx: &mut Tx<'_>, prefix: &Key) -> Result<(), store::Error> {
    loop {
        let page = tx.scan_prefix(prefix, 1000)?;
        if page.is_empty() {
            return Ok(());
        }
        for (key, _) in page {
            tx.delete(key)?;
        }
    }
}

impl Telemetry {
    /// Events of a group with `from <= time < to` that `keep` wants, in order of time, at most `limit`, beginning after the
    /// event `after` (its id).
    pub(crate) async fn read_events(
        &self,
        scope: &Scope,
        group: &str,
        (from, to): (i64, i64),
        after: Option<&str>,
        limit: usize,
        keep: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<Event>, Error> {
        let prefix = scope.events(group);
        // A batch may begin up to its longest span before its last event.
        let first = prefix.clone().push_i64(from.saturating_sub(MAX_SPAN_MS)).into_bytes();
        let end = prefix.clone().push_i64(to).into_bytes();
        let pairs = self.store.read(|tx| tx.scan(&first, Some(&end), usize::MAX, false)).await?;
        let mut events = Vec::new();
        for (key, value) in pairs {
            let batch: Batch = store::kv::decode(&key, &value)?;
            let parts = Key::parts(&key);
            let number = parts.last().and_then(|p| Key::part_u64(p)).unwrap_or_default();
            for (i, (time_ms, message)) in batch.events.into_iter().enumerate() {
                if time_ms < from || time_ms >= to || !keep(&batch.stream, &message) {
                    continue;
                }
                let id = format!("{:020}{number:012}{i:06}", time_ms.max(0));
                if after.is_some_and(|a| id.as_str() <= a) {
                    continue;
                }
                events.push(Event {
                    stream: batch.stream.clone(),
                    time_ms,
                    ingested_ms: batch.ingested_ms,
                    message,
                    id,
                });
            }
        }
        events.sort_by(|a, b| a.id.cmp(&b.id));
        events.truncate(limit);
        Ok(events)
    }

    /// Deletes batches that are past their group's retention, in every account and region.
    pub(crate) async fn forget_old(&self) -> Result<(), Error> {
        let now = self.store.clock().now_ms();
        let mut after: Option<Vec<u8>> = None;
        while let Some(region) = self.next_region(after.take()).await? {
            for (key, _) in self.store.read(|tx| tx.scan_prefix(region.clone().push("group"), usize::MAX)).await? {
                while self.forget_some(&region, &key, now).await? == FORGOTTEN_AT_ONCE {}
            }
            after = store::key::prefix_end(region.as_bytes());
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// The next region of an account that has anything of logs, by the beginning of its keys.
    async fn next_region(&self, from: Option<Vec<u8>>) -> Result<Option<Key>, Error> {
        let all = Key::new("logs");
        let (from, to) = (from.unwrap_or_else(|| all.as_bytes().to_vec()), store::key::prefix_end(all.as_bytes()));
        let found = self.store.read(|tx| tx.scan(&from, to.as_deref(), 1, false)).await?;
        let Some((key, _)) = found.first() else { return Ok(None) };
        let parts = Key::parts(key);
        let [_, account, region, ..] = parts.as_slice() else { return Ok(None) };
        Ok(Some(Key::new("logs").push(account).push(region)))
    }

    /// Deletes some of a group's, as its retention is then; how many.
    async fn forget_some(&self, region: &Key, group: &[u8], now_ms: i64) -> Result<usize, Error> {
        let (region, key) = (region.clone(), group.to_vec());
        self.store
            .write(move |tx| {
                let Some(group) = tx.get(&key)? else { return Ok(0) };
                let group: Group = store::kv::decode(&key, &group)?;
                let Some(days) = group.retention_days else { return Ok(0) };
                let Some(name) = Key::parts(&key).into_iter().nth(4) else { return Ok(0) };
                let events = region.clone().push("events").push(name);
                let to = events.clone().push_i64(now_ms - i64::from(days) * 86_400_000 - MAX_SPAN_MS);
                let old = tx.scan(events.as_bytes(), Some(to.as_bytes()), FORGOTTEN_AT_ONCE, false)?;
                for (key, _) in &old {
                    tx.delete(key)?;
                }
                Ok::<_, Error>(old.len())
            })
            .await
    }
}

/// Batches deleted in one transaction.
const FORGOTTEN_AT_ONCE: usize = 500;
