//! The REST catalog (<https://iceberg.apache.org/rest-catalog-spec/>) over the Data Catalog. A namespace is a database, an Iceberg table
//! a table that points to metadata; each request needs the rights of the Glue operations that do the same, and of S3 for metadata files.
//!
//! | module | what it owns |
//! |---|---|
//! | this | which request is which, and how errors look |
//! | `config` | warehouses, and what there is |
//! | `token` | OAuth2 tokens for access keys |
//! | `namespaces` | databases |
//! | `tables` | tables, one at a time |
//! | `transaction` | changes of several tables at once, and of names |
//! | `vend` | keys for S3 |
//!
//! Not here: views and scans planned by the server, which are refused by name.

mod config;
mod namespaces;
mod tables;
pub mod token;
mod transaction;
mod vend;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::Cx;
use wire::Error;

use super::table::Name;
use super::{bad, conflict};
use crate::Glue;
use config::Warehouse;

/// Where the catalog is.
pub const PATH: &str = "/iceberg/v1/";
/// What stands between the levels of a namespace.
const LEVELS: char = '\u{1f}';

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub method: &'a str,
    /// With [`PATH`] before it.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a http::HeaderMap,
    pub body: &'a Bytes,
}

/// An answer: a status, and what is said.
enum Answer {
    Json(Value),
    Nothing,
}

impl Glue {
    /// Answers a request of a caller who is known.
    pub async fn rest(&self, cx: &Cx, request: Request<'_>) -> http::Response<Bytes> {
        match Box::pin(self.route(cx, &request)).await {
            Ok(Answer::Json(value)) => respond(StatusCode::OK, value.to_string()),
            Ok(Answer::Nothing) => respond(StatusCode::NO_CONTENT, String::new()),
            Err(error) => refusal(&error, request.method == "HEAD", cx.request_id()),
        }
    }

    async fn route(&self, cx: &Cx, request: &Request<'_>) -> Result<Answer, Error> {
        let query = pairs(request.query);
        let path = request.path.strip_prefix(PATH).unwrap_or_default();
        let parts: Vec<String> = path.split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if (request.method, parts.as_slice()) == ("GET", &["config"]) {
            return config::config(cx, query.get("warehouse").map_or("", String::as_str));
        }
        let (warehouse, parts) = Warehouse::of_path(cx, &parts)?;
        let call = Call { glue: self, cx, request, query: &query, warehouse: &warehouse };
        match (request.method, parts) {
            ("GET", ["namespaces"]) => call.list_namespaces().await,
            ("POST", ["namespaces"]) => call.create_namespace().await,
            ("GET" | "HEAD", ["namespaces", namespace]) => call.load_namespace(namespace).await,
            ("DELETE", ["namespaces", namespace]) => call.drop_namespace(namespace).await,
            ("POST", ["namespaces", namespace, "properties"]) => call.update_namespace(namespace).await,
            ("GET", ["namespaces", namespace, "tables"]) => call.list_tables(namespace).await,
            ("POST", ["namespaces", namespace, "tables"]) => call.create_table(namespace).await,
            ("POST", ["namespaces", namespace, "register"]) => call.register_table(namespace).await,
            ("GET", ["namespaces", namespace, "tables", table]) => call.load_table(namespace, table).await,
            ("HEAD", ["namespaces", namespace, "tables", table]) => call.has_table(namespace, table).await,
            ("POST", ["namespaces", namespace, "tables", table]) => call.commit_table(namespace, table).await,
            ("DELETE", ["namespaces", namespace, "tables", table]) => call.drop_table(namespace, table).await,
            ("GET", ["namespaces", namespace, "tables", table, "credentials"]) => {
                call.load_credentials(namespace, table).await
            }
            ("POST", ["namespaces", namespace, "tables", table, "metrics"]) => call.report(namespace, table).await,
            ("POST", ["tables", "rename"]) => call.rename_table().await,
            ("POST", ["transactions", "commit"]) => call.commit_transaction().await,
            (_, ["namespaces", _, "views", ..] | ["views", ..] | ["namespaces", _, "register-view"]) => {
                Err(unsupported("Views are not part of this catalog"))
            }
            (_, ["namespaces", _, "tables", _, "plan" | "tasks", ..]) => {
                Err(unsupported("Scans are planned by clients: the catalog does not plan them"))
            }
            (method, _) => Err(bad(format_args!("No route for request: {method} {}", request.path))),
        }
    }
}

/// One request, with all that it needs.
struct Call<'a> {
    glue: &'a Glue,
    cx: &'a Cx,
    request: &'a Request<'a>,
    query: &'a BTreeMap<String, String>,
    warehouse: &'a Warehouse,
}

