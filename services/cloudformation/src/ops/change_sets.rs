//! Change sets: an update looked at before it is made. `aws cloudformation deploy` works by them.

use std::collections::{BTreeMap, BTreeSet};

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::describe::shown_parameters;
use super::{given, tag_list, tags};
use crate::engine::{known, scope};
use crate::records::{self, ChangeRecord, ChangeSetRecord, Goal, StackRecord, VERSION};
use crate::resources::{self, existing};
use crate::stacks::{self, StackScope};
use crate::start::{self, Prepared, Wanted};
use crate::template::{Template, validation};
use crate::{CloudFormation, Result, notify, triggers};

#[async_trait]
impl Handle<api::CreateChangeSet> for CloudFormation {
    #[expect(clippy::too_many_lines, reason = "one transaction")]
    async fn handle(&self, cx: &Cx, input: api::CreateChangeSetInput) -> Result<api::CreateChangeSetOutput> {
        start::check_name(&input.change_set_name)?;
        let wanted = Wanted {
            stack_name: input.stack_name,
            template_body: input.template_body,
            template_url: input.template_url,
            use_previous_template: input.use_previous_template.unwrap_or(false),
            parameters: given(input.parameters),
            tags: tags(input.tags),
            capabilities: input.capabilities.unwrap_or_default(),
            role_arn: input.role_arn,
            on_failure: input.on_stack_failure,
            by_change_set: true,
            notified: notify::topics(input.notification_ar_ns)?,
            triggers: triggers::given(input.rollback_configuration)?,
            ..Wanted::default()
        };
        let existing = self.stack_if_there(cx, &wanted.stack_name).await?;
        let importing = input.change_set_type.as_deref() == Some("IMPORT");
        let creating = match (input.change_set_type.as_deref().unwrap_or("UPDATE"), &existing) {
            ("IMPORT" | "CREATE", None) => true,
            ("IMPORT" | "CREATE", Some(stack)) if stack.status == "REVIEW_IN_PROGRESS" => true,
            ("CREATE", Some(stack)) => {
                let text = format!(
                    "Stack [{}] already exists and cannot be created again with the changeSet [{}].",
                    stack.name, input.change_set_name
                );
                return Err(validation(text));
            }
            (_, None) => return Err(validation(format!("Stack [{}] does not exist", wanted.stack_name))),
            (_, Some(stack)) => {
                start::check_updatable(stack)?;
                false
            }
        };
        let stack = if let Some(stack) = existing {
            stack
        } else {
            start::check_name(&wanted.stack_name)?;
            start::new_stack(cx, &wanted, "REVIEW_IN_PROGRESS")
        };
        let previous = (!creating).then_some(&stack);
        let prepared = self.prepare(cx, &wanted, previous).await?;
        let exports = self.exports(cx).await?.into_iter().map(|(name, value, _)| (name, value)).collect();
        let adopted = if importing {
            named(&stack, &prepared, input.resources_to_import.unwrap_or_default())?
        } else if input.import_existing_resources == Some(true) {
            self.already_there(cx, &stack, &prepared).await?
        } else if input.resources_to_import.is_some_and(|named| !named.is_empty()) {
            return Err(validation("ResourcesToImport can only be specified for change sets of type IMPORT."));
        } else {
            BTreeMap::new()
        };
        let empty = !creating && start::unchanged(&stack, &prepared);
        let mut changes = changes(&stack, &prepared, &exports)?;
        for change in &mut changes {
            if let Some(id) = adopted.get(&change.logical_id) {
                "Import".clone_into(&mut change.action);
                change.physical_id = Some(id.clone());
            }
        }
        if importing && let Some(other) = changes.iter().find(|change| change.action != "Import") {
            return Err(validation(format!(
                "As part of the import operation, you cannot modify or add [{}]",
                if other.action == "Modify" { "Outputs" } else { &other.logical_id }
            )));
        }
        let record = ChangeSetRecord {
            v: VERSION,
            id: cx.arn("cloudformation", format!("changeSet/{}/{}", input.change_set_name, cx.uuid())),
            name: input.change_set_name,
            stack_id: stack.id.clone(),
            stack_name: stack.name.clone(),
            description: input.description,
            created_ms: cx.now().as_millisecond(),
            status: if empty { "FAILED" } else { "CREATE_COMPLETE" }.to_owned(),
            reason: empty.then(|| {
                "The submitted information didn't contain changes. Submit different information to create a change set."
                    .to_owned()
            }),
            execution_status: if empty { "UNAVAILABLE" } else { "AVAILABLE" }.to_owned(),
            changes,
            kind: importing.then(|| "IMPORT".to_owned()),
            adopted,
            operations: Some(stack.operations),
            notified: wanted.notified,
            triggers: wanted.triggers,
            template: prepared.text,
            original: prepared.original,
            parameters: prepared.parameters,
            fetched: prepared.fetched,
            tags: prepared.tags,
            capabilities: wanted.capabilities,
            role_arn: wanted.role_arn,
            on_failure: wanted.on_failure,
        };
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut stack = match stacks::find(tx, (&place.account, &place.region), &stack.name)? {
                Some(stack) => stack,
                None => stack.clone(),
            };
            let key = records::change_sets(&place.account, &place.region, &record.stack_id).push(&record.name);
            if tx.get(&key)?.is_some() {
                let text = format!("ChangeSet {} already exists", record.name);
                return Err(api::error::already_exists_exception(text));
            }
            if stack.status == "REVIEW_IN_PROGRESS" && stack.operations == 0 && stack.change_set.is_none() {
                stack.change_set = Some(record.id.clone());
                stacks::set_status(tx, &mut stack, place.now_ms, "REVIEW_IN_PROGRESS", Some("User Initiated"))?;
                stacks::save(tx, &stack)?;
            }
            tx.put_json(&key, &record)?;
            Ok(api::CreateChangeSetOutput { id: Some(record.id.clone()), stack_id: Some(record.stack_id.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<api::DescribeChangeSet> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DescribeChangeSetInput) -> Result<api::DescribeChangeSetOutput> {
        let record = self.change_set(cx, &input.change_set_name, input.stack_name.as_deref()).await?;
        let (stack, template) = self.of_change_set(cx, &record).await?;
        let parameters = shown_parameters(&template, &record.parameters, &record.fetched);
        let notified = record.notified.clone().or_else(|| stack.as_ref().map(|stack| stack.notified.clone()));
        let execution_status = execution_status(stack.as_ref(), &record);
        let watched = record.triggers.clone().or_else(|| stack.as_ref().and_then(|stack| stack.triggers.clone()));
        Ok(api::DescribeChangeSetOutput {
            change_set_name: Some(record.name),
            change_set_id: Some(record.id),
            stack_id: Some(record.stack_id),
            stack_name: Some(record.stack_name),
            description: record.description,
            parameters: Some(parameters),
            creation_time: Some(Timestamp::from_millis(record.created_ms)),
            execution_status: Some(execution_status),
            status: Some(record.status),
            status_reason: record.reason,
            notification_ar_ns: Some(notified.unwrap_or_default()),
            capabilities: Some(record.capabilities),
            tags: Some(tag_list(&record.tags)),
            changes: Some(record.changes.iter().map(change).collect()),
            include_nested_stacks: Some(false),
            rollback_configuration: Some(triggers::told(watched.as_ref())),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<api::ExecuteChangeSet> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ExecuteChangeSetInput) -> Result<api::ExecuteChangeSetOutput> {
        let record = self.change_set(cx, &input.change_set_name, input.stack_name.as_deref()).await?;
        let place = StackScope::of(cx);
        let (principal, no_rollback) = (cx.clone(), input.disable_rollback == Some(true));
        let forgets_created = input.retain_except_on_create.unwrap_or(false);
        cx.write(&self.store, move |tx| {
            let key = records::change_sets(&place.account, &place.region, &record.stack_id).push(&record.name);
            let mut record: ChangeSetRecord = tx.get_json(&key)?.ok_or_else(|| not_found(&record.name))?;
            if record.execution_status != "AVAILABLE" {
                let text = format!(
                    "ChangeSet [{}] cannot be executed in its current status of [{}]",
                    record.id, record.status
                );
                return Err(api::error::invalid_change_set_status_exception(text));
            }
            let mut stack = stacks::require(tx, &place, &record.stack_id)?;
            if execution_status(Some(&stack), &record) == OBSOLETE {
                // What it tells is of a stack that has become another since.
                return Err(api::error::invalid_change_set_status_exception(format!(
                    "ChangeSet [{}] cannot be executed in its current execution status of [{OBSOLETE}]",
                    record.id
                )));
            }
            let fresh = stack.status == "REVIEW_IN_PROGRESS";
            let goal = match (record.kind.as_deref(), fresh) {
                (Some("IMPORT"), _) => Goal::Import,
                (_, true) => Goal::Create,
                (_, false) => Goal::Update,
            };
            if !fresh {
                start::check_updatable(&stack)?;
            }
            let on_failure = if no_rollback { Some("DO_NOTHING".to_owned()) } else { record.on_failure.clone() };
            let mut operation = start::operation(&principal, goal, None, on_failure);
            operation.template.clone_from(&record.template);
            operation.original.clone_from(&record.original);
            operation.parameters.clone_from(&record.parameters);
            operation.fetched.clone_from(&record.fetched);
            operation.tags.clone_from(&record.tags);
            operation.adopted.clone_from(&record.adopted);
            operation.forgets_created = forgets_created;
            stack.triggers = record.triggers.clone().or(stack.triggers);
            if fresh {
                stack.template.clone_from(&record.template);
                stack.original.clone_from(&record.original);
                stack.parameters.clone_from(&record.parameters);
                stack.fetched.clone_from(&record.fetched);
                stack.tags.clone_from(&record.tags);
            }
            stack.capabilities.clone_from(&record.capabilities);
            stack.role_arn = record.role_arn.clone().or(stack.role_arn);
            stack.change_set = Some(record.id.clone());
            if let Some(topics) = &record.notified {
                stack.notified.clone_from(topics);
            }
            start::begin(tx, &mut stack, place.now_ms, operation)?;
            "EXECUTE_COMPLETE".clone_into(&mut record.execution_status);
            // The stack's other change sets are of a stack that is no more.
            let prefix = records::change_sets(&place.account, &place.region, &record.stack_id);
            for (other, _) in tx.scan_prefix(&prefix, usize::MAX)? {
                tx.delete(other)?;
            }
            tx.put_json(&key, &record)?;
            Ok(api::ExecuteChangeSetOutput {})
        })
        .await
    }
}

#[async_trait]
impl Handle<api::DeleteChangeSet> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DeleteChangeSetInput) -> Result<api::DeleteChangeSetOutput> {
        let record = match self.change_set(cx, &input.change_set_name, input.stack_name.as_deref()).await {
            Err(error) if error.is("ChangeSetNotFound") => return Ok(api::DeleteChangeSetOutput {}),
            record => record?,
        };
        let place = StackScope::of(cx);
        cx.write(&self.store, move |tx| {
            tx.delete(records::change_sets(&place.account, &place.region, &record.stack_id).push(&record.name))?;
            Ok::<_, Error>(api::DeleteChangeSetOutput {})
        })
        .await
    }
}

#[async_trait]
impl Handle<api::ListChangeSets> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListChangeSetsInput) -> Result<api::ListChangeSetsOutput> {
        let stack = self.stack(cx, &input.stack_name).await?;
        let prefix = records::change_sets(&stack.account, &stack.region, &stack.id);
        let all: Vec<ChangeSetRecord> =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json(&prefix, usize::MAX)?)).await?;
        let summaries = all.into_iter().map(|r| api::ChangeSetSummary {
            execution_status: Some(execution_status(Some(&stack), &r)),
            stack_id: Some(r.stack_id),
            stack_name: Some(r.stack_name),
            change_set_id: Some(r.id),
            change_set_name: Some(r.name),
            status: Some(r.status),
            status_reason: r.reason,
            creation_time: Some(Timestamp::from_millis(r.created_ms)),
            description: r.description,
            ..Default::default()
        });
        Ok(api::ListChangeSetsOutput { summaries: Some(summaries.collect()), next_token: None })
    }
}

