//! The query protocol (IAM, STS, SNS, CloudFormation, CloudWatch): form parameters in, XML out.
//! Source: Smithy's "AWS query protocol".

use std::collections::BTreeMap;

use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Request, response};
use crate::operation::OperationSpec;
use crate::schema::{Member, Shape};
use crate::{Error, Timestamp};

/// Form parameters as a tree along the dots of their names.
#[derive(Debug, Default)]
pub struct Params {
    text: Option<String>,
    children: BTreeMap<String, Params>,
}

/// Names nest no deeper than this; deeper ones are ignored. (The deepest of the services' models has about ten parts.)
const MAX_PARTS: usize = 20;
/// The parts of names that are different, all together: each is about a kilobyte of the tree.
const MAX_NODES: usize = 200_000;

/// The pairs of a request in its query and its body, as they are written.
fn pairs<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let body = std::str::from_utf8(request.body).unwrap_or_default();
    let pairs = request.query.split('&').chain(body.trim_end().split('&')).filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The operation that a request names, found without taking anything else apart.
pub fn action(request: &Request<'_>) -> Option<String> {
    let is_action = |name: &str| name == "Action" || (name.contains('%') && form_decode(name) == "Action");
    pairs(request).filter(|(name, _)| is_action(name)).last().map(|(_, value)| form_decode(value))
}

impl Params {
    /// # Errors
    /// Where there are more parameters than any request has.
    pub fn parse(request: &Request<'_>) -> Result<Self, Error> {
        let (mut root, mut nodes) = (Self::default(), 0_usize);
        for (name, value) in pairs(request) {
            let (name, value) = (form_decode(name), form_decode(value));
            let mut node = &mut root;
            if name.split('.').count() > MAX_PARTS {
                continue;
            }
            for part in name.split('.') {
                node = node.children.entry(part.to_owned()).or_insert_with(|| {
                    nodes += 1;
                    Self::default()
                });
            }
            node.text = Some(value);
            if nodes > MAX_NODES {
                return Err(Error::new("RequestEntityTooLargeException", 413, "The request has too many parameters"));
            }
        }
        Ok(root)
    }
    fn items(&self) -> Vec<&Self> {
        let mut numbered: Vec<(u64, &Self)> =
            self.children.iter().filter_map(|(k, v)| k.parse().ok().map(|n| (n, v))).collect();
        numbered.sort_by_key(|(n, _)| *n);
        numbered.into_iter().map(|(_, v)| v).collect()
    }
}

fn form_decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

pub fn decode(shape: &Shape, params: &Params) -> Result<Value, Error> {
    Ok(decode_value(shape, params).unwrap_or_else(|| Value::Object(Map::new())))
}

fn decode_value(shape: &Shape, node: &Params) -> Option<Value> {
    match shape {
        Shape::Structure(s) => {
            let mut map = Map::new();
            for member in s.members {
                let name = wire_name(member);
                if let Some(value) = node.children.get(name).and_then(|n| decode_value(member.shape, n)) {
                    map.insert(member.name.to_owned(), value);
                }
            }
            Some(Value::Object(map))
        }
        Shape::List(l) => {
            let list = if l.flattened { node } else { node.children.get(l.element).unwrap_or(node) };
            // `Name=` alone is an empty list.
            Some(list.items().into_iter().filter_map(|n| decode_value(l.member, n)).collect())
        }
        Shape::Map(m) => {
            let entries = if m.flattened { node } else { node.children.get("entry").unwrap_or(node) };
            let pairs = entries.items().into_iter().filter_map(|entry| {
                let key = entry.children.get(m.key_name)?.text.clone()?;
                let value = decode_value(m.value, entry.children.get(m.value_name)?)?;
                Some((key, value))
            });
            Some(Value::Object(pairs.collect()))
        }
        _ => node.text.clone().map(Value::String),
    }
}

fn wire_name(member: &Member) -> &'static str {
    if member.wire.is_empty() { member.name } else { member.wire }
}

pub fn encode(spec: &OperationSpec, output: &Value, request_id: &str) -> http::Response<Bytes> {
    let mut xml = Xml::default();
    xml.open_with(&format!("{}Response", spec.name), spec.service.xml_namespace);
    if spec.result_wrapper.is_empty() {
        xml.value(spec.output, output);
    } else {
        xml.open(spec.result_wrapper);
        xml.value(spec.output, output);
        xml.close(spec.result_wrapper);
    }
    xml.open("ResponseMetadata");
    xml.leaf("RequestId", request_id);
    xml.close("ResponseMetadata");
    xml.close(&format!("{}Response", spec.name));
    response(200, &[("content-type", "text/xml"), ("x-amzn-requestid", request_id)], xml.text)
}

