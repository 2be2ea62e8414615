//! Carrying out an operation on a stack: a durable task that makes, changes and deletes resources one after the other and
//! records each step before the next. Run again after a crash it goes on where it was; every call to a service is made on
//! behalf of this step, so that a step done twice counts once.

mod back;
mod forward;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use wire::Error;

use crate::CloudFormation;
use crate::Result;
use crate::dynamic::{self, Filled};
use crate::intrinsics::{Known, Pseudo, Scope};
use crate::ongoing::Ongoing;
use crate::parameters::text;
use crate::policy::{self, Action};
use crate::records::{Goal, Operation, OutputRecord, Phase, ResourceRecord, StackRecord};
use crate::resources::{Context as ResourceContext, Made};
use crate::stacks::{self, StackScope};
use crate::template::{Resource, Template};

/// Between two tries of a step that fails because the platform does; then the step has failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);

/// The stack was deleted while it was made: that operation's task goes on instead of this one.
const SUPERSEDED: &str = "OperationSuperseded";

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) stack_id: String,
    /// Which operation of the stack.
    pub(crate) number: u32,
}

impl Work {
    /// The name of its task.
    pub(crate) fn task(&self) -> String {
        format!("cloudformation/{}/{}", self.stack_id, self.number)
    }
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.task())
    }
}

/// Operations on stacks, which go on from what the stack's record says.
pub(crate) struct Operations(pub(crate) Arc<CloudFormation>);

#[async_trait]
impl Ongoing for Operations {
    const NAME: &'static str = "cloudformation:stack";
    type Work = Work;

    fn scope(work: &Work) -> (&str, &str) {
        (&work.account, &work.region)
    }

    fn is_left(&self, tx: &mut store::Tx<'_>, work: &Work) -> Result<bool> {
        let stack = stacks::find(tx, (&work.account, &work.region), &work.stack_id)?;
        Ok(stack.is_some_and(|stack| stack.operation.is_some() && stack.operations == work.number))
    }

    async fn go_on(&self, work: &Work) -> Result<()> {
        match Box::pin(self.0.carry_out(work)).await {
            // Another operation's task goes on in its place.
            Err(error) if error.is(SUPERSEDED) => Ok(()),
            done => done,
        }
    }
}

impl CloudFormation {
    async fn carry_out(&self, work: &Work) -> Result<()> {
        let cx =
            Cx::platform(&self.router, &work.account, &work.region).with_called_via("cloudformation.amazonaws.com");
        let mut run = Run { service: self, cx, work: work.clone() };
        loop {
            let stack = run.load().await?;
            let Some(operation) = stack.operation.clone().filter(|_| stack.operations == work.number) else {
                return Ok(());
            };
            let assumed = match &stack.role_arn {
                Some(role) => Some(run.insist(|| run.cx.assume(role, "AWSCloudFormation")).await),
                None => None,
            };
            run.cx = match (assumed, &stack.role_arn) {
                (Some(assumed), Some(role)) => match assumed {
                    Ok(cx) => cx,
                    // The platform's fault, which passes.
                    Err(error) if error.status() >= 500 => return Err(error),
                    Err(error) => {
                        run.fail(&format!("The role {role} cannot be assumed: {}", error.message())).await?;
                        continue;
                    }
                },
                _ => run.cx.as_principal(operation.principal.clone()),
            };
            match (operation.goal, operation.phase) {
                (Goal::Delete, _) => run.delete(stack).await?,
                (_, Phase::Forward) => Box::pin(run.forward(stack)).await?,
                (_, Phase::Cleanup) => run.cleanup(stack).await?,
                (_, Phase::Rollback) => run.roll_back(stack).await?,
            }
        }
    }
}

/// One operation under way.
struct Run<'a> {
    service: &'a CloudFormation,
    cx: Cx,
    work: Work,
}

