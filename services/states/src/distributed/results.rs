//! What becomes of a run's results: the state's own result, or files in a bucket with a manifest of them.

use api_s3::{PutObject, PutObjectRequest};
use asl::{Export, MAX_PAYLOAD_BYTES, Status, WriterTransformation};
use engine::{ChildResult, OpenRun};
use serde_json::{Map, Value, json};
use service::Cx;
use wire::{Blob, Error};

use super::object::{describe, patiently};
use super::{Items, MapRuns};

/// Children whose results are read at once.
const READ_AT_ONCE: u64 = 200;
/// A file of results is begun anew when it has grown to this. AWS begins one at 5 GB; here it is held in memory until it is written.
const MAX_FILE_BYTES: usize = 32 * 1024 * 1024;

/// Error and cause for which a run fails at its end.
type Failed = (&'static str, String);

/// The state's result. Results are exported also when the run has failed; the state has none then.
pub(super) async fn collect(
    runs: &MapRuns,
    open: &mut OpenRun,
    items: &mut Items,
) -> Result<Result<String, Failed>, Error> {
    let writer = open.run.writer.clone().unwrap_or_default();
    let form = Form { transformation: writer.transformation(), lines: writer.lines };
    if let Some(export) = writer.export {
        return self::export(runs, open, items, &export, form).await;
    }
    if open.run.failure.is_some() {
        return Ok(Ok(String::new()));
    }
    let mut text = Text::new(form);
    let mut from = 0;
    while from < open.run.progress.children {
        for result in runs.engine.child_results(open, from, READ_AT_ONCE).await? {
            text.add(&result);
        }
        if text.bytes() > MAX_PAYLOAD_BYTES {
            let state = open.run.state_name();
            let cause = format!(
                "The state/task '{state}' returned a result with a size exceeding the maximum number of bytes service limit."
            );
            return Ok(Err(("States.DataLimitExceeded", cause)));
        }
        from += READ_AT_ONCE;
    }
    let text = text.finish();
    Ok(Ok(if writer.lines { Value::String(text).to_string() } else { text }))
}

/// How results are written down.
#[derive(Clone, Copy)]
struct Form {
    transformation: WriterTransformation,
    lines: bool,
}

/// Results put together.
struct Text {
    form: Form,
    entries: String,
    empty: bool,
}

impl Text {
    fn new(form: Form) -> Self {
        let entries = if form.lines { String::new() } else { "[".to_owned() };
        Self { form, entries, empty: true }
    }

    fn bytes(&self) -> usize {
        self.entries.len() + usize::from(!self.form.lines)
    }

    fn add(&mut self, result: &ChildResult) {
        let output = result.summary.output.as_ref().filter(|_| result.summary.status == Status::Succeeded);
        match (self.form.transformation, output) {
            (WriterTransformation::Compact, Some(output)) => self.push(output.text()),
            (WriterTransformation::Flatten, Some(output)) => match output.value() {
                Value::Array(elements) => {
                    for element in elements {
                        self.push(&element.to_string());
                    }
                }
                _ => self.push(output.text()),
            },
            _ => self.push(&record(result).to_string()),
        }
    }

    fn push(&mut self, entry: &str) {
        if !std::mem::take(&mut self.empty) {
            self.entries.push(if self.form.lines { '\n' } else { ',' });
        }
        self.entries.push_str(entry);
    }

    fn finish(mut self) -> String {
        if !self.form.lines {
            self.entries.push(']');
        }
        self.entries
    }
}

/// A child with what it was given and what became of it.
fn record(result: &ChildResult) -> Value {
    let (summary, info) = (&result.summary, &result.info);
    let redrivable = !matches!(summary.status, Status::Running | Status::Succeeded);
    let mut record = Map::new();
    let mut put = |name: &str, value: Value| record.insert(name.to_owned(), value);
    if let Some(cause) = &summary.cause {
        put("Cause", json!(cause));
    }
    if let Some(error) = &summary.error {
        put("Error", json!(error));
    }
    put("ExecutionArn", json!(result.arn.as_str()));
    put("Input", json!(info.input.text()));
    put("InputDetails", json!({ "Included": true }));
    put("Name", json!(summary.name));
    if let Some(output) = &summary.output {
        put("Output", json!(output.text()));
    }
    put("OutputDetails", json!({ "Included": true }));
    put("RedriveCount", json!(summary.redrive.count));
    if let Some(at) = summary.redrive.at {
        put("RedriveDate", json!(at.to_iso()));
    }
    put("RedriveStatus", json!(if redrivable { "REDRIVABLE_BY_MAP_RUN" } else { "NOT_REDRIVABLE" }));
    if !redrivable {
        let reason = format!("Execution is {} and cannot be redriven", summary.status.name());
        put("RedriveStatusReason", json!(reason));
    }
    put("StartDate", json!(summary.started.to_iso()));
    put("StateMachineArn", json!(summary.state_machine_arn));
    put("Status", json!(summary.status.name()));
    if let Some(stopped) = summary.stopped {
        put("StopDate", json!(stopped.to_iso()));
    }
    Value::Object(record)
}

async fn export(
    runs: &MapRuns,
    open: &mut OpenRun,
    items: &mut Items,
    export: &Export,
    form: Form,
) -> Result<Result<String, Failed>, Error> {
    let cx = match runs.acting(open).await {
        Ok(cx) => cx,
        Err(cause) => return Ok(Err(failed(cause))),
    };
    let folder = format!("{}{}", folder(&export.prefix), open.run.id());
    let failures = Form { transformation: WriterTransformation::None, ..form };
    let mut succeeded = Files::new(&cx, export, &folder, "SUCCEEDED", form);
    let mut unsuccessful = Files::new(&cx, export, &folder, "FAILED", failures);
    let mut from = 0;
    while from < open.run.progress.children {
        for result in runs.engine.child_results(open, from, READ_AT_ONCE).await? {
            let files = if result.summary.status == Status::Succeeded { &mut succeeded } else { &mut unsuccessful };
            if let Err(cause) = files.add(|text| text.add(&result)).await {
                return Ok(Err(failed(cause)));
            }
        }
        from += READ_AT_ONCE;
    }
    let mut pending = Files::new(&cx, export, &folder, "PENDING", failures);
    let written = async {
        runs.add_pending(open, items, &mut pending).await?;
        let files = json!({
            "FAILED": unsuccessful.finish().await?,
            "PENDING": pending.finish().await?,
            "SUCCEEDED": succeeded.finish().await?,
        });
        let key = format!("{folder}/manifest.json");
        let manifest = json!({ "DestinationBucket": export.bucket, "MapRunArn": open.run.arn, "ResultFiles": files });
        put(&cx, export, key.clone(), manifest.to_string()).await?;
        Ok(json!({
            "MapRunArn": open.run.arn,
            "ResultWriterDetails": { "Bucket": export.bucket, "Key": key },
        }))
    };
    match written.await {
        Ok(output) => {
            open.run.progress.results_written = true;
            Ok(Ok(output.to_string()))
        }
        Err(cause) => Ok(Err(failed(cause))),
    }
}

fn failed(cause: String) -> Failed {
    ("States.ResultWriterFailed", cause)
}

fn folder(prefix: &str) -> String {
    if prefix.is_empty() || prefix.ends_with('/') { prefix.to_owned() } else { format!("{prefix}/") }
}

impl MapRuns {
    /// Children that were not started because the run failed.
    async fn add_pending(&self, open: &mut OpenRun, items: &mut Items, pending: &mut Files<'_>) -> Result<(), String> {
        if open.run.failure.is_none() || open.run.progress.exhausted {
            return Ok(());
        }
        let mut planned = open.run.clone();
        loop {
            // A source that cannot be read is known by then; what has been read of it is listed.
            let _ = self.read(open, items, super::READ_AHEAD).await;
            let now = asl::Timestamp(self.router.now().as_millisecond());
            let (_, bench) = open.parts();
            let Some((input, taken)) = planned.next_input(bench, now, &mut items.queue, items.last) else {
                return Ok(());
            };
            let index = planned.progress.children;
            planned.progress.children += 1;
            planned.progress.items_taken += taken;
            let entry = json!({
                "ExecutionArn": open.child_arn(index).as_str(),
                "Input": input,
                "InputDetails": { "Included": true },
                "Name": planned.child_name(index),
                "OutputDetails": { "Included": true },
                "RedriveCount": 0,
                "RedriveStatus": "NOT_REDRIVABLE",
                "RedriveStatusReason": "Execution is PENDING and cannot be redriven",
                "StateMachineArn": open.child_machine_arn(),
                "Status": "PENDING",
            });
            pending.add(|text| text.push(&entry.to_string())).await?;
        }
    }
}

/// The files of one status.
struct Files<'a> {
    cx: &'a Cx,
    export: &'a Export,
    folder: &'a str,
    status: &'static str,
    form: Form,
    text: Text,
    written: Vec<Value>,
}

