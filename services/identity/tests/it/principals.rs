//! Users, groups, boundaries, sessions, trust.

use serde_json::json;

use crate::{ACCOUNT, World, allow, operation, router};

const BUCKET: &str = "arn:aws:s3:::b/*";

async fn get(world: &World, cx: &service::Cx, key: &str) -> Result<(), String> {
    let input = json!({"Bucket": "b", "Key": key});
    router(world).admit(cx, operation("s3", "GetObject"), &input).await.map(drop).map_err(|e| e.message().to_owned())
}

async fn keys_of(world: &World, access_key: &str) -> service::Cx {
    let found = world.cx.router().identity().credentials(access_key).await.unwrap().unwrap();
    world.cx.with_credentials(found)
}

#[tokio::test]
async fn users_and_groups() {
    let world = World::new();
    world.call("createUser", json!({"UserName": "ann", "Path": "/team/"})).await;
    world.call("createGroup", json!({"GroupName": "readers"})).await;
    let policy = allow("s3:GetObject", "arn:aws:s3:::b/${aws:username}/*").to_string();
    world.call("putGroupPolicy", json!({"GroupName": "readers", "PolicyName": "p", "PolicyDocument": policy})).await;
    let key = world.call("createAccessKey", json!({"UserName": "ann"})).await;
    let id = key["AccessKey"]["AccessKeyId"].as_str().unwrap().to_owned();
    let ann = keys_of(&world, &id).await;
    assert!(
        get(&world, &ann, "ann/k")
            .await
            .unwrap_err()
            .starts_with(&format!("User: arn:aws:iam::{ACCOUNT}:user/team/ann is not"))
    );
    world.call("addUserToGroup", json!({"GroupName": "readers", "UserName": "ann"})).await;
    get(&world, &ann, "ann/k").await.unwrap();
    get(&world, &ann, "bob/k").await.unwrap_err();

    let who = world.try_call(&ann, "getCallerIdentity", json!({})).await.unwrap();
    assert_eq!(who["Arn"], format!("arn:aws:iam::{ACCOUNT}:user/team/ann"));
    let session = world.try_call(&ann, "getSessionToken", json!({})).await.unwrap();
    let held = keys_of(&world, session["Credentials"]["AccessKeyId"].as_str().unwrap()).await;
    get(&world, &held, "ann/k").await.unwrap();
    assert_eq!(world.try_call(&held, "getSessionToken", json!({})).await.unwrap_err().code(), "AccessDenied");

    world.call("updateAccessKey", json!({"UserName": "ann", "AccessKeyId": id, "Status": "Inactive"})).await;
    assert!(world.cx.router().identity().credentials(&id).await.unwrap().is_none());
    let conflict = world.try_call(&world.cx, "deleteUser", json!({"UserName": "ann"})).await.unwrap_err();
    assert_eq!(conflict.code(), "DeleteConflict");
    world.call("deleteAccessKey", json!({"UserName": "ann", "AccessKeyId": id})).await;
    world.call("removeUserFromGroup", json!({"GroupName": "readers", "UserName": "ann"})).await;
    world.call("deleteUser", json!({"UserName": "ann"})).await;
    get(&world, &held, "ann/k").await.unwrap_err();
}

#[tokio::test]
async fn a_session_is_not_the_next_ones_of_the_name() {
    let world = World::new();
    let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}});
    let make = || async {
        world.call("createRole", json!({"RoleName": "etl", "AssumeRolePolicyDocument": trust.to_string()})).await;
        let policy = allow("s3:GetObject", BUCKET).to_string();
        world.call("putRolePolicy", json!({"RoleName": "etl", "PolicyName": "p", "PolicyDocument": policy})).await;
        world.call("createUser", json!({"UserName": "ann"})).await;
        let policy = allow("s3:GetObject", BUCKET).to_string();
        world.call("putUserPolicy", json!({"UserName": "ann", "PolicyName": "p", "PolicyDocument": policy})).await;
        world.call("createAccessKey", json!({"UserName": "ann"})).await["AccessKey"]["AccessKeyId"].clone()
    };
    let key = make().await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/etl");
    let assumed = world.call("assumeRole", json!({"RoleArn": arn, "RoleSessionName": "session"})).await;
    let assumed = keys_of(&world, assumed["Credentials"]["AccessKeyId"].as_str().unwrap()).await;
    let identity = world.cx.router().identity().clone();
    let given = world.cx.as_principal(identity.role_session(&arn, "s", None).await.unwrap());
    let ann = keys_of(&world, key.as_str().unwrap()).await;
    let token = world.try_call(&ann, "getSessionToken", json!({})).await.unwrap();
    let token = keys_of(&world, token["Credentials"]["AccessKeyId"].as_str().unwrap()).await;
    for cx in [&assumed, &given, &token] {
        get(&world, cx, "k").await.unwrap();
    }
    world.call("deleteRolePolicy", json!({"RoleName": "etl", "PolicyName": "p"})).await;
    world.call("deleteRole", json!({"RoleName": "etl"})).await;
    world.call("deleteAccessKey", json!({"UserName": "ann", "AccessKeyId": key})).await;
    world.call("deleteUserPolicy", json!({"UserName": "ann", "PolicyName": "p"})).await;
    world.call("deleteUser", json!({"UserName": "ann"})).await;
    make().await;
    for cx in [&assumed, &given, &token] {
        let message = get(&world, cx, "k").await.unwrap_err();
        assert!(message.ends_with("because the user or role no longer exists"), "{message}");
    }
}

