//! Two accounts on one server: what an owner, a role or a service of one may do in the other.

use async_trait::async_trait;
use serde_json::{Value, json};
use service::authorization::{Guard, ResourcePolicy};
use service::{Cx, Principal};
use wire::Error;

use crate::{ACCOUNT, OTHER, REGION, World, allow, operation, router};

const HOUR: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

/// The other account's owner.
async fn other(world: &World) -> Cx {
    let keys = world.cx.router().identity().credentials("AKOTHER").await.unwrap().unwrap();
    let cx = world.cx.with_credentials(keys);
    assert_eq!((cx.account(), cx.caller_account()), (OTHER, OTHER));
    cx
}

fn trusts(principal: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole"}})
        .to_string()
}

async fn trusting(world: &World, name: &str, principal: &str) -> String {
    world.call("createRole", json!({"RoleName": name, "AssumeRolePolicyDocument": trusts(principal)})).await;
    format!("arn:aws:iam::{ACCOUNT}:role/{name}")
}

#[tokio::test]
async fn an_owner_takes_up_roles_of_its_account_and_of_those_that_trust_it() {
    let world = World::new();
    let other = other(&world).await;
    let closed = trusting(&world, "closed", &format!("arn:aws:iam::{ACCOUNT}:root")).await;
    let open = trusting(&world, "open", &format!("arn:aws:iam::{OTHER}:root")).await;
    let assume = |cx: &Cx, arn: &str| {
        let (cx, input) = (cx.clone(), json!({"RoleArn": arn, "RoleSessionName": "session"}));
        async move { cx.call_json("sts", "assumeRole", input).await }
    };
    assert_eq!(assume(&other, &closed).await.unwrap_err().code(), "AccessDenied");
    assume(&other, &open).await.unwrap();
    assume(&world.cx, &closed).await.unwrap();
    // In a call that has gone to the other account, the caller is still who it was.
    assert_eq!(assume(&other.in_account(ACCOUNT), &closed).await.unwrap_err().code(), "AccessDenied");
    // A service that calls by itself has no role.
    let service = world.cx.as_service("events.amazonaws.com", &format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/r"));
    assert_eq!(assume(&service, &closed).await.unwrap_err().code(), "AccessDenied");
}

#[tokio::test]
async fn keys_lent_for_an_owner_are_of_its_account() {
    let world = World::new();
    let (other, identity) = (other(&world).await, router(&world).identity().clone());
    let lent = identity.lend_attempt(other.principal(), "job#1", HOUR).await.unwrap();
    assert_eq!((lent.account.as_str(), &lent.principal), (OTHER, &Principal::root(OTHER)));
    let found = identity.credentials(&lent.access_key).await.unwrap().unwrap();
    assert_eq!((found.account.as_str(), &found.principal), (OTHER, &Principal::root(OTHER)));
    assert_eq!(identity.user_id(&found.principal).await.unwrap().as_deref(), Some(OTHER));
    let session = other.call_json("sts", "getSessionToken", json!({})).await.unwrap();
    let id = session["Credentials"]["AccessKeyId"].as_str().unwrap();
    assert_eq!(identity.credentials(id).await.unwrap().unwrap().account, OTHER);
}

#[test]
fn an_owner_of_an_older_record_is_of_where_the_record_lies() {
    let old: Principal = serde_json::from_str("\"Root\"").unwrap();
    assert_eq!(old.clone().of_account(OTHER), Principal::root(OTHER));
    assert_eq!(old.account(), None);
    for principal in [Principal::root(OTHER), Principal::Platform, Principal::role("arn:aws:iam::1:role/r", "s", None)]
    {
        let kept = serde_json::to_string(&principal).unwrap();
        assert_eq!(serde_json::from_str::<Principal>(&kept).unwrap(), principal, "{kept}");
    }
}

#[tokio::test]
async fn a_role_takes_up_another_where_both_sides_let_it() {
    let world = World::new();
    let machine = world.role("machine", &[allow("sts:AssumeRole", "*")], &[]).await;
    let weak = world.role("weak", &[], &[]).await;
    let name = |role: &str| format!("arn:aws:iam::{ACCOUNT}:role/{role}");
    let trusted = trusting(&world, "trusted", &name("machine")).await;
    let stranger = trusting(&world, "stranger", &name("somebody")).await;
    let account = trusting(&world, "account", &format!("arn:aws:iam::{ACCOUNT}:root")).await;
    let acting = machine.assume_other(&trusted, "session", None).await.unwrap();
    assert_eq!(acting.principal().role_arn(), Some(trusted.as_str()));
    machine.assume_other(&account, "session", None).await.unwrap();
    for (cx, role) in [(&machine, &stranger), (&weak, &trusted), (&weak, &account)] {
        assert_eq!(cx.assume_other(role, "session", None).await.unwrap_err().code(), "AccessDenied", "{role}");
    }
    assert_eq!(machine.assume_other(&name("gone"), "session", None).await.unwrap_err().code(), "AccessDenied");
    // With an external id that the trust policy asks for.
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": name("machine")},
        "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "arn:aws:states:x:1:stateMachine:m"}}}});
    world.call("createRole", json!({"RoleName": "asks", "AssumeRolePolicyDocument": trust.to_string()})).await;
    machine.assume_other(&name("asks"), "session", None).await.unwrap_err();
    machine.assume_other(&name("asks"), "session", Some("arn:aws:states:x:1:stateMachine:m")).await.unwrap();
}

/// Every key has this policy.
struct Policy(Value);

#[async_trait]
impl Guard for Policy {
    async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<ResourcePolicy>, Error> {
        Ok(Some(ResourcePolicy { policy: self.0.clone(), must_allow: true }))
    }
}

#[tokio::test]
async fn who_was_let_in_stays_of_its_own_account() {
    let world = World::new();
    let names = |principal: Value| json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}});
    let own = names(json!({"AWS": format!("arn:aws:iam::{OTHER}:root")}));
    router(&world).add_guard("kms", std::sync::Arc::new(Policy(own)));
    let role = world.role("r", &[allow("*", "*")], &[]).await;
    let key = format!("arn:aws:kms:{REGION}:{OTHER}:key/k");
    // The key's policy names its own account only, whose the caller is not, wherever its call has gone.
    for caller in [&role, &world.cx] {
        for place in [ACCOUNT, OTHER] {
            let cx = caller.in_account(place);
            let refused = router(&world).authorize(&cx, "kms:Decrypt", &key).await;
            assert_eq!(refused.unwrap_err().code(), "AccessDeniedException", "{place}");
        }
    }
    router(&world).authorize(&other(&world).await, "kms:Decrypt", &key).await.unwrap();
}

