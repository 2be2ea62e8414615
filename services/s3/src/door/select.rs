//! SelectObjectContent over HTTP: the answer as events, while the object is read.

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use s3s::dto::{
    EndEvent, Progress, ProgressEvent, RecordsEvent, SelectObjectContentEvent, SelectObjectContentEventStream,
    SelectObjectContentInput, SelectObjectContentOutput, Stats, StatsEvent,
};
use s3s::{S3Request, S3Result};

use super::convert::{customer_key, error};
use super::{Answer, answer, cx};
use crate::S3;
use crate::archive;
use crate::body::{BoxSync, Reader};
use crate::buckets::now_ms;
use crate::select::Select;

/// Most bytes of one Records event.
const EVENT_BYTES: usize = 1 << 20;

pub(super) async fn object(s3: &S3, req: S3Request<SelectObjectContentInput>) -> Answer<SelectObjectContentOutput> {
    let called = cx(&req)?;
    let input = req.input;
    let customer = customer_key!(input);
    let reader = Reader { cx: &called, customer: customer.as_ref() };
    let opened = s3.open(&input.bucket, &input.key, None, reader).await.map_err(error)?;
    archive::check_readable(&opened.record, now_ms(&called), false).map_err(error)?;
    let select = Select::new(&input.request, called.now()).map_err(|invalid| error(invalid.into()))?;
    crate::lineage::read(&called, &input.bucket, &input.key, &opened.record, &(0..opened.record.size));
    let size = opened.record.size;
    let progress = input.request.request_progress.and_then(|progress| progress.enabled).unwrap_or(false);
    let state = State { select, bytes: Some(opened.stream(0..size)), progress };
    let events = stream::unfold(Some(state), next).flat_map(stream::iter);
    answer(SelectObjectContentOutput { payload: Some(SelectObjectContentEventStream::new(events)) })
}

struct State {
    select: Select,
    /// None at the end.
    bytes: Option<BoxSync>,
    progress: bool,
}

type Events = Vec<S3Result<SelectObjectContentEvent>>;

/// The events of the next piece of the object; after those of the end, or of what went wrong, there are no more.
async fn next(state: Option<State>) -> Option<(Events, Option<State>)> {
    let mut state = state?;
    let piece = match &mut state.bytes {
        Some(bytes) if !state.select.is_done() => bytes.next().await,
        _ => None,
    };
    let given = match piece {
        Some(Ok(piece)) => state.select.feed(&piece),
        Some(Err(failed)) => return Some((vec![Err(error(wire::Error::internal(failed)))], None)),
        None => {
            state.bytes = None;
            state.select.end()
        }
    };
    let mut events = match given {
        Ok(bytes) => records(bytes),
        Err(invalid) => return Some((vec![Err(error(invalid.into()))], None)),
    };
    let (scanned, processed, returned) = counts(&state.select);
    if state.progress {
        let details = Progress { bytes_scanned: scanned, bytes_processed: processed, bytes_returned: returned };
        events.push(Ok(SelectObjectContentEvent::Progress(ProgressEvent { details: Some(details) })));
    }
    if state.bytes.is_some() {
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
