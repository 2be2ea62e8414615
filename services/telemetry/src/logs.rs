//! What is stored of log groups, streams and events, and how events are read in order of time.

use std::collections::BTreeMap;

use api_logs::error::resource_not_found_exception;
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::Telemetry;
use crate::seal::Seal;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) retention_days: Option<i32>,
    pub(crate) class: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    /// Some of its events may be encrypted under a key.
    #[serde(default)]
    pub(crate) had_key: bool,
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
    /// Time in milliseconds and message; none where they are sealed.
    pub(crate) events: Vec<(i64, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sealed: Option<Sealed>,
}

/// The events of a batch, encrypted, and what they count for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sealed {
    pub(crate) text: String,
    pub(crate) bytes: i64,
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
    pub(crate) fn exports(&self) -> Key {
        self.0.clone().push("export")
    }
    /// How many bytes a group holds.
    pub(crate) fn bytes(&self, group: &str) -> Key {
        self.0.clone().push("bytes").push(group)
    }
    /// How many bytes a group holds; what it held before that was counted its streams tell.
    pub(crate) fn stored(&self, tx: &mut Tx<'_>, group: &str) -> Result<i64, store::Error> {
        if let Some(bytes) = tx.get_json(self.bytes(group))? {
            return Ok(bytes);
        }
        let streams: Vec<Stream> = tx.list_json(self.streams(group), usize::MAX)?;
        Ok(streams.iter().map(|stream| stream.bytes).sum())
    }
    /// Counts what comes and goes.
    pub(crate) fn count(&self, tx: &mut Tx<'_>, group: &str, bytes: i64) -> Result<(), store::Error> {
        let stored = self.stored(tx, group)?.saturating_add(bytes).max(0);
        tx.put_json(self.bytes(group), &stored)
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

/// What a message counts for in `storedBytes`. Source: PutLogEvents, "the sum of all event messages in UTF-8, plus 26 bytes for each".
pub(crate) const EVENT_OVERHEAD: usize = 26;

impl Batch {
    /// Its bytes, as they are counted.
    pub(crate) fn size(&self) -> i64 {
        if let Some(sealed) = &self.sealed {
            return sealed.bytes;
        }
        let size: usize = self.events.iter().map(|(_, message)| message.len() + EVENT_OVERHEAD).sum();
        i64::try_from(size).unwrap_or(i64::MAX)
    }

    /// As it is kept: encrypted, where its group has a key.
    pub(crate) fn kept(self, seal: Option<&Seal>) -> Result<Self, Error> {
        let Some(seal) = seal else { return Ok(self) };
        let text = seal.text(&serde_json::to_string(&self.events).map_err(Error::internal)?)?;
        let bytes = self.size();
        Ok(Self { events: Vec::new(), sealed: Some(Sealed { text, bytes }), ..self })
    }
}

impl Telemetry {
    /// Events of a group with `from <= time < to` that `keep` wants, in order of time.
    pub(crate) async fn read_events(
        &self,
        cx: &Cx,
        group: &str,
        range: (i64, i64),
        keep: impl Fn(&str, &str) -> bool,
    ) -> Result<Vec<Event>, Error> {
        let wanted = Wanted { range, limit: usize::MAX, bytes: usize::MAX, ..Wanted::default() };
        Ok(self.read_page(cx, group, wanted, |_| true, keep).await?.events)
    }

    /// A page of such events. However much a group holds, only about a page of it is in memory at once.
    pub(crate) async fn read_page(
        &self,
        cx: &Cx,
        group: &str,
        wanted: Wanted<'_>,
        streams: impl Fn(&str) -> bool,
        keep: impl Fn(&str, &str) -> bool,
    ) -> Result<Page, Error> {
        let (from, to) = wanted.bounds();
        let scope = Scope::of(cx);
        let prefix = scope.events(group);
        // A batch may begin up to its longest span before its last event.
        let mut first = prefix.clone().push_i64(from.saturating_sub(MAX_SPAN_MS)).into_bytes();
        let mut end = prefix.clone().push_i64(to).into_bytes();
        let mut kept = Kept::new(wanted);
        loop {
            let pairs = self.store.read(|tx| tx.scan(&first, Some(&end), BATCHES, wanted.backward)).await?;
            let Some((last, _)) = pairs.last() else { break };
            if wanted.backward {
                end.clone_from(last);
            } else {
                first.clone_from(last);
                first.push(0);
            }
            let read = pairs.len();
            let pairs = self.opened(cx, &scope, group, pairs).await?;
            for (key, value) in &pairs {
                let parts = Key::parts(key);
                let at = |n: usize| parts.get(parts.len().wrapping_sub(n));
                let (begins, stream) = (at(3).and_then(|p| Key::part_i64(p)), at(2));
                if kept.is_past(begins.unwrap_or_default()) {
                    return Ok(kept.page());
                }
                if !stream.is_some_and(|stream| streams(&String::from_utf8_lossy(stream))) {
                    continue;
                }
                for event in events_of(key, value, (from, to))? {
                    if keep(&event.stream, &event.message) {
                        kept.take(event);
                    }
                }
            }
            if read < BATCHES {
                break;
            }
        }
        Ok(kept.page())
    }

    /// Some batches of a group that may have events of a time, as they are stored, and where to go on: each is read once.
    pub(crate) async fn read_some(
        &self,
        cx: &Cx,
        group: &str,
        (from, to): (i64, i64),
        after: Option<&[u8]>,
    ) -> Result<(Vec<store::kv::Pair>, Option<Vec<u8>>), Error> {
        let scope = Scope::of(cx);
        let prefix = scope.events(group);
        let first = prefix.clone().push_i64(from.saturating_sub(MAX_SPAN_MS)).into_bytes();
        let (first, end) = (after.unwrap_or(&first).to_vec(), prefix.push_i64(to).into_bytes());
        let pairs = self.store.read(|tx| tx.scan(&first, Some(&end), BATCHES, false)).await?;
        let next = pairs.last().filter(|_| pairs.len() == BATCHES).map(|(key, _)| {
            let mut next = key.clone();
            next.push(0);
            next
        });
        Ok((self.opened(cx, &scope, group, pairs).await?, next))
    }

    /// Deletes what a stream holds, some at a time: those that write meanwhile do not wait for all of it.
    pub(crate) async fn empty_stream(&self, scope: &Scope, group: &str, stream: &str) -> Result<(), Error> {
        let of = |key: &[u8]| {
            let parts = Key::parts(key);
            parts.len().checked_sub(2).is_some_and(|at| parts[at] == stream.as_bytes())
        };
        self.empty(scope, group, of).await
    }

    /// The same of a group: its events, then its streams.
    pub(crate) async fn empty_group(&self, scope: &Scope, group: &str) -> Result<(), Error> {
        self.empty(scope, group, |_| true).await?;
        let prefix = scope.streams(group);
        let mut after = prefix.as_bytes().to_vec();
        loop {
            let page = self.store.read(|tx| tx.scan_after(&prefix, &after, DELETED_AT_ONCE)).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after.clone_from(last);
            let delete = move |tx: &mut Tx<'_>| page.iter().try_for_each(|(key, _)| tx.delete(key));
            self.store.write(delete).await?;
        }
    }

    async fn empty(&self, scope: &Scope, group: &str, of: impl Fn(&[u8]) -> bool) -> Result<(), Error> {
        let prefix = scope.events(group);
        let (mut from, end) = (prefix.as_bytes().to_vec(), store::key::prefix_end(prefix.as_bytes()));
        loop {
            let pairs = self.store.read(|tx| tx.scan(&from, end.as_deref(), BATCHES, false)).await?;
            let Some((last, _)) = pairs.last() else { return Ok(()) };
            from.clone_from(last);
            from.push(0);
            let mut gone = Vec::new();
            for (key, value) in pairs.into_iter().filter(|(key, _)| of(key)) {
                let batch: Batch = store::kv::decode(&key, &value)?;
                gone.push((key, batch.size()));
            }
            if !gone.is_empty() {
                let (scope, group) = (scope.clone(), group.to_owned());
                self.store.write(move |tx| delete_batches(tx, &scope, &group, &gone)).await?;
            }
        }
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
                let (scope, name) = (Scope(region.clone()), &group.name);
                let events = scope.events(name);
                let to = events.clone().push_i64(now_ms - i64::from(days) * 86_400_000 - MAX_SPAN_MS);
                let old = tx.scan(events.as_bytes(), Some(to.as_bytes()), FORGOTTEN_AT_ONCE, false)?;
                let sized = old.iter().map(|(key, value)| {
                    let batch: Batch = store::kv::decode(key, value)?;
                    Ok((key.clone(), batch.size()))
                });
                delete_batches(tx, &scope, name, &sized.collect::<Result<Vec<_>, store::Error>>()?)?;
                Ok::<_, Error>(old.len())
            })
            .await
    }
}

