//! Log events: put, read a stream, search a group.

use api_logs::error::{invalid_parameter_exception, operation_aborted_exception};
use api_logs::{
    FilterLogEvents, FilterLogEventsRequest, FilterLogEventsResponse, FilteredLogEvent, GetLogEvents,
    GetLogEventsRequest, GetLogEventsResponse, OutputLogEvent, PutLogEvents, PutLogEventsRequest, PutLogEventsResponse,
    RejectedLogEventsInfo,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::limit;
use super::queries::group_of;
use crate::Telemetry;
use crate::filters;
use crate::logs::{Batch, EVENT_OVERHEAD, MAX_SPAN_MS, Page, Scope, Wanted};
use crate::metrics::series::Home;
use crate::pattern::Pattern;
use crate::seal::{Seal, group_arn};

/// Source: PutLogEvents: a batch is at most 1,048,576 bytes, counting 26 for each event.
const MAX_BATCH_BYTES: usize = 1_048_576;
const DAY_MS: i64 = 24 * 3600 * 1000;
const OLDEST_DAYS: i64 = 14;
const NEWEST_MS: i64 = 2 * 3600 * 1000;
/// Events of one page, and the bytes of their messages. Source: API Reference, GetLogEvents, FilterLogEvents.
const PAGE: usize = 10_000;
const PAGE_BYTES: usize = 1_048_576;

#[async_trait]
impl Handle<PutLogEvents> for Telemetry {
    async fn handle(&self, cx: &Cx, req: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        let size: usize = req.log_events.iter().map(|e| e.message.len() + EVENT_OVERHEAD).sum();
        if size > MAX_BATCH_BYTES {
            return Err(invalid_parameter_exception(format!(
                "Upload too large: {size} bytes exceeds limit of {MAX_BATCH_BYTES}"
            )));
        }
        let times = || req.log_events.iter().map(|e| e.timestamp);
        let (Some(first), Some(last)) = (times().min(), times().max()) else {
            return Err(invalid_parameter_exception("logEvents must not be empty"));
        };
        if last.saturating_sub(first) > MAX_SPAN_MS {
            return Err(invalid_parameter_exception(
                "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
            ));
        }
        if !times().is_sorted() {
            return Err(invalid_parameter_exception(
                "Log events in a single PutLogEvents request must be in chronological order.",
            ));
        }
        let (scope, home, now) = (Scope::of(cx), Home::of(cx), cx.now().as_millisecond());
        let events: Vec<(i64, String)> = req.log_events.into_iter().map(|e| (e.timestamp, e.message)).collect();
        let (group, name) = (req.log_group_name, req.log_stream_name);
        let seal = self.seal_of(cx, &scope, &group).await?;
        // Nobody listens as a rule.
        let told = (!self.tails.is_empty())
            .then(|| (group_arn(cx.account(), cx.region(), &group), name.clone(), events.clone()));
        let (rejected, taken) = cx
            .write(&self.store, move |tx| {
                let mut stream = scope.load_stream(tx, &group, &name)?;
                let found = scope.load_group(tx, &group)?;
                if !Seal::is_of(seal.as_ref(), &found) {
                    return Err(operation_aborted_exception("The log group's KMS key has just changed."));
                }
                let (rejected, taken) = timely(&events, now, found.retention_days);
                let events = events.get(taken.clone()).unwrap_or_default();
                let (Some((first, _)), Some((last, _))) = (events.first(), events.last()) else {
                    return Ok((rejected, taken));
                };
                let (first, last) = (*first, *last);
                let batch = Batch { stream: name.clone(), ingested_ms: now, events: events.to_vec(), sealed: None };
                stream.first_ms = Some(stream.first_ms.map_or(first, |t| t.min(first)));
                stream.last_ms = Some(stream.last_ms.map_or(last, |t| t.max(last)));
                stream.ingested_ms = Some(now);
                scope.count(tx, &group, batch.size())?;
                stream.bytes += batch.size();
                tx.put_json(scope.stream(&group, &batch.stream), &stream)?;
                let number = tx.next_number(scope.counter())?;
                filters::apply(tx, &scope, &home, &group, &batch, (number, seal.as_ref()))?;
                let key = scope.batch(&group, first, &batch.stream, number);
                tx.put_json(key, &batch.kept(seal.as_ref())?)?;
                Ok::<_, Error>((rejected, taken))
            })
            .await?;
        if let Some((group, stream, events)) = told {
            self.tails.tell(&group, &stream, now, events.get(taken).unwrap_or_default());
        }
        Ok(PutLogEventsResponse {
            next_sequence_token: Some(format!("{now}")),
            rejected_log_events_info: rejected,
            ..Default::default()
        })
    }
}

/// Which of the events, in order of time, are taken, and what is said of the others: those of more than two hours to come, of more than
/// 14 days ago, and of before the group's retention are passed over. Source: API Reference, PutLogEvents and RejectedLogEventsInfo.
fn timely(
    events: &[(i64, String)],
    now: i64,
    retention_days: Option<i32>,
) -> (Option<RejectedLogEventsInfo>, std::ops::Range<usize>) {
    let before = |at: i64| events.partition_point(|(time, _)| *time < at);
    let too_old = before(now - OLDEST_DAYS * DAY_MS);
    let expired = retention_days.map_or(0, |days| before(now - i64::from(days) * DAY_MS));
    let too_new = before(now + NEWEST_MS + 1);
    let index = |at: usize| i32::try_from(at).ok();
    let rejected = RejectedLogEventsInfo {
        too_new_log_event_start_index: index(too_new).filter(|_| too_new < events.len()),
        too_old_log_event_end_index: index(too_old).filter(|_| too_old > 0),
        expired_log_event_end_index: index(expired).filter(|_| expired > too_old),
    };
    (Some(rejected).filter(|info| *info != RejectedLogEventsInfo::default()), too_old.max(expired)..too_new)
}

#[async_trait]
impl Handle<GetLogEvents> for Telemetry {
    async fn handle(&self, cx: &Cx, req: GetLogEventsRequest) -> Result<GetLogEventsResponse, Error> {
        let group = req.log_group_name.or(req.log_group_identifier);
        let group =
            group.ok_or_else(|| invalid_parameter_exception("Either logGroupName or logGroupIdentifier is needed"))?;
        let group = group_of(cx, &group)?;
        let scope = Scope::of(cx);
        self.store.read(|tx| scope.load_stream(tx, &group, &req.log_stream_name)).await?;
        // A token is a direction and the id of the event that the page ended with.
        let (forward, at) = match req.next_token.as_deref() {
            Some(token) => match token.split_once('/') {
                Some(("f", id)) => (true, Some(id.to_owned())),
                Some(("b", id)) => (false, Some(id.to_owned())),
                _ => return Err(invalid_parameter_exception("The specified nextToken is invalid.")),
            },
            None => (req.start_from_head == Some(true), None),
        };
        let wanted = Wanted {
            range: (req.start_time.unwrap_or(0), req.end_time.unwrap_or(i64::MAX >> 1)),
            past: at.as_deref().filter(|id| !id.is_empty()),
            backward: !forward,
            limit: limit(req.limit, PAGE),
            bytes: PAGE_BYTES,
        };
        let page =
            self.read_page(cx, &group, wanted, |stream| stream == req.log_stream_name, |_, _| true).await?.events;
        let mark = |e: Option<&crate::logs::Event>| e.map(|e| e.id.clone()).or_else(|| at.clone()).unwrap_or_default();
        let (next, previous) = (mark(page.last()), mark(page.first()));
        let shown = page.into_iter().map(|e| OutputLogEvent {
            timestamp: Some(e.time_ms),
            message: Some(e.message),
            ingestion_time: Some(e.ingested_ms),
        });
        Ok(GetLogEventsResponse {
            events: Some(shown.collect()),
            next_forward_token: Some(format!("f/{next}")),
            next_backward_token: Some(format!("b/{previous}")),
        })
    }
}

#[async_trait]
impl Handle<FilterLogEvents> for Telemetry {
    async fn handle(&self, cx: &Cx, req: FilterLogEventsRequest) -> Result<FilterLogEventsResponse, Error> {
        let group = req.log_group_name.or(req.log_group_identifier);
        let group =
            group.ok_or_else(|| invalid_parameter_exception("Either logGroupName or logGroupIdentifier is needed"))?;
        let group = group_of(cx, &group)?;
        if req.log_stream_names.is_some() && req.log_stream_name_prefix.is_some() {
            return Err(invalid_parameter_exception(
                "logStreamNames and logStreamNamePrefix cannot be given together.",
            ));
        }
        let pattern = Pattern::parse(req.filter_pattern.as_deref().unwrap_or_default())?;
        let scope = Scope::of(cx);
        self.store.read(|tx| scope.load_group(tx, &group)).await?;
        let streams = |stream: &str| {
            req.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|s| s == stream))
                && req.log_stream_name_prefix.as_ref().is_none_or(|p| stream.starts_with(p.as_str()))
        };
        let wanted = Wanted {
            range: (req.start_time.unwrap_or(0), req.end_time.map_or(i64::MAX >> 1, |t| t.saturating_add(1))),
            past: req.next_token.as_deref(),
            backward: false,
            limit: limit(req.limit, PAGE),
            bytes: PAGE_BYTES,
        };
        let Page { events, more } =
            self.read_page(cx, &group, wanted, streams, |_, message| pattern.matches(message)).await?;
        let next_token = events.last().filter(|_| more).map(|e| e.id.clone());
        let shown = events.into_iter().map(|e| FilteredLogEvent {
            log_stream_name: Some(e.stream),
            timestamp: Some(e.time_ms),
            message: Some(e.message),
            ingestion_time: Some(e.ingested_ms),
            event_id: Some(e.id),
        });
        Ok(FilterLogEventsResponse {
            events: Some(shown.collect()),
            searched_log_streams: Some(Vec::new()),
            next_token,
        })
    }
}
