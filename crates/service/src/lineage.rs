//! The port through which the platform notes who reads and who writes data, where that happens. Implemented by `services/lineage`;
//! nothing is noted where nobody keeps it.
//!
//! What can be told apart is told apart: a state of an execution that calls a service itself, an attempt of a job, an invocation of a
//! function. Calls of anybody else (keys of users and of the owner) have no worker, and are not noted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Error;

use crate::Cx;
use crate::attempts::Outcome;

/// On whose behalf data is read or written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Worker {
    /// A state that calls a service itself, by its execution's ARN and its name.
    State { execution: String, state: String },
    /// An execution: what it is started by is known of it.
    Execution(String),
    /// A job by the id of its task: `glue:jobrun:…`, `athena:query:…`.
    Job(String),
    /// An invocation that somebody waits for, by the function's ARN and the request's id.
    Invocation { function: String, request: String },
}

/// Its id. Names of executions have no `#`.
impl fmt::Display for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State { execution, state } => write!(f, "{execution}#{state}"),
            Self::Execution(id) | Self::Job(id) => f.write_str(id),
            Self::Invocation { function, request } => write!(f, "{function}#{request}"),
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Did {
    Read,
    Wrote,
    Deleted,
}

/// What was read or written: `s3://bucket/key`, `glue://database/table` (an entry of the catalog), `dynamodb://table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    pub did: Did,
    pub data: String,
    pub bytes: u64,
    /// Of an object that was written: tells whether what is there now is what was written.
    pub etag: Option<String>,
}

/// Keeps what is noted.
#[async_trait]
pub trait Lineage: Send + Sync {
    /// At once, in memory; written soon after.
    fn touched(&self, worker: &Worker, touched: Touched);

    /// A worker begins, asked for by another one or by a principal.
    fn began(&self, worker: Worker, asked: Option<&Worker>, principal: &str);

    /// Writes what is in memory of a job: before its end is noted.
    ///
    /// # Errors
    /// When the store refuses.
    async fn keep(&self, job: &str) -> Result<(), Error>;

    /// An attempt of the job is over; rolled back, it has written nothing.
    ///
    /// # Errors
    /// When the store refuses.
    async fn finish(&self, job: &str, outcome: Outcome) -> Result<(), Error>;
}

/// What the Router holds of it.
#[derive(Default)]
pub(crate) struct Noting {
    keeper: OnceLock<Arc<dyn Lineage>>,
    /// Access keys of invocations that run.
    lent: Mutex<BTreeMap<String, Worker>>,
}

impl Noting {
    pub(crate) fn set(&self, keeper: Arc<dyn Lineage>) {
        assert!(self.keeper.set(keeper).is_ok(), "the keeper of lineage is set once, at start");
    }
    pub(crate) fn keeper(&self) -> Option<&Arc<dyn Lineage>> {
        self.keeper.get()
    }
    pub(crate) fn credentials_issued(&self, access_key: &str, worker: Worker) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).insert(access_key.to_owned(), worker);
    }
    pub(crate) fn take_back(&self, access_key: &str) {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).remove(access_key);
    }
    pub(crate) fn holder(&self, access_key: &str) -> Option<Worker> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner).get(access_key).cloned()
    }
}

impl Cx {
    /// Notes that this call reads or writes data, where a worker makes it.
    pub fn touched(&self, did: Did, data: impl FnOnce() -> String, bytes: u64, etag: Option<&str>) {
        let Some(keeper) = self.router().noting().keeper() else { return };
        let Some(worker) = self.worker() else { return };
        keeper.touched(&worker, Touched { did, data: data(), bytes, etag: etag.map(str::to_owned) });
    }

    /// Notes that this call starts a job, an invocation or an execution.
    pub fn began(&self, worker: Worker) {
        if let Some(keeper) = self.router().noting().keeper() {
            keeper.began(worker, self.worker().as_ref(), &self.principal().arn(self.account()));
        }
    }
}

