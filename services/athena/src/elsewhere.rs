//! Section `[trino]` of the settings: a Trino beside this server, and the workgroups whose queries are sent to it.

use std::collections::BTreeSet;

use compute::worker::{Limits, Workers};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::classify::{classify, only_reads};
use crate::records::Record;

const CATALOG: &str = "awsdatacatalog";

/// What is set. Each key is described in `docs/settings.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Section {
    /// Its coordinator, `http://HOST:PORT`.
    url: Option<String>,
    workgroups: BTreeSet<String>,
    /// As whom its queries are asked.
    user: Option<String>,
    password: Option<String>,
    /// Its name for the catalog that Athena calls `AwsDataCatalog`.
    catalog: Option<String>,
}

impl Section {
    /// # Errors
    /// A text that names the key.
    pub(crate) fn of(settings: &service::Settings) -> Result<Self, String> {
        let section: Self = settings.section("trino")?;
        match &section.url {
            None if !section.workgroups.is_empty() => Err("[trino] workgroups are set, and url is not".to_owned()),
            Some(url) if !["http://", "https://"].iter().any(|start| url.starts_with(start)) => {
                Err(format!("[trino] url: http://HOST:PORT or https://HOST:PORT, not {url:?}"))
            }
            Some(url) if section.password.is_some() && url.starts_with("http://") => {
                Err("[trino] password: Trino takes one by https:// alone".to_owned())
            }
            _ => Ok(section),
        }
    }

    /// What a worker is told of where the statement goes; none where it is for our own engine: it writes, or it is one of Hive's.
    pub(crate) fn asks(&self, record: &Record, id: &str) -> Option<Value> {
        let url = self.url.as_deref().filter(|_| self.workgroups.contains(record.workgroup()))?;
        let kind = classify(&record.sql).ok()?.substatement;
        if !matches!(kind, "SELECT" | "EXPLAIN") || !only_reads(&record.sql) {
            return None;
        }
        let context = record.execution.query_execution_context.as_ref();
        let named = context.and_then(|context| context.catalog.as_deref()).filter(|name| *name != CATALOG);
        let caller = record.caller.as_ref().and_then(service::Principal::policy_arn).unwrap_or("root");
        Some(json!({
            "url": url,
            "user": self.user.as_deref().unwrap_or("lakerun"),
            "password": self.password,
            "catalog": named.or(self.catalog.as_deref()).unwrap_or(CATALOG),
            "source": format!("lakerun/{id}"),
            "caller": caller,
            "explain": kind == "EXPLAIN",
        }))
    }
}

/// Ends what an execution has under way at Trino, where its worker ends without an answer: it was stopped, or took too long. Trino itself
/// would wait for minutes.
pub(crate) struct Ending {
    pub(crate) workers: Workers,
    pub(crate) trino: Option<Value>,
}

impl Ending {
    /// The worker has answered.
    pub(crate) fn disarm(mut self) {
        self.trino = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(trino) = self.trino.take() else { return };
        let workers = self.workers.clone();
        tokio::spawn(async move {
            let asks = |_: compute::worker::At<'_>| json!({ "trino": trino, "ends": true });
            let (answer, _) = workers.call("query", &asks, Limits::new()).await;
            let failed = match &answer {
                Ok(reply) => reply.get("failed").map(Value::to_string),
                Err(error) => Some(error.to_string()),
            };
            if let Some(error) = failed {
                tracing::warn!(error, "a stopped query could not be ended at Trino");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(value: Value) -> Result<Section, String> {
        let sections = serde_json::Map::from_iter([("trino".to_owned(), value)]);
        Section::of(&service::Settings(std::sync::Arc::new(sections)))
    }

    fn record(workgroup: &str, sql: &str) -> Record {
        let mut record = Record { sql: sql.to_owned(), ..Record::default() };
        record.execution.work_group = Some(workgroup.to_owned());
        record
    }

    #[test]
    fn queries_of_its_workgroups_are_sent() {
        let set = json!({"url": "https://trino:8443", "workgroups": ["far"], "user": "svc", "password": "p", "catalog": "lake"});
        let set = section(set).unwrap();
        let asked = set.asks(&record("far", "-- all\nselect 1"), "i-1").unwrap();
        assert_eq!(
            asked,
            json!({"url": "https://trino:8443", "user": "svc", "password": "p", "catalog": "lake", "source": "lakerun/i-1",
                "caller": "root", "explain": false})
        );
        assert_eq!(set.asks(&record("far", "EXPLAIN SELECT 1"), "i").unwrap()["explain"], true);
        let mut other = record("far", "SELECT 1");
        let context = api_athena::QueryExecutionContext { catalog: Some("tpch".to_owned()), database: None };
        other.execution.query_execution_context = Some(context);
        assert_eq!(set.asks(&other, "i").unwrap()["catalog"], "tpch");
        for here in [
            "INSERT INTO t SELECT 1",
            "CREATE TABLE t AS SELECT 1",
            "UNLOAD (SELECT 1) TO 's3://b/'",
            "SHOW TABLES",
            "EXECUTE IMMEDIATE 'DELETE FROM t'",
            "EXPLAIN ANALYZE INSERT INTO t SELECT 1",
        ] {
            assert_eq!(set.asks(&record("far", here), "i"), None, "{here}");
        }
        assert_eq!(set.asks(&record("primary", "SELECT 1"), "i"), None);
        assert_eq!(Section::default().asks(&record("primary", "SELECT 1"), "i"), None);
    }

    #[test]
    fn settings_are_held_to_what_they_take() {
        for (wrong, named) in [
            (json!({"workgroups": ["far"]}), "url is not"),
            (json!({"url": "trino:8080"}), "trino:8080"),
            (json!({"url": "http://trino:8080", "password": "p"}), "password"),
            (json!({"urls": "http://trino:8080"}), "urls"),
        ] {
            let error = section(wrong).unwrap_err();
            assert!(error.contains(named) && error.contains("[trino]"), "{error}");
        }
    }
}
