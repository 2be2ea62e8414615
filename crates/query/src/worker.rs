//! One statement for a worker process: a JSON request in, a JSON reply out. Objects and catalog are reached through the
//! platform's endpoint with the credentials of the attempt, signed and sent by the HTTP client that object_store brings.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use futures::FutureExt;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpClient, HttpConnector, HttpRequestBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::{GlueCatalog, JsonCall};
use crate::error::{Error, Result};
use crate::run::{Engine, Job, Outcome};
use crate::storage::{Connection, Encryption, OneClient, Storage};
use crate::trino::{self, Trino};

/// What a worker is asked.
#[expect(clippy::struct_excessive_bools, reason = "members of a message, each a word of its own")]
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    pub id: String,
    pub sql: String,
    pub catalog: String,
    pub catalogs: Vec<String>,
    pub database: String,
    pub parameters: Vec<String>,
    /// Folder of the result, `s3://bucket/prefix/`.
    pub output: String,
    pub endpoint: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    pub threads: usize,
    pub memory_bytes: usize,
    /// A query's rows are in the reply, and no file is written.
    pub inline: bool,
    /// `BytesScannedCutoffPerQuery`.
    pub scan_limit: Option<u64>,
    /// How what is written is to be encrypted.
    pub encryption: Option<Encryption>,
    pub requester_pays: bool,
    /// The workgroup says where results go, and a CTAS may not.
    pub place_enforced: bool,
    /// The socket where the server hands over objects' open files; none where all is read over HTTP.
    pub files: Option<PathBuf>,
    /// Where the statement is sent, of a query that is not for this engine.
    pub trino: Option<Trino>,
    /// Nothing is run: what the same execution has under way there is ended.
    pub ends: bool,
}

/// What it answers: one of these.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    Ok(Outcome),
    Failed {
        error: Error,
        scanned_bytes: u64,
    },
    /// It has read more than it may.
    Limited {
        scanned_bytes: u64,
    },
}

/// Answers one request; every failure is a reply. Boxed, so that its code is compiled here.
pub fn run(request: Value) -> Pin<Box<dyn Future<Output = Reply>>> {
    Box::pin(unbroken(answer(request)))
}

/// What a library makes of a broken file by panicking, in whatever thread, comes up here: an error as others are, and not the end of
/// the process, after which the statement would be tried again.
async fn unbroken(answer: impl Future<Output = Reply>) -> Reply {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        let error =
            Error::internal(format_args!("the statement broke off: {}", said.unwrap_or("nothing is known of it")));
        Reply::Failed { error, scanned_bytes: 0 }
    })
}

async fn answer(request: Value) -> Reply {
    let request: Request = match serde_json::from_value(request) {
        Ok(request) => request,
        Err(error) => return Reply::Failed { error: Error::internal(error), scanned_bytes: 0 },
    };
    if let Some(trino) = request.trino.as_ref().filter(|_| request.ends) {
        return match trino::end(trino).await {
            Ok(rows) => Reply::Ok(Outcome { rows, ..Outcome::default() }),
            Err(error) => Reply::Failed { error, scanned_bytes: 0 },
        };
    }
    let connection = Connection {
        endpoint: request.endpoint,
        region: request.region,
        access_key_id: request.access_key_id,
        secret_access_key: request.secret_access_key,
        session_token: request.session_token,
        files: request.files,
        encryption: request.encryption,
        requester_pays: request.requester_pays,
    };
    let job = Job {
        id: request.id,
        sql: request.sql,
        catalog: request.catalog,
        catalogs: request.catalogs,
        database: request.database,
        parameters: request.parameters,
        output: request.output,
        threads: request.threads,
        memory_bytes: request.memory_bytes,
        inline: request.inline,
        place_enforced: request.place_enforced,
        trino: request.trino,
    };
    let catalog = match glue(&connection) {
        Ok(call) => Arc::new(GlueCatalog::new(call)),
        Err(error) => return Reply::Failed { error, scanned_bytes: 0 },
    };
    let engine = Engine::new(Arc::new(Storage::s3(connection).limited(request.scan_limit)), catalog);
    match engine.run(&job).await {
        _ if engine.is_past_limit() => Reply::Limited { scanned_bytes: engine.scanned_bytes() },
        Ok(outcome) => Reply::Ok(outcome),
        Err(error) => Reply::Failed { error, scanned_bytes: engine.scanned_bytes() },
    }
}

/// Calls of Glue at the endpoint.
fn glue(connection: &Connection) -> Result<JsonCall> {
    let client = OneClient.connect(&ClientOptions::new().with_allow_http(true))?;
    let connection = Arc::new(connection.clone());
    Ok(Arc::new(move |operation, input| {
        let (client, connection) = (client.clone(), Arc::clone(&connection));
        async move { call(&client, &connection, operation, &input).await }.boxed()
    }))
}

async fn call(
    client: &HttpClient,
    connection: &Connection,
    operation: &str,
    input: &Value,
) -> std::result::Result<Value, (String, String)> {
    if let Some(operation) = operation.strip_prefix("S3.") {
        return crate::s3_lists::call(client, connection, operation, input).await;
    }
    let broken = |text: String| ("ServiceUnavailable".to_owned(), text);
    let target = operation.rsplit_once('.').map(|(target, _)| target);
    let service = match target {
        Some("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101") => "cloudtrail",
        Some("AmazonAthena") => "athena",
        Some("AWSStepFunctions") => "states",
        Some("Logs_20140328") => "logs",
        Some("Lineage") => "lineage",
        Some("Lakerun") => "lakerun",
        _ => "glue",
    };
    let body = serde_json::to_vec(input).map_err(|e| broken(e.to_string()))?;
    let mut request = http::Request::post(format!("{}/", connection.endpoint.trim_end_matches('/')))
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", if target.is_some() { operation.to_owned() } else { format!("AWSGlue.{operation}") })
        .body(HttpRequestBody::from(body))
        .map_err(|e| broken(e.to_string()))?;
    let credential = AwsCredential {
        key_id: connection.access_key_id.clone(),
        secret_key: connection.secret_access_key.clone(),
        token: connection.session_token.clone(),
    };
    AwsAuthorizer::new(&credential, service, &connection.region).authorize(&mut request, None);
    let response = client.execute(request).await.map_err(|e| broken(e.to_string()))?;
    let status = response.status();
    let bytes = response.into_body().collect().await.map_err(|e| broken(e.to_string()))?.to_bytes();
    let value: Value = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).map_err(|e| broken(e.to_string()))?
    };
    if status.is_success() {
        return Ok(value);
    }
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let code = text("__type").or_else(|| text("code")).unwrap_or_else(|| status.to_string());
    let code = code.rsplit_once('#').map_or(code.as_str(), |(_, code)| code).to_owned();
    Err((code, text("message").or_else(|| text("Message")).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{Reply, unbroken};

    #[tokio::test]
    async fn a_panic_is_a_reply() {
        let reply = unbroken(async { panic!("page {} is broken", 3) }).await;
        let Reply::Failed { error, .. } = reply else { panic!("it has failed") };
        assert_eq!(error.message, "GENERIC_INTERNAL_ERROR: the statement broke off: page 3 is broken");
    }
}