pub fn encode_error(error: &Error, request_id: &str) -> http::Response<Bytes> {
    let mut xml = Xml::default();
    xml.open("ErrorResponse");
    xml.open("Error");
    xml.leaf("Type", if error.status() < 500 { "Sender" } else { "Receiver" });
    xml.leaf("Code", error.query_code().unwrap_or_else(|| error.code()));
    xml.leaf("Message", error.message());
    xml.close("Error");
    xml.leaf("RequestId", request_id);
    xml.close("ErrorResponse");
    response(error.status(), &[("content-type", "text/xml"), ("x-amzn-requestid", request_id)], xml.text)
}

/// S3's errors, for requests that are refused before the S3 service sees them.
pub fn encode_rest_xml_error(error: &Error, request_id: &str) -> http::Response<Bytes> {
    let mut xml = Xml { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned() };
    xml.open("Error");
    xml.leaf("Code", error.code());
    xml.leaf("Message", error.message());
    xml.leaf("RequestId", request_id);
    xml.close("Error");
    response(error.status(), &[("content-type", "application/xml"), ("x-amz-request-id", request_id)], xml.text)
}

#[derive(Default)]
struct Xml {
    text: String,
}

impl Xml {
    fn open(&mut self, name: &str) {
        self.text.push('<');
        self.text.push_str(name);
        self.text.push('>');
    }
    fn open_with(&mut self, name: &str, namespace: &str) {
        self.text.push('<');
        self.text.push_str(name);
        if !namespace.is_empty() {
            self.text.push_str(" xmlns=\"");
            self.text.push_str(namespace);
            self.text.push('"');
        }
        self.text.push('>');
    }
    fn close(&mut self, name: &str) {
        self.text.push_str("</");
        self.text.push_str(name);
        self.text.push('>');
    }
    fn leaf(&mut self, name: &str, text: &str) {
        self.open(name);
        self.escaped(text);
        self.close(name);
    }
    fn escaped(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '&' => self.text.push_str("&amp;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#13;"),
                // XML 1.0 has no form for the other control characters.
                c if c < ' ' && c != '\n' && c != '\t' => self.text.push('\u{FFFD}'),
                c => self.text.push(c),
            }
        }
    }

    fn value(&mut self, shape: &Shape, value: &Value) {
        match (shape, value) {
            (Shape::Structure(s), Value::Object(map)) => {
                for member in s.members {
                    if let Some(inner) = map.get(member.name).filter(|v| !v.is_null()) {
                        self.member(wire_name(member), member.shape, inner);
                    }
                }
            }
            (Shape::Timestamp { .. }, value) => {
                let iso = serde_json::from_value::<Timestamp>(value.clone()).map(Timestamp::to_iso);
                self.escaped(&iso.unwrap_or_default());
            }
            (_, Value::String(text)) => self.escaped(text),
            (_, other) => self.escaped(&other.to_string()),
        }
    }

    fn member(&mut self, name: &str, shape: &Shape, value: &Value) {
        match (shape, value) {
            (Shape::List(l), Value::Array(items)) => {
                if !l.flattened {
                    self.open(name);
                }
                for item in items {
                    self.member(if l.flattened { name } else { l.element }, l.member, item);
                }
                if !l.flattened {
                    self.close(name);
                }
            }
            (Shape::Map(m), Value::Object(map)) => {
                if !m.flattened {
                    self.open(name);
                }
                for (key, item) in map {
                    let entry = if m.flattened { name } else { "entry" };
                    self.open(entry);
                    self.leaf(m.key_name, key);
                    self.member(m.value_name, m.value, item);
                    self.close(entry);
                }
                if !m.flattened {
                    self.close(name);
                }
            }
            _ => {
                self.open(name);
                self.value(shape, value);
                self.close(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Request<'_> {
        static NONE: std::sync::LazyLock<http::HeaderMap> = std::sync::LazyLock::new(http::HeaderMap::new);
        Request { method: "POST", path: "/", query: "", headers: &NONE, body: body.as_bytes() }
    }

    #[test]
    fn a_form_of_many_names_is_refused() {
        let values = |count: usize| {
            (0..count).fold("Action=PutMetricData".to_owned(), |all, n| {
                all + &format!("&MetricData.member.1.Values.member.{n}=1")
            })
        };
        assert_eq!(action(&asked(&values(50_000))).as_deref(), Some("PutMetricData"));
        assert!(Params::parse(&asked(&values(50_000))).is_ok());
        let deep = ".b".repeat(15);
        let body = (0..20_000).fold("Action=PutMetricData".to_owned(), |all, n| all + &format!("&a{n}{deep}="));
        assert_eq!(Params::parse(&asked(&body)).unwrap_err().status(), 413);
    }
}
