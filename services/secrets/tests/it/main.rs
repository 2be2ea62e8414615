//! Secrets and parameters over a stand-in for KMS: what is kept is what it has encrypted, bound to what it is a value of.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;

use api_events::{PutEvents, PutEventsRequest, PutEventsResponse};
use api_kms::{Decrypt, DecryptRequest, DecryptResponse, Encrypt, EncryptRequest, EncryptResponse};
use api_lambda::{
    FunctionConfiguration, GetFunctionConfiguration, GetFunctionConfigurationRequest, InvocationRequest,
    InvocationResponse, Invoke,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use service::{Cx, Handle, Platform, Principal, Router};
use store::{Key, Store};
use wire::{Blob, Error};

/// Turns bytes around and puts key and context before them.
struct Kms;

#[async_trait]
impl Handle<Encrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: EncryptRequest) -> Result<EncryptResponse, Error> {
        if req.key_id == "nonsense" {
            return Err(api_kms::error::not_found_exception("Invalid keyId 'nonsense'"));
        }
        let head = json!([req.key_id, req.encryption_context, cx.called_via()]).to_string();
        let turned = req.plaintext.as_bytes().iter().rev().copied();
        let blob = head.bytes().chain([0]).chain(turned).collect::<Vec<u8>>();
        Ok(EncryptResponse { ciphertext_blob: Some(Blob::new(blob)), ..Default::default() })
    }
}

#[async_trait]
impl Handle<Decrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: DecryptRequest) -> Result<DecryptResponse, Error> {
        let blob = req.ciphertext_blob.unwrap_or_default();
        let at = blob.as_bytes().iter().position(|byte| *byte == 0).unwrap();
        let head: Value = serde_json::from_slice(&blob.as_bytes()[..at]).unwrap();
        if (&head[1], head[2].as_str()) != (&json!(req.encryption_context), cx.called_via()) {
            return Err(api_kms::error::invalid_ciphertext_exception(""));
        }
        let plain = blob.as_bytes()[at + 1..].iter().rev().copied().collect::<Vec<u8>>();
        Ok(DecryptResponse { plaintext: Some(Blob::new(plain)), ..Default::default() })
    }
}

/// What the function was asked, and how it answers.
#[derive(Default)]
struct Lambda {
    asked: std::sync::Mutex<Vec<Value>>,
    fails: std::sync::atomic::AtomicBool,
}

/// No function has a policy.
#[async_trait]
impl service::authorization::Guard for Lambda {
    async fn policy(&self, _: &Cx, _: &str, _: &str) -> Result<Option<service::authorization::ResourcePolicy>, Error> {
        Ok(None)
    }
}

#[async_trait]
impl Handle<Invoke> for Lambda {
    async fn handle(&self, cx: &Cx, req: InvocationRequest) -> Result<InvocationResponse, Error> {
        let event: Value = serde_json::from_slice(req.payload.unwrap().as_bytes()).unwrap();
        assert_eq!(
            (cx.service().unwrap().name.as_str(), req.function_name.as_str()),
            ("secretsmanager.amazonaws.com", LAMBDA)
        );
        self.asked.lock().unwrap().push(event.clone());
        let own = cx.as_platform().without_task();
        let (id, version) = (event["SecretId"].clone(), event["ClientRequestToken"].clone());
        if self.fails.load(std::sync::atomic::Ordering::SeqCst) {
            return Ok(InvocationResponse { function_error: Some("Unhandled".to_owned()), ..Default::default() });
        }
        match event["Step"].as_str().unwrap() {
            "createSecret" => {
                let there = json!({"SecretId": id, "VersionId": version, "VersionStage": "AWSPENDING"});
                if call(&own, "secretsmanager", "GetSecretValue", there).await.is_err() {
                    let wrong = json!({"SecretId": id, "ClientRequestToken": version, "SecretString": "x", "RotationToken": "0".repeat(36)});
                    assert_eq!(
                        call(&own, "secretsmanager", "PutSecretValue", wrong).await.unwrap_err().code(),
                        "InvalidParameterException"
                    );
                    let put = json!({
                        "SecretId": id, "ClientRequestToken": version, "SecretString": "new", "VersionStages": ["AWSPENDING"],
                        "RotationToken": event["RotationToken"],
                    });
                    call(&own, "secretsmanager", "PutSecretValue", put).await.unwrap();
                }
            }
            "finishSecret" => {
                let described = call(&own, "secretsmanager", "DescribeSecret", json!({"SecretId": id})).await.unwrap();
                let stages = described["VersionIdsToStages"].as_object().unwrap().clone();
                let current = stages
                    .iter()
                    .find(|(_, held)| held.as_array().unwrap().contains(&json!("AWSCURRENT")))
                    .unwrap()
                    .0
                    .clone();
                let moved = json!({"SecretId": id, "VersionStage": "AWSCURRENT", "MoveToVersionId": version, "RemoveFromVersionId": current});
                call(&own, "secretsmanager", "UpdateSecretVersionStage", moved).await.unwrap();
            }
            _ => {}
        }
        Ok(InvocationResponse::default())
    }
}

