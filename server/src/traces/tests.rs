//! A collector that takes everything, one that does not, and none.

use std::sync::atomic::Ordering;

use prost::Message as _;
use serde_json::json;
use service::trace::{Attribute, Span, TraceContext, Tracer as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::messages::ExportTraceServiceRequest;
use super::{Exporter, Origin, WAITING, headers, traces_at};

fn settings(section: serde_json::Value) -> service::Settings {
    let mut all = serde_json::Map::new();
    all.insert("telemetry".to_owned(), section);
    service::Settings(all.into())
}

fn exporter(endpoint: &str) -> Exporter {
    let settings = settings(json!({ "otlp_endpoint": endpoint, "otlp_headers": { "X-Key": "k" } }));
    Exporter::of(&settings, Origin { instance: "here:1".to_owned() }).unwrap().unwrap()
}

fn span(number: u64) -> Span {
    Span {
        at: TraceContext { trace: 7, span: number },
        parent: number - 1,
        name: format!("span {number}"),
        calls: false,
        started_ms: 10,
        ended_ms: 12,
        attributes: vec![("n", Attribute::Number(3))],
        error: (number == 2).then(|| "States.Timeout".to_owned()),
        events: Vec::new(),
    }
}

/// Answers requests, one connection each, with these; and gives back their heads and bodies.
async fn collector(answers: Vec<&'static str>) -> (String, tokio::task::JoinHandle<Vec<(String, Vec<u8>)>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/below/", listener.local_addr().unwrap());
    let served = tokio::spawn(async move {
        let mut requests = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = Vec::new();
            let (head, length) = loop {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
                let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
                let head = String::from_utf8(bytes.drain(..at + 4).collect()).unwrap();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                break (head.clone(), length.trim().parse::<usize>().unwrap());
            };
            while bytes.len() < length {
                assert!(stream.read_buf(&mut bytes).await.unwrap() > 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            requests.push((head, bytes));
        }
        requests
    });
    (endpoint, served)
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const BUSY: &str = "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const REFUSED: &str = "HTTP/1.1 400 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
/// One of the spans was not taken: field 1 of the answer has field 1, which is 1.
const PARTLY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\x0a\x02\x08\x01";

#[tokio::test]
async fn spans_arrive_and_a_busy_collector_is_asked_again() {
    let (endpoint, served) = collector(vec![BUSY, TAKEN, REFUSED, PARTLY]).await;
    let exporter = exporter(&endpoint);
    exporter.export(vec![span(1), span(2)]);
    exporter.deliver(exporter.take()).await;
    exporter.export(vec![span(3)]);
    exporter.deliver(exporter.take()).await;
    exporter.export(vec![span(4), span(5)]);
    exporter.send_all().await;
    let requests = served.await.unwrap();
    let (head, body) = &requests[1];
    assert!(head.starts_with("POST /below/v1/traces HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("content-type: application/x-protobuf\r\n") && head.contains("x-key: k\r\n"), "{head}");
    assert_eq!(&requests[0].1, body);
    let got = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
    let spans = &got.resource_spans[0].scope_spans[0].spans;
    assert_eq!(spans.len(), 2);
    assert!(spans[0].parent_span_id.is_empty());
    assert_eq!(spans[1].parent_span_id, spans[0].span_id);
    assert_eq!((spans[1].trace_id.len(), spans[1].start_time_unix_nano), (16, 10_000_000));
    assert_eq!((spans[0].status.as_ref().unwrap().code, spans[1].status.as_ref().unwrap().code), (0, 2));
    let counted = exporter.counted();
    let counts = [&counted.exported, &counted.dropped, &counted.rejected].map(|count| count.load(Ordering::Relaxed));
    assert_eq!(counts, [3, 1, 1]);
}

#[tokio::test]
async fn while_nobody_takes_them_they_are_bounded() {
    // Nobody listens there.
    let exporter = exporter("http://127.0.0.1:1");
    exporter.export((1..=WAITING as u64 + 5).map(span).collect());
    assert_eq!((exporter.count_waiting(), exporter.has_room()), (WAITING, false));
    exporter.export(vec![span(1)]);
    exporter.missed();
    let counted = exporter.counted();
    assert_eq!(counted.dropped.load(Ordering::Relaxed), 6);
    assert_eq!(counted.missed.load(Ordering::Relaxed), 1);
    exporter.send_all().await;
    assert_eq!(counted.dropped.load(Ordering::Relaxed), 6 + 512);
}

#[test]
fn what_is_no_collector_is_refused() {
    assert_eq!(traces_at("http://c:4318").unwrap().as_str(), "http://c:4318/v1/traces");
    assert_eq!(traces_at("https://c/otlp/").unwrap().as_str(), "https://c/otlp/v1/traces");
    for wrong in ["c:4318", "grpc://c:4317", "http://c/?a=b", ""] {
        traces_at(wrong).unwrap_err();
    }
    headers(&[("a b".to_owned(), "c".to_owned())].into()).unwrap_err();
    let origin = || Origin { instance: String::new() };
    assert!(Exporter::of(&service::Settings::default(), origin()).unwrap().is_none());
    for wrong in [json!({ "otlp_headers": { "a": "b" } }), json!({ "endpoint": "http://c" })] {
        assert!(Exporter::of(&settings(wrong), origin()).is_err());
    }
}
