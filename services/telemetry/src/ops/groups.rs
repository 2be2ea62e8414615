//! Log groups: create, describe, delete, retention, tags.

use api_logs::error::{invalid_parameter_exception, resource_already_exists_exception, resource_not_found_exception};
use api_logs::{
    CreateLogGroup, CreateLogGroupRequest, DeleteLogGroup, DeleteLogGroupRequest, DeleteRetentionPolicy,
    DeleteRetentionPolicyRequest, DescribeLogGroups, DescribeLogGroupsRequest, DescribeLogGroupsResponse,
    ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResponse, ListTagsLogGroup,
    ListTagsLogGroupRequest, ListTagsLogGroupResponse, LogGroup, PutRetentionPolicy, PutRetentionPolicyRequest,
    TagLogGroup, TagLogGroupRequest, TagResource, TagResourceRequest, UntagResource, UntagResourceRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::{limit, page};
use crate::Telemetry;
use crate::logs::{Group, Scope};

#[async_trait]
impl Handle<CreateLogGroup> for Telemetry {
    async fn handle(&self, cx: &Cx, req: CreateLogGroupRequest) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        if let Some(key) = &req.kms_key_id {
            self.seal_with(cx, &req.log_group_name, key).await?;
        }
        let new = Group {
            name: req.log_group_name,
            created_ms: cx.now().as_millisecond(),
            retention_days: None,
            class: req.log_group_class,
            had_key: req.kms_key_id.is_some(),
            kms_key_id: req.kms_key_id,
            tags: req.tags.unwrap_or_default(),
        };
        cx.write(&self.store, move |tx| {
            let key = scope.group(&new.name);
            if tx.get(&key)?.is_some() {
                return Err(resource_already_exists_exception("The specified log group already exists"));
            }
            Ok(tx.put_json(&key, &new)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteLogGroup> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteLogGroupRequest) -> Result<Empty, Error> {
        let (scope, name) = (Scope::of(cx), req.log_group_name);
        self.store.read(|tx| scope.load_group(tx, &name)).await?;
        self.empty_group(&scope, &name).await?;
        let (of, group) = (scope.clone(), name.clone());
        cx.write(&self.store, move |tx| {
            of.load_group(tx, &group)?;
            for under in [of.metric_filters(&group), of.subscriptions(&group)] {
                for (key, _) in tx.scan_prefix(under, usize::MAX)? {
                    tx.delete(key)?;
                }
            }
            // What came since it was emptied is little.
            for under in [of.streams(&group), of.events(&group)] {
                for (key, _) in tx.scan_prefix(under, usize::MAX)? {
                    tx.delete(key)?;
                }
            }
            tx.delete(of.bytes(&group))?;
            Ok::<_, Error>(tx.delete(of.group(&group))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DescribeLogGroups> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DescribeLogGroupsRequest) -> Result<DescribeLogGroupsResponse, Error> {
        if req.log_group_name_prefix.is_some() && req.log_group_name_pattern.is_some() {
            return Err(invalid_parameter_exception(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.",
            ));
        }
        let scope = Scope::of(cx);
        let groups: Vec<Group> = self.store.read(|tx| tx.list_json(scope.groups(), usize::MAX)).await?;
        let pattern = req.log_group_name_pattern.map(|p| p.to_lowercase());
        let keep = |g: &Group| {
            req.log_group_name_prefix.as_ref().is_none_or(|p| g.name.starts_with(p.as_str()))
                && pattern.as_ref().is_none_or(|p| g.name.to_lowercase().contains(p.as_str()))
        };
        let (found, next_token) =
            page(groups, limit(req.limit, 50), |g| g.name.clone(), req.next_token.as_deref(), keep);
        let mut shown = Vec::new();
        for group in found {
            let (stored, filters): (i64, usize) = self
                .store
                .read(|tx| {
                    let filters = tx.scan_prefix(scope.metric_filters(&group.name), usize::MAX)?.len();
                    Ok::<_, Error>((scope.stored(tx, &group.name)?, filters))
                })
                .await?;
            let arn = cx.arn("logs", format!("log-group:{}", group.name));
            shown.push(LogGroup {
                log_group_name: Some(group.name),
                creation_time: Some(group.created_ms),
                retention_in_days: group.retention_days,
                metric_filter_count: i32::try_from(filters).ok(),
                arn: Some(format!("{arn}:*")),
                log_group_arn: Some(arn),
                stored_bytes: Some(stored),
                kms_key_id: group.kms_key_id,
                log_group_class: Some(group.class.unwrap_or_else(|| "STANDARD".to_owned())),
                ..Default::default()
            });
        }
        Ok(DescribeLogGroupsResponse { log_groups: Some(shown), next_token })
    }
}

impl Telemetry {
    async fn change_group(
        &self,
        cx: &Cx,
        name: String,
        change: impl Fn(&mut Group) + Send + 'static,
    ) -> Result<(), Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let mut group = scope.load_group(tx, &name)?;
            change(&mut group);
            tx.put_json(scope.group(&name), &group)?;
            Ok::<_, Error>(())
        })
        .await
    }
}

/// Days that AWS accepts. Source: PutRetentionPolicy.
const RETENTION_DAYS: [i32; 23] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, 3654];

#[async_trait]
impl Handle<PutRetentionPolicy> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutRetentionPolicyRequest) -> Result<Empty, Error> {
        let days = req.retention_in_days;
        if !RETENTION_DAYS.contains(&days) {
            return Err(invalid_parameter_exception(format!(
                "Invalid retention value: {days}. Valid values are: {RETENTION_DAYS:?}"
            )));
        }
        self.change_group(cx, req.log_group_name, move |g| g.retention_days = Some(days)).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteRetentionPolicy> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteRetentionPolicyRequest) -> Result<Empty, Error> {
        self.change_group(cx, req.log_group_name, |g| g.retention_days = None).await?;
        Ok(Empty {})
    }
}

/// The group's name in its ARN, which is one of here.
fn named(cx: &Cx, arn: &str) -> Result<String, Error> {
    let rest = arn.strip_prefix(&cx.arn("logs", "log-group:"));
    let name = rest.map(|r| r.strip_suffix(":*").unwrap_or(r).to_owned());
    name.ok_or_else(|| resource_not_found_exception(format!("The resource {arn} does not exist.")))
}

#[async_trait]
impl Handle<TagResource> for Telemetry {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_group(cx, named(cx, &req.resource_arn)?, move |g| g.tags.extend(tags.clone())).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<TagLogGroup> for Telemetry {
    async fn handle(&self, cx: &Cx, req: TagLogGroupRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_group(cx, req.log_group_name, move |g| g.tags.extend(tags.clone())).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Telemetry {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change_group(cx, named(cx, &req.resource_arn)?, move |g| g.tags.retain(|k, _| !keys.contains(k))).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Telemetry {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResponse, Error> {
        let (scope, name) = (Scope::of(cx), named(cx, &req.resource_arn)?);
        let group = self.store.read(|tx| scope.load_group(tx, &name)).await?;
        Ok(ListTagsForResourceResponse { tags: Some(group.tags) })
    }
}

#[async_trait]
impl Handle<ListTagsLogGroup> for Telemetry {
    async fn handle(&self, cx: &Cx, req: ListTagsLogGroupRequest) -> Result<ListTagsLogGroupResponse, Error> {
        let scope = Scope::of(cx);
        let group = self.store.read(|tx| scope.load_group(tx, &req.log_group_name)).await?;
        Ok(ListTagsLogGroupResponse { tags: Some(group.tags) })
    }
}
