//! Operations that fail at one place or another: what is left, and what comes of it next.

use std::sync::atomic::{AtomicI32, Ordering};

use service::identity::{Credentials, Identity};

use super::*;

#[async_trait]
impl Handle<api_s3::PutBucketVersioning> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::PutBucketVersioningRequest) -> Result<Empty, Error> {
        self.call("PutBucketVersioning", &input.versioning_configuration.status.unwrap_or_default());
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_s3::PutPublicAccessBlock> for Cloud {
    async fn handle(&self, _: &Cx, _: api_s3::PutPublicAccessBlockRequest) -> Result<Empty, Error> {
        Err(Error::new("AccessDenied", 403, "Access Denied"))
    }
}
#[async_trait]
impl Handle<api_s3::DeletePublicAccessBlock> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::DeletePublicAccessBlockRequest) -> Result<Empty, Error> {
        self.call("DeletePublicAccessBlock", &input.bucket);
        Ok(Empty {})
    }
}
#[async_trait]
impl Handle<api_s3::GetBucketPolicy> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_s3::GetBucketPolicyRequest,
    ) -> Result<api_s3::GetBucketPolicyOutput, Error> {
        match input.bucket.as_str() {
            "taken" => Ok(api_s3::GetBucketPolicyOutput { policy: Some("{}".into()) }),
            _ => Err(Error::new("NoSuchBucketPolicy", 404, "The bucket policy does not exist")),
        }
    }
}
#[async_trait]
impl Handle<api_s3::PutBucketPolicy> for Cloud {
    async fn handle(&self, _: &Cx, input: api_s3::PutBucketPolicyRequest) -> Result<Empty, Error> {
        self.call("PutBucketPolicy", &input.bucket);
        Ok(Empty {})
    }
}

/// A custom resource's function: the thing's id is its property `Id`.
#[async_trait]
impl Handle<api_lambda::Invoke> for Cloud {
    async fn handle(
        &self,
        _: &Cx,
        input: api_lambda::InvocationRequest,
    ) -> Result<api_lambda::InvocationResponse, Error> {
        let request: serde_json::Value = serde_json::from_slice(&input.payload.unwrap_or_default().0).unwrap();
        if let Some(answer) = turning::transformed(self, &request) {
            let payload = Some(wire::Blob(answer.to_string().into_bytes().into()));
            return Ok(api_lambda::InvocationResponse { payload, ..Default::default() });
        }
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("-").to_owned();
        let (was, old) = (text(&request["PhysicalResourceId"]), text(&request["OldResourceProperties"]["Id"]));
        let id = text(&request["ResourceProperties"]["Id"]);
        self.call(&text(&request["RequestType"]), &format!("{was} {old} {id}"));
        let status = if id == "broken" { "FAILED" } else { "SUCCESS" };
        let answer = serde_json::json!({
            "Status": status, "Reason": "it is broken", "PhysicalResourceId": if request["RequestType"] == "Delete" { was } else { id },
            "StackId": request["StackId"], "RequestId": request["RequestId"], "LogicalResourceId": request["LogicalResourceId"],
        });
        let url = text(&request["ResponseURL"]);
        let token = url.strip_prefix(cloudformation::ANSWERS).unwrap();
        self.service.get().unwrap().take_answer(token, answer.to_string().as_bytes()).await?;
        Ok(api_lambda::InvocationResponse::default())
    }
}

impl World {
    pub(crate) fn calls(&self, what: &str) -> Vec<String> {
        self.cloud.calls.lock().unwrap().iter().filter(|call| call.starts_with(what)).cloned().collect()
    }

    pub(super) async fn update_and_stay(&self, template: &str) -> String {
        let input = api::UpdateStackInput {
            stack_name: "demo".into(),
            template_body: Some(template.into()),
            disable_rollback: Some(true),
            ..Default::default()
        };
        self.cx.call::<api::UpdateStack>(input).await.unwrap();
        self.settled("demo").await
    }
}

/// Who may not change it may not change it back either: nothing has changed.
#[tokio::test]
async fn what_has_changed_nothing_is_not_taken_back() {
    let world = World::running();
    let lake =
        |more: &str| format!("Resources: {{Lake: {{Type: AWS::S3::Bucket, Properties: {{BucketName: lake{more}}}}}}}");
    world.create(&lake("")).await.unwrap();
    let refused = ", PublicAccessBlockConfiguration: {BlockPublicAcls: true}";
    assert_eq!(world.update(&lake(refused)).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.count("DeletePublicAccessBlock"), 0);
}

