//! KMS over the real service, as the owner calls it.

#![expect(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, reason = "a test fails by panicking")]

use async_trait::async_trait;
use serde_json::{Value, json};
use service::identity::{Credentials, Identity};
use service::{Cx, Platform, Principal, Router};
use wire::Error;

/// Roles without policies of their own: keys' policies and grants alone decide.
struct Bare;

#[async_trait]
impl Identity for Bare {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, action: &str, _: &str) -> Result<(), Error> {
        Err(Error::access_denied(format!("because no identity-based policy allows the {action} action")))
    }
    async fn role_session(&self, role_arn: &str, session: &str, _: Option<&str>) -> Result<Principal, Error> {
        Ok(Principal::role(role_arn, session, None))
    }
    async fn issue(&self, _: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        Err(Error::not_implemented("keys"))
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

fn world() -> Cx {
    parts().0
}

fn parts() -> (Cx, std::sync::Arc<kms::Kms>, store::Store) {
    let queue = || store::Queue::new(store::Store::memory());
    let root = json!({ "root_key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" });
    let settings = serde_json::Map::from_iter([("kms".to_owned(), root)]);
    let platform = Platform {
        router: Router::new(),
        control: queue(),
        s3: queue(),
        dynamodb: queue(),
        data: std::env::temp_dir(),
        objects: None,
        endpoint: "http://127.0.0.1:1".to_owned(),
        account: "000000000000".to_owned(),
        region: "us-east-1".to_owned(),
        settings: service::Settings(std::sync::Arc::new(settings)),
    };
    platform.router.set_identity(std::sync::Arc::new(Bare));
    let kms = kms::register(&platform).unwrap();
    let store = platform.control.store().clone();
    (Cx::new(platform.router, Principal::root("000000000000"), "000000000000", "us-east-1"), kms, store)
}

/// A call in the canonical form, in which bytes are base64.
async fn answer(cx: &Cx, operation: &str, input: Value) -> Result<Value, Error> {
    let name = operation[..1].to_uppercase() + &operation[1..];
    let spec = cx.router().find("kms", &name).unwrap_or_else(|| panic!("no operation {name}"));
    cx.router().call_canonical(cx, spec, input).await
}

async fn call(cx: &Cx, operation: &str, input: Value) -> Value {
    answer(cx, operation, input).await.unwrap_or_else(|e| panic!("{operation}: {} {}", e.code(), e.message()))
}

async fn code(cx: &Cx, operation: &str, input: Value) -> String {
    answer(cx, operation, input).await.expect_err(operation).code().to_owned()
}

async fn key(cx: &Cx, input: Value) -> String {
    call(cx, "createKey", input).await["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn what_is_encrypted_is_decrypted_with_its_context_also_after_rotations() {
    let cx = world();
    let id = key(&cx, json!({})).await;
    call(&cx, "createAlias", json!({"AliasName": "alias/app", "TargetKeyId": id})).await;
    let context = json!({"tenant": "a", "run": "1"});
    let plain = json!("aGVsbG8=");
    let before =
        call(&cx, "encrypt", json!({"KeyId": "alias/app", "Plaintext": plain, "EncryptionContext": context})).await;
    call(&cx, "rotateKeyOnDemand", json!({"KeyId": id})).await;
    let after = call(&cx, "encrypt", json!({"KeyId": id, "Plaintext": plain, "EncryptionContext": context})).await;
    for blob in [&before["CiphertextBlob"], &after["CiphertextBlob"]] {
        let opened = call(&cx, "decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": context})).await;
        assert_eq!(opened["Plaintext"], plain);
        assert_eq!(opened["KeyId"], format!("arn:aws:kms:us-east-1:000000000000:key/{id}"));
        for wrong in [json!({}), json!({"tenant": "b", "run": "1"})] {
            let refused = code(&cx, "decrypt", json!({"CiphertextBlob": blob, "EncryptionContext": wrong})).await;
            assert_eq!(refused, "InvalidCiphertextException");
        }
    }
    let other = key(&cx, json!({})).await;
    let named = json!({"CiphertextBlob": before["CiphertextBlob"], "EncryptionContext": context, "KeyId": other});
    assert_eq!(code(&cx, "decrypt", named).await, "IncorrectKeyException");
    let moved = call(&cx, "reEncrypt", json!({"CiphertextBlob": before["CiphertextBlob"], "SourceEncryptionContext": context, "DestinationKeyId": other})).await;
    let opened = call(&cx, "decrypt", json!({"CiphertextBlob": moved["CiphertextBlob"]})).await;
    assert_eq!(opened["Plaintext"], plain);
    let rotations = call(&cx, "listKeyRotations", json!({"KeyId": id})).await;
    assert_eq!(rotations["Rotations"][0]["RotationType"], "ON_DEMAND");
}