#[async_trait]
impl Handle<GetFunctionConfiguration> for Lambda {
    async fn handle(&self, _: &Cx, req: GetFunctionConfigurationRequest) -> Result<FunctionConfiguration, Error> {
        if req.function_name == LAMBDA {
            Ok(FunctionConfiguration::default())
        } else {
            Err(Error::access_denied("none"))
        }
    }
}

/// The bus: what it was told.
#[derive(Default)]
struct Bus(std::sync::Mutex<Vec<Value>>);

#[async_trait]
impl Handle<PutEvents> for Bus {
    async fn handle(&self, _: &Cx, req: PutEventsRequest) -> Result<PutEventsResponse, Error> {
        for entry in req.entries {
            let mut detail: Value = serde_json::from_str(&entry.detail.unwrap()).unwrap();
            detail["kind"] = json!([entry.source, entry.detail_type, entry.resources]);
            self.0.lock().unwrap().push(detail);
        }
        Ok(PutEventsResponse::default())
    }
}

/// A rotation's start and its end are told on the bus, as CloudTrail has them.
#[tokio::test]
async fn what_becomes_of_a_rotation_is_told() {
    let (cx, store, secrets) = parts();
    let (lambda, bus) = (Arc::new(Lambda::default()), Arc::new(Bus::default()));
    cx.router().add_guard("lambda", lambda.clone());
    cx.router().register::<Invoke, _>(&lambda);
    cx.router().register::<GetFunctionConfiguration, _>(&lambda);
    cx.router().register::<PutEvents, _>(&bus);
    let arn =
        call(&cx, "secretsmanager", "CreateSecret", json!({"Name": "s", "SecretString": "old"})).await.unwrap()["ARN"]
            .as_str()
            .unwrap()
            .to_owned();
    // Sends what waits to be told.
    let told = || async {
        let queued = store.read(|tx| tx.scan_prefix(Key::new("\u{1}now"), usize::MAX)).await.unwrap();
        let ids = queued.iter().map(|(key, _)| String::from_utf8_lossy(key).into_owned());
        let ids = ids.filter_map(|key| {
            let id = &key[key.find("secrets:rotation-event/")?..];
            Some(id.split('\0').next()?.to_owned())
        });
        let mut tasks = Vec::new();
        for id in ids.collect::<Vec<_>>() {
            tasks.extend(store.read(move |tx| tx.task(&id)).await.unwrap());
        }
        tasks.sort_by_key(|task| task.at_ms);
        for task in tasks {
            let id = task.id.clone();
            assert!(matches!(store::Runner::run(&*secrets, task).await, store::Done::Finished));
            store.write(move |tx| tx.finish_task(&id)).await.unwrap();
        }
        std::mem::take(&mut *bus.0.lock().unwrap())
    };
    let names = |events: &[Value]| events.iter().map(|event| event["eventName"].clone()).collect::<Vec<_>>();
    let rotate =
        json!({"SecretId": "s", "RotationLambdaARN": LAMBDA, "RotationRules": {"ScheduleExpression": "rate(4 hours)"}});
    call(&cx, "secretsmanager", "RotateSecret", rotate.clone()).await.unwrap();
    let started = told().await;
    assert_eq!(names(&started), ["RotationStarted"]);
    assert_eq!(started[0]["kind"], json!(["aws.secretsmanager", "AWS Service Event via CloudTrail", [arn]]));
    assert_eq!(started[0]["additionalEventData"], json!({ "SecretId": arn }));
    assert_eq!(
        (&started[0]["eventType"], &started[0]["recipientAccountId"]),
        (&json!("AwsServiceEvent"), &json!("000000000000"))
    );
    let steps = format!("secrets:rotate/{arn}");
    let task = |attempt: u32| {
        let (store, steps) = (store.clone(), steps.clone());
        async move {
            let mut task = store.read(move |tx| tx.task(&steps)).await.unwrap().unwrap();
            task.attempt = attempt;
            task
        }
    };
    lambda.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    store::Runner::run(&*secrets, task(1).await).await;
    assert_eq!(names(&told().await), [] as [&str; 0]);
    // The last attempt of the window.
    assert!(matches!(store::Runner::run(&*secrets, task(5).await).await, store::Done::Committed));
    assert_eq!(names(&told().await), ["RotationFailed"]);
    lambda.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    let due = format!("secrets:rotation-due/{arn}");
    let due = store.read(move |tx| tx.task(&due)).await.unwrap().unwrap();
    store::Runner::run(&*secrets, due).await;
    store::Runner::run(&*secrets, task(1).await).await;
    assert_eq!(names(&told().await), ["RotationStarted", "RotationSucceeded"]);
    let mut tried = rotate;
    tried["RotateImmediately"] = false.into();
    call(&cx, "secretsmanager", "RotateSecret", tried).await.unwrap();
    store::Runner::run(&*secrets, task(1).await).await;
    assert_eq!(names(&told().await), ["TestRotationStarted", "TestRotationSucceeded"]);
}

