//! HTTP Tasks: against a small server that answers by the path it is asked for.

use api_events::{DescribeConnection, DescribeConnectionRequest, DescribeConnectionResponse};
use api_secretsmanager::{GetSecretValue, GetSecretValueRequest, GetSecretValueResponse};
use async_trait::async_trait;
use serde_json::{Value, json};
use service::{Cx, Handle};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use wire::Error;

use crate::world::{Fakes, World, text};

fn arn(name: &str) -> String {
    format!("arn:aws:events:us-east-1:000000000000:connection/{name}/1")
}

/// Connections as the test keeps them: `gone` is taken away, `unknown` is not there.
#[async_trait]
impl Handle<DescribeConnection> for Fakes {
    async fn handle(&self, _: &Cx, input: DescribeConnectionRequest) -> Result<DescribeConnectionResponse, Error> {
        let state = match input.name.as_str() {
            "unknown" => return Err(api_events::error::resource_not_found_exception("There is none.")),
            "gone" => "DEAUTHORIZED",
            _ => "AUTHORIZED",
        };
        Ok(DescribeConnectionResponse {
            connection_arn: Some(arn(&input.name)),
            connection_state: Some(state.to_owned()),
            secret_arn: (state == "AUTHORIZED").then_some(input.name),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<GetSecretValue> for Fakes {
    async fn handle(&self, cx: &Cx, input: GetSecretValueRequest) -> Result<GetSecretValueResponse, Error> {
        assert!(cx.principal().role_arn().is_some(), "the role reads the secret");
        let secret_string = Some(self.secrets.lock().unwrap()[&input.secret_id].to_string());
        Ok(GetSecretValueResponse { secret_string, version_id: Some(input.secret_id), ..Default::default() })
    }
}

/// Serves until the test ends; its address.
async fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    let mut read = Vec::new();
    let mut tokens = 0;
    loop {
        let head = loop {
            if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
                break String::from_utf8(read.drain(..end + 4).collect()).unwrap();
            }
            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let mut lines = head.lines();
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        let length: usize = header("content-length").map_or(0, |length| length.parse().unwrap());
        while read.len() < length {
            stream.read_buf(&mut read).await.unwrap();
        }
        let body = String::from_utf8(read.drain(..length).collect()).unwrap();
        let (status, kind, answer) = match line.split(' ').nth(1).unwrap() {
            "/missing" => ("404 Not Found", "text/plain", "no such thing".to_owned()),
            "/redirects" => ("302 Found", "text/plain", String::new()),
            "/large" => ("200 OK", "text/plain", "x".repeat(262_145)),
            "/token" => {
                tokens += 1;
                let token = format!("t{tokens}");
                assert_eq!(body, "grant_type=client_credentials&client_id=me&client_secret=s%20s");
                ("200 OK", "application/json", json!({"access_token": token, "expires_in": 600}).to_string())
            }
            "/protected" if header("authorization").as_deref() != Some("Bearer t2") => {
                ("401 Unauthorized", "text/plain", "an old token".to_owned())
            }
            _ => {
                let names = ["authorization", "content-type", "x-key", "x-given", "user-agent", "range"];
                let seen: Value = names
                    .iter()
                    .map(|name| ((*name).to_owned(), json!(header(name))))
                    .collect::<serde_json::Map<_, _>>()
                    .into();
                ("200 OK", "application/json", json!({"line": line, "headers": seen, "body": body}).to_string())
            }
        };
        let length = answer.len();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{answer}");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn machine(parameters: &Value, connection: &str) -> Value {
    let mut parameters = parameters.clone();
    parameters["InvocationConfig"] = json!({"ConnectionArn": arn(connection)});
    let state =
        json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": parameters, "End": true});
    json!({"StartAt": "Call", "States": {"Call": state}})
}

fn world() -> World {
    let world = World::new();
    let mut secrets = world.fakes.secrets.lock().unwrap();
    secrets.insert("basic".to_owned(), json!({"username": "u", "password": "p"}));
    secrets.insert(
        "key".to_owned(),
        json!({"api_key_name": "X-Key", "api_key_value": "k", "invocation_http_parameters": {
            "query_string_parameters": [{"key": "q", "value": "added", "is_value_secret": false}],
            "body_parameters": [{"key": "b", "value": "added", "is_value_secret": true}],
        }}),
    );
    drop(secrets);
    world
}

async fn failure(world: &World, parameters: Value, connection: &str) -> (String, String) {
    let execution = world.start(&machine(&parameters, connection), &json!({})).await;
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "FAILED", "{ended}");
    (text(&ended["Error"]), text(&ended["Cause"]))
}

#[tokio::test]
async fn a_call_is_made_with_the_connections_credentials() {
    let (world, server) = (world(), server().await);
    let parameters = json!({
        "ApiEndpoint": format!("{server}/echo"), "Method": "POST",
        "Headers": {"X-Given": "h"}, "QueryParameters": {"q": "given", "r.$": "$.r"}, "RequestBody": {"a": 1, "b": "given"},
    });
    let execution = world.start(&machine(&parameters, "key"), &json!({"r": "x y"})).await;
    let ended = world.ended(&execution).await;
    let output: Value = serde_json::from_str(&text(&ended["Output"])).unwrap();
    assert_eq!((&output["StatusCode"], &output["StatusText"]), (&json!(200), &json!("OK")));
    assert_eq!(output["Headers"]["content-type"], json!(["application/json"]));
    assert_eq!(
        output["ResponseBody"],
        json!({
            "line": "POST /echo?r=x%20y&q=added HTTP/1.1", "body": "{\"a\":1,\"b\":\"added\"}",
            "headers": {
                "authorization": null, "content-type": "application/json; charset=UTF-8", "x-key": "k", "x-given": "h",
                "user-agent": "Amazon|StepFunctions|HttpInvoke|us-east-1", "range": "bytes=0-262144",
            },
        })
    );
    let history = world.call("getExecutionHistory", json!({"ExecutionArn": execution})).await;
    let scheduled = &history["Events"][2]["TaskScheduledEventDetails"];
    assert_eq!((&scheduled["ResourceType"], &scheduled["Resource"]), (&json!("http"), &json!("invoke")));
    let parameters = text(&scheduled["Parameters"]);
    assert!(!parameters.contains("added"), "secrets are in no history: {parameters}");
}

#[tokio::test]
async fn other_answers_and_none_are_failures() {
    let (world, server) = (world(), server().await);
    let get = |path: &str| json!({"ApiEndpoint": format!("{server}{path}"), "Method": "GET"});
    let named = |error: &str, cause: &str| (error.to_owned(), cause.to_owned());
    assert_eq!(failure(&world, get("/missing"), "basic").await, named("States.Http.StatusCode.404", "no such thing"));
    assert_eq!(failure(&world, get("/redirects"), "basic").await.0, "States.Http.StatusCode.302");
    assert_eq!(failure(&world, get("/large"), "basic").await.0, "States.DataLimitExceeded");
    let closed = json!({"ApiEndpoint": "http://127.0.0.1:1/", "Method": "GET"});
    let refused = failure(&world, closed, "basic").await;
    assert_eq!(refused.0, "States.Http.Socket");
    assert!(refused.1.contains("onnection refused"), "{}", refused.1);
    let metadata = json!({"ApiEndpoint": "http://169.254.169.254/latest/meta-data/", "Method": "GET"});
    let refused = failure(&world, metadata, "basic").await;
    assert!(refused.1.starts_with("The address 169.254.169.254 is reserved"), "{}", refused.1);
    let mut host = get("/echo");
    host["Headers"] = json!({"Host": "elsewhere"});
    assert_eq!(failure(&world, host, "basic").await.0, "States.Runtime");
    assert_eq!(failure(&world, get("/echo"), "unknown").await.0, "Events.ConnectionResource.ResourceNotFound");
    assert_eq!(failure(&world, get("/echo"), "gone").await.0, "Events.ConnectionResource.InvalidConnectionState");
}

#[tokio::test]
async fn a_token_that_is_taken_back_is_got_anew() {
    let (world, server) = (world(), server().await);
    let secret = json!({
        "client_id": "me", "client_secret": "s s", "authorization_endpoint": format!("{server}/token"), "http_method": "POST",
    });
    world.fakes.secrets.lock().unwrap().insert("oauth".to_owned(), secret);
    let call = json!({"ApiEndpoint": format!("{server}/protected"), "Method": "GET"});
    let execution = world.start(&machine(&call, "oauth"), &json!({})).await;
    let ended = world.ended(&execution).await;
    assert_eq!(ended["Status"], "SUCCEEDED", "{ended}");
    assert!(text(&ended["Output"]).contains("Bearer t2"), "the second token is the good one");
    let execution = world.start(&machine(&call, "oauth"), &json!({})).await;
    assert_eq!(world.ended(&execution).await["Status"], "SUCCEEDED", "and is kept");
}

#[tokio::test]
async fn a_test_shows_the_exchange_and_hides_secrets() {
    let (world, server) = (world(), server().await);
    let parameters = json!({
        "ApiEndpoint": format!("{server}/echo"), "Method": "POST", "RequestBody": {"a": 1},
        "Authentication": {"ConnectionArn": arn("key")},
    });
    let state =
        json!({"Type": "Task", "Resource": "arn:aws:states:::http:invoke", "Parameters": parameters, "End": true});
    let mut asked = json!({
        "Definition": state.to_string(), "RoleArn": "arn:aws:iam::000000000000:role/machine", "InspectionLevel": "TRACE",
    });
    let hidden = world.call("testState", asked.clone()).await["InspectionData"].clone();
    let agent = "User-Agent: Amazon|StepFunctions|HttpInvoke|us-east-1, Range: bytes=0-262144]";
    assert_eq!(
        hidden["Request"],
        json!({
            "Protocol": "http", "Method": "POST", "Url": format!("{server}/echo"), "Body": "{\"a\":1}",
            "Headers": format!("[Content-Type: application/json; charset=UTF-8, {agent}"),
        })
    );
    let answer = &hidden["Response"];
    assert_eq!((&answer["StatusCode"], &answer["StatusMessage"]), (&json!("200"), &json!("OK")));
    assert!(text(&answer["Headers"]).starts_with("[content-type: application/json, content-length: "));
    asked["RevealSecrets"] = json!(true);
    let shown = world.call("testState", asked.clone()).await["InspectionData"]["Request"].clone();
    assert_eq!(text(&shown["Url"]), format!("{server}/echo?q=added"));
    assert_eq!(text(&shown["Headers"]), format!("[X-Key: k, Content-Type: application/json; charset=UTF-8, {agent}"));
    assert_eq!(text(&shown["Body"]), "{\"a\":1,\"b\":\"added\"}");
    asked["InspectionLevel"] = json!("DEBUG");
    assert_eq!(world.call("testState", asked).await["InspectionData"]["Request"], Value::Null);
}

#[tokio::test]
async fn a_definition_must_say_where_and_how() {
    let world = world();
    let definition = machine(&json!({"Method": "GET", "Url": "https://example.com"}), "key");
    let validated = world.call("validateStateMachineDefinition", json!({"Definition": definition.to_string()})).await;
    let found: Vec<_> = validated["Diagnostics"].as_array().unwrap().iter().map(|one| text(&one["Message"])).collect();
    assert_eq!(
        found,
        ["The field \"Url\" is not supported by Step Functions", "The field 'ApiEndpoint' is required but was missing"]
    );
}
