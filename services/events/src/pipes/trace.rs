//! What is told of a pipe's executions: metrics in `AWS/EventBridge/Pipes` and, where the pipe says so, a record of each step in a log
//! group. Sources: EventBridge User Guide, "Logging and monitoring Amazon EventBridge Pipes", "EventBridge Pipes execution steps",
//! "EventBridge Pipes log schema reference".

use api_logs::{CreateLogStream, CreateLogStreamRequest, InputLogEvent, PutLogEvents, PutLogEventsRequest};
use api_pipes::{
    CloudwatchLogsLogDestination, DescribePipeResponse, PipeLogConfiguration, PipeLogConfigurationParameters,
};
use serde_json::{Value, json};
use service::Cx;
use service::meter::Measured;
use tokio::time::Instant;
use wire::Error;
use wire::arn::Arn;

use super::batch::{Event, Failures};

const NAMESPACE: &str = "AWS/EventBridge/Pipes";
/// Characters of a field of a record; what is longer is cut, and named. Source: the schema reference, `truncatedFields`.
const MOST_PAYLOAD: usize = 160_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Info,
    Trace,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Info => "INFO",
            Self::Trace => "TRACE",
        }
    }

    fn of(name: &str) -> Option<Self> {
        [Self::Error, Self::Info, Self::Trace].into_iter().find(|level| level.name() == name)
    }
}

/// A log configuration as it is kept, if it is one that is served.
pub(super) fn configured(given: PipeLogConfigurationParameters) -> Result<PipeLogConfiguration, Error> {
    if given.s3_log_destination.is_some() || given.firehose_log_destination.is_some() {
        return Err(Error::not_implemented("logs of pipes in S3 and Firehose"));
    }
    let destination = given.cloudwatch_logs_log_destination.map(|own| own.log_group_arn);
    let is_group = |arn: &String| {
        Arn::parse(arn).is_some_and(|arn| arn.service == "logs" && arn.resource.starts_with("log-group:"))
    };
    if destination.as_ref().is_some_and(|arn| !is_group(arn)) {
        return Err(Error::validation("CloudwatchLogsLogDestination.LogGroupArn must be the ARN of a log group."));
    }
    if given.level != "OFF" && destination.is_none() {
        return Err(Error::validation("A log destination is required unless the level is OFF."));
    }
    Ok(PipeLogConfiguration {
        cloudwatch_logs_log_destination: destination
            .map(|arn| CloudwatchLogsLogDestination { log_group_arn: Some(arn) }),
        level: Some(given.level),
        include_execution_data: given.include_execution_data,
        ..PipeLogConfiguration::default()
    })
}

/// Where a pipe logs, up to which level, and whether with the events.
struct Log {
    group: Arn,
    level: Level,
    with_data: bool,
}

impl Log {
    fn of(shown: &DescribePipeResponse) -> Option<Self> {
        let set = shown.log_configuration.as_ref()?;
        let group = set.cloudwatch_logs_log_destination.as_ref()?.log_group_arn.as_deref().and_then(Arn::parse)?;
        let level = Level::of(set.level.as_deref()?)?;
        Some(Self { group, level, with_data: set.include_execution_data.iter().flatten().any(|one| one == "ALL") })
    }
}

/// One execution: a batch on its way.
pub(super) struct Trace<'a> {
    shown: &'a DescribePipeResponse,
    cx: &'a Cx,
    log: Option<Log>,
    id: String,
    began: Instant,
    lines: Vec<(i64, String)>,
}

impl<'a> Trace<'a> {
    pub(super) fn begin(shown: &'a DescribePipeResponse, cx: &'a Cx, events: &[Event]) -> Self {
        let log = Log::of(shown);
        let mut trace = Self { shown, cx, log, id: cx.uuid(), began: Instant::now(), lines: Vec::new() };
        trace.count("Invocations", 1.0);
        trace.count("EventCount", amount(events.len()));
        let bytes: usize = events.iter().map(|event| event.value.to_string().len()).sum();
        trace.measure("EventSize", amount(bytes), "Bytes");
        let values: Vec<&Value> = events.iter().map(|event| &event.value).collect();
        trace.step(Level::Info, "EXECUTION_STARTED", Some(&json!(values)), None);
        trace
    }

    /// A stage has ended; `name` is `ENRICHMENT` or `TARGET`.
    pub(super) fn stage<T>(&mut self, name: &'static str, began: Instant, ended: &Result<T, Error>) {
        let metric = if name == "TARGET" { "TargetStage" } else { "EnrichmentStage" };
        self.measure(&format!("{metric}Duration"), began.elapsed().as_secs_f64() * 1000.0, "Milliseconds");
        match ended {
            Ok(_) => self.step(Level::Trace, &format!("{name}_INVOCATION_SUCCEEDED"), None, None),
            Err(error) => {
                self.count(&format!("{metric}Failed"), 1.0);
                self.step(Level::Error, &format!("{name}_INVOCATION_FAILED"), None, Some(error));
            }
        }
        self.step(Level::Info, &format!("{name}_STAGE_EXITED"), None, None);
    }

