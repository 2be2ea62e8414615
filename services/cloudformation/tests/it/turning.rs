//! What operations wait for, what turns them back, and what comes of what they have left.

use super::times::Shifted;
use super::*;

/// The state of every alarm that there is.
#[async_trait]
impl Handle<api_cloudwatch::DescribeAlarms> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_cloudwatch::DescribeAlarmsInput,
    ) -> Result<api_cloudwatch::DescribeAlarmsOutput, Error> {
        let alarm = |name: String| {
            let state = if self.things().contains(&format!("http://h/0/{name}")) { "ALARM" } else { "OK" };
            api_cloudwatch::MetricAlarm {
                alarm_arn: Some(format!("{ALARMS}{name}")),
                state_value: Some(state.to_owned()),
                ..Default::default()
            }
        };
        let there = input.alarm_names.unwrap_or_default().into_iter().filter(|name| name != "missing");
        let metric_alarms = Some(there.map(alarm).collect());
        Ok(api_cloudwatch::DescribeAlarmsOutput { metric_alarms, ..Default::default() })
    }
}

const ALARMS: &str = "arn:aws:cloudwatch:us-east-1:000000000000:alarm:";

const SIGNALLED: &str = "
Parameters: {N: {Type: Number, Default: 2}}
Resources:
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work}}
  Wait:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: Work
    CreationPolicy: {ResourceSignal: {Count: !Ref N, Timeout: PT10M}}
";

impl World {
    async fn begin(&self, template: &str) {
        let input = api::CreateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            ..Default::default()
        };
        self.cx.call::<api::CreateStack>(input).await.unwrap();
    }

    async fn until(&self, event: &str) {
        let wait = async {
            while !self.events().await.iter().any(|told| told.starts_with(event)) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_mins(10), wait).await.unwrap();
    }

    async fn signal(&self, resource: &str, id: &str, status: &str) -> Result<(), Error> {
        let input = api::SignalResourceInput {
            stack_name: "demo".into(),
            logical_resource_id: resource.into(),
            unique_id: id.into(),
            status: status.into(),
        };
        self.cx.call::<api::SignalResource>(input).await.map(drop)
    }

    async fn roll_back(&self) -> Result<String, Error> {
        let input = api::RollbackStackInput { stack_name: "demo".into(), ..Default::default() };
        self.cx.call::<api::RollbackStack>(input).await?;
        Ok(self.settled("demo").await)
    }
}

#[tokio::test]
async fn a_resource_waits_for_its_signals() {
    let world = World::running();
    world.begin(SIGNALLED).await;
    world.until("Wait CREATE_IN_PROGRESS").await;
    let refused = world.signal("Work", "a", "SUCCESS").await.unwrap_err();
    assert!(refused.message().ends_with("can not be signaled"), "{refused}");
    assert!(world.signal("Nothing", "a", "SUCCESS").await.unwrap_err().message().contains("does not exist"));
    world.signal("Wait", "a", "SUCCESS").await.unwrap();
    // The same one again counts once.
    world.signal("Wait", "a", "SUCCESS").await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.stack("demo").await.unwrap().stack_status, "CREATE_IN_PROGRESS");
    world.signal("Wait", "b", "SUCCESS").await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    let events = world.events().await;
    assert!(events.iter().any(|event| event.ends_with("Received SUCCESS signal with UniqueId b")), "{events:#?}");
    assert!(world.signal("Wait", "c", "SUCCESS").await.unwrap_err().message().contains("CREATE_COMPLETE state"));
}

