//! The way forward: resources are made and changed in the order of their dependencies, then the outputs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use wire::Error;

use super::{Policies, Run, SUPERSEDED, Stop, explain, imported, kept, known, outputs, policy_allows, scope};
use crate::dynamic::Filled;
use crate::policy::Action;
use crate::records::{Goal, Operation, Phase, ResourceRecord, StackRecord};
use crate::resources::{self, Made, Updated};
use crate::signals::{self, Signals};
use crate::template::{Resource, Template};
use crate::{Result, stacks, triggers};

/// The stack's exports cannot be what they would be.
const REFUSED: &str = "ExportsRefused";

/// A resource of the template, with its values.
struct Step<'a> {
    name: &'a str,
    resource: &'a Resource,
    properties: &'a Value,
    operation: &'a Operation,
    generation: u32,
    /// What it waits for.
    signals: Option<Signals>,
}

impl Step<'_> {
    fn record(&self, made: Made, generation: u32, status: &str) -> ResourceRecord {
        let policy = Policies::of(self.resource);
        ResourceRecord {
            kind: self.resource.kind.clone(),
            physical_id: made.physical_id,
            status: status.to_owned(),
            reason: None,
            updated_ms: 0,
            properties: self.properties.clone(),
            settled: None,
            stack_tags: Some(self.operation.tags.clone()),
            attributes: made.attributes,
            depends_on: self.resource.depends_on.clone(),
            retain: policy.deleted,
            retain_created: policy.created,
            retain_replaced: policy.replaced,
            generation,
        }
    }
}