    pub(super) fn enter(&mut self, name: &'static str) {
        self.step(Level::Info, &format!("{name}_STAGE_ENTERED"), None, None);
        self.step(Level::Trace, &format!("{name}_INVOCATION_STARTED"), None, None);
    }

    /// Nothing is left for the target.
    pub(super) fn skip_target(&mut self) {
        self.count("TargetStageSkipped", 1.0);
        self.step(Level::Error, "TARGET_INVOCATION_SKIPPED", None, None);
    }

    /// The execution has ended.
    pub(super) async fn end(mut self, ended: &Result<Failures, Error>) {
        self.measure("Duration", self.began.elapsed().as_secs_f64() * 1000.0, "Milliseconds");
        let failed = match ended {
            Err(error) => {
                self.step(Level::Error, "EXECUTION_FAILED", None, Some(error));
                ("ExecutionFailed", 1.0)
            }
            Ok(failures) if failures.is_empty() => {
                self.step(Level::Info, "EXECUTION_SUCCEEDED", None, None);
                ("ExecutionFailed", 0.0)
            }
            Ok(_) => {
                self.count("TargetStagePartiallyFailed", 1.0);
                self.step(Level::Error, "TARGET_INVOCATION_PARTIALLY_FAILED", None, None);
                self.step(Level::Error, "EXECUTION_PARTIALLY_FAILED", None, None);
                ("ExecutionPartiallyFailed", 1.0)
            }
        };
        self.count(failed.0, failed.1);
        if self.lines.is_empty() {
            return;
        }
        if let Err(error) = self.put().await {
            tracing::warn!(pipe = self.shown.name, %error, "what a pipe did could not be logged");
        }
    }

    fn step(&mut self, level: Level, kind: &str, payload: Option<&Value>, error: Option<&Error>) {
        let Some(log) = self.log.as_ref().filter(|log| level <= log.level) else { return };
        let now = self.cx.now().as_millisecond();
        let mut record = json!({
            "resourceArn": self.shown.arn,
            "timestamp": now,
            "executionId": self.id,
            "messageType": kind,
            "logLevel": level.name(),
        });
        if let Some(payload) = payload.filter(|_| log.with_data) {
            let text = payload.to_string();
            let cut: String = text.chars().take(MOST_PAYLOAD).collect();
            record["truncatedFields"] = if cut.len() < text.len() { json!(["payload"]) } else { json!([]) };
            record["payload"] = json!(cut);
        }
        if let Some(error) = error {
            record["error"] = json!({
                "httpStatusCode": error.status(), "message": error.message(), "details": error.code(), "requestId": self.cx.request_id(),
            });
        }
        self.lines.push((now, record.to_string()));
    }

    async fn put(&mut self) -> Result<(), Error> {
        let Some(log) = &self.log else { return Ok(()) };
        let own = Cx::platform(self.cx.router(), &log.group.account, &log.group.region);
        let group = log.group.resource.trim_start_matches("log-group:").trim_end_matches(":*").to_owned();
        let name = self.shown.name.as_deref().unwrap_or_default();
        let stream = format!("{name}/{}", self.cx.now().strftime("%Y/%m/%d"));
        let events = std::mem::take(&mut self.lines).into_iter();
        let request = PutLogEventsRequest {
            log_group_name: group.clone(),
            log_stream_name: stream.clone(),
            log_events: events.map(|(timestamp, message)| InputLogEvent { timestamp, message }).collect(),
            ..PutLogEventsRequest::default()
        };
        match own.call::<PutLogEvents>(request.clone()).await {
            Err(error) if error.is("ResourceNotFoundException") => {}
            put => return put.map(drop),
        }
        let made = CreateLogStreamRequest { log_group_name: group, log_stream_name: stream };
        match own.call::<CreateLogStream>(made).await {
            Err(error) if !error.is("ResourceAlreadyExistsException") => return Err(error),
            _ => {}
        }
        own.call::<PutLogEvents>(request).await.map(drop)
    }

    fn count(&self, metric: &str, value: f64) {
        self.measure(metric, value, "Count");
    }

    fn measure(&self, metric: &str, value: f64, unit: &str) {
        let name = self.shown.name.as_deref().unwrap_or_default();
        let dimensions = &[("PipeName", name)];
        let (account, region) = (self.cx.account(), self.cx.region());
        self.cx.router().measure(Measured { account, region, namespace: NAMESPACE, metric, dimensions, value, unit });
    }
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
fn amount(count: usize) -> f64 {
    count as f64
}
