//! What is stored of executions and workgroups, and the keys.

use api_athena::error::invalid_request_exception;
use api_athena::{
    EngineVersion, QueryExecution, QueryExecutionStatus, ResultConfiguration, Tag, WorkGroup, WorkGroupConfiguration,
};
use serde::{Deserialize, Serialize};
use service::{Cx, Principal};
use store::{Key, Tx};
use wire::Error;

pub(crate) const PRIMARY: &str = "primary";
const ENGINE: &str = "Athena engine version 3";

/// Account and region of records.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    pub(crate) fn key(&self, kind: &str) -> Key {
        Key::new("athena").push(&self.account).push(&self.region).push(kind)
    }

    pub(crate) fn query(&self, id: &str) -> Key {
        self.key("query").push(id)
    }

    /// Executions of a workgroup, the newest first.
    pub(crate) fn by_time(&self, workgroup: &str) -> Key {
        self.key("query-by-time").push(workgroup)
    }
}

/// A query execution.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) version: u32,
    pub(crate) execution: QueryExecution,
    /// The statement that runs: an EXECUTE is its prepared statement's text.
    pub(crate) sql: String,
    pub(crate) parameters: Vec<String>,
    /// Folder of the result.
    pub(crate) folder: String,
    pub(crate) caller: Option<Principal>,
    /// The attempt that a server of an earlier version had under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// What the query took.
    #[serde(default)]
    pub(crate) used: Option<jobs::Used>,
    pub(crate) columns: Vec<Column>,
    pub(crate) update_count: i64,
    pub(crate) rows: u64,
    pub(crate) started_ms: i64,
    /// Changes of state so far; the event's sequence number.
    pub(crate) sequence: u64,
    /// What the workgroup said when the query was started.
    #[serde(default)]
    pub(crate) rules: Rules,
}

/// What a workgroup says of its queries, besides where results go.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Rules {
    /// `BytesScannedCutoffPerQuery`.
    pub(crate) scan_limit: Option<u64>,
    /// `PublishCloudWatchMetricsEnabled`.
    pub(crate) metrics: bool,
    /// `RequesterPaysEnabled`.
    pub(crate) requester_pays: bool,
    /// `EnforceWorkGroupConfiguration`.
    pub(crate) enforced: bool,
}

impl Rules {
    pub(crate) fn of(configuration: &WorkGroupConfiguration) -> Self {
        Self {
            scan_limit: configuration.bytes_scanned_cutoff_per_query.and_then(|bytes| u64::try_from(bytes).ok()),
            metrics: configuration.publish_cloud_watch_metrics_enabled == Some(true),
            requester_pays: configuration.requester_pays_enabled == Some(true),
            enforced: configuration.enforce_work_group_configuration == Some(true),
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) id: String,
}

/// A result's column, as the worker describes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) ty: String,
    pub(crate) precision: i32,
    pub(crate) scale: i32,
    pub(crate) case_sensitive: bool,
}

impl Record {
    pub(crate) fn state(&self) -> &str {
        self.execution.status.as_ref().and_then(|status| status.state.as_deref()).unwrap_or("QUEUED")
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(self.state(), "SUCCEEDED" | "FAILED" | "CANCELLED")
    }

    pub(crate) fn status(&mut self) -> &mut QueryExecutionStatus {
        self.execution.status.get_or_insert_default()
    }

    pub(crate) fn workgroup(&self) -> &str {
        self.execution.work_group.as_deref().unwrap_or(PRIMARY)
    }
}

/// The execution with this id.
pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<Record, Error> {
    tx.get_json(scope.query(id))?.ok_or_else(|| invalid_request_exception(format!("QueryExecution {id} was not found")))
}

/// A workgroup with its tags.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) version: u32,
    #[expect(clippy::struct_field_names, reason = "the shape that clients see")]
    pub(crate) group: WorkGroup,
    pub(crate) tags: Vec<Tag>,
}

/// The workgroup; `primary` exists in every account.
pub(crate) fn workgroup(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Group, Error> {
    if let Some(group) = tx.get_json(scope.key("workgroup").push(name))? {
        return Ok(group);
    }
    if name == PRIMARY {
        return Ok(Group { version: 1, group: primary(), tags: Vec::new() });
    }
    Err(invalid_request_exception(format!("WorkGroup {name} is not found.")))
}

fn primary() -> WorkGroup {
    WorkGroup {
        name: PRIMARY.to_owned(),
        state: Some("ENABLED".to_owned()),
        configuration: Some(WorkGroupConfiguration {
            result_configuration: Some(ResultConfiguration::default()),
            enforce_work_group_configuration: Some(false),
            publish_cloud_watch_metrics_enabled: Some(false),
            requester_pays_enabled: Some(false),
            engine_version: Some(engine(None)),
            ..WorkGroupConfiguration::default()
        }),
        description: Some(String::new()),
        // It is there from the beginning.
        creation_time: None,
        identity_center_application_arn: None,
    }
}

/// The engine that a workgroup wants, of those that there are.
pub(crate) fn selected(version: Option<EngineVersion>) -> Result<EngineVersion, Error> {
    let name = version.and_then(|version| version.selected_engine_version);
    match name.as_deref() {
        None | Some("AUTO" | ENGINE) => Ok(engine(name)),
        Some(other) => Err(invalid_request_exception(format!(
            "Engine version {other} is not supported: workgroups have AUTO or {ENGINE}"
        ))),
    }
}

/// The engine, whichever was selected.
pub(crate) fn engine(selected: Option<String>) -> EngineVersion {
    EngineVersion {
        selected_engine_version: Some(selected.unwrap_or_else(|| "AUTO".to_owned())),
        effective_engine_version: Some(ENGINE.to_owned()),
    }
}

/// A page of sorted items: those after the token, and the next token.
pub(crate) fn page<T>(
    items: Vec<T>,
    name: impl Fn(&T) -> String,
    token: Option<&str>,
    most: Option<i32>,
    default: usize,
) -> (Vec<T>, Option<String>) {
    let size = most.and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0).unwrap_or(default).min(1000);
    let mut rest: Vec<T> =
        items.into_iter().skip_while(|item| token.is_some_and(|token| name(item).as_str() <= token)).collect();
    if rest.len() <= size {
        return (rest, None);
    }
    rest.truncate(size);
    let next = rest.last().map(&name);
    (rest, next)
}
