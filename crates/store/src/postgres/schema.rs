//! The tables, made where they are not there.
//!
//! All are in the schema that the connection's `search_path` names first, which is made too.

use tokio_postgres::Client;

use super::net::{storage, wait};
use crate::Error;

/// Raised by a change that older servers cannot read.
const FORMAT: i32 = 1;
/// Who makes the tables holds this lock meanwhile: `CREATE TABLE IF NOT EXISTS` of two at once fails for one of them.
const LOCK: i64 = 0x006c_616b_6572_756e;

/// A key is kept in two columns, its first bytes and the rest, which nearly always is empty: an entry of a B-tree index can take no more
/// than 2704 bytes (PostgreSQL's documentation, 67.4.4), and keys may be longer.
pub(crate) const HEAD: usize = 2000;

/// Makes what all nodes share.
pub(crate) fn make(client: &Client) -> Result<(), Error> {
    wait(async {
        let schema: Option<String> = client.query_one("SELECT current_schema()::text", &[]).await?.get(0);
        if schema.is_none() {
            let text = "SELECT split_part(current_setting('search_path'), ',', 1)";
            let wanted: String = client.query_one(text, &[]).await?.get(0);
            client.batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS {wanted}")).await?;
        }
        client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await?;
        let made = client.batch_execute(COMMON).await;
        client.execute("SELECT pg_advisory_unlock($1)", &[&LOCK]).await?;
        made?;
        Ok(client.query_one("SELECT version FROM lakerun_format", &[]).await?.get::<_, i32>(0))
    })
    .map_err(storage)
    .and_then(|version| match version {
        FORMAT => Ok(()),
        other => Err(Error::Unusable(format!(
            "the database has lakerun's format {other}; this lakerun reads {FORMAT}: use a newer one"
        ))),
    })
}

/// `lakerun_lease` is written with every renewal; `lakerun_fence`, which every commit looks at, only when the owner changes.
const COMMON: &str = "
    SET client_min_messages = warning;
    CREATE TABLE IF NOT EXISTS lakerun_format (one int PRIMARY KEY DEFAULT 1 CHECK (one = 1), version int NOT NULL);
    INSERT INTO lakerun_format (version) VALUES (1) ON CONFLICT DO NOTHING;
    CREATE TABLE IF NOT EXISTS lakerun_lease (one int PRIMARY KEY DEFAULT 1 CHECK (one = 1), owner text NOT NULL,
        endpoint text NOT NULL, until timestamptz NOT NULL) WITH (fillfactor = 10);
    INSERT INTO lakerun_lease (owner, endpoint, until) VALUES ('', '', '-infinity') ON CONFLICT DO NOTHING;
    CREATE TABLE IF NOT EXISTS lakerun_fence (one int PRIMARY KEY DEFAULT 1 CHECK (one = 1), fence bigint NOT NULL);
    INSERT INTO lakerun_fence (fence) VALUES (0) ON CONFLICT DO NOTHING;
    CREATE TABLE IF NOT EXISTS lakerun_applied (store text PRIMARY KEY, record bigint NOT NULL);
    CREATE TABLE IF NOT EXISTS lakerun_file (name text PRIMARY KEY, bytes bytea NOT NULL);
";

/// Makes the tables of one store. What is appended is not compressed (it lives for a second) and kept in its row up to a page; vacuum
/// leaves the table's length alone, since to cut it needs a lock that commits would wait for. The index that is dropped is an earlier
/// version's, by MD5, of which anybody can make two keys that are one. Where all is there no table is locked: a dump that runs would
/// keep the owner waiting. A batch is one transaction, so the index is there only when all is.
pub(crate) fn make_store(client: &Client, store: &str) -> Result<(), Error> {
    let made = format!("SELECT to_regclass(quote_ident(current_schema()) || '.lakerun_kv_{store}_sha256') IS NOT NULL");
    let applied = format!("INSERT INTO lakerun_applied VALUES ('{store}', 0) ON CONFLICT DO NOTHING;");
    let text = format!(
        "SET client_min_messages = warning;
         CREATE TABLE IF NOT EXISTS lakerun_log_{store} (record bigint PRIMARY KEY, fence bigint NOT NULL,
             is_mark boolean NOT NULL, made_at timestamptz NOT NULL DEFAULT now(), writes bytea NOT NULL)
             WITH (toast_tuple_target = 8160, vacuum_truncate = off, toast.vacuum_truncate = off,
                   autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
         ALTER TABLE lakerun_log_{store} ALTER COLUMN writes SET STORAGE EXTERNAL;
         CREATE TABLE IF NOT EXISTS lakerun_kv_{store} (head bytea NOT NULL, rest bytea NOT NULL, v bytea NOT NULL)
             WITH (vacuum_truncate = off, toast.vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0.05);
         CREATE UNIQUE INDEX IF NOT EXISTS lakerun_kv_{store}_sha256 ON lakerun_kv_{store} (head, sha256(rest));
         DROP INDEX IF EXISTS lakerun_kv_{store}_key;
         {applied}"
    );
    wait(async {
        let is_made: bool = client.query_one(&made, &[]).await?.get(0);
        client.batch_execute(if is_made { &applied } else { &text }).await
    })
    .map_err(storage)
}

/// A key as its two columns.
pub(crate) fn columns(key: &[u8]) -> (&[u8], &[u8]) {
    key.split_at(key.len().min(HEAD))
}
