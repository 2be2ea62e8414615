//! SelectObjectContent over HTTP: the answer as events, while the object is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use s3s::dto::{
    EndEvent, Progress, ProgressEvent, RecordsEvent, SelectObjectContentEvent, SelectObjectContentEventStream,
    SelectObjectContentInput, SelectObjectContentOutput, Stats, StatsEvent,
};
use s3s::{S3Request, S3Result};
use wire::Error;

use super::convert::{customer_key, error};
use super::{Answer, answer, cx};
use crate::S3;
use crate::archive;
use crate::body::{BoxSync, Opened, Reader};
use crate::buckets::now_ms;
use crate::select::{ParquetRows, Ranges, Select};

/// Most bytes of one Records event.
const EVENT_BYTES: usize = 1 << 20;

pub(super) async fn object(s3: &S3, req: S3Request<SelectObjectContentInput>) -> Answer<SelectObjectContentOutput> {
    let called = cx(&req)?;
    let input = req.input;
    let customer = customer_key!(input);
    let reader = Reader { cx: &called, customer: customer.as_ref() };
    let opened = s3.open(&input.bucket, &input.key, None, reader).await.map_err(error)?;
    archive::check_readable(&opened.record, now_ms(&called), false).map_err(error)?;
    let size = opened.record.size;
    let mut select = Select::new(&input.request, size, called.now()).map_err(|invalid| error(invalid.into()))?;
    crate::lineage::read(&called, &input.bucket, &input.key, &opened.record, &(0..size));
    let progress = input.request.request_progress.and_then(|progress| progress.enabled).unwrap_or(false);
    let read = Arc::new(AtomicU64::new(0));
    let source = match select.parquet(ranges(opened.clone(), Arc::clone(&read)), size) {
        Some(rows) => Source::Rows(rows),
        None => Source::Bytes(opened.clone().stream(select.begin()..size)),
    };
    let state = State { select, opened, source, read, progress };
    let events = stream::unfold(Some(state), next).flat_map(stream::iter);
    answer(SelectObjectContentOutput { payload: Some(SelectObjectContentEventStream::new(events)) })
}

/// What of an object is asked for as it is needed, counted.
fn ranges(opened: Opened, read: Arc<AtomicU64>) -> Ranges {
    Arc::new(move |range| {
        let opened = opened.clone();
        read.fetch_add(range.end - range.start, Ordering::Relaxed);
        Box::pin(async move { opened.bytes(range).await.map_err(std::io::Error::other) })
    })
}

struct State {
    select: Select,
    opened: Opened,
    source: Source,
    /// Bytes of a Parquet object that were read.
    read: Arc<AtomicU64>,
    progress: bool,
}

/// Where records come from.
enum Source {
    Bytes(BoxSync),
    Rows(ParquetRows),
    End,
}

impl State {
    /// What the next piece gives; the end of it is noted.
    async fn given(&mut self) -> Result<Bytes, Error> {
        let given = match &mut self.source {
            Source::Bytes(bytes) if !self.select.has_read() => match bytes.next().await {
                Some(piece) => Some(self.select.feed(&piece.map_err(Error::internal)?)?),
                None => None,
            },
            Source::Rows(rows) if !self.select.has_read() => match rows.next().await? {
                Some(rows) => Some((self.select.rows(rows, self.read.load(Ordering::Relaxed))?, false)),
                None => None,
            },
            _ => None,
        };
        let Some((given, jumps)) = given else {
            self.source = Source::End;
            return Ok(self.select.end()?);
        };
        if jumps {
            let size = self.opened.record.size;
            self.source = Source::Bytes(self.opened.clone().stream(self.select.begin().min(size)..size));
        }
        Ok(given)
    }
}

type Events = Vec<S3Result<SelectObjectContentEvent>>;

/// The events of the next piece of the object; after those of the end, or of what went wrong, there are no more.
async fn next(state: Option<State>) -> Option<(Events, Option<State>)> {
    let mut state = state?;
    let mut events = match state.given().await {
        Ok(bytes) => records(bytes),
        Err(failed) => return Some((vec![Err(error(failed))], None)),
    };
    let (scanned, processed, returned) = counts(&state.select);
    if state.progress {
        let details = Progress { bytes_scanned: scanned, bytes_processed: processed, bytes_returned: returned };
        events.push(Ok(SelectObjectContentEvent::Progress(ProgressEvent { details: Some(details) })));
    }
    if !matches!(state.source, Source::End) {
        return Some((events, Some(state)));
    }
    let details = Stats { bytes_scanned: scanned, bytes_processed: processed, bytes_returned: returned };
    events.push(Ok(SelectObjectContentEvent::Stats(StatsEvent { details: Some(details) })));
    events.push(Ok(SelectObjectContentEvent::End(EndEvent {})));
    Some((events, None))
}

fn counts(select: &Select) -> (Option<i64>, Option<i64>, Option<i64>) {
    let count = |number: u64| i64::try_from(number).ok();
    (count(select.scanned), count(select.processed), count(select.returned))
}

fn records(mut bytes: Bytes) -> Events {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let payload = bytes.split_to(bytes.len().min(EVENT_BYTES));
        events.push(Ok(SelectObjectContentEvent::Records(RecordsEvent { payload: Some(payload) })));
    }
    events
}
