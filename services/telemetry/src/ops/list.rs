//! ListLogGroups: names and classes of groups.

use api_logs::error::invalid_parameter_exception;
use api_logs::{ListLogGroups, ListLogGroupsRequest, ListLogGroupsResponse, LogGroupSummary};
use async_trait::async_trait;
use regex::Regex;
use service::{Cx, Handle};
use wire::Error;

use super::{limit, page};
use crate::Telemetry;
use crate::logs::{Group, Scope};

/// Groups of a page where the request says none. Source: API Reference, ListLogGroups.
const PAGE: usize = 50;

#[async_trait]
impl Handle<ListLogGroups> for Telemetry {
    async fn handle(&self, cx: &Cx, req: ListLogGroupsRequest) -> Result<ListLogGroupsResponse, Error> {
        // A regular expression of a few signs, or names that hold a text. Source: API Reference, ListLogGroups, `logGroupNamePattern`.
        let pattern = req.log_group_name_pattern.as_deref().map(Regex::new).transpose();
        let pattern = pattern.map_err(|error| {
            invalid_parameter_exception(format!("The log group name pattern is not a regular expression: {error}"))
        })?;
        let class = |group: &Group| group.class.clone().unwrap_or_else(|| "STANDARD".to_owned());
        let keep = |group: &Group| {
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(&group.name))
                && req.log_group_class.as_ref().is_none_or(|wanted| *wanted == class(group))
        };
        let scope = Scope::of(cx);
        let groups: Vec<Group> = self.store.read(|tx| tx.list_json(scope.groups(), usize::MAX)).await?;
        let (found, next_token) =
            page(groups, limit(req.limit, PAGE), |group| group.name.clone(), req.next_token.as_deref(), keep);
        let shown = found.into_iter().map(|group| LogGroupSummary {
            log_group_arn: Some(cx.arn("logs", format!("log-group:{}", group.name))),
            log_group_class: Some(class(&group)),
            log_group_name: Some(group.name),
        });
        Ok(ListLogGroupsResponse { log_groups: Some(shown.collect()), next_token })
    }
}
