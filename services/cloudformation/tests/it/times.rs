//! Stacks as time passes, and stacks that are made at the same time.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering};

use store::{Clock, SystemClock};

use super::*;

/// The real time, and what a test has let pass.
#[derive(Debug, Default)]
pub(super) struct Shifted(AtomicI64);

impl Shifted {
    pub(super) fn pass(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> jiff::Timestamp {
        SystemClock.now() + jiff::SignedDuration::from_secs(self.0.load(Ordering::Relaxed))
    }
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        SystemClock.sleep(time)
    }
    fn random(&self) -> u128 {
        SystemClock.random()
    }
}

const WAITS: &str = "
Resources:
  Work: {Type: AWS::SQS::Queue, Properties: {QueueName: work}}
  Link: {Type: AWS::CloudFormation::WaitConditionHandle, DependsOn: Work}
  Wait: {Type: AWS::CloudFormation::WaitCondition, Properties: {Handle: !Ref Link, Timeout: 43200}}
";

#[tokio::test]
async fn a_creation_that_takes_too_long_is_taken_back() {
    let clock = Arc::new(Shifted::default());
    let world = World::over(Router::with_clock(clock.clone()));
    let _dispatcher = world.control.start();
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(WAITS.into()),
        timeout_in_minutes: Some(30),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    while !world.events().await.iter().any(|event| event.starts_with("Wait CREATE_IN_PROGRESS")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clock.0.fetch_add(29 * 60, Ordering::Relaxed);
    // It is looked at again, and still waits.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.stack("demo").await.unwrap().stack_status, "CREATE_IN_PROGRESS");
    assert_eq!(world.cloud.things(), ["http://h/0/work"]);
    clock.0.fetch_add(2 * 60, Ordering::Relaxed);
    assert_eq!(world.settled("demo").await, "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
    assert_eq!(world.stack("demo").await.unwrap().timeout_in_minutes, Some(30));
    let events = world.events().await;
    assert!(
        events.iter().any(|event| event.starts_with("Wait CREATE_FAILED Resource creation cancelled")),
        "{events:#?}"
    );
}

#[tokio::test]
async fn of_two_stacks_that_export_one_name_one_does() {
    let world = World::running();
    let template = "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: !Ref Q, Export: {Name: shared}}}";
    let made = (0..8).map(|n| format!("s{n}")).collect::<Vec<_>>();
    for name in &made {
        let input = api::CreateStackInput {
            stack_name: name.clone(),
            template_body: Some(template.into()),
            ..Default::default()
        };
        world.cx.call::<api::CreateStack>(input).await.unwrap();
    }
    let mut complete = Vec::new();
    for name in &made {
        match world.settled(name).await.as_str() {
            "CREATE_COMPLETE" => complete.push(name.clone()),
            other => assert_eq!(other, "ROLLBACK_COMPLETE", "{name}"),
        }
    }
    assert_eq!(complete.len(), 1, "{complete:?}");
    let exports = world.cx.call::<api::ListExports>(api::ListExportsInput::default()).await.unwrap().exports.unwrap();
    let of: Vec<String> = exports.into_iter().filter_map(|export| export.exporting_stack_id).collect();
    assert_eq!(of, [world.stack(&complete[0]).await.unwrap().stack_id.unwrap()]);
}

/// Whichever comes first: a stack that imports has what it imports for as long as it is there.
#[tokio::test]
async fn an_export_that_is_being_imported_stays() {
    let world = World::running();
    let exporting = "Resources: {Q: {Type: AWS::SQS::Queue}}\nOutputs: {O: {Value: one, Export: {Name: shared}}}";
    let importing = "Resources: {Q: {Type: AWS::SQS::Queue, Properties: {QueueName: !ImportValue shared}}}";
    for _ in 0..10 {
        assert_eq!(world.make("demo", exporting).await.unwrap(), "CREATE_COMPLETE");
        let import = api::CreateStackInput {
            stack_name: "user".into(),
            template_body: Some(importing.into()),
            ..Default::default()
        };
        let delete = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
        let id = world.stack("demo").await.unwrap().stack_id.unwrap();
        let (imported, deleted) =
            tokio::join!(world.cx.call::<api::CreateStack>(import), world.cx.call::<api::DeleteStack>(delete));
        let (_, ()) = (imported.unwrap(), deleted.map(drop).unwrap());
        let (user, demo) = (world.settled("user").await, world.settled(&id).await);
        assert!(
            (user == "CREATE_COMPLETE" && demo == "CREATE_COMPLETE")
                || (user != "CREATE_COMPLETE" && demo == "DELETE_COMPLETE"),
            "{user} {demo}"
        );
        for name in ["user", "demo"] {
            let Ok(stack) = world.stack(name).await else { continue };
            let delete = api::DeleteStackInput { stack_name: name.into(), ..Default::default() };
            world.cx.call::<api::DeleteStack>(delete).await.unwrap();
            assert_eq!(world.settled(&stack.stack_id.unwrap()).await, "DELETE_COMPLETE");
        }
    }
}
