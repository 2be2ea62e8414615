//! Carrying out an operation on a stack: a durable task that makes, changes and deletes resources one after the other and
//! records each step before the next. Run again after a crash it goes on where it was; every call to a service is made on
//! behalf of this step, so that a step done twice counts once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jobs::{Attempt, Ended, Kind, Limits, Loaded, Next, Who, Worked};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use service::attempts::Outcome;
use wire::Error;

use crate::CloudFormation;
use crate::Result;
use crate::dynamic;
use crate::intrinsics::{Known, Pseudo, Scope};
use crate::parameters::text;
use crate::policy::{self, Action};
use crate::records::{Goal, Operation, OutputRecord, Phase, ResourceRecord, StackRecord};
use crate::resources::{self, Context as ResourceContext, Made, Updated};
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

/// Operations on stacks, as jobs that go on from what the stack's record says.
pub(crate) struct Operations(pub(crate) Arc<CloudFormation>);

#[async_trait]
impl Kind for Operations {
    const NAME: &'static str = "cloudformation:stack";
    const GOES_ON: bool = true;
    const BEGINS: bool = false;
    type Payload = Work;
    type Plan = ();
    type End = ();

    fn scope(work: &Work) -> (&str, &str) {
        (&work.account, &work.region)
    }

    fn load(&self, tx: &mut store::Tx<'_>, work: &Work) -> Result<Loaded<()>> {
        let stack = stacks::find(tx, (&work.account, &work.region), &work.stack_id)?;
        let wanted = stack.is_some_and(|stack| stack.operation.is_some() && stack.operations == work.number);
        Ok(if wanted { Loaded::Todo(()) } else { Loaded::Over })
    }

    fn limits(&self, (): &()) -> Limits {
        Limits { tries: u32::MAX, timeout: None }
    }

    async fn who(&self, _: &Work, (): &(), _: &str) -> Result<Who<()>> {
        // Each step is made as the stack's role or its caller.
        Ok(Who::Platform)
    }

    async fn work(&self, work: &Work, (): &(), _: &Attempt) -> Worked<()> {
        match self.0.carry_out(work).await {
            Err(error) if !error.is(SUPERSEDED) => {
                // The store refused: nothing can be recorded now.
                tracing::error!(stack = work.stack_id, %error, "a stack operation is interrupted; it goes on in a while");
                Worked::Passing(())
            }
            _ => Worked::Ended(()),
        }
    }

    fn stopped(&self) {}
    fn timed_out(&self, (): &()) {}

    fn outcome(&self, (): &()) -> Outcome {
        Outcome::Commit
    }

