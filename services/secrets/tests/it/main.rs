//! Secrets and parameters over a stand-in for KMS: what is kept is what it has encrypted, bound to what it is a value of.

#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test fails by panicking")]

use std::sync::Arc;

use api_kms::{Decrypt, DecryptRequest, DecryptResponse, Encrypt, EncryptRequest, EncryptResponse};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle, Platform, Principal, Router};
use store::{Key, Store};
use wire::{Blob, Error};

/// Turns bytes around and puts key and context before them.
struct Kms;

#[async_trait]
impl Handle<Encrypt> for Kms {
    async fn handle(&self, cx: &Cx, req: EncryptRequest) -> Result<EncryptResponse, Error> {
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
    (Cx::new(platform.router, Principal::Root, "000000000000", "us-east-1"), store, secrets)
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
