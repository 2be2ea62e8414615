//! Stacks over stand-ins of S3 and SQS that know which things exist and what was called.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod gone;
mod times;
mod turning;
mod values;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_cloudformation as api;
use async_trait::async_trait;
use service::{Cx, Handle, Platform, Principal, Router, Settings, operations};
use store::{Queue, Store};
use wire::Error;
use wire::types::Empty;

/// Buckets and queues that exist, and the calls that changed them.
#[derive(Default)]
struct Cloud {
    things: Mutex<BTreeSet<String>>,
    calls: Mutex<Vec<String>>,
    /// What queues were made with.
    noted: Mutex<Vec<String>>,
    /// For functions that answer.
    service: std::sync::OnceLock<Arc<cloudformation::CloudFormation>>,
}

impl Cloud {
    fn call(&self, what: &str, thing: &str) {
        self.calls.lock().unwrap().push(format!("{what} {thing}"));
        match what {
            "CreateBucket" | "CreateQueue" => _ = self.things.lock().unwrap().insert(thing.to_owned()),
            "DeleteBucket" | "DeleteQueue" => _ = self.things.lock().unwrap().remove(thing),
            _ => {}
        }
    }
    fn things(&self) -> Vec<String> {
        self.things.lock().unwrap().iter().cloned().collect()
    }
    fn count(&self, what: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|c| c.starts_with(what)).count()
    }
}

#[async_trait]
impl Handle<api_s3::CreateBucket> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::CreateBucketRequest) -> Result<api_s3::CreateBucketOutput, Error> {
        self.call("CreateBucket", &input.bucket);
        Ok(api_s3::CreateBucketOutput::default())
    }
}
#[async_trait]
impl Handle<api_s3::DeleteBucket> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::DeleteBucketRequest) -> Result<Empty, Error> {
        if input.bucket.contains("stubborn") {
            return Err(Error::new("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"));
        }
        self.call("DeleteBucket", &input.bucket);
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_s3::PutBucketTagging> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::PutBucketTaggingRequest) -> Result<Empty, Error> {
        if input.bucket.contains("halfway") {
            return Err(Error::new("AccessDenied", 403, "Access Denied"));
        }
        self.call("PutBucketTagging", &input.bucket);
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_sqs::CreateQueue> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::CreateQueueRequest) -> Result<api_sqs::CreateQueueResult, Error> {
        if input.queue_name.contains("bad") {
            return Err(Error::new("InvalidParameterValue", 400, "Can only include alphanumeric characters"));
        }
        self.call("CreateQueue", &format!("http://h/0/{}", input.queue_name));
        self.noted.lock().unwrap().push(format!("{:?}", input.attributes));
        Ok(api_sqs::CreateQueueResult { queue_url: Some(format!("http://h/0/{}", input.queue_name)) })
    }
}
#[async_trait]
impl Handle<api_s3::GetBucketLocation> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_s3::GetBucketLocationRequest,
    ) -> Result<api_s3::GetBucketLocationOutput, Error> {
        Err(Error::new("NoSuchBucket", 404, format!("There is no bucket {}", input.bucket)))
    }
}
#[async_trait]
impl Handle<api_sqs::GetQueueUrl> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::GetQueueUrlRequest) -> Result<api_sqs::GetQueueUrlResult, Error> {
        match input.queue_name.as_str() {
            "hidden" => Err(Error::access_denied("Access to the resource is denied.")),
            _ => Err(Error::new("QueueDoesNotExist", 400, "The specified queue does not exist.")),
        }
    }
}
#[async_trait]
impl Handle<api_events::DescribeRule> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_events::DescribeRuleRequest,
    ) -> Result<api_events::DescribeRuleResponse, Error> {
        Ok(api_events::DescribeRuleResponse { name: Some(input.name), ..Default::default() })
    }
}
#[async_trait]
impl Handle<api_sqs::DeleteQueue> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::DeleteQueueRequest) -> Result<Empty, Error> {
        self.call("DeleteQueue", &input.queue_url);
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_sqs::SetQueueAttributes> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::SetQueueAttributesRequest) -> Result<Empty, Error> {
        self.call("SetQueueAttributes", &format!("{} {:?}", input.queue_url, input.attributes));
        Ok(Empty {})
    }
}