const OBSOLETE: &str = "OBSOLETE";

/// One whose stack has changed since it was made tells nothing any more, and cannot be executed.
/// Source: CloudFormation User Guide, "Update CloudFormation stacks using change sets".
fn execution_status(stack: Option<&StackRecord>, record: &ChangeSetRecord) -> String {
    let changed = stack.zip(record.operations).is_some_and(|(stack, then)| stack.operations != then);
    if changed && record.execution_status == "AVAILABLE" {
        OBSOLETE.to_owned()
    } else {
        record.execution_status.clone()
    }
}

/// What an import names: each has to be in the template, to be kept when it leaves it, and not to be the stack's yet.
fn named(
    stack: &StackRecord,
    prepared: &Prepared,
    given: Vec<api::ResourceToImport>,
) -> Result<BTreeMap<String, String>> {
    let mut adopted = BTreeMap::new();
    for one in given {
        let name = &one.logical_resource_id;
        let resource = prepared.template.resources.get(name).filter(|resource| resource.kind == one.resource_type);
        let resource = resource.ok_or_else(|| {
            validation(format!("Resource [{name}] of type {} is not in the template", one.resource_type))
        })?;
        if stack.resources.contains_key(name) {
            return Err(validation(format!("Resource [{name}] is already in the stack")));
        }
        if resource.deletion_policy.is_none() {
            return Err(validation(format!(
                "The following resources to import [{name}] must have DeletionPolicy attribute specified in the template."
            )));
        }
        let property = existing::identifier(&one.resource_type)
            .ok_or_else(|| validation(format!("ResourceTypes [{}] are not supported for Import", one.resource_type)))?;
        let id = one.resource_identifier.get(property).filter(|_| one.resource_identifier.len() == 1);
        let id = id.ok_or_else(|| {
            validation(format!(
                "Invalid ResourceIdentifier for {name}: the identifier of {} is {property}",
                one.resource_type
            ))
        })?;
        adopted.insert(name.clone(), id.clone());
    }
    if adopted.is_empty() {
        return Err(validation("ResourcesToImport must be specified for change sets of type IMPORT."));
    }
    Ok(adopted)
}

