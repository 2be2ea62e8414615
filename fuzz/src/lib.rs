//! Everything that reads what strangers send, as functions of bytes: none panics, none runs on without end. `cargo fuzz` drives them
//! (`targets/`, with the feature `libfuzzer`); an ordinary test runs the seeds and a fixed number of texts made of them.

use std::cell::RefCell;

pub use dynamodb::strangers::{expression as dynamodb_expression, number as dynamodb_number, statement as partiql};
pub use s3_service::strangers::{bucket_policy, chunks, form, form_policy, select as s3_select};
use serde_json::{Map, Value, json};
use wire::codec::{Request, decode_input};
use wire::{Operation, Protocol};

/// A target by its name, which is the name of its seeds' folder too.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 20] = [
    ("bucket_policy", bucket_policy),
    ("cbor_body", cbor_body),
    ("chunks", chunks),
    ("definition", definition),
    ("dynamodb_expression", dynamodb_expression),
    ("dynamodb_number", dynamodb_number),
    ("event_pattern", event_pattern),
    ("form", form),
    ("form_policy", form_policy),
    ("json_body", json_body),
    ("jsonata", jsonata),
    ("jsonpath", jsonpath),
    ("partiql", partiql),
    ("query_body", query_body),
    ("s3_select", s3_select),
    ("signature", signature),
    ("sql", sql),
    ("trino_literal", trino_literal),
    ("trino_type", trino_type),
    ("xml_body", xml_body),
];

/// What expressions and patterns are held against.
fn order() -> Value {
    json!({
        "source": "aws.s3", "n": 4, "order": { "items": [
            { "name": "apple", "price": 12.5, "quantity": 2 }, { "name": "pear", "price": 3, "quantity": 10 },
        ] },
        "detail": { "n": 3, "key": "raw/a.csv", "ip": "10.0.0.7" },
    })
}

/// A definition, as both kinds of machines.
pub fn definition(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for kind in [asl::MachineType::Standard, asl::MachineType::Express] {
        if let Ok(definition) = asl::Definition::parse(text, kind) {
            assert!(serde_json::from_str::<Value>(text).is_ok(), "what is taken as a definition is JSON");
            definition.variable_references();
        }
    }
}

struct Numbers(u64);

impl jsonata::Chance for Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.0
    }
}

/// An expression of JSONata. What it gives is JSON.
pub fn jsonata(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(query) = jsonata::Query::parse(text) else { return };
    let (order, none) = (order(), Map::new());
    let random = RefCell::new(Numbers(1));
    let environment = jsonata::Environment {
        named: ("states", &order),
        variables: &[&none],
        now: jsonata::Timestamp(0),
        random: &random,
        meter: &meter::Meter::default(),
    };
    if let Ok(Some(value)) = query.eval(&environment) {
        assert!(serde_json::to_string(&value).is_ok(), "a value of JSONata is JSON");
    }
}

/// A path of JSONPath. One that can be written to gives back what was written.
pub fn jsonpath(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Some(steps) = text.strip_prefix('$') else { return };
    let Ok(path) = jsonpath::Path::parse(text, steps) else { return };
    let meter = meter::Meter::default();
    let read = path.read(&order(), &meter).is_ok();
    if path.is_reference()
        && let Some(written) = path.write(order(), json!("written"))
    {
        let found = path.read(&written, &meter);
        assert_eq!(found.ok(), Some(json!("written")), "{text} reads what it has written (it read before: {read})");
    }
}

/// An event pattern.
pub fn event_pattern(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Ok(pattern) = pattern::Pattern::parse(text) {
        let first = pattern.matches(&order());
        assert_eq!(first, pattern.matches(&order()), "a pattern matches the same event the same way");
    }
}

/// Who a request claims to have been signed by: in its header, and in its query.
pub fn signature(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let mut headers = http::HeaderMap::new();
    headers.insert("host", http::HeaderValue::from_static("example.com"));
    headers.insert("x-amz-date", http::HeaderValue::from_static("20150830T123600Z"));
    let plain = headers.clone();
    if let Ok(value) = http::HeaderValue::from_str(text) {
        headers.insert("authorization", value);
    }
    for (headers, query) in [(&headers, ""), (&plain, text)] {
        if let Ok(Some(claim)) = wire::sigv4::Claim::of(headers, query) {
            let signed = wire::sigv4::Signable { method: "GET", path: "/", query, headers, payload_hash: "" };
            let checked = claim.check(&signed, "a secret that no seed was signed with", jiff::Timestamp::UNIX_EPOCH);
            assert!(checked.is_err(), "{text} is signed by nobody");
        }
    }
}

fn body<O: Operation>(protocol: Protocol, headers: &http::HeaderMap, query: &str, body: &[u8]) {
    let spec = O::SPEC;
    let request = Request { method: spec.method, path: "/b", query, headers, body };
    if let Ok(value) = decode_input(spec, protocol, &request) {
        // What fits the shape can still be no value of its type: a blob that is not base64.
        if let Ok(input) = wire::reflect::from_value::<O::Input>(value) {
            let again = wire::reflect::into_value(input);
            assert!(wire::codec::validate::prepare(spec.input, again).is_ok(), "an input of {} is one", spec.name);
        }
    }
}

/// A body of the query protocol.
pub fn query_body(data: &[u8]) {
    let mut headers = http::HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static("application/x-www-form-urlencoded"));
    body::<api_sqs::SetQueueAttributes>(Protocol::Query, &headers, "", data);
    body::<api_sns::Publish>(Protocol::Query, &headers, "", data);
    body::<api_cloudformation::CreateStack>(Protocol::Query, &headers, "", data);
}

/// A body of the JSON protocols.
pub fn json_body(data: &[u8]) {
    body::<api_dynamodb::PutItem>(Protocol::AwsJson10, &http::HeaderMap::new(), "", data);
}

/// A body of rpc-v2-cbor.
pub fn cbor_body(data: &[u8]) {
    let spec = api_cloudwatch::PutMetricData::SPEC;
    if let Ok(value) = wire::codec::cbor::decode(spec, data) {
        let _ = wire::codec::validate::prepare(spec.input, value);
    }
}

/// A body of XML.
pub fn xml_body(data: &[u8]) {
    body::<api_s3::DeleteObjects>(Protocol::RestXml, &http::HeaderMap::new(), "delete", data);
    body::<api_s3::PutBucketLifecycleConfiguration>(Protocol::RestXml, &http::HeaderMap::new(), "lifecycle", data);
}

/// Text that Trino reads as a value.
pub fn trino_literal(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = trino_functions::parse::date(text);
    let _ = trino_functions::parse::time(text);
    let _ = trino_functions::parse::timestamp(text);
    let _ = trino_functions::parse::decimal(text);
    for (from, to) in [("day", Some("second")), ("year", Some("month")), ("hour", None)] {
        let _ = trino_functions::parse::interval(text, from, to, false);
    }
}

/// The name of a type, which reads as itself again.
pub fn trino_type(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    if let Some(read) = trino_functions::Type::parse(text) {
        let again = trino_functions::Type::parse(&read.to_string());
        assert_eq!(again.as_ref(), Some(&read), "{text} is written as {read}");
    }
}

/// A statement of Athena.
pub fn sql(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let _ = query::check(text);
}