struct World {
    cloud: Arc<Cloud>,
    cx: Cx,
    control: Queue,
}

impl World {
    /// With its task queue standing still.
    fn new() -> Self {
        Self::over(Router::new())
    }

    fn over(router: Arc<Router>) -> Self {
        let control = Queue::new(Store::memory());
        let platform = Platform {
            router: router.clone(),
            control: control.clone(),
            s3: Queue::new(Store::memory()),
            dynamodb: Queue::new(Store::memory()),
            data: std::path::PathBuf::new(),
            objects: None,
            endpoint: String::new(),
            account: "000000000000".into(),
            region: "us-east-1".into(),
            settings: Settings::default(),
        };
        let service = cloudformation::register(&platform, None);
        let cloud = Arc::new(Cloud::default());
        assert!(cloud.service.set(service).is_ok());
        operations!(router, cloud, api_s3: CreateBucket, DeleteBucket, DeletePublicAccessBlock, GetBucketLocation, GetBucketPolicy, PutBucketAcl, PutBucketPolicy, PutBucketTagging, PutBucketVersioning, PutObjectLockConfiguration, PutPublicAccessBlock);
        operations!(router, cloud, api_cloudwatch: DescribeAlarms);
        operations!(router, cloud, api_sqs: CreateQueue, DeleteQueue, GetQueueUrl, SetQueueAttributes, TagQueue, UntagQueue);
        operations!(router, cloud, api_dynamodb: CreateTable, DescribeTimeToLive, UpdateTable, UpdateTimeToLive);
        operations!(router, cloud, api_lambda: Invoke);
        operations!(router, cloud, api_ssm: GetParameter, GetParameters);
        operations!(router, cloud, api_secretsmanager: GetSecretValue);
        operations!(router, cloud, api_sns: Publish);
        operations!(router, cloud, api_events: DescribeRule);
        let cx = Cx::new(router, Principal::root("000000000000"), "000000000000", "us-east-1");
        Self { cloud, cx, control }
    }
    fn running() -> Self {
        let world = Self::new();
        let _dispatcher = world.control.start();
        world
    }

    async fn create(&self, template: &str) -> Result<String, Error> {
        let input = api::CreateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            ..Default::default()
        };
        self.cx.call::<api::CreateStack>(input).await?;
        Ok(self.settled("demo").await)
    }
    async fn update(&self, template: &str) -> Result<String, Error> {
        let input = api::UpdateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            ..Default::default()
        };
        self.cx.call::<api::UpdateStack>(input).await?;
        Ok(self.settled("demo").await)
    }
    async fn stack(&self, name: &str) -> Result<api::Stack, Error> {
        let input = api::DescribeStacksInput { stack_name: Some(name.into()), ..Default::default() };
        Ok(self.cx.call::<api::DescribeStacks>(input).await?.stacks.unwrap().remove(0))
    }
    /// The status when nothing is under way any more.
    async fn settled(&self, name: &str) -> String {
        let wait = async {
            loop {
                let status = self.stack(name).await.unwrap().stack_status;
                if !status.ends_with("_IN_PROGRESS") {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), wait).await.unwrap()
    }
    async fn events(&self) -> Vec<String> {
        let input = api::DescribeStackEventsInput { stack_name: "demo".into(), ..Default::default() };
        let events = self.cx.call::<api::DescribeStackEvents>(input).await.unwrap().stack_events.unwrap();
        events
            .iter()
            .map(|e| {
                let text = |o: &Option<String>| o.clone().unwrap_or_default();
                format!(
                    "{} {} {}",
                    text(&e.logical_resource_id),
                    text(&e.resource_status),
                    text(&e.resource_status_reason)
                )
            })
            .collect()
    }
}

const TEMPLATE: &str = "
Resources:
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'of-${Lake}', VisibilityTimeout: 30}}
  Lake: {Type: AWS::S3::Bucket}
