//! StartLogging, StopLogging and GetTrailStatus.

use api_cloudtrail::{
    GetTrailStatus, GetTrailStatusRequest, GetTrailStatusResponse, StartLogging, StartLoggingRequest,
    StartLoggingResponse, StopLogging, StopLoggingRequest, StopLoggingResponse,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use crate::trail::{Delivered, find, place};
use crate::{Trails, deliver, event};

impl Trails {
    async fn turn(&self, cx: &Cx, name: &str, on: bool) -> Result<(), Error> {
        let place = place(cx, name);
        let now = cx.now().as_millisecond();
        cx.write(&self.store, move |tx| {
            let mut trail = find(tx, &place)?;
            if trail.logging != on {
                trail.logging = on;
                let since = if on { &mut trail.started_ms } else { &mut trail.stopped_ms };
                *since = Some(now);
                trail.save(tx)?;
            }
            if !on {
                // What has gathered is brought at once.
                deliver::now(tx, &trail.arn())?;
            }
            Ok::<_, Error>(())
        })
        .await?;
        self.keeper.look().await
    }
}

#[async_trait]
impl Handle<StartLogging> for Trails {
    async fn handle(&self, cx: &Cx, req: StartLoggingRequest) -> Result<StartLoggingResponse, Error> {
        self.turn(cx, &req.name, true).await?;
        Ok(StartLoggingResponse {})
    }
}

#[async_trait]
impl Handle<StopLogging> for Trails {
    async fn handle(&self, cx: &Cx, req: StopLoggingRequest) -> Result<StopLoggingResponse, Error> {
        self.turn(cx, &req.name, false).await?;
        Ok(StopLoggingResponse {})
    }
}

#[async_trait]
impl Handle<GetTrailStatus> for Trails {
    async fn handle(&self, cx: &Cx, req: GetTrailStatusRequest) -> Result<GetTrailStatusResponse, Error> {
        let place = place(cx, &req.name);
        let (trail, delivered) = self
            .store
            .read(|tx| {
                let trail = find(tx, &place)?;
                let delivered: Delivered = tx.get_json(trail.delivered())?.unwrap_or_default();
                Ok::<_, Error>((trail, delivered))
            })
            .await?;
        let told = |ms: Option<i64>| {
            let at = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
            Some(at.map(event::told_time).unwrap_or_default())
        };
        let attempted = delivered.attempt_ms;
        Ok(GetTrailStatusResponse {
            is_logging: Some(trail.logging),
            latest_delivery_error: delivered.error.clone(),
            latest_delivery_time: delivered.last_ms.map(Timestamp::from_millis),
            start_logging_time: trail.started_ms.map(Timestamp::from_millis),
            stop_logging_time: trail.stopped_ms.map(Timestamp::from_millis),
            latest_delivery_attempt_time: told(attempted),
            latest_delivery_attempt_succeeded: told(attempted.filter(|_| delivered.error.is_none())),
            latest_notification_attempt_time: Some(String::new()),
            latest_notification_attempt_succeeded: Some(String::new()),
            time_logging_started: told(trail.started_ms),
            time_logging_stopped: told(trail.stopped_ms),
            ..GetTrailStatusResponse::default()
        })
    }
}
