//! The server from outside: real processes, real HTTP, hostile input. Every answer is AWS's error, and the server stays up.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it did not expect")]

mod backup;
mod book;
mod executions;
mod protocols;
mod rollback;
mod surface;

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http::HeaderMap;
use serde_json::{Value, json};
use wire::sigv4::{SigningKeys, sign_request};

const KEY: &str = "AKIATESTTESTTEST";
const SECRET: &str = "a secret of the tests";

struct Server {
    process: Child,
    address: SocketAddr,
    data: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().to_owned();
        Self::over(&folder, data)
    }

    /// Over a folder that is there.
    fn start_on(folder: &Path) -> Self {
        Self::over(folder, tempfile::tempdir().unwrap())
    }

    fn over(folder: &Path, data: tempfile::TempDir) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_lakerun"))
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .env("LAKERUN_ROOT_ACCESS_KEY_ID", KEY)
            .env("LAKERUN_ROOT_SECRET_ACCESS_KEY", SECRET)
            .current_dir(data.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let line = lines.find(|l| l.as_ref().is_ok_and(|l| l.contains("serving"))).unwrap().unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let port: String = line.split("127.0.0.1:").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
        Self { process, address: format!("127.0.0.1:{port}").parse().unwrap(), data }
    }

    /// Sends bytes as they are; the whole answer as text.
    fn raw(&self, request: &[u8]) -> String {
        String::from_utf8_lossy(&self.bytes(request)).into_owned()
    }

    fn bytes(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        answer
    }

    /// A signed request; status and body.
    fn call(
        &self,
        keys: &SigningKeys<'_>,
        service: &str,
        (method, path): (&str, &str),
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> (u16, String) {
        let answer = String::from_utf8_lossy(&self.whole(keys, service, (method, path), headers, body)).into_owned();
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default())
    }

    /// The same; all that is answered.
    fn whole(
        &self,
        keys: &SigningKeys<'_>,
        service: &str,
        (method, path): (&str, &str),
        headers: &[(&'static str, &str)],
        body: &[u8],
    ) -> Vec<u8> {
        let mut all = HeaderMap::new();
        all.insert("host", self.address.to_string().parse().unwrap());
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        sign_request((method, bare, query), &mut all, body, ("us-east-1", service), keys, jiff::Timestamp::now());
        let mut request =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        for (name, value) in &all {
            write!(request, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
        }
        request.push_str("\r\n");
        self.bytes(&[request.as_bytes(), body].concat())
    }

    fn json(&self, keys: &SigningKeys<'_>, service: &str, target: &str, body: &str) -> (u16, Value) {
        let headers = [("content-type", "application/x-amz-json-1.0"), ("x-amz-target", target)];
        let (status, text) = self.call(keys, service, ("POST", "/"), &headers, body.as_bytes());
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn root() -> SigningKeys<'static> {
    SigningKeys { access_key: KEY, secret_key: SECRET, session_token: None }
}

#[test]
fn hostile_requests_get_awss_errors_and_the_server_stays_up() {
    let server = Server::start();
    let code = |answer: &(u16, Value)| (answer.0, answer.1["__type"].as_str().unwrap_or_default().to_owned());

    let malformed = server.json(&root(), "dynamodb", "DynamoDB_20120810.GetItem", "{\"TableName\": ");
    assert_eq!(code(&malformed), (400, "com.amazon.coral.service#SerializationException".into()));
    assert!(malformed.1["message"].as_str().unwrap().contains("line 1"), "says where: {malformed:?}");
    let mistyped = server.json(&root(), "dynamodb", "DynamoDB_20120810.GetItem", "{\"TableName\": 7, \"Key\": {}}");
    assert_eq!(code(&mistyped), (400, "com.amazon.coral.service#SerializationException".into()));
    let missing = server.json(&root(), "sqs", "AmazonSQS.SendMessage", "{}");
    assert_eq!(code(&missing), (400, "ValidationException".into()));
    let unknown = server.json(&root(), "sqs", "AmazonSQS.FlyToTheMoon", "{}");
    assert_eq!(code(&unknown), (400, "UnknownOperationException".into()));
    assert!(unknown.1["message"].as_str().unwrap().contains("FlyToTheMoon"));
    let deep = format!("{}{}", "{\"a\":".repeat(5000), "1".to_owned() + &"}".repeat(5000));
    assert_eq!(code(&server.json(&root(), "sqs", "AmazonSQS.SendMessage", &deep)).0, 400);

    let wrong = SigningKeys { secret_key: "not it", ..root() };
    assert_eq!(
        code(&server.json(&wrong, "sqs", "AmazonSQS.ListQueues", "{}")),
        (403, "InvalidSignatureException".into())
    );
    let stranger = SigningKeys { access_key: "AKIANOBODY", ..root() };
    assert_eq!(
        code(&server.json(&stranger, "sqs", "AmazonSQS.ListQueues", "{}")),
        (403, "UnrecognizedClientException".into())
    );
    let (status, body) = server.call(&wrong, "sts", ("POST", "/"), &[], b"Action=GetCallerIdentity&Version=2011-06-15");
    assert!(status == 403 && body.contains("<Code>SignatureDoesNotMatch</Code>"), "{body}");
    let unsigned = server.raw(b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AmazonSQS.ListQueues\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    assert!(unsigned.starts_with("HTTP/1.1 403") && unsigned.contains("MissingAuthenticationToken"), "{unsigned}");

    let (status, body) = server.call(&root(), "s3", ("PUT", "/a-bucket"), &[], b"<CreateBucketConfiguration><Loc");
    assert!(status == 400 && body.contains("<Code>MalformedXML</Code>"), "{status} {body}");
    let (status, body) = server.call(&root(), "iam", ("POST", "/"), &[], b"Action=Nope");
    assert!(status == 400 && body.contains("Nope"), "{body}");
    let (status, _) = server.call(&root(), "lambda", ("GET", "/2015-03-31/nothing/here"), &[], b"");
    assert!((400..500).contains(&status), "{status}");

    let oversized = server.raw(b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AmazonSQS.ListQueues\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\n");
    assert!(oversized.starts_with("HTTP/1.1 4"), "{oversized}");
    let garbage = server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 4"), "{garbage}");
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "x-a: y\r\n".repeat(2000));
    assert!(server.raw(many.as_bytes()).starts_with("HTTP/1.1 4"));

    let fine = server.json(&root(), "sqs", "AmazonSQS.ListQueues", "{}");
    assert_eq!(fine.0, 200, "{fine:?}");
}

#[test]
fn sessions_are_checked_and_roles_bound() {
    let server = Server::start();
    let form = |body: &str| {
        server.call(
            &root(),
            "iam",
            ("POST", "/"),
            &[("content-type", "application/x-www-form-urlencoded")],
            body.as_bytes(),
        )
    };
    let trust = "%7B%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%22*%22%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    let (status, body) =
        form(&format!("Action=CreateRole&RoleName=reader&AssumeRolePolicyDocument={trust}&Version=2010-05-08"));
    assert_eq!(status, 200, "{body}");
    let policy = "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22sqs%3AListQueues%22%2C%22Resource%22%3A%22*%22%7D%7D";
    let (status, body) =
        form(&format!("Action=PutRolePolicy&RoleName=reader&PolicyName=p&PolicyDocument={policy}&Version=2010-05-08"));
    assert_eq!(status, 200, "{body}");
    let assume =
        "Action=AssumeRole&RoleArn=arn:aws:iam::000000000000:role/reader&RoleSessionName=session&Version=2011-06-15";
    let (status, body) = server.call(&root(), "sts", ("POST", "/"), &[], assume.as_bytes());
    assert_eq!(status, 200, "{body}");
    let text = |tag: &str| body.split(&format!("<{tag}>")).nth(1).unwrap().split('<').next().unwrap().to_owned();
    let (access, secret, token) = (text("AccessKeyId"), text("SecretAccessKey"), text("SessionToken"));
    let session = SigningKeys { access_key: &access, secret_key: &secret, session_token: Some(&token) };

    assert_eq!(server.json(&session, "sqs", "AmazonSQS.ListQueues", "{}").0, 200);
    let denied = server.json(&session, "sqs", "AmazonSQS.CreateQueue", &json!({"QueueName": "q"}).to_string());
    assert_eq!((denied.0, denied.1["__type"].as_str()), (403, Some("AccessDeniedException")));
    assert!(denied.1["message"].as_str().unwrap().contains("sqs:CreateQueue"), "{denied:?}");
    let (status, body) = server.call(&session, "s3", ("GET", "/"), &[], b"");
    assert!(status == 403 && body.contains("AccessDenied"), "{body}");

    let without = SigningKeys { session_token: None, ..session.clone() };
    assert_eq!(server.json(&without, "sqs", "AmazonSQS.ListQueues", "{}").0, 403);
    let other = SigningKeys { session_token: Some("forged"), ..session.clone() };
    assert_eq!(server.json(&other, "sqs", "AmazonSQS.ListQueues", "{}").0, 403);
    let (status, body) = server.call(&without, "s3", ("GET", "/"), &[], b"");
    assert!(status == 400 && body.contains("<Code>InvalidToken</Code>"), "{status} {body}");
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let server = Server::start();
    let second = Command::new(env!("CARGO_BIN_EXE_lakerun"))
        .args(["up", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.data.path())
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("another lakerun server holds"));
}
