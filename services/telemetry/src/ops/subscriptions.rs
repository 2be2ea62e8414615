//! Subscription filters: put, describe, delete. Destinations are functions.

use api_logs::error::{invalid_parameter_exception, limit_exceeded_exception, resource_not_found_exception};
use api_logs::{
    DeleteSubscriptionFilter, DeleteSubscriptionFilterRequest, DescribeSubscriptionFilters,
    DescribeSubscriptionFiltersRequest, DescribeSubscriptionFiltersResponse, PutSubscriptionFilter,
    PutSubscriptionFilterRequest, SubscriptionFilter,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::arn::Arn;
use wire::types::Empty;

use super::{limit, page};
use crate::Telemetry;
use crate::filters::SubscriptionRecord;
use crate::logs::Scope;
use crate::pattern::Pattern;

/// Source: CloudWatch Logs quotas.
const MAX_SUBSCRIPTIONS: usize = 2;

#[async_trait]
impl Handle<PutSubscriptionFilter> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutSubscriptionFilterRequest) -> Result<Empty, Error> {
        Pattern::parse(&req.filter_pattern)?;
        let arn = Arn::parse(&req.destination_arn)
            .ok_or_else(|| invalid_parameter_exception(format!("Invalid destination ARN {}", req.destination_arn)))?;
        if arn.service != "lambda" {
            return Err(Error::not_implemented(format!("PutSubscriptionFilter: a destination of {}", arn.service)));
        }
        if req.distribution.as_deref() == Some("Random") {
            // It is about the shards of a stream.
            return Err(Error::not_implemented("PutSubscriptionFilter: distribution Random"));
        }
        if req.role_arn.is_some() {
            return Err(invalid_parameter_exception("destinationArn for vendor lambda cannot be used with roleArn"));
        }
        let function = arn.resource.split(':').nth(1).unwrap_or_default();
        if req.log_group_name == format!("/aws/lambda/{function}") {
            // Its own lines would call it again and again.
            return Err(invalid_parameter_exception(
                "The log group provided is reserved for the function log group of the destination function.",
            ));
        }
        let (scope, group, name) = (Scope::of(cx), req.log_group_name.clone(), req.filter_name.clone());
        let record = SubscriptionRecord {
            version: 1,
            filter: SubscriptionFilter {
                filter_name: Some(req.filter_name),
                log_group_name: Some(req.log_group_name),
                filter_pattern: Some(req.filter_pattern),
                destination_arn: Some(req.destination_arn),
                distribution: Some(req.distribution.unwrap_or_else(|| "ByLogStream".to_owned())),
                creation_time: Some(cx.now().as_millisecond()),
                ..SubscriptionFilter::default()
            },
        };
        cx.write(&self.store, move |tx| {
            scope.load_group(tx, &group)?;
            let (all, key) = (scope.subscriptions(&group), scope.subscriptions(&group).push(&name));
            if tx.get(&key)?.is_none() && tx.scan_prefix(all, MAX_SUBSCRIPTIONS)?.len() >= MAX_SUBSCRIPTIONS {
                return Err(limit_exceeded_exception("Resource limit exceeded."));
            }
            tx.put_json(&key, &record)?;
            Ok(Empty {})
        })
        .await
    }
}

#[async_trait]
impl Handle<DescribeSubscriptionFilters> for Telemetry {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeSubscriptionFiltersRequest,
    ) -> Result<DescribeSubscriptionFiltersResponse, Error> {
        let scope = Scope::of(cx);
        let records: Vec<SubscriptionRecord> = self
            .store
            .read(|tx| {
                scope.load_group(tx, &req.log_group_name)?;
                Ok::<_, Error>(tx.list_json(scope.subscriptions(&req.log_group_name), usize::MAX)?)
            })
            .await?;
        let name = |filter: &SubscriptionFilter| filter.filter_name.clone().unwrap_or_default();
        let keep = |filter: &SubscriptionFilter| {
            req.filter_name_prefix.as_ref().is_none_or(|prefix| name(filter).starts_with(prefix.as_str()))
        };
        let filters = records.into_iter().map(|record| record.filter).collect();
        let (found, next_token) = page(filters, limit(req.limit, 50), name, req.next_token.as_deref(), keep);
        Ok(DescribeSubscriptionFiltersResponse { subscription_filters: Some(found), next_token })
    }
}

#[async_trait]
impl Handle<DeleteSubscriptionFilter> for Telemetry {
    async fn handle(&self, cx: &Cx, req: DeleteSubscriptionFilterRequest) -> Result<Empty, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            scope.load_group(tx, &req.log_group_name)?;
            let key = scope.subscriptions(&req.log_group_name).push(&req.filter_name);
            if tx.get(&key)?.is_none() {
                return Err(resource_not_found_exception("The specified subscription filter does not exist."));
            }
            tx.delete(key)?;
            Ok(Empty {})
        })
        .await
    }
}
