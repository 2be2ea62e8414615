//! What a signature covers, and what is told of it.

use wire::sigv4::{Claim, Signable};

use crate::{World, presigned};

async fn world() -> World {
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    assert_eq!(world.root("PUT", "/bucket/secret", "0123456789").await.status, 200);
    world
}

#[tokio::test]
async fn who_holds_an_address_makes_no_other_request_of_it() {
    let world = world().await;
    let signed = presigned("PUT", "/bucket/n", "", 0);
    let written =
        signed.replace("X-Amz-Algorithm", "X-Amz-Algorith%6D").replace("X-Amz-Signature", "X-Amz-%53ignature");
    let more = [
        ("x-amz-copy-source", "/bucket/secret"),
        ("x-amz-acl", "public-read"),
        ("x-amz-tagging", "a=b"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
    ];
    let length = ("content-length", "1");
    for header in more {
        for uri in [&signed, &written] {
            let answer = world.plain("PUT", uri, &[header, length], "x".to_owned()).await;
            assert_eq!(answer.error(), "403 AccessDenied", "{header:?} {uri}: {}", answer.text());
            assert!(answer.text().contains(&format!("<HeadersNotSigned>{}</HeadersNotSigned>", header.0)));
            for junk in ["x", "AWS root:x", "AWS4-HMAC-SHA256 Credential=root/a/eu-west-1/s3/aws4_request"] {
                let answer = world.plain("PUT", uri, &[header, length, ("authorization", junk)], "x".to_owned()).await;
                assert_eq!(answer.error(), "400 InvalidArgument", "{header:?} {junk} {uri}: {}", answer.text());
            }
        }
    }
    assert_eq!(world.root("GET", "/bucket/n", "").await.error(), "404 NoSuchKey");
    for uri in [&signed, &written] {
        let answer = world.plain("PUT", uri, &[length], "x".to_owned()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_policy_is_told_of_the_signature() {
    let world = world().await;
    let deny = |condition: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bucket/*","Condition":{condition}}}]}}"#
        )
    };
    let get = |age: i64, headers: Vec<(&'static str, &'static str)>| {
        let (world, uri) = (&world, presigned("GET", "/bucket/secret", "", age));
        async move { world.plain("GET", &uri, &headers, String::new()).await.error() }
    };
    let put = |condition: &str| world.root("PUT", "/bucket?policy", deny(condition));
    assert_eq!(put(r#"{"NumericGreaterThan":{"s3:signatureAge":"1800000"}}"#).await.status, 204);
    assert_eq!(get(0, Vec::new()).await, "200 ");
    assert_eq!(get(1900, Vec::new()).await, "403 AccessDenied");
    assert_eq!(world.root("GET", "/bucket/secret", "").await.status, 200);
    // By a header that nobody has checked no address becomes one that is signed in its headers.
    assert_eq!(put(r#"{"StringEquals":{"s3:authType":"REST-QUERY-STRING"}}"#).await.status, 204);
    assert_eq!(get(0, Vec::new()).await, "403 AccessDenied");
    assert_eq!(get(0, vec![("authorization", "x")]).await, "400 InvalidArgument");
    assert_eq!(world.root("GET", "/bucket/secret", "").await.status, 200);
}

/// Readers of documents and players of films ask presigned addresses for several ranges: that header is passed over.
#[tokio::test]
async fn headers_that_say_nothing_are_passed_over_at_a_presigned_address() {
    let world = world().await;
    let uri = presigned("GET", "/bucket/secret", "response-content-type=a%2Fb&", 0);
    for header in [("range", "bytes=0-1,4-5"), ("if-modified-since", "yesterday")] {
        let answer = world.plain("GET", &uri, &[header], String::new()).await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "0123456789"), "{header:?}");
        assert_eq!(answer.headers["content-type"], "a/b");
    }
    let forged = uri.replace("X-Amz-Signature=", "X-Amz-Signature=0");
    let answer = world.plain("GET", &forged, &[("range", "bytes=0-1,4-5")], String::new()).await;
    assert_ne!(answer.status, 200);
}

/// What an object is to be locked as is in the body.
#[tokio::test]
async fn a_policy_is_told_of_the_lock_that_is_asked_for() {
    let world = World::new();
    let lock = [("x-amz-bucket-object-lock-enabled", "true")];
    let made = world.send("root", "secret", None, "PUT", "/locked", &lock, bytes::Bytes::new()).await;
    assert_eq!(made.status, 200, "{}", made.text());
    assert_eq!(world.root("PUT", "/locked/k", "x").await.status, 200);
    let deny = |action: &str, condition: &str| {
        format!(
            r#"{{"Effect":"Deny","Principal":"*","Action":"s3:{action}","Resource":"arn:aws:s3:::locked/*","Condition":{condition}}}"#
        )
    };
    let policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{},{},{}]}}"#,
        deny("PutObjectRetention", r#"{"StringEquals":{"s3:object-lock-mode":"COMPLIANCE"}}"#),
        deny("PutObjectRetention", r#"{"NumericGreaterThan":{"s3:object-lock-remaining-retention-days":"30"}}"#),
        deny("PutObjectLegalHold", r#"{"StringEquals":{"s3:object-lock-legal-hold":"ON"}}"#),
    );
    let put = world.root("PUT", "/locked?policy", policy).await;
    assert_eq!(put.status, 204, "{}", put.text());
    let retain = |mode: &str, days: i64| {
        let until =
            (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(24 * days)).strftime("%Y-%m-%dT%H:%M:%SZ");
        let body = format!("<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate></Retention>");
        let world = &world;
        async move { world.root("PUT", "/locked/k?retention", body).await.error() }
    };
    assert_eq!(retain("COMPLIANCE", 10).await, "403 AccessDenied");
    assert_eq!(retain("GOVERNANCE", 40).await, "403 AccessDenied");
    assert_eq!(retain("GOVERNANCE", 10).await, "200 ");
    let hold = |status: &str| {
        world.root("PUT", "/locked/k?legal-hold", format!("<LegalHold><Status>{status}</Status></LegalHold>"))
    };
    assert_eq!(hold("ON").await.error(), "403 AccessDenied");
    assert_eq!(hold("OFF").await.status, 200);
}

/// With unsigned chunks the checksum behind the body is all that guards it.
#[tokio::test]
async fn a_checksum_that_is_announced_must_come() {
    let world = world().await;
    let put = |body: &'static str| {
        let hash = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
        let now = wire::sigv4::format_time(jiff::Timestamp::now());
        let (length, time) = (body.len().to_string(), now.clone());
        let mut all = vec![
            ("content-length", length),
            ("x-amz-content-sha256", hash.to_owned()),
            ("x-amz-date", time),
            ("x-amz-decoded-content-length", "5".to_owned()),
            ("x-amz-trailer", "x-amz-checksum-crc32".to_owned()),
        ];
        let signed = "host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-trailer";
        let authorization = |signature: &str| {
            format!(
                "AWS4-HMAC-SHA256 Credential=root/{}/us-east-1/s3/aws4_request, SignedHeaders={signed}, Signature={signature}",
                &now[..8]
            )
        };
        let mut headers = http::HeaderMap::new();
        headers.insert("host", "127.0.0.1:4566".parse().unwrap());
        for (name, value) in &all {
            headers.insert(*name, value.parse().unwrap());
        }
        headers.insert("authorization", authorization("0").parse().unwrap());
        let claim = Claim::of(&headers, "").unwrap().unwrap();
        let request = Signable { method: "PUT", path: "/bucket/k", query: "", headers: &headers, payload_hash: hash };
        all.push(("authorization", authorization(&claim.sign(&request, "secret"))));
        let world = &world;
        async move {
            let all: Vec<(&'static str, &str)> = all.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.plain("PUT", "/bucket/k", &all, body.to_owned()).await.error()
        }
    };
    assert_eq!(put("5\r\nhello\r\n0\r\n\r\n").await, "400 MalformedTrailerError");
    assert_eq!(put("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n").await, "200 ");
    assert_eq!(put("5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n").await, "400 BadDigest");
}

/// Who may read keys, and not list them, does not learn which there are.
#[tokio::test]
async fn a_missing_key_is_told_to_who_may_list() {
    let world = World::new();
    world.root("PUT", "/open", "").await;
    world.root("PUT", "/open/k", "x").await;
    assert_eq!(world.call("role", "GET", "/open/k", "").await.text(), "x");
    assert_eq!(world.call("role", "GET", "/open/none", "").await.error(), "403 AccessDenied");
    assert_eq!(world.call("role", "HEAD", "/open/none", "").await.status, 403);
    assert_eq!(world.root("GET", "/open/none", "").await.error(), "404 NoSuchKey");
}

/// A restoration to beyond the calendar breaks nobody's list.
#[tokio::test]
async fn a_restoration_ends_with_the_calendar() {
    let world = world().await;
    let class = [("x-amz-storage-class", "GLACIER")];
    world.send("root", "secret", None, "PUT", "/bucket/cold", &class, bytes::Bytes::from("x")).await;
    let restore = format!("<RestoreRequest><Days>{}</Days></RestoreRequest>", i32::MAX);
    assert_eq!(world.root("POST", "/bucket/cold?restore", restore).await.status, 202);
    let wanted = [("x-amz-optional-object-attributes", "RestoreStatus")];
    let listed = world.send("root", "secret", None, "GET", "/bucket?list-type=2", &wanted, bytes::Bytes::new()).await;
    assert!(listed.text().contains("<RestoreExpiryDate>9999-12-31T23:59:59"), "{}", listed.text());
}

/// Remembers what was recorded: the operation, who asked, and on what.
#[derive(Default)]
struct Recorder(std::sync::Mutex<Vec<(String, String, serde_json::Value)>>);

#[async_trait::async_trait]
impl service::audit::Audit for Recorder {
    fn is_on(&self) -> bool {
        true
    }
    async fn record(&self, call: service::audit::Call<'_>) -> Result<(), wire::Error> {
        let who = call.cx.principal().arn(call.cx.account());
        self.0.lock().unwrap().push((call.operation.to_owned(), who, call.input.clone()));
        Ok(())
    }
}

#[tokio::test]
async fn a_browsers_upload_is_recorded_with_who_signed_it() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let world = World::new();
    assert_eq!(world.root("PUT", "/bucket", "").await.status, 200);
    let recorder = std::sync::Arc::new(Recorder::default());
    world.router.set_audit(recorder.clone());
    let policy = STANDARD.encode(
        serde_json::json!({"expiration": "2099-01-01T00:00:00Z", "conditions": [{"bucket": "bucket"}, {"key": "in/k"}]})
            .to_string(),
    );
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"secret");
    let signature = STANDARD.encode(ring::hmac::sign(&key, policy.as_bytes()).as_ref());
    let fields = [("key", "in/k"), ("AWSAccessKeyId", "root"), ("policy", &policy), ("signature", &signature)];
    let field = |(name, value): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let mut body: String = fields.iter().map(field).collect();
    body += "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nhello\r\n--x--\r\n";
    let kind = [("content-type", "multipart/form-data; boundary=x")];
    let posted = world.plain("POST", "/bucket", &kind, bytes::Bytes::from(body)).await;
    assert_eq!(posted.status, 204, "{}", posted.text());
    let events = recorder.0.lock().unwrap().clone();
    let input = serde_json::json!({"Bucket": "bucket", "Key": "in/k"});
    let owner = format!("arn:aws:iam::{}:root", crate::ACCOUNT);
    assert_eq!(events, [("PostObject".to_owned(), owner, input)]);
}