impl<'a> Files<'a> {
    fn new(cx: &'a Cx, export: &'a Export, folder: &'a str, status: &'static str, form: Form) -> Self {
        Self { cx, export, folder, status, form, text: Text::new(form), written: Vec::new() }
    }

    async fn add(&mut self, entry: impl FnOnce(&mut Text)) -> Result<(), String> {
        entry(&mut self.text);
        if self.text.bytes() >= MAX_FILE_BYTES { self.flush().await } else { Ok(()) }
    }

    async fn flush(&mut self) -> Result<(), String> {
        let text = std::mem::replace(&mut self.text, Text::new(self.form));
        if text.empty {
            return Ok(());
        }
        let extension = if self.form.lines { "jsonl" } else { "json" };
        let key = format!("{}/{}_{}.{extension}", self.folder, self.status, self.written.len());
        let text = text.finish();
        self.written.push(json!({ "Key": key, "Size": text.len() }));
        put(self.cx, self.export, key, text).await
    }

    async fn finish(mut self) -> Result<Vec<Value>, String> {
        self.flush().await?;
        Ok(self.written)
    }
}

async fn put(cx: &Cx, export: &Export, key: String, text: String) -> Result<(), String> {
    let request = PutObjectRequest {
        bucket: export.bucket.clone(),
        key,
        body: Some(Blob(text.into_bytes().into())),
        content_type: Some("application/json".to_owned()),
        ..PutObjectRequest::default()
    };
    let put = patiently(cx, || cx.call::<PutObject>(request.clone())).await;
    put.map_err(|error| describe(&error, cx.request_id()))?;
    Ok(())
}
