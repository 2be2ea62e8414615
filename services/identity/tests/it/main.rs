//! What operations ask of IAM, and what policies make of it, over the real service with stand-ins for those that tell tags and schemas.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod accounts;
mod operations;
mod policies;
mod principals;

use std::sync::Arc;

use serde_json::{Value, json};
use service::{Cx, Origin, Platform, Principal, Router};

pub(crate) const ACCOUNT: &str = "000000000000";
/// An account beside the server's own.
pub(crate) const OTHER: &str = "111111111111";
pub(crate) const REGION: &str = "us-east-1";

pub(crate) struct World {
    pub(crate) cx: Cx,
}

impl World {
    pub(crate) fn new() -> Self {
        let queue = || store::Queue::new(store::Store::memory());
        let other = json!({"access_key_id": "AKOTHER", "secret_access_key": "secret"});
        let settings = json!({"s3": {"accounts": {OTHER: other}}});
        let platform = Platform {
            router: Router::new(),
            control: queue(),
            s3: queue(),
            dynamodb: queue(),
            data: std::env::temp_dir(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: ACCOUNT.to_owned(),
            region: REGION.to_owned(),
            settings: service::Settings(Arc::new(settings.as_object().unwrap().clone())),
        };
        let root = identity::RootKeys { access_key: "AKROOT".to_owned(), secret_key: "secret".to_owned() };
        identity::register(&platform, root);
        let cx = Cx::new(platform.router, Principal::root(ACCOUNT), ACCOUNT, REGION).with_origin(Origin::new(
            Some([203, 0, 113, 7].into()),
            Some("boto3"),
            None,
        ));
        Self { cx }
    }

    /// A call of the owner.
    pub(crate) async fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(&self.cx, operation, input).await.unwrap_or_else(|e| panic!("{operation}: {}", e.message()))
    }

    pub(crate) async fn try_call(&self, cx: &Cx, operation: &str, input: Value) -> Result<Value, wire::Error> {
        let service =
            if ["assumeRole", "getSessionToken", "getCallerIdentity"].contains(&operation) { "sts" } else { "iam" };
        cx.call_json(service, operation, input).await
    }

    /// A session of a role that has these policies.
    pub(crate) async fn role(&self, name: &str, policies: &[Value], tags: &[(&str, &str)]) -> Cx {
        let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}});
        let tags: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        self.call("createRole", json!({"RoleName": name, "AssumeRolePolicyDocument": trust.to_string(), "Tags": tags}))
            .await;
        for (n, policy) in policies.iter().enumerate() {
            let document = policy.to_string();
            let name = json!({"RoleName": name, "PolicyName": format!("p{n}"), "PolicyDocument": document});
            self.call("putRolePolicy", name).await;
        }
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
        let principal = self.cx.router().identity().role_session(&arn, "session", None).await.unwrap();
        self.cx.as_principal(principal)
    }
}

pub(crate) fn allow(action: &str, resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": action, "Resource": resource}})
}

/// The rows of all operations.
pub(crate) fn all_operations() -> Vec<&'static wire::OperationSpec> {
    [
        api_athena::OPERATIONS,
        api_cloudformation::OPERATIONS,
        api_cloudwatch::OPERATIONS,
        api_dynamodb::OPERATIONS,
        api_dynamodbstreams::OPERATIONS,
        api_ecr::OPERATIONS,
        api_events::OPERATIONS,
        api_glue::OPERATIONS,
        api_iam::OPERATIONS,
        api_lambda::OPERATIONS,
        api_logs::OPERATIONS,
        api_s3::OPERATIONS,
        api_sagemaker::OPERATIONS,
        api_scheduler::OPERATIONS,
        api_secretsmanager::OPERATIONS,
        api_sns::OPERATIONS,
        api_sqs::OPERATIONS,
        api_ssm::OPERATIONS,
        api_states::OPERATIONS,
        api_sts::OPERATIONS,
    ]
    .concat()
}

pub(crate) fn operation(service: &str, name: &str) -> &'static wire::OperationSpec {
    let found = all_operations().into_iter().find(|spec| spec.service.name == service && spec.name == name);
    found.unwrap_or_else(|| panic!("no operation {service}:{name}"))
}

pub(crate) fn router(world: &World) -> &Arc<Router> {
    world.cx.router()
}

/// A path is part of a role's ARN: who may pass `role/service-role/*` gets no role outside it.
#[tokio::test]
async fn a_role_is_found_by_its_whole_arn() {
    let world = World::new();
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}});
    for (name, path) in [("admin", "/"), ("narrow", "/service-role/")] {
        let role = json!({"RoleName": name, "Path": path, "AssumeRolePolicyDocument": trust.to_string()});
        world.call("createRole", role).await;
    }
    for (role, is_one) in
        [("admin", true), ("service-role/narrow", true), ("service-role/admin", false), ("narrow", false)]
    {
        let arn = format!("arn:aws:iam::{ACCOUNT}:role/{role}");
        assert_eq!(world.cx.router().identity().role_session(&arn, "s", None).await.is_ok(), is_one, "{arn}");
        let assumed =
            world.try_call(&world.cx, "assumeRole", json!({"RoleArn": arn, "RoleSessionName": "session"})).await;
        assert_eq!(assumed.map_err(|error| error.code() == "AccessDenied").is_ok(), is_one, "{arn}");
    }
}
