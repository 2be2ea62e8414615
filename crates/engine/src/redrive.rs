//! Redrive: an execution that did not succeed goes on from the states that had not ended.
//!
//! What it goes on with are the records that it had when it ended (`asl` says which); they stay until the execution is forgotten.

use std::sync::Arc;

use asl::{Event, Execution, Redrive, Status, Timestamp};
use wire::Error;

use crate::batch::Batch;
use crate::records::Summary;
use crate::{Engine, ExecutionArn, read};

/// AWS's limits. Source: Developer Guide, "Redrive eligibility for unsuccessful executions".
const REDRIVABLE_DAYS: i64 = 14;
const MAX_OPEN_DAYS: i64 = 365;
const MAX_EVENTS: u64 = 24_999;
const MAX_REDRIVES: u32 = 1_000;
/// The last tokens are remembered, for a while. Source: API Reference, RedriveExecution, clientToken.
const TOKENS: usize = 10;
const TOKEN_MINUTES: i64 = 15;

/// What asking for a redrive came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    At(Timestamp),
    Refused(Refused),
    Unknown,
}

/// Why an execution cannot be redriven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    Running,
    Succeeded,
    TooOld,
    OpenTooLong,
    TooManyEvents,
    TooManyRedrives,
    NothingKept,
}

impl Refused {
    /// As `redriveStatusReason` says it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Running => "Execution is RUNNING and cannot be redriven",
            Self::Succeeded => "Execution is SUCCEEDED and cannot be redriven",
            Self::TooOld => "Execution redrivable period exceeded",
            Self::OpenTooLong => "Execution has exceeded the max execution time",
            Self::TooManyEvents => "Execution history event limit exceeded",
            Self::TooManyRedrives => "Execution redrive limit exceeded",
            Self::NothingKept => "Execution was started before the launch of RedriveExecution",
        }
    }
}

impl Summary {
    /// Why the execution cannot be redriven; `None` when it can.
    pub fn refuses_redrive(&self, now: Timestamp) -> Option<Refused> {
        let days = |from: Timestamp| (now.0 - from.0) / 86_400_000;
        match self.status {
            Status::Running => Some(Refused::Running),
            Status::Succeeded => Some(Refused::Succeeded),
            _ if self.events == 0 => Some(Refused::NothingKept),
            _ if days(self.stopped.unwrap_or(self.started)) >= REDRIVABLE_DAYS => Some(Refused::TooOld),
            _ if days(self.started) >= MAX_OPEN_DAYS => Some(Refused::OpenTooLong),
            _ if self.events >= MAX_EVENTS => Some(Refused::TooManyEvents),
            _ if self.redrive.count >= MAX_REDRIVES => Some(Refused::TooManyRedrives),
            _ => None,
        }
    }

    pub(crate) fn redrive_with(&mut self, redrive: Redrive, token: Option<&str>) {
        self.status = Status::Running;
        self.redrive = redrive;
        (self.stopped, self.output, self.error, self.cause) = (None, None, None, None);
        if let (Some(at), Some(token)) = (redrive.at, token) {
            self.redrive_tokens.push((token.to_owned(), at));
            let surplus = self.redrive_tokens.len().saturating_sub(TOKENS);
            self.redrive_tokens.drain(..surplus);
        }
    }

    /// When a redrive was asked for with this token, not long ago.
    fn redriven_with(&self, token: &str, now: Timestamp) -> Option<Timestamp> {
        let lasts_ms = TOKEN_MINUTES * 60_000;
        let known = self.redrive_tokens.iter().rev().find(|(known, at)| known == token && now.0 - at.0 < lasts_ms);
        known.map(|(_, at)| *at)
    }
}

impl Engine {
    /// Lets an execution go on that did not succeed. The same token again is answered with what it was answered first.
    pub async fn redrive(&self, arn: &ExecutionArn, token: String) -> Result<Redriven, Error> {
        let (engine, arn) = (self.clone(), arn.clone());
        tokio::spawn(async move { engine.redrive_now(&arn, &token).await }).await.map_err(Error::internal)?
    }

    async fn redrive_now(&self, arn: &ExecutionArn, token: &str) -> Result<Redriven, Error> {
        let slot = self.slot(arn);
        let mut held = slot.lock().await;
        let answer = self.redrive_held(arn, token, &mut held).await;
        if held.is_none() {
            self.forget(arn);
        }
        answer
    }