impl Run<'_> {
    async fn load(&self) -> Result<StackRecord> {
        let place = StackScope::of(&self.cx);
        let id = self.work.stack_id.clone();
        self.service.store.read(|tx| stacks::require(tx, &place, &id)).await
    }

    /// Changes the stack's record in one transaction.
    async fn change(
        &self,
        change: impl Fn(&mut store::Tx<'_>, &mut StackRecord, i64) -> Result<()> + Send + 'static,
    ) -> Result<StackRecord> {
        let place = StackScope::of(&self.cx);
        let (id, number) = (self.work.stack_id.clone(), self.work.number);
        self.service
            .store
            .write(move |tx| {
                let mut stack = stacks::require(tx, &place, &id)?;
                if stack.operations != number {
                    return Err(Error::new(SUPERSEDED, 409, "another operation has begun"));
                }
                change(tx, &mut stack, place.now_ms)?;
                stacks::save(tx, &stack)?;
                Ok(stack)
            })
            .await
    }

    /// Records a resource's new state, what it was before this operation touched it, and the one whose place it takes.
    async fn note(
        &self,
        name: &str,
        record: ResourceRecord,
        before: Option<ResourceRecord>,
        superseded: Option<ResourceRecord>,
    ) -> Result<StackRecord> {
        let name = name.to_owned();
        self.change(move |tx, stack, now| {
            if let Some(operation) = stack.operation.as_mut() {
                operation.journal.entry(name.clone()).or_insert_with(|| before.clone());
                if let Some(old) = &superseded
                    && !operation.superseded.iter().any(|(n, _)| *n == name)
                {
                    operation.superseded.push((name.clone(), old.clone()));
                }
            }
            // The same step begun again after a crash makes no second event.
            let again = stack.resources.get(&name).is_some_and(|r| {
                r.status == record.status && r.generation == record.generation && r.status.ends_with("_IN_PROGRESS")
            });
            let record = ResourceRecord { updated_ms: now, ..record.clone() };
            if again {
                stack.resources.insert(name.clone(), record);
                return Ok(());
            }
            stacks::set_resource(tx, stack, now, &name, record)
        })
        .await
    }

    /// Properties with the values of their dynamic references.
    async fn filled(&self, kind: &str, properties: &Value) -> Result<Filled> {
        self.insist(|| dynamic::fill(&self.cx, kind, properties)).await
    }

    /// The same of what was: a reference that names nothing any more stays as it is written.
    async fn filled_if_it_can(&self, kind: &str, properties: &Value) -> Filled {
        self.filled(kind, properties).await.unwrap_or_else(|_| Filled::as_written(properties))
    }

    /// Makes a call of a step again where the platform itself has failed: whether it took place is then not known, and the same
    /// call, by the name of the same task, answers as the first did.
    async fn insist<T, F: Future<Output = Result<T>> + Send>(&self, call: impl Fn() -> F + Send) -> Result<T> {
        let mut pause = Duration::from_secs(1);
        loop {
            match call().await {
                Err(error) if error.is("InternalFailure") && pause <= LONGEST_PAUSE => {
                    tracing::warn!(stack = self.work.stack_id, %error, "a step of a stack operation is made again");
                    self.service.router.clock().sleep(pause).await;
                    pause *= 2;
                }
                other => return other,
            }
        }
    }

    fn place(&self, stack: &StackRecord, name: &str, generation: u32, word: &str) -> ResourceContext {
        let task = step(&self.work.stack_id, self.work.number, name, word);
        let tags = stack.operation.as_ref().map_or_else(|| stack.tags.clone(), |o| o.tags.clone());
        ResourceContext {
            cx: self.cx.with_task(&task),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            logical_id: name.to_owned(),
            kind: stack.resources.get(name).map(|record| record.kind.clone()).unwrap_or_default(),
            answers: self.service.answers.clone(),
            store: self.service.store.clone(),
            generation,
            tags: tags.clone(),
            tags_before: tags,
            capabilities: stack.capabilities.clone(),
            half_made: Mutex::default(),
            touched: std::sync::atomic::AtomicBool::default(),
            going_back: false,
            is_signalled: false,
            until_ms: stack.operation.as_ref().and_then(|operation| operation.until_ms),
        }
    }

    /// A resource could not be made or changed: its event, then the way back.
    async fn resource_failed(
        &self,
        name: &str,
        resource: &Resource,
        reason: &str,
        half_made: Option<Made>,
    ) -> Result<()> {
        let (name, kind, reason) = (name.to_owned(), resource.kind.clone(), reason.to_owned());
        let depends_on = resource.depends_on.clone();
        self.change(move |tx, stack, now| {
            let old = stack.resources.get(&name).cloned();
            // What has not been touched yet is there as it was, and is no making that is to be taken back.
            let there = |record: &ResourceRecord| {
                !record.physical_id.is_empty()
                    && (record.status.ends_with("_COMPLETE") || record.status == "UPDATE_FAILED")
            };
            let before = stack.operation.as_mut().and_then(|operation| {
                let untouched = || old.clone().filter(there).map(ResourceRecord::into_settled);
                operation.journal.entry(name.clone()).or_insert_with(untouched).clone()
            });
            let updating = before.is_some();
            let record = ResourceRecord {
                kind: kind.clone(),
                physical_id: match (&half_made, &old) {
                    (Some(made), _) => made.physical_id.clone(),
                    (None, old) => old.as_ref().map(|o| o.physical_id.clone()).unwrap_or_default(),
                },
                status: if updating { "UPDATE_FAILED" } else { "CREATE_FAILED" }.to_owned(),
                reason: Some(reason.clone()),
                updated_ms: now,
                properties: old.as_ref().map_or(Value::Null, |o| o.properties.clone()),
                settled: before.map(|before| before.properties),
                stack_tags: old.as_ref().and_then(|o| o.stack_tags.clone()),
                attributes: match (&half_made, &old) {
                    (Some(made), _) => made.attributes.clone(),
                    (None, old) => old.as_ref().map_or(Value::Null, |o| o.attributes.clone()),
                },
                depends_on: depends_on.clone(),
                retain: old.as_ref().is_some_and(|o| o.retain),
                retain_created: old.as_ref().is_some_and(|o| o.retain_created),
                retain_replaced: old.as_ref().is_some_and(|o| o.retain_replaced),
                generation: old.as_ref().map_or(stack.operations, |o| o.generation),
            };
            stacks::set_resource(tx, stack, now, &name, record)?;
            let verb = if updating { "update" } else { "create" };
            begin_rollback(tx, stack, now, &format!("The following resource(s) failed to {verb}: [{name}]. "))
        })
        .await?;
        Ok(())
    }

    /// The operation as a whole fails.
    async fn fail(&self, reason: &str) -> Result<()> {
        let reason = reason.to_owned();
        self.change(move |tx, stack, now| {
            let Some(operation) = stack.operation.as_mut() else { return Ok(()) };
            match (operation.goal, operation.phase) {
                (Goal::Delete, _) => {
                    stack.operation = None;
                    stacks::set_status(tx, stack, now, "DELETE_FAILED", Some(&reason))
                }
                (_, Phase::Forward) => begin_rollback(tx, stack, now, &reason),
                (goal, Phase::Cleanup) => {
                    // The stack is what it was to become; what is left over is known, and goes with the next operation.
                    let mut left = std::mem::take(&mut operation.superseded);
                    stack.operation = None;
                    for (name, record) in &left {
                        deletion_event(tx, stack, now, name, record, "DELETE_FAILED", Some(&reason))?;
                    }
                    stack.superseded.append(&mut left);
                    stacks::set_status(tx, stack, now, back::cleaned_up(Some(goal)), Some(&reason))
                }
                (_, Phase::Rollback) => back::stuck(tx, stack, now, &reason),
            }
        })
        .await?;
        Ok(())
    }
}

