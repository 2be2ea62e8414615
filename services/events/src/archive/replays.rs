//! StartReplay, DescribeReplay, ListReplays, CancelReplay, and the task that replays, page by page, each page with the note of how far it
//! has come.

use api_events::{
    CancelReplay, CancelReplayRequest, CancelReplayResponse, DescribeReplay, DescribeReplayRequest,
    DescribeReplayResponse, ListReplays, ListReplaysRequest, ListReplaysResponse, ReplayDestination, StartReplay,
    StartReplayRequest, StartReplayResponse, error,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::{Cx, Handle};
use store::{Done, Key, NewTask, Runner, Store, Task, Tx};
use wire::arn::Arn;
use wire::{Error, Timestamp};

use super::{Archive, name_of_arn, time_ms};
use crate::bridge::{Bridge, Home, replay};
use crate::page;

pub(crate) const REPLAY: &str = "events:replay";
/// Events that are replayed in one transaction.
const AT_ONCE: usize = 100;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Replay {
    /// Version of the record's form.
    version: u32,
    name: String,
    account: String,
    region: String,
    description: Option<String>,
    archive: String,
    bus: String,
    from_ms: i64,
    to_ms: i64,
    rules: Vec<String>,
    state: String,
    started_ms: i64,
    ended_ms: Option<i64>,
    last_ms: Option<i64>,
    /// The key of the last event that was replayed.
    after: Option<Vec<u8>>,
}

fn all(account: &str, region: &str) -> Key {
    Key::new("events").push("replay").push(account).push(region)
}

impl Replay {
    fn find(tx: &mut Tx<'_>, account: &str, region: &str, name: &str) -> Result<Self, Error> {
        let found: Option<Self> = tx.get_json(all(account, region).push(name))?;
        found.ok_or_else(|| error::resource_not_found_exception(format!("Replay {name} does not exist.")))
    }

    fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(all(&self.account, &self.region).push(&self.name), self)?)
    }

    fn arn(&self) -> String {
        Arn::new("events", &self.region, &self.account, format!("replay/{}", self.name)).to_string()
    }

    fn of(&self, kind: &str, name: &str) -> String {
        Arn::new("events", &self.region, &self.account, format!("{kind}/{name}")).to_string()
    }

    fn task(&self) -> String {
        format!("{REPLAY}/{}/{}/{}", self.account, self.region, self.name)
    }
}

