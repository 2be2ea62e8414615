//! Starting children: many in one transaction, each with the first steps that it can take at once.

use std::sync::Arc;

use asl::{Child, ChildOf, Event, Execution, Info, MapRun, Payload, Status};
use wire::Error;

use super::{EndedChild, OpenRun};
use crate::batch::Batch;
use crate::{Engine, ExecutionArn, NewExecution, records, traces};

impl Engine {
    /// Starts children and writes the run's record. Those that need nothing from outside end in the same transaction and are counted
    /// in it.
    pub async fn start_children(
        &self,
        open: &mut OpenRun,
        children: Vec<Child>,
        counted: Vec<EndedChild>,
    ) -> Result<(), Error> {
        let now = self.now();
        let before = open.run.clone();
        let mut batch = Batch::default();
        let mut running = Vec::new();
        for child in children {
            let (index, items) = (child.index, child.items);
            let (arn, mut execution) = self.child(open, child, now, 0);
            let mut commands = Vec::new();
            execution.handle(now, Event::Started, &mut commands);
            let new = Self::new_child(open, &arn, &execution);
            batch.begin_child(&new, &mut execution, commands, now)?;
            match execution.status() {
                Status::Running => running.push((index, arn, execution)),
                status => open.run.child_ended(status, items),
            }
        }
        self.write_children(open, before, batch, running, counted).await
    }

    /// Writes what has become of children together with the run's record, which is as it was `before` when that fails.
    pub(super) async fn write_children(
        &self,
        open: &mut OpenRun,
        before: MapRun,
        mut batch: Batch,
        running: Vec<(u64, ExecutionArn, Execution)>,
        counted: Vec<EndedChild>,
    ) -> Result<(), Error> {
        for child in &counted {
            batch.delete(records::map_run_child(&open.arn, "ended", child.index));
            batch.delete(records::map_run_child(&open.arn, "running", child.index));
        }
        for (index, arn, _) in &running {
            batch.put_text(records::map_run_child(&open.arn, "running", *index), arn.as_str());
        }
        batch.put(records::map_run(&open.arn), &open.run)?;
        let (account, region) = (open.arn.account().to_owned(), open.arn.region().to_owned());
        let definition = open.processor.clone();
        // Held until their records are there, so that what they started finds them in memory.
        let slots: Vec<_> = running.iter().map(|(_, arn, _)| self.slot(arn)).collect();
        let mut held = Vec::new();
        for slot in slots {
            held.push(slot.lock_owned().await);
        }
        let noted = std::mem::take(&mut batch.noted);
        let shard = self.shard_of_run(&open.arn);
        let site = Arc::clone(&shard.site);
        let written = shard
            .store
            .write(move |tx| {
                definition.keep(tx, &account, &region)?;
                batch.apply(tx, &site)
            })
            .await;
        if let Err(error) = written {
            open.run = before;
            return Err(error.into());
        }
        self.count_in(open.arn.account(), open.arn.region(), noted);
        for (mut slot, (_, _, execution)) in held.into_iter().zip(running) {
            *slot = Some(execution);
        }
        Ok(())
    }

    /// A child's execution, in the attempt of that number. Its tokens are sealed with chance of its own: its name, which everybody may
    /// know, must not give them away.
    pub(super) fn child(
        &self,
        open: &OpenRun,
        child: Child,
        now: asl::Timestamp,
        attempt: u32,
    ) -> (ExecutionArn, Execution) {
        let arn = open.child_arn(child.index);
        let seed = crate::seed(&self.router().uuid());
        let info = Info {
            execution_arn: arn.to_string(),
            name: child.name,
            role_arn: open.info.role_arn.clone(),
            state_machine_arn: open.child_machine_arn(),
            state_machine_name: open.run.machine(),
            region: open.arn.region().to_owned(),
            started: now,
            input: Payload::inline(child.input),
            map_run: Some(ChildOf { map_run_arn: open.run.arn.clone(), index: child.index, items: child.items }),
            logged: open.logging.is_some(),
            trace: traces::of_child(&open.info),
        };
        let mut execution = Execution::new(Arc::clone(&open.definition), info, seed);
        execution.set_attempt(attempt);
        (arn, execution)
    }

    pub(super) fn new_child(open: &OpenRun, arn: &ExecutionArn, execution: &Execution) -> NewExecution {
        NewExecution {
            arn: arn.clone(),
            is_unseen: false,
            info: Info::clone(execution.info()),
            definition: open.processor.clone(),
            state_machine_version_arn: None,
            state_machine_alias_arn: None,
            trace_header: None,
            logging: open.logging.clone(),
            machine_created: None,
            machine: None,
        }
    }
}
