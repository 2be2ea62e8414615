//! The `.sync` integrations: how a job is asked after, what its end looks like, how it is stopped.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
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

    /// What tells the job from all others of its service; the events of its end have it too.
    pub(super) fn name(self, parameters: &Value, started: &Value) -> String {
        let name = match self {
            Self::Run => &started["JobRunId"],
            Self::Query => &started["QueryExecutionId"],
            Self::Transform => &parameters["TransformJobName"],
            Self::Execution => &started["ExecutionArn"],
        };
        name.as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn describes(self) -> &'static str {
        match self {
            Self::Run => "getJobRun",
            Self::Query => "getQueryExecution",
            Self::Transform => "describeTransformJob",
            Self::Execution => "describeExecution",
        }
    }

    pub(super) fn stops(self) -> &'static str {
        match self {
            Self::Run => "batchStopJobRun",
            Self::Query => "stopQueryExecution",
            Self::Transform => "stopTransformJob",
            Self::Execution => "stopExecution",
        }
    }

    pub(super) fn describe(self, parameters: &Value, started: &Value) -> Value {
        match self {
            Self::Run => json!({ "JobName": parameters["JobName"], "RunId": started["JobRunId"] }),
            Self::Query => json!({ "QueryExecutionId": started["QueryExecutionId"] }),
            Self::Transform => json!({ "TransformJobName": parameters["TransformJobName"] }),
            Self::Execution => json!({ "ExecutionArn": started["ExecutionArn"] }),
        }
    }

    pub(super) fn stop(self, parameters: &Value, started: &Value) -> Value {
        match self {
            Self::Run => json!({ "JobName": parameters["JobName"], "JobRunIds": [started["JobRunId"]] }),
            _ => self.describe(parameters, started),
        }
    }

    /// The job that an event says has ended. An execution wakes who waits for it itself, in the commit of its end.
    pub(super) fn ended(source: &str, detail_type: &str, detail: &Value) -> Option<(Self, String)> {
        let (job, name, state) = match (source, detail_type) {
            ("aws.glue", "Glue Job State Change") => (Self::Run, "jobRunId", "state"),
            ("aws.athena", "Athena Query State Change") => (Self::Query, "queryExecutionId", "currentState"),
            ("aws.sagemaker", "SageMaker Transform Job State Change") => {
                (Self::Transform, "TransformJobName", "TransformJobStatus")
            }
            _ => return None,
        };
        let over = end_of(detail[state].as_str()?) != Progress::Running;
        over.then(|| Some((job, detail[name].as_str()?.to_owned())))?
    }

    pub(super) fn progress(self, answer: &Value) -> Progress {
        let status = match self {
            Self::Run => &answer["JobRun"]["JobRunState"],
            Self::Query => &answer["QueryExecution"]["Status"]["State"],
            Self::Transform => &answer["TransformJobStatus"],
            Self::Execution => &answer["Status"],
        };
        end_of(status.as_str().unwrap_or_default())
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

    /// How long to wait for news before the job is asked after, for the first time, the second, …
    pub(super) fn delay(self, time: u32) -> SignedDuration {
        let (first, longest) = if self == Self::Execution { (60, 3600) } else { (5, 300) };
        SignedDuration::from_secs((first << time.saturating_sub(1).min(10)).min(longest))
    }
}

fn end_of(status: &str) -> Progress {
    match status {
        "SUCCEEDED" | "Completed" => Progress::Succeeded,
        "FAILED" | "TIMEOUT" | "STOPPED" | "ERROR" | "EXPIRED" | "CANCELLED" | "Failed" | "Stopped" | "TIMED_OUT"
        | "ABORTED" => Progress::Failed,
        _ => Progress::Running,
    }
}

fn parse_member(answer: &mut Map<String, Value>, name: &str) {
    if let Some(member) = answer.get_mut(name)
        && let Some(parsed) = member.as_str().and_then(|text| jsontext::read(text).ok())
    {
        *member = parsed;
    }
}

#[cfg(test)]
mod tests {
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
        assert_eq!([1, 2, 40].map(|time| Job::Run.delay(time).as_secs()), [5, 10, 300]);
        let ended = json!({"jobName": "j", "jobRunId": "jr", "state": "TIMEOUT"});
        assert_eq!(Job::ended("aws.glue", "Glue Job State Change", &ended), Some((Job::Run, "jr".to_owned())));
        let running = json!({"queryExecutionId": "q", "currentState": "RUNNING"});
        assert_eq!(Job::ended("aws.athena", "Athena Query State Change", &running), None);
    }
}