impl CloudFormation {
    /// Those of the template's new resources that are there by the names that it gives them, and that stay when they leave it.
    /// Source: CloudFormation API Reference, CreateChangeSet, `ImportExistingResources`.
    async fn already_there(
        &self,
        cx: &Cx,
        stack: &StackRecord,
        prepared: &Prepared,
    ) -> Result<BTreeMap<String, String>> {
        let exports = self.exports(cx).await?.into_iter().map(|(name, value, _)| (name, value)).collect();
        let known = known(stack);
        let scope = scope(stack, &prepared.template, &prepared.parameters, (&known, &exports));
        let mut adopted = BTreeMap::new();
        for (name, resource) in &prepared.template.resources {
            let stays = resource.deletion_policy.as_deref().is_some_and(|policy| policy.starts_with("Retain"));
            let there = resource.condition.as_ref().is_none_or(|c| scope.condition(c).unwrap_or(false));
            let importable = existing::identifier(&resource.kind).is_some();
            if stack.resources.contains_key(name) || !stays || !there || !importable {
                continue;
            }
            // What is named after something that is still to be made is not there.
            let Ok(properties) = scope.resolve(&resource.properties) else { continue };
            let at = self.looking(cx, stack, name);
            let Some(id) = existing::name_of(&resource.kind, &properties, &at) else { continue };
            if existing::find(&at, &resource.kind, &id).await?.is_some() {
                adopted.insert(name.clone(), id);
            }
        }
        Ok(adopted)
    }

