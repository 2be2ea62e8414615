//! What a script prints, into log groups such as `/aws-glue/jobs/output` and `/aws-glue/jobs/error`, one stream a run.

use std::collections::BTreeSet;
use std::time::Duration;

use api_logs::{CreateLogGroup, CreateLogGroupRequest, CreateLogStream, CreateLogStreamRequest};
use api_logs::{InputLogEvent, PutLogEvents, PutLogEventsRequest};
use compute::spark::Stream;
use service::Cx;
use tokio::sync::mpsc;
use wire::Error;

/// Lines sent at once; a line is at most 256 KiB, a call at most 1 MiB.
const LINES: usize = 500;
const CALL_BYTES: usize = 900 << 10;
const TRIES: u32 = 5;
/// Before the second try; longer before each after it.
const PAUSE: Duration = Duration::from_millis(200);

/// Forwards until the channel closes. A log that cannot be written does not fail the run. What is done before the script begins goes
/// to the log of errors, where AWS's runs have it, and the newest line of it to `prepares`.
pub(super) async fn forward<F: Future<Output = ()>>(
    cx: &Cx,
    groups: &str,
    run: &str,
    mut lines: mpsc::Receiver<(Stream, String)>,
    prepares: impl Fn(String) -> F,
) {
    let mut made = BTreeSet::new();
    let mut batch = Vec::new();
    let mut warned = false;
    while lines.recv_many(&mut batch, LINES).await > 0 {
        let now = cx.now().as_millisecond();
        let preparation = batch.iter().rev().find(|(stream, _)| *stream == Stream::Preparation);
        if let Some((_, line)) = preparation {
            prepares(format!("Preparing: {line}")).await;
        }
        for (stream, group) in [(Stream::Output, "output"), (Stream::Error, "error")] {
            let group = &format!("{groups}/{group}");
            let of_this = batch.iter().filter_map(|(from, line)| match from {
                Stream::Preparation => (stream == Stream::Error).then(|| format!("Preparing: {line}")),
                _ => (*from == stream).then(|| line.clone()),
            });
            let events: Vec<_> = of_this.map(|message| InputLogEvent { timestamp: now, message }).collect();
            if events.is_empty() {
                continue;
            }
            let sent = async {
                if made.insert(stream) {
                    make(cx, group, run).await?;
                }
                put(cx, group, run, events).await
            };
            if let Err(error) = sent.await
                && !std::mem::replace(&mut warned, true)
            {
                tracing::warn!(%error, run, "the output of a job run could not be logged");
            }
        }
        batch.clear();
    }
}

async fn make(cx: &Cx, group: &str, run: &str) -> Result<(), Error> {
    let exists = |result: Result<_, Error>| match result {
        Err(e) if !e.is("ResourceAlreadyExistsException") => Err(e),
        _ => Ok(()),
    };
    let input = CreateLogGroupRequest { log_group_name: group.to_owned(), ..Default::default() };
    exists(cx.call::<CreateLogGroup>(input).await)?;
    let input = CreateLogStreamRequest { log_group_name: group.to_owned(), log_stream_name: run.to_owned() };
    exists(cx.call::<CreateLogStream>(input).await)
}

async fn put(cx: &Cx, group: &str, run: &str, events: Vec<InputLogEvent>) -> Result<(), Error> {
    let mut rest = events.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while let Some(event) = rest.next_if(|e| part.is_empty() || bytes + e.message.len() < CALL_BYTES) {
            bytes += event.message.len() + 26;
            part.push(event);
        }
        let input = PutLogEventsRequest {
            log_group_name: group.to_owned(),
            log_stream_name: run.to_owned(),
            log_events: part,
            ..Default::default()
        };
        put_once(cx, &input).await?;
    }
    Ok(())
}

/// Lines are not lost for a moment in which the log cannot be written.
async fn put_once(cx: &Cx, input: &PutLogEventsRequest) -> Result<(), Error> {
    for attempt in 1.. {
        match cx.call::<PutLogEvents>(input.clone()).await {
            Ok(_) => break,
            Err(error) if attempt == TRIES => return Err(error),
            // Somebody deleted the group meanwhile, as one does to empty it.
            Err(error) if error.is("ResourceNotFoundException") => {
                make(cx, &input.log_group_name, &input.log_stream_name).await?;
            }
            Err(_) => cx.router().clock().sleep(PAUSE * attempt).await,
        }
    }
    Ok(())
}