/// The name by which the calls of a step count once.
fn step(stack_id: &str, operation: u32, name: &str, word: &str) -> String {
    format!("cloudformation/{stack_id}/{operation}/{name}/{word}")
}

/// Its making was begun, and has not been heard of.
fn is_begun(record: &ResourceRecord) -> bool {
    let status = record.status.as_str();
    record.physical_id.is_empty() && status.ends_with("_IN_PROGRESS") && !status.starts_with("DELETE")
}

/// Why a step did not go on.
enum Stop {
    /// The resource's fault, to be told as its reason.
    Failed(String),
    /// The same, and this is there of it.
    HalfMade(String, Made),
    /// The store's.
    Broken(Error),
}

impl Stop {
    #[expect(clippy::needless_pass_by_value, reason = "it is what map_err passes")]
    fn failed(error: Error) -> Self {
        Self::Failed(explain(&error))
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Broken(error)
    }
}

/// Fails where the stack's policy, or the update's, forbids it.
fn policy_allows(
    stack: &StackRecord,
    operation: &Operation,
    (name, kind): (&str, &str),
    action: Action,
) -> Result<(), Stop> {
    match operation.policy.as_ref().or(stack.policy.as_ref()) {
        Some(text) if operation.goal == Goal::Update && !policy::allows(text, action, name, kind) => Err(Stop::Failed(
            format!("Action denied by stack policy: Statement [#1] does not allow [{action:?}] for {name}"),
        )),
        _ => Ok(()),
    }
}

