//! API destinations as targets of rules: against a small server that answers by the path it is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Bench, bench, queue};

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// A request as the server read it.
#[derive(Clone, Debug)]
struct Seen {
    line: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Clone, Default)]
struct Server(Arc<Mutex<Vec<Seen>>>);

impl Server {
    /// Serves until the test ends; its address.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(server.clone().serve(stream));
            }
        });
        address
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut read = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                    break end + 4;
                }
                if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                    return;
                }
            };
            let head = String::from_utf8(read.drain(..end).collect()).unwrap();
            let mut lines = head.lines();
            let line = lines.next().unwrap().trim_end_matches(" HTTP/1.1").to_owned();
            let headers: BTreeMap<String, String> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
            while read.len() < length {
                stream.read_buf(&mut read).await.unwrap();
            }
            let body = String::from_utf8(read.drain(..length).collect()).unwrap();
            let (status, answer) = self.answer(Seen { line, headers, body });
            let text = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{answer}", answer.len());
            if stream.write_all(text.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, seen: Seen) -> (u16, &'static str) {
        let mut all = self.0.lock().unwrap();
        let path = seen.line.split(' ').nth(1).unwrap().to_owned();
        let before = all.iter().filter(|one| one.line == seen.line).count();
        all.push(seen);
        match (path.split(['/', '?']).nth(1).unwrap(), before) {
            ("token", 0) => (200, r#"{"access_token":"old"}"#),
            ("token", _) => (200, r#"{"access_token":"new"}"#),
            ("flaky", 0) => (503, "later"),
            ("guarded", 0) => (401, ""),
            ("gone", _) => (404, "no such thing"),
            _ => (200, ""),
        }
    }

    async fn seen(&self, count: usize) -> Vec<Seen> {
        for _ in 0..24_000 {
            if self.0.lock().unwrap().len() >= count {
                break;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        self.0.lock().unwrap().clone()
    }
}

impl Bench {
    async fn connected(&self, name: &str, kind: &str, parameters: Value) -> String {
        let new = json!({"Name": name, "AuthorizationType": kind, "AuthParameters": parameters});
        let made = self.call("eventbridge", "createConnection", new).await;
        made["ConnectionArn"].as_str().unwrap().to_owned()
    }

    async fn destination(&self, name: &str, connection: &str, endpoint: &str) -> String {
        let new =
            json!({"Name": name, "ConnectionArn": connection, "InvocationEndpoint": endpoint, "HttpMethod": "POST"});
        let made = self.call("eventbridge", "createApiDestination", new).await;
        assert_eq!(made["ApiDestinationState"], "ACTIVE");
        made["ApiDestinationArn"].as_str().unwrap().to_owned()
    }

    async fn target(&self, arn: &str, more: Value) {
        let pattern = json!({"source": ["my.app"]}).to_string();
        self.call("eventbridge", "putRule", json!({"Name": "r", "EventPattern": pattern})).await;
        let mut target = json!({"Id": "a", "Arn": arn, "RoleArn": ROLE});
        target.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("eventbridge", "putTargets", json!({"Rule": "r", "Targets": [target]})).await;
    }

    async fn put(&self, detail: Value) {
        let entry = json!({"Source": "my.app", "DetailType": "t", "Detail": detail.to_string()});
        self.call("eventbridge", "putEvents", json!({"Entries": [entry]})).await;
    }
}

#[tokio::test]
async fn an_event_is_posted_with_what_connection_and_target_add() {
    let (bench, server) = (bench(), Server::default());
    let address = server.start().await;
    let parameters = json!({
        "ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "x-both", "Value": "connection"}],
            "QueryStringParameters": [{"Key": "q", "Value": "1", "IsValueSecret": true}],
            "BodyParameters": [{"Key": "added", "Value": "b"}],
        },
    });
    let connection = bench.connected("api", "API_KEY", parameters).await;
    let arn = bench.destination("orders", &connection, &format!("{address}/orders/*/*")).await;
    let http = json!({"PathParameterValues": ["$.detail.id", "v 1"],
        "HeaderParameters": {"x-both": "target", "x-state": "$.detail.state"}, "QueryStringParameters": {"p": "$.source"}});
    let transformer = json!({"InputPathsMap": {"s": "$.detail.state"}, "InputTemplate": "{\"was\": <s>}"});
    bench.target(&arn, json!({"HttpParameters": http, "InputTransformer": transformer})).await;
    bench.put(json!({"id": "a/7", "state": "FAILED"})).await;
    let seen = server.seen(1).await;
    assert_eq!(seen[0].line, "POST /orders/a%2F7/v%201?p=my.app&q=1");
    for (name, value) in [
        ("x-key", "secret"),
        ("x-both", "connection"),
        ("x-state", "FAILED"),
        ("user-agent", "Amazon/EventBridge/ApiDestinations"),
        ("range", "bytes=0-1048575"),
        ("content-type", "application/json; charset=utf-8"),
    ] {
        assert_eq!(seen[0].headers.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(seen[0].body, r#"{"was":"FAILED","added":"b"}"#);
}

#[tokio::test]
async fn what_fails_is_tried_again_or_goes_to_the_dead_letter_queue() {
    let (bench, server) = (bench(), Server::default());
    let address = server.start().await;
    let basic = json!({"BasicAuthParameters": {"Username": "u", "Password": "p"}});
    let connection = bench.connected("api", "BASIC", basic).await;
    let dead = json!({"DeadLetterConfig": {"Arn": queue("dead")}});
    let flaky = bench.destination("flaky", &connection, &format!("{address}/flaky")).await;
    bench.target(&flaky, dead.clone()).await;
    bench.put(json!({})).await;
    let seen = server.seen(2).await;
    assert_eq!(seen[0].body, seen[1].body);
    assert_eq!(seen[1].headers["authorization"], "Basic dTpw");
    assert_eq!(serde_json::from_str::<Value>(&seen[0].body).unwrap()["source"], "my.app");

    let gone = bench.destination("gone", &connection, &format!("{address}/gone")).await;
    bench.target(&gone, dead.clone()).await;
    bench.put(json!({"n": 1})).await;
    let received = bench.received(1).await;
    assert_eq!(received[0].0, "dead");
    assert_eq!(server.0.lock().unwrap().len(), 3, "a 404 is not tried again");

    // Nothing listens there, and there is one more try.
    let nobody = bench.destination("nobody", &connection, "http://127.0.0.1:9/").await;
    let retry = json!({"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60});
    bench.target(&nobody, json!({"RetryPolicy": retry, "DeadLetterConfig": {"Arn": queue("dead")}})).await;
    bench.put(json!({"n": 2})).await;
    assert_eq!(bench.received(1).await[0].0, "dead");

    // A path that leads to nothing would call something else.
    let part = bench.destination("part", &connection, &format!("{address}/*")).await;
    bench.target(&part, json!({"HttpParameters": {"PathParameterValues": ["$.detail.no"]}, "DeadLetterConfig": {"Arn": queue("dead")}})).await;
    bench.put(json!({"n": 3})).await;
    assert_eq!(bench.received(1).await[0].0, "dead");
    assert_eq!(server.0.lock().unwrap().len(), 3);
}

/// What would have to wait for longer than its age may be goes to the dead-letter queue at once, and takes no turn of the others.
#[tokio::test]
async fn a_backlog_gets_too_old() {
    let (bench, server) = (bench(), Server::default());
    let address = server.start().await;
    let basic = json!({"BasicAuthParameters": {"Username": "u", "Password": "p"}});
    let connection = bench.connected("api", "BASIC", basic).await;
    let new = json!({"Name": "slow", "ConnectionArn": connection, "InvocationEndpoint": format!("{address}/slow"),
        "HttpMethod": "POST", "InvocationRateLimitPerSecond": 1});
    let slow = bench.call("eventbridge", "createApiDestination", new).await["ApiDestinationArn"].clone();
    let retry = json!({"MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60});
    let more = json!({"RetryPolicy": retry, "DeadLetterConfig": {"Arn": queue("dead")}});
    bench.target(slow.as_str().unwrap(), more).await;
    for n in 0..80 {
        bench.put(json!({"n": n})).await;
    }
    // In a minute some 60 can be brought; with a machine that is slow to begin some more.
    let dead = bench.received(5).await;
    assert!(dead.iter().all(|(queue, _)| queue == "dead"));
}

#[tokio::test]
async fn a_token_is_got_and_got_again() {
    let (bench, server) = (bench(), Server::default());
    let address = server.start().await;
    let oauth = json!({"OAuthParameters": {"AuthorizationEndpoint": format!("{address}/token"), "HttpMethod": "POST",
        "ClientParameters": {"ClientID": "i", "ClientSecret": "s"}}});
    let connection = bench.connected("api", "OAUTH_CLIENT_CREDENTIALS", oauth).await;
    let arn = bench.destination("guarded", &connection, &format!("{address}/guarded")).await;
    bench.target(&arn, json!({"Input": "{}"})).await;
    bench.put(json!({})).await;
    let seen = server.seen(4).await;
    let lines: Vec<_> = seen.iter().map(|one| one.line.as_str()).collect();
    assert_eq!(lines, ["POST /token", "POST /guarded", "POST /token", "POST /guarded"]);
    assert_eq!(seen[0].body, "grant_type=client_credentials&client_id=i&client_secret=s");
    assert_eq!((&*seen[1].headers["authorization"], &*seen[3].headers["authorization"]), ("Bearer old", "Bearer new"));
}

#[tokio::test]
async fn a_destination_without_credentials_is_inactive() {
    let bench = bench();
    let basic = json!({"BasicAuthParameters": {"Username": "u", "Password": "p"}});
    let connection = bench.connected("api", "BASIC", basic).await;
    bench.destination("d", &connection, "https://example.com/").await;
    let described = || bench.call("eventbridge", "describeApiDestination", json!({"Name": "d"}));
    assert_eq!(described().await["InvocationRateLimitPerSecond"], 300);
    bench.call("eventbridge", "deauthorizeConnection", json!({"Name": "api"})).await;
    assert_eq!(described().await["ApiDestinationState"], "INACTIVE");
    let other = json!({"Name": "e", "ConnectionArn": format!("{connection}0"), "InvocationEndpoint": "https://h/", "HttpMethod": "GET"});
    let error = bench.cx.call_json("eventbridge", "createApiDestination", other).await.unwrap_err();
    assert_eq!(error.code(), "ResourceNotFoundException");
    assert_eq!(error.message(), "Failed to describe the connection(s). Connection 'api' does not exist.");
}
