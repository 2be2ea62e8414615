//! Runs of Distributed Maps: their records, and the transactions that move them on.
//!
//! A run lives as long as its task is on the queue ([`MAP_RUN_KIND`]; the runner is in `services/states`, which reads items and
//! writes results). It alone writes the run's record. Others leave rows beside it and wake it: children that ended, a change of
//! limits, a request to stop. So nothing is lost by a crash, and whatever has been counted is gone from the rows.

mod arn;
mod redrive;
mod start;

use std::sync::{Arc, Mutex, PoisonError};

use asl::{Definition, Event, Info, ItemEvaluator, Limits, MapRun, RedriveOrder, Status, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Key, NewTask, Tx};
use tokio::sync::Notify;
use wire::Error;

pub use arn::MapRunArn;

use crate::read::{self, Page};
use crate::records::{self, Summary};
use crate::{DefinitionText, Engine, ExecutionArn, Logging, lock};

/// The queue kind of a Distributed Map's run; its payload is the run's ARN.
pub const MAP_RUN_KIND: &str = "states:map-run";
/// Ended children that are counted in one transaction.
const ENDED_AT_ONCE: usize = 1000;
/// Running children that are looked at together.
const LOOKED_AT: usize = 100;

/// A run taken up by its runner.
#[derive(Debug)]
pub struct OpenRun {
    pub arn: MapRunArn,
    pub run: MapRun,
    /// Of this thread at a time, though never of two at once.
    bench: Mutex<ItemEvaluator>,
    /// Of the execution whose Map it is.
    pub info: Arc<Info>,
    /// Where that execution's history is logged, and with it that of its children.
    logging: Option<Logging>,
    definition: Arc<Definition>,
    processor: DefinitionText,
}

/// What has happened to a run while nobody looked.
#[derive(Debug, Default)]
pub struct News {
    pub limits: Option<Limits>,
    pub stopped: bool,
    pub ended: Vec<EndedChild>,
}

/// A child that has ended and is still to be counted.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct EndedChild {
    pub index: u64,
    pub status: Status,
    pub items: u64,
}

/// One execution of a run with all that is known of it.
#[derive(Debug)]
pub struct ChildResult {
    pub arn: ExecutionArn,
    pub summary: Summary,
    pub info: Info,
}

impl Engine {
    /// A run as it stands, with its present limits.
    pub async fn map_run(&self, arn: &MapRunArn) -> Result<Option<MapRun>, Error> {
        self.store_of_run(arn)
            .read(|tx| {
                let Some(mut run) = tx.get_json::<MapRun>(records::map_run(arn))? else { return Ok(None) };
                if let Some(limits) = tx.get_json(records::map_run_part(arn, "limits"))? {
                    run.limits = limits;
                }
                Ok(Some(run))
            })
            .await
    }

    /// Changes what a run goes by. `None` when there is no such run; `Some(false)` when it is over.
    pub async fn limit_map_run(
        &self,
        arn: &MapRunArn,
        change: impl Fn(&mut Limits) + Send + 'static,
    ) -> Result<Option<bool>, Error> {
        let of = arn.clone();
        let changed = self
            .store_of_run(arn)
            .write(move |tx| {
                let Some(run) = tx.get_json::<MapRun>(records::map_run(&of))? else { return Ok::<_, Error>(None) };
                if run.status != Status::Running {
                    return Ok(Some(false));
                }
                let key = records::map_run_part(&of, "limits");
                let mut limits = tx.get_json(&key)?.unwrap_or(run.limits);
                change(&mut limits);
                tx.put_json(key, &limits)?;
                Ok(Some(true))
            })
            .await;
        // Also after a failure, which leaves open whether it was written.
        self.wake_map_run(arn.as_str());
        changed
    }