/// A service's error as a resource's reason shows it.
fn explain(error: &Error) -> String {
    if error.is("ValidationError") {
        return error.message().to_owned();
    }
    format!("{} (Status Code: {}; Error Code: {})", error.message(), error.status(), error.code())
}

fn begin_rollback(tx: &mut store::Tx<'_>, stack: &mut StackRecord, now: i64, reason: &str) -> Result<()> {
    let Some(operation) = stack.operation.as_mut() else { return Ok(()) };
    let creating = operation.goal == Goal::Create;
    if operation.on_failure == "DO_NOTHING" {
        stack.failed = Some(operation.clone());
        // What was to be replaced is what there is.
        for (name, before) in &operation.journal {
            if let (Some(before), Some(current)) = (before, stack.resources.get_mut(name))
                && current.status == "UPDATE_FAILED"
                && current.generation != before.generation
            {
                let (status, reason) = (current.status.clone(), current.reason.clone());
                let left = std::mem::replace(current, ResourceRecord { status, reason, ..before.clone() });
                if !left.physical_id.is_empty() {
                    stack.superseded.push((name.clone(), left));
                }
            }
        }
        // Others have taken their places: whatever succeeds next deletes them.
        stack.superseded.append(&mut operation.superseded);
        stack.operation = None;
        let status = if creating { "CREATE_FAILED" } else { "UPDATE_FAILED" };
        return stacks::set_status(tx, stack, now, status, Some(reason));
    }
    operation.phase = Phase::Rollback;
    let status = match (creating, operation.on_failure.as_str()) {
        (true, "DELETE") => "DELETE_IN_PROGRESS",
        (true, _) => "ROLLBACK_IN_PROGRESS",
        (false, _) if operation.goal == Goal::Import => "IMPORT_ROLLBACK_IN_PROGRESS",
        (false, _) => "UPDATE_ROLLBACK_IN_PROGRESS",
    };
    let text = if creating { format!("{reason}Rollback requested by user.") } else { reason.to_owned() };
    stacks::set_status(tx, stack, now, status, Some(&text))
}

fn deletion_event(
    tx: &mut store::Tx<'_>,
    stack: &StackRecord,
    now: i64,
    name: &str,
    record: &ResourceRecord,
    status: &str,
    reason: Option<&str>,
) -> Result<()> {
    let event = stacks::Event {
        logical_id: name,
        physical_id: &record.physical_id,
        kind: &record.kind,
        status,
        reason,
        properties: None,
    };
    stacks::record(tx, stack, now, event)
}

/// Names so that each comes before what it depends on.
fn deletion_order(resources: &BTreeMap<String, ResourceRecord>) -> Vec<String> {
    let mut order: Vec<String> = Vec::with_capacity(resources.len());
    let mut waiting: Vec<&String> = resources.keys().collect();
    while !waiting.is_empty() {
        let free: Vec<&String> = waiting
            .iter()
            .filter(|name| !waiting.iter().any(|other| resources[*other].depends_on.contains(name)))
            .copied()
            .collect();
        if free.is_empty() {
            // Records of different times may disagree; any order is as good then.
            order.extend(waiting.into_iter().cloned());
            break;
        }
        waiting.retain(|name| !free.contains(name));
        order.extend(free.into_iter().cloned());
    }
    order
}

pub(crate) fn known(stack: &StackRecord) -> BTreeMap<String, Known> {
    stack
        .resources
        .iter()
        .map(|(name, r)| (name.clone(), Known { physical_id: r.physical_id.clone(), attributes: r.attributes.clone() }))
        .collect()
}

