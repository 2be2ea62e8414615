//! Every protocol that a service is spoken in, and what is told while the server stops.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use ciborium::Value as Cbor;

use crate::{Server, root};

const CLOUDWATCH: &str = "/service/GraniteServiceVersion20100801/operation";

/// Service, method and path, headers and body of a request; content type and text of its answer.
type Case<'a> = (&'a str, (&'a str, &'a str), &'a [(&'static str, &'a str)], &'a [u8], &'a str, &'a str);

/// Status, head in lower case, and body.
fn parts(answer: &[u8]) -> (u16, String, Vec<u8>) {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[end + 4..].to_vec())
}

#[test]
fn an_unknown_operation_answers_in_the_protocol_it_was_asked_in() {
    let server = Server::start();
    let json10 = [("x-amz-target", "DynamoDB_20120810.Nothing"), ("content-type", "application/x-amz-json-1.0")];
    let json11 = [("x-amz-target", "AWSGlue.Nothing"), ("content-type", "application/x-amz-json-1.1")];
    let cbor = [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor")];
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let nothing = format!("{CLOUDWATCH}/Nothing");
    let cases: [Case<'_>; 6] = [
        ("dynamodb", ("POST", "/"), &json10, b"{}", "application/x-amz-json-1.0", "UnknownOperationException"),
        ("glue", ("POST", "/"), &json11, b"{}", "application/x-amz-json-1.1", "UnknownOperationException"),
        ("monitoring", ("POST", &nothing), &cbor, b"\xa0", "application/cbor", "UnknownOperationException"),
        ("sns", ("POST", "/"), &form, b"Action=Nothing&Version=2010-03-31", "text/xml", "<Code>InvalidAction</Code>"),
        ("lambda", ("GET", "/2015-03-31/nothing"), &[], b"", "application/json", "UnknownOperationException"),
        (
            "batch",
            ("POST", "/v1/submitjob"),
            &[("content-type", "application/json")],
            b"{}",
            "application/json",
            "UnknownOperationException",
        ),
    ];
    for (service, target, headers, body, content_type, text) in cases {
        let (status, head, body) = parts(&server.whole(&root(), service, target, headers, body));
        assert_eq!(status, 400, "{service}: {head}");
        assert!(
            head.contains(&format!("content-type: {content_type}\r\n"))
                || head.ends_with(&format!("content-type: {content_type}")),
            "{service}: {head}"
        );
        assert!(String::from_utf8_lossy(&body).contains(text), "{service}: {}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn cloudwatch_is_spoken_in_cbor() {
    let server = Server::start();
    let headers =
        [("smithy-protocol", "rpc-v2-cbor"), ("content-type", "application/cbor"), ("accept", "application/cbor")];
    let call = |operation: &str, input: &Cbor| {
        let mut body = Vec::new();
        ciborium::into_writer(input, &mut body).unwrap();
        let path = format!("{CLOUDWATCH}/{operation}");
        let (status, head, body) = parts(&server.whole(&root(), "monitoring", ("POST", &path), &headers, &body));
        assert!(head.contains("smithy-protocol: rpc-v2-cbor"), "{operation}: {head}");
        let answer = (!body.is_empty()).then(|| ciborium::from_reader::<Cbor, _>(body.as_slice()).unwrap());
        (status, answer)
    };
    let text = |text: &str| Cbor::Text(text.to_owned());
    let map =
        |entries: &[(&str, Cbor)]| Cbor::Map(entries.iter().map(|(key, value)| (text(key), value.clone())).collect());
    let now = jiff::Timestamp::now().as_second();
    let at = |seconds: i64| Cbor::Tag(1, Box::new(Cbor::Integer(seconds.into())));
    let datum = map(&[("MetricName", text("m")), ("Value", Cbor::Float(1.5)), ("Timestamp", at(now))]);
    let put = map(&[("Namespace", text("N")), ("MetricData", Cbor::Array(vec![datum]))]);
    assert_eq!(call("PutMetricData", &put), (200, None));
    let asked = map(&[
        ("Namespace", text("N")),
        ("MetricName", text("m")),
        ("StartTime", at(now - 600)),
        ("EndTime", at(now + 600)),
        ("Period", Cbor::Integer(1200.into())),
        ("Statistics", Cbor::Array(vec![text("Sum")])),
    ]);
    let (status, answer) = call("GetMetricStatistics", &asked);
    assert_eq!(status, 200, "{answer:?}");
    let answer = format!("{answer:?}");
    assert!(answer.contains("Float(1.5)") && answer.contains("Tag(1, Integer("), "{answer}");
    let (status, answer) = call("PutMetricData", &map(&[("Namespace", Cbor::Integer(1.into()))]));
    assert_eq!(status, 400);
    assert!(format!("{answer:?}").contains("Expected text at Namespace"), "{answer:?}");
}

#[test]
fn who_comes_while_the_server_stops_is_told_when_to_come_again() {
    let server = Server::start();
    // A request under way: the server asks for its body, which does not come.
    let mut waiting = TcpStream::connect(server.address).unwrap();
    waiting.write_all(b"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: AmazonSQS.ListQueues\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        .unwrap();
    let mut asked = [0; 12];
    waiting.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100");
    assert!(Command::new("kill").args(["-TERM", &server.process.id().to_string()]).status().unwrap().success());
    let json = [("x-amz-target", "AmazonSQS.ListQueues"), ("content-type", "application/x-amz-json-1.0")];
    loop {
        let (status, head, body) = parts(&server.whole(&root(), "sqs", ("POST", "/"), &json, b"{}"));
        if status == 200 {
            continue;
        }
        assert_eq!(status, 503, "{head}");
        assert!(head.contains("x-amz-retry-after: 2000"), "{head}");
        assert!(String::from_utf8_lossy(&body).contains("ServiceUnavailable"));
        break;
    }
}
