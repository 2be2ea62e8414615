//! What is stored: sessions, and their statements in their order.

use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_glue::{Session, Statement, StatementOutput};
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::{Error, Timestamp};

use crate::scope::Scope;
use crate::security::Encryption;

const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) session: Session,
    /// Tells it from others of its name, before and after it.
    pub(super) run: String,
    /// Minutes.
    pub(super) timeout: i32,
    pub(super) idle_timeout: i32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encryption: Option<Encryption>,
    /// When its process was begun: there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) began_on: Option<Timestamp>,
    /// Statements so far.
    pub(super) statements: i32,
}

impl Record {
    pub(super) fn new(session: Session, run: String, (timeout, idle_timeout): (i32, i32)) -> Self {
        Self { version: VERSION, session, run, timeout, idle_timeout, encryption: None, began_on: None, statements: 0 }
    }

    pub(super) fn status(&self) -> &str {
        self.session.status.as_deref().unwrap_or_default()
    }

    pub(super) fn set_status(&mut self, status: &str) {
        self.session.status = Some(status.to_owned());
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.status(), "FAILED" | "STOPPED" | "TIMEOUT")
    }
}

/// Where a session is. The payload of its task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) account: String,
    pub(super) region: String,
    pub(super) id: String,
    pub(super) run: String,
}

impl Place {
    pub(super) fn of(scope: &Scope, id: &str, run: &str) -> Self {
        let (account, region) = (scope.account.clone(), scope.region.clone());
        Self { account, region, id: id.to_owned(), run: run.to_owned() }
    }

    pub(super) fn scope(&self) -> Scope {
        Scope { account: self.account.clone(), region: self.region.clone() }
    }

    pub(super) fn task(&self) -> String {
        format!("glue:session:{}", self.run)
    }

    /// The session, as long as it is this one.
    pub(super) fn load(&self, tx: &mut Tx<'_>) -> Result<Option<Record>, Error> {
        let found: Option<Record> = tx.get_json(key(&self.scope(), &self.id))?;
        Ok(found.filter(|record| record.run == self.run))
    }
}

pub(super) fn all(scope: &Scope) -> Key {
    scope.key("session")
}

pub(super) fn key(scope: &Scope, id: &str) -> Key {
    all(scope).push(id)
}

pub(super) fn statements(scope: &Scope, id: &str) -> Key {
    scope.key("session-statement").push(id)
}

pub(super) fn statement(scope: &Scope, id: &str, number: i32) -> Key {
    statements(scope, id).push_u64(u64::try_from(number).unwrap_or(0))
}

pub(super) fn arn(scope: &Scope, id: &str) -> String {
    scope.arn(&format!("session/{id}"))
}

pub(super) fn find(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<Record, Error> {
    tx.get_json(key(scope, id))?.ok_or_else(|| entity_not_found_exception(format!("Session {id} not found")))
}

/// The same for operations whose model knows no EntityNotFoundException.
pub(super) fn find_named(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<Record, Error> {
    find(tx, scope, id).map_err(|error| {
        if error.is("EntityNotFoundException") { invalid_input_exception(error.message()) } else { error }
    })
}

pub(super) fn find_statement(tx: &mut Tx<'_>, scope: &Scope, id: &str, number: i32) -> Result<Statement, Error> {
    find(tx, scope, id)?;
    let found = tx.get_json(statement(scope, id, number))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Statement {number} of session {id} not found")))
}

/// Whether it waits or runs.
pub(super) fn is_open(statement: &Statement) -> bool {
    matches!(statement.state.as_deref(), Some("WAITING" | "RUNNING" | "CANCELLING"))
}

/// Records how a statement ended.
pub(super) fn end(
    tx: &mut Tx<'_>,
    key: impl AsRef<[u8]>,
    state: &str,
    output: Option<StatementOutput>,
    now: Timestamp,
) -> Result<(), Error> {
    let key = key.as_ref();
    let Some(mut statement) = tx.get_json::<Statement>(key)?.filter(is_open) else { return Ok(()) };
    statement.state = Some(state.to_owned());
    statement.output = output;
    statement.progress = Some(1.0);
    statement.completed_on = Some(now.as_millis());
    Ok(tx.put_json(key, &statement)?)
}

/// Whether a session ended before then: its statements go with it.
pub(crate) fn is_old(
    tx: &mut Tx<'_>,
    scope: &Scope,
    key: &[u8],
    value: &[u8],
    before: Timestamp,
) -> Result<bool, Error> {
    let record: Record = store::kv::decode(key, value)?;
    if !record.is_over() || record.session.completed_on.is_none_or(|at| at >= before) {
        return Ok(false);
    }
    forget(tx, scope, record.session.id.as_deref().unwrap_or_default())?;
    Ok(true)
}

/// All of a session but its own row.
pub(super) fn forget(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<(), Error> {
    crate::scope::clear(tx, &statements(scope, id))?;
    crate::tags::clear(tx, scope, &arn(scope, id))
}