impl Run<'_> {
    /// Makes and changes resources in the order of their dependencies, then the outputs.
    pub(super) async fn forward(&self, mut stack: StackRecord) -> Result<()> {
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
            if operation.until_ms.is_some_and(|until| self.cx.now().as_millisecond() > until) {
                return self.fail("Stack creation time exceeded the specified timeout. ").await;
            }
            if let Some(reason) = triggers::pulled(&self.cx, &stack).await? {
                return self.fail(&reason).await;
            }
            let resource = &template.resources[&name];
            match self.step(&mut stack, (&template, &exports), &name, resource).await {
                Ok(()) => {}
                Err(Stop::Failed(reason)) => return self.resource_failed(&name, resource, &reason, None).await,
                Err(Stop::HalfMade(reason, made)) => {
                    return self.resource_failed(&name, resource, &reason, Some(made)).await;
                }
                Err(Stop::Broken(error)) => return Err(error),
            }
        }
        if let Some(reason) = self.watch(stack.clone()).await? {
            return self.fail(&reason).await;
        }
        self.conclude(&stack, &operation, &template, &exports).await
    }

    /// Looks at the alarms for as long as it is to be done after the last resource; the reason to go back, where one goes off.
    async fn watch(&self, mut stack: StackRecord) -> Result<Option<String>> {
        let minutes = stack.triggers.as_ref().filter(|t| !t.alarms.is_empty()).and_then(|t| t.minutes).unwrap_or(0);
        if minutes > 0 && stack.operation.as_ref().is_some_and(|operation| operation.watched_until_ms.is_none()) {
            stack = self
                .change(move |_, stack, now| {
                    if let Some(operation) = stack.operation.as_mut() {
                        operation.watched_until_ms = Some(now + i64::from(minutes) * 60_000);
                    }
                    Ok(())
                })
                .await?;
        }
        loop {
            if let Some(reason) = triggers::pulled(&self.cx, &stack).await? {
                return Ok(Some(reason));
            }
            let until = stack.operation.as_ref().and_then(|operation| operation.watched_until_ms).unwrap_or(0);
            if self.cx.now().as_millisecond() >= until {
                return Ok(None);
            }
            self.service.router.clock().sleep(triggers::EVERY).await;
            stack = self.load().await?;
            self.still(&stack)?;
            if stack.operation.as_ref().is_some_and(|operation| operation.cancelled) {
                return Ok(Some("User Initiated".to_owned()));
            }
        }
    }

    /// Fails where another operation has begun meanwhile.
    fn still(&self, stack: &StackRecord) -> Result<()> {
        if stack.operations == self.work.number {
            return Ok(());
        }
        Err(Error::new(SUPERSEDED, 409, "another operation has begun"))
    }

    /// All resources are there: the stack becomes what the operation says, and what it has left is to be deleted.
    async fn conclude(
        &self,
        stack: &StackRecord,
        operation: &Operation,
        template: &Template,
        exports: &BTreeMap<String, String>,
    ) -> Result<()> {
        let outputs = match outputs(stack, template, exports) {
            Ok(outputs) => outputs,
            Err(error) => return self.fail(error.message()).await,
        };
        let imports = imported(stack, template, &operation.parameters);
        // What the new template does not have any more is deleted at the end.
        let kept = match kept(stack, template, exports) {
            Ok(kept) => kept,
            Err(error) => return self.fail(error.message()).await,
        };
        for (name, record) in stack.resources.iter().filter(|(name, _)| !kept.contains(name)) {
            if let Err(Stop::Failed(reason)) = policy_allows(stack, operation, (name, &record.kind), Action::Delete) {
                return self.fail(&reason).await;
            }
        }
        let concluded = self
            .change(move |tx, stack, now| {
                // Looked at where it is written: others conclude at the same time.
                if let Some(reason) = stacks::exports_refused(tx, stack, &outputs)? {
                    return Err(Error::new(REFUSED, 409, reason));
                }
                let Some(operation) = stack.operation.as_mut() else { return Ok(()) };
                operation.superseded.append(&mut stack.superseded);
                let gone: Vec<String> = stack.resources.keys().filter(|n| !kept.contains(n)).cloned().collect();
                for name in gone {
                    if let Some(record) = stack.resources.remove(&name) {
                        operation.superseded.push((name, record));
                    }
                }
                operation.phase = Phase::Cleanup;
                let before = stack.original.take().unwrap_or_else(|| std::mem::take(&mut stack.template));
                stack.previous = (operation.goal == Goal::Update).then_some(before);
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
            .await;
        match concluded {
            Err(error) if error.is(REFUSED) => self.fail(error.message()).await,
            concluded => concluded.map(drop),
        }
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
        let read = move |tx: &mut store::Tx<'_>| stacks::importable(tx, &account, &region);
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

    /// One resource on the way forward; does nothing where it has been done.
    async fn step(
        &self,
        stack: &mut StackRecord,
        (template, exports): (&Template, &BTreeMap<String, String>),
        name: &str,
        resource: &Resource,
    ) -> Result<(), Stop> {
        let Some(operation) = stack.operation.clone() else { return Ok(()) };
        let current = stack.resources.get(name).cloned();
        let touched = operation.journal.contains_key(name);
        let done = current.as_ref().is_some_and(|c| c.status.ends_with("_COMPLETE"));
        let (properties, signals) = {
            let known = known(stack);
            let scope = scope(stack, template, &operation.parameters, (&known, exports));
            if let Some(condition) = &resource.condition
                && !scope.condition(condition).map_err(Stop::failed)?
            {
                return Ok(());
            }
            if touched && done {
                return Ok(());
            }
            let policy = resource.creation_policy.as_ref().map(|policy| scope.resolve(policy)).transpose();
            let signals = policy.and_then(|policy| Signals::of(policy.as_ref())).map_err(Stop::failed)?;
            (scope.resolve(&resource.properties).map_err(Stop::failed)?, signals)
        };
        // One whose update failed and was not rolled back is there, as far as that update came.
        let there =
            |record: &ResourceRecord| done || record.status == "UPDATE_FAILED" && !record.physical_id.is_empty();
        let before = if touched {
            operation.journal[name].clone()
        } else {
            current.clone().filter(there).map(ResourceRecord::into_settled)
        };
        let step = Step {
            name,
            resource,
            properties: &properties,
            operation: &operation,
            generation: self.work.number,
            signals,
        };
        if !touched
            && before.is_none()
            && let Some(left) = current.as_ref().filter(|left| !left.physical_id.is_empty())
        {
            // What an operation that failed has made by half goes before it is made anew.
            self.delete_resource(stack, name, left, "half-made").await.map_err(Stop::Failed)?;
        }
        if let Some(old) = &before
            && old.kind == resource.kind
        {
            let replacing = touched && current.as_ref().is_some_and(|current| current.generation != old.generation);
            if !replacing && self.change_in_place(stack, &step, old, current.as_ref()).await? {
                return Ok(());
            }
        }
        self.make(stack, &step, before, touched).await
    }

    /// Changes a resource where it is; false where another has to take its place.
    async fn change_in_place(
        &self,
        stack: &mut StackRecord,
        step: &Step<'_>,
        old: &ResourceRecord,
        current: Option<&ResourceRecord>,
    ) -> Result<bool, Stop> {
        let Step { name, resource, properties, operation, .. } = *step;
        let same = old.properties == *properties;
        let tags = old.stack_tags.as_ref().unwrap_or(&stack.tags);
        let retagged = resources::takes_stack_tags(&resource.kind) && *tags != operation.tags;
        // Whether a stack within has anything to do, that stack says.
        let nested = resource.kind == resources::NESTED;
        if same && !retagged && !nested && old.status != "UPDATE_FAILED" {
            self.leave_as_it_is(stack, step, old).await?;
            return Ok(true);
        }
        if !same || retagged || !nested {
            policy_allows(stack, operation, (name, &resource.kind), Action::Modify)?;
        }
        let before = Some(old.clone());
        // What is to be taken back should this fail is what is tried, not what was there.
        let tried = current.map_or_else(|| old.properties.clone(), |current| current.properties.clone());
        let under_way = |tried: &Value| ResourceRecord {
            status: "UPDATE_IN_PROGRESS".to_owned(),
            reason: None,
            properties: tried.clone(),
            ..old.clone()
        };
        let to = self.filled(&resource.kind, properties).await.map_err(Stop::failed)?;
        let mut was = Made { physical_id: old.physical_id.clone(), attributes: old.attributes.clone() };
        // What it comes to where the update does nothing.
        let mut base = tried.clone();
        if tried != old.properties && tried != *properties {
            // An update that failed, and stayed as far as it came.
            *stack = self.note(name, under_way(&tried), before.clone(), None).await?;
            let from = self.filled_if_it_can(&resource.kind, &tried).await;
            let to = self.filled_if_it_can(&resource.kind, &old.properties).await;
            let settle = || async {
                let at = self.place(stack, name, old.generation, "settle");
                resources::update(&resource.kind, &at, &was, &from.properties, &to.properties).await
            };
            match self.insist(settle).await.map_err(|error| Stop::Failed(from.mask(&explain(&error))))? {
                Updated::InPlace(made) => was = Made { attributes: to.unfilled(made.attributes), ..made },
                Updated::Replace => {}
            }
            base.clone_from(&old.properties);
        }
        *stack = self.note(name, under_way(properties), before.clone(), None).await?;
        let from = self.filled_if_it_can(&resource.kind, &old.properties).await;
        let touched = AtomicBool::new(false);
        let update = || async {
            let mut at = self.place(stack, name, old.generation, "update");
            at.tags_before.clone_from(tags_of(old, stack));
            let updated = resources::update(&resource.kind, &at, &was, &from.properties, &to.properties).await;
            touched.fetch_or(at.is_touched(), Ordering::Relaxed);
            updated
        };
        let updated = self.insist(update).await;
        if updated.is_err() && !touched.load(Ordering::Relaxed) {
            // Nothing has changed, so that nothing is to be taken back.
            *stack = self.note(name, under_way(&base), before.clone(), None).await?;
        }
        match updated.map_err(|error| Stop::Failed(to.mask(&explain(&error))))? {
            Updated::InPlace(made) => {
                // Who makes it may have made another: the one before is deleted at the end.
                let another = made.physical_id != old.physical_id && resources::replaces_itself(&old.kind);
                let made = Made { attributes: to.unfilled(made.attributes), ..made };
                let made = step.record(made, old.generation, "UPDATE_COMPLETE");
                *stack = self.note(name, made, before.clone(), before.filter(|_| another)).await?;
                Ok(true)
            }
            Updated::Replace => {
                policy_allows(stack, operation, (name, &resource.kind), Action::Replace)?;
                Ok(false)
            }
        }
    }

    /// Nothing to do; what it depends on may be written differently.
    async fn leave_as_it_is(&self, stack: &mut StackRecord, step: &Step<'_>, old: &ResourceRecord) -> Result<()> {
        let (policy, depends_on) = (Policies::of(step.resource), step.resource.depends_on.clone());
        if old.depends_on == depends_on && Policies::of_record(old) == policy {
            return Ok(());
        }
        let (name, old) = (step.name.to_owned(), old.clone());
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
        Ok(())
    }

    /// Makes a resource, new or in the place of another.
    async fn make(
        &self,
        stack: &mut StackRecord,
        step: &Step<'_>,
        before: Option<ResourceRecord>,
        touched: bool,
    ) -> Result<(), Stop> {
        let Step { name, resource, properties, operation, generation, signals } = *step;
        let kind = resources::find(&resource.kind)
            .ok_or_else(|| Stop::Failed(format!("Unrecognized resource type: {}", resource.kind)))?;
        if let (None, Some(id)) = (&before, operation.adopted.get(name)) {
            return self.adopt(stack, step, id).await;
        }
        let filled = self.filled(&resource.kind, properties).await.map_err(Stop::failed)?;
        if !touched {
            self.check_new(stack, (name, &resource.kind), &filled, before.is_some()).await?;
        }
        let status = if before.is_some() { "UPDATE" } else { "CREATE" };
        let empty = Made { physical_id: String::new(), attributes: Value::Null };
        let mut under_way = step.record(empty, generation, &format!("{status}_IN_PROGRESS"));
        if before.is_some() {
            under_way.reason = Some(
                "Requested update requires the creation of a new physical resource; hence creating one.".to_owned(),
            );
        }
        *stack = self.note(name, under_way, before.clone(), None).await?;
        let left = Mutex::new(None);
        let create = || async {
            let mut at = self.place(stack, name, generation, "create");
            at.is_signalled = signals.is_some();
            let made = kind.create(&at, &filled.properties).await;
            *left.lock().unwrap_or_else(PoisonError::into_inner) = at.left_behind();
            made
        };
        let made = match self.insist(create).await {
            Ok(made) => Made { attributes: filled.unfilled(made.attributes), ..made },
            Err(error) => {
                let left = left.into_inner().unwrap_or_else(PoisonError::into_inner);
                let reason = filled.mask(&explain(&error));
                return Err(match left {
                    Some(made) => Stop::HalfMade(reason, Made { attributes: filled.unfilled(made.attributes), ..made }),
                    None => Stop::Failed(reason),
                });
            }
        };
        if let Some(signals) = signals
            && let Some(reason) = self.wait_for(name, signals).await.map_err(Stop::Broken)?
        {
            return Err(Stop::HalfMade(reason, made));
        }
        let made = step.record(made, generation, &format!("{status}_COMPLETE"));
        match self.note(name, made.clone(), before.clone(), before).await {
            Ok(noted) => {
                *stack = noted;
                Ok(())
            }
            Err(error) => {
                if error.is(SUPERSEDED) {
                    // Nobody else knows of it.
                    let gone = self.delete_resource(stack, name, &made, "superseded").await;
                    gone.unwrap_or_else(|reason| tracing::warn!(reason, "a resource of a deleted stack stays"));
                }
                Err(error.into())
            }
        }
    }

    /// Waits until a resource has got its signals; the reason where it does not.
    async fn wait_for(&self, name: &str, wanted: Signals) -> Result<Option<String>> {
        let since = self.cx.now().as_millisecond();
        let place = (self.work.account.as_str(), self.work.region.as_str());
        let place = signals::Place { place, of: (&self.work.stack_id, self.work.number, name) };
        let since = signals::since(&self.service.store, &place, since).await?;
        loop {
            if let Some(reason) = signals::outcome(&self.service.store, &place, wanted).await? {
                return Ok(reason.err());
            }
            let stack = self.load().await?;
            self.still(&stack)?;
            let now = self.cx.now().as_millisecond();
            let operation = stack.operation.as_ref();
            if operation.is_some_and(|operation| operation.cancelled || operation.until_ms.is_some_and(|ms| now > ms)) {
                return Ok(Some("Resource creation cancelled".to_owned()));
            }
            if now - since > wanted.timeout_ms {
                let count = wanted.count;
                return Ok(Some(format!("Failed to receive {count} resource signal(s) within the specified duration")));
            }
            self.service.router.clock().sleep(signals::EVERY).await;
        }
    }

    /// Refuses what is there already by the name that the template gives: many a service answers the creation of what it has with
    /// success, and the way back would delete what is not the stack's. Of the others, who may not look is told by the creation.
    async fn check_new(
        &self,
        stack: &StackRecord,
        (name, kind): (&str, &str),
        filled: &Filled,
        replacing: bool,
    ) -> Result<(), Stop> {
        let mut at = self.place(stack, name, self.work.number, "check");
        at.cx = self.cx.clone();
        // Moved under another name within the stack, it is taken over, and the cleanup leaves it.
        let moved = |(own, other): (&String, &ResourceRecord)| {
            own != name
                && other.kind == kind
                && resources::is_moved(kind)
                && resources::left_to(kind, &filled.properties, &[&other.properties]).is_none()
        };
        if stack.resources.iter().any(moved) {
            return Ok(());
        }
        let Some(id) = resources::existing::name_of(kind, &filled.properties, &at) else { return Ok(()) };
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
    async fn adopt(&self, stack: &mut StackRecord, step: &Step<'_>, id: &str) -> Result<(), Stop> {
        let (name, kind, generation) = (step.name, &step.resource.kind, step.generation);
        let nothing = Made { physical_id: id.to_owned(), attributes: Value::Null };
        *stack = self.note(name, step.record(nothing, generation, "IMPORT_IN_PROGRESS"), None, None).await?;
        let mut at = self.place(stack, name, generation, "import");
        at.cx = self.cx.clone();
        let found = resources::existing::find(&at, kind, id).await.map_err(Stop::failed)?;
        let found = found.ok_or_else(|| Stop::Failed(format!("Resource {id} of type {kind} does not exist.")))?;
        *stack = self.note(name, step.record(found.made, generation, "IMPORT_COMPLETE"), None, None).await?;
        Ok(())
    }
}

/// The tags of the stack that a resource has.
pub(super) fn tags_of<'a>(record: &'a ResourceRecord, stack: &'a StackRecord) -> &'a Vec<(String, String)> {
    record.stack_tags.as_ref().unwrap_or(&stack.tags)
}
