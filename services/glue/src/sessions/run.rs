//! A session as a job: its process under the role's keys, the statements that it is told, its end. Its lifecycle is `jobs`'; what its
//! statements wrote stays, however it ended.

use std::sync::Arc;
use std::time::Duration;

use ::jobs::{Attempt, Ended as JobEnded, Kind, Limits, Loaded, Next, Used, Who, Worked};
use api_glue::{Statement, StatementOutput, StatementOutputData};
use async_trait::async_trait;
use compute::sandbox;
use compute::spark::Interaction;
use serde::{Deserialize, Serialize};
use service::Cx;
use service::attempts::Outcome as Fate;
use service::identity::Credentials;
use store::Tx;
use tokio::sync::mpsc;
use wire::{Error, Timestamp};

use super::records::{self, Place, Record};
use super::talk::{self, Ends, Output, Said};
use super::{Order, Sessions};
use crate::jobs::sessions as job;

const LINES: usize = 1000;

pub(super) struct Runs(pub(super) Arc<Sessions>);

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct End {
    status: String,
    error: Option<String>,
}

impl End {
    pub(super) fn failed(error: impl Into<String>) -> Self {
        Self { status: "FAILED".to_owned(), error: Some(error.into()) }
    }

    pub(super) fn of(status: &str) -> Self {
        Self { status: status.to_owned(), error: None }
    }
}

impl From<Output> for StatementOutput {
    fn from(output: Output) -> Self {
        Self {
            data: output.data.map(|data| StatementOutputData { text_plain: data.text_plain }),
            execution_count: output.execution_count,
            status: output.status,
            error_name: output.error_name,
            error_value: output.error_value,
            traceback: output.traceback,
        }
    }
}

#[async_trait]
impl Kind for Runs {
    const NAME: &'static str = "glue:session";
    const GOES_ON: bool = true;
    const WAITS: Option<Duration> = Some(Duration::from_hours(24));
    const BEGINS: bool = false;
    type Payload = Place;
    type Plan = Record;
    type End = End;

    fn scope(place: &Place) -> (&str, &str) {
        (&place.account, &place.region)
    }

    fn load(&self, tx: &mut Tx<'_>, place: &Place) -> Result<Loaded<Record>, Error> {
        let Some(record) = place.load(tx)?.filter(|record| !record.is_over()) else { return Ok(Loaded::Over) };
        Ok(if record.status() == "STOPPING" { Loaded::Stopping(record) } else { Loaded::Todo(record) })
    }

    fn limits(&self, record: &Record) -> Limits {
        let minutes = u64::try_from(record.timeout).unwrap_or(1);
        Limits { tries: 1, timeout: Some(Duration::from_secs(minutes * 60)) }
    }

    async fn who(&self, _: &Place, record: &Record, attempt: &str) -> Result<Who<End>, Error> {
        let role = record.session.role.as_deref().unwrap_or_default();
        match self.0.router.identity().role_session(role, "GlueJobRunnerSession", Some(attempt)).await {
            Ok(principal) => Ok(Who::As(principal)),
            Err(error) if error.status() >= 500 => Err(error),
            Err(error) => {
                Ok(Who::Nobody(End::failed(format!("Role {role} could not be assumed: {}", error.message()))))
            }
        }
    }

    async fn work(&self, place: &Place, record: &Record, attempt: &Attempt) -> Worked<End> {
        if record.began_on.is_some() {
            return Worked::Ended(End::failed(
                "The server was started again, and the session's process is gone with what it held",
            ));
        }
        let keys = match attempt.credentials() {
            Ok(keys) => keys.clone(),
            Err(error) => return Worked::Ended(End::failed(error.to_string())),
        };
        let (orders, heard) = mpsc::unbounded_channel();
        self.0.live().insert(place.task(), orders);
        let end = Box::pin(self.0.live_on(place, record, attempt, keys, heard)).await;
        self.0.live().remove(&place.task());
        Worked::Ended(end.unwrap_or_else(|error| End::failed(error.to_string())))
    }

    fn stopped(&self) -> End {
        End::of("STOPPED")
    }

    fn timed_out(&self, _: &Record) -> End {
        End::of("TIMEOUT")
    }

    fn outcome(&self, _: &End) -> Fate {
        Fate::Commit
    }

    fn end(
        &self,
        tx: &mut Tx<'_>,
        place: &Place,
        JobEnded { end, at, .. }: &JobEnded<End>,
    ) -> Result<Next<Place>, Error> {
        let Some(mut record) = place.load(tx)?.filter(|record| !record.is_over()) else { return Ok(Next::Over) };
        let (scope, now) = (place.scope(), Timestamp(*at));
        let (state, output) = match end.status.as_str() {
            "FAILED" => ("ERROR", Some(lost(end.error.as_deref()))),
            _ => ("CANCELLED", None),
        };
        crate::scope::each(tx, &records::statements(&scope, &place.id), |tx, key| {
            records::end(tx, key, state, output.clone(), now)
        })?;
        record.set_status(&end.status);
        record.session.error_message.clone_from(&end.error);
        record.session.completed_on = Some(now);
        let ran = record.began_on.map_or(0, |began| now.as_millis() - began.as_millis());
        #[expect(clippy::cast_precision_loss, reason = "a session has two days at most")]
        let seconds = ran as f64 / 1000.0;
        record.session.execution_time = Some(seconds);
        record.session.dpu_seconds = Some(seconds * record.session.max_capacity.unwrap_or(1.0));
        tx.put_json(records::key(&scope, &place.id), &record)?;
        Ok(Next::Over)
    }

