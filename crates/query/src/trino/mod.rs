//! Trino beside this engine: queries of a workgroup that are sent to it, by its client protocol.
//!
//! | module | what it holds |
//! |---|---|
//! | `protocol` | pages of a statement: asked for, read, cancelled |
//! | `values` | what a page holds, as values of Trino's types |
//! | `failure` | Trino's errors as Athena tells them |
//!
//! Tables are Trino's: its connector finds them in the same catalog and reads them with keys of its own. Not here: statements that write,
//! and Hive's; this engine does those.

mod failure;
mod protocol;
mod values;

use serde::{Deserialize, Serialize};

pub(crate) use protocol::{Client, Page, rows};
pub(crate) use values::{Column, write_row};

use crate::error::Result;

/// Where Trino is, and who asks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Trino {
    pub url: String,
    pub user: String,
    pub password: Option<String>,
    /// Trino's name for the catalog that Athena calls `AwsDataCatalog`.
    pub catalog: String,
    /// By whom Trino knows the query; another worker ends it by this name.
    pub source: String,
    /// On whose behalf: told to Trino, which does not weigh it.
    pub caller: String,
    /// An EXPLAIN, whose answer is lines of text.
    pub explain: bool,
}

/// Ends the queries of a source that are under way: of an execution that was stopped, whose worker is no more.
///
/// # Errors
/// When Trino cannot be reached, or refuses.
pub async fn end(trino: &Trino) -> Result<u64> {
    // This statement has a name of its own, or it would end itself.
    let own = Trino { source: format!("{}/end", trino.source), ..trino.clone() };
    let client = Client::new(&own)?;
    let quoted = trino.source.replace('\'', "''");
    let find = format!(
        "SELECT query_id FROM system.runtime.queries WHERE source = '{quoted}' AND state NOT IN ('FINISHED', 'FAILED')"
    );
    let mut ended = 0;
    for id in client.texts(&find).await? {
        client.texts(&format!("CALL system.runtime.kill_query(query_id => '{id}', message => 'stopped')")).await?;
        ended += 1;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests;