#[tokio::test]
async fn data_keys_codes_and_random_bytes() {
    let cx = world();
    let id = key(&cx, json!({})).await;
    let made = call(&cx, "generateDataKey", json!({"KeyId": id, "KeySpec": "AES_256"})).await;
    let opened = call(&cx, "decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await;
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
    assert_eq!(code(&cx, "generateDataKey", json!({"KeyId": id})).await, "ValidationException");
    let mac = key(&cx, json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})).await;
    let signed =
        call(&cx, "generateMac", json!({"KeyId": mac, "Message": "aGk=", "MacAlgorithm": "HMAC_SHA_256"})).await;
    let check =
        |message: &str| json!({"KeyId": mac, "Message": message, "Mac": signed["Mac"], "MacAlgorithm": "HMAC_SHA_256"});
    assert_eq!(call(&cx, "verifyMac", check("aGk=")).await["MacValid"], true);
    assert_eq!(code(&cx, "verifyMac", check("aGo=")).await, "KMSInvalidMacException");
    assert_eq!(code(&cx, "encrypt", json!({"KeyId": mac, "Plaintext": "aGk="})).await, "InvalidKeyUsageException");
    assert_eq!(
        code(&cx, "createKey", json!({"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"})).await,
        "UnsupportedOperationException"
    );
}

#[tokio::test]
async fn states_of_keys() {
    let cx = world();
    let id = key(&cx, json!({"Description": "d", "Tags": [{"TagKey": "a", "TagValue": "b"}]})).await;
    call(&cx, "disableKey", json!({"KeyId": id})).await;
    assert_eq!(code(&cx, "encrypt", json!({"KeyId": id, "Plaintext": "aGk="})).await, "DisabledException");
    call(&cx, "enableKey", json!({"KeyId": id})).await;
    let scheduled = call(&cx, "scheduleKeyDeletion", json!({"KeyId": id, "PendingWindowInDays": 7})).await;
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    assert_eq!(code(&cx, "encrypt", json!({"KeyId": id, "Plaintext": "aGk="})).await, "KMSInvalidStateException");
    call(&cx, "cancelKeyDeletion", json!({"KeyId": id})).await;
    assert_eq!(call(&cx, "describeKey", json!({"KeyId": id})).await["KeyMetadata"]["KeyState"], "Disabled");
    assert_eq!(call(&cx, "listResourceTags", json!({"KeyId": id})).await["Tags"][0]["TagKey"], "a");
    assert_eq!(code(&cx, "describeKey", json!({"KeyId": "alias/none"})).await, "NotFoundException");
    assert_eq!(
        code(&cx, "createAlias", json!({"AliasName": "alias/aws/x", "TargetKeyId": id})).await,
        "InvalidAliasNameException"
    );
    let own = call(&cx, "describeKey", json!({"KeyId": "alias/aws/dynamodb"})).await;
    assert_eq!(own["KeyMetadata"]["KeyManager"], "AWS");
    let arn = own["KeyMetadata"]["Arn"].clone();
    assert_eq!(call(&cx, "describeKey", json!({"KeyId": "alias/aws/dynamodb"})).await["KeyMetadata"]["Arn"], arn);
    assert_eq!(code(&cx, "disableKey", json!({"KeyId": arn})).await, "UnsupportedOperationException");
    let lockout = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:role/x"}, "Action": "kms:*", "Resource": "*"}]});
    assert_eq!(
        code(&cx, "putKeyPolicy", json!({"KeyId": id, "Policy": lockout.to_string()})).await,
        "MalformedPolicyDocumentException"
    );
}

#[tokio::test]
async fn rotation_and_grants_are_told() {
    let cx = world();
    let id = key(&cx, json!({})).await;
    call(&cx, "enableKeyRotation", json!({"KeyId": id, "RotationPeriodInDays": 90})).await;
    let status = call(&cx, "getKeyRotationStatus", json!({"KeyId": id})).await;
    assert_eq!((&status["KeyRotationEnabled"], &status["RotationPeriodInDays"]), (&json!(true), &json!(90)));
    let grantee = "arn:aws:iam::000000000000:role/x";
    let grant =
        call(&cx, "createGrant", json!({"KeyId": id, "GranteePrincipal": grantee, "Operations": ["Decrypt"]})).await;
    assert_eq!(call(&cx, "listGrants", json!({"KeyId": id})).await["Grants"][0]["GranteePrincipal"], grantee);
    call(&cx, "retireGrant", json!({"GrantToken": grant["GrantToken"]})).await;
    assert_eq!(call(&cx, "listGrants", json!({"KeyId": id})).await["Grants"], json!([]));
}