    async fn redrive_held(
        &self,
        arn: &ExecutionArn,
        token: &str,
        held: &mut Option<Execution>,
    ) -> Result<Redriven, Error> {
        let now = self.now();
        let runs = held.is_some();
        let (known, stored) = self
            .store_of(arn)
            .read(|tx| {
                let stored = if runs { None } else { read::stored(tx, arn)? };
                Ok::<_, Error>((read::summary(tx, arn)?, stored))
            })
            .await?;
        let Some(known) = known else { return Ok(Redriven::Unknown) };
        if let Some(at) = known.redriven_with(token, now) {
            return Ok(Redriven::At(at));
        }
        if let Some(refused) = known.refuses_redrive(now) {
            return Ok(Redriven::Refused(refused));
        }
        let Some(stored) = stored else { return Ok(Redriven::Refused(Refused::NothingKept)) };
        let definition = self.parsed(&stored.definition)?;
        let mut execution = Execution::load(definition, Arc::new(stored.info), stored.root, stored.frames);
        if !execution.is_unfinished() {
            return Ok(Redriven::Refused(Refused::NothingKept));
        }
        let mut commands = Vec::new();
        execution.handle(now, Event::Redriven, &mut commands);
        let mut batch = Batch::default();
        batch.redriven = Some((arn.clone(), execution.redriven(), token.to_owned()));
        batch.add(arn, now, &mut execution, commands, self.tells_events(arn).await?)?;
        let noted = std::mem::take(&mut batch.noted);
        let shard = self.shard(arn);
        let (site, number) = (Arc::clone(&shard.site), self.inner.shards.number_of(arn));
        let began = execution.info().started;
        // Before the commit and after it, as when an execution starts.
        self.inner.running.begins(arn, began, number);
        shard.store.write(move |tx| batch.apply(tx, &site)).await?;
        self.count(arn, noted);
        self.inner.running.begins(arn, began, number);
        if execution.status() == Status::Running {
            *held = Some(execution);
        } else {
            self.inner.running.ended(arn, began);
        }
        Ok(Redriven::At(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_in_their_order() {
        let day = 86_400_000;
        let failed = Summary {
            version: 1,
            name: "n".to_owned(),
            state_machine_arn: "m".to_owned(),
            state_machine_version_arn: None,
            state_machine_alias_arn: None,
            trace_header: None,
            logging: None,
            machine_created: None,
            machine: None,
            definition: "d".to_owned(),
            status: Status::Failed,
            started: Timestamp(0),
            stopped: Some(Timestamp(day)),
            output: None,
            error: None,
            cause: None,
            events: 5,
            redrive: Redrive::default(),
            redrive_tokens: Vec::new(),
        };
        let check = |change: &dyn Fn(&mut Summary), now: i64, want: Option<Refused>| {
            let mut summary = failed.clone();
            change(&mut summary);
            assert_eq!(summary.refuses_redrive(Timestamp(now)), want);
        };
        check(&|_| {}, 2 * day, None);
        check(&|_| {}, 15 * day, Some(Refused::TooOld));
        check(&|summary| summary.stopped = Some(Timestamp(365 * day)), 366 * day, Some(Refused::OpenTooLong));
        check(&|summary| summary.events = 24_999, 2 * day, Some(Refused::TooManyEvents));
        check(&|summary| summary.events = 24_998, 2 * day, None);
        check(&|summary| summary.redrive.count = 1_000, 2 * day, Some(Refused::TooManyRedrives));
        check(&|summary| summary.status = Status::Running, 2 * day, Some(Refused::Running));
        check(&|summary| summary.status = Status::Succeeded, 2 * day, Some(Refused::Succeeded));
    }

    #[test]
    fn the_last_tokens_are_remembered_for_a_while() {
        let text = r#"{"version":1,"name":"n","state_machine_arn":"m","state_machine_version_arn":null,"definition":"d","status":"Failed","started":0,"stopped":9,"output":null,"error":"e","cause":null}"#;
        // A record of the time before redrives opens, and tells that it cannot be redriven.
        let mut summary: Summary = serde_json::from_str(text).unwrap();
        assert_eq!(summary.refuses_redrive(Timestamp(10)), Some(Refused::NothingKept));
        for count in 1..=12 {
            let redrive = Redrive { count, at: Some(Timestamp(i64::from(count))) };
            summary.redrive_with(redrive, Some(&format!("t{count}")));
        }
        assert_eq!((summary.status, summary.error.as_ref(), summary.stopped), (Status::Running, None, None));
        assert_eq!(summary.redriven_with("t2", Timestamp(20)), None);
        assert_eq!(summary.redriven_with("t3", Timestamp(20)), Some(Timestamp(3)));
        assert_eq!(summary.redriven_with("t3", Timestamp(15 * 60_000 + 3)), None);
    }
}
