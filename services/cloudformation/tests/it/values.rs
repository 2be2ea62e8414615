//! What reaches resources and callers: tags, references, notifications, change sets.

use super::*;

#[async_trait]
impl Handle<api_sqs::TagQueue> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::TagQueueRequest) -> Result<Empty, Error> {
        self.call("TagQueue", &format!("{:?}", input.tags));
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_sqs::UntagQueue> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sqs::UntagQueueRequest) -> Result<Empty, Error> {
        self.call("UntagQueue", &format!("{:?}", input.tag_keys));
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_ssm::GetParameter> for Cloud {
    async fn handle(&self, _: &Cx, input: api_ssm::GetParameterRequest) -> Result<api_ssm::GetParameterResult, Error> {
        let (kind, value) = match input.name.as_str() {
            "/q/delay:2" => ("String", "7"),
            "/q/secure" => ("SecureString", "x"),
            _ => return Err(Error::new("ParameterNotFound", 400, "")),
        };
        let parameter =
            api_ssm::Parameter { r#type: Some(kind.into()), value: Some(value.into()), ..Default::default() };
        Ok(api_ssm::GetParameterResult { parameter: Some(parameter) })
    }
}
#[async_trait]
impl Handle<api_ssm::GetParameters> for Cloud {
    async fn handle(
        &self,
        cx: &Cx,
        input: api_ssm::GetParametersRequest,
    ) -> Result<api_ssm::GetParametersResult, Error> {
        let name = input.names[0].clone();
        self.call("GetParameters", &format!("{name} {:?}", cx.principal()));
        let one = api_ssm::GetParameterRequest { name, ..Default::default() };
        let found = Handle::<api_ssm::GetParameter>::handle(self, cx, one).await.ok().and_then(|found| found.parameter);
        Ok(api_ssm::GetParametersResult { parameters: Some(found.into_iter().collect()), ..Default::default() })
    }
}
#[async_trait]
impl Handle<api_secretsmanager::GetSecretValue> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_secretsmanager::GetSecretValueRequest,
    ) -> Result<api_secretsmanager::GetSecretValueResponse, Error> {
        let stage = input.version_stage.unwrap_or_else(|| "AWSCURRENT".into());
        let secret = format!(r#"{{"key": "hush-{stage}"}}"#);
        Ok(api_secretsmanager::GetSecretValueResponse { secret_string: Some(secret), ..Default::default() })
    }
}
#[async_trait]
impl Handle<api_sns::Publish> for Cloud {
    async fn handle(&self, _: &Cx, input: api_sns::PublishInput) -> Result<api_sns::PublishResponse, Error> {
        let line = |name: &str| {
            let found = input.message.lines().find_map(|line| line.strip_prefix(&format!("{name}='")));
            found.and_then(|value| value.strip_suffix('\'')).unwrap_or("none").to_owned()
        };
        self.call("Publish", &format!("{} {}", line("LogicalResourceId"), line("ResourceStatus")));
        Ok(api_sns::PublishResponse::default())
    }
}

fn tags(given: &[(&str, &str)]) -> Vec<api::Tag> {
    given.iter().map(|(key, value)| api::Tag { key: (*key).into(), value: (*value).into() }).collect()
}

/// The queue's own tag goes before the stack's.
#[tokio::test]
async fn changed_tags_of_the_stack_reach_its_resources() {
    let world = World::running();
    let template = "Resources:\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, Tags: [{Key: own, Value: '1'}]}}\n  P: {Type: AWS::SQS::QueuePolicy, Properties: {Queues: [x], PolicyDocument: {Statement: []}}}\n";
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template.into()),
        tags: Some(tags(&[("env", "dev"), ("team", "a")])),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    let update = |given: &[(&str, &str)]| api::UpdateStackInput {
        stack_name: "demo".into(),
        use_previous_template: Some(true),
        tags: Some(tags(given)),
        ..Default::default()
    };
    world.cx.call::<api::UpdateStack>(update(&[("env", "prod"), ("own", "2")])).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_COMPLETE");
    let calls = world.cloud.calls.lock().unwrap().clone();
    let tagged: Vec<&String> = calls.iter().filter(|call| call.contains("agQueue")).collect();
    assert_eq!(tagged, [r#"UntagQueue ["team"]"#, r#"TagQueue {"env": "prod"}"#]);
    // Only what takes tags is touched.
    assert_eq!(calls.iter().filter(|call| call.starts_with("SetQueueAttributes")).count(), 1);
    // Taken back where the update fails.
    let mut broken = update(&[("env", "test")]);
    (broken.use_previous_template, broken.template_body) = (
        None,
        Some(format!("{template}  B: {{Type: AWS::SQS::Queue, DependsOn: Q, Properties: {{QueueName: bad}}}}\n")),
    );
    world.cx.call::<api::UpdateStack>(broken).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_ROLLBACK_COMPLETE");
    let calls = world.cloud.calls.lock().unwrap().clone();
    let last = calls.iter().rfind(|call| call.starts_with("TagQueue")).unwrap();
    assert!(last.contains(r#""env": "prod""#), "{last}");
}

/// The service gets the values, everybody else the references.
#[tokio::test]
async fn dynamic_references_are_filled_for_the_service_only() {
    let world = World::running();
    let template = |queue: &str| {
        format!(
            "Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {queue}, DelaySeconds: '{{{{resolve:ssm:/q/delay:2}}}}', \
             KmsMasterKeyId: !Join ['', ['a-{{{{resolve:secretsmanager:db:SecretString:key', ':AWSPREVIOUS}}}}']]}}}}\n"
        )
    };
    assert_eq!(world.create(&template("q")).await.unwrap(), "CREATE_COMPLETE");
    let noted = world.cloud.noted.lock().unwrap().clone();
    assert!(noted[0].contains(r#""DelaySeconds": "7""#) && noted[0].contains(r#""a-hush-AWSPREVIOUS""#), "{noted:?}");
    let input = api::DescribeStackEventsInput { stack_name: "demo".into(), ..Default::default() };
    let events = world.cx.call::<api::DescribeStackEvents>(input).await.unwrap().stack_events.unwrap();
    let shown = format!("{events:?}");
    assert!(
        !shown.contains("hush") && shown.contains("resolve:secretsmanager:db:SecretString:key:AWSPREVIOUS"),
        "{shown}"
    );
    // What is written the same is the same.
    assert_eq!(world.update(&template("q")).await.unwrap_err().message(), "No updates are to be performed.");
    // A failure that tells the value does not.
    assert_eq!(world.update(&template("bad")).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert!(!format!("{:?}", world.events().await).contains("hush"));
}

#[tokio::test]
async fn dynamic_references_that_cannot_be_are_told() {
    let queue = |reference: &str| {
        format!("Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: '{{{{resolve:{reference}}}}}'}}}}}}")
    };
    for (reference, reason) in [
        ("ssm:/q/none", "Parameters: [ssm:/q/none] cannot be found."),
        ("ssm:/q/secure", "Non-secure ssm prefix was used for secure parameter: [/q/secure]"),
        ("secretsmanager:db:SecretString:nope", "Could not find a value associated with JSONKey in SecretString"),
        ("secretsmanager:db:SecretString:k:a:b", "has both a version stage and a version id"),
        ("vault:x", "vault is no service of dynamic references"),
    ] {
        let world = World::running();
        assert_eq!(world.create(&queue(reference)).await.unwrap(), "ROLLBACK_COMPLETE", "{reference}");
        let events = world.events().await;
        assert!(events.iter().any(|event| event.contains(reason)), "{reference}: {events:#?}");
        assert_eq!(world.cloud.count(""), 0);
    }
    let world = World::running();
    let error = world.create(&queue("ssm-secure:x:1")).await.unwrap_err();
    assert_eq!(error.message(), "SSM Secure reference is not supported in: [AWS::SQS::Queue/Properties]");
    let custom =
        "Resources: {T: {Type: 'Custom::T', Properties: {ServiceToken: x, P: '{{resolve:secretsmanager:a}}'}}}";
    let error = world.create(custom).await.unwrap_err();
    assert!(error.message().contains("not supported in custom resources"), "{error:?}");
}

#[tokio::test]
async fn topics_are_told_of_events() {
    let world = World::running();
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(
            "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {T: {Value: !Join [',', !Ref AWS::NotificationARNs]}}"
                .into(),
        ),
        notification_ar_ns: Some(vec!["arn:aws:sns:us-east-1:000000000000:told".into()]),
        ..Default::default()
    };
    let wrong = api::CreateStackInput { notification_ar_ns: Some(vec!["told".into()]), ..input.clone() };
    assert!(world.cx.call::<api::CreateStack>(wrong).await.unwrap_err().is("ValidationError"));
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    assert_eq!(world.output("demo").await, ["arn:aws:sns:us-east-1:000000000000:told"]);
    let told = || {
        world.cloud.calls.lock().unwrap().iter().filter(|c| c.starts_with("Publish")).cloned().collect::<BTreeSet<_>>()
    };
    let wait = async {
        while told().len() < 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(10), wait).await.unwrap();
    let expected = ["Q CREATE_COMPLETE", "Q CREATE_IN_PROGRESS", "demo CREATE_COMPLETE", "demo CREATE_IN_PROGRESS"];
    assert_eq!(told().into_iter().collect::<Vec<_>>(), expected.map(|one| format!("Publish {one}")));
    let stack = world.stack("demo").await.unwrap();
    assert_eq!(stack.notification_ar_ns.unwrap(), ["arn:aws:sns:us-east-1:000000000000:told"]);
}

fn change_set(name: &str, template: &str, parameters: &[(&str, &str)]) -> api::CreateChangeSetInput {
    let parameter = |(key, value): &(&str, &str)| api::Parameter {
        parameter_key: Some((*key).into()),
        parameter_value: Some((*value).into()),
        ..Default::default()
    };
    api::CreateChangeSetInput {
        stack_name: "demo".into(),
        change_set_name: name.into(),
        template_body: Some(template.into()),
        parameters: Some(parameters.iter().map(parameter).collect()),
        ..Default::default()
    }
}

impl World {
    async fn describe(&self, name: &str) -> api::DescribeChangeSetOutput {
        let input = api::DescribeChangeSetInput {
            stack_name: Some("demo".into()),
            change_set_name: name.into(),
            ..Default::default()
        };
        self.cx.call::<api::DescribeChangeSet>(input).await.unwrap()
    }
}

#[tokio::test]
async fn change_sets_tell_what_leaves_by_its_condition_and_no_secrets() {
    let world = World::running();
    let template = "
Parameters: {Env: {Type: String, Default: prod}, Word: {Type: String, NoEcho: true, Default: hush}}
Conditions: {Prod: !Equals [!Ref Env, prod]}
Resources:
  Table: {Type: AWS::SQS::Queue, Condition: Prod, Properties: {QueueName: table}}
  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q}}
";
    world.create(template).await.unwrap();
    world.cx.call::<api::CreateChangeSet>(change_set("c", template, &[("Env", "dev")])).await.unwrap();
    let told = world.describe("c").await;
    let changes = told.changes.unwrap();
    let change = changes[0].resource_change.clone().unwrap();
    assert_eq!(
        (changes.len(), change.action.as_deref(), change.logical_resource_id.as_deref()),
        (1, Some("Remove"), Some("Table"))
    );
    let parameters = told.parameters.unwrap();
    let hidden = parameters.iter().find(|one| one.parameter_key.as_deref() == Some("Word")).unwrap();
    assert_eq!(hidden.parameter_value.as_deref(), Some("****"));
    // A queue of another name is another queue.
    let renamed = template.replace("QueueName: q}", "QueueName: r}");
    world.cx.call::<api::CreateChangeSet>(change_set("r", &renamed, &[])).await.unwrap();
    let change = world.describe("r").await.changes.unwrap()[0].resource_change.clone().unwrap();
    assert_eq!(change.replacement.as_deref(), Some("True"));
}

/// Policies are asked for the stack that a request names.
#[tokio::test]
async fn a_change_set_is_of_the_stack_that_is_named() {
    let world = World::running();
    let template = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 1}}}";
    world.create(template).await.unwrap();
    let made = world.cx.call::<api::CreateChangeSet>(change_set("c", &template.replace('1', "2"), &[])).await.unwrap();
    let other = api::CreateChangeSetInput {
        stack_name: "other".into(),
        change_set_type: Some("CREATE".into()),
        ..change_set("d", template, &[])
    };
    let other = world.cx.call::<api::CreateChangeSet>(other).await.unwrap();
    let (id, own) = (made.id.unwrap(), made.stack_id.unwrap());
    for (stack, found) in [
        (Some("demo".to_owned()), true),
        (Some(own), true),
        (None, true),
        (Some("other".to_owned()), false),
        (other.stack_id, false),
        (Some("nobody".to_owned()), false),
    ] {
        let describe = api::DescribeChangeSetInput {
            stack_name: stack.clone(),
            change_set_name: id.clone(),
            ..Default::default()
        };
        let told = world.cx.call::<api::DescribeChangeSet>(describe).await;
        assert_eq!(told.as_ref().err().map(Error::code), (!found).then_some("ChangeSetNotFound"), "{stack:?}");
        if found {
            continue;
        }
        let execute =
            api::ExecuteChangeSetInput { stack_name: stack.clone(), change_set_name: id.clone(), ..Default::default() };
        let error = world.cx.call::<api::ExecuteChangeSet>(execute).await.unwrap_err();
        assert_eq!(error.code(), "ChangeSetNotFound", "{stack:?}");
        let read = api::GetTemplateInput {
            stack_name: stack.clone(),
            change_set_name: Some(id.clone()),
            ..Default::default()
        };
        let error = world.cx.call::<api::GetTemplate>(read).await.unwrap_err();
        assert_eq!(error.code(), "ChangeSetNotFound", "{stack:?}");
        let delete = api::DeleteChangeSetInput { stack_name: stack, change_set_name: id.clone() };
        world.cx.call::<api::DeleteChangeSet>(delete).await.unwrap();
    }
    assert_eq!(world.describe("c").await.execution_status.as_deref(), Some("AVAILABLE"));
}

#[tokio::test]
async fn a_change_set_of_a_stack_that_has_changed_is_obsolete() {
    let world = World::running();
    let template = |seconds: u32| {
        format!("Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{VisibilityTimeout: {seconds}}}}}}}")
    };
    world.create(&template(1)).await.unwrap();
    world.cx.call::<api::CreateChangeSet>(change_set("c", &template(2), &[])).await.unwrap();
    assert_eq!(world.describe("c").await.execution_status.as_deref(), Some("AVAILABLE"));
    world.update(&template(3)).await.unwrap();
    assert_eq!(world.describe("c").await.execution_status.as_deref(), Some("OBSOLETE"));
    let execute = api::ExecuteChangeSetInput {
        stack_name: Some("demo".into()),
        change_set_name: "c".into(),
        ..Default::default()
    };
    let error = world.cx.call::<api::ExecuteChangeSet>(execute).await.unwrap_err();
    assert_eq!(error.code(), "InvalidChangeSetStatus", "{error:?}");
}

/// The values of SSM's parameters are read by the service role, which a stack keeps: the caller need not read them. Source: the roles of
/// `cdk bootstrap`, of which the one that calls CloudFormation may not.
#[tokio::test]
async fn the_service_role_reads_the_parameters_of_ssm() {
    let world = World::running();
    world.cx.router().set_identity(Arc::new(failures::Roles::many()));
    let template = |name: &str, size: &str| {
        format!(
            "Parameters: {{Delay: {{Type: AWS::SSM::Parameter::Value<String>, Default: '{name}'}}}}\n\
             Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q, DelaySeconds: !Ref Delay, MaximumMessageSize: {size}}}}}}}"
        )
    };
    let create = |name: &str, role: Option<&str>| api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template(name, "1024")),
        role_arn: role.map(str::to_owned),
        ..Default::default()
    };
    for (name, error) in [
        ("/none", "Unable to fetch parameters [/none] from parameter store for this account."),
        ("/q/secure", "Parameters [/q/secure] referenced by template have types not supported by CloudFormation."),
    ] {
        let refused = world.cx.call::<api::CreateStack>(create(name, None)).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), ("ValidationError", error));
    }
    let role = "arn:aws:iam::000000000000:role/deployer";
    world.cx.call::<api::CreateStack>(create("/q/delay:2", Some(role))).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    assert_eq!(world.update(&template("/q/delay:2", "2048")).await.unwrap(), "UPDATE_COMPLETE");
    let read = world.calls("GetParameters");
    let by_role = |call: &String| call.contains("role/deployer") && call.contains("AWSCloudFormation");
    assert_eq!(read.iter().map(by_role).collect::<Vec<_>>(), [false, false, true, true], "{read:?}");
}
