//! The operations of sessions and statements.

use api_glue::error::{
    already_exists_exception, illegal_session_state_exception, invalid_input_exception,
    resource_number_limit_exceeded_exception, session_busy_exception,
};
use api_glue::{
    CancelStatement, CancelStatementRequest, CancelStatementResponse, CreateSession, CreateSessionRequest,
    CreateSessionResponse, DeleteSession, DeleteSessionRequest, DeleteSessionResponse, GetSession, GetSessionRequest,
    GetSessionResponse, GetStatement, GetStatementRequest, GetStatementResponse, ListSessions, ListSessionsRequest,
    ListSessionsResponse, ListStatements, ListStatementsRequest, ListStatementsResponse, RunStatement,
    RunStatementRequest, RunStatementResponse, Session, SessionCommand, Statement, StopSession, StopSessionRequest,
    StopSessionResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Tx;
use wire::{Error, Timestamp};

use super::records::{self, Place, Record};
use super::{Order, Sessions, run};
use crate::jobs::sessions as job;
use crate::scope::{self, Scope};
use crate::{security, tags};

/// Sessions of an account that are not over.
const MOST_SESSIONS: usize = 50;
/// Statements of a session that wait.
const MOST_WAITING: usize = 100;
/// Source: API Reference, CreateSession: the default of both is 2880 minutes, of a `gluestreaming` session's IdleTimeout too.
const MINUTES: i32 = 2880;
/// Source: API Reference, Timeout: "The maximum value is 10080 minutes" (seven days).
const MOST_MINUTES: i32 = 10_080;
const COMMANDS: [&str; 2] = ["glueetl", "gluestreaming"];

#[async_trait]
impl Handle<CreateSession> for Sessions {
    async fn handle(&self, cx: &Cx, req: CreateSessionRequest) -> Result<CreateSessionResponse, Error> {
        check(&req)?;
        let (scope, now, run) = (Scope::of(cx), Timestamp(cx.now()), cx.uuid());
        let labels = req.tags.clone().unwrap_or_default();
        cx.write(&self.store, move |tx| {
            let id = &req.id;
            if tx.has(records::key(&scope, id))? {
                return Err(already_exists_exception(format!("Session {id} already exists")));
            }
            if under_way(tx, &scope)? >= MOST_SESSIONS {
                let message = format!("There are {MOST_SESSIONS} sessions that are not over");
                return Err(resource_number_limit_exceeded_exception(message));
            }
            let minutes = |given: Option<i32>| given.unwrap_or(MINUTES);
            let mut record =
                Record::new(session(&req, now), run.clone(), (minutes(req.timeout), minutes(req.idle_timeout)));
            if let Some(name) = req.security_configuration.as_deref().filter(|name| !name.is_empty()) {
                record.encryption = security::find(tx, &scope, name)?.encryption()?;
            }
            tx.put_json(records::key(&scope, id), &record)?;
            tags::add(tx, &scope, &records::arn(&scope, id), &labels)?;
            let place = Place::of(&scope, id, &run);
            ::jobs::start::<run::Runs>(tx, &place.task(), &place)?;
            Ok(CreateSessionResponse { session: Some(record.session) })
        })
        .await
    }
}

fn check(req: &CreateSessionRequest) -> Result<(), Error> {
    let invalid = |message: String| Err(invalid_input_exception(message));
    let name = req.command.name.as_deref().unwrap_or_default();
    if !COMMANDS.contains(&name) {
        return invalid(format!("The command of a session is one of {}, not {name:?}", COMMANDS.join(", ")));
    }
    for (what, minutes) in [("Timeout", req.timeout), ("IdleTimeout", req.idle_timeout)] {
        if minutes.is_some_and(|minutes| minutes > MOST_MINUTES) {
            return invalid(format!("{what} is {MOST_MINUTES} minutes at most"));
        }
    }
    if req.max_capacity.is_some() && (req.worker_type.is_some() || req.number_of_workers.is_some()) {
        return invalid("MaxCapacity and WorkerType with NumberOfWorkers exclude each other".to_owned());
    }
    if req.number_of_workers.is_some_and(|workers| workers < 1) {
        return invalid("NumberOfWorkers must be positive".to_owned());
    }
    job::engine(req.default_arguments.as_ref()).map(drop)
}

fn session(req: &CreateSessionRequest, now: Timestamp) -> Session {
    let dpu = job::capacity_of(req.worker_type.as_deref(), req.number_of_workers, req.max_capacity);
    Session {
        id: Some(req.id.clone()),
        created_on: Some(now),
        status: Some("PROVISIONING".to_owned()),
        description: req.description.clone(),
        role: Some(req.role.clone()),
        command: Some(SessionCommand {
            python_version: req.command.python_version.clone().or_else(|| Some("3".to_owned())),
            ..req.command.clone()
        }),
        default_arguments: Some(req.default_arguments.clone().unwrap_or_default()),
        connections: req.connections.clone(),
        progress: Some(0.0),
        max_capacity: Some(dpu),
        security_configuration: req.security_configuration.clone(),
        glue_version: Some(req.glue_version.clone().unwrap_or_else(|| "5.0".to_owned())),
        number_of_workers: req.number_of_workers.or_else(|| req.max_capacity.is_none().then_some(5)),
        worker_type: req.worker_type.clone().or_else(|| req.max_capacity.is_none().then(|| "G.1X".to_owned())),
        idle_timeout: Some(req.idle_timeout.unwrap_or(MINUTES)),
        ..Session::default()
    }
}

fn under_way(tx: &mut Tx<'_>, scope: &Scope) -> Result<usize, Error> {
    let mut count = 0;
    scope::each(tx, &records::all(scope), |tx, key| {
        count += usize::from(tx.get_json::<Record>(key)?.is_some_and(|record| !record.is_over()));
        Ok(())
    })?;
    Ok(count)
}

#[async_trait]
impl Handle<GetSession> for Sessions {
    async fn handle(&self, cx: &Cx, req: GetSessionRequest) -> Result<GetSessionResponse, Error> {
        let scope = Scope::of(cx);
        let record = self.store.read(|tx| records::find(tx, &scope, &req.id)).await?;
        Ok(GetSessionResponse { session: Some(record.session) })
    }
}

#[async_trait]
impl Handle<ListSessions> for Sessions {
    async fn handle(&self, cx: &Cx, req: ListSessionsRequest) -> Result<ListSessionsResponse, Error> {
        let scope = Scope::of(cx);
        let (limit, token) = (scope::limit(req.max_results, 100), req.next_token.as_deref());
        let wanted = req.tags.unwrap_or_default();
        let (sessions, next_token) = self
            .store
            .read(|tx| {
                let (all, next) =
                    scope::page(tx, &records::all(&scope), token, limit, |record: Record| Ok(Some(record.session)))?;
                let mut kept = Vec::new();
                for session in all {
                    let arn = records::arn(&scope, session.id.as_deref().unwrap_or_default());
                    let have = tags::read(tx, &scope, &arn)?;
                    if wanted.iter().all(|(name, value)| have.get(name) == Some(value)) {
                        kept.push(session);
                    }
                }
                Ok::<_, Error>((kept, next))
            })
            .await?;
        let ids = sessions.iter().filter_map(|session| session.id.clone()).collect();
        Ok(ListSessionsResponse { ids: Some(ids), sessions: Some(sessions), next_token })
    }
}

#[async_trait]
impl Handle<StopSession> for Sessions {
    async fn handle(&self, cx: &Cx, req: StopSessionRequest) -> Result<StopSessionResponse, Error> {
        let (scope, id) = (Scope::of(cx), req.id.clone());
        let place = cx
            .write(&self.store, move |tx| {
                let mut record = records::find_named(tx, &scope, &req.id)?;
                if record.is_over() {
                    return Err(in_state(&req.id, &record));
                }
                record.set_status("STOPPING");
                tx.put_json(records::key(&scope, &req.id), &record)?;
                Ok(Place::of(&scope, &req.id, &record.run))
            })
            .await?;
        self.tell(&place.task(), Order::Stop);
        Ok(StopSessionResponse { id: Some(id) })
    }
}

fn in_state(id: &str, record: &Record) -> Error {
    illegal_session_state_exception(format!("Session {id} is in {} status", record.status()))
}

#[async_trait]
impl Handle<DeleteSession> for Sessions {
    async fn handle(&self, cx: &Cx, req: DeleteSessionRequest) -> Result<DeleteSessionResponse, Error> {
        let scope = Scope::of(cx);
        cx.write(&self.store, move |tx| {
            let record = records::find_named(tx, &scope, &req.id)?;
            if !record.is_over() {
                return Err(in_state(&req.id, &record));
            }
            records::forget(tx, &scope, &req.id)?;
            tx.delete(records::key(&scope, &req.id))?;
            Ok(DeleteSessionResponse { id: Some(req.id.clone()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<RunStatement> for Sessions {
    async fn handle(&self, cx: &Cx, req: RunStatementRequest) -> Result<RunStatementResponse, Error> {
        if let Some(magic) = magic(&req.code) {
            return Err(invalid_input_exception(format!(
                "{magic} is a magic of the notebook's kernel, which does not send it: a statement is Python"
            )));
        }
        let (scope, code, now) = (Scope::of(cx), req.code.clone(), Timestamp(cx.now()));
        let (task, number) = cx
            .write(&self.store, move |tx| {
                let mut record = records::find(tx, &scope, &req.session_id)?;
                if record.status() != "READY" {
                    return Err(in_state(&req.session_id, &record));
                }
                if waiting(tx, &scope, &req.session_id)? >= MOST_WAITING {
                    let message = format!("{MOST_WAITING} statements of session {} wait", req.session_id);
                    return Err(session_busy_exception(message));
                }
                record.statements += 1;
                let statement = Statement {
                    id: Some(record.statements),
                    code: Some(req.code.clone()),
                    state: Some("WAITING".to_owned()),
                    progress: Some(0.0),
                    started_on: Some(now.as_millis()),
                    ..Statement::default()
                };
                tx.put_json(records::statement(&scope, &req.session_id, record.statements), &statement)?;
                tx.put_json(records::key(&scope, &req.session_id), &record)?;
                Ok((Place::of(&scope, &req.session_id, &record.run).task(), record.statements))
            })
            .await?;
        self.tell(&task, Order::Run { number, code });
        Ok(RunStatementResponse { id: Some(number) })
    }
}

/// The magic with which a text begins, which notebooks' kernels carry out themselves.
fn magic(code: &str) -> Option<&str> {
    let line = code.trim_start().lines().next()?;
    line.strip_prefix('%')?;
    line.split_whitespace().next()
}

fn waiting(tx: &mut Tx<'_>, scope: &Scope, id: &str) -> Result<usize, Error> {
    // The newest are at the end, and those that wait are the newest.
    let prefix = records::statements(scope, id);
    let end = store::key::prefix_end(prefix.as_bytes());
    let newest = tx.scan(prefix.as_bytes(), end.as_deref(), MOST_WAITING, true)?;
    let mut count = 0;
    for (key, value) in newest {
        let statement: Statement = store::kv::decode(&key, &value)?;
        count += usize::from(statement.state.as_deref() == Some("WAITING"));
    }
    Ok(count)
}

#[async_trait]
impl Handle<GetStatement> for Sessions {
    async fn handle(&self, cx: &Cx, req: GetStatementRequest) -> Result<GetStatementResponse, Error> {
        let scope = Scope::of(cx);
        let found = self.store.read(|tx| records::find_statement(tx, &scope, &req.session_id, req.id)).await?;
        Ok(GetStatementResponse { statement: Some(found) })
    }
}

#[async_trait]
impl Handle<ListStatements> for Sessions {
    async fn handle(&self, cx: &Cx, req: ListStatementsRequest) -> Result<ListStatementsResponse, Error> {
        let scope = Scope::of(cx);
        let token = req.next_token.as_deref();
        let (statements, next_token) = self
            .store
            .read(|tx| {
                records::find(tx, &scope, &req.session_id)?;
                let prefix = records::statements(&scope, &req.session_id);
                scope::page(tx, &prefix, token, scope::limit(None, 100), |statement: Statement| Ok(Some(statement)))
            })
            .await?;
        Ok(ListStatementsResponse { statements: Some(statements), next_token })
    }
}

#[async_trait]
impl Handle<CancelStatement> for Sessions {
    async fn handle(&self, cx: &Cx, req: CancelStatementRequest) -> Result<CancelStatementResponse, Error> {
        let (scope, number) = (Scope::of(cx), req.id);
        let task = cx
            .write(&self.store, move |tx| {
                let mut statement = records::find_statement(tx, &scope, &req.session_id, number)?;
                let record = records::find(tx, &scope, &req.session_id)?;
                if record.is_over() {
                    return Err(in_state(&req.session_id, &record));
                }
                // One that is over stays as it is.
                if records::is_open(&statement) {
                    statement.state = Some("CANCELLING".to_owned());
                    tx.put_json(records::statement(&scope, &req.session_id, number), &statement)?;
                }
                Ok(Place::of(&scope, &req.session_id, &record.run).task())
            })
            .await?;
        self.tell(&task, Order::Cancel { number });
        Ok(CancelStatementResponse {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_the_kernel() {
        for (code, wanted) in [
            ("%glue_version 4.0\nprint(1)", Some("%glue_version")),
            ("\n  %%sql\nselect 1", Some("%%sql")),
            ("print(1)\n%idle_timeout 10", None),
            ("x = 5 % 3", None),
            ("", None),
        ] {
            assert_eq!(magic(code), wanted, "{code}");
        }
    }
}
