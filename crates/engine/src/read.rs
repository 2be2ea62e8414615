//! Reading executions: for the API, and to take them up again.

use asl::{Frame, HistoryEvent, Info, MapRun, Payload, Root, Status};
use store::{Key, Store, Tx};
use wire::Error;

use crate::records::{self, Running, Summary};
use crate::{Engine, ExecutionArn, history};

/// An execution as stored that runs, or that a redrive could make run.
pub(crate) struct Stored {
    pub(crate) info: Info,
    pub(crate) root: Root,
    pub(crate) frames: Vec<Frame>,
    pub(crate) definition: String,
}

impl Stored {
    /// Of its texts, about: items of one Map are counted as often as they are referred to.
    pub(crate) fn bytes(&mut self) -> usize {
        self.frames.iter_mut().flat_map(Frame::payloads_mut).map(|payload| payload.text().len()).sum()
    }
}

/// One execution of a list.
#[derive(Debug)]
pub struct Listed {
    pub arn: ExecutionArn,
    pub summary: Summary,
    /// A child that its Distributed Map's run is to redrive.
    pub pending_redrive: bool,
}

/// Which executions a list is to have; a field that is not set admits all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub status: Option<Status>,
    pub version_arn: Option<String>,
    pub alias_arn: Option<String>,
    /// Only those that are to be redriven.
    pub pending_redrive: bool,
    pub redriven: Option<bool>,
    /// The run whose children are listed.
    pub map_run: Option<MapRun>,
    /// Only those of the machine that was made then, in ms, and of none that had its name before.
    pub machine_created: Option<i64>,
}

impl Filter {
    pub(crate) fn admits(&self, summary: &Summary, pending_redrive: bool) -> bool {
        let same = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        self.status.is_none_or(|status| status == summary.status && !pending_redrive)
            && (pending_redrive || !self.pending_redrive)
            && self.redriven.is_none_or(|redriven| redriven == (summary.redrive.count > 0))
            && self.machine_created.is_none_or(|created_ms| summary.is_of(created_ms))
            && same(&self.version_arn, &summary.state_machine_version_arn)
            && same(&self.alias_arn, &summary.state_machine_alias_arn)
    }

    fn is_to_redrive(&self, tx: &mut Tx<'_>, arn: &ExecutionArn, summary: &Summary) -> Result<bool, store::Error> {
        let Some(run) = self.map_run.as_ref().filter(|run| run.is_to_redrive(u64::MAX, summary.status)) else {
            return Ok(false);
        };
        let info = tx.get_json::<Info>(records::info(arn))?;
        Ok(info.and_then(|info| info.map_run).is_some_and(|of| run.is_to_redrive(of.index, summary.status)))
    }
}

/// A part of a list, and where the next begins.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub next: Option<Vec<u8>>,
}

