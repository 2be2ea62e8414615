//! The platform's own lines in a function's log: START, END and REPORT as text, or as JSON events within the function's
//! `SystemLogLevel` (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-log-level.html>).

use std::time::Duration;

use serde_json::{Value, json};

use crate::runtime::Blueprint;

/// How an invocation ended, as its report says it.
pub(crate) enum End {
    /// The function answered, with its own error or without.
    Success {
        failed: bool,
    },
    Error {
        kind: String,
    },
    Timeout {
        after: Duration,
    },
}

/// What is told of an invocation when it is over.
pub(crate) struct Report<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) took: Duration,
    /// How long the environment's start took, if this was its first.
    pub(crate) start: Option<Duration>,
    pub(crate) memory_mb: u64,
    pub(crate) used_mb: u64,
    pub(crate) end: End,
}

/// The first line of an invocation, or none: lines of JSON may be filtered.
pub(crate) fn start(request_id: &str, version: &str, is_first: bool, blueprint: &Blueprint) -> String {
    let Some((_, level)) = &blueprint.levels else {
        return format!("START RequestId: {request_id} Version: {version}\n");
    };
    let first = json!({
        "initializationType": "on-demand", "phase": "init", "functionName": blueprint.function, "functionVersion": version,
        "instanceMaxMemory": blueprint.memory_mb << 20,
    });
    let begun = json!({ "requestId": request_id, "functionArn": blueprint.arn, "version": version });
    let mut lines = if is_first { event("platform.initStart", &first, "INFO", level) } else { String::new() };
    lines.push_str(&event("platform.start", &begun, "INFO", level));
    lines
}

/// What the platform has to say of a function's start.
pub(crate) fn note(text: &str, blueprint: &Blueprint) -> String {
    if blueprint.levels.is_none() {
        return format!("[WARNING] Lakerun: {text}\n");
    }
    let timestamp = now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    format!("{}\n", json!({ "timestamp": timestamp, "level": "WARN", "message": format!("Lakerun: {text}") }))
}

impl Report<'_> {
    fn milliseconds(duration: Duration) -> f64 {
        (duration.as_secs_f64() * 1e5).round() / 100.0
    }

    /// Whole milliseconds, those of the start included.
    pub(crate) fn billed(&self) -> u128 {
        (self.took + self.start.unwrap_or_default()).as_nanos().div_ceil(1_000_000)
    }

    pub(crate) fn text(&self) -> Vec<String> {
        let id = self.request_id;
        let mut lines = Vec::new();
        let status = match &self.end {
            End::Success { .. } => String::new(),
            End::Error { kind } => format!("Status: error\tError Type: {kind}"),
            End::Timeout { after } => {
                let now = now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
                lines.push(format!("{now} {id} Task timed out after {:.2} seconds\n", after.as_secs_f64()));
                "Status: timeout".to_owned()
            }
        };
        let start = self.start.map(|start| format!("Init Duration: {:.2} ms\t", start.as_secs_f64() * 1e3));
        lines.push(format!("END RequestId: {id}\n"));
        lines.push(format!(
            "REPORT RequestId: {id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\tMax Memory Used: {} MB\t{}{status}\n",
            self.took.as_secs_f64() * 1e3,
            self.billed(),
            self.memory_mb,
            self.used_mb,
            start.unwrap_or_default(),
        ));
        lines
    }

    pub(crate) fn json(&self, level: &str) -> Vec<String> {
        let (status, failed) = match &self.end {
            End::Success { failed } => ("success", *failed),
            End::Error { .. } => ("error", true),
            End::Timeout { .. } => ("timeout", true),
        };
        // A function's own error is a failure of its invocation, and no fault of its runtime.
        let status = if failed && status == "success" { "error" } else { status };
        let mut metrics = json!({
            "durationMs": Self::milliseconds(self.took), "billedDurationMs": u64::try_from(self.billed()).unwrap_or(u64::MAX),
            "memorySizeMB": self.memory_mb, "maxMemoryUsedMB": self.used_mb,
        });
        if let Some(start) = self.start {
            metrics["initDurationMs"] = Self::milliseconds(start).into();
        }
        let mut done = json!({ "requestId": self.request_id, "status": status, "metrics": { "durationMs": Self::milliseconds(self.took) } });
        let mut report = json!({ "requestId": self.request_id, "metrics": metrics, "status": status });
        if let End::Error { kind } = &self.end {
            done["errorType"] = kind.as_str().into();
            report["errorType"] = kind.as_str().into();
        }
        vec![
            event("platform.runtimeDone", &done, if failed { "WARN" } else { "DEBUG" }, level),
            event("platform.report", &report, if failed { "WARN" } else { "INFO" }, level),
        ]
    }
}

/// The time that a line carries.
#[expect(
    clippy::disallowed_methods,
    reason = "the platform's lines stand between those of a function, which has the machine's time"
)]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// One event as a line, unless the function asks for graver ones only.
fn event(kind: &str, record: &Value, gravity: &str, level: &str) -> String {
    const LEVELS: [&str; 3] = ["DEBUG", "INFO", "WARN"];
    let rank = |level: &str| LEVELS.iter().position(|one| *one == level);
    if rank(gravity) < rank(level) {
        return String::new();
    }
    let time = now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string();
    format!("{}\n", json!({ "time": time, "type": kind, "record": record }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_as_text_and_as_json() {
        let report = |end, start| Report {
            request_id: "r",
            took: Duration::from_micros(1234),
            start,
            memory_mb: 128,
            used_mb: 30,
            end,
        };
        let text = report(End::Success { failed: false }, Some(Duration::from_millis(80))).text();
        assert_eq!(
            text,
            [
                "END RequestId: r\n",
                "REPORT RequestId: r\tDuration: 1.23 ms\tBilled Duration: 82 ms\tMemory Size: 128 MB\tMax Memory Used: 30 MB\tInit Duration: 80.00 ms\t\n"
            ]
        );
        let lines = report(End::Success { failed: false }, None).json("INFO");
        let event: Value = serde_json::from_str(&lines[1]).unwrap();
        assert_eq!(lines[0], "");
        assert_eq!((&event["type"], &event["record"]["status"]), (&json!("platform.report"), &json!("success")));
        assert_eq!(event["record"]["metrics"]["billedDurationMs"], 2);
        assert!(report(End::Success { failed: false }, None).json("WARN").iter().all(String::is_empty));
        let failed = report(End::Error { kind: "Runtime.ExitError".to_owned() }, None).json("WARN");
        assert!(failed.iter().all(|line| line.contains("Runtime.ExitError")), "{failed:?}");
    }
}
