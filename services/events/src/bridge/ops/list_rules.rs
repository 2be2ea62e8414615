//! ListRules and ListRuleNamesByTarget.

use api_events::{
    ListRuleNamesByTarget, ListRuleNamesByTargetRequest, ListRuleNamesByTargetResponse, ListRules, ListRulesRequest,
    ListRulesResponse, Rule as Shape,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::bridge::Bridge;
use crate::bridge::rule::Home;
use crate::page;

#[async_trait]
impl Handle<ListRules> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListRulesRequest) -> Result<ListRulesResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let mut rules = self.store.read(|tx| home.check_bus(tx).and_then(|_| home.all(tx))).await?;
        let prefix = req.name_prefix.unwrap_or_default();
        rules.retain(|rule| rule.name.starts_with(&prefix));
        let (rules, next_token) = page(rules, |rule| &rule.name, req.next_token.as_deref(), req.limit);
        let shape = |rule: crate::bridge::rule::Rule| Shape {
            name: Some(rule.name),
            arn: Some(rule.arn),
            event_pattern: rule.pattern,
            state: Some(rule.state),
            description: rule.description,
            schedule_expression: rule.schedule,
            role_arn: rule.role_arn,
            event_bus_name: Some(rule.bus),
            ..Shape::default()
        };
        Ok(ListRulesResponse { rules: Some(rules.into_iter().map(shape).collect()), next_token })
    }
}

#[async_trait]
impl Handle<ListRuleNamesByTarget> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListRuleNamesByTargetRequest) -> Result<ListRuleNamesByTargetResponse, Error> {
        let home = Home::new(cx, req.event_bus_name.as_deref());
        let mut rules = self.store.read(|tx| home.check_bus(tx).and_then(|_| home.all(tx))).await?;
        rules.retain(|rule| rule.targets.iter().any(|target| target.arn == req.target_arn));
        let (rules, next_token) = page(rules, |rule| &rule.name, req.next_token.as_deref(), req.limit);
        let rule_names = Some(rules.into_iter().map(|rule| rule.name).collect());
        Ok(ListRuleNamesByTargetResponse { rule_names, next_token })
    }
}