Outputs:
  Url: {Value: !Ref Work}
  Arn: {Value: !GetAtt Lake.Arn}
";

#[tokio::test]
async fn a_stack_is_made_and_deleted() {
    let world = World::running();
    assert_eq!(world.create(TEMPLATE).await.unwrap(), "CREATE_COMPLETE");
    let things = world.cloud.things();
    assert_eq!(things.len(), 2);
    assert!(things[0].starts_with("demo-lake-"), "{things:?}");
    let stack = world.stack("demo").await.unwrap();
    let outputs = stack.outputs.unwrap();
    assert_eq!(outputs[0].output_value.as_deref(), Some(format!("http://h/0/of-{}", things[0]).as_str()));
    assert_eq!(outputs[1].output_value.as_deref(), Some(format!("arn:aws:s3:::{}", things[0]).as_str()));
    assert_eq!(world.create(TEMPLATE).await.unwrap_err().code(), "AlreadyExistsException");
    assert_eq!(world.update(TEMPLATE).await.unwrap_err().message(), "No updates are to be performed.");

    let id = stack.stack_id.unwrap();
    let input = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    assert_eq!(world.stack("demo").await.unwrap_err().message(), "Stack with id demo does not exist");
}

#[tokio::test]
async fn a_failed_create_rolls_back() {
    let world = World::running();
    let template = TEMPLATE.replace("of-${Lake}", "bad-${Lake}");
    assert_eq!(world.create(&template).await.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    let events = world.events().await;
    assert!(events.iter().any(|e| e.starts_with("Work CREATE_FAILED Can only include")), "{events:#?}");
    assert!(events.iter().any(|e| e.starts_with("Lake DELETE_COMPLETE")), "{events:#?}");
    assert!(
        events
            .iter()
            .any(|e| e.starts_with("demo ROLLBACK_IN_PROGRESS The following resource(s) failed to create: [Work]"))
    );
}

#[tokio::test]
async fn updates_change_or_replace() {
    let world = World::running();
    world.create(TEMPLATE).await.unwrap();
    let before = world.cloud.things();
    assert_eq!(world.update(&TEMPLATE.replace("30", "'40'")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.count("SetQueueAttributes"), 1);
    assert_eq!(world.cloud.things(), before);

    assert_eq!(world.update(&TEMPLATE.replace("of-", "to-")).await.unwrap(), "UPDATE_COMPLETE");
    let after = world.cloud.things();
    assert_eq!(after.len(), 2);
    assert!(after[1].contains("/to-"), "{after:?}");

    let other = TEMPLATE.replace(
        "  Lake: {Type: AWS::S3::Bucket}\n",
        "  Lake: {Type: AWS::S3::Bucket}\n  More: {Type: AWS::S3::Bucket}\n",
    );
    assert_eq!(world.update(&other).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things().len(), 3);
    assert_eq!(world.update(TEMPLATE).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things().len(), 2);
}

#[tokio::test]
async fn a_failed_update_goes_back() {
    let world = World::running();
    world.create(TEMPLATE).await.unwrap();
    let before = world.cloud.things();
    let broken = TEMPLATE.replace("30", "50").replace(
        "  Lake: {Type: AWS::S3::Bucket}\n",
        "  Lake: {Type: AWS::S3::Bucket}\n  More: {Type: AWS::SQS::Queue, DependsOn: Work, Properties: {QueueName: bad}}\n",
    );
    assert_eq!(world.update(&broken).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), before);
    let calls = world.cloud.calls.lock().unwrap().clone();
    let last = calls.iter().rfind(|c| c.starts_with("SetQueueAttributes")).unwrap();
    assert!(last.contains("\"30\""), "{last}");
    assert_eq!(world.update(&TEMPLATE.replace("30", "60")).await.unwrap(), "UPDATE_COMPLETE");
}

#[tokio::test]
async fn an_operation_waits_for_the_queue_and_goes_on() {
    let world = World::new();
    let input =
        api::CreateStackInput { stack_name: "demo".into(), template_body: Some(TEMPLATE.into()), ..Default::default() };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.stack("demo").await.unwrap().stack_status, "CREATE_IN_PROGRESS");
    let _dispatcher = world.control.start();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
}