    /// The stack's record says how it ended.
    fn end(&self, _: &mut store::Tx<'_>, _: &Work, _: &Ended<()>) -> Result<Next<Work>> {
        Ok(Next::Over)
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
            run.cx = match &stack.role_arn {
                Some(role) => match run.insist(|| run.cx.assume(role, "AWSCloudFormation")).await {
                    Ok(cx) => cx,
                    // The platform has failed, not the role: the operation goes on in a while.
                    Err(error) if error.status() >= 500 => return Err(error),
                    Err(error) => {
                        run.fail(&format!("The role {role} cannot be assumed: {}", error.message())).await?;
                        continue;
                    }
                },
                None => run.cx.as_principal(operation.principal.clone()),
            };
            match (operation.goal, operation.phase) {
                (Goal::Delete, _) => run.delete(stack).await?,
                (_, Phase::Forward) => run.forward(stack).await?,
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

    /// Makes and changes resources in the order of their dependencies, then the outputs.
    async fn forward(&self, mut stack: StackRecord) -> Result<()> {
        let Some(operation) = stack.operation.clone() else { return Ok(()) };
        let template = match Template::parse(&operation.template) {
            Ok(template) => template,
            Err(error) => return self.fail(error.message()).await,
        };
        let exports = match self.import(&stack, &template).await? {
            Ok(exports) => exports,
            Err(reason) => return self.fail(&reason).await,
        };
        for name in template.order()? {
            if stack.operation.as_ref().is_some_and(|operation| operation.cancelled) {
                return self.fail("User Initiated").await;
            }
            let resource = &template.resources[&name];
            match self.step(&mut stack, (&template, &exports), &name, resource).await {
                Ok(()) => {}
                Err(Stop::Failed(reason)) => {
                    return self.resource_failed(&name, resource, &reason, Left::AsItWas).await;
                }
                Err(Stop::Changed(reason)) => {
                    return self.resource_failed(&name, resource, &reason, Left::Changed).await;
                }
                Err(Stop::HalfMade(reason, made)) => {
                    return self.resource_failed(&name, resource, &reason, Left::Made(made)).await;
                }
                Err(Stop::Broken(error)) => return Err(error),
            }
        }
        let outputs = match outputs(&stack, &template, &exports) {
            Ok(outputs) => outputs,
            Err(error) => return self.fail(error.message()).await,
        };
        if let Some(reason) = self.exports_refused(&stack, &outputs).await? {
            return self.fail(&reason).await;
        }
        let imports = imported(&stack, &template, &operation.parameters);
        // What the new template does not have any more is deleted at the end.
        let kept = match kept(&stack, &template, &exports) {
            Ok(kept) => kept,
            Err(error) => return self.fail(error.message()).await,
        };
        for (name, record) in stack.resources.iter().filter(|(name, _)| !kept.contains(name)) {
            if let Err(Stop::Failed(reason)) = policy_allows(&stack, &operation, (name, &record.kind), Action::Delete) {
                return self.fail(&reason).await;
            }
        }
        self.change(move |tx, stack, now| {
            let Some(operation) = stack.operation.as_mut() else { return Ok(()) };
            let gone: Vec<String> = stack.resources.keys().filter(|n| !kept.contains(n)).cloned().collect();
            for name in gone {
                if let Some(record) = stack.resources.remove(&name) {
                    operation.superseded.push((name, record));
                }
            }
            operation.phase = Phase::Cleanup;
            stack.template.clone_from(&operation.template);
            stack.parameters.clone_from(&operation.parameters);
            stack.fetched.clone_from(&operation.fetched);
            stack.tags.clone_from(&operation.tags);
            stack.outputs.clone_from(&outputs);
            stack.imports.clone_from(&imports);
            stack.original.clone_from(&operation.original);
            if operation.goal == Goal::Update {
                stacks::set_status(tx, stack, now, "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", None)?;
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// The exports of all stacks. Those that the template imports are noted in the stack, so that they stay meanwhile; the reason
    /// where one is not there.
    async fn import(
        &self,
        stack: &StackRecord,
        template: &Template,
    ) -> Result<std::result::Result<BTreeMap<String, String>, String>> {
        let Some(operation) = &stack.operation else { return Ok(Ok(BTreeMap::new())) };
        let wanted = imported(stack, template, &operation.parameters);
        let (account, region) = (stack.account.clone(), stack.region.clone());
        let read = move |tx: &mut store::Tx<'_>| {
            let all = stacks::exports(tx, &account, &region)?;
            Ok::<_, Error>(all.into_iter().map(|(name, value, _)| (name, value)).collect::<BTreeMap<_, _>>())
        };
        if wanted.is_empty() {
            return Ok(Ok(self.service.store.read(read).await?));
        }
        let asked = wanted.clone();
        self.change(move |_, stack, _| {
            stack
                .imports
                .extend(asked.iter().filter(|name| !stack.imports.contains(name)).cloned().collect::<Vec<_>>());
            Ok(())
        })
        .await?;
        let exports = self.service.store.read(read).await?;
        Ok(match wanted.into_iter().find(|name| !exports.contains_key(name)) {
            Some(name) => Err(format!("No export named {name} found.")),
            None => Ok(exports),
        })
    }

    /// Why the stack cannot export what its outputs are now.
    async fn exports_refused(&self, stack: &StackRecord, outputs: &[OutputRecord]) -> Result<Option<String>> {
        let new: Vec<(String, String)> =
            outputs.iter().filter_map(|o| Some((o.export.clone()?, o.value.clone()))).collect();
        let stack = stack.clone();
        self.service
            .store
            .read(move |tx| {
                for (name, _, whose) in stacks::exports(tx, &stack.account, &stack.region)? {
                    if whose != stack.id && new.iter().any(|(own, _)| *own == name) {
                        let short = whose.split('/').nth(1).unwrap_or_default();
                        return Ok(Some(format!("Export with name {name} is already exported by stack {short}. ")));
                    }
                }
                let in_use = stacks::in_use(tx, &stack, &new)?;
                Ok::<_, Error>(in_use.map(|reason| format!("Cannot update {reason}")))
            })
            .await
    }

    /// One resource on the way forward; does nothing where it has been done.
    #[expect(clippy::too_many_lines, reason = "the steps of one resource, in order")]
    async fn step(
        &self,
        stack: &mut StackRecord,
        (template, exports): (&Template, &BTreeMap<String, String>),
        name: &str,
        resource: &Resource,
    ) -> Result<(), Stop> {
        let Some(operation) = stack.operation.clone() else { return Ok(()) };
        let known = known(stack);
        let scope = scope(stack, template, &operation.parameters, (&known, exports));
        if let Some(condition) = &resource.condition
            && !scope.condition(condition).map_err(Stop::failed)?
        {
            return Ok(());
        }
        let current = stack.resources.get(name).cloned();
        let touched = operation.journal.contains_key(name);
        let done = current.as_ref().is_some_and(|c| c.status.ends_with("_COMPLETE"));
        if touched && done {
            return Ok(());
        }
        let properties = scope.resolve(&resource.properties).map_err(Stop::failed)?;
        // One whose update failed and was not rolled back is there, as far as that update came.
        let there =
            |record: &ResourceRecord| done || record.status == "UPDATE_FAILED" && !record.physical_id.is_empty();
        let before = if touched { operation.journal[name].clone() } else { current.filter(there) };
        let kind = resources::find(&resource.kind)
            .ok_or_else(|| Stop::Failed(format!("Unrecognized resource type: {}", resource.kind)))?;
        let policy = Policies::of(resource);
        let depends_on = resource.depends_on.clone();
        let record = |made: Made, generation: u32, status: &str| ResourceRecord {
            kind: resource.kind.clone(),
            physical_id: made.physical_id,
            status: status.to_owned(),
            reason: None,
            updated_ms: 0,
            properties: properties.clone(),
            attributes: made.attributes,
            depends_on: depends_on.clone(),
            retain: policy.deleted,
            retain_created: policy.created,
            retain_replaced: policy.replaced,
            generation,
        };

        if let Some(old) = &before
            && old.kind == resource.kind
        {
            if old.properties == properties && old.status != "UPDATE_FAILED" {
                // Nothing to do; what it depends on may be written differently.
                if old.depends_on != depends_on || Policies::of_record(old) != policy {
                    let (name, old) = (name.to_owned(), old.clone());
                    *stack = self
                        .change(move |_, stack, _| {
                            let record = ResourceRecord {
                                depends_on: depends_on.clone(),
                                retain: policy.deleted,
                                retain_created: policy.created,
                                retain_replaced: policy.replaced,
                                ..old.clone()
                            };
                            stack.resources.insert(name.clone(), record);
                            Ok(())
                        })
                        .await?;
                }
                return Ok(());
            }
            policy_allows(stack, &operation, (name, &resource.kind), Action::Modify)?;
            // With the properties that it is to get: an update that fails half way is taken back from these, not from the old ones.
            let under_way = ResourceRecord {
                status: "UPDATE_IN_PROGRESS".to_owned(),
                reason: None,
                properties: properties.clone(),
                ..old.clone()
            };
            *stack = self.note(name, under_way, before.clone()).await?;
            let was = Made { physical_id: old.physical_id.clone(), attributes: old.attributes.clone() };
            let new = self.fetched(&resource.kind, &properties).await.map_err(Stop::failed)?;
            // What it was fetched from may be gone, or another: it differs then.
            let was_given = self.fetched(&resource.kind, &old.properties).await;
            let was_given = was_given.unwrap_or_else(|_| old.properties.clone());
            let touched = AtomicBool::new(false);
            let update = || async {
                let at = self.place(stack, name, old.generation, "update");
                let updated = resources::update(&resource.kind, &at, &was, &was_given, &new).await;
                touched.fetch_or(at.is_touched(), Ordering::Relaxed);
                updated
            };
            let updated = self.insist(update).await.map_err(|error| {
                if touched.load(Ordering::Relaxed) { Stop::Changed(explain(&error)) } else { Stop::failed(error) }
            });
            match updated? {
                Updated::InPlace(made) => {
                    // Who makes it may have made another: the one before is deleted at the end.
                    let another = made.physical_id != old.physical_id && resources::replaces_itself(&old.kind);
                    let made = record(made, old.generation, "UPDATE_COMPLETE");
                    let (name, old) = (name.to_owned(), another.then(|| old.clone()));
                    *stack = self
                        .change(move |tx, stack, now| {
                            if let (Some(old), Some(operation)) = (&old, stack.operation.as_mut()) {
                                operation.superseded.push((name.clone(), old.clone()));
                            }
                            let made = ResourceRecord { updated_ms: now, ..made.clone() };
                            stacks::set_resource(tx, stack, now, &name, made)
                        })
                        .await?;
                    return Ok(());
                }
                Updated::Replace => policy_allows(stack, &operation, (name, &resource.kind), Action::Replace)?,
            }
        }

        let generation = self.work.number;
        if let (None, Some(id)) = (&before, operation.adopted.get(name)) {
            return self.adopt(stack, (name, &resource.kind, id), record).await;
        }
        if !touched {
            self.check_new(stack, (name, &resource.kind), &properties, before.is_some()).await?;
        }
        let status = if before.is_some() { "UPDATE" } else { "CREATE" };
        let empty = Made { physical_id: String::new(), attributes: Value::Null };
        let mut under_way = record(empty, generation, &format!("{status}_IN_PROGRESS"));
        if before.is_some() {
            under_way.reason = Some(
                "Requested update requires the creation of a new physical resource; hence creating one.".to_owned(),
            );
        }
        *stack = self.note(name, under_way, before.clone()).await?;
        let left = Mutex::new(None);
        let given = self.fetched(&resource.kind, &properties).await.map_err(Stop::failed)?;
        let create = || async {
            let at = self.place(stack, name, generation, "create");
            let made = kind.create(&at, &given).await;
            *left.lock().unwrap_or_else(PoisonError::into_inner) = at.left_behind();
            made
        };
        let made = match self.insist(create).await {
            Ok(made) => made,
            Err(error) => {
                let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
                return Err(match left {
                    Some(made) => Stop::HalfMade(explain(&error), made),
                    None => Stop::failed(error),
                });
            }
        };
        let made = record(made, generation, &format!("{status}_COMPLETE"));
        let (logical_id, name, fresh) = (name, name.to_owned(), made.clone());
        let noted = self
            .change(move |tx, stack, now| {
                if let (Some(old), Some(operation)) = (&before, stack.operation.as_mut())
                    && !operation.superseded.iter().any(|(n, _)| *n == name)
                {
                    operation.superseded.push((name.clone(), old.clone()));
                }
                let made = ResourceRecord { updated_ms: now, ..made.clone() };
                stacks::set_resource(tx, stack, now, &name, made)
            })
            .await;
        match noted {
            Ok(noted) => {
                *stack = noted;
                Ok(())
            }
            Err(error) => {
                if error.is(SUPERSEDED) {
                    // Nobody else knows of it.
                    let gone = self.delete_resource(stack, logical_id, &fresh, "superseded").await;
                    gone.unwrap_or_else(|reason| tracing::warn!(reason, "a resource of a deleted stack stays"));
                }
                Err(error.into())
            }
        }
    }

    /// Refuses what is there already by the name that the template gives: many a service answers the creation of what it has with
    /// success, and the way back would delete what is not the stack's. Of the others, who may not look is told by the creation.
    async fn check_new(
        &self,
        stack: &StackRecord,
        (name, kind): (&str, &str),
        properties: &Value,
        replacing: bool,
    ) -> Result<(), Stop> {
        let mut at = self.place(stack, name, self.work.number, "check");
        at.cx = self.cx.clone();
        let Some(id) = resources::existing::name_of(kind, properties, &at) else { return Ok(()) };
        match resources::existing::find(&at, kind, &id).await {
            Ok(Some(_)) if replacing => Err(Stop::Failed(format!(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. Rename {id} and update the stack again."
            ))),
            Ok(Some(_)) => Err(Stop::Failed(resources::existing::told_taken(kind, &id))),
            Err(error) if resources::existing::is_taken_over(kind) => Err(Stop::failed(error)),
            Ok(None) | Err(_) => Ok(()),
        }
    }

    /// Takes a resource in that is there.
    async fn adopt(
        &self,
        stack: &mut StackRecord,
        (name, kind, id): (&str, &str, &str),
        record: impl Fn(Made, u32, &str) -> ResourceRecord,
    ) -> Result<(), Stop> {
        let generation = self.work.number;
        let nothing = Made { physical_id: id.to_owned(), attributes: Value::Null };
        *stack = self.note(name, record(nothing, generation, "IMPORT_IN_PROGRESS"), None).await?;
        let mut at = self.place(stack, name, generation, "import");
        at.cx = self.cx.clone();
        let found = resources::existing::find(&at, kind, id).await.map_err(Stop::failed)?;
        let found = found.ok_or_else(|| Stop::Failed(format!("Resource {id} of type {kind} does not exist.")))?;
        *stack = self.note(name, record(found.made, generation, "IMPORT_COMPLETE"), None).await?;
        Ok(())
    }

    /// Records a resource's new state, and what it was before this operation touched it.
    async fn note(&self, name: &str, record: ResourceRecord, before: Option<ResourceRecord>) -> Result<StackRecord> {
        let name = name.to_owned();
        self.change(move |tx, stack, now| {
            if let Some(operation) = stack.operation.as_mut() {
                operation.journal.entry(name.clone()).or_insert_with(|| before.clone());
            }
            // The same step begun again after a crash makes no second event.
            let again = stack.resources.get(&name).is_some_and(|r| {
                r.status == record.status && r.generation == record.generation && r.status.ends_with("_IN_PROGRESS")
            });
            let record = ResourceRecord { updated_ms: now, ..record.clone() };
            if again {
                return Ok(());
            }
            stacks::set_resource(tx, stack, now, &name, record)
        })
        .await
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

    /// The properties with what their dynamic references lead to. The record keeps the references: what they lead to may be secret.
    async fn fetched(&self, kind: &str, properties: &Value) -> Result<Value> {
        if !dynamic::mentions(properties) {
            return Ok(properties.clone());
        }
        self.insist(|| dynamic::fetched(&self.cx, kind, properties)).await
    }

    fn place(&self, stack: &StackRecord, name: &str, generation: u32, word: &str) -> ResourceContext {
        let task = step(&self.work.stack_id, self.work.number, name, word);
        ResourceContext {
            cx: self.cx.with_task(&task),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            logical_id: name.to_owned(),
            kind: stack.resources.get(name).map(|record| record.kind.clone()).unwrap_or_default(),
            answers: self.service.answers.clone(),
            generation,
            tags: stack.operation.as_ref().map_or_else(|| stack.tags.clone(), |o| o.tags.clone()),
            capabilities: stack.capabilities.clone(),
            half_made: Mutex::default(),
            touched: AtomicBool::default(),
        }
    }

    /// A resource could not be made or changed: its event, then the way back.
    async fn resource_failed(&self, name: &str, resource: &Resource, reason: &str, left: Left) -> Result<()> {
        let (name, kind, reason) = (name.to_owned(), resource.kind.clone(), reason.to_owned());
        let depends_on = resource.depends_on.clone();
        self.change(move |tx, stack, now| {
            let old = stack.resources.get(&name).cloned();
            let updating = old.as_ref().is_some_and(|o| o.status.starts_with("UPDATE"));
            let mut properties = old.as_ref().map_or(Value::Null, |o| o.properties.clone());
            if let Some(operation) = stack.operation.as_mut() {
                let before = operation.journal.entry(name.clone()).or_insert(None);
                if let (Some(before), Some(old), Left::AsItWas) = (before, &old, &left)
                    && before.generation == old.generation
                {
                    properties.clone_from(&before.properties);
                }
            }
            let half_made = if let Left::Made(made) = &left { Some(made) } else { None };
            let record = ResourceRecord {
                kind: kind.clone(),
                physical_id: match (half_made, &old) {
                    (Some(made), _) => made.physical_id.clone(),
                    (None, old) => old.as_ref().map(|o| o.physical_id.clone()).unwrap_or_default(),
                },
                status: if updating { "UPDATE_FAILED" } else { "CREATE_FAILED" }.to_owned(),
                reason: Some(reason.clone()),
                updated_ms: now,
                properties,
                attributes: match (half_made, &old) {
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

    /// The operation as a whole fails. What has been made stays the stack's, and a way back that cannot go on can be taken up again.
    async fn fail(&self, reason: &str) -> Result<()> {
        let reason = reason.to_owned();
        self.change(move |tx, stack, now| {
            let Some((goal, phase)) = stack.operation.as_ref().map(|o| (o.goal, o.phase)) else { return Ok(()) };
            match (goal, phase) {
                (Goal::Delete, _) => {
                    stack.operation = None;
                    stacks::set_status(tx, stack, now, "DELETE_FAILED", Some(&reason))
                }
                (_, Phase::Forward) => begin_rollback(tx, stack, now, &reason),
                (_, Phase::Cleanup) => {
                    // Everything is as the template says, but for what was to go.
                    let superseded = stack.operation.as_mut().map(|o| std::mem::take(&mut o.superseded));
                    for (name, record) in superseded.into_iter().flatten().rev() {
                        let (status, why) = if stays(stack, &name, &record) {
                            ("DELETE_SKIPPED", None)
                        } else {
                            ("DELETE_FAILED", Some(reason.as_str()))
                        };
                        deletion_event(tx, stack, now, &name, &record, status, why)?;
                    }
                    end_cleanup(tx, stack, now)
                }
                (Goal::Create, Phase::Rollback) => {
                    stack.operation = None;
                    let status = if stack.status.starts_with("DELETE") { "DELETE_FAILED" } else { "ROLLBACK_FAILED" };
                    stacks::set_status(tx, stack, now, status, Some(&reason))
                }
                (Goal::Update | Goal::Import, Phase::Rollback) => {
                    stack.stuck = stack.operation.take();
                    stacks::set_status(tx, stack, now, "UPDATE_ROLLBACK_FAILED", Some(&reason))
                }
            }
        })
        .await?;
        Ok(())
    }

    /// Deletes what was replaced or is not in the template any more. What cannot be deleted stays, with its event.
    async fn cleanup(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        if let Some((name, record)) = operation.superseded.last().cloned() {
            let stays = stays(&stack, &name, &record);
            let outcome = if stays { Ok(()) } else { self.delete_resource(&stack, &name, &record, "cleanup").await };
            self.change(move |tx, stack, now| {
                let (status, reason) = match &outcome {
                    Ok(()) if stays => ("DELETE_SKIPPED", None),
                    Ok(()) => ("DELETE_COMPLETE", None),
                    Err(reason) => ("DELETE_FAILED", Some(reason.as_str())),
                };
                deletion_event(tx, stack, now, &name, &record, status, reason)?;
                if let Some(operation) = stack.operation.as_mut() {
                    operation.superseded.pop();
                }
                Ok(())
            })
            .await?;
            return Ok(());
        }
        self.change(end_cleanup).await?;
        Ok(())
    }

    /// Takes back what the operation has done, the last first.
    async fn roll_back(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        let order: Vec<String> = deletion_order(&stack.resources);
        let next = order.into_iter().find(|name| operation.journal.contains_key(name));
        let Some(name) = next.or_else(|| operation.journal.keys().next_back().cloned()) else {
            return self.end_rollback().await;
        };
        let before = operation.journal[&name].clone();
        let current = stack.resources.get(&name).cloned();
        let made = current.as_ref().filter(|record| before.is_none() && record.status.ends_with("_COMPLETE"));
        let stays = made.is_some_and(|record| record.retain_created);
        let outcome =
            if stays { Ok(None) } else { self.restore(&stack, &name, current.as_ref(), before.as_ref()).await };
        let created = operation.goal == Goal::Create;
        self.change(move |tx, stack, now| {
            match (&outcome, &before, &current) {
                (Ok(_), None, Some(record)) => {
                    let status = if stays { "DELETE_SKIPPED" } else { "DELETE_COMPLETE" };
                    deletion_event(tx, stack, now, &name, record, status, None)?;
                    if created {
                        let gone = ResourceRecord { status: status.to_owned(), ..record.clone() };
                        stack.resources.insert(name.clone(), gone);
                    } else {
                        stack.resources.remove(&name);
                    }
                }
                (Ok(made), Some(old), _) => {
                    let (physical_id, attributes) = made.clone().map_or_else(
                        || (old.physical_id.clone(), old.attributes.clone()),
                        |made| (made.physical_id, made.attributes),
                    );
                    let record = ResourceRecord {
                        status: "UPDATE_COMPLETE".to_owned(),
                        updated_ms: now,
                        physical_id,
                        attributes,
                        ..old.clone()
                    };
                    stacks::set_resource(tx, stack, now, &name, record)?;
                }
                (Err(reason), _, Some(record)) => {
                    deletion_event(tx, stack, now, &name, record, "DELETE_FAILED", Some(reason))?;
                    let status = if created { "ROLLBACK_FAILED" } else { "UPDATE_ROLLBACK_FAILED" };
                    let text = format!("The following resource(s) failed to roll back: [{name}]. {reason}");
                    let operation = stack.operation.take();
                    stack.stuck = operation.filter(|_| !created);
                    return stacks::set_status(tx, stack, now, status, Some(&text));
                }
                _ => {}
            }
            if let Some(operation) = stack.operation.as_mut() {
                operation.journal.shift_remove(&name);
                // What it was before is the stack's again; what an earlier update has left is not.
                let same =
                    |record: &ResourceRecord| before.as_ref().is_some_and(|b| b.physical_id == record.physical_id);
                operation.superseded.retain(|(n, record)| *n != name || !same(record));
            }
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Nothing is left to take back.
    async fn end_rollback(&self) -> Result<()> {
        self.change(|tx, stack, now| {
            // It imports what it did before.
            stack.imports = match stack.operation.as_ref().map(|operation| operation.goal) {
                Some(Goal::Update | Goal::Import) => Template::parse(&stack.template)
                    .map(|template| imported(stack, &template, &stack.parameters))
                    .unwrap_or_default(),
                _ => Vec::new(),
            };
            let mut operation = stack.operation.take();
            stack.superseded = operation.as_mut().map(|o| std::mem::take(&mut o.superseded)).unwrap_or_default();
            let status = match operation.map(|o| (o.goal, o.on_failure)) {
                Some((Goal::Create, failure)) if failure == "DELETE" => "DELETE_COMPLETE",
                Some((Goal::Create, _)) => "ROLLBACK_COMPLETE",
                Some((Goal::Import, _)) => "IMPORT_ROLLBACK_COMPLETE",
                _ => "UPDATE_ROLLBACK_COMPLETE",
            };
            if status == "DELETE_COMPLETE" {
                stack.deleted_ms = Some(now);
            }
            stacks::set_status(tx, stack, now, status, None)
        })
        .await?;
        Ok(())
    }

    /// Makes a resource what it was; answers what it is then where it was changed back in place.
    async fn restore(
        &self,
        stack: &StackRecord,
        name: &str,
        current: Option<&ResourceRecord>,
        before: Option<&ResourceRecord>,
    ) -> Result<Option<Made>, String> {
        match (current, before) {
            (None, _) => Ok(None),
            (Some(current), Some(before)) if current.generation == before.generation => {
                let itself = resources::replaces_itself(&before.kind);
                let was = if itself { current } else { before };
                let was = Made { physical_id: was.physical_id.clone(), attributes: was.attributes.clone() };
                let (old, new) = (
                    self.fetched(&before.kind, &current.properties).await,
                    self.fetched(&before.kind, &before.properties).await,
                );
                let (old, new) = (old.unwrap_or_else(|_| current.properties.clone()), new.map_err(|e| explain(&e))?);
                let update = || async {
                    let at = self.place(stack, name, before.generation, "restore");
                    resources::update(&before.kind, &at, &was, &old, &new).await
                };
                let made = match self.insist(update).await.map_err(|e| e.message().to_owned())? {
                    Updated::InPlace(made) => made,
                    Updated::Replace => return Ok(None),
                };
                // Who makes it may have gone back to the one before, or have made a third: the others go.
                for other in
                    [current, before].into_iter().filter(|other| itself && other.physical_id != made.physical_id)
                {
                    self.delete_resource(stack, name, other, &format!("restored-{}", other.physical_id)).await?;
                }
                Ok(Some(made))
            }
            // What was taken in stays where it was.
            (Some(_), None) if stack.operation.as_ref().is_some_and(|o| o.adopted.contains_key(name)) => Ok(None),
            (Some(current), _) => self.delete_resource(stack, name, current, "rollback").await.map(|()| None),
        }
    }

    /// Deletes all resources, dependents first.
    async fn delete(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        let present = |name: &String| {
            let status = stack.resources.get(name).map_or("", |r| r.status.as_str());
            !matches!(status, "DELETE_COMPLETE" | "DELETE_SKIPPED" | "DELETE_FAILED")
        };
        let Some(name) = deletion_order(&stack.resources).into_iter().find(present) else {
            self.change(|tx, stack, now| {
                stack.operation = None;
                let failed: Vec<&str> = stack
                    .resources
                    .iter()
                    .filter(|(_, r)| r.status == "DELETE_FAILED")
                    .map(|(n, _)| n.as_str())
                    .collect();
                if failed.is_empty() {
                    stack.deleted_ms = Some(now);
                    return stacks::set_status(tx, stack, now, "DELETE_COMPLETE", None);
                }
                let reason = format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "));
                stacks::set_status(tx, stack, now, "DELETE_FAILED", Some(&reason))
            })
            .await?;
            return Ok(());
        };
        let record = stack.resources[&name].clone();
        if record.retain || operation.retained.contains(&name) {
            self.change(move |tx, stack, now| {
                let skipped = ResourceRecord { status: "DELETE_SKIPPED".to_owned(), reason: None, ..record.clone() };
                stacks::set_resource(tx, stack, now, &name, skipped)
            })
            .await?;
            return Ok(());
        }
        let (n, under_way) = (name.clone(), record.clone());
        let stack = self
            .change(move |tx, stack, now| {
                // Of one whose making was begun it must stay known that it was.
                if under_way.status == "DELETE_IN_PROGRESS" || is_begun(&under_way) {
                    return Ok(());
                }
                let record = ResourceRecord {
                    status: "DELETE_IN_PROGRESS".to_owned(),
                    reason: None,
                    updated_ms: now,
                    ..under_way.clone()
                };
                stacks::set_resource(tx, stack, now, &n, record)
            })
            .await?;
        let outcome = self.delete_resource(&stack, &name, &record, "delete").await;
        self.change(move |tx, stack, now| {
            let (status, reason) = match &outcome {
                Ok(()) => ("DELETE_COMPLETE", None),
                Err(reason) => ("DELETE_FAILED", Some(reason.clone())),
            };
            let record = ResourceRecord { status: status.to_owned(), reason, updated_ms: now, ..record.clone() };
            stacks::set_resource(tx, stack, now, &name, record)
        })
        .await?;
        Ok(())
    }

    /// Ok where it is gone afterwards, or never was.
    async fn delete_resource(
        &self,
        stack: &StackRecord,
        name: &str,
        record: &ResourceRecord,
        word: &str,
    ) -> Result<(), String> {
        let Some(kind) = resources::find(&record.kind) else { return Ok(()) };
        let mut record = record.clone();
        if is_begun(&record) {
            // Whether it was made nobody has heard. The same call again, by the name of the same task, answers as the first
            // did; what it makes now is deleted with the rest.
            let left = Mutex::new(None);
            let given = match self.fetched(&record.kind, &record.properties).await {
                Ok(given) => given,
                Err(error) if error.status() >= 500 => return Err(explain(&error)),
                // Without these nothing was made.
                Err(_) => return Ok(()),
            };
            let create = || async {
                let mut at = self.place(stack, name, record.generation, "create");
                at.cx = self.cx.with_task(&step(&self.work.stack_id, record.generation, name, "create"));
                let made = kind.create(&at, &given).await;
                *left.lock().unwrap_or_else(PoisonError::into_inner) = at.left_behind();
                made
            };
            let made = match self.insist(create).await {
                Ok(made) => made,
                Err(error) if error.status() >= 500 => return Err(explain(&error)),
                Err(_) => match left.into_inner().unwrap_or_else(PoisonError::into_inner) {
                    Some(made) => made,
                    None => return Ok(()),
                },
            };
            (record.physical_id, record.attributes) = (made.physical_id, made.attributes);
        }
        if record.physical_id.is_empty() {
            return Ok(());
        }
        // A replaced resource and its replacement share the name, not the generation.
        let word = format!("{word}-{}", record.generation);
        let made = Made { physical_id: record.physical_id.clone(), attributes: record.attributes.clone() };
        let given = self.fetched(&record.kind, &record.properties).await;
        let given = given.unwrap_or_else(|_| record.properties.clone());
        let delete = || async {
            let at = self.place(stack, name, record.generation, &word);
            kind.delete(&at, &made, &given).await
        };
        match self.insist(delete).await {
            Ok(()) => Ok(()),
            Err(error) if resources::is_missing(&error) => Ok(()),
            Err(error) => Err(explain(&error)),
        }
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
    /// The same, of an update that has changed something.
    Changed(String),
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

/// What a step that failed has left.
enum Left {
    AsItWas,
    /// A resource that is between its old properties and those that it was to get.
    Changed,
    Made(Made),
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

/// Nothing is left to be deleted.
fn end_cleanup(tx: &mut store::Tx<'_>, stack: &mut StackRecord, now: i64) -> Result<()> {
    let status = match stack.operation.take().map(|o| o.goal) {
        Some(Goal::Create) => "CREATE_COMPLETE",
        Some(Goal::Import) => "IMPORT_COMPLETE",
        _ => "UPDATE_COMPLETE",
    };
    stacks::set_status(tx, stack, now, status, None)
}

fn begin_rollback(tx: &mut store::Tx<'_>, stack: &mut StackRecord, now: i64, reason: &str) -> Result<()> {
    let Some(operation) = stack.operation.as_mut() else { return Ok(()) };
    let creating = operation.goal == Goal::Create;
    if operation.on_failure == "DO_NOTHING" {
        // What was to be replaced is what there is.
        for (name, before) in &operation.journal {
            if let (Some(before), Some(current)) = (before, stack.resources.get_mut(name))
                && current.status == "UPDATE_FAILED"
                && current.generation != before.generation
            {
                let (status, reason) = (current.status.clone(), current.reason.clone());
                *current = ResourceRecord { status, reason, ..before.clone() };
            }
        }
        // What has been replaced is deleted by the next update that succeeds.
        let superseded = std::mem::take(&mut operation.superseded);
        stack.superseded = superseded;
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
        },
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
