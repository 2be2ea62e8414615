//! What is sent: the destination's endpoint, whose wildcards the target fills, with the target's parameters, over which the connection's go.
//! Sources: EventBridge User Guide, "API destinations as targets" ("Headers included in API destination requests"); API reference,
//! `HttpParameters`.

use std::collections::BTreeMap;

use egress::exchange::is_reserved_header;
use egress::{Additions, Request, form};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use wire::Error;

/// What no parameter sets, beside the client's own headers.
const OWN: [&str; 3] = ["content-length", "range", "user-agent"];

/// `HttpParameters` of a target, with the values of this event.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Http {
    path: Vec<String>,
    headers: BTreeMap<String, String>,
    query: BTreeMap<String, String>,
    /// A path into the event that leads to nothing: without its value something else would be called.
    missing: Option<String>,
}

impl Http {
    /// `value` finds what a parameter stands for in the event; it is nothing where it is a path that leads to nothing.
    pub(crate) fn new(
        path: Option<Vec<String>>,
        headers: Option<BTreeMap<String, String>>,
        query: Option<BTreeMap<String, String>>,
        value: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let mut missing = None;
        let mut of = |given: String| {
            value(&given).unwrap_or_else(|| {
                missing.get_or_insert(given);
                String::new()
            })
        };
        let path = path.into_iter().flatten().map(&mut of).collect();
        let mut all = |map: Option<BTreeMap<String, String>>| {
            map.into_iter().flatten().map(|(key, given)| (key, of(given))).collect::<BTreeMap<_, _>>()
        };
        let (headers, query) = (all(headers), all(query));
        Self { path, headers, query, missing }
    }
}

fn invalid(endpoint: &str) -> Error {
    Error::validation(format!(
        "Parameter InvocationEndpoint is not valid. Reason: {endpoint} is not the URL of an HTTP endpoint."
    ))
}

/// Fails for what is no URL.
pub(super) fn check(endpoint: &str) -> Result<(), Error> {
    let url = Url::parse(endpoint).map_err(|_| invalid(endpoint))?;
    let named = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('*'));
    if named && url.username().is_empty() && url.password().is_none() { Ok(()) } else { Err(invalid(endpoint)) }
}

/// The request, or why there is none.
pub(super) fn build(
    (method, endpoint): (&str, &str),
    http: &Http,
    with: &Additions,
    body: String,
) -> Result<Request, String> {
    if let Some(path) = &http.missing {
        return Err(format!("The event has nothing at {path}, which a parameter of the target names"));
    }
    let url = filled(endpoint, &http.path)?;
    let mut url = Url::parse(&url).map_err(|_| format!("{url} is not the URL of an HTTP endpoint"))?;
    let mut query: Vec<(String, String)> = http.query.clone().into_iter().collect();
    query.retain(|(key, _)| !with.query.iter().any(|(known, _)| known == key));
    query.extend_from_slice(&with.query);
    if !query.is_empty() {
        let before = url.query().filter(|query| !query.is_empty()).map(|query| format!("{query}&"));
        url.set_query(Some(&format!("{}{}", before.unwrap_or_default(), form::joined(&query))));
    }
    let mut headers: Vec<(String, String)> = http.headers.clone().into_iter().collect();
    for (name, value) in &with.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value.clone()));
    }
    headers.retain(|(name, _)| !is_reserved_header(name) && !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)));
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".to_owned(), "application/json; charset=utf-8".to_owned()));
    }
    headers.push(("User-Agent".to_owned(), "Amazon/EventBridge/ApiDestinations".to_owned()));
    headers.push(("Range".to_owned(), "bytes=0-1048575".to_owned()));
    Ok(Request { url, method: method.to_owned(), headers, body: Some(with_parameters(body, &with.body)?) })
}