#[tokio::test]
async fn what_cannot_be_deleted_is_named() {
    let world = World::running();
    let template = "Resources: {Lake: {Type: AWS::S3::Bucket, Properties: {BucketName: stubborn}}}";
    world.create(template).await.unwrap();
    let input = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "DELETE_FAILED");
    let reason = world.stack("demo").await.unwrap().stack_status_reason.unwrap();
    assert_eq!(reason, "The following resource(s) failed to delete: [Lake]. ");
}

#[tokio::test]
async fn change_sets_show_and_make_changes() {
    let world = World::running();
    let input = |kind: &str, template: &str| api::CreateChangeSetInput {
        stack_name: "demo".into(),
        change_set_name: "c".into(),
        change_set_type: Some(kind.into()),
        template_body: Some(template.into()),
        ..Default::default()
    };
    let execute = || api::ExecuteChangeSetInput {
        stack_name: Some("demo".into()),
        change_set_name: "c".into(),
        ..Default::default()
    };
    let describe = || api::DescribeChangeSetInput {
        stack_name: Some("demo".into()),
        change_set_name: "c".into(),
        ..Default::default()
    };
    world.cx.call::<api::CreateChangeSet>(input("CREATE", TEMPLATE)).await.unwrap();
    assert_eq!(world.stack("demo").await.unwrap().stack_status, "REVIEW_IN_PROGRESS");
    assert_eq!(world.cx.call::<api::DescribeChangeSet>(describe()).await.unwrap().changes.unwrap().len(), 2);
    world.cx.call::<api::ExecuteChangeSet>(execute()).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");

    let delete = api::DeleteChangeSetInput { stack_name: Some("demo".into()), change_set_name: "c".into() };
    world.cx.call::<api::DeleteChangeSet>(delete.clone()).await.unwrap();
    world.cx.call::<api::CreateChangeSet>(input("UPDATE", TEMPLATE)).await.unwrap();
    let empty = world.cx.call::<api::DescribeChangeSet>(describe()).await.unwrap();
    assert_eq!(empty.status.as_deref(), Some("FAILED"));
    assert!(empty.status_reason.unwrap().contains("didn't contain changes"));
    world.cx.call::<api::DeleteChangeSet>(delete).await.unwrap();
    world.cx.call::<api::CreateChangeSet>(input("UPDATE", &TEMPLATE.replace("30", "31"))).await.unwrap();
    let changes = world.cx.call::<api::DescribeChangeSet>(describe()).await.unwrap().changes.unwrap();
    let change = changes[0].resource_change.clone().unwrap();
    assert_eq!((changes.len(), change.action.as_deref()), (1, Some("Modify")));
    world.cx.call::<api::ExecuteChangeSet>(execute()).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_COMPLETE");
}

#[tokio::test]
async fn templates_are_refused_with_reasons() {
    let world = World::new();
    let cases = [
        (
            "Resources: {A: {Type: AWS::SQS::Queue, DependsOn: B}, B: {Type: AWS::SQS::Queue, DependsOn: A}}",
            "ValidationError Circular dependency between resources: [A, B]",
        ),
        (
            "Resources: {A: {Type: AWS::Nope::Nope}}",
            "ValidationError Template format error: Unrecognized resource types: [AWS::Nope::Nope]",
        ),
        (
            "Resources: {A: {Type: AWS::IAM::Role, Properties: {RoleName: x}}}",
            "InsufficientCapabilitiesException Requires capabilities : [CAPABILITY_NAMED_IAM]",
        ),
        (
            "Parameters: {P: {Type: String}}\nResources: {A: {Type: AWS::SQS::Queue}}",
            "ValidationError Parameters: [P] must have values",
        ),
    ];
    for (template, expected) in cases {
        let error = world.create(template).await.unwrap_err();
        assert_eq!(format!("{} {}", error.code(), error.message()), expected);
    }
}

