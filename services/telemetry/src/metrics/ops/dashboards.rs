//! Dashboards: their bodies are kept as they are sent; nothing here shows them.

use std::collections::BTreeMap;

use api_cloudwatch::error::{dashboard_invalid_input_error, dashboard_not_found_error, resource_not_found_exception};
use api_cloudwatch::{
    DashboardEntry, DashboardValidationMessage, DeleteDashboards, DeleteDashboardsInput, DeleteDashboardsOutput,
    GetDashboard, GetDashboardInput, GetDashboardOutput, ListDashboards, ListDashboardsInput, ListDashboardsOutput,
    PutDashboard, PutDashboardInput, PutDashboardOutput,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Cx, Handle};
use store::Key;
use wire::{Error, Timestamp};

use crate::metrics::Metrics;

/// Source: API Reference, ListDashboards.
const PAGE: usize = 1000;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Dashboard {
    version: u32,
    name: String,
    body: String,
    modified_ms: i64,
    #[serde(default)]
    tags: BTreeMap<String, String>,
}

/// Dashboards belong to an account, not to a region.
fn dashboards(account: &str) -> Key {
    Key::new("dashboards").push(account)
}

fn arn_of(account: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch::{account}:dashboard/{name}")
}

fn missing(name: &str) -> Error {
    dashboard_not_found_error(format!("Dashboard {name} does not exist"))
}

#[async_trait]
impl Handle<PutDashboard> for Metrics {
    async fn handle(&self, cx: &Cx, req: PutDashboardInput) -> Result<PutDashboardOutput, Error> {
        let well_named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if req.dashboard_name.is_empty()
            || req.dashboard_name.len() > 255
            || !req.dashboard_name.chars().all(well_named)
        {
            return Err(dashboard_invalid_input_error(format!(
                "Dashboard name {} contains invalid characters or is too long. Only alphanumerics, dash (-) and underscore (_) are allowed",
                req.dashboard_name
            )));
        }
        let messages = check(&req.dashboard_body)?;
        let tags = req.tags.map(|tags| tags.into_iter().map(|tag| (tag.key, tag.value)).collect());
        let (key, now) = (dashboards(cx.account()).push(&req.dashboard_name), cx.now().as_millisecond());
        cx.write(&self.store, move |tx| {
            let old: Option<Dashboard> = tx.get_json(&key)?;
            let dashboard = Dashboard {
                version: 1,
                name: req.dashboard_name.clone(),
                body: req.dashboard_body.clone(),
                modified_ms: now,
                tags: tags.clone().or_else(|| old.map(|old| old.tags)).unwrap_or_default(),
            };
            Ok::<_, Error>(tx.put_json(&key, &dashboard)?)
        })
        .await?;
        Ok(PutDashboardOutput { dashboard_validation_messages: Some(messages) })
    }
}

/// Refuses what is no dashboard; what is wrong with widgets is only told. Source: CloudWatch User Guide, "Dashboard body structure".
fn check(body: &str) -> Result<Vec<DashboardValidationMessage>, Error> {
    let parsed: Value = serde_json::from_str(body).map_err(|error| {
        dashboard_invalid_input_error(format!("The field DashboardBody must be a valid JSON object: {error}"))
    })?;
    let Some(widgets) = parsed.get("widgets").and_then(Value::as_array) else {
        return Err(dashboard_invalid_input_error(
            "The dashboard body is invalid, there are 1 validation errors: [{\"message\":\"Should have required property 'widgets'\",\"dataPath\":\"\"}]",
        ));
    };
    let mut messages = Vec::new();
    for (n, widget) in widgets.iter().enumerate() {
        for required in ["type", "properties"] {
            if widget.get(required).is_none() {
                messages.push(DashboardValidationMessage {
                    data_path: Some(format!("/widgets/{n}")),
                    message: Some(format!("Should have required property '{required}'")),
                });
            }
        }
    }
    Ok(messages)
}

