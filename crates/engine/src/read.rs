//! Reading executions: for the API, and to take them up again.

use asl::{Frame, HistoryEvent, Info, MapRun, Payload, Root, Status};
use store::{Key, Tx};
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
}

impl Filter {
    fn admits(&self, summary: &Summary, pending_redrive: bool) -> bool {
        let same = |asked: &Option<String>, has: &Option<String>| asked.is_none() || asked == has;
        self.status.is_none_or(|status| status == summary.status && !pending_redrive)
            && (pending_redrive || !self.pending_redrive)
            && self.redriven.is_none_or(|redriven| redriven == (summary.redrive.count > 0))
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
        let bytes = tx.get(records::blob(arn, id))?.unwrap_or_default();
        String::from_utf8(bytes)
            .map_err(|error| store::Error::Corrupt { key: format!("{arn}/blob/{id}"), cause: error.to_string() })
    })
}

impl Engine {
    /// What is known of an execution.
    pub async fn describe(&self, arn: &ExecutionArn) -> Result<Option<(Summary, Info)>, Error> {
        self.store()
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
            self.store().read(|tx| fetch(tx, arn, payload).map_err(Error::from)).await?;
        }
        Ok(())
    }

    /// The definition that the execution runs.
    pub async fn definition(&self, arn: &ExecutionArn) -> Result<Option<(Summary, Info, String)>, Error> {
        self.store()
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

    /// History from event `from` on, or back from it; at most `limit` events.
    pub async fn history(
        &self,
        arn: &ExecutionArn,
        from: u64,
        limit: usize,
        reverse: bool,
    ) -> Result<Vec<HistoryEvent>, Error> {
        self.store()
            .read(|tx| {
                let mut events = Vec::new();
                let mut at = from;
                while events.len() < limit {
                    let Some(record) = record_of(tx, arn, at, reverse)? else { break };
                    let Some(next) =
                        (if reverse { record.first().map(|e| e.id - 1) } else { record.last().map(|e| e.id + 1) })
                    else {
                        break;
                    };
                    let wanted =
                        record.into_iter().filter(|event| if reverse { event.id <= at } else { event.id >= at });
                    if reverse {
                        events.extend(wanted.rev());
                    } else {
                        events.extend(wanted);
                    }
                    if next == 0 {
                        break;
                    }
                    at = next;
                }
                events.truncate(limit);
                for event in &mut events {
                    if let Some(payload) = event.payload_mut() {
                        fetch(tx, arn, payload)?;
                    }
                }
                Ok(events)
            })
            .await
    }

    /// The number of the last event.
    pub async fn last_event(&self, arn: &ExecutionArn) -> Result<u64, Error> {
        self.store().read(|tx| last_event(tx, arn).map_err(Error::from)).await
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
        let prefix = records::listing(account, region, machine);
        self.store()
            .read(|tx| {
                let mut items = Vec::new();
                let mut at = after.clone().unwrap_or_default();
                loop {
                    let found = tx.scan_after(&prefix, &at, 100)?;
                    let Some((last, _)) = found.last() else { return Ok(Page { items, next: None }) };
                    at.clone_from(last);
                    for (key, value) in found {
                        let Some(arn) = String::from_utf8(value).ok().and_then(|text| ExecutionArn::parse(&text))
                        else {
                            continue;
                        };
                        let Some(summary) = summary(tx, &arn)? else { continue };
                        let pending_redrive = filter.is_to_redrive(tx, &arn, &summary)?;
                        if !filter.admits(&summary, pending_redrive) {
                            continue;
                        }
                        items.push(Listed { arn, summary, pending_redrive });
                        if items.len() == limit {
                            let more = !tx.scan_after(&prefix, &key, 1)?.is_empty();
                            return Ok(Page { items, next: more.then_some(key) });
                        }
                    }
                }
            })
            .await
    }
}

/// The number of the last event; 0 without any.
pub(crate) fn last_event(tx: &mut Tx<'_>, arn: &ExecutionArn) -> Result<u64, store::Error> {
    let last = record_of(tx, arn, u64::MAX, true)?;
    Ok(last.and_then(|events| events.last().map(|event| event.id)).unwrap_or(0))
}

/// The record of history that holds event `id`, or the last one before it.
fn record_of(
    tx: &mut Tx<'_>,
    arn: &ExecutionArn,
    id: u64,
    reverse: bool,
) -> Result<Option<Vec<HistoryEvent>>, store::Error> {
    let from = records::histories(arn);
    let to = records::history(arn, id).push("");
    let found = tx.scan(from.as_bytes(), Some(to.as_bytes()), 1, true)?;
    let Some((key, value)) = found.into_iter().next() else { return Ok(None) };
    let events = history::decode(&key, &value)?;
    let holds = events.last().is_some_and(|event| event.id >= id);
    debug_assert!(Key::parts(&key).len() > 1, "history keys have their parts");
    Ok(if holds || reverse { Some(events) } else { None })
}