const LAMBDA: &str = "arn:aws:lambda:us-east-1:000000000000:function:rotate";

/// A window opens, the function is taken through its steps, and what failed is repeated for the same version.
#[tokio::test]
async fn a_secret_is_rotated_when_its_window_opens() {
    let (cx, store, secrets) = parts();
    let lambda = Arc::new(Lambda::default());
    cx.router().add_guard("lambda", lambda.clone());
    cx.router().register::<Invoke, _>(&lambda);
    cx.router().register::<GetFunctionConfiguration, _>(&lambda);
    let call = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    let arn = call("CreateSecret", json!({"Name": "s", "SecretString": "old"})).await.unwrap()["ARN"]
        .as_str()
        .unwrap()
        .to_owned();
    let rules =
        json!({"SecretId": "s", "RotationLambdaARN": LAMBDA, "RotationRules": {"ScheduleExpression": "rate(4 hours)"}});
    let version = call("RotateSecret", rules.clone()).await.unwrap()["VersionId"].clone();
    let steps = format!("secrets:rotate/{arn}");
    let task = |id: String| async { store.read(move |tx| tx.task(&id)).await.unwrap() };
    let first = task(steps.clone()).await.unwrap();
    assert_eq!(call("RotateSecret", rules).await.unwrap_err().code(), "InvalidRequestException");
    lambda.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(store::Runner::run(&*secrets, first.clone()).await, store::Done::RetryAfter(_)));
    assert_eq!(call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap()["SecretString"], "old");
    let empty = json!({"SecretId": "s", "VersionStage": "AWSPENDING"});
    assert_eq!(call("GetSecretValue", empty).await.unwrap_err().code(), "ResourceNotFoundException");
    let mut again = first.clone();
    again.attempt = 2;
    lambda.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    assert!(matches!(store::Runner::run(&*secrets, again).await, store::Done::Committed));
    let found = call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!((&found["SecretString"], &found["VersionId"]), (&json!("new"), &version));
    let asked: Vec<Value> = lambda.asked.lock().unwrap().iter().map(|event| event["Step"].clone()).collect();
    assert_eq!(asked, ["createSecret", "createSecret", "setSecret", "testSecret", "finishSecret"]);
    assert!(task(steps.clone()).await.is_none());
    // The steps of a rotation that has ended are not run again.
    assert!(matches!(store::Runner::run(&*secrets, first).await, store::Done::Finished));
    let due = task(format!("secrets:rotation-due/{arn}")).await.unwrap();
    store::Runner::run(&*secrets, due.clone()).await;
    let next = task(steps.clone()).await.unwrap();
    store::Runner::run(&*secrets, next).await;
    let second = call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap();
    assert_ne!(second["VersionId"], version);
    assert_eq!(second["VersionStages"], json!(["AWSPENDING", "AWSCURRENT"]));
    let described = call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!(described["RotationEnabled"], true);
    assert!(task(due.id.clone()).await.is_some());
    call("CancelRotateSecret", json!({"SecretId": "s"})).await.unwrap();
    assert!(task(due.id).await.is_none());
    let described = call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!((&described["RotationEnabled"], described.get("NextRotationDate")), (&json!(false), None));
}

fn world() -> (Cx, Store) {
    let (cx, store, _) = parts();
    (cx, store)
}

fn parts() -> (Cx, Store, Arc<secrets::Secrets>) {
    let queue = || store::Queue::new(Store::memory());
    let control = queue();
    let store = control.store().clone();
    let platform = Platform {
        router: Router::new(),
        control,
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: service::Settings::default(),
    };
    let secrets = secrets::register(&platform);
    let kms = Arc::new(Kms);
    platform.router.register::<Encrypt, _>(&kms);
    platform.router.register::<Decrypt, _>(&kms);
    (Cx::new(platform.router, Principal::root("000000000000"), "000000000000", "us-east-1"), store, secrets)
}

