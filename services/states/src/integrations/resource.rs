//! What a Task's `Resource` means.

/// A resource, with how its answer is waited for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resource {
    pub(super) target: Target,
    pub(super) pattern: Pattern,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    Function { arn: String },
    Activity,
    Service { service: String, action: String, sdk: bool },
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    RequestResponse,
    Sync { version: u8 },
    WaitForTaskToken,
}

const SYNC: Pattern = Pattern::Sync { version: 1 };
const SYNC_2: Pattern = Pattern::Sync { version: 2 };
const TOKEN: Pattern = Pattern::WaitForTaskToken;

/// The optimised integrations: service, action, and how a Task may wait for them beyond their answer.
/// Source: Step Functions Developer Guide, "Integrating optimized services".
pub(super) const OPTIMISED: &[(&str, &str, &[Pattern])] = &[
    ("athena", "getQueryExecution", &[]),
    ("athena", "getQueryResults", &[]),
    ("athena", "startQueryExecution", &[SYNC]),
    ("athena", "stopQueryExecution", &[]),
    ("dynamodb", "deleteItem", &[]),
    ("dynamodb", "getItem", &[]),
    ("dynamodb", "putItem", &[]),
    ("dynamodb", "updateItem", &[]),
    ("events", "putEvents", &[TOKEN]),
    ("glue", "startJobRun", &[SYNC]),
    ("http", "invoke", &[]),
    ("lambda", "invoke", &[TOKEN]),
    ("sagemaker", "createModel", &[]),
    ("sagemaker", "createTransformJob", &[SYNC]),
    ("sns", "publish", &[TOKEN]),
    ("sqs", "sendMessage", &[TOKEN]),
    ("states", "startExecution", &[SYNC, SYNC_2, TOKEN]),
];

impl Resource {
    pub(super) fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, _region, _account, rest) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let plain = |target| Some(Self { target, pattern: Pattern::RequestResponse });
        match service {
            "lambda" => return plain(Target::Function { arn: arn.to_owned() }),
            "states" if rest.starts_with("activity:") => return plain(Target::Activity),
            "states" => {}
            _ => return None,
        }
        let (rest, sdk) = match rest.strip_prefix("aws-sdk:") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (service, action) = rest.split_once(':')?;
        let (action, pattern) = match action.split_once('.') {
            None => (action, Pattern::RequestResponse),
            Some((action, "sync" | "sync:1")) => (action, Pattern::Sync { version: 1 }),
            Some((action, "sync:2")) => (action, Pattern::Sync { version: 2 }),
            Some((action, "waitForTaskToken")) => (action, Pattern::WaitForTaskToken),
            Some(_) => return None,
        };
        Some(Self { target: Target::Service { service: service.to_owned(), action: action.to_owned(), sdk }, pattern })
    }
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Resource, Target};

    #[test]
    fn resources_say_what_to_call_and_how_to_wait() {
        let service =
            |service: &str, action: &str, sdk| Target::Service { service: service.into(), action: action.into(), sdk };
        for (arn, target, pattern) in [
            ("arn:aws:states:::lambda:invoke", service("lambda", "invoke", false), Pattern::RequestResponse),
            (
                "arn:aws:states:::aws-sdk:glue:startCrawler",
                service("glue", "startCrawler", true),
                Pattern::RequestResponse,
            ),
            (
                "arn:aws:states:::glue:startJobRun.sync",
                service("glue", "startJobRun", false),
                Pattern::Sync { version: 1 },
            ),
            (
                "arn:aws:states:::states:startExecution.sync:2",
                service("states", "startExecution", false),
                Pattern::Sync { version: 2 },
            ),
            (
                "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                service("sqs", "sendMessage", false),
                Pattern::WaitForTaskToken,
            ),
        ] {
            assert_eq!(Resource::parse(arn), Some(Resource { target, pattern }), "{arn}");
        }
        for bad in ["arn:aws:states:::glue:x.later", "arn:aws:s3:::bucket", "glue", "arn:aws:states:::glue"] {
            assert_eq!(Resource::parse(bad), None, "{bad}");
        }
    }
}
