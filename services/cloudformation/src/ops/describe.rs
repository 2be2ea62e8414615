//! What stacks, their resources and events are.

use api_cloudformation as api;
use async_trait::async_trait;
use indexmap::IndexMap;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::drift::Drifts;
use super::tag_list;
use crate::parameters::no_echo;
use crate::records::{self, EventRecord, ResourceRecord, StackRecord};
use crate::stacks::StackScope;
use crate::template::{Template, validation};
use crate::{CloudFormation, Result};

/// How many events a page has.
const EVENTS: usize = 100;

#[async_trait]
impl Handle<api::DescribeStacks> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DescribeStacksInput) -> Result<api::DescribeStacksOutput> {
        let found = match input.stack_name.filter(|n| !n.is_empty()) {
            Some(name) => vec![self.stack(cx, &name).await?],
            None => self.live(cx).await?,
        };
        let stacks = self
            .store
            .read(|tx| found.iter().map(|one| Ok(stack(one, Drifts::load(tx, one)?.as_ref()))).collect::<Result<_>>())
            .await?;
        Ok(api::DescribeStacksOutput { stacks: Some(stacks), next_token: None })
    }
}

#[async_trait]
impl Handle<api::ListStacks> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListStacksInput) -> Result<api::ListStacksOutput> {
        let place = StackScope::of(cx);
        let mut all = self.live(cx).await?;
        let gone = records::deleted(&place.account, &place.region);
        all.extend(self.store.read(|tx| Ok::<_, Error>(tx.list_json::<StackRecord>(&gone, usize::MAX)?)).await?);
        all.sort_by_key(|s| std::cmp::Reverse(s.created_ms));
        let filter = input.stack_status_filter.unwrap_or_default();
        let summaries =
            all.iter().filter(|s| filter.is_empty() || filter.contains(&s.status)).map(|s| api::StackSummary {
                stack_id: Some(s.id.clone()),
                stack_name: s.name.clone(),
                template_description: description(s),
                creation_time: Timestamp::from_millis(s.created_ms),
                last_updated_time: s.updated_ms.map(Timestamp::from_millis),
                deletion_time: s.deleted_ms.map(Timestamp::from_millis),
                stack_status: s.status.clone(),
                stack_status_reason: s.reason.clone(),
                ..Default::default()
            });
        Ok(api::ListStacksOutput { stack_summaries: Some(summaries.collect()), next_token: None })
    }
}

#[async_trait]
impl Handle<api::DescribeStackEvents> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::DescribeStackEventsInput) -> Result<api::DescribeStackEventsOutput> {
        let found = self.stack(cx, &input.stack_name).await?;
        let prefix = records::events(&found.account, &found.region, &found.id);
        let before = match &input.next_token {
            None => None,
            Some(token) => Some(token.parse::<u64>().map_err(|_| validation("The next token is not valid"))?),
        };
        // The newest first; the token is the number of the last one that was shown.
        let page = self
            .store
            .read(|tx| {
                let end = match before {
                    Some(n) => prefix.clone().push_u64(n).into_bytes(),
                    None => store::key::prefix_end(prefix.as_bytes()).unwrap_or_default(),
                };
                Ok::<_, Error>(tx.scan(prefix.as_bytes(), Some(&end), EVENTS, true)?)
            })
            .await?;
        let mut events = Vec::with_capacity(page.len());
        let mut last = None;
        for (key, value) in &page {
            let event: EventRecord = store::kv::decode(key, value)?;
            last = store::Key::parts(key).last().and_then(|part| store::Key::part_u64(part));
            events.push(api::StackEvent {
                stack_id: found.id.clone(),
                event_id: event.id,
                stack_name: found.name.clone(),
                logical_resource_id: Some(event.logical_id),
                physical_resource_id: Some(event.physical_id),
                resource_type: Some(event.kind),
                timestamp: Timestamp::from_millis(event.at_ms),
                resource_status: Some(event.status),
                resource_status_reason: event.reason,
                resource_properties: event.properties,
                ..Default::default()
            });
        }
        let next_token = last.filter(|n| page.len() == EVENTS && *n > 1).map(|n| n.to_string());
        Ok(api::DescribeStackEventsOutput { stack_events: Some(events), next_token })
    }
}

#[async_trait]
impl Handle<api::DescribeStackResources> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::DescribeStackResourcesInput,
    ) -> Result<api::DescribeStackResourcesOutput> {
        let found = match (&input.stack_name, &input.physical_resource_id) {
            (Some(name), _) => self.stack(cx, name).await?,
            (None, Some(physical)) => self
                .live(cx)
                .await?
                .into_iter()
                .find(|s| s.resources.values().any(|r| r.physical_id == *physical))
                .ok_or_else(|| validation(format!("Stack for {physical} does not exist")))?,
            (None, None) => return Err(validation("Either StackName or PhysicalResourceId must be specified")),
        };
        let wanted = |name: &String, record: &ResourceRecord| {
            input.logical_resource_id.as_ref().is_none_or(|l| l == name)
                && input.physical_resource_id.as_ref().is_none_or(|p| *p == record.physical_id)
        };
        let resources = found.resources.iter().filter(|(n, r)| wanted(n, r)).map(|(name, r)| api::StackResource {
            stack_name: Some(found.name.clone()),
            stack_id: Some(found.id.clone()),
            logical_resource_id: name.clone(),
            physical_resource_id: physical(r),
            resource_type: r.kind.clone(),
            timestamp: Timestamp::from_millis(r.updated_ms),
            resource_status: r.status.clone(),
            resource_status_reason: r.reason.clone(),
            ..Default::default()
        });
        Ok(api::DescribeStackResourcesOutput { stack_resources: Some(resources.collect()) })
    }
}