#[tokio::test]
async fn hidden_parameters_are_not_shown() {
    let world = World::running();
    let template = "Parameters: {Secret: {Type: String, NoEcho: true, Default: hush}}\n\
                    Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Secret}}}";
    assert_eq!(world.create(template).await.unwrap(), "CREATE_COMPLETE");
    let input = api::DescribeStackEventsInput { stack_name: "demo".into(), ..Default::default() };
    let events = world.cx.call::<api::DescribeStackEvents>(input).await.unwrap().stack_events.unwrap();
    let properties: Vec<_> = events.iter().filter_map(|e| e.resource_properties.as_deref()).collect();
    assert!(
        properties.iter().all(|p| !p.contains("hush")) && properties.iter().any(|p| p.contains("****")),
        "{properties:?}"
    );
    let parameters = world.stack("demo").await.unwrap().parameters.unwrap();
    assert_eq!(parameters[0].parameter_value.as_deref(), Some("****"));
}

impl World {
    async fn make(&self, name: &str, template: &str) -> Result<String, Error> {
        let input = api::CreateStackInput {
            stack_name: name.into(),
            template_body: Some(template.into()),
            capabilities: Some(vec!["CAPABILITY_AUTO_EXPAND".into()]),
            ..Default::default()
        };
        self.cx.call::<api::CreateStack>(input).await?;
        Ok(self.settled(name).await)
    }
    async fn output(&self, name: &str) -> Vec<String> {
        let outputs = self.stack(name).await.unwrap().outputs.unwrap();
        outputs.into_iter().map(|output| output.output_value.unwrap()).collect()
    }
}

