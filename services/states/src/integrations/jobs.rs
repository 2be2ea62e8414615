//! The `.sync` integrations: how a job is asked after, what its end looks like, how it is stopped.

use std::time::Duration;

use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Job {
    Run,
    Query,
    Transform,
    Execution,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Progress {
    Running,
    Succeeded,
    Failed,
}

impl Job {
    pub(super) fn of(service: &str, action: &str) -> Option<Self> {
        Some(match (service, action) {
            ("glue", "startJobRun") => Self::Run,
            ("athena", "startQueryExecution") => Self::Query,
            ("sagemaker", "createTransformJob") => Self::Transform,
            ("states", "startExecution") => Self::Execution,
            _ => return None,
        })
    }

    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Run => "glue",
            Self::Query => "athena",
            Self::Transform => "sagemaker",
            Self::Execution => "states",
        }
    }

    pub(super) fn describe(self, parameters: &Value, started: &Value) -> (&'static str, Value) {
        match self {
            Self::Run => ("getJobRun", json!({ "JobName": parameters["JobName"], "RunId": started["JobRunId"] })),
            Self::Query => ("getQueryExecution", json!({ "QueryExecutionId": started["QueryExecutionId"] })),
            Self::Transform => ("describeTransformJob", json!({ "TransformJobName": parameters["TransformJobName"] })),
            Self::Execution => ("describeExecution", json!({ "ExecutionArn": started["ExecutionArn"] })),
        }
    }

    pub(super) fn stop(self, parameters: &Value, started: &Value) -> (&'static str, Value) {
        match self {
            Self::Run => {
                ("batchStopJobRun", json!({ "JobName": parameters["JobName"], "JobRunIds": [started["JobRunId"]] }))
            }
            Self::Query => ("stopQueryExecution", json!({ "QueryExecutionId": started["QueryExecutionId"] })),
            Self::Transform => ("stopTransformJob", json!({ "TransformJobName": parameters["TransformJobName"] })),
            Self::Execution => ("stopExecution", json!({ "ExecutionArn": started["ExecutionArn"] })),
        }
    }

    pub(super) fn progress(self, answer: &Value) -> Progress {
        let status = match self {
            Self::Run => &answer["JobRun"]["JobRunState"],
            Self::Query => &answer["QueryExecution"]["Status"]["State"],
            Self::Transform => &answer["TransformJobStatus"],
            Self::Execution => &answer["Status"],
        };
        match status.as_str().unwrap_or_default() {
            "SUCCEEDED" | "Completed" => Progress::Succeeded,
            "FAILED" | "TIMEOUT" | "STOPPED" | "ERROR" | "EXPIRED" | "CANCELLED" | "Failed" | "Stopped"
            | "TIMED_OUT" | "ABORTED" => Progress::Failed,
            _ => Progress::Running,
        }
    }

    /// What the state gets. Of an execution, `.sync:2` shows input and output as JSON rather than as text.
    pub(super) fn output(self, answer: Value, as_json: bool) -> Value {
        match (self, answer) {
            (Self::Run, Value::Object(mut answer)) => answer.remove("JobRun").unwrap_or_default(),
            (Self::Execution, Value::Object(mut answer)) => {
                answer.retain(|name, _| !name.starts_with("Redrive"));
                if as_json {
                    parse_member(&mut answer, "Input");
                    parse_member(&mut answer, "Output");
                }
                Value::Object(answer)
            }
            (_, answer) => answer,
        }
    }

    /// How long to wait before asking again: a little more the longer it takes.
    pub(super) fn delay(self, waited: jiff::SignedDuration) -> Duration {
        let first_ms = if self == Self::Execution { 10 } else { 50 };
        let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(0);
        Duration::from_millis((first_ms + waited_ms / 25).min(2000))
    }
}

fn parse_member(answer: &mut Map<String, Value>, name: &str) {
    if let Some(member) = answer.get_mut(name)
        && let Some(parsed) = member.as_str().and_then(|text| serde_json::from_str(text).ok())
    {
        *member = parsed;
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;

    use super::{Job, Progress};

    #[test]
    fn jobs_end_as_their_service_says() {
        let run = json!({"JobRun": {"Id": "jr", "JobRunState": "SUCCEEDED"}});
        assert_eq!(Job::Run.progress(&run), Progress::Succeeded);
        assert_eq!(Job::Run.output(run, false), json!({"Id": "jr", "JobRunState": "SUCCEEDED"}));
        assert_eq!(Job::Transform.progress(&json!({"TransformJobStatus": "InProgress"})), Progress::Running);
        assert_eq!(Job::Query.progress(&json!({"QueryExecution": {"Status": {"State": "FAILED"}}})), Progress::Failed);
        let execution = json!({"Output": "{\"a\":1}", "Status": "SUCCEEDED", "RedriveCount": 0});
        assert_eq!(Job::Execution.output(execution.clone(), true), json!({"Output": {"a": 1}, "Status": "SUCCEEDED"}));
        assert_eq!(Job::Execution.output(execution, false), json!({"Output": "{\"a\":1}", "Status": "SUCCEEDED"}));
        let delays = [0, 5, 600].map(|seconds| Job::Run.delay(SignedDuration::from_secs(seconds)).as_millis());
        assert_eq!(delays, [50, 250, 2000]);
    }
}
