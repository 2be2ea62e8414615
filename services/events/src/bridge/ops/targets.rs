//! PutTargets, RemoveTargets and ListTargetsByRule.

use api_events::{
    ListTargetsByRule, ListTargetsByRuleRequest, ListTargetsByRuleResponse, PutTargets, PutTargetsRequest,
    PutTargetsResponse, RemoveTargets, RemoveTargetsRequest, RemoveTargetsResponse, Target, error,
};
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};
use wire::Error;
use wire::arn::Arn;

use crate::bridge::Bridge;
use crate::bridge::rule::Home;
use crate::deliver::Kind;
use crate::page;
use crate::transform::Path;

/// Targets that one rule may have; AWS has 5, and raises it on request.
const MAX_TARGETS: usize = 100;

#[async_trait]
impl Handle<PutTargets> for Bridge {
    async fn handle(&self, cx: &Cx, req: PutTargetsRequest) -> Result<PutTargetsResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let rule = self.store.read(|tx| home.rule(tx, &req.rule)).await?;
        for target in &req.targets {
            check(target, &home, rule.role_arn.is_some())?;
        }
        cx.write(&self.store, move |tx| {
            let mut rule = home.rule(tx, &req.rule)?;
            for target in &req.targets {
                rule.targets.retain(|old| old.id != target.id);
                rule.targets.push(target.clone());
            }
            if rule.targets.len() > MAX_TARGETS {
                return Err(error::limit_exceeded_exception(
                    "The requested resource exceeds the maximum number allowed.",
                ));
            }
            rule.targets.sort_by(|a, b| a.id.cmp(&b.id));
            rule.save(tx)
        })
        .await?;
        Ok(PutTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
    }
}

fn check(target: &Target, home: &Home, rule_has_role: bool) -> Result<(), Error> {
    let id = &target.id;
    let Some(arn) = Arn::parse(&target.arn) else {
        return Err(Error::validation(format!(
            "Parameter {} is not valid. Reason: Provided Arn is not in correct format.",
            target.arn
        )));
    };
    // Scheduler's own kind is no target of a rule.
    let kind = Kind::of(&arn).filter(|kind| *kind != Kind::Operation);
    let kind = kind.ok_or_else(|| Error::not_implemented(format!("a target of type {}", arn.service)))?;
    if kind.needs_role(&arn, (&home.account, &home.region)) && target.role_arn.is_none() && !rule_has_role {
        return Err(Error::validation(format!("RoleArn is required for target {}.", target.arn)));
    }
    let has_group = target.sqs_parameters.as_ref().is_some_and(|sqs| sqs.message_group_id.is_some());
    if kind == Kind::Queue && arn.resource.strip_suffix(".fifo").is_some() && !has_group {
        return Err(Error::validation(format!("Parameter(s) SqsParameters must be specified for target: {id}.")));
    }
    let dead = target.dead_letter_config.as_ref().and_then(|config| config.arn.as_deref());
    if dead.is_some_and(|arn| arn.strip_suffix(".fifo").is_some()) {
        return Err(Error::validation("SQS FIFO is not supported by Dead Letter Queues."));
    }
    if target.http_parameters.is_some() && kind != Kind::ApiDestination {
        return Err(Error::validation(format!("Parameter(s) HttpParameters are not supported for target: {id}.")));
    }
    let ways = [target.input.is_some(), target.input_path.is_some(), target.input_transformer.is_some()];
    if ways.iter().filter(|set| **set).count() > 1 {
        return Err(Error::validation(format!(
            "Only one of Input, InputPath, or InputTransformer must be provided for target {id}."
        )));
    }
    if let Some(input) = &target.input {
        serde_json::from_str::<Value>(input)
            .map_err(|_| Error::validation(format!("JSON syntax error in input for target {id}")))?;
    }
    if let Some(path) = &target.input_path {
        Path::parse(path).map_err(|_| Error::validation(format!("Invalid InputPath for target {id}.")))?;
    }
    if let Some(transformer) = &target.input_transformer {
        for path in transformer.input_paths_map.iter().flatten().map(|(_, path)| path) {
            Path::parse(path).map_err(|_| Error::validation(format!("InvalidInputPathMap for target {id}: {path}")))?;
        }
    }
    Ok(())
}

#[async_trait]
impl Handle<RemoveTargets> for Bridge {
    async fn handle(&self, cx: &Cx, req: RemoveTargetsRequest) -> Result<RemoveTargetsResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        cx.write(&self.store, move |tx| {
            let mut rule = home.rule(tx, &req.rule)?;
            rule.targets.retain(|target| !req.ids.contains(&target.id));
            rule.save(tx)
        })
        .await?;
        Ok(RemoveTargetsResponse { failed_entry_count: Some(0), failed_entries: Some(Vec::new()) })
    }
}

#[async_trait]
impl Handle<ListTargetsByRule> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListTargetsByRuleRequest) -> Result<ListTargetsByRuleResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let rule = self.store.read(|tx| home.rule(tx, &req.rule)).await?;
        let (targets, next_token) = page(rule.targets, |target| &target.id, req.next_token.as_deref(), req.limit);
        Ok(ListTargetsByRuleResponse { targets: Some(targets), next_token })
    }
}