    async fn recorded(&self, place: &Place) {
        self.0.live().remove(&place.task());
    }
}

/// Of a statement whose process is gone.
fn lost(why: Option<&str>) -> StatementOutput {
    StatementOutput {
        status: Some("error".to_owned()),
        error_name: Some("SessionFailed".to_owned()),
        error_value: why.map(str::to_owned),
        traceback: Some(Vec::new()),
        ..StatementOutput::default()
    }
}

impl Sessions {
    /// Holds the process and tells it what is asked, until it is stopped, has nothing to do for too long, or ends.
    async fn live_on(
        &self,
        place: &Place,
        record: &Record,
        attempt: &Attempt,
        keys: Credentials,
        heard: mpsc::UnboundedReceiver<Order>,
    ) -> Result<End, Error> {
        let cx = Cx::platform(&self.router, &place.account, &place.region);
        let job = job::of_session(&record.session, record.encryption.as_ref(), (&keys, &place.region, &self.endpoint));
        let (tells, orders) = mpsc::channel(16);
        let (says, said) = mpsc::channel(16);
        let ends = Ends { heard, tells, said };
        let (prints, lines) = mpsc::channel(LINES);
        let began = async {
            attempt.started();
            if let Err(error) = self.change(place, |record, now| record.began_on = Some(now)).await {
                tracing::warn!(%error, session = place.id, "the start of a session could not be recorded");
            }
        };
        let mut used = sandbox::Used::default();
        let process = self.spark.interact(&job, Interaction { orders, said: says, lines: prints }, began, &mut used);
        let log = job::log(&cx, &place.run, lines);
        let idle_time = Duration::from_secs(u64::try_from(record.idle_timeout).unwrap_or(1) * 60);
        let talk = async {
            // It was stopped before there was anybody to tell.
            let now = self.store.read(|tx| place.load(tx)).await?;
            if now.is_none_or(|record| record.status() == "STOPPING") {
                return Ok(End::of("STOPPED"));
            }
            talk::talk(ends, &**self.router.clock(), idle_time, |said| self.note(place, said)).await
        };
        let end = tokio::select! {
            end = talk => end,
            (gone, ()) = async { tokio::join!(process, log) } => Ok(match gone {
                Ok(Some(why)) => End::failed(why),
                Ok(None) => End::failed("the session's process has ended"),
                Err(error) => End::failed(error.to_string()),
            }),
        };
        attempt.use_up(Used { cpu_ms: used.cpu_ms, peak_bytes: used.peak_bytes, ..Used::default() });
        end
    }

    /// Records what the process said.
    async fn note(&self, place: &Place, said: Said) -> Result<(), Error> {
        if said.ready {
            return self
                .change(place, |record, _| {
                    if record.status() == "PROVISIONING" {
                        record.set_status("READY");
                        record.session.progress = Some(1.0);
                    }
                })
                .await;
        }
        let (scope, id, now) = (place.scope(), place.id.clone(), Timestamp(self.router.now()));
        let output = StatementOutput::from(said.output);
        let (started, done, cancelled) = (said.started, said.done, said.cancelled);
        let written = self.store.write(move |tx| {
            if let Some(number) = started {
                let key = records::statement(&scope, &id, number);
                if let Some(mut statement) = tx.get_json::<Statement>(&key)?
                    && statement.state.as_deref() == Some("WAITING")
                {
                    statement.state = Some("RUNNING".to_owned());
                    statement.started_on = Some(now.as_millis());
                    tx.put_json(&key, &statement)?;
                }
            }
            if let Some(number) = done {
                let key = records::statement(&scope, &id, number);
                records::end(tx, key, "AVAILABLE", Some(output.clone()), now)?;
            }
            if let Some(number) = cancelled {
                records::end(tx, records::statement(&scope, &id, number), "CANCELLED", None, now)?;
            }
            Ok::<_, Error>(())
        });
        written.await
    }

    async fn change(
        &self,
        place: &Place,
        change: impl Fn(&mut Record, Timestamp) + Send + 'static,
    ) -> Result<(), Error> {
        let (place, now) = (place.clone(), Timestamp(self.router.now()));
        let written = self.store.write(move |tx| {
            if let Some(mut record) = place.load(tx)? {
                change(&mut record, now);
                tx.put_json(records::key(&place.scope(), &place.id), &record)?;
            }
            Ok::<_, Error>(())
        });
        written.await
    }
}
