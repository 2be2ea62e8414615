//! Redrive of a run: it is taken up again, and its children that did not succeed run once more.

use std::sync::Arc;

use asl::{Child, Event, Execution, RedriveOrder, Status};
use wire::Error;

use super::{EndedChild, MapRunArn, OpenRun};
use crate::batch::Batch;
use crate::read::{self, Stored};
use crate::records::{self, Summary};
use crate::{Engine, ExecutionArn};

/// Children that are looked at in one transaction.
const LOOKED_AT: u64 = 1000;
/// Children that run again in one transaction: they may have much data.
const REDRIVEN_AT_ONCE: u64 = 100;

/// A child that did not succeed.
struct Unsuccessful {
    index: u64,
    items: u64,
    arn: ExecutionArn,
    summary: Summary,
    again: Again,
}

/// How it runs again.
enum Again {
    /// From where it was.
    Standard(Option<Box<Stored>>),
    /// From its start, in place of what there is of it.
    Express { child: Child, known: Vec<Vec<u8>> },
}

impl Engine {
    /// Takes up the redrive that was asked of a run that is over. False when none was.
    pub async fn take_up_redrive(&self, open: &mut OpenRun) -> Result<bool, Error> {
        let key = records::map_run_part(&open.arn, "redrive");
        let Some(order) =
            self.store_of_run(&open.arn).read(|tx| tx.get_json::<RedriveOrder>(&key).map_err(Error::from)).await?
        else {
            return Ok(false);
        };
        open.run.take_up(order);
        let (arn, run) = (open.arn.clone(), open.run.clone());
        self.store_of_run(&open.arn)
            .write(move |tx| {
                // Another one may have been asked for meanwhile; it is taken up after this one.
                if tx.get_json::<RedriveOrder>(&key)? == Some(order) {
                    tx.delete(&key)?;
                }
                tx.put_json(records::map_run(&arn), &run)?;
                Ok::<_, Error>(())
            })
            .await?;
        Ok(true)
    }

    /// Ends the task of a run that nobody waits for. False when it is to be redriven: then it goes on.
    pub async fn end_map_run(&self, arn: &MapRunArn) -> Result<bool, Error> {
        let of = arn.clone();
        self.store_of_run(arn)
            .write(move |tx| {
                if tx.get(records::map_run_part(&of, "redrive"))?.is_some() {
                    return Ok(false);
                }
                tx.finish_task(of.as_str())?;
                Ok(true)
            })
            .await
    }

    /// Lets the next children run again that wait for it, up to `most`, and writes the run's record.
    pub async fn redrive_children(&self, open: &mut OpenRun, most: u64, counted: Vec<EndedChild>) -> Result<(), Error> {
        let Some(waiting) = &open.run.progress.waiting else { return Ok(()) };
        let (found, next) = self.unsuccessful(open, waiting.next, most.min(REDRIVEN_AT_ONCE)).await?;
        let now = self.now();
        let before = open.run.clone();
        let mut batch = Batch::default();
        let mut running = Vec::new();
        for child in found {
            let Unsuccessful { index, items, arn, summary, again } = child;
            let ended = summary.status;
            let begun = match again {
                Again::Standard(stored) => Self::redriven_child(open, stored, &arn, summary, &mut batch, now)?,
                Again::Express { child, known } => {
                    let attempt = open.run.redrive.count;
                    let (_, mut execution) = self.child(open, child, now, attempt);
                    let mut commands = Vec::new();
                    execution.handle(now, Event::Started, &mut commands);
                    let new = Self::new_child(open, &arn, &execution);
                    batch.replace(known);
                    batch.begin_child(&new, &mut execution, commands, now)?;
                    Some(execution)
                }
            };
            let Some(execution) = begun else {
                open.run.child_stays(ended, items);
                continue;
            };
            open.run.child_redriven(ended, items);
            match execution.status() {
                Status::Running => running.push((index, arn, execution)),
                status => open.run.child_ended(status, items),
            }
        }
        open.run.redriven_up_to(next);
        self.write_children(open, before, batch, running, counted).await
    }

    /// `None` when the child cannot be redriven.
    fn redriven_child(
        open: &OpenRun,
        stored: Option<Box<Stored>>,
        arn: &ExecutionArn,
        summary: Summary,
        batch: &mut Batch,
        now: asl::Timestamp,
    ) -> Result<Option<Execution>, Error> {
        let Some(stored) = stored.filter(|_| summary.refuses_redrive(now).is_none()) else { return Ok(None) };
        let info = Arc::new(stored.info);
        let mut execution = Execution::load(Arc::clone(&open.definition), info, stored.root, stored.frames);
        if !execution.is_unfinished() {
            return Ok(None);
        }
        let mut commands = Vec::new();
        execution.handle(now, Event::Redriven, &mut commands);
        batch.redrive_child(arn, summary, &mut execution, commands, now)?;
        Ok(Some(execution))
    }

    /// Children that did not succeed, from number `from` on, and up to which number all have been found.
    async fn unsuccessful(&self, open: &OpenRun, from: u64, most: u64) -> Result<(Vec<Unsuccessful>, u64), Error> {
        let to = open.run.progress.children.min(from.saturating_add(LOOKED_AT));
        self.store_of_run(&open.arn)
            .read(|tx| {
                let mut found = Vec::new();
                for index in from..to {
                    if found.len() as u64 == most {
                        return Ok((found, index));
                    }
                    let arn = open.child_arn(index);
                    let Some(summary) = read::summary(tx, &arn)?.filter(|known| known.status != Status::Succeeded)
                    else {
                        continue;
                    };
                    let Some(info) = read::info(tx, &arn)? else { continue };
                    let items = info.map_run.as_ref().map_or(1, |of| of.items);
                    let again = if arn.is_express() {
                        let all = tx.scan_prefix(records::execution(&arn), usize::MAX >> 1)?;
                        let listed = records::listed_child(&arn, &open.arn, info.started);
                        let known = all.into_iter().map(|(key, _)| key).chain([listed.into_bytes()]).collect();
                        let input = info.input.text().to_owned();
                        Again::Express { child: Child { index, name: info.name, input, items }, known }
                    } else {
                        Again::Standard(read::stored(tx, &arn)?.map(Box::new))
                    };
                    found.push(Unsuccessful { index, items, arn, summary, again });
                }
                Ok((found, to))
            })
            .await
    }
}