#[tokio::test]
async fn a_failure_or_silence_fails_what_waits() {
    let world = World::running();
    world.begin(SIGNALLED).await;
    world.until("Wait CREATE_IN_PROGRESS").await;
    world.signal("Wait", "a", "FAILURE").await.unwrap();
    assert_eq!(world.settled("demo").await, "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());

    let clock = Arc::new(Shifted::default());
    let world = World::over(Router::with_clock(clock.clone()));
    let _dispatcher = world.control.start();
    world.begin(SIGNALLED).await;
    world.until("Wait CREATE_IN_PROGRESS").await;
    world.signal("Wait", "a", "SUCCESS").await.unwrap();
    clock.pass(11 * 60);
    assert_eq!(world.settled("demo").await, "ROLLBACK_COMPLETE");
    let events = world.events().await;
    let silent = "Wait CREATE_FAILED Failed to receive 2 resource signal(s) within the specified duration";
    assert!(events.iter().any(|event| event.starts_with(silent)), "{events:#?}");
}

#[tokio::test]
async fn what_a_failed_operation_has_left_is_rolled_back() {
    let world = World::running();
    let template = |name: &str, more: &str| {
        format!("Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}}}}}\n{more}")
    };
    let bad = "  B: {Type: AWS::SQS::Queue, DependsOn: Q, Properties: {QueueName: bad}}\n";
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template("first", bad)),
        disable_rollback: Some(true),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_FAILED");
    assert_eq!(world.cloud.things(), ["http://h/0/first"]);
    assert_eq!(world.roll_back().await.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    let refused = world.roll_back().await.unwrap_err();
    assert!(refused.message().ends_with("is in ROLLBACK_COMPLETE state and can not be rolled back."), "{refused}");
}

/// Of an update, too: what was replaced is in its place again, and what had taken it is gone.
#[tokio::test]
async fn a_failed_update_is_rolled_back_later() {
    let world = World::running();
    let lake = |name: &str, more: &str| {
        format!(
            "Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: q{name}}}}}\n  \
             Lake: {{Type: AWS::S3::Bucket, DependsOn: Q, Properties: {{BucketName: {name}}}}}\n{more}"
        )
    };
    world.create(&lake("lake", "")).await.unwrap();
    // The other queue is made, of the other bucket a half.
    assert_eq!(world.update_and_stay(&lake("halfway", "")).await, "UPDATE_FAILED");
    assert_eq!(world.cloud.things(), ["halfway", "http://h/0/qhalfway", "http://h/0/qlake", "lake"]);
    assert_eq!(world.roll_back().await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/qlake", "lake"]);
    assert_eq!(world.update(&lake("pond", "")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/qpond", "pond"]);
}

#[tokio::test]
async fn what_is_retained_goes_where_nobody_wants_it() {
    let template = "Resources:\n  Q: {Type: AWS::SQS::Queue, DeletionPolicy: Retain, Properties: {QueueName: kept}}\n  \
         B: {Type: AWS::SQS::Queue, DependsOn: Q, Properties: {QueueName: bad}}\n";
    for (forgets, left) in [(None, vec!["http://h/0/kept".to_owned()]), (Some(true), Vec::new())] {
        let world = World::running();
        let input = api::CreateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            retain_except_on_create: forgets,
            ..Default::default()
        };
        world.cx.call::<api::CreateStack>(input).await.unwrap();
        assert_eq!(world.settled("demo").await, "ROLLBACK_COMPLETE");
        assert_eq!(world.cloud.things(), left);
    }
}

/// An alarm is in ALARM here where there is a queue of its name.
#[tokio::test]
async fn an_alarm_takes_an_operation_back() {
    let world = World::running();
    let begin = async |template: &str, alarm: &str| {
        let trigger = api::RollbackTrigger { arn: format!("{ALARMS}{alarm}"), r#type: "AWS::CloudWatch::Alarm".into() };
        let watched =
            api::RollbackConfiguration { rollback_triggers: Some(vec![trigger]), monitoring_time_in_minutes: Some(0) };
        let input = api::CreateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            rollback_configuration: Some(watched),
            ..Default::default()
        };
        world.cx.call::<api::CreateStack>(input).await.unwrap();
        let status = world.settled("demo").await;
        let told = world.stack("demo").await.unwrap();
        assert_eq!(told.rollback_configuration.unwrap().rollback_triggers.unwrap().len(), 1);
        let delete = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
        let events = world.events().await;
        world.cx.call::<api::DeleteStack>(delete).await.unwrap();
        world.settled(&told.stack_id.unwrap()).await;
        (status, events)
    };
    let queue = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: loud}}}";
    assert_eq!(begin(queue, "quiet").await.0, "CREATE_COMPLETE");
    for (alarm, why) in [("loud", "is in ALARM state"), ("missing", "does not exist")] {
        let (status, events) = begin(queue, alarm).await;
        assert_eq!(status, "ROLLBACK_COMPLETE");
        let told =
            |event: &String| event.starts_with("demo ROLLBACK_IN_PROGRESS Rollback trigger") && event.contains(why);
        assert!(events.iter().any(told), "{events:#?}");
        assert_eq!(world.cloud.things(), Vec::<String>::new());
    }
}

