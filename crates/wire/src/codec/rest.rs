//! restJson: members bound to path, query, headers and body.
//! Source: Smithy's "AWS restJson1 protocol".

use std::cmp::Reverse;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::{Request, json, response};
use crate::operation::OperationSpec;
use crate::schema::{Location, Member, Shape, Structure};
use crate::{Error, Timestamp};

/// The operation that method, path and query name, of those given: the one with the most literal segments wins, and of those the
/// one whose template names more of the query (Lambda's `/layers` and `/layers?find=LayerVersion`).
pub fn route<'a>(
    operations: impl Iterator<Item = &'a &'static OperationSpec>,
    (method, path, query): (&str, &str, &str),
) -> Option<&'static OperationSpec> {
    operations
        .filter(|spec| spec.method == method)
        .filter_map(|spec| Some((labels(spec.uri, path)?.len(), Reverse(literals(spec.uri, query)?), *spec)))
        .min_by_key(|(variables, literals, _)| (*variables, *literals))
        .map(|(.., spec)| spec)
}

/// How many parameters the template's own query has; `None` where the request's lacks one.
fn literals(template: &str, query: &str) -> Option<usize> {
    let wanted = template.split_once('?').map_or("", |(_, wanted)| wanted);
    let mut wanted = wanted.split('&').filter(|literal| !literal.is_empty());
    wanted.try_fold(0, |count, literal| {
        let found = query.split('&').any(|given| given.strip_suffix('=').unwrap_or(given) == literal);
        found.then_some(count + 1)
    })
}

/// The values of a template's `{Labels}`, decoded; `None` where the path has another form. `{Label+}` takes slashes too.
fn labels(template: &str, path: &str) -> Option<Vec<(String, String)>> {
    let template = template.split('?').next().unwrap_or(template);
    let mut found = Vec::new();
    let mut want = template.trim_matches('/').split('/');
    let mut have = path.trim_matches('/').split('/');
    loop {
        match (want.next(), have.next()) {
            (None, None) => return Some(found),
            (Some(w), Some(h)) => match w.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(label) => {
                    let (label, rest) = match label.strip_suffix('+') {
                        Some(label) => (label, have.by_ref().fold(h.to_owned(), |a, b| format!("{a}/{b}"))),
                        None => (label, h.to_owned()),
                    };
                    if rest.is_empty() {
                        return None;
                    }
                    found.push((label.to_owned(), percent_decode_str(&rest).decode_utf8().ok()?.into_owned()));
                }
                None if w == h => {}
                None => return None,
            },
            _ => return None,
        }
    }
}

pub fn decode(spec: &OperationSpec, request: &Request<'_>) -> Result<Value, Error> {
    let Some(shape) = spec.input.as_structure() else { return Ok(Value::Object(Map::new())) };
    let mut map = match payload(shape) {
        Some(member) => {
            let mut map = Map::new();
            if !request.body.is_empty() {
                let value = match member.shape {
                    Shape::Blob { .. } => Value::String(STANDARD.encode(request.body)),
                    Shape::String { .. } => Value::String(String::from_utf8_lossy(request.body).into_owned()),
                    _ => json::decode(request.body)?,
                };
                map.insert(member.name.to_owned(), value);
            }
            map
        }
        None => match json::decode(request.body)? {
            Value::Object(map) => rename_in(shape, map),
            _ => Map::new(),
        },
    };
    let labels = labels(spec.uri, request.path).unwrap_or_default();
    for member in shape.members {
        let name = wire(member);
        let text = match member.location {
            Location::Body | Location::StatusCode => continue,
            Location::Uri => labels.iter().find(|(label, _)| label == name).map(|(_, v)| v.clone()),
            Location::Header => request.headers.get(name).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned()),
            Location::Headers => {
                let prefixed = request.headers.iter().filter_map(|(k, v)| {
                    let key = k.as_str().strip_prefix(&name.to_ascii_lowercase())?;
                    Some((key.to_owned(), Value::String(String::from_utf8_lossy(v.as_bytes()).into_owned())))
                });
                let found: Map<String, Value> = prefixed.collect();
                if !found.is_empty() {
                    map.insert(member.name.to_owned(), Value::Object(found));
                }
                continue;
            }
            Location::Query => {
                let mut values: Vec<String> =
                    query_pairs(request.query).filter(|(k, _)| k == name).map(|(_, v)| v).collect();
                if let Shape::List(_) = member.shape {
                    if !values.is_empty() {
                        map.insert(member.name.to_owned(), values.into());
                    }
                    continue;
                }
                values.pop()
            }
        };
        if let Some(text) = text {
            map.insert(member.name.to_owned(), Value::String(text));
        }
    }
    Ok(Value::Object(map))
}