#[async_trait]
impl Handle<StartReplay> for Bridge {
    async fn handle(&self, cx: &Cx, req: StartReplayRequest) -> Result<StartReplayResponse, Error> {
        let invalid =
            |name: &str, reason: &str| Error::validation(format!("Parameter {name} is not valid. Reason: {reason}"));
        let archive = name_of_arn(cx, &req.event_source_arn)
            .ok_or_else(|| invalid("EventSourceArn", "Must contain an archive ARN."))?;
        let (from, to) = (req.event_start_time.0, req.event_end_time.0);
        if from >= to {
            return Err(invalid("EventEndTime", "EventStartTime must be before EventEndTime."));
        }
        let (own, now) = (cx.clone(), cx.now().as_millisecond());
        let replay = cx
            .write(&self.store, move |tx| {
                let archive = Archive::find(tx, &own, &archive)?;
                if archive.bus_arn() != req.destination.arn {
                    return Err(invalid("Destination.Arn", "Cross event bus replay is not permitted."));
                }
                if tx.get(all(own.account(), own.region()).push(&req.replay_name))?.is_some() {
                    return Err(error::resource_already_exists_exception(format!(
                        "Replay {} already exists.",
                        req.replay_name
                    )));
                }
                let replay = Replay {
                    version: 1,
                    name: req.replay_name.clone(),
                    account: archive.account,
                    region: archive.region,
                    description: req.description.clone(),
                    archive: archive.name,
                    bus: archive.bus,
                    from_ms: from.as_millisecond(),
                    to_ms: to.as_millisecond(),
                    rules: req.destination.filter_arns.clone().unwrap_or_default(),
                    state: "STARTING".to_owned(),
                    started_ms: now,
                    ended_ms: None,
                    last_ms: None,
                    after: None,
                };
                replay.save(tx)?;
                let whose = (&replay.account, &replay.region, &replay.name);
                tx.enqueue(NewTask::new(REPLAY, replay.task()).payload(&whose)?)?;
                Ok(replay)
            })
            .await?;
        Ok(StartReplayResponse {
            replay_arn: Some(replay.arn()),
            state: Some(replay.state),
            replay_start_time: Some(Timestamp::from_millis(replay.started_ms)),
            ..StartReplayResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DescribeReplay> for Bridge {
    async fn handle(&self, cx: &Cx, req: DescribeReplayRequest) -> Result<DescribeReplayResponse, Error> {
        let (account, region) = (cx.account(), cx.region());
        let replay = self.store.read(|tx| Replay::find(tx, account, region, &req.replay_name)).await?;
        Ok(DescribeReplayResponse {
            replay_arn: Some(replay.arn()),
            event_source_arn: Some(replay.of("archive", &replay.archive)),
            destination: Some(ReplayDestination {
                arn: replay.of("event-bus", &replay.bus),
                filter_arns: (!replay.rules.is_empty()).then(|| replay.rules.clone()),
            }),
            replay_name: Some(replay.name),
            description: replay.description,
            state: Some(replay.state),
            event_start_time: Some(Timestamp::from_millis(replay.from_ms)),
            event_end_time: Some(Timestamp::from_millis(replay.to_ms)),
            event_last_replayed_time: replay.last_ms.map(Timestamp::from_millis),
            replay_start_time: Some(Timestamp::from_millis(replay.started_ms)),
            replay_end_time: replay.ended_ms.map(Timestamp::from_millis),
            ..DescribeReplayResponse::default()
        })
    }
}

#[async_trait]
impl Handle<ListReplays> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListReplaysRequest) -> Result<ListReplaysResponse, Error> {
        let prefix = all(cx.account(), cx.region());
        let mut found: Vec<Replay> = self.store.read(|tx| tx.list_json(prefix.clone(), 10_000)).await?;
        let starts = req.name_prefix.unwrap_or_default();
        found.retain(|replay| {
            replay.name.starts_with(&starts)
                && req.state.as_ref().is_none_or(|state| *state == replay.state)
                && req.event_source_arn.as_ref().is_none_or(|arn| *arn == replay.of("archive", &replay.archive))
        });
        let (found, next_token) = page(found, |replay| &replay.name, req.next_token.as_deref(), req.limit);
        let shape = |replay: Replay| api_events::Replay {
            event_source_arn: Some(replay.of("archive", &replay.archive)),
            replay_name: Some(replay.name),
            state: Some(replay.state),
            event_start_time: Some(Timestamp::from_millis(replay.from_ms)),
            event_end_time: Some(Timestamp::from_millis(replay.to_ms)),
            event_last_replayed_time: replay.last_ms.map(Timestamp::from_millis),
            replay_start_time: Some(Timestamp::from_millis(replay.started_ms)),
            replay_end_time: replay.ended_ms.map(Timestamp::from_millis),
            ..api_events::Replay::default()
        };
        Ok(ListReplaysResponse { replays: Some(found.into_iter().map(shape).collect()), next_token })
    }
}

#[async_trait]
impl Handle<CancelReplay> for Bridge {
    async fn handle(&self, cx: &Cx, req: CancelReplayRequest) -> Result<CancelReplayResponse, Error> {
        let (account, region, now) = (cx.account().to_owned(), cx.region().to_owned(), cx.now().as_millisecond());
        let replay = cx
            .write(&self.store, move |tx| {
                let mut replay = Replay::find(tx, &account, &region, &req.replay_name)?;
                if !matches!(replay.state.as_str(), "STARTING" | "RUNNING") {
                    return Err(error::illegal_status_exception(format!(
                        "Replay {} is not in a valid state for this operation.",
                        replay.name
                    )));
                }
                "CANCELLED".clone_into(&mut replay.state);
                replay.ended_ms = Some(now);
                replay.save(tx)?;
                if tx.has_task(&replay.task())? {
                    tx.cancel_task(&replay.task())?;
                }
                Ok(replay)
            })
            .await?;
        Ok(CancelReplayResponse {
            replay_arn: Some(replay.arn()),
            state: Some("CANCELLING".to_owned()),
            ..CancelReplayResponse::default()
        })
    }
}

/// Replays.
pub(crate) struct Replayer(pub(crate) Store);

#[async_trait]
impl Runner for Replayer {
    async fn run(&self, task: Task) -> Done {
        let Ok((account, region, name)) = task.payload::<(String, String, String)>() else { return Done::Finished };
        loop {
            match self.page(&task.id, (&account, &region, &name)).await {
                Ok(true) => {}
                Ok(false) => return Done::Committed,
                Err(error) => {
                    tracing::error!(task = task.id, %error, "a replay is interrupted; it goes on in a while");
                    return Done::RetryAfter(jiff::SignedDuration::from_secs(10));
                }
            }
        }
    }
}

impl Replayer {
    /// Replays one page; false where it was the last.
    async fn page(&self, task: &str, (account, region, name): (&str, &str, &str)) -> Result<bool, Error> {
        let (account, region, name, task) = (account.to_owned(), region.to_owned(), name.to_owned(), task.to_owned());
        let now = self.0.clock().now();
        self.0
            .write(move |tx| {
                let found: Option<Replay> = tx.get_json(all(&account, &region).push(&name))?;
                let running = found.filter(|replay| matches!(replay.state.as_str(), "STARTING" | "RUNNING"));
                let Some(mut replay) = running else {
                    tx.finish_task(&task)?;
                    return Ok(false);
                };
                let prefix = Key::new("events").push("archived").push(&account).push(&region).push(&replay.archive);
                let at = |ms: i64| prefix.clone().push_u64(u64::try_from(ms).unwrap_or(0)).into_bytes();
                // What follows a key begins with it and one byte more.
                let start = match &replay.after {
                    Some(after) => [after.as_slice(), &[0]].concat(),
                    None => at(replay.from_ms),
                };
                let page = tx.scan(&start, Some(&at(replay.to_ms)), AT_ONCE, false)?;
                let home = Home { account: account.clone(), region: region.clone(), bus: replay.bus.clone() };
                for (key, value) in &page {
                    let mut event: Value = store::kv::decode(key, value)?;
                    replay.last_ms = i64::try_from(time_ms(&event)).ok();
                    event["replay-name"] = replay.name.as_str().into();
                    replay_to(tx, &home, &replay, &event, now)?;
                    replay.after = Some(key.clone());
                }
                let more = page.len() == AT_ONCE;
                "RUNNING".clone_into(&mut replay.state);
                if !more {
                    "COMPLETED".clone_into(&mut replay.state);
                    replay.ended_ms = Some(now.as_millisecond());
                    tx.finish_task(&task)?;
                }
                replay.save(tx)?;
                Ok(more)
            })
            .await
    }
}

fn replay_to(tx: &mut Tx<'_>, home: &Home, of: &Replay, event: &Value, now: jiff::Timestamp) -> Result<(), Error> {
    replay(tx, home, event, &of.rules, now)
}