/// With the language extensions what becomes of a resource may be a function of parameters.
#[tokio::test]
async fn policies_may_be_functions() {
    let world = World::running();
    let template = "Transform: AWS::LanguageExtensions\nParameters: {Stays: {Type: String, Default: 'yes'}}\n\
         Conditions: {Kept: !Equals [!Ref Stays, 'yes']}\n\
         Resources: {Q: {Type: AWS::SQS::Queue, DeletionPolicy: !If [Kept, Retain, Delete], Properties: {QueueName: q}}}";
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template.into()),
        capabilities: Some(vec!["CAPABILITY_AUTO_EXPAND".into()]),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    let id = world.stack("demo").await.unwrap().stack_id.unwrap();
    let input = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/q"]);
    let plain = template.replace("Transform: AWS::LanguageExtensions\n", "");
    assert!(world.create(&plain).await.unwrap_err().message().contains("must be a string"));
}

/// Parts first, from the innermost outwards, then the whole template.
#[tokio::test]
async fn macros_make_templates() {
    let world = World::running();
    let macros = "Resources:\n  A: {Type: AWS::CloudFormation::Macro, Properties: {Name: Marked, FunctionName: f}}\n  \
         B: {Type: AWS::CloudFormation::Macro, Properties: {Name: Broken, FunctionName: f}}\n";
    assert_eq!(world.create(macros).await.unwrap(), "CREATE_COMPLETE");
    let made = async |template: &str, capable: bool| {
        let input = api::CreateStackInput {
            stack_name: "made".into(),
            template_body: Some(template.into()),
            capabilities: capable.then(|| vec!["CAPABILITY_AUTO_EXPAND".to_owned()]),
            parameters: Some(vec![api::Parameter {
                parameter_key: Some("P".into()),
                parameter_value: Some("v".into()),
                ..Default::default()
            }]),
            ..Default::default()
        };
        world.cx.call::<api::CreateStack>(input).await?;
        Ok::<_, Error>(world.settled("made").await)
    };
    let template = "Transform: Marked\nParameters: {P: {Type: String}}\nResources:\n  \
         Q: {Type: AWS::SQS::Queue, Properties: {QueueName: q, Fn::Transform: {Name: Marked, Parameters: {To: inner}}}}\n";
    assert_eq!(made(template, false).await.unwrap_err().code(), "InsufficientCapabilitiesException");
    assert_eq!(made(template, true).await.unwrap(), "CREATE_COMPLETE");
    let asked = world.cloud.calls.lock().unwrap().clone();
    let asked: Vec<&String> = asked.iter().filter(|call| call.starts_with("Transform")).collect();
    assert_eq!(
        asked,
        [
            r#"Transform 000000000000::Marked {"QueueName":"q"} {"To":"inner"} {"P":"v"}"#,
            r#"Transform 000000000000::Marked ["Parameters","Resources"] {} {"P":"v"}"#,
        ]
    );
    let noted = world.cloud.noted.lock().unwrap().clone();
    assert!(noted.iter().any(|queue| queue.contains("\"7\"")), "{noted:?}");
    let broken = template.replace("Transform: Marked", "Transform: Broken");
    let refused = made(&broken, true).await.unwrap_err();
    assert_eq!(refused.message(), "Transform 000000000000::Broken failed with: it is broken");
    let unknown = template.replace("Transform: Marked", "Transform: Unknown");
    assert_eq!(made(&unknown, true).await.unwrap_err().message(), "No transform named Unknown found.");
}

/// What the macros of these tests answer: the innermost part gets a delay, the whole template is as it was.
pub(super) fn transformed(cloud: &Cloud, request: &serde_json::Value) -> Option<serde_json::Value> {
    let id = request.get("transformId")?.as_str().unwrap();
    let mut fragment = request["fragment"].clone();
    let shown = match fragment.get("Resources") {
        Some(_) => serde_json::json!(fragment.as_object().unwrap().keys().collect::<Vec<_>>()),
        None => fragment.clone(),
    };
    cloud.call("Transform", &format!("{id} {shown} {} {}", request["params"], request["templateParameterValues"]));
    if request["params"].get("To").is_some() {
        fragment["DelaySeconds"] = 7.into();
    }
    let status = if id.ends_with("Broken") { "failed" } else { "success" };
    Some(serde_json::json!({
        "requestId": request["requestId"], "status": status, "errorMessage": "it is broken", "fragment": fragment,
    }))
}