#[async_trait]
impl Handle<api::DescribeStackResource> for CloudFormation {
    async fn handle(
        &self,
        cx: &Cx,
        input: api::DescribeStackResourceInput,
    ) -> Result<api::DescribeStackResourceOutput> {
        let found = self.stack(cx, &input.stack_name).await?;
        let name = input.logical_resource_id;
        let record = found
            .resources
            .get(&name)
            .ok_or_else(|| validation(format!("Resource {name} does not exist for stack {}", found.name)))?;
        let detail = api::StackResourceDetail {
            stack_name: Some(found.name.clone()),
            stack_id: Some(found.id.clone()),
            logical_resource_id: name,
            physical_resource_id: physical(record),
            resource_type: record.kind.clone(),
            last_updated_timestamp: Timestamp::from_millis(record.updated_ms),
            resource_status: record.status.clone(),
            resource_status_reason: record.reason.clone(),
            ..Default::default()
        };
        Ok(api::DescribeStackResourceOutput { stack_resource_detail: Some(detail) })
    }
}

#[async_trait]
impl Handle<api::ListStackResources> for CloudFormation {
    async fn handle(&self, cx: &Cx, input: api::ListStackResourcesInput) -> Result<api::ListStackResourcesOutput> {
        let found = self.stack(cx, &input.stack_name).await?;
        let summaries = found.resources.iter().map(|(name, r)| api::StackResourceSummary {
            logical_resource_id: name.clone(),
            physical_resource_id: physical(r),
            resource_type: r.kind.clone(),
            last_updated_timestamp: Timestamp::from_millis(r.updated_ms),
            resource_status: r.status.clone(),
            resource_status_reason: r.reason.clone(),
            ..Default::default()
        });
        Ok(api::ListStackResourcesOutput { stack_resource_summaries: Some(summaries.collect()), next_token: None })
    }
}

impl CloudFormation {
    /// The stacks that are there.
    async fn live(&self, cx: &Cx) -> Result<Vec<StackRecord>> {
        let prefix = records::stacks(cx.account(), cx.region());
        self.store.read(|tx| Ok::<_, Error>(tx.list_json(&prefix, usize::MAX)?)).await
    }
}

fn physical(record: &ResourceRecord) -> Option<String> {
    Some(record.physical_id.clone()).filter(|id| !id.is_empty())
}

fn description(stack: &StackRecord) -> Option<String> {
    Template::parse(&stack.template).ok().and_then(|t| t.description)
}

/// Parameters without the values that are hidden.
pub(super) fn shown_parameters(
    template: &Template,
    parameters: &IndexMap<String, String>,
    fetched: &IndexMap<String, String>,
) -> Vec<api::Parameter> {
    let shown = |(key, value): (&String, &String)| {
        let hidden = template.parameters.get(key).is_some_and(no_echo);
        let mask = |value: &String| if hidden { "****".to_owned() } else { value.clone() };
        api::Parameter {
            parameter_key: Some(key.clone()),
            parameter_value: Some(mask(fetched.get(key).unwrap_or(value))),
            resolved_value: fetched.contains_key(key).then(|| mask(value)),
            ..Default::default()
        }
    };
    parameters.iter().map(shown).collect()
}

fn stack(record: &StackRecord, drifts: Option<&Drifts>) -> api::Stack {
    let template = Template::parse(&record.template).unwrap_or_default();
    let parameters = shown_parameters(&template, &record.parameters, &record.fetched);
    let outputs = record.outputs.iter().map(|o| api::Output {
        output_key: Some(o.key.clone()),
        output_value: Some(o.value.clone()),
        description: o.description.clone(),
        export_name: o.export.clone(),
    });
    api::Stack {
        stack_id: Some(record.id.clone()),
        stack_name: record.name.clone(),
        change_set_id: record.change_set.clone(),
        description: template.description,
        parameters: Some(parameters),
        creation_time: Timestamp::from_millis(record.created_ms),
        deletion_time: record.deleted_ms.map(Timestamp::from_millis),
        last_updated_time: record.updated_ms.map(Timestamp::from_millis),
        rollback_configuration: Some(crate::triggers::told(record.triggers.as_ref())),
        stack_status: record.status.clone(),
        stack_status_reason: record.reason.clone(),
        disable_rollback: Some(false),
        notification_ar_ns: Some(record.notified.clone()),
        timeout_in_minutes: record.timeout_minutes,
        capabilities: Some(record.capabilities.clone()),
        outputs: Some(outputs.collect()),
        role_arn: record.role_arn.clone(),
        tags: Some(tag_list(&record.tags)),
        enable_termination_protection: Some(record.protected),
        drift_information: Some(api::StackDriftInformation {
            stack_drift_status: drifts.map_or("NOT_CHECKED", Drifts::status).to_owned(),
            last_check_timestamp: drifts.and_then(Drifts::checked),
        }),
        ..Default::default()
    }
}