#[async_trait]
impl Handle<GetDashboard> for Metrics {
    async fn handle(&self, cx: &Cx, req: GetDashboardInput) -> Result<GetDashboardOutput, Error> {
        let key = dashboards(cx.account()).push(&req.dashboard_name);
        let found: Option<Dashboard> = self.store.read(|tx| tx.get_json(&key)).await?;
        let found = found.ok_or_else(|| missing(&req.dashboard_name))?;
        Ok(GetDashboardOutput {
            dashboard_arn: Some(arn_of(cx.account(), &found.name)),
            dashboard_body: Some(found.body),
            dashboard_name: Some(found.name),
        })
    }
}

#[async_trait]
impl Handle<ListDashboards> for Metrics {
    async fn handle(&self, cx: &Cx, req: ListDashboardsInput) -> Result<ListDashboardsOutput, Error> {
        let all: Vec<Dashboard> = self.store.read(|tx| tx.list_json(dashboards(cx.account()), usize::MAX)).await?;
        let mut found: Vec<_> = all
            .into_iter()
            .filter(|one| req.dashboard_name_prefix.as_ref().is_none_or(|prefix| one.name.starts_with(prefix.as_str())))
            .filter(|one| req.next_token.as_ref().is_none_or(|token| one.name > *token))
            .collect();
        let more = found.len() > PAGE;
        found.truncate(PAGE);
        let next_token = found.last().filter(|_| more).map(|one| one.name.clone());
        let entries = found.into_iter().map(|one| DashboardEntry {
            dashboard_arn: Some(arn_of(cx.account(), &one.name)),
            size: i64::try_from(one.body.len()).ok(),
            last_modified: Some(Timestamp::from_millis(one.modified_ms)),
            dashboard_name: Some(one.name),
        });
        Ok(ListDashboardsOutput { dashboard_entries: Some(entries.collect()), next_token })
    }
}

#[async_trait]
impl Handle<DeleteDashboards> for Metrics {
    async fn handle(&self, cx: &Cx, req: DeleteDashboardsInput) -> Result<DeleteDashboardsOutput, Error> {
        let under = dashboards(cx.account());
        cx.write(&self.store, move |tx| {
            // All of them, or none.
            for name in &req.dashboard_names {
                if tx.get(under.clone().push(name))?.is_none() {
                    return Err(missing(name));
                }
            }
            for name in &req.dashboard_names {
                tx.delete(under.clone().push(name))?;
            }
            Ok(DeleteDashboardsOutput {})
        })
        .await
    }
}

impl Metrics {
    pub(super) async fn dashboard_tags(&self, cx: &Cx, arn: &str) -> Result<BTreeMap<String, String>, Error> {
        let key = named(cx, arn);
        let found: Option<Dashboard> = self.store.read(|tx| tx.get_json(&key)).await?;
        found.map(|one| one.tags).ok_or_else(|| resource_not_found_exception(format!("Unknown resource {arn}")))
    }

    pub(super) async fn change_dashboard_tags(
        &self,
        cx: &Cx,
        arn: &str,
        change: impl Fn(&mut BTreeMap<String, String>) + Send + 'static,
    ) -> Result<(), Error> {
        let (key, missing) = (named(cx, arn), resource_not_found_exception(format!("Unknown resource {arn}")));
        cx.write(&self.store, move |tx| {
            let mut dashboard: Dashboard = tx.get_json(&key)?.ok_or_else(|| missing.clone())?;
            change(&mut dashboard.tags);
            Ok::<_, Error>(tx.put_json(&key, &dashboard)?)
        })
        .await
    }
}

/// Where the dashboard of an ARN of here is.
fn named(cx: &Cx, arn: &str) -> Key {
    let name = arn.strip_prefix(&arn_of(cx.account(), ""));
    dashboards(cx.account()).push(name.unwrap_or_default())
}