pub(crate) fn scope<'a>(
    stack: &StackRecord,
    template: &'a Template,
    parameters: &'a indexmap::IndexMap<String, String>,
    (resources, exports): (&'a BTreeMap<String, Known>, &'a BTreeMap<String, String>),
) -> Scope<'a> {
    Scope {
        template,
        parameters,
        resources,
        exports,
        pseudo: Pseudo {
            account: stack.account.clone(),
            region: stack.region.clone(),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            notified: stack.notified.clone(),
        },
        conditions: Mutex::default(),
    }
}

/// The resources that the template still has, by its conditions.
fn kept(stack: &StackRecord, template: &Template, exports: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let known = known(stack);
    let Some(operation) = &stack.operation else { return Ok(Vec::new()) };
    let scope = scope(stack, template, &operation.parameters, (&known, exports));
    let mut kept = Vec::new();
    for (name, resource) in &template.resources {
        if resource.condition.as_ref().map_or(Ok(true), |condition| scope.condition(condition))? {
            kept.push(name.clone());
        }
    }
    Ok(kept)
}

/// What becomes of a resource that leaves the template, whose making is rolled back, and in whose place another comes.
/// Sources: CloudFormation Template Reference, "DeletionPolicy attribute", "UpdateReplacePolicy attribute".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policies {
    deleted: bool,
    created: bool,
    replaced: bool,
}

impl Policies {
    fn of(resource: &Resource) -> Self {
        let stays = |policy: &Option<String>| policy.as_deref().is_some_and(|policy| policy != "Delete");
        Self {
            deleted: stays(&resource.deletion_policy),
            created: resource.deletion_policy.as_deref() == Some("Retain"),
            replaced: stays(&resource.update_replace_policy),
        }
    }

    fn of_record(record: &ResourceRecord) -> Self {
        Self { deleted: record.retain, created: record.retain_created, replaced: record.retain_replaced }
    }
}

/// Whether a resource that is not the stack's any more stays: one that has left by its deletion policy, one that was replaced by the
/// policy for that, the template's of before or of now.
fn stays(stack: &StackRecord, name: &str, record: &ResourceRecord) -> bool {
    match stack.resources.get(name) {
        Some(new) if new.kind == record.kind => record.retain_replaced || new.retain_replaced,
        Some(new) => record.retain || record.retain_replaced || new.retain_replaced,
        None => record.retain,
    }
}

/// The names of the exports that the template imports where its conditions hold.
fn imported(stack: &StackRecord, template: &Template, parameters: &indexmap::IndexMap<String, String>) -> Vec<String> {
    let (known, none) = (known(stack), BTreeMap::new());
    let scope = scope(stack, template, parameters, (&known, &none));
    let holds = |condition: Option<&str>| condition.is_none_or(|name| scope.condition(name).unwrap_or(false));
    let resources =
        template.resources.values().filter(|r| holds(r.condition.as_deref())).map(|resource| &resource.properties);
    let outputs = template.outputs.values().filter(|o| holds(o.get("Condition").and_then(Value::as_str)));
    let mut names: Vec<String> = resources
        .chain(outputs)
        .flat_map(crate::template::imports)
        .filter_map(|argument| scope.resolve(argument).ok())
        .map(|name| text(&name))
        .collect();
    names.sort();
    names.dedup();
    names
}

fn outputs(stack: &StackRecord, template: &Template, exports: &BTreeMap<String, String>) -> Result<Vec<OutputRecord>> {
    let known = known(stack);
    let Some(operation) = &stack.operation else { return Ok(Vec::new()) };
    let scope = scope(stack, template, &operation.parameters, (&known, exports));
    let mut out = Vec::new();
    for (key, body) in &template.outputs {
        if let Some(condition) = body.get("Condition").and_then(Value::as_str)
            && !scope.condition(condition)?
        {
            continue;
        }
        let value = scope.resolve(body.get("Value").unwrap_or(&Value::Null))?;
        let export = body.get("Export").and_then(|e| e.get("Name")).map(|n| scope.resolve(n)).transpose()?;
        out.push(OutputRecord {
            key: key.clone(),
            value: text(&value),
            description: body.get("Description").and_then(Value::as_str).map(str::to_owned),
            export: export.as_ref().map(text),
        });
    }
    Ok(out)
}
