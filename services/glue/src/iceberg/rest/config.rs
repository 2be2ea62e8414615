//! `GET /v1/config`: which warehouses there are and what the catalog can do.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use service::Cx;
use wire::Error;

use super::super::files;
use super::{Answer, bad};

/// What clients may ask, by the paths of the REST specification.
const ENDPOINTS: [&str; 18] = [
    "GET /v1/{prefix}/namespaces",
    "POST /v1/{prefix}/namespaces",
    "GET /v1/{prefix}/namespaces/{namespace}",
    "HEAD /v1/{prefix}/namespaces/{namespace}",
    "DELETE /v1/{prefix}/namespaces/{namespace}",
    "POST /v1/{prefix}/namespaces/{namespace}/properties",
    "GET /v1/{prefix}/namespaces/{namespace}/tables",
    "POST /v1/{prefix}/namespaces/{namespace}/tables",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "HEAD /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "DELETE /v1/{prefix}/namespaces/{namespace}/tables/{table}",
    "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}/credentials",
    "POST /v1/{prefix}/namespaces/{namespace}/tables/{table}/metrics",
    "POST /v1/{prefix}/namespaces/{namespace}/register",
    "POST /v1/{prefix}/tables/rename",
    "POST /v1/{prefix}/transactions/commit",
    "GET /v1/config",
];

/// What the paths' words begin with that are no prefix.
const ROOTS: [&str; 4] = ["namespaces", "tables", "transactions", "views"];

/// The account's catalog, and the folder where its tables go that say no place.
#[derive(Debug, Default)]
pub(super) struct Warehouse {
    folder: Option<String>,
}

impl Warehouse {
    /// Out of a path: the prefix that [`config`] gave, or none. `catalogs/` before it is AWS's way.
    pub(super) fn of_path<'a, 'b>(cx: &Cx, parts: &'a [&'b str]) -> Result<(Self, &'a [&'b str]), Error> {
        let parts = match parts {
            ["catalogs", rest @ ..] => rest,
            parts => parts,
        };
        match parts {
            [root, ..] if ROOTS.contains(root) => Ok((Self::default(), parts)),
            [prefix, rest @ ..] => {
                let (account, folder) = prefix.split_once('~').unwrap_or((prefix, ""));
                let folder = URL_SAFE_NO_PAD.decode(folder).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                let folder = folder.ok_or_else(|| unknown(prefix))?;
                if account != cx.account() {
                    return Err(unknown(prefix));
                }
                let folder =
                    Some(folder).filter(|text| !text.is_empty()).map(|text| files::folder(&text)).transpose()?;
                Ok((Self { folder }, rest))
            }
            [] => Err(bad("The request names nothing")),
        }
    }

    /// Where a table goes whose namespace has no location.
    pub(super) fn location(&self, database: &str, table: &str) -> Option<String> {
        self.folder.as_ref().map(|folder| format!("{folder}/{database}.db/{table}"))
    }
}

fn unknown(name: &str) -> Error {
    Error::new(
        "NotFoundException",
        404,
        format!(
            "Warehouse {name} does not exist: a warehouse is the account's id, or a folder for tables (s3://bucket/path)"
        ),
    )
}

pub(super) fn config(cx: &Cx, warehouse: &str) -> Result<Answer, Error> {
    let prefix = match warehouse {
        "" => cx.account().to_owned(),
        id if id == cx.account() => id.to_owned(),
        folder if folder.contains("://") => {
            let folder = files::folder(folder)?;
            format!("{}~{}", cx.account(), URL_SAFE_NO_PAD.encode(folder))
        }
        other => return Err(unknown(other)),
    };
    let answer = json!({ "defaults": {}, "overrides": { "prefix": prefix }, "endpoints": ENDPOINTS });
    Ok(Answer::Json(answer))
}
