//! The way back, the cleanup after the way forward, and deletion.

use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::forward::tags_of;
use super::{Run, deletion_event, deletion_order, explain, imported, is_begun, stays, step};
use crate::records::{Goal, ResourceRecord, StackRecord};
use crate::resources::{self, Made, Updated};
use crate::template::Template;
use crate::{Result, stacks};

impl Run<'_> {
    /// Deletes what was replaced or is not in the template any more. What cannot be deleted stays, with its event.
    pub(super) async fn cleanup(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        if let Some((name, record)) = operation.superseded.last().cloned() {
            let stays = stays(&stack, &name, &record);
            // Of what others of the stack have taken over, only the rest is deleted.
            let others: Vec<&Value> = stack
                .resources
                .iter()
                .filter(|(other, new)| **other != name && new.kind == record.kind)
                .map(|(_, new)| &new.properties)
                .collect();
            let rest = resources::left_to(&record.kind, &record.properties, &others);
            // What is in place again under the same identifier is the stack's.
            let in_place = resources::existing::identifier(&record.kind).is_some()
                && !record.physical_id.is_empty()
                && stack.resources.values().any(|new| new.kind == record.kind && new.physical_id == record.physical_id);
            let stays = stays || rest.is_none() || in_place;
            let outcome = match rest.filter(|_| !stays) {
                Some(properties) => {
                    let record = ResourceRecord { properties, ..record.clone() };
                    self.delete_resource(&stack, &name, &record, "cleanup").await
                }
                None => Ok(()),
            };
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
        self.change(|tx, stack, now| {
            let goal = stack.operation.take().map(|o| o.goal);
            stacks::set_status(tx, stack, now, cleaned_up(goal), None)
        })
        .await?;
        Ok(())
    }

    /// Takes back what the operation has done, the last first.
    pub(super) async fn roll_back(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        let order: Vec<String> = deletion_order(&stack.resources);
        let next = order.into_iter().find(|name| operation.journal.contains_key(name));
        let Some(name) = next.or_else(|| operation.journal.keys().next_back().cloned()) else {
            return self.end_rollback().await;
        };
        let before = operation.journal[&name].clone();
        let current = stack.resources.get(&name).cloned();
        let made = current.as_ref().filter(|record| before.is_none() && record.status.ends_with("_COMPLETE"));
        let stays = made.is_some_and(|record| record.retain_created) && !operation.forgets_created;
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
                    let made = made.clone();
                    let (physical_id, attributes) = made.map_or_else(
                        || (old.physical_id.clone(), old.attributes.clone()),
                        |made| (made.physical_id, made.attributes),
                    );
                    if physical_id != old.physical_id && resources::replaces_itself(&old.kind) {
                        // Whoever makes it keeps the other one. What was there before holds what it held: nobody has said that it may go.
                        deletion_event(tx, stack, now, &name, old, "DELETE_SKIPPED", None)?;
                    }
                    let record = ResourceRecord {
                        status: "UPDATE_COMPLETE".to_owned(),
                        updated_ms: now,
                        settled: None,
                        physical_id,
                        attributes,
                        ..old.clone()
                    };
                    stacks::set_resource(tx, stack, now, &name, record)?;
                }
                (Err(reason), _, Some(record)) => {
                    deletion_event(tx, stack, now, &name, record, "DELETE_FAILED", Some(reason))?;
                    let text = format!("The following resource(s) failed to roll back: [{name}]. {reason}");
                    return stuck(tx, stack, now, &text);
                }
                _ => {}
            }
            if let Some(operation) = stack.operation.as_mut() {
                operation.journal.shift_remove(&name);
                operation.superseded.retain(|(n, _)| *n != name);
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
            let operation = stack.operation.take();
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

    /// Makes a resource what it was; answers what it is where it was changed back in place.
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
                self.change_back(stack, name, current, before).await
            }
            // What was taken in stays where it was.
            (Some(_), None) if stack.operation.as_ref().is_some_and(|o| o.adopted.contains_key(name)) => Ok(None),
            (Some(current), _) => self.delete_resource(stack, name, current, "rollback").await.map(|()| None),
        }
    }

    /// From what was tried to what was there.
    async fn change_back(
        &self,
        stack: &StackRecord,
        name: &str,
        current: &ResourceRecord,
        before: &ResourceRecord,
    ) -> Result<Option<Made>, String> {
        let from = self.filled_if_it_can(&before.kind, &current.properties).await;
        let to = self.filled_if_it_can(&before.kind, &before.properties).await;
        let was = Made { physical_id: current.physical_id.clone(), attributes: current.attributes.clone() };
        let restore = || async {
            let mut at = self.place(stack, name, before.generation, "restore");
            at.tags.clone_from(tags_of(before, stack));
            at.tags_before = stack.operation.as_ref().map(|operation| operation.tags.clone()).unwrap_or_default();
            at.going_back = true;
            resources::update(&before.kind, &at, &was, &from.properties, &to.properties).await
        };
        match self.insist(restore).await.map_err(|error| from.mask(&to.mask(error.message())))? {
            Updated::InPlace(made) => {
                if made.physical_id != current.physical_id && resources::replaces_itself(&before.kind) {
                    // What the update has made is nobody's any more.
                    let gone = self.delete_resource(stack, name, current, "rollback").await;
                    gone.unwrap_or_else(|reason| tracing::warn!(name, reason, "what an update has made stays"));
                }
                Ok(Some(Made { attributes: to.unfilled(made.attributes), ..made }))
            }
            Updated::Replace => Ok(None),
        }
    }

    /// Deletes all resources, dependents first.
    pub(super) async fn delete(&self, stack: StackRecord) -> Result<()> {
        let Some(operation) = &stack.operation else { return Ok(()) };
        let present = |name: &String| {
            let status = stack.resources.get(name).map_or("", |r| r.status.as_str());
            !matches!(status, "DELETE_COMPLETE" | "DELETE_SKIPPED" | "DELETE_FAILED")
        };
        let Some(name) = deletion_order(&stack.resources).into_iter().find(present) else {
            return self.delete_leftover(&stack).await;
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

    /// Deletes what failed operations have left of resources that were replaced, then the stack.
    async fn delete_leftover(&self, stack: &StackRecord) -> Result<()> {
        let Some((name, record)) = stack.superseded.last().cloned() else { return self.end_deletion().await };
        let outcome =
            if record.retain_replaced { Ok(()) } else { self.delete_resource(stack, &name, &record, "leftover").await };
        self.change(move |tx, stack, now| {
            let (status, reason) = match &outcome {
                Ok(()) if record.retain_replaced => ("DELETE_SKIPPED", None),
                Ok(()) => ("DELETE_COMPLETE", None),
                Err(reason) => ("DELETE_FAILED", Some(reason.as_str())),
            };
            stack.superseded.pop();
            deletion_event(tx, stack, now, &name, &record, status, reason)
        })
        .await?;
        Ok(())
    }

    async fn end_deletion(&self) -> Result<()> {
        self.change(|tx, stack, now| {
            stack.operation = None;
            let failed: Vec<&str> =
                stack.resources.iter().filter(|(_, r)| r.status == "DELETE_FAILED").map(|(n, _)| n.as_str()).collect();
            if failed.is_empty() {
                stack.deleted_ms = Some(now);
                return stacks::set_status(tx, stack, now, "DELETE_COMPLETE", None);
            }
            let reason = format!("The following resource(s) failed to delete: [{}]. ", failed.join(", "));
            stacks::set_status(tx, stack, now, "DELETE_FAILED", Some(&reason))
        })
        .await?;
        Ok(())
    }

    /// Ok where it is gone afterwards, or never was.
    pub(super) async fn delete_resource(
        &self,
        stack: &StackRecord,
        name: &str,
        record: &ResourceRecord,
        word: &str,
    ) -> Result<(), String> {
        let Some(kind) = resources::find(&record.kind) else { return Ok(()) };
        let filled = self.filled_if_it_can(&record.kind, &record.properties).await;
        let mut record = record.clone();
        if is_begun(&record) {
            // Whether it was made nobody has heard. The same call again, by the name of the same task, answers as the first
            // did; what it makes now is deleted with the rest.
            let left = Mutex::new(None);
            let create = || async {
                let mut at = self.place(stack, name, record.generation, "create");
                at.cx = self.cx.with_task(&step(&self.work.stack_id, record.generation, name, "create"));
                at.kind.clone_from(&record.kind);
                let made = kind.create(&at, &filled.properties).await;
                *left.lock().unwrap_or_else(PoisonError::into_inner) = at.left_behind();
                made
            };
            let made = match self.insist(create).await {
                Ok(made) => made,
                Err(error) if error.status() >= 500 => return Err(filled.mask(&explain(&error))),
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
        // A replaced resource and its replacement share the name, but not both of these.
        let word = format!("{word}-{}-{}", record.generation, record.physical_id);
        let made = Made { physical_id: record.physical_id.clone(), attributes: record.attributes.clone() };
        let delete = || async {
            let mut at = self.place(stack, name, record.generation, &word);
            at.kind.clone_from(&record.kind);
            kind.delete(&at, &made, &filled.properties).await
        };
        match self.insist(delete).await {
            Ok(()) => Ok(()),
            Err(error) if resources::is_missing(&error) => Ok(()),
            Err(error) => Err(filled.mask(&explain(&error))),
        }
    }
}

/// The status of a stack whose way forward is done.
pub(super) fn cleaned_up(goal: Option<Goal>) -> &'static str {
    match goal {
        Some(Goal::Create) => "CREATE_COMPLETE",
        Some(Goal::Import) => "IMPORT_COMPLETE",
        _ => "UPDATE_COMPLETE",
    }
}

/// The way back has stopped. That of an update can be gone on with.
pub(super) fn stuck(tx: &mut store::Tx<'_>, stack: &mut StackRecord, now: i64, reason: &str) -> Result<()> {
    let operation = stack.operation.take();
    let created = operation.as_ref().is_some_and(|operation| operation.goal == Goal::Create);
    stack.stuck = operation.filter(|_| !created);
    let status = if created { "ROLLBACK_FAILED" } else { "UPDATE_ROLLBACK_FAILED" };
    stacks::set_status(tx, stack, now, status, Some(reason))
}