/// The events of a batch with `from <= time < to`.
pub(crate) fn events_of(key: &[u8], value: &[u8], (from, to): (i64, i64)) -> Result<Vec<Event>, store::Error> {
    let number = Key::parts(key).last().and_then(|part| Key::part_u64(part)).unwrap_or_default();
    let batch: Batch = store::kv::decode(key, value)?;
    let (stream, ingested_ms) = (batch.stream, batch.ingested_ms);
    let events = batch.events.into_iter().enumerate().filter(|(_, (time_ms, _))| (from..to).contains(time_ms));
    let event = |(i, (time_ms, message)): (usize, (i64, String))| Event {
        id: format!("{:020}{number:012}{i:06}", time_ms.max(0)),
        stream: stream.clone(),
        time_ms,
        ingested_ms,
        message,
    };
    Ok(events.map(event).collect())
}

/// Deletes batches, whose sizes are known, where they are still there.
fn delete_batches(tx: &mut Tx<'_>, scope: &Scope, group: &str, batches: &[(Vec<u8>, i64)]) -> Result<(), store::Error> {
    let mut bytes = 0;
    for (key, size) in batches {
        if tx.get(key)?.is_some() {
            tx.delete(key)?;
            bytes += size;
        }
    }
    if bytes == 0 { Ok(()) } else { scope.count(tx, group, -bytes) }
}