async fn call(cx: &Cx, service: &str, name: &str, input: Value) -> Result<Value, Error> {
    let spec = cx.router().find(service, name).unwrap();
    cx.router().call_canonical(cx, spec, input).await
}

/// Whether any record of a service has the text in it.
async fn lies(store: &Store, service: &str, text: &str) -> bool {
    let prefix = Key::new(service);
    let pairs = store.read(|tx| tx.scan_after(&prefix, &[], usize::MAX)).await.unwrap();
    assert!(!pairs.is_empty());
    pairs.iter().any(|(_, value)| value.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test]
async fn secrets_are_kept_encrypted() {
    let (cx, store) = world();
    let secret = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    secret("CreateSecret", json!({"Name": "db", "SecretString": "correct-horse"})).await.unwrap();
    assert_eq!(secret("GetSecretValue", json!({"SecretId": "db"})).await.unwrap()["SecretString"], "correct-horse");
    secret("PutSecretValue", json!({"SecretId": "db", "SecretBinary": "AAEC"})).await.unwrap();
    let newest = secret("GetSecretValue", json!({"SecretId": "db"})).await.unwrap();
    assert_eq!((&newest["SecretBinary"], newest.get("SecretString")), (&json!("AAEC"), None));
    let before = json!({"SecretId": "db", "VersionStage": "AWSPREVIOUS"});
    assert_eq!(secret("GetSecretValue", before).await.unwrap()["SecretString"], "correct-horse");
    assert!(!lies(&store, "secretsmanager", "correct-horse").await);
    // The same token with the same value is the same call.
    let token = "0123456789012345678901234567890123";
    let put = |value: &str| json!({"SecretId": "db", "SecretString": value, "ClientRequestToken": token});
    secret("PutSecretValue", put("one")).await.unwrap();
    assert_eq!(secret("PutSecretValue", put("one")).await.unwrap()["VersionId"], token);
    assert_eq!(secret("PutSecretValue", put("two")).await.unwrap_err().code(), "ResourceExistsException");
    assert_eq!(secret("GetSecretValue", json!({"SecretId": "db"})).await.unwrap()["SecretString"], "one");
    let again = json!({"Name": "new", "SecretString": "one", "ClientRequestToken": token});
    let first = secret("CreateSecret", again.clone()).await.unwrap();
    assert_eq!(secret("CreateSecret", again).await.unwrap(), first);
    let missing = json!({"SecretId": "none", "SecretString": "x"});
    assert_eq!(secret("PutSecretValue", missing).await.unwrap_err().code(), "ResourceNotFoundException");
}

/// The old key may be deleted afterwards.
#[tokio::test]
async fn the_values_of_a_secret_go_with_its_key() {
    let (cx, store) = world();
    let secret = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    let by = |key: &str| STANDARD.encode(format!("[\"{key}"));
    secret("CreateSecret", json!({"Name": "db", "SecretString": "one", "KmsKeyId": "old-key"})).await.unwrap();
    secret("PutSecretValue", json!({"SecretId": "db", "SecretString": "two"})).await.unwrap();
    let pending = json!({"SecretId": "db", "SecretBinary": "AAEC", "VersionStages": ["AWSPENDING"]});
    secret("PutSecretValue", pending).await.unwrap();
    assert!(lies(&store, "secretsmanager", &by("old-key")).await);
    let refused = secret("UpdateSecret", json!({"SecretId": "db", "KmsKeyId": "nonsense"})).await.unwrap_err();
    assert_eq!(refused.code(), "NotFoundException");
    assert_eq!(secret("DescribeSecret", json!({"SecretId": "db"})).await.unwrap()["KmsKeyId"], "old-key");
    secret("UpdateSecret", json!({"SecretId": "db", "KmsKeyId": "new-key"})).await.unwrap();
    assert_eq!(secret("DescribeSecret", json!({"SecretId": "db"})).await.unwrap()["KmsKeyId"], "new-key");
    assert!(!lies(&store, "secretsmanager", &by("old-key")).await);
    let value = |stage: &str| secret("GetSecretValue", json!({"SecretId": "db", "VersionStage": stage}));
    assert_eq!(value("AWSCURRENT").await.unwrap()["SecretString"], "two");
    assert_eq!(value("AWSPREVIOUS").await.unwrap()["SecretString"], "one");
    assert_eq!(value("AWSPENDING").await.unwrap()["SecretBinary"], "AAEC");
    // With a value of its own, what was current before goes along.
    let both = json!({"SecretId": "db", "KmsKeyId": "third-key", "SecretString": "three"});
    secret("UpdateSecret", both).await.unwrap();
    assert!(!lies(&store, "secretsmanager", &by("new-key")).await);
    assert_eq!(value("AWSCURRENT").await.unwrap()["SecretString"], "three");
    assert_eq!(value("AWSPREVIOUS").await.unwrap()["SecretString"], "two");
    // A secret that has no value has a key all the same.
    secret("CreateSecret", json!({"Name": "empty"})).await.unwrap();
    let refused = secret("UpdateSecret", json!({"SecretId": "empty", "KmsKeyId": "nonsense"})).await.unwrap_err();
    assert_eq!(refused.code(), "NotFoundException");
}

#[tokio::test]
async fn a_creation_that_comes_again_keeps_to_the_secret_that_is_there() {
    let (cx, store) = world();
    let secret = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    secret("CreateSecret", json!({"Name": "db", "SecretString": "one"})).await.unwrap();
    // A rotation that has put no value yet.
    let token = "0123456789012345678901234567890123";
    let key = Key::new("secretsmanager").push("000000000000").push("us-east-1").push("db");
    let write = move |tx: &mut store::Tx<'_>| {
        let mut record: Value = tx.get_json(&key)?.unwrap();
        record["versions"][token] = json!({"text": null, "binary": null, "created": 0, "stages": ["AWSPENDING"]});
        tx.put_json(&key, &record)
    };
    store.write(write).await.unwrap();
    let again = json!({"Name": "db", "SecretString": "two", "ClientRequestToken": token});
    secret("CreateSecret", again).await.unwrap();
    assert_eq!(secret("GetSecretValue", json!({"SecretId": "db"})).await.unwrap()["SecretString"], "two");
}