fn query_pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|p| !p.is_empty()).map(|pair| {
        let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |t: &str| percent_decode_str(&t.replace('+', " ")).decode_utf8_lossy().into_owned();
        (decode(k), decode(v))
    })
}

fn payload(shape: &Structure) -> Option<&'static Member> {
    shape.payload.and_then(|name| shape.member(name))
}

fn wire(member: &Member) -> &'static str {
    if member.wire.is_empty() { member.name } else { member.wire }
}

fn rename_in(shape: &Structure, map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter()
        .map(|(key, value)| match shape.members.iter().find(|m| wire(m) == key) {
            Some(m) => (m.name.to_owned(), value),
            None => (key, value),
        })
        .collect()
}

pub fn encode(spec: &OperationSpec, output: &Value, request_id: &str) -> http::Response<Bytes> {
    let (Some(shape), Value::Object(map)) = (spec.output.as_structure(), output) else {
        return response(spec.success_status, &[("x-amzn-requestid", request_id)], Bytes::new());
    };
    let mut status = spec.success_status;
    let mut headers: Vec<(String, String)> = vec![("x-amzn-requestid".into(), request_id.into())];
    let mut body = Map::new();
    let whole = payload(shape);
    let mut raw = None;
    for member in shape.members {
        let Some(value) = map.get(member.name).filter(|v| !v.is_null()) else { continue };
        match member.location {
            Location::StatusCode => status = value.as_u64().and_then(|n| u16::try_from(n).ok()).unwrap_or(status),
            Location::Header => headers.push((wire(member).to_owned(), text(member.shape, value))),
            Location::Headers => {
                for (k, v) in value.as_object().into_iter().flatten() {
                    headers.push((format!("{}{k}", wire(member)), v.as_str().unwrap_or_default().to_owned()));
                }
            }
            _ if whole.is_some_and(|w| w.name == member.name) => raw = Some((member, value)),
            _ => {
                body.insert(wire(member).to_owned(), value.clone());
            }
        }
    }
    let bytes: Bytes = match (whole, raw) {
        (Some(_), Some((Member { shape: Shape::Blob { .. }, .. }, Value::String(text)))) => {
            STANDARD.decode(text).unwrap_or_default().into()
        }
        (Some(_), Some((_, Value::String(text)))) => text.clone().into(),
        (Some(_), Some((_, value))) => value.to_string().into(),
        (Some(_), None) => Bytes::new(),
        (None, _) if status == 204 => Bytes::new(),
        (None, _) => Value::Object(body).to_string().into(),
    };
    // A body of bytes may say itself what it is.
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("content-type".into(), "application/json".into()));
    }
    let pairs: Vec<(&str, &str)> = headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
    response(status, &pairs, bytes)
}

fn text(shape: &Shape, value: &Value) -> String {
    match (shape, value) {
        (Shape::Timestamp { .. }, v) => {
            serde_json::from_value::<Timestamp>(v.clone()).map(Timestamp::to_iso).unwrap_or_default()
        }
        (_, Value::String(s)) => s.clone(),
        (_, other) => other.to_string(),
    }
}

pub fn encode_error(error: &Error, request_id: &str) -> http::Response<Bytes> {
    let headers =
        [("content-type", "application/json"), ("x-amzn-requestid", request_id), ("x-amzn-errortype", error.code())];
    response(error.status(), &headers, json::error_body(error).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_paths() {
        let one = |l: &str, v: &str| Some(vec![(l.to_owned(), v.to_owned())]);
        assert_eq!(labels("/2015/functions/{F}", "/2015/functions/a%20b"), one("F", "a b"));
        assert_eq!(labels("/2015/functions/", "/2015/functions"), Some(vec![]));
        assert_eq!(labels("/2015/functions/{F}", "/2015/functions/"), None);
        assert_eq!(labels("/tags/{Arn+}", "/tags/a/b"), one("Arn", "a/b"));
        assert_eq!(labels("/a/{B}/c", "/a/b/d"), None);
    }
}