impl Call<'_> {
    fn body<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(self.request.body)
            .map_err(|error| bad(format_args!("Cannot parse the request: {error}")))
    }

    fn asked(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// How many a page may have, and where it begins.
    fn page(&self) -> Result<(Option<i32>, Option<String>), Error> {
        let size = self.asked("pageSize").map(|text| {
            text.parse::<i32>().ok().filter(|n| *n > 0).ok_or_else(|| bad(format_args!("Invalid pageSize: {text}")))
        });
        Ok((size.transpose()?, self.asked("pageToken").map(str::to_owned)))
    }
}

/// A namespace out of a path: one level.
fn one_level(namespace: &str) -> Result<String, Error> {
    level(&namespace.split(LEVELS).collect::<Vec<_>>())
}

/// A database's name out of a namespace's levels.
fn level<T: AsRef<str>>(levels: &[T]) -> Result<String, Error> {
    match levels {
        [one] if !one.as_ref().is_empty() => Ok(crate::catalog::fold(one.as_ref())),
        _ => {
            let text: Vec<&str> = levels.iter().map(AsRef::as_ref).collect();
            Err(no_namespace(&text.join(".")))
        }
    }
}

/// A table out of a path. There is none within a namespace of more levels: clients ask for `db.t.snapshots` so, and then for `db.t`.
fn name(namespace: &str, table: &str) -> Result<Name, Error> {
    match one_level(namespace) {
        Ok(database) => Ok(Name { database, table: crate::catalog::fold(table) }),
        Err(_) => Err(no_table(&Name { database: namespace.replace(LEVELS, "."), table: table.to_owned() })),
    }
}

/// `{"namespace": ["db"], "name": "t"}`
#[derive(Clone, Debug, serde::Deserialize)]
struct Identifier {
    namespace: Vec<String>,
    name: String,
}

impl Identifier {
    fn name(&self) -> Result<Name, Error> {
        Ok(Name { database: level(&self.namespace)?, table: crate::catalog::fold(&self.name) })
    }
}

fn no_namespace(name: &str) -> Error {
    Error::new("NoSuchNamespaceException", 404, format!("Namespace does not exist: {name}"))
}

fn no_table(name: &Name) -> Error {
    Error::new("NoSuchTableException", 404, format!("Table does not exist: {}.{}", name.database, name.table))
}

fn exists(what: &str, name: &str) -> Error {
    Error::new("AlreadyExistsException", 409, format!("{what} already exists: {name}"))
}

fn unsupported(message: &str) -> Error {
    Error::new("UnsupportedOperationException", 406, message)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The members of a query or a form.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let plain = |text: &str| decoded(&text.replace('+', " "));
        (plain(key), plain(value))
    };
    text.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn respond(status: StatusCode, body: String) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(body));
    *response.status_mut() = status;
    if !response.body().is_empty() {
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    }
    response
}

/// An error as the REST specification has it. What Glue and S3 call theirs is named as the specification names it.
pub fn refused(error: &Error, request_id: &str) -> http::Response<Bytes> {
    refusal(error, false, request_id)
}

fn refusal(error: &Error, is_head: bool, request_id: &str) -> http::Response<Bytes> {
    let (kind, status) = named(error);
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if is_head {
        return respond(code, String::new());
    }
    let message = if status >= 500 {
        tracing::error!(request_id, %error, "internal failure of the Iceberg catalog");
        format!("An internal error occurred; the log has its cause under request id {request_id}")
    } else {
        error.message().to_owned()
    };
    respond(code, json!({ "error": { "message": message, "type": kind, "code": status } }).to_string())
}

fn named(error: &Error) -> (&str, u16) {
    match error.code() {
        "EntityNotFoundException" => ("NotFoundException", 404),
        "AlreadyExistsException" => ("AlreadyExistsException", 409),
        "ConcurrentModificationException" => ("CommitFailedException", 409),
        "InvalidInputException" | "ValidationException" => ("BadRequestException", 400),
        "ExpiredTokenException" => ("AuthenticationTimeoutException", 419),
        "MissingAuthenticationToken" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "IncompleteSignature" => {
            ("NotAuthorizedException", 401)
        }
        _ if error.status() == 403 => ("ForbiddenException", 403),
        "ThrottlingException" | "ServiceUnavailable" => ("ServiceUnavailableException", 503),
        code if error.status() < 500 => (code, error.status()),
        _ => ("InternalServerError", 500),
    }
}

#[cfg(test)]
mod tests {
    use super::{level, one_level, pairs};

    #[test]
    fn names_have_one_level() {
        assert_eq!(one_level("Sales").unwrap(), "sales");
        assert_eq!(one_level("a\u{1f}b").unwrap_err().message(), "Namespace does not exist: a.b");
        assert!(level::<String>(&[]).is_err());
    }

    #[test]
    fn forms_are_decoded() {
        let form = pairs("grant_type=client_credentials&client_secret=a%2Fb+c%3D&x");
        assert_eq!((form["client_secret"].as_str(), form["x"].as_str()), ("a/b c=", ""));
    }
}