/// Which page of events is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// `from <= time < to`.
    pub(crate) range: (i64, i64),
    /// Only events behind this one (its id); before it, where pages go backward.
    pub(crate) past: Option<&'a str>,
    /// The last events rather than the first.
    pub(crate) backward: bool,
    pub(crate) limit: usize,
    /// A page has so many bytes of messages at most, and one event at least.
    pub(crate) bytes: usize,
}

/// Events in order of time.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) events: Vec<Event>,
    /// Further ones were wanted, and found no room.
    pub(crate) more: bool,
}

impl Wanted<'_> {
    /// The range, as far as the event that is known leaves it.
    fn bounds(&self) -> (i64, i64) {
        let (from, to) = self.range;
        let time = self.past.and_then(|id| id.get(..20)?.parse::<i64>().ok()).filter(|time| *time > 0);
        match (time, self.backward) {
            (Some(time), false) => (from.max(time), to),
            (Some(time), true) => (from, to.min(time.saturating_add(1))),
            (None, _) => (from, to),
        }
    }
}

/// The events of a page while it is read: the first ones seen so far, or the last.
struct Kept<'a> {
    wanted: Wanted<'a>,
    events: BTreeMap<String, Event>,
    bytes: usize,
    more: bool,
}

impl<'a> Kept<'a> {
    fn new(wanted: Wanted<'a>) -> Self {
        Self { wanted, events: BTreeMap::new(), bytes: 0, more: false }
    }

    fn take(&mut self, event: Event) {
        let past = self.wanted.past.is_some_and(|past| {
            let id = event.id.as_str();
            if self.wanted.backward { id >= past } else { id <= past }
        });
        if past {
            return;
        }
        self.bytes += event.message.len();
        self.events.insert(event.id.clone(), event);
        while self.events.len() > self.wanted.limit || self.bytes > self.wanted.bytes && self.events.len() > 1 {
            let gone = if self.wanted.backward { self.events.pop_first() } else { self.events.pop_last() };
            self.bytes -= gone.map_or(0, |(_, event)| event.message.len());
            self.more = true;
        }
    }

    /// Whether nothing of a batch that begins then, or of a later one, can come into the page any more.
    fn is_past(&self, begins_ms: i64) -> bool {
        let edge = if self.wanted.backward { self.events.values().next() } else { self.events.values().next_back() };
        self.more
            && edge.is_some_and(|edge| {
                if self.wanted.backward {
                    begins_ms.saturating_add(MAX_SPAN_MS) < edge.time_ms
                } else {
                    begins_ms > edge.time_ms
                }
            })
    }

    fn page(self) -> Page {
        Page { events: self.events.into_values().collect(), more: self.more }
    }
}

/// Batches read at once: each may be a megabyte.
const BATCHES: usize = 64;
/// Streams deleted in one transaction.
const DELETED_AT_ONCE: usize = 500;
/// Batches deleted in one transaction.
const FORGOTTEN_AT_ONCE: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_the_first_or_the_last() {
        let event = |time_ms: i64, size: usize| Event {
            stream: "s".to_owned(),
            time_ms,
            ingested_ms: 0,
            message: "x".repeat(size),
            id: format!("{time_ms:020}"),
        };
        let page = |wanted: Wanted<'_>, events: &[(i64, usize)]| {
            let mut kept = Kept::new(wanted);
            for (time, size) in events {
                kept.take(event(*time, *size));
            }
            let past = [kept.is_past(0), kept.is_past(MAX_SPAN_MS * 3)];
            let page = kept.page();
            (page.events.iter().map(|event| event.time_ms).collect::<Vec<_>>(), page.more, past)
        };
        let all = Wanted { range: (0, i64::MAX), limit: 2, bytes: 100, ..Wanted::default() };
        let day = MAX_SPAN_MS * 2;
        assert_eq!(page(all, &[(3, 1), (1, 1), (2, 1)]), (vec![1, 2], true, [false, true]));
        assert_eq!(page(all, &[(2, 1), (1, 1)]), (vec![1, 2], false, [false, false]));
        let last = Wanted { backward: true, ..all };
        assert_eq!(page(last, &[(day, 1), (day + 1, 1), (1, 1)]), (vec![day, day + 1], true, [true, false]));
        let (one, four) = (format!("{:020}", 1), format!("{:020}", 4));
        assert_eq!(page(Wanted { past: Some(&one), ..all }, &[(1, 1), (2, 1)]).0, [2]);
        assert_eq!(page(Wanted { past: Some(&four), ..last }, &[(3, 1), (4, 1)]).0, [3]);
        // One event is told, however long.
        assert_eq!(page(all, &[(1, 200), (2, 1)]), (vec![1], true, [false, true]));
        assert_eq!(page(Wanted { limit: 9, ..all }, &[(1, 60), (2, 60)]), (vec![1], true, [false, true]));
    }
}