fn role(cx: &Cx, name: &str) -> Cx {
    cx.as_principal(Principal::role(format!("arn:aws:iam::000000000000:role/{name}"), "s", None))
}

#[tokio::test]
async fn a_grant_is_retired_by_whom_it_names() {
    let cx = world();
    let id = key(&cx, json!({})).await;
    let arn = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
    let grant = |operations: Value| {
        let input = json!({"KeyId": id, "GranteePrincipal": arn("user"), "RetiringPrincipal": arn("retirer"), "Operations": operations});
        let cx = cx.clone();
        async move { call(&cx, "createGrant", input).await }
    };
    let first = grant(json!(["Decrypt"])).await;
    let second = grant(json!(["Decrypt", "RetireGrant"])).await;
    let token = |grant: &Value| json!({"GrantToken": grant["GrantToken"]});
    // Its grantee may where its operations say so, of that grant alone; who is named by neither may not.
    for (who, grant) in [("user", &first), ("stranger", &first), ("stranger", &second)] {
        assert_eq!(code(&role(&cx, who), "retireGrant", token(grant)).await, "AccessDeniedException", "{who}");
    }
    call(&role(&cx, "user"), "retireGrant", token(&second)).await;
    let named = json!({"KeyId": format!("arn:aws:kms:us-east-1:000000000000:key/{id}"), "GrantId": first["GrantId"]});
    call(&role(&cx, "retirer"), "retireGrant", named).await;
    assert_eq!(call(&cx, "listGrants", json!({"KeyId": id})).await["Grants"], json!([]));
    assert_eq!(code(&cx, "retireGrant", token(&first)).await, "InvalidGrantTokenException");
    // What the key's policy denies, a grant does not give.
    let closed = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": arn("retirer")}, "Action": "kms:RetireGrant", "Resource": "*"}]});
    let third = grant(json!(["Decrypt"])).await;
    call(&cx, "putKeyPolicy", json!({"KeyId": id, "Policy": closed.to_string()})).await;
    assert_eq!(code(&role(&cx, "retirer"), "retireGrant", token(&third)).await, "AccessDeniedException");
}

#[tokio::test]
async fn an_alias_is_named_by_its_name_alone() {
    let cx = world();
    let (id, other) = (key(&cx, json!({})).await, key(&cx, json!({})).await);
    call(&cx, "createAlias", json!({"AliasName": "alias/prod", "TargetKeyId": id})).await;
    for name in ["x/alias/prod", "arn:aws:kms:eu-west-1:000000000000:alias/prod"] {
        for (operation, input) in [
            ("deleteAlias", json!({"AliasName": name})),
            ("updateAlias", json!({"AliasName": name, "TargetKeyId": other})),
        ] {
            let refused = code(&cx, operation, input).await;
            assert_eq!(refused, "InvalidAliasNameException", "{operation} {name}");
        }
    }
    // Who changes an alias is asked for the key that loses it, too.
    let policy = |action: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*"}]})
        .to_string()
    };
    call(&cx, "putKeyPolicy", json!({"KeyId": id, "Policy": policy("kms:UpdateAlias")})).await;
    let update = json!({"AliasName": "alias/prod", "TargetKeyId": other});
    assert_eq!(code(&cx, "updateAlias", update.clone()).await, "AccessDeniedException");
    call(&cx, "putKeyPolicy", json!({"KeyId": id, "Policy": policy("kms:Encrypt")})).await;
    call(&cx, "updateAlias", update).await;
}

#[tokio::test]
async fn an_alias_is_taken_off_a_key_that_is_out_of_use() {
    let cx = world();
    let [old, new] = [key(&cx, json!({})).await, key(&cx, json!({})).await];
    let rsa = key(&cx, json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"})).await;
    let mac = key(&cx, json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})).await;
    call(&cx, "createAlias", json!({"AliasName": "alias/prod", "TargetKeyId": old})).await;
    let to = |id: &str| json!({"AliasName": "alias/prod", "TargetKeyId": id});
    for other in [&rsa, &mac] {
        assert_eq!(code(&cx, "updateAlias", to(other)).await, "InvalidKeyUsageException");
    }
    call(&cx, "disableKey", json!({"KeyId": old})).await;
    call(&cx, "updateAlias", to(&new)).await;
    call(&cx, "updateAlias", to(&old)).await;
    call(&cx, "scheduleKeyDeletion", json!({"KeyId": old, "PendingWindowInDays": 7})).await;
    call(&cx, "updateAlias", to(&new)).await;
    // To one that is about to be deleted it is not put.
    assert_eq!(code(&cx, "updateAlias", to(&old)).await, "KMSInvalidStateException");
    let told = call(&cx, "describeKey", json!({"KeyId": "alias/prod"})).await;
    assert_eq!(told["KeyMetadata"]["KeyId"], json!(new));
}