/// What an operation of a service other than S3 (which notes itself, at both of its doors) does to data that is named in its input.
pub(crate) fn named(service: &str, operation: &str, input: &Value) -> Vec<(Did, String)> {
    let text = |name: &str| input[name].as_str();
    match service {
        "dynamodb" => {
            let did = match operation {
                "GetItem" | "Query" | "Scan" => Did::Read,
                "PutItem" | "UpdateItem" => Did::Wrote,
                "DeleteItem" => Did::Deleted,
                "BatchGetItem" | "BatchWriteItem" => {
                    let did = if operation == "BatchGetItem" { Did::Read } else { Did::Wrote };
                    let tables = input["RequestItems"].as_object().into_iter().flatten();
                    return tables.map(|(table, _)| (did, table_of(table))).collect();
                }
                "TransactGetItems" | "TransactWriteItems" => return transacted(input),
                _ => return Vec::new(),
            };
            text("TableName").map(|table| (did, table_of(table))).into_iter().collect()
        }
        "glue" => {
            let did = match operation {
                "GetTable" | "GetPartitions" | "GetPartition" | "BatchGetPartition" => Did::Read,
                "CreateTable"
                | "UpdateTable"
                | "CreatePartition"
                | "BatchCreatePartition"
                | "UpdatePartition"
                | "BatchUpdatePartition" => Did::Wrote,
                "DeleteTable" | "DeletePartition" | "BatchDeletePartition" => Did::Deleted,
                _ => return Vec::new(),
            };
            let table = text("TableName").or_else(|| text("Name")).or_else(|| input["TableInput"]["Name"].as_str());
            let named = text("DatabaseName").zip(table);
            let name = |(database, table): (&str, &str)| {
                format!("glue://{}/{}", database.to_lowercase(), table.to_lowercase())
            };
            named.map(|named| (did, name(named))).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn transacted(input: &Value) -> Vec<(Did, String)> {
    let mut found = Vec::new();
    for item in input["TransactItems"].as_array().into_iter().flatten() {
        for (action, did) in [("Get", Did::Read), ("Put", Did::Wrote), ("Update", Did::Wrote), ("Delete", Did::Deleted)]
        {
            found.extend(item[action]["TableName"].as_str().map(|table| (did, table_of(table))));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A table by its name or its ARN.
fn table_of(table: &str) -> String {
    let name = table.split_once(":table/").map_or(table, |(_, rest)| rest.split('/').next().unwrap_or(rest));
    format!("dynamodb://{name}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn inputs_name_their_data() {
        let of = |service, operation, input: Value| {
            named(service, operation, &input)
                .into_iter()
                .map(|(did, data)| format!("{did:?} {data}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(of("dynamodb", "PutItem", json!({"TableName": "t"})), ["Wrote dynamodb://t"]);
        let arn = "arn:aws:dynamodb:us-east-1:000000000000:table/t/index/i";
        assert_eq!(of("dynamodb", "Query", json!({"TableName": arn})), ["Read dynamodb://t"]);
        let batch = json!({"RequestItems": {"a": [], "b": []}});
        assert_eq!(of("dynamodb", "BatchWriteItem", batch), ["Wrote dynamodb://a", "Wrote dynamodb://b"]);
        let items = json!({"TransactItems": [{"Put": {"TableName": "a"}}, {"Delete": {"TableName": "a"}}, {"Put": {"TableName": "a"}}]});
        assert_eq!(of("dynamodb", "TransactWriteItems", items), ["Wrote dynamodb://a", "Deleted dynamodb://a"]);
        let table = json!({"DatabaseName": "Sales", "TableInput": {"Name": "Daily"}});
        assert_eq!(of("glue", "CreateTable", table), ["Wrote glue://sales/daily"]);
        assert_eq!(of("glue", "GetDatabase", json!({"Name": "sales"})), Vec::<String>::new());
    }
}
