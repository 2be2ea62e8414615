//! DescribeRule, DeleteRule, EnableRule and DisableRule; ListRuleTimes, which AWS does not have.

use api_events::{
    DeleteRule, DeleteRuleRequest, DescribeRule, DescribeRuleRequest, DescribeRuleResponse, DisableRule,
    DisableRuleRequest, EnableRule, EnableRuleRequest,
};
use api_lakerun::{ListRuleTimes, ListRuleTimesRequest, TimesResponse};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use crate::bridge::rule::Home;
use crate::bridge::{Bridge, fire};
use crate::expression;

#[async_trait]
impl Handle<DescribeRule> for Bridge {
    async fn handle(&self, cx: &Cx, req: DescribeRuleRequest) -> Result<DescribeRuleResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let rule = self.store.read(|tx| home.rule(tx, &req.name)).await?;
        Ok(DescribeRuleResponse {
            name: Some(rule.name),
            arn: Some(rule.arn),
            event_pattern: rule.pattern,
            schedule_expression: rule.schedule,
            state: Some(rule.state),
            description: rule.description,
            role_arn: rule.role_arn,
            event_bus_name: Some(rule.bus),
            created_by: Some(rule.account),
            ..DescribeRuleResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ListRuleTimes> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListRuleTimesRequest) -> Result<TimesResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let rule = self.store.read(|tx| home.rule(tx, &req.name)).await?;
        Ok(TimesResponse { times: expression::times(req.max_results, cx.now(), |after| fire::next(&rule, after))? })
    }
}

#[async_trait]
impl Handle<DeleteRule> for Bridge {
    async fn handle(&self, cx: &Cx, req: DeleteRuleRequest) -> Result<Empty, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        cx.write(&self.store, move |tx| {
            home.check_bus(tx)?;
            let Some(rule) = home.find(tx, &req.name)? else { return Ok(()) };
            if !rule.targets.is_empty() {
                return Err(Error::validation("Rule can't be deleted since it has targets."));
            }
            fire::cancel(tx, &home, &req.name)?;
            Ok(tx.delete(home.rules().push(&req.name))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<EnableRule> for Bridge {
    async fn handle(&self, cx: &Cx, req: EnableRuleRequest) -> Result<Empty, Error> {
        self.set_state(cx, Home::new(cx, req.event_bus_name.as_deref()), req.name, "ENABLED").await
    }
}

#[async_trait]
impl Handle<DisableRule> for Bridge {
    async fn handle(&self, cx: &Cx, req: DisableRuleRequest) -> Result<Empty, Error> {
        self.set_state(cx, Home::new(cx, req.event_bus_name.as_deref()), req.name, "DISABLED").await
    }
}

impl Bridge {
    async fn set_state(&self, cx: &Cx, home: Home, name: String, state: &'static str) -> Result<Empty, Error> {
        let (now, event_id) = (cx.now(), cx.uuid());
        cx.write(&self.store, move |tx| {
            let mut rule = home.rule(tx, &name)?;
            fire::catch_up(tx, &rule, &event_id, now)?;
            state.clone_into(&mut rule.state);
            rule.save(tx)?;
            fire::plan(tx, &rule, now)
        })
        .await?;
        Ok(Empty {})
    }
}