    /// The runs of an execution, newest first, from where the page before ended.
    pub async fn map_runs(
        &self,
        execution: &ExecutionArn,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<Page<(MapRunArn, MapRun)>, Error> {
        let prefix = records::map_runs_of(execution);
        self.store_of(execution)
            .read(|tx| {
                let found = tx.scan_after(&prefix, after.as_deref().unwrap_or_default(), limit + 1)?;
                let more = found.len() > limit;
                let (mut items, mut next) = (Vec::new(), None);
                for (key, value) in found.into_iter().take(limit) {
                    let arn = String::from_utf8(value).ok().and_then(|text| MapRunArn::parse(&text));
                    if let Some(arn) = arn
                        && let Some(run) = tx.get_json(records::map_run(&arn))?
                    {
                        items.push((arn, run));
                    }
                    next = more.then_some(key);
                }
                Ok(Page { items, next })
            })
            .await
    }

    /// Takes up a run. `None` when it, or the execution that it belongs to, is not there.
    pub async fn open_map_run(&self, arn: &MapRunArn) -> Result<Option<OpenRun>, Error> {
        let Some(mut run) = self.map_run(arn).await? else { return Ok(None) };
        let Some(parent) = ExecutionArn::parse(&run.execution_arn) else { return Ok(None) };
        let Some((summary, info, definition)) = self.definition(&parent).await? else { return Ok(None) };
        self.store_of(&parent)
            .read(|tx| {
                for payload in run.payloads_mut() {
                    read::fetch(tx, &parent, payload)?;
                }
                Ok::<_, Error>(())
            })
            .await?;
        let (info, definition) = (Arc::new(info), self.parsed(&definition)?);
        let Some(bench) = ItemEvaluator::new(&definition, Arc::clone(&info), &run) else { return Ok(None) };
        let processor = DefinitionText::from(run.processor.as_str());
        let definition = self.ready(&processor)?;
        let (arn, bench, logging) = (arn.clone(), Mutex::new(bench), summary.logging);
        Ok(Some(OpenRun { arn, run, bench, info, logging, definition, processor }))
    }

    /// What a run has to take notice of.
    pub async fn map_run_news(&self, open: &OpenRun) -> Result<News, Error> {
        let arn = &open.arn;
        self.store_of_run(arn)
            .read(|tx| {
                let limits = tx.get_json::<Limits>(records::map_run_part(arn, "limits"))?;
                Ok(News {
                    limits: limits.filter(|limits| *limits != open.run.limits),
                    stopped: stopped_attempt(tx, arn)?.is_some_and(|attempt| attempt >= open.run.redrive.count),
                    ended: tx.list_json(records::map_run_part(arn, "ended"), ENDED_AT_ONCE)?,
                })
            })
            .await
    }

    /// Writes a run's record; what was counted leaves the rows in the same transaction.
    pub async fn keep_map_run(&self, open: &OpenRun, counted: Vec<EndedChild>) -> Result<(), Error> {
        let (arn, run) = (open.arn.clone(), open.run.clone());
        self.store_of_run(&open.arn)
            .write(move |tx| {
                for child in &counted {
                    tx.delete(records::map_run_child(&arn, "ended", child.index))?;
                    tx.delete(records::map_run_child(&arn, "running", child.index))?;
                }
                tx.put_json(records::map_run(&arn), &run)?;
                Ok::<_, Error>(())
            })
            .await
    }

    /// Children that run, from number `from` on.
    pub async fn running_children(
        &self,
        arn: &MapRunArn,
        from: u64,
        limit: usize,
    ) -> Result<Vec<(u64, ExecutionArn)>, Error> {
        let from = records::map_run_child(arn, "running", from);
        let to = records::map_run_child(arn, "running", u64::MAX);
        self.store_of_run(arn)
            .read(|tx| {
                let found = tx.scan(from.as_bytes(), Some(to.as_bytes()), limit, false)?;
                let child = |(key, value): (Vec<u8>, Vec<u8>)| {
                    let index = Key::parts(&key).pop()?.try_into().ok().map(u64::from_be_bytes)?;
                    Some((index, ExecutionArn::parse(&String::from_utf8(value).ok()?)?))
                };
                Ok(found.into_iter().filter_map(child).collect())
            })
            .await
    }

    /// Tells children that have run for so long that their time is up. When to look again, where some are left.
    pub async fn end_late_children(&self, open: &OpenRun, limit_ms: i64) -> Result<Option<Timestamp>, Error> {
        let mut from = 0;
        loop {
            let running = self.running_children(&open.arn, from, LOOKED_AT).await?;
            let Some((last, _)) = running.last() else { return Ok(None) };
            from = last + 1;
            for (_, child) in &running {
                let summary = self.store_of(child).read(|tx| read::summary(tx, child).map_err(Error::from)).await?;
                let Some(summary) = summary.filter(|summary| summary.status == Status::Running) else { continue };
                // They are started in the order of their numbers: those that follow have no less time.
                let ends = Timestamp(summary.started.0 + limit_ms);
                if ends > self.now() {
                    return Ok(Some(ends));
                }
                self.tell(child, Event::DeadlinePassed, None).await?;
            }
        }
    }

    /// Children with what they were given and what became of them, from number `from` on.
    pub async fn child_results(&self, open: &OpenRun, from: u64, limit: u64) -> Result<Vec<ChildResult>, Error> {
        let to = open.run.progress.children.min(from.saturating_add(limit));
        self.store_of_run(&open.arn)
            .read(|tx| {
                let mut results = Vec::new();
                for index in from..to {
                    let arn = open.child_arn(index);
                    let (Some(mut summary), Some(info)) = (read::summary(tx, &arn)?, read::info(tx, &arn)?) else {
                        continue;
                    };
                    if let Some(output) = &mut summary.output {
                        read::fetch(tx, &arn, output)?;
                    }
                    results.push(ChildResult { arn, summary, info });
                }
                Ok(results)
            })
            .await
    }

    /// Keeps the result of a run beside it, so that telling it can be repeated.
    pub async fn keep_map_run_output(&self, open: &OpenRun, output: String) -> Result<(), Error> {
        let (arn, run) = (open.arn.clone(), open.run.clone());
        self.store_of_run(&open.arn)
            .write(move |tx| {
                tx.put(records::map_run_part(&arn, "output"), output.as_bytes())?;
                tx.put_json(records::map_run(&arn), &run)?;
                Ok::<_, Error>(())
            })
            .await
    }

    pub async fn map_run_output(&self, arn: &MapRunArn) -> Result<String, Error> {
        let output = self.store_of_run(arn).read(|tx| tx.get(records::map_run_part(arn, "output"))).await?;
        Ok(String::from_utf8(output.unwrap_or_default()).unwrap_or_default())
    }

    /// Returns when somebody has left something for the run, or has since the last call.
    pub async fn map_run_woken(&self, arn: &MapRunArn) {
        let notify = self.map_run_bell(arn.as_str());
        notify.notified().await;
    }

    /// The run's runner goes: nobody waits for it here any more.
    pub fn close_map_run(&self, arn: &MapRunArn) {
        lock(&self.inner.map_runs).remove(arn.as_str());
    }

    pub(crate) fn wake_map_run(&self, arn: &str) {
        // Only a run that is taken up has a bell; one that is not reads its rows when it is.
        if let Some(bell) = lock(&self.inner.map_runs).get(arn) {
            bell.notify_one();
        }
    }

    /// Makes the bell that others ring; to be called before the run's rows are read for the first time.
    pub fn map_run_bell(&self, arn: &str) -> Arc<Notify> {
        Arc::clone(lock(&self.inner.map_runs).entry(arn.to_owned()).or_default())
    }
}

impl OpenRun {
    /// The run, with what works out its children's inputs.
    pub fn parts(&mut self) -> (&mut MapRun, &mut ItemEvaluator) {
        (&mut self.run, self.bench.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// The state machine that the children are said to be of.
    pub fn child_machine_arn(&self) -> String {
        let (account, region, machine) = (self.arn.account(), self.arn.region(), self.run.machine());
        format!("arn:aws:states:{region}:{account}:stateMachine:{machine}")
    }

    /// The execution of the child of that number.
    pub fn child_arn(&self, index: u64) -> ExecutionArn {
        let (account, region, machine) = (self.arn.account(), self.arn.region(), self.run.machine());
        let name = self.run.child_name(index);
        if self.run.express {
            ExecutionArn::express(account, region, &machine, &name, &self.run.child_name(u64::MAX - index))
        } else {
            ExecutionArn::standard(account, region, &machine, &name)
        }
    }
}

/// The rows of a run that an execution starts.
pub(crate) fn begin(tx: &mut Tx<'_>, run: &MapRun) -> Result<(), store::Error> {
    let (Some(arn), Some(execution)) = (MapRunArn::parse(&run.arn), ExecutionArn::parse(&run.execution_arn)) else {
        return Ok(());
    };
    tx.put_json(records::map_run(&arn), run)?;
    tx.put(records::map_runs_of(&execution).push_i64(-run.started.0).push(arn.as_str()), arn.as_str().as_bytes())?;
    tx.enqueue(task(&arn)?)
}

/// Somebody wants a run to end that has been redriven so often.
pub(crate) fn stop(tx: &mut Tx<'_>, arn: &str, redrives: u32) -> Result<(), store::Error> {
    match MapRunArn::parse(arn) {
        Some(arn) => tx.put(records::map_run_part(&arn, "stop"), &redrives.to_be_bytes()),
        None => Ok(()),
    }
}

/// Up to which attempt a run is to end; without a number it is the first one.
fn stopped_attempt(tx: &mut Tx<'_>, arn: &MapRunArn) -> Result<Option<u32>, store::Error> {
    let row = tx.get(records::map_run_part(arn, "stop"))?;
    Ok(row.map(|bytes| bytes.try_into().map_or(0, u32::from_be_bytes)))
}

/// A run is to go on that did not succeed; one that still ends does so first.
pub(crate) fn redrive(tx: &mut Tx<'_>, arn: &str, order: RedriveOrder) -> Result<(), store::Error> {
    let Some(arn) = MapRunArn::parse(arn) else { return Ok(()) };
    tx.put_json(records::map_run_part(&arn, "redrive"), &order)?;
    if tx.has_task(arn.as_str())? {
        return Ok(());
    }
    tx.enqueue(task(&arn)?)
}

fn task(arn: &MapRunArn) -> Result<NewTask, store::Error> {
    NewTask::new(MAP_RUN_KIND, arn.as_str()).payload(arn)
}

/// A child of a run has ended outside the run's own transactions.
pub(crate) fn child_ended(tx: &mut Tx<'_>, child: &asl::ChildOf, status: Status) -> Result<(), store::Error> {
    let Some(arn) = MapRunArn::parse(&child.map_run_arn) else { return Ok(()) };
    let ended = EndedChild { index: child.index, status, items: child.items };
    tx.put_json(records::map_run_child(&arn, "ended", child.index), &ended)
}