    /// A place to look at a stack's resource from.
    pub(crate) fn looking(&self, cx: &Cx, stack: &StackRecord, name: &str) -> resources::Context {
        resources::Context {
            cx: cx.clone(),
            stack_name: stack.name.clone(),
            stack_id: stack.id.clone(),
            logical_id: name.to_owned(),
            kind: String::new(),
            answers: self.answers.clone(),
            store: self.store.clone(),
            generation: 0,
            tags: Vec::new(),
            tags_before: Vec::new(),
            capabilities: Vec::new(),
            half_made: std::sync::Mutex::default(),
            touched: std::sync::atomic::AtomicBool::default(),
            going_back: false,
            is_signalled: false,
            until_ms: None,
        }
    }

    /// The stack of a change set, where it still is, and the template that it would get.
    async fn of_change_set(&self, cx: &Cx, record: &ChangeSetRecord) -> Result<(Option<StackRecord>, Template)> {
        let stack = self.stack_if_there(cx, &record.stack_id).await?;
        Ok((stack, Template::parse(&record.template)?))
    }

    /// A change set by id, or by its stack and name. One of another stack than the request names is none: policies are asked for the
    /// stack that is named.
    pub(super) async fn change_set(&self, cx: &Cx, name: &str, stack: Option<&str>) -> Result<ChangeSetRecord> {
        let place = StackScope::of(cx);
        let by_id = name.starts_with("arn:");
        if !by_id && stack.is_none() {
            return Err(validation("StackName must be specified if ChangeSetName is not specified as an ARN."));
        }
        self.store
            .read(|tx| {
                if let (false, Some(stack)) = (by_id, stack) {
                    let found = stacks::require(tx, &place, stack)?;
                    let key = records::change_sets(&place.account, &place.region, &found.id).push(name);
                    return tx.get_json(&key)?.ok_or_else(|| not_found(name));
                }
                let all: Vec<ChangeSetRecord> =
                    tx.list_json(records::base(&place.account, &place.region, "change-set"), usize::MAX)?;
                let of_stack = |r: &ChangeSetRecord| stack.is_none_or(|s| s == r.stack_name || s == r.stack_id);
                all.into_iter().find(|r| r.id == name && of_stack(r)).ok_or_else(|| not_found(name))
            })
            .await
    }
}