#[tokio::test]
async fn a_reencryption_is_asked_about_by_both_its_contexts() {
    let cx = world();
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:root"}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::000000000000:role/r"}, "Action": "kms:ReEncrypt*", "Resource": "*",
         "Condition": {"StringEquals": {"kms:EncryptionContext:team": "red"}}}]});
    let id = key(&cx, json!({"Policy": policy.to_string()})).await;
    let red = json!({"team": "red"});
    let sealed = call(&cx, "encrypt", json!({"KeyId": id, "Plaintext": "aGk=", "EncryptionContext": red})).await;
    let again = |to: Value| {
        let input = json!({"CiphertextBlob": sealed["CiphertextBlob"], "SourceEncryptionContext": red, "SourceKeyId": id,
            "DestinationKeyId": id, "DestinationEncryptionContext": to});
        (role(&cx, "r"), input)
    };
    let (cx, input) = again(red.clone());
    call(&cx, "reEncrypt", input).await;
    let (cx, input) = again(json!({"team": "blue"}));
    assert_eq!(code(&cx, "reEncrypt", input).await, "AccessDeniedException");
}

/// The task that deletes a key is on its way when somebody thinks better of it.
#[tokio::test]
async fn a_deletion_that_was_cancelled_does_not_happen() {
    let (cx, kms, store) = parts();
    let id = key(&cx, json!({})).await;
    let scheduled = call(&cx, "scheduleKeyDeletion", json!({"KeyId": id, "PendingWindowInDays": 7})).await;
    let task = format!("kms:delete/{}", scheduled["KeyId"].as_str().unwrap());
    let find = || store.read(|tx| tx.task(&task));
    let first = find().await.unwrap().unwrap();
    call(&cx, "cancelKeyDeletion", json!({"KeyId": id})).await;
    store::Runner::run(&*kms, first.clone()).await;
    assert_eq!(call(&cx, "describeKey", json!({"KeyId": id})).await["KeyMetadata"]["KeyState"], "Disabled");
    call(&cx, "scheduleKeyDeletion", json!({"KeyId": id, "PendingWindowInDays": 30})).await;
    store::Runner::run(&*kms, first).await;
    assert_eq!(call(&cx, "describeKey", json!({"KeyId": id})).await["KeyMetadata"]["KeyState"], "PendingDeletion");
    let second = find().await.unwrap().unwrap();
    store::Runner::run(&*kms, second).await;
    assert_eq!(code(&cx, "describeKey", json!({"KeyId": id})).await, "NotFoundException");
    assert!(find().await.unwrap().is_none());
}

#[tokio::test]
async fn who_makes_grants_by_a_grant_gives_no_more_than_it_has() {
    let cx = world();
    let arn = |name: &str| format!("arn:aws:iam::000000000000:role/{name}");
    // What the parent has, what a child asks for, and whether it may be made.
    let cases = [
        ("CreateGrant Decrypt", "", "Decrypt", "", true),
        ("CreateGrant Decrypt", "", "CreateGrant", "", true),
        ("CreateGrant Decrypt", "", "Decrypt Encrypt", "", false),
        ("CreateGrant GenerateDataKeyWithoutPlaintext", "", "Decrypt", "", false),
        ("Decrypt", "", "Decrypt", "", false),
        ("CreateGrant Decrypt", "Subset: red", "Decrypt", "", false),
        ("CreateGrant Decrypt", "Subset: red", "Decrypt", "Subset: red more", true),
        ("CreateGrant Decrypt", "Subset: red", "Decrypt", "Equals: red", true),
        ("CreateGrant Decrypt", "Subset: red", "Decrypt", "Subset: more", false),
        ("CreateGrant Decrypt", "Equals: red", "Decrypt", "Equals: red", true),
        ("CreateGrant Decrypt", "Equals: red", "Decrypt", "Subset: red", false),
        ("CreateGrant Decrypt", "Equals: red", "Decrypt", "Equals: red more", false),
    ];
    let operations = |names: &str| json!(names.split(' ').collect::<Vec<_>>());
    // What is not constrained is told as nothing, as some clients do.
    let constraints = |text: &str| {
        let mut all = json!({"EncryptionContextEquals": null, "EncryptionContextSubset": null});
        if let Some((kind, words)) = text.split_once(": ") {
            let pairs = words.split(' ').map(|word| (format!("{word}-team"), json!(word)));
            all[format!("EncryptionContext{kind}")] = pairs.collect::<serde_json::Map<_, _>>().into();
        }
        all
    };
    for (has, under, wanted, under_too, allowed) in cases {
        let id = key(&cx, json!({})).await;
        let grant = |to: &str, names: &str, under: &str| json!({"KeyId": id, "GranteePrincipal": arn(to), "Operations": operations(names), "Constraints": constraints(under)});
        call(&cx, "createGrant", grant("a", has, under)).await;
        let made = answer(&role(&cx, "a"), "createGrant", grant("b", wanted, under_too)).await;
        let told = made.map_or_else(|error| error.code().to_owned(), |_| "made".to_owned());
        let expected = if allowed { "made" } else { "AccessDeniedException" };
        assert_eq!(told, expected, "{has} {under} {wanted} {under_too}");
    }
}