#[tokio::test]
async fn what_is_half_made_is_deleted_again() {
    let world = World::running();
    let status = world.create("Resources: {Lake: {Type: AWS::S3::Bucket, Properties: {BucketName: halfway}}}").await;
    assert_eq!(status.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    assert_eq!(world.cloud.count("DeleteBucket"), 1);
    // Where nothing is to be taken back it stays known, and goes with the stack.
    let input = api::CreateStackInput {
        stack_name: "kept".into(),
        template_body: Some("Resources: {Lake: {Type: AWS::S3::Bucket, Properties: {BucketName: halfway}}}".into()),
        disable_rollback: Some(true),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("kept").await, "CREATE_FAILED");
    assert_eq!(world.cloud.things(), ["halfway"]);
    let id = world.stack("kept").await.unwrap().stack_id.unwrap();
    let input = api::DeleteStackInput { stack_name: "kept".into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
}

#[tokio::test]
async fn exports_stay_while_they_are_used() {
    let world = World::running();
    let exporting = |value: &str| {
        format!(
            "Resources: {{Q: {{Type: AWS::SQS::Queue}}}}\nOutputs: {{O: {{Value: {value}, Export: {{Name: shared}}}}}}"
        )
    };
    let importing = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !ImportValue shared}}}";
    assert_eq!(world.make("user", importing).await.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.make("demo", &exporting("one")).await.unwrap(), "CREATE_COMPLETE");
    assert_eq!(world.make("other", &exporting("two")).await.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.make("user2", importing).await.unwrap(), "CREATE_COMPLETE");
    assert!(world.cloud.things().contains(&"http://h/0/one".to_owned()));
    assert_eq!(world.update(&exporting("three")).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    let listed =
        world.cx.call::<api::ListImports>(api::ListImportsInput { export_name: "shared".into(), next_token: None });
    assert_eq!(listed.await.unwrap().imports.unwrap(), ["user2"]);
    let delete = |name: &str| api::DeleteStackInput { stack_name: name.into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(delete("demo")).await.unwrap();
    let stack = world.stack("demo").await.unwrap();
    assert_eq!(stack.stack_status, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(
        stack.stack_status_reason.as_deref(),
        Some("Delete canceled. Cannot delete export shared as it is in use by user2")
    );
    let id = world.stack("user2").await.unwrap().stack_id.unwrap();
    world.cx.call::<api::DeleteStack>(delete("user2")).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
    let id = stack.stack_id.unwrap();
    world.cx.call::<api::DeleteStack>(delete("demo")).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
}

#[tokio::test]
async fn loops_are_written_out_with_parameters() {
    let world = World::running();
    let template = "
Transform: AWS::LanguageExtensions
Parameters: {Names: {Type: CommaDelimitedList, Default: 'a,b'}}
Resources:
  Fn::ForEach::Queues:
    - Name
    - !Ref Names
    - Queue${Name}: {Type: AWS::SQS::Queue, Properties: {QueueName: !Sub 'of-${Name}'}}
Outputs: {N: {Value: !Length {Ref: Names}}}
";
    let refused = world.create(template).await.unwrap_err();
    assert_eq!(refused.message(), "Requires capabilities : [CAPABILITY_AUTO_EXPAND]");
    assert_eq!(world.make("demo", template).await.unwrap(), "CREATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/of-a", "http://h/0/of-b"]);
    assert_eq!(world.output("demo").await, ["2"]);
    let stage = |stage: &str| api::GetTemplateInput {
        stack_name: Some("demo".into()),
        template_stage: Some(stage.into()),
        ..Default::default()
    };
    let original = world.cx.call::<api::GetTemplate>(stage("Original")).await.unwrap().template_body.unwrap();
    assert_eq!(original, template);
    let processed = world.cx.call::<api::GetTemplate>(stage("Processed")).await.unwrap().template_body.unwrap();
    assert!(processed.contains("Queueb") && !processed.contains("ForEach"), "{processed}");
    let macros = world.make("m", "Transform: Mine\nResources: {Q: {Type: AWS::SQS::Queue}}").await.unwrap_err();
    assert_eq!(macros.message(), "No transform named Mine found.");
}

#[tokio::test]
async fn policies_and_protection_are_obeyed() {
    let world = World::running();
    let template = |seconds: u32| {
        format!(
            "Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q, VisibilityTimeout: {seconds}}}}}}}"
        )
    };
    assert_eq!(world.create(&template(1)).await.unwrap(), "CREATE_COMPLETE");
    let policy = r#"{"Statement": [{"Effect": "Deny", "Principal": "*", "Action": "Update:*", "Resource": "*"}]}"#;
    let set = |body: &str| api::SetStackPolicyInput {
        stack_name: "demo".into(),
        stack_policy_body: Some(body.into()),
        ..Default::default()
    };
    assert!(world.cx.call::<api::SetStackPolicy>(set("{}")).await.is_err());
    world.cx.call::<api::SetStackPolicy>(set(policy)).await.unwrap();
    assert_eq!(world.update(&template(2)).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    // What is not to be touched has not been.
    assert_eq!(world.cloud.things(), ["http://h/0/q"]);
    assert_eq!((world.cloud.count("DeleteQueue"), world.cloud.count("SetQueueAttributes")), (0, 0));
    let during = api::UpdateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template(3)),
        stack_policy_during_update_body: Some(policy.replace("Deny", "Allow")),
        ..Default::default()
    };
    world.cx.call::<api::UpdateStack>(during).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_COMPLETE");
    let protect =
        |on| api::UpdateTerminationProtectionInput { stack_name: "demo".into(), enable_termination_protection: on };
    world.cx.call::<api::UpdateTerminationProtection>(protect(true)).await.unwrap();
    let delete = || api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
    assert!(world.cx.call::<api::DeleteStack>(delete()).await.is_err());
    let cancel = api::CancelUpdateStackInput { stack_name: "demo".into(), ..Default::default() };
    assert!(world.cx.call::<api::CancelUpdateStack>(cancel).await.is_err());
}

/// Two queues and a bucket, the first with the policies that are given.
fn with_policies(policies: &str, name: &str) -> String {
    format!(
        "Resources:\n  Kept: {{Type: AWS::SQS::Queue, {policies} Properties: {{QueueName: {name}}}}}\n  Lake: {{Type: AWS::S3::Bucket}}\n"
    )
}