fn not_found(name: &str) -> Error {
    api::error::change_set_not_found_exception(format!("ChangeSet [{name}] does not exist"))
}

/// What the template would change of the stack as it is.
fn changes(stack: &StackRecord, prepared: &Prepared, exports: &BTreeMap<String, String>) -> Result<Vec<ChangeRecord>> {
    let known = known(stack);
    let scope = scope(stack, &prepared.template, &prepared.parameters, (&known, exports));
    let mut out = Vec::new();
    let mut kept = BTreeSet::new();
    for (name, resource) in &prepared.template.resources {
        if let Some(condition) = &resource.condition
            && !scope.condition(condition)?
        {
            continue;
        }
        kept.insert(name);
        let mut change = ChangeRecord {
            action: "Add".to_owned(),
            logical_id: name.clone(),
            physical_id: None,
            kind: resource.kind.clone(),
            replacement: None,
            properties: Vec::new(),
        };
        if let Some(record) = stack.resources.get(name) {
            // What refers to resources that are still to be made counts as changed.
            let new = scope.resolve(&resource.properties).unwrap_or_default();
            let retagged = resources::takes_stack_tags(&resource.kind)
                && *record.stack_tags.as_ref().unwrap_or(&stack.tags) != prepared.tags;
            // Whether a stack within changes, that stack says.
            let may = retagged || resource.kind == resources::NESTED || record.status == "UPDATE_FAILED";
            if new == record.properties && resource.kind == record.kind && !may {
                continue;
            }
            let differs = |key: &String| new.get(key) != record.properties.get(key);
            let mut keys: Vec<String> = new.as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect();
            keys.extend(record.properties.as_object().into_iter().flatten().map(|(k, _)| k.clone()));
            keys.sort();
            keys.dedup();
            "Modify".clone_into(&mut change.action);
            change.physical_id = Some(record.physical_id.clone());
            change.properties = keys.into_iter().filter(differs).collect();
            if change.properties.is_empty() && retagged {
                change.properties.push("Tags".to_owned());
            }
            let renamed =
                existing::naming(&resource.kind).is_some_and(|name| change.properties.iter().any(|p| p == name));
            let replacement = match () {
                () if resource.kind != record.kind || renamed => "True",
                () if change.properties.iter().all(|property| property == "Tags") => "False",
                () => "Conditional",
            };
            change.replacement = Some(replacement.to_owned());
        }
        out.push(change);
    }
    for (name, record) in &stack.resources {
        // One whose condition does not hold any more goes, too.
        if !kept.contains(name) {
            out.push(ChangeRecord {
                action: "Remove".to_owned(),
                logical_id: name.clone(),
                physical_id: Some(record.physical_id.clone()),
                kind: record.kind.clone(),
                replacement: None,
                properties: Vec::new(),
            });
        }
    }
    Ok(out)
}

fn change(record: &ChangeRecord) -> api::Change {
    let recreates = |name: &str| match name {
        "Tags" => "Never",
        name if existing::naming(&record.kind) == Some(name) => "Always",
        _ => "Conditionally",
    };
    let details = record.properties.iter().map(|name| api::ResourceChangeDetail {
        target: Some(api::ResourceTargetDefinition {
            attribute: Some("Properties".to_owned()),
            name: Some(name.clone()),
            requires_recreation: Some(recreates(name).to_owned()),
            ..Default::default()
        }),
        evaluation: Some("Static".to_owned()),
        change_source: Some("DirectModification".to_owned()),
        ..Default::default()
    });
    api::Change {
        r#type: Some("Resource".to_owned()),
        resource_change: Some(api::ResourceChange {
            action: Some(record.action.clone()),
            logical_resource_id: Some(record.logical_id.clone()),
            physical_resource_id: record.physical_id.clone(),
            resource_type: Some(record.kind.clone()),
            replacement: record.replacement.clone(),
            scope: Some(if record.properties.is_empty() { Vec::new() } else { vec!["Properties".to_owned()] }),
            details: Some(details.collect()),
            ..Default::default()
        }),
        ..Default::default()
    }
}