pub(crate) fn summary(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<Option<Summary>, store::Error> {
    tx.get_json(records::summary(arn))
}

pub(crate) fn info(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<Option<Info>, store::Error> {
    let Some(mut info) = tx.get_json::<Info>(records::info(arn))? else { return Ok(None) };
    fetch(tx, arn, &mut info.input)?;
    Ok(Some(info))
}

pub(crate) fn stored(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<Option<Stored>, store::Error> {
    let key = records::root(arn);
    let Some(bytes) = tx.get(&key)? else { return Ok(None) };
    let Running { root, main } = Running::decode(&key, &bytes)?;
    let (Some(info), Some(summary)) = (info(tx, arn)?, summary(tx, arn)?) else { return Ok(None) };
    let mut frames: Vec<Frame> = tx.list_json(records::frames(arn), usize::MAX >> 1)?;
    if let Some(main) = main {
        frames.retain(|frame| frame.id != main.id);
        frames.insert(0, main);
    }
    for frame in &mut frames {
        for payload in frame.payloads_mut() {
            fetch(tx, arn, payload)?;
        }
    }
    let definition = definition(tx, arn, &summary)?;
    Ok(Some(Stored { info, root, frames, definition }))
}

fn definition(tx: &mut Tx<'_>, arn: &ExecutionArn, summary: &Summary) -> Result<String, store::Error> {
    let text = tx.get(records::definition_key(arn.account(), arn.region(), &summary.definition))?;
    Ok(String::from_utf8(text.unwrap_or_default()).unwrap_or_default())
}

pub(crate) fn fetch(tx: &mut Tx<'_>, arn: &ExecutionArn, payload: &mut Payload) -> Result<(), store::Error> {
    payload.fetch(|id| {
        let corrupt = |cause: String| store::Error::Corrupt { key: format!("{arn}/blob/{id}"), cause };
        let bytes = tx.get(records::blob(arn, id))?.ok_or_else(|| corrupt("it is not there".to_owned()))?;
        String::from_utf8(bytes).map_err(|error| corrupt(error.to_string()))
    })
}

/// Takes an execution away that is over: another has its name.
pub(crate) fn forget(tx: &mut Tx<'_>, arn: &ExecutionArn, known: &Summary) -> Result<(), store::Error> {
    for all in [records::execution(arn), records::map_runs_of(arn)] {
        for (key, _) in tx.scan_prefix(all, usize::MAX >> 1)? {
            tx.delete(key)?;
        }
    }
    tx.delete(records::listed(arn, known.started))
}

impl Engine {
    /// What is known of an execution.
    pub async fn describe(&self, arn: &ExecutionArn) -> Result<Option<(Summary, Info)>, Error> {
        self.store_of(arn)
            .read(|tx| {
                let (Some(mut summary), Some(info)) = (summary(tx, arn)?, info(tx, arn)?) else { return Ok(None) };
                if let Some(output) = &mut summary.output {
                    fetch(tx, arn, output)?;
                }
                Ok(Some((summary, info)))
            })
            .await
    }

    /// Reads a payload that is not in memory yet.
    async fn fetch(&self, arn: &ExecutionArn, payload: &mut Payload) -> Result<(), Error> {
        if payload.is_unread() {
            self.store_of(arn).read(|tx| fetch(tx, arn, payload).map_err(Error::from)).await?;
        }
        Ok(())
    }

    /// The definition that the execution runs.
    pub async fn definition(&self, arn: &ExecutionArn) -> Result<Option<(Summary, Info, String)>, Error> {
        self.store_of(arn)
            .read(|tx| {
                let (Some(summary), Some(info)) = (summary(tx, arn)?, info(tx, arn)?) else { return Ok(None) };
                let text = definition(tx, arn, &summary)?;
                Ok(Some((summary, info, text)))
            })
            .await
    }

    /// The text of a task's parameters.
    pub async fn fetched(&self, arn: &ExecutionArn, payload: &Payload) -> Result<Payload, Error> {
        let mut payload = payload.clone();
        self.fetch(arn, &mut payload).await?;
        Ok(payload)
    }

    /// History from event `from` on, or back from it; at most `limit` events, and fewer where their data is much. Without data, large
    /// texts are not looked up.
    pub async fn history(
        &self,
        arn: &ExecutionArn,
        from: u64,
        limit: usize,
        (reverse, with_data): (bool, bool),
    ) -> Result<Vec<HistoryEvent>, Error> {
        self.store_of(arn)
            .read(|tx| {
                let mut events = history_from(tx, arn, from, limit, reverse)?;
                let (mut bytes, mut whole) = (0, events.len());
                for (at, event) in events.iter_mut().enumerate().filter(|_| with_data) {
                    if bytes >= MAX_PAGE_BYTES {
                        whole = at;
                        break;
                    }
                    if let Some(payload) = event.payload_mut() {
                        fetch(tx, arn, payload)?;
                        bytes += payload.text().len();
                    }
                }
                events.truncate(whole);
                Ok(events)
            })
            .await
    }

    /// The number of the last event.
    pub async fn last_event(&self, arn: &ExecutionArn) -> Result<u64, Error> {
        self.store_of(arn).read(|tx| last_event(tx, arn).map_err(Error::from)).await
    }

    /// A machine's executions, newest first, from where the page before ended.
    pub async fn list(
        &self,
        account: &str,
        region: &str,
        machine: &str,
        filter: &Filter,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page<Listed>, Error> {
        if filter.status == Some(Status::Running) && filter.map_run.is_none() {
            return self.list_running((account, region, machine), filter, after.unwrap_or_default(), limit).await;
        }
        let prefix = records::listing(account, region, machine);
        // The children of a run are where it is.
        let stores: Vec<&Store> = match filter.map_run.as_ref().map(|run| &run.arn) {
            Some(run) => vec![&self.inner.shards.of(run).store],
            None => self.inner.shards.all().iter().map(|shard| &shard.store).collect(),
        };
        let (mut page, mut at) = (Vec::new(), after.unwrap_or_default());
        // A question that few executions answer is answered in pages that may be short, or empty with more to come.
        let mut pieces = 0;
        loop {
            pieces += 1;
            let room = limit - page.len();
            let mut found = Vec::with_capacity(stores.len());
            for store in &stores {
                // Piece by piece, where a filter admits few: a read keeps commits waiting.
                found.push(store.read(|tx| listed(tx, &prefix, &at, filter, room)).await?);
            }
            let piece = merged(found, room);
            page.extend(piece.items.into_iter().map(|(_, listed)| listed));
            match piece.next {
                Some(next) if page.len() < limit && pieces < PIECES => at = next,
                next => return Ok(Page { items: page, next }),
            }
            tokio::task::yield_now().await;
        }
    }
}

/// What several stores have of one list, in the order of its keys, which is the same in all of them: as far as all have been looked
/// through, and no more than `limit`.
fn merged<T>(mut found: Vec<Page<(Vec<u8>, T)>>, limit: usize) -> Page<(Vec<u8>, T)> {
    if found.len() == 1
        && let Some(only) = found.pop()
    {
        return only;
    }
    let seen = found.iter().filter_map(|page| page.next.clone()).min();
    let mut items: Vec<_> = found.into_iter().flat_map(|page| page.items).collect();
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    let whole = items.partition_point(|(key, _)| seen.as_ref().is_none_or(|seen| key <= seen));
    let is_cut = whole > limit;
    items.truncate(whole.min(limit));
    // Of what is cut off, or lies behind what all have been looked through, the next page tells.
    let next = if is_cut { items.last().map(|(key, _)| key.clone()) } else { seen };
    Page { items, next }
}

/// A page of history ends where its events' data is more.
const MAX_PAGE_BYTES: usize = 8 << 20;
/// Executions that are looked at in one read.
const LOOKED_AT: usize = 200;
/// Reads for one page.
const PIECES: usize = 50;

/// Those among the next executions of a list that the filter admits, at most `limit`; and where to go on.
fn listed(
    tx: &mut Tx<'_>,
    prefix: &Key,
    after: &[u8],
    filter: &Filter,
    limit: usize,
) -> Result<Page<(Vec<u8>, Listed)>, store::Error> {
    let mut items = Vec::new();
    let found = tx.scan_after(prefix, after, LOOKED_AT + 1)?;
    let mut left = found.len();
    let mut next = None;
    for (key, value) in found.into_iter().take(LOOKED_AT) {
        left -= 1;
        next = Some(key.clone());
        let Some(arn) = String::from_utf8(value).ok().and_then(|text| ExecutionArn::parse(&text)) else { continue };
        let Some(summary) = summary(tx, &arn)? else { continue };
        let pending_redrive = filter.is_to_redrive(tx, &arn, &summary)?;
        if filter.admits(&summary, pending_redrive) {
            items.push((key, Listed { arn, summary, pending_redrive }));
            if items.len() == limit {
                break;
            }
        }
    }
    Ok(Page { items, next: next.filter(|_| left > 0) })
}

/// The number of the last event; 0 without any.
pub(crate) fn last_event(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<u64, store::Error> {
    Ok(history_from(tx, arn, u64::MAX, 1, true)?.first().map_or(0, |event| event.id))
}

/// Records read at once, first; then more each time. Some hold hundreds of events, others one.
const FIRST_RECORDS: usize = 4;

fn history_from(
    tx: &mut Tx<'_>,
    arn: &ExecutionArn,
    from: u64,
    limit: usize,
    reverse: bool,
) -> Result<Vec<HistoryEvent>, store::Error> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let all = records::histories(arn).into_bytes();
    // The record that holds event `from`, or the last one before it.
    let place = records::history(arn, from).push("").into_bytes();
    let (mut begin, mut end) = (all.clone(), place);
    if !reverse {
        let Some((key, _)) = tx.scan(&all, Some(&end), 1, true)?.into_iter().next() else { return Ok(Vec::new()) };
        (begin, end) = (key, records::history(arn, u64::MAX).push("").into_bytes());
    }
    let (mut events, mut records) = (Vec::new(), FIRST_RECORDS);
    loop {
        let found = tx.scan(&begin, Some(&end), records.min(limit), reverse)?;
        let is_last = found.len() < records.min(limit);
        for (key, value) in found {
            let record = history::decode(&key, &value)?;
            if reverse {
                events.extend(record.into_iter().rev().filter(|event| event.id <= from));
                end = key;
            } else {
                events.extend(record.into_iter().filter(|event| event.id >= from));
                begin = key;
                begin.push(0);
            }
            if events.len() >= limit {
                events.truncate(limit);
                return Ok(events);
            }
        }
        if is_last {
            return Ok(events);
        }
        records *= 4;
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, merged};

    #[test]
    fn pages_of_several_stores_are_one_list() {
        // Each store has some of the numbers; a page of each has at most as many as asked for.
        for (stores, limit) in [(1, 3), (2, 1), (3, 4), (5, 2), (3, 100)] {
            let all: Vec<Vec<u8>> =
                (0..stores).map(|n| (0..40).filter(|k| (k * 5 + k / 7) % stores == n).collect()).collect();
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let page = |store: &Vec<u8>| {
                    let mut left = store.iter().copied().filter(|k| after.is_none_or(|after| *k > after));
                    let items: Vec<_> = left.by_ref().take(limit).map(|k| (vec![k], k)).collect();
                    let next = items.last().map(|(key, _)| key.clone()).filter(|_| left.next().is_some());
                    Page { items, next }
                };
                let Page { items, next } = merged(all.iter().map(page).collect(), limit);
                assert!(items.len() <= limit);
                seen.extend(items.into_iter().map(|(_, k)| k));
                match next {
                    Some(next) => after = Some(next[0]),
                    None => break,
                }
            }
            assert_eq!(seen, (0..40).collect::<Vec<u8>>(), "{stores} stores, {limit} at once");
        }
    }
}