#[tokio::test]
async fn constraints_of_a_grant_hold_for_what_has_a_context() {
    let cx = world();
    let id = key(&cx, json!({})).await;
    let red = json!({"team": "red"});
    let constraints = json!({"EncryptionContextEquals": red});
    let input = json!({"KeyId": id, "GranteePrincipal": "arn:aws:iam::000000000000:role/a", "Constraints": constraints,
        "Operations": ["DescribeKey", "Decrypt", "Encrypt"]});
    call(&cx, "createGrant", input).await;
    let a = role(&cx, "a");
    call(&a, "describeKey", json!({"KeyId": id})).await;
    call(&a, "encrypt", json!({"KeyId": id, "Plaintext": "aGk=", "EncryptionContext": red})).await;
    for context in [json!({}), json!({"team": "blue"}), json!({"team": "red", "more": "x"})] {
        let input = json!({"KeyId": id, "Plaintext": "aGk=", "EncryptionContext": context});
        assert_eq!(code(&a, "encrypt", input).await, "AccessDeniedException", "{context}");
    }
}

#[tokio::test]
async fn aws_own_key_is_named_by_its_alias_alone() {
    let (cx, _, store) = parts();
    let managed = call(&cx, "describeKey", json!({"KeyId": "alias/aws/s3"})).await["KeyMetadata"]["KeyId"].clone();
    let kept = || async { store.read(|tx| tx.scan_prefix(store::Key::new("kms"), 100)).await.unwrap() };
    let before = kept().await;
    for name in [
        "x-alias/aws/s3",
        "arn:aws:kms:us-east-1:000000000000:key/alias/aws/s3",
        "key/alias/aws/glue",
        "x-alias/aws/glue",
    ] {
        assert_eq!(code(&cx, "describeKey", json!({"KeyId": name})).await, "NotFoundException", "{name}");
    }
    let others = json!({"KeyId": "arn:aws:kms:us-east-1:111111111111:alias/aws/s3"});
    assert_eq!(code(&cx, "describeKey", others).await, "AccessDeniedException");
    assert!(before == kept().await, "nothing is made by being looked for");
    let arn = "arn:aws:kms:us-east-1:000000000000:alias/aws/s3";
    assert_eq!(call(&cx, "describeKey", json!({"KeyId": arn})).await["KeyMetadata"]["KeyId"], managed);
    call(&cx, "describeKey", json!({"KeyId": "arn:aws:kms:us-east-1:000000000000:alias/aws/glue"})).await;
}

#[tokio::test]
async fn a_lost_root_key_is_not_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let queue = store::Queue::new(store::Store::memory());
    let start = || {
        let other = || store::Queue::new(store::Store::memory());
        let platform = Platform {
            router: Router::new(),
            control: queue.clone(),
            s3: other(),
            dynamodb: other(),
            data: folder.path().to_owned(),
            objects: None,
            endpoint: "http://127.0.0.1:1".to_owned(),
            account: "000000000000".to_owned(),
            region: "us-east-1".to_owned(),
            settings: service::Settings::default(),
        };
        let started = kms::register(&platform);
        (started, Cx::new(platform.router, Principal::root("000000000000"), "000000000000", "us-east-1"))
    };
    let (started, cx) = start();
    started.unwrap();
    std::fs::remove_file(folder.path().join("kms.key")).unwrap();
    // Nothing is lost yet: there are no keys.
    start().0.unwrap();
    key(&cx, json!({})).await;
    start().0.unwrap();
    std::fs::remove_file(folder.path().join("kms.key")).unwrap();
    let refused = start().0.unwrap_err();
    assert!(refused.contains("kms.key is missing"), "{refused}");
    assert!(!folder.path().join("kms.key").exists());
}