#[tokio::test]
async fn secure_strings_are_kept_encrypted() {
    let (cx, store) = world();
    let ssm = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "ssm", name, input).await.unwrap() }
    };
    ssm("PutParameter", json!({"Name": "/app/db", "Value": "correct-horse", "Type": "SecureString"})).await;
    ssm("PutParameter", json!({"Name": "/app/url", "Value": "http://x", "Type": "String"})).await;
    assert!(!lies(&store, "ssm", "correct-horse").await);
    let told = ssm("GetParameter", json!({"Name": "/app/db", "WithDecryption": true})).await;
    assert_eq!(told["Parameter"]["Value"], "correct-horse");
    let closed = ssm("GetParameter", json!({"Name": "/app/db"})).await;
    assert_ne!(closed["Parameter"]["Value"], "correct-horse");
    let both = ssm("GetParameters", json!({"Names": ["/app/db", "/app/url"], "WithDecryption": true})).await;
    assert_eq!(both["Parameters"][0]["Value"], "correct-horse");
    assert_eq!(both["Parameters"][1]["Value"], "http://x");
    let path = ssm("GetParametersByPath", json!({"Path": "/app", "WithDecryption": true})).await;
    assert_eq!(path["Parameters"][0]["Value"], "correct-horse");
    ssm("PutParameter", json!({"Name": "/app/db", "Value": "another-horse", "Overwrite": true})).await;
    let told = ssm("GetParameter", json!({"Name": "/app/db", "WithDecryption": true})).await;
    assert_eq!(told["Parameter"]["Value"], "another-horse");
    assert!(!lies(&store, "ssm", "another-horse").await);
}

