//! PutRule: makes a rule or changes it; its targets stay.

use api_events::{PutRule, PutRuleRequest, PutRuleResponse, error};
use async_trait::async_trait;
use pattern::Pattern;
use service::{Cx, Handle};
use wire::Error;

use crate::bridge::rule::{Home, Rule};
use crate::bridge::{Bridge, fire};
use crate::expression;

#[async_trait]
impl Handle<PutRule> for Bridge {
    async fn handle(&self, cx: &Cx, mut req: PutRuleRequest) -> Result<PutRuleResponse, Error> {
        // An empty text is taken as none.
        req.event_pattern = req.event_pattern.filter(|pattern| !pattern.is_empty());
        req.schedule_expression = req.schedule_expression.filter(|schedule| !schedule.is_empty());
        let home = Home::new(cx, req.event_bus_name.as_deref());
        check(&req, &home)?;
        let (now, event_id) = (cx.now(), cx.uuid());
        let arn = cx
            .write(&self.store, move |tx| {
                home.check_bus(tx)?;
                let old = home.find(tx, &req.name)?;
                if let Some(old) = &old {
                    fire::catch_up(tx, old, &event_id, now)?;
                }
                // A changed schedule counts from now; the same one goes on counting.
                let anchor_ms = old
                    .as_ref()
                    .filter(|old| old.schedule == req.schedule_expression)
                    .map_or(now.as_millisecond(), |old| old.anchor_ms);
                let given = req.tags.iter().flatten().map(|tag| (tag.key.clone(), tag.value.clone()));
                let rule = Rule {
                    version: 1,
                    account: home.account.clone(),
                    region: home.region.clone(),
                    bus: home.bus.clone(),
                    name: req.name.clone(),
                    arn: home.rule_arn(&req.name),
                    pattern: req.event_pattern.clone(),
                    schedule: req.schedule_expression.clone(),
                    anchor_ms,
                    state: req.state.clone().unwrap_or_else(|| "ENABLED".to_owned()),
                    description: req.description.clone(),
                    role_arn: req.role_arn.clone(),
                    // Tags of a rule that exists are changed by TagResource alone.
                    tags: old.as_ref().map_or_else(|| given.collect(), |old| old.tags.clone()),
                    targets: old.map(|old| old.targets).unwrap_or_default(),
                };
                rule.save(tx)?;
                fire::plan(tx, &rule, now)?;
                Ok::<_, Error>(rule.arn)
            })
            .await?;
        Ok(PutRuleResponse { rule_arn: Some(arn) })
    }
}

fn check(req: &PutRuleRequest, home: &Home) -> Result<(), Error> {
    let well_formed = req.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    if req.name.is_empty() || req.name.len() > 64 || !well_formed {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{}' at 'name' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: [\\.\\-_A-Za-z0-9]+",
            req.name
        )));
    }
    if req.event_pattern.is_none() && req.schedule_expression.is_none() {
        return Err(Error::validation("Parameter(s) EventPattern or ScheduleExpression must be specified."));
    }
    if let Some(text) = &req.event_pattern {
        Pattern::parse(text).map_err(|reason| {
            error::invalid_event_pattern_exception(format!("Event pattern is not valid. Reason: {reason}"))
        })?;
    }
    if let Some(text) = &req.schedule_expression {
        if home.bus != crate::bridge::rule::DEFAULT_BUS {
            return Err(Error::validation("ScheduleExpression is supported only on the default event bus."));
        }
        if expression::parse(text)?.is_once() {
            return Err(Error::validation("Parameter ScheduleExpression is not valid."));
        }
    }
    match req.state.as_deref() {
        None | Some("ENABLED" | "DISABLED" | "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS") => Ok(()),
        Some(state) => Err(Error::validation(format!(
            "1 validation error detected: Value '{state}' at 'state' failed to satisfy constraint: Member must satisfy enum \
             value set: [ENABLED, DISABLED, ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]"
        ))),
    }
}