#[tokio::test]
async fn boundaries_bound() {
    let world = World::new();
    let boundary = allow("s3:Get*", "arn:aws:s3:::b/open/*").to_string();
    let made = world.call("createPolicy", json!({"PolicyName": "bound", "PolicyDocument": boundary})).await;
    let role = world.role("r", &[allow("s3:*", BUCKET)], &[]).await;
    get(&world, &role, "closed/k").await.unwrap();
    let arn = made["Policy"]["Arn"].clone();
    world.call("putRolePermissionsBoundary", json!({"RoleName": "r", "PermissionsBoundary": arn})).await;
    get(&world, &role, "open/k").await.unwrap();
    let message = get(&world, &role, "closed/k").await.unwrap_err();
    assert!(message.ends_with("because no permissions boundary allows the s3:GetObject action"), "{message}");
    let used = world.try_call(&world.cx, "deletePolicy", json!({"PolicyArn": arn})).await.unwrap_err();
    assert_eq!(used.code(), "DeleteConflict");
    world.call("deleteRolePermissionsBoundary", json!({"RoleName": "r"})).await;
    get(&world, &role, "closed/k").await.unwrap();
}

#[tokio::test]
async fn sessions_are_bound_and_tagged() {
    let world = World::new();
    let tagged = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:PrincipalTag/team}/*"}});
    let trust = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:role/caller")},
        "Action": ["sts:AssumeRole", "sts:TagSession"], "Condition": {"StringEquals": {"sts:ExternalId": "secret"}}}]});
    world.call("createRole", json!({"RoleName": "target", "AssumeRolePolicyDocument": trust.to_string()})).await;
    world
        .call("putRolePolicy", json!({"RoleName": "target", "PolicyName": "p", "PolicyDocument": tagged.to_string()}))
        .await;
    let caller = world.role("caller", &[], &[]).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/target");
    let request = json!({"RoleArn": arn, "RoleSessionName": "session", "Tags": [{"Key": "team", "Value": "red"}]});
    let refused = world.try_call(&caller, "assumeRole", request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), "AccessDenied");
    assert!(
        refused.message().contains("is not authorized to perform: sts:AssumeRole on resource"),
        "{}",
        refused.message()
    );
    let mut with_id = request;
    with_id["ExternalId"] = json!("secret");
    let session = world.try_call(&caller, "assumeRole", with_id.clone()).await.unwrap();
    let held = keys_of(&world, session["Credentials"]["AccessKeyId"].as_str().unwrap()).await;
    get(&world, &held, "red/k").await.unwrap();
    get(&world, &held, "blue/k").await.unwrap_err();
    with_id["Policy"] = json!(allow("s3:GetObject", "arn:aws:s3:::b/red/open/*").to_string());
    let session = world.try_call(&caller, "assumeRole", with_id).await.unwrap();
    let held = keys_of(&world, session["Credentials"]["AccessKeyId"].as_str().unwrap()).await;
    get(&world, &held, "red/open/k").await.unwrap();
    let message = get(&world, &held, "red/k").await.unwrap_err();
    assert!(message.ends_with("because no session policy allows the s3:GetObject action"), "{message}");
    // Another role that the trust policy does not name.
    let other = world.role("other", &[allow("sts:*", "*")], &[]).await;
    let request = json!({"RoleArn": arn, "RoleSessionName": "session", "ExternalId": "secret"});
    world.try_call(&other, "assumeRole", request).await.unwrap_err();
}

#[tokio::test]
async fn the_simulator_says_what_requests_meet() {
    let world = World::new();
    world.role("r", &[allow("s3:Get*", BUCKET)], &[]).await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/r");
    let said = world
        .call("simulatePrincipalPolicy", json!({"PolicySourceArn": arn, "ActionNames": ["s3:GetObject", "s3:PutObject"], "ResourceArns": ["arn:aws:s3:::b/k"]}))
        .await;
    let decisions: Vec<_> =
        said["EvaluationResults"].as_array().unwrap().iter().map(|r| r["EvalDecision"].clone()).collect();
    assert_eq!(decisions, ["allowed", "implicitDeny"]);
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalTag/a": "b"}}}});
    let said = world
        .call("simulateCustomPolicy", json!({"PolicyInputList": [policy.to_string()], "ActionNames": ["s3:GetObject"]}))
        .await;
    assert_eq!(said["EvaluationResults"][0]["EvalDecision"], "implicitDeny");
    assert_eq!(said["EvaluationResults"][0]["MissingContextValues"], json!(["aws:PrincipalTag/a"]));
    let keys = world.call("getContextKeysForCustomPolicy", json!({"PolicyInputList": [policy.to_string()]})).await;
    assert_eq!(keys["ContextKeyNames"], json!(["aws:PrincipalTag/a"]));
}

#[tokio::test]
async fn an_unknown_key_gives_nothing_and_is_named() {
    let world = World::new();
    let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"StringEqualsIfExists": {"aws:NoSuchKey": "b"}}}});
    let role = world.role("r", &[policy], &[]).await;
    let message = get(&world, &role, "k").await.unwrap_err();
    assert!(
        message.ends_with(
            "action (statements that would allow it ask about condition keys that are not known here: aws:NoSuchKey)"
        ),
        "{message}"
    );
}

#[tokio::test]
async fn all_of_an_account() {
    let world = World::new();
    world.role("r", &[allow("s3:Get*", BUCKET)], &[("a", "b")]).await;
    world.call("createInstanceProfile", json!({"InstanceProfileName": "p"})).await;
    world.call("addRoleToInstanceProfile", json!({"InstanceProfileName": "p", "RoleName": "r"})).await;
    world
        .call(
            "attachRolePolicy",
            json!({"RoleName": "r", "PolicyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}),
        )
        .await;
    let all = world.call("getAccountAuthorizationDetails", json!({})).await;
    assert_eq!(all["RoleDetailList"][0]["InstanceProfileList"][0]["InstanceProfileName"], "p");
    assert_eq!(all["RoleDetailList"][0]["RolePolicyList"][0]["PolicyName"], "p0");
    assert_eq!(all["Policies"][0]["AttachmentCount"], 1);
    let entities = world
        .call("listEntitiesForPolicy", json!({"PolicyArn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}))
        .await;
    assert_eq!(entities["PolicyRoles"][0]["RoleName"], "r");
    let conflict = world.try_call(&world.cx, "deleteRole", json!({"RoleName": "r"})).await.unwrap_err();
    assert_eq!(conflict.code(), "DeleteConflict");
}

/// The catalog knows databases and tables by any case: so does a policy for them.
#[tokio::test]
async fn denials_hold_for_names_of_any_case() {
    let world = World::new();
    let deny = |resource: &str| {
        let resource = format!("arn:aws:glue:us-east-1:{ACCOUNT}:{resource}");
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "glue:*", "Resource": resource}})
    };
    let policies = [allow("glue:*", "*"), deny("table/secret/*"), deny("database/closed"), deny("table/open/hidden")];
    let cx = world.role("reader", &policies, &[]).await;
    let cases = [
        ("GetTable", json!({"DatabaseName": "SECRET", "Name": "t"})),
        ("GetTables", json!({"DatabaseName": "Secret"})),
        ("GetPartitions", json!({"DatabaseName": "open", "TableName": "HIDDEN"})),
        ("CreateTable", json!({"DatabaseName": "open", "TableInput": {"Name": "Hidden"}})),
        ("BatchDeleteTable", json!({"DatabaseName": "open", "TablesToDelete": ["shown", "HIDDEN"]})),
        ("DeleteDatabase", json!({"Name": "CLOSED"})),
        ("CreateDatabase", json!({"DatabaseInput": {"Name": "Closed"}})),
        ("GetUserDefinedFunction", json!({"DatabaseName": "CLOSED", "FunctionName": "f"})),
    ];
    for (name, input) in cases {
        let error = router(&world).admit(&cx, operation("glue", name), &input).await.unwrap_err();
        assert!(error.message().contains("explicit deny"), "{name}: {}", error.message());
    }
    let open = json!({"DatabaseName": "OPEN", "Name": "SHOWN"});
    router(&world).admit(&cx, operation("glue", "GetTable"), &open).await.unwrap();
}

/// They end, and so does what they can get.
#[tokio::test]
async fn an_owners_temporary_keys_give_no_others() {
    let world = World::new();
    let own = service::identity::Credentials {
        access_key: "AK".to_owned(),
        secret_key: "secret".to_owned(),
        session_token: None,
        expires: None,
        principal: service::Principal::root(ACCOUNT),
        account: ACCOUNT.to_owned(),
        attempt: None,
    };
    let asks = |keys: service::identity::Credentials| {
        let cx = world.cx.with_credentials(keys);
        async move { cx.call::<api_sts::GetSessionToken>(api_sts::GetSessionTokenRequest::default()).await }
    };
    asks(own.clone()).await.unwrap();
    let temporary = service::identity::Credentials { session_token: Some("t".to_owned()), ..own.clone() };
    assert_eq!(asks(temporary).await.unwrap_err().code(), "AccessDenied");
    let lent = service::identity::Credentials { attempt: Some("job/1".to_owned()), ..own };
    assert_eq!(asks(lent).await.unwrap_err().code(), "AccessDenied");
}