#[tokio::test]
async fn parameters_below_a_path_are_chosen_by_filters() {
    let (cx, _) = world();
    let ssm = |name: &'static str, input: Value| {
        let cx = cx.clone();
        async move { call(&cx, "ssm", name, input).await }
    };
    for (name, kind) in [("/a/text", "String"), ("/a/list", "StringList")] {
        ssm("PutParameter", json!({"Name": name, "Value": "one", "Type": kind})).await.unwrap();
    }
    ssm("LabelParameterVersion", json!({"Name": "/a/text", "Labels": ["good"]})).await.unwrap();
    ssm("PutParameter", json!({"Name": "/a/text", "Value": "two", "Overwrite": true})).await.unwrap();
    let chosen = |key: &str, option: Option<&str>, value: &str| {
        let filter = json!({"Key": key, "Option": option, "Values": [value]});
        let asked = ssm("GetParametersByPath", json!({"Path": "/a", "ParameterFilters": [filter]}));
        async move {
            let told = asked.await.map_err(|error| error.code().to_owned())?;
            let all = told["Parameters"].as_array().cloned().unwrap_or_default();
            Ok::<_, String>(all.iter().map(|one| (one["Name"].clone(), one["Value"].clone())).collect::<Vec<_>>())
        }
    };
    assert_eq!(chosen("Type", None, "StringList").await.unwrap(), [(json!("/a/list"), json!("one"))]);
    assert_eq!(chosen("Type", Some("BeginsWith"), "String").await.unwrap().len(), 2);
    // The version that has the label, not the newest.
    assert_eq!(chosen("Label", Some("Equals"), "good").await.unwrap(), [(json!("/a/text"), json!("one"))]);
    assert_eq!(chosen("Label", None, "other").await.unwrap(), []);
    assert_eq!(chosen("Name", None, "/a/text").await.unwrap_err(), "InvalidFilterKey");
    assert_eq!(chosen("Type", Some("Contains"), "x").await.unwrap_err(), "InvalidFilterOption");
    // What would be dropped is refused.
    let tags = json!([{"Key": "a", "Value": "b"}]);
    let both = json!({"Name": "/a/text", "Value": "x", "Overwrite": true, "Tags": tags});
    assert_eq!(ssm("PutParameter", both).await.unwrap_err().code(), "ValidationException");
    let end = r#"[{"Type":"Expiration","Version":"1.0","Attributes":{"Timestamp":"2027-06-30T00:00:00.000Z"}}]"#;
    let policies = json!({"Name": "/a/p", "Value": "x", "Type": "String", "Policies": end});
    assert!(ssm("PutParameter", policies).await.unwrap_err().message().contains("advanced-parameter tier"));
}

#[tokio::test]
async fn a_whole_arn_is_one_secrets_alone() {
    let (cx, _) = world();
    let made = call(&cx, "secretsmanager", "CreateSecret", json!({"Name": "s", "SecretString": "old"})).await.unwrap();
    let old = made["ARN"].clone();
    let partial = old.as_str().unwrap().rsplit_once('-').unwrap().0.to_owned();
    let gone = json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true});
    call(&cx, "secretsmanager", "DeleteSecret", gone).await.unwrap();
    let made = call(&cx, "secretsmanager", "CreateSecret", json!({"Name": "s", "SecretString": "new"})).await.unwrap();
    assert_ne!(made["ARN"], old);
    for id in [json!("s"), json!(partial), made["ARN"].clone()] {
        let told = call(&cx, "secretsmanager", "GetSecretValue", json!({"SecretId": id})).await.unwrap();
        assert_eq!(told["SecretString"], "new", "{id}");
    }
    // Nor is one of another region this one, though it has the name.
    for id in [old.clone(), json!(partial.replace("us-east-1", "eu-west-1"))] {
        for name in ["GetSecretValue", "DescribeSecret"] {
            let refused = call(&cx, "secretsmanager", name, json!({"SecretId": id})).await.unwrap_err();
            assert_eq!(refused.code(), "ResourceNotFoundException", "{name} {id}");
        }
    }
    let put = json!({"SecretId": old, "SecretString": "x"});
    assert_eq!(
        call(&cx, "secretsmanager", "PutSecretValue", put).await.unwrap_err().code(),
        "ResourceNotFoundException"
    );
}

/// What is authorised as one parameter must not be answered with another.
#[tokio::test]
async fn a_name_that_holds_another_ones_arn_is_no_arn() {
    let (cx, _) = world();
    call(&cx, "ssm", "PutParameter", json!({"Name": "/prod/key", "Value": "x", "Type": "String"})).await.unwrap();
    let own = format!("arn:aws:ssm:{}:{}:parameter/prod/key", cx.region(), cx.account());
    let told = call(&cx, "ssm", "GetParameter", json!({ "Name": own })).await.unwrap();
    assert_eq!(told["Parameter"]["Value"], "x");
    let other = format!("arn:aws:ssm:elsewhere-1:{}:parameter/prod/key", cx.account());
    for name in ["public/x:parameter/prod/key", "/public:parameter/prod/key", &other] {
        let refused = call(&cx, "ssm", "GetParameter", json!({ "Name": name })).await.unwrap_err();
        assert_eq!(refused.code(), "ParameterNotFound", "{name}");
    }
}