#[tokio::test]
async fn a_request_is_where_all_that_it_names_is() {
    let world = World::new();
    let everybody = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}});
    for service in ["dynamodb", "events"] {
        router(&world).add_guard(service, std::sync::Arc::new(Policy(everybody.clone())));
    }
    let role = world.role("r", &[allow("*", "*")], &[]).await;
    let theirs = format!("arn:aws:dynamodb:{REGION}:{OTHER}:table/t");
    let admit = |service: &'static str, name: &'static str, input: Value| {
        let role = role.clone();
        async move { role.router().admit(&role, operation(service, name), &input).await }
    };
    assert_eq!(admit("dynamodb", "GetItem", json!({"TableName": theirs})).await.unwrap().as_deref(), Some(OTHER));
    assert_eq!(admit("dynamodb", "GetItem", json!({"TableName": "t"})).await.unwrap(), None);
    let mixed = json!({"RequestItems": {theirs.as_str(): {}, "t": {}}});
    assert_eq!(admit("dynamodb", "BatchGetItem", mixed).await.unwrap_err().code(), "ValidationException");
    let all = json!({"RequestItems": {theirs.as_str(): {}}});
    assert_eq!(admit("dynamodb", "BatchGetItem", all).await.unwrap().as_deref(), Some(OTHER));
    // Each event goes to its own bus, from where the caller is.
    let bus = format!("arn:aws:events:{REGION}:{OTHER}:event-bus/b");
    let events = json!({"Entries": [{"EventBusName": bus}, {}]});
    assert_eq!(admit("events", "PutEvents", events).await.unwrap(), None);
}

#[tokio::test]
async fn a_function_of_another_region_is_not_reached() {
    let world = World::new();
    let role = world.role("r", &[allow("lambda:*", "*")], &[]).await;
    for caller in [role, world.cx.clone()] {
        let admit = |name: String| {
            let caller = caller.clone();
            async move {
                caller.router().admit(&caller, operation("lambda", "Invoke"), &json!({"FunctionName": name})).await
            }
        };
        admit(format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:f")).await.unwrap();
        let refused = admit(format!("arn:aws:lambda:eu-west-1:{ACCOUNT}:function:f")).await.unwrap_err();
        assert_eq!(refused.code(), "ResourceNotFoundException");
        assert_eq!(refused.message(), "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')");
    }
}

/// Nothing has a policy.
struct Bare;
#[async_trait]
impl Guard for Bare {
    async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<ResourcePolicy>, Error> {
        Ok(None)
    }
}

#[tokio::test]
async fn a_service_needs_no_policy_of_what_could_have_one_only() {
    let world = World::new();
    router(&world).add_guard("sqs", std::sync::Arc::new(Bare));
    let service = world.cx.as_service("events.amazonaws.com", &format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/r"));
    let ask = |action: &'static str, resource: String| {
        let service = service.clone();
        async move { service.router().authorize(&service, action, &resource).await }
    };
    ask("sqs:SendMessage", format!("arn:aws:sqs:{REGION}:{ACCOUNT}:q")).await.unwrap();
    for (action, resource) in [
        ("sqs:SendMessage", format!("arn:aws:sqs:{REGION}:{OTHER}:q")),
        ("iam:CreateAccessKey", format!("arn:aws:iam::{ACCOUNT}:user/u")),
        ("states:StartExecution", format!("arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:m")),
        ("ssm:DescribeParameters", "*".to_owned()),
    ] {
        assert_eq!(ask(action, resource).await.unwrap_err().code(), "AccessDeniedException", "{action}");
    }
}
