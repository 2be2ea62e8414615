//! Where a run's items become inputs: the Map's scope as it was when the run began, without the execution around it.

use std::sync::Arc;

use super::{Item, MapRun, RunFailure};
use crate::definition::{Body, Definition, StateKind};
use crate::info::Info;
use crate::machine::data::View;
use crate::machine::frame::Frame;
use crate::machine::{Execution, Root};
use crate::payload::Payload;
use crate::random::Random;
use crate::time::Timestamp;

/// Evaluates a run's item selector. It is made of the records whenever a run is taken up, and keeps nothing of what it is given.
#[derive(Debug)]
pub struct ItemEvaluator {
    execution: Execution,
    frame: Frame,
    input: Payload,
    seed: u64,
}

impl ItemEvaluator {
    /// `definition` and `info` are those of the execution whose Map it is; the run's payloads must have been fetched. `None` when the
    /// definition has no such Map.
    pub fn new(definition: &Arc<Definition>, info: Arc<Info>, run: &MapRun) -> Option<Self> {
        let mut frame = run.frame.clone();
        frame.body = Some(body_at(&definition.body, &run.place)?);
        frame.body.as_ref()?.states.get(&frame.state)?;
        let seed = u64::from_str_radix(run.id().get(..8)?, 16).unwrap_or(0);
        let mut execution = Execution::load(Arc::clone(definition), info, Root::scratch(seed), Vec::new());
        let state = Execution::state_of(&frame);
        let input = execution.effective_input(&frame, &state).unwrap_or_default();
        Some(Self { execution, frame, input, seed })
    }

    /// What a child is given for an item. The same item always gives the same, whenever it is asked for.
    pub(super) fn select(&mut self, now: Timestamp, index: u64, item: &Item) -> Result<String, RunFailure> {
        let state = Execution::state_of(&self.frame);
        let StateKind::Map(map) = &state.kind else { return Ok(item.value.to_string()) };
        let Some(template) = &map.work.parameters else { return Ok(item.value.to_string()) };
        self.execution.root.random.replace(Random::new(self.seed ^ index.rotate_left(32)));
        self.execution.now = now;
        let item_origin = Some((item.key.as_deref(), item.source.as_str()));
        let view = View { item: Some((index, &item.value)), item_origin, ..View::default() };
        let selected = self.execution.filled(&self.frame, template, &self.input, view);
        self.execution.blobs.clear();
        match selected {
            Ok(selected) => Ok(selected.text().to_owned()),
            Err(failure) => Err(RunFailure { error: failure.error, cause: failure.cause }),
        }
    }
}

fn body_at(whole: &Arc<Body>, place: &[(String, u64)]) -> Option<Arc<Body>> {
    let mut body = Arc::clone(whole);
    for (state, index) in place {
        let inner = match &body.states.get(state)?.kind {
            StateKind::Parallel { branches, .. } => Arc::clone(branches.get(usize::try_from(*index).ok()?)?),
            StateKind::Map(map) => Arc::clone(&map.processor),
            _ => return None,
        };
        body = inner;
    }
    Some(body)
}