#[tokio::test]
async fn what_is_retained_stays_when_it_leaves_the_template() {
    let world = World::running();
    world.create(&with_policies("DeletionPolicy: Retain,", "kept")).await.unwrap();
    let without = "Resources: {Lake: {Type: AWS::S3::Bucket}}";
    assert_eq!(world.update(without).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.count("DeleteQueue"), 0);
    let events = world.events().await;
    assert!(events.iter().any(|event| event.starts_with("Kept DELETE_SKIPPED")), "{events:#?}");
}

#[tokio::test]
async fn what_is_replaced_goes_but_for_its_policy() {
    for (policies, deleted) in [
        ("", 1),
        ("DeletionPolicy: Retain,", 1),
        ("UpdateReplacePolicy: Retain,", 0),
        ("DeletionPolicy: Retain, UpdateReplacePolicy: Snapshot,", 0),
    ] {
        let world = World::running();
        world.create(&with_policies(policies, "first")).await.unwrap();
        assert_eq!(world.update(&with_policies(policies, "second")).await.unwrap(), "UPDATE_COMPLETE");
        assert_eq!(world.cloud.count("DeleteQueue"), deleted, "{policies}");
        assert_eq!(world.cloud.count("CreateQueue"), 2, "{policies}");
    }
}

#[tokio::test]
async fn a_creation_that_is_rolled_back_leaves_what_is_retained() {
    for (policy, deleted) in [("Retain", 0), ("RetainExceptOnCreate", 1), ("Delete", 1)] {
        let world = World::running();
        let template = format!(
            "Resources:\n  Kept: {{Type: AWS::SQS::Queue, DeletionPolicy: {policy}, Properties: {{QueueName: kept}}}}\n  Broken: {{Type: AWS::SQS::Queue, DependsOn: Kept, Properties: {{QueueName: bad}}}}\n"
        );
        assert_eq!(world.create(&template).await.unwrap(), "ROLLBACK_COMPLETE");
        assert_eq!(world.cloud.count("DeleteQueue"), deleted, "{policy}");
    }
}

#[tokio::test]
async fn a_policy_that_is_not_known_is_refused() {
    let world = World::running();
    for policy in ["DeletionPolicy: Keep,", "UpdateReplacePolicy: {Ref: Lake},"] {
        let error = world.create(&with_policies(policy, "kept")).await.unwrap_err();
        assert_eq!(error.code(), "ValidationError", "{error:?}");
        assert!(error.message().contains("Kept"), "{error:?}");
    }
}

#[tokio::test]
async fn an_update_that_failed_and_stays_goes_on_with_what_is_there() {
    let world = World::running();
    world.create(&with_policies("", "first")).await.unwrap();
    let input = api::UpdateStackInput {
        stack_name: "demo".into(),
        template_body: Some(with_policies("", "bad")),
        disable_rollback: Some(true),
        ..Default::default()
    };
    world.cx.call::<api::UpdateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_FAILED");
    assert_eq!(world.update(&with_policies("", "third")).await.unwrap(), "UPDATE_COMPLETE");
    // The one from before the failed update is the one that is replaced.
    assert_eq!(world.cloud.count("DeleteQueue"), 1);
    assert_eq!(world.cloud.things().len(), 2);
}

/// PutRule overwrites, and CreateQueue answers with what is there: what cannot be looked for may be somebody else's.
#[tokio::test]
async fn what_would_be_overwritten_is_looked_for() {
    let cases = [
        ("{Type: AWS::SQS::Queue, Properties: {QueueName: hidden}}", "Access to the resource is denied."),
        (
            "{Type: AWS::Events::Rule, Properties: {Name: taken, EventBusName: orders, ScheduleExpression: rate(1 day)}}",
            "Resource of type 'AWS::Events::Rule' with identifier 'orders|taken' already exists.",
        ),
    ];
    for (resource, reason) in cases {
        let world = World::running();
        assert_eq!(world.create(&format!("Resources: {{One: {resource}}}")).await.unwrap(), "ROLLBACK_COMPLETE");
        let events = world.events().await;
        assert!(events.iter().any(|e| e.starts_with(&format!("One CREATE_FAILED {reason}"))), "{events:#?}");
        assert_eq!(world.cloud.count(""), 0);
    }
}