/// The versioning is on when the access block is refused: the way back turns it off.
#[tokio::test]
async fn what_a_failed_update_has_done_of_a_resource_is_taken_back() {
    let world = World::running();
    let lake =
        |more: &str| format!("Resources: {{Lake: {{Type: AWS::S3::Bucket, Properties: {{BucketName: lake{more}}}}}}}");
    world.create(&lake("")).await.unwrap();
    let versioned = ", VersioningConfiguration: {Status: Enabled}";
    let broken = format!("{versioned}, PublicAccessBlockConfiguration: {{BlockPublicAcls: true}}");
    assert_eq!(world.update(&lake(&broken)).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.calls("PutBucketVersioning"), ["PutBucketVersioning Enabled", "PutBucketVersioning Suspended"]);
    // The same where it stays, and the next update wants something else.
    assert_eq!(world.update_and_stay(&lake(&broken)).await, "UPDATE_FAILED");
    assert_eq!(world.update(&lake("")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.calls("PutBucketVersioning").last().unwrap(), "PutBucketVersioning Suspended");
    assert_eq!(world.calls("PutBucketVersioning").len(), 4);
}

#[tokio::test]
async fn a_replacement_that_is_half_made_goes() {
    let world = World::running();
    let lake =
        |name: &str| format!("Resources: {{Lake: {{Type: AWS::S3::Bucket, Properties: {{BucketName: {name}}}}}}}");
    world.create(&lake("lake")).await.unwrap();
    assert_eq!(world.update(&lake("halfway")).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), ["lake"]);
    let events = world.events().await;
    assert!(
        events.iter().any(|event| event.contains("requires the creation of a new physical resource")),
        "{events:#?}"
    );
    // Where the update stays as it is the next one that succeeds clears it away.
    assert_eq!(world.update_and_stay(&lake("halfway")).await, "UPDATE_FAILED");
    assert_eq!(world.cloud.things(), ["halfway", "lake"]);
    assert_eq!(world.update(&lake("lake")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["lake"]);
}

#[tokio::test]
async fn what_was_replaced_before_a_failure_goes_with_the_next_success() {
    let world = World::running();
    let template = |name: &str, more: &str| {
        format!("Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}}}}}\n{more}")
    };
    let bad = "  B: {Type: AWS::SQS::Queue, DependsOn: Q, Properties: {QueueName: bad}}\n";
    world.create(&template("first", "")).await.unwrap();
    assert_eq!(world.update_and_stay(&template("second", bad)).await, "UPDATE_FAILED");
    assert_eq!(world.cloud.things().len(), 2);
    // The template is the stack's as it was, its resources are not: to go back is an update. What is in place again is not cleared away.
    assert_eq!(world.update(&template("first", "")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/first"]);
    assert_eq!(world.update_and_stay(&template("second", bad)).await, "UPDATE_FAILED");
    assert_eq!(world.update(&template("second", "")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/second"]);
}

#[tokio::test]
async fn what_failed_operations_have_left_goes_with_the_stack() {
    let world = World::running();
    let template = |name: &str, more: &str| {
        format!("Resources:\n  Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}}}}}\n{more}")
    };
    let bad = "  B: {Type: AWS::SQS::Queue, DependsOn: Q, Properties: {QueueName: bad}}\n";
    world.create(&template("first", "")).await.unwrap();
    assert_eq!(world.update_and_stay(&template("second", bad)).await, "UPDATE_FAILED");
    let id = world.stack("demo").await.unwrap().stack_id.unwrap();
    let input = api::DeleteStackInput { stack_name: "demo".into(), ..Default::default() };
    world.cx.call::<api::DeleteStack>(input).await.unwrap();
    assert_eq!(world.settled(&id).await, "DELETE_COMPLETE");
    assert_eq!(world.cloud.things(), Vec::<String>::new());
}

fn thing(id: &str, more: &str) -> String {
    format!(
        "Resources:\n  Thing: {{Type: 'Custom::Thing', Properties: {{ServiceToken: 'arn:aws:lambda:us-east-1:000000000000:function:f', Id: {id}}}}}\n{more}"
    )
}

/// The update makes another thing. The way back is asked of that one, which then goes; the first was never to go.
#[tokio::test]
async fn a_custom_resource_that_was_replaced_comes_back() {
    let world = World::running();
    assert_eq!(world.create(&thing("a", "")).await.unwrap(), "CREATE_COMPLETE");
    let bad = "  B: {Type: AWS::SQS::Queue, DependsOn: Thing, Properties: {QueueName: bad}}\n";
    assert_eq!(world.update(&thing("b", bad)).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.calls("Update"), ["Update a a b", "Update b b a"]);
    assert_eq!(world.calls("Delete "), ["Delete b - b"]);
    let found = api::DescribeStackResourceInput { stack_name: "demo".into(), logical_resource_id: "Thing".into() };
    let found = world.cx.call::<api::DescribeStackResource>(found).await.unwrap();
    assert_eq!(found.stack_resource_detail.unwrap().physical_resource_id.as_deref(), Some("a"));
}

/// Who has failed to change it is told from what it goes back.
#[tokio::test]
async fn a_custom_resource_that_failed_is_told_what_was_tried() {
    let world = World::running();
    world.create(&thing("a", "")).await.unwrap();
    assert_eq!(world.update(&thing("broken", "")).await.unwrap(), "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.calls("Update"), ["Update a a broken", "Update a broken a"]);
}

#[tokio::test]
async fn policies_that_are_there_stay_somebody_elses() {
    let world = World::running();
    let policy =
        "Resources: {P: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: taken, PolicyDocument: {Statement: []}}}}";
    assert_eq!(world.create(policy).await.unwrap(), "ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.count("PutBucketPolicy"), 0);
    let events = world.events().await;
    assert!(
        events.iter().any(|event| event.contains("The bucket policy already exists on bucket taken.")),
        "{events:#?}"
    );
}

/// A queue's policy that another logical id has taken over is not the old one's to take away.
#[tokio::test]
async fn a_policy_under_another_name_stays() {
    let world = World::running();
    let policy = |name: &str| {
        format!(
            "Resources: {{{name}: {{Type: AWS::SQS::QueuePolicy, Properties: {{Queues: ['http://h/0/q'], PolicyDocument: {{Statement: []}}}}}}}}"
        )
    };
    world.create(&policy("Old")).await.unwrap();
    assert_eq!(world.update(&policy("New")).await.unwrap(), "UPDATE_COMPLETE");
    let set = world.calls("SetQueueAttributes");
    assert!(set.len() == 2 && set.iter().all(|call| call.contains("Statement")), "{set:?}");
}

/// A role that can be assumed so many times.
pub(super) struct Roles(Arc<AtomicI32>);

impl Roles {
    pub(super) fn many() -> Self {
        Self(Arc::new(AtomicI32::new(i32::MAX)))
    }
}

#[async_trait]
impl Identity for Roles {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, _: Option<&str>) -> Result<Principal, Error> {
        if self.0.fetch_sub(1, Ordering::Relaxed) <= 0 {
            return Err(Error::access_denied("there is no such role"));
        }
        Ok(Principal::Role {
            role_arn: role_arn.to_owned(),
            session: session.to_owned(),
            policy: None,
            attempt: None,
            access_key: None,
            context: Box::default(),
        })
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::access_denied("not here"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// The role is gone when the update is done but for what it has replaced: the stack is updated, and what is left is not forgotten.
#[tokio::test]
async fn a_role_that_is_gone_undoes_nothing() {
    let world = World::running();
    let times = Arc::new(AtomicI32::new(2));
    world.cx.router().set_identity(Arc::new(Roles(times.clone())));
    let template =
        |name: &str| format!("Resources: {{Q: {{Type: AWS::SQS::Queue, Properties: {{QueueName: {name}}}}}}}");
    let input = api::CreateStackInput {
        stack_name: "demo".into(),
        template_body: Some(template("first")),
        role_arn: Some("arn:aws:iam::000000000000:role/deployer".into()),
        ..Default::default()
    };
    world.cx.call::<api::CreateStack>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "CREATE_COMPLETE");
    times.store(1, Ordering::Relaxed);
    assert_eq!(world.update(&template("second")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things().len(), 2);
    let events = world.events().await;
    assert!(events.iter().any(|event| event.starts_with("Q DELETE_FAILED The role")), "{events:#?}");
    times.store(9, Ordering::Relaxed);
    assert_eq!(world.update(&template("third")).await.unwrap(), "UPDATE_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/third"]);
    // Gone on the way back, the way back can be gone on with.
    let bad = "Resources:\n  Q: {Type: AWS::SQS::Queue, Properties: {QueueName: fourth}}\n  B: {Type: AWS::SQS::Queue, DependsOn: Q, Properties: {QueueName: bad}}\n";
    times.store(1, Ordering::Relaxed);
    assert_eq!(world.update(bad).await.unwrap(), "UPDATE_ROLLBACK_FAILED");
    times.store(9, Ordering::Relaxed);
    let input = api::ContinueUpdateRollbackInput { stack_name: "demo".into(), ..Default::default() };
    world.cx.call::<api::ContinueUpdateRollback>(input).await.unwrap();
    assert_eq!(world.settled("demo").await, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(world.cloud.things(), ["http://h/0/third"]);
}