/// The task that ends a recovery window is on its way when somebody thinks better of it.
#[tokio::test]
async fn a_secret_that_was_restored_stays() {
    let (cx, store, secrets) = parts();
    let call = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    let made = call("CreateSecret", json!({"Name": "s", "SecretString": "x"})).await.unwrap();
    let task = format!("secrets:expire/{}", made["ARN"].as_str().unwrap());
    let find = || store.read(|tx| tx.task(&task));
    call("DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 7})).await.unwrap();
    let first = find().await.unwrap().unwrap();
    call("RestoreSecret", json!({"SecretId": "s"})).await.unwrap();
    store::Runner::run(&*secrets, first.clone()).await;
    call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap();
    call("DeleteSecret", json!({"SecretId": "s", "RecoveryWindowInDays": 30})).await.unwrap();
    store::Runner::run(&*secrets, first).await;
    call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
    let second = find().await.unwrap().unwrap();
    store::Runner::run(&*secrets, second).await;
    assert_eq!(call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap_err().code(), "ResourceNotFoundException");
    assert!(find().await.unwrap().is_none());
}

#[tokio::test]
async fn a_late_put_does_not_bring_an_old_value_back() {
    let (cx, _) = world();
    let call = |name: &'static str, input: Value| {
        let cx = &cx;
        async move { call(cx, "secretsmanager", name, input).await }
    };
    let token = |n: u32| format!("00000000-0000-0000-0000-00000000000{n}");
    let put = |n: u32, value: &str| {
        call("PutSecretValue", json!({"SecretId": "s", "ClientRequestToken": token(n), "SecretString": value}))
    };
    call("CreateSecret", json!({"Name": "s", "ClientRequestToken": token(0), "SecretString": "v0"})).await.unwrap();
    for n in 1..=3 {
        put(n, &format!("v{n}")).await.unwrap();
    }
    // The first one's answer was lost.
    assert_eq!(put(1, "v1").await.unwrap()["VersionId"], json!(token(1)));
    assert_eq!(put(1, "other").await.unwrap_err().code(), "ResourceExistsException");
    assert_eq!(call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap()["SecretString"], "v3");
    let pinned = call("GetSecretValue", json!({"SecretId": "s", "VersionId": token(1)})).await.unwrap();
    assert_eq!(pinned["SecretString"], "v1");
    let told = call("DescribeSecret", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!(told["VersionIdsToStages"], json!({token(2): ["AWSPREVIOUS"], token(3): ["AWSCURRENT"]}));
    let ids = |deprecated: bool| {
        let listed = call("ListSecretVersionIds", json!({"SecretId": "s", "IncludeDeprecated": deprecated}));
        async move { listed.await.unwrap()["Versions"].as_array().unwrap().len() }
    };
    assert_eq!((ids(false).await, ids(true).await), (2, 4));
    // A stage that is moved to where it is stays, and so does the one before it.
    let stay = json!({"SecretId": "s", "VersionStage": "AWSCURRENT", "MoveToVersionId": token(3)});
    call("UpdateSecretVersionStage", stay).await.unwrap();
    let previous = json!({"SecretId": "s", "VersionStage": "AWSPREVIOUS"});
    assert_eq!(call("GetSecretValue", previous).await.unwrap()["SecretString"], "v2");
}

/// Two calls with one token look before either has put its value.
#[tokio::test]
async fn the_same_put_at_once_is_one() {
    let (cx, _) = world();
    call(&cx, "secretsmanager", "CreateSecret", json!({"Name": "s"})).await.unwrap();
    for n in 0..20 {
        let input = json!({"SecretId": "s", "ClientRequestToken": format!("{n:032}"), "SecretString": "x"});
        let put = || call(&cx, "secretsmanager", "PutSecretValue", input.clone());
        let (one, other, third) = tokio::join!(put(), put(), put());
        assert_eq!((one.is_ok(), other.is_ok(), third.is_ok()), (true, true, true), "{n}");
    }
}

#[tokio::test]
async fn what_is_gone_is_deleted_for_good() {
    let (cx, _) = world();
    let delete = |input: Value| call(&cx, "secretsmanager", "DeleteSecret", input);
    let gone = delete(json!({"SecretId": "none", "ForceDeleteWithoutRecovery": true})).await.unwrap();
    assert_eq!(gone["Name"], "none");
    assert_eq!(delete(json!({"SecretId": "none"})).await.unwrap_err().code(), "ResourceNotFoundException");
}

#[tokio::test]
async fn secrets_are_listed_by_filters() {
    let (cx, _) = world();
    for (name, description, tag) in [
        ("prod/database", "Main Store", ("team", "Red")),
        ("prod/queue", "other", ("team", "blue")),
        ("dev/database", "none", ("owner", "red")),
    ] {
        let tags = json!([{"Key": tag.0, "Value": tag.1}]);
        let input = json!({"Name": name, "SecretString": "x", "Description": description, "Tags": tags});
        call(&cx, "secretsmanager", "CreateSecret", input).await.unwrap();
    }
    let listed = |key: &str, values: Value| {
        let filters = json!([{"Key": key, "Values": values}]);
        let answer = call(&cx, "secretsmanager", "ListSecrets", json!({"Filters": filters}));
        async move {
            let all = answer.await.unwrap()["SecretList"].as_array().cloned().unwrap_or_default();
            all.iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let (dev, prod, queue) = ("dev/database", "prod/database", "prod/queue");
    assert_eq!(listed("name", json!(["prod"])).await, [prod, queue]);
    assert_eq!(listed("name", json!(["!prod"])).await, [dev]);
    assert_eq!(listed("name", json!(["!dev", "!prod/q"])).await, [prod]);
    assert_eq!(listed("description", json!(["main"])).await, [prod]);
    assert_eq!(listed("all", json!(["DATABASE"])).await, [dev, prod]);
    assert_eq!(listed("all", json!(["red"])).await, [dev, prod]);
    assert_eq!(listed("tag-value", json!(["red"])).await, [dev]);
    assert!(listed("owning-service", json!(["prod"])).await.is_empty());
    assert!(listed("primary-region", json!(["dev"])).await.is_empty());
}

#[tokio::test]
async fn parameters_are_described_below_whole_levels() {
    let (cx, _) = world();
    let ssm = |name: &'static str, input: Value| call(&cx, "ssm", name, input);
    for name in ["/dev/a", "/dev/b/c", "/devops/a", "/dev-old/a", "plain"] {
        ssm("PutParameter", json!({"Name": name, "Value": "x", "Type": "String"})).await.unwrap();
    }
    let described = |filter: Value| {
        let answer = ssm("DescribeParameters", json!({"ParameterFilters": [filter]}));
        async move {
            let told = answer.await.map_err(|error| error.code().to_owned())?;
            let all = told["Parameters"].as_array().cloned().unwrap_or_default();
            Ok::<_, String>(all.iter().map(|one| one["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
        }
    };
    let path = |option: Option<&str>, path: &str| described(json!({"Key": "Path", "Option": option, "Values": [path]}));
    assert_eq!(path(None, "/dev").await.unwrap(), ["/dev/a"]);
    assert_eq!(path(Some("OneLevel"), "/dev/").await.unwrap(), ["/dev/a"]);
    assert_eq!(path(Some("Recursive"), "/dev").await.unwrap(), ["/dev/a", "/dev/b/c"]);
    assert_eq!(path(Some("Equals"), "/dev").await.unwrap_err(), "InvalidFilterOption");
    assert_eq!(path(None, "dev").await.unwrap_err(), "ValidationException");
    let named = |option: &str| described(json!({"Key": "Name", "Option": option, "Values": ["/dev"]}));
    assert_eq!(named("BeginsWith").await.unwrap().len(), 4);
    assert_eq!(named("Recursive").await.unwrap_err(), "InvalidFilterOption");
    assert_eq!(described(json!({"Key": "Name"})).await.unwrap_err(), "InvalidFilterValue");
}

#[tokio::test]
async fn parameters_have_names_and_values_of_parameters() {
    let (cx, _) = world();
    let put = |name: &str, size: usize, tier: Option<&str>| {
        let mut input = json!({"Name": name, "Value": "x".repeat(size), "Type": "String", "Overwrite": true});
        if let Some(tier) = tier {
            input["Tier"] = json!(tier);
        }
        let answer = call(&cx, "ssm", "PutParameter", input);
        async move { answer.await.map(|put| put["Tier"].as_str().unwrap().to_owned()).map_err(|e| e.code().to_owned()) }
    };
    let refused = Err("ValidationException".to_owned());
    for name in ["a:b", "a b", "a/b", "/a//b", "/", "arn:aws:ssm:us-east-1:000000000000:parameter/a", "/a/"] {
        assert_eq!(put(name, 1, None).await, refused, "{name}");
    }
    assert_eq!(put(&"/a".repeat(16), 1, None).await.unwrap_err(), "HierarchyLevelLimitExceededException");
    assert_eq!(put("/a", 4096, None).await.unwrap(), "Standard");
    assert_eq!(put("/a", 4097, None).await, refused);
    assert_eq!(put("/a", 4097, Some("Intelligent-Tiering")).await.unwrap(), "Advanced");
    assert_eq!(put("/a", 8192, None).await.unwrap(), "Advanced");
    assert_eq!(put("/a", 8193, Some("Advanced")).await, refused);
    assert_eq!(put("/a", 1, Some("Standard")).await, refused);
    let by_arn = json!({"Name": format!("arn:aws:ssm:{}:{}:parameter/a", cx.region(), cx.account())});
    assert_eq!(call(&cx, "ssm", "GetParameter", by_arn).await.unwrap()["Parameter"]["Name"], "/a");
}
