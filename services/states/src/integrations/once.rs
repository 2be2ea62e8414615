//! A Task on its own, without an execution: what it would call, and one call of it.

use serde_json::Value;
use service::Cx;

use super::resource::{Pattern, Resource, Target};
use super::{Exchange, Http, Roles, Site};

/// The operation whose answer a Task results in.
pub(crate) struct Called {
    pub(crate) service: String,
    pub(crate) operation: String,
    /// Members of the answer that the integration has read as JSON.
    pub(crate) free: &'static [&'static str],
}

/// What each `.sync` integration asks until its job is over: service, what starts the job, what tells of it.
///
/// Source: Developer Guide, "Integrating optimized services" and "Run a Job (.sync)"; a mock is held against the answer of the latter.
const POLLED: &[(&str, &str, &str)] = &[
    ("athena", "startQueryExecution", "getQueryExecution"),
    ("batch", "submitJob", "describeJobs"),
    ("codebuild", "startBuild", "batchGetBuilds"),
    ("codebuild", "startBuildBatch", "batchGetBuildBatches"),
    ("databrew", "startJobRun", "describeJobRun"),
    ("ecs", "runTask", "describeTasks"),
    ("elasticmapreduce", "addStep", "describeStep"),
    ("elasticmapreduce", "createCluster", "describeCluster"),
    ("elasticmapreduce", "terminateCluster", "describeCluster"),
    ("emr-containers", "createVirtualCluster", "describeVirtualCluster"),
    ("emr-containers", "deleteVirtualCluster", "describeVirtualCluster"),
    ("emr-containers", "startJobRun", "describeJobRun"),
    ("emr-serverless", "createApplication", "getApplication"),
    ("emr-serverless", "deleteApplication", "getApplication"),
    ("emr-serverless", "startApplication", "getApplication"),
    ("emr-serverless", "startJobRun", "getJobRun"),
    ("emr-serverless", "stopApplication", "getApplication"),
    ("glue", "startJobRun", "getJobRun"),
    ("sagemaker", "createHyperParameterTuningJob", "describeHyperParameterTuningJob"),
    ("sagemaker", "createLabelingJob", "describeLabelingJob"),
    ("sagemaker", "createProcessingJob", "describeProcessingJob"),
    ("sagemaker", "createTrainingJob", "describeTrainingJob"),
    ("sagemaker", "createTransformJob", "describeTransformJob"),
    ("states", "startExecution", "describeExecution"),
];

impl Called {
    /// `None` where no operation's answer is the result: functions by their ARN, activities, what a token brings back.
    pub(crate) fn of(resource: &str) -> Option<Self> {
        let Resource { target: Target::Service { service, action, sdk }, pattern } = Resource::parse(resource)? else {
            return None;
        };
        let polled = match pattern {
            Pattern::Sync { .. } => Some(*POLLED.iter().find(|(of, started, _)| *of == service && *started == action)?),
            _ => None,
        };
        let free: &[&str] = match (service.as_str(), action.as_str(), &pattern) {
            (_, _, Pattern::WaitForTaskToken) => return None,
            ("lambda", "invoke", _) if !sdk => &["Payload"],
            ("states", "startExecution", Pattern::Sync { version: 2 }) => &["Input", "Output"],
            _ => &[],
        };
        let operation = polled.map_or(action, |(.., polls)| polls.to_owned());
        Some(Self { service, operation, free })
    }

    /// Whether a single call of the resource gives the Task's result.
    pub(crate) fn answers_itself(resource: &str) -> bool {
        Resource::parse(resource).is_some_and(|resource| {
            resource.pattern == Pattern::RequestResponse && !matches!(resource.target, Target::Activity)
        })
    }
}

/// Calls what a resource names, as a role; else the error's name and its cause. Of an HTTP Task, `exchange` gets what was sent and
/// received.
pub(crate) async fn call_once(
    cx: &Cx,
    http: &Http,
    (roles, resource): (Roles<'_>, &str),
    parameters: Value,
    exchange: &mut Exchange,
) -> Result<Value, (String, String)> {
    let Some(resource) = Resource::parse(resource) else {
        return Err(("States.Runtime".to_owned(), format!("The resource '{resource}' cannot be called")));
    };
    let acting = roles.assumed(&cx.as_platform(), "TestState", None).await;
    let acting = acting.map_err(|error| ("States.TaskFailed".to_owned(), error.message().to_owned()))?;
    let acting = acting.map_err(|failure| (failure.error, failure.cause))?;
    // There is no machine: the role must be able to call for any.
    let machine = cx.arn("states", "stateMachine:*");
    let called = match &resource.target {
        Target::Service { service, sdk: false, .. } if service == "http" => {
            http.invoke(&acting, &machine, &parameters, exchange).await
        }
        _ => super::call(&acting, &resource, parameters, &Site { http, machine }).await,
    };
    called.map_err(|failure| (failure.error, failure.cause))
}

#[cfg(test)]
mod tests {
    use super::Called;

    #[test]
    fn a_job_results_in_what_describes_it() {
        let check = |resource: &str, want: Option<(&str, &str, usize)>| {
            let called = Called::of(&format!("arn:aws:states:::{resource}"));
            let found = called.as_ref().map(|c| (c.service.as_str(), c.operation.as_str(), c.free.len()));
            assert_eq!(found, want, "{resource}");
        };
        check("aws-sdk:s3:getObject", Some(("s3", "getObject", 0)));
        check("lambda:invoke", Some(("lambda", "invoke", 1)));
        check("aws-sdk:lambda:invoke", Some(("lambda", "invoke", 0)));
        check("states:startExecution", Some(("states", "startExecution", 0)));
        check("states:startExecution.sync", Some(("states", "describeExecution", 0)));
        check("states:startExecution.sync:2", Some(("states", "describeExecution", 2)));
        check("glue:startJobRun.sync", Some(("glue", "getJobRun", 0)));
        check("batch:submitJob.sync", Some(("batch", "describeJobs", 0)));
        check("eks:runJob.sync", None);
        check("sqs:sendMessage.waitForTaskToken", None);
        assert!(Called::answers_itself("arn:aws:states:::sqs:sendMessage"));
        assert!(!Called::answers_itself("arn:aws:states:::sqs:sendMessage.waitForTaskToken"));
        assert!(!Called::answers_itself("arn:aws:states:us-east-1:000000000000:activity:a"));
    }
}