/// Wildcards are filled in their order, escaped: a value is one part of the path.
fn filled(endpoint: &str, values: &[String]) -> Result<String, String> {
    let mut values = values.iter();
    let mut pieces = endpoint.split('*');
    let mut url = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let value = values.next().ok_or_else(|| format!("Not every wildcard of {endpoint} has a path parameter"))?;
        // What would climb out of the endpoint's path is no part of one.
        if matches!(value.as_str(), "" | "." | "..") {
            return Err(format!("'{value}' cannot be a path parameter of {endpoint}"));
        }
        url.push_str(&form::escaped(value));
        url.push_str(piece);
    }
    Ok(url)
}

/// The connection's body parameters become members of the body.
fn with_parameters(body: String, added: &[(String, String)]) -> Result<String, String> {
    if added.is_empty() {
        return Ok(body);
    }
    match serde_json::from_str(&body) {
        Ok(Value::Object(mut members)) => {
            members.extend(added.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))));
            Ok(Value::Object(members).to_string())
        }
        _ => Err("The connection has body parameters, and what is sent is no JSON object to add them to".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use egress::Additions;

    use super::{Http, build, check};

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn pairs(given: &[(&str, &str)]) -> Vec<(String, String)> {
        map(given).into_iter().collect()
    }

    fn http(path: &[&str], headers: &[(&str, &str)], query: &[(&str, &str)]) -> Http {
        let path = path.iter().map(|value| (*value).to_owned()).collect();
        let value = |given: &str| if given == "$.none" { None } else { Some(given.to_owned()) };
        Http::new(Some(path), Some(map(headers)), Some(map(query)), value)
    }

    #[test]
    fn the_connection_wins_and_wildcards_are_filled() {
        let http =
            http(&["a/b c", "2"], &[("X-One", "target"), ("x-two", "2"), ("Host", "evil")], &[("q", "t"), ("r", "&")]);
        let with = Additions {
            headers: pairs(&[("x-one", "connection"), ("Authorization", "Basic eA==")]),
            query: pairs(&[("q", "c")]),
            body: pairs(&[("extra", "1")]),
        };
        let made = build(("PUT", "https://h/*/v/*?z=1"), &http, &with, r#"{"a":1,"extra":0}"#.to_owned()).unwrap();
        assert_eq!(made.url.as_str(), "https://h/a%2Fb%20c/v/2?z=1&r=%26&q=c");
        assert_eq!((made.method.as_str(), made.body.as_deref()), ("PUT", Some(r#"{"a":1,"extra":"1"}"#)));
        let lines: Vec<String> = made.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            lines,
            [
                "x-two: 2",
                "Authorization: Basic eA==",
                "x-one: connection",
                "Content-Type: application/json; charset=utf-8",
                "User-Agent: Amazon/EventBridge/ApiDestinations",
                "Range: bytes=0-1048575",
            ]
        );
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        let none = Additions::default();
        let refused = |endpoint: &str, http: &Http, with: &Additions, body: &str| {
            build(("POST", endpoint), http, with, body.to_owned()).err().unwrap()
        };
        let no = Http::default();
        assert_eq!(refused("https://h/*", &no, &none, ""), "Not every wildcard of https://h/* has a path parameter");
        let climbing = http(&[".."], &[], &[]);
        assert_eq!(refused("https://h/*", &climbing, &none, ""), "'..' cannot be a path parameter of https://h/*");
        let missing = http(&[], &[("h", "$.none")], &[]);
        let told = refused("https://h/", &missing, &none, "");
        assert_eq!(told, "The event has nothing at $.none, which a parameter of the target names");
        let with = Additions { body: pairs(&[("a", "b")]), ..Additions::default() };
        assert!(refused("https://h/", &no, &with, "text").contains("no JSON object"));
        assert_eq!(build(("POST", "https://h"), &no, &none, "text".to_owned()).unwrap().body.as_deref(), Some("text"));
        for endpoint in ["h", "ftp://h", "https://", "https://u:p@h", "https://*.h/x"] {
            assert!(check(endpoint).is_err(), "{endpoint}");
        }
        check("https://h:8080/a/*/b?c=*").unwrap();
    }
}
