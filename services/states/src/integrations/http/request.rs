//! What is sent: the state's parameters, over which the connection's go.

use egress::exchange::is_reserved_header;
use egress::form::{self, Lists};
use egress::{Additions, Request};
use reqwest::Url;
use serde_json::{Map, Value};

use super::super::failure::Failure;

const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];

/// The headers that a definition cannot set, beside the client's own. Source: Developer Guide, "HTTP Task fields".
const REFUSED_PREFIXES: &[&str] = &["x-forwarded-", "x-amz-", "x-amzn-"];

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json; charset=UTF-8";

fn wrong(what: impl Into<String>) -> Failure {
    Failure::named("States.Runtime", what)
}

const FIELDS: &[&str] = &[
    "ApiEndpoint",
    "Authentication",
    "Headers",
    "InvocationConfig",
    "Method",
    "QueryParameters",
    "RequestBody",
    "Transform",
];

/// What is wrong with the parameters as a definition writes them.
pub(in super::super) fn findings(given: &Map<String, Value>) -> Vec<String> {
    let names = || given.keys().map(|key| key.strip_suffix(".$").unwrap_or(key));
    let unknown = names().filter(|name| !FIELDS.contains(name));
    let mut found: Vec<_> =
        unknown.map(|name| format!("The field \"{name}\" is not supported by Step Functions")).collect();
    let missing = ["ApiEndpoint", "Method"].into_iter().filter(|field| !names().any(|name| name == *field));
    found.extend(missing.map(|field| format!("The field '{field}' is required but was missing")));
    found
}

/// The connection that the parameters name.
pub(super) fn connection_arn(parameters: &Value) -> Result<&str, Failure> {
    ["InvocationConfig", "Authentication"]
        .iter()
        .find_map(|field| parameters[*field]["ConnectionArn"].as_str())
        .ok_or_else(|| wrong("The field 'InvocationConfig' with a 'ConnectionArn' is required but was missing"))
}

pub(super) fn build(parameters: &Value, with: &Additions, region: &str) -> Result<Request, Failure> {
    let required = |field: &str| {
        parameters[field].as_str().ok_or_else(|| wrong(format!("The field '{field}' is required but was missing")))
    };
    let method = required("Method")?;
    if !METHODS.contains(&method) {
        return Err(wrong(format!("The value '{method}' of the field 'Method' is not one of {}", METHODS.join(", "))));
    }
    let url = url(required("ApiEndpoint")?, &parameters["QueryParameters"], &with.query)?;
    let mut headers = headers(&parameters["Headers"])?;
    for (name, value) in &with.headers {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.clone(), value.clone()));
    }
    let (body, kind) = body(parameters, &with.body)?;
    if body.is_some() && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type".to_owned(), kind.to_owned()));
    }
    for (name, value) in
        [("User-Agent", format!("Amazon|StepFunctions|HttpInvoke|{region}")), ("Range", "bytes=0-262144".to_owned())]
    {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value));
    }
    Ok(Request { url, method: method.to_owned(), headers, body })
}

/// The request as part of a trace; what the definition or the connection says of one stays.
pub(super) fn traced(mut request: Request, traceparent: Option<&str>) -> Request {
    let name = "traceparent";
    if let Some(value) = traceparent
        && !request.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    {
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    request
}

fn url(endpoint: &str, given: &Value, added: &[(String, String)]) -> Result<Url, Failure> {
    let invalid =
        || wrong(format!("The value '{endpoint}' of the field 'ApiEndpoint' is not the URL of an HTTP endpoint"));
    let mut url = Url::parse(endpoint).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(invalid());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("The field 'ApiEndpoint' must not hold credentials: a connection does"));
    }
    url.set_fragment(None);
    let mut pairs = match given {
        Value::Null => Vec::new(),
        Value::Object(_) => form::pairs(given, Lists::Repeat),
        Value::String(query) => {
            let mut url = url.clone();
            url.set_query(Some(query.trim_start_matches('?')));
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
        }
        _ => return Err(wrong("The field 'QueryParameters' must be an object or a text")),
    };
    pairs.retain(|(key, _)| !added.iter().any(|(known, _)| known == key));
    pairs.extend_from_slice(added);
    if !pairs.is_empty() {
        let before = url.query().filter(|query| !query.is_empty()).map(|query| format!("{query}&"));
        let query = format!("{}{}", before.unwrap_or_default(), form::joined(&pairs));
        url.set_query(Some(&query));
    }
    Ok(url)
}

fn headers(given: &Value) -> Result<Vec<(String, String)>, Failure> {
    let given = match given {
        Value::Null => return Ok(Vec::new()),
        Value::Object(given) => given,
        _ => return Err(wrong("The field 'Headers' must be an object")),
    };
    let mut headers = Vec::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        let refused = lower == "authorization" || is_reserved_header(&lower);
        if refused || REFUSED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) {
            return Err(wrong(format!("The header '{name}' cannot be set in an HTTP Task")));
        }
        match value {
            Value::Array(values) => headers.extend(values.iter().map(|value| (name.clone(), form::text(value)))),
            Value::Object(_) => return Err(wrong(format!("The header '{name}' must be a text or an array of texts"))),
            value => headers.push((name.clone(), form::text(value))),
        }
    }
    Ok(headers)
}

/// The body, and the type it has where no header says one.
fn body(parameters: &Value, added: &[(String, String)]) -> Result<(Option<String>, &'static str), Failure> {
    let given = match parameters.get("RequestBody") {
        None | Some(Value::Null) if added.is_empty() => return Ok((None, JSON)),
        None | Some(Value::Null) => Value::Object(Map::new()),
        Some(given) => given.clone(),
    };
    let given = match given {
        Value::Object(mut members) => {
            members.extend(added.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))));
            Value::Object(members)
        }
        other if added.is_empty() => other,
        _ => {
            return Err(wrong(
                "The field 'RequestBody' must be an object, because the connection has body parameters to add to it",
            ));
        }
    };
    let transform = &parameters["Transform"];
    match transform["RequestBodyEncoding"].as_str().unwrap_or("NONE") {
        "NONE" => Ok((Some(form::text(&given)), JSON)),
        "URL_ENCODED" => {
            let lists = transform["RequestEncodingOptions"]["ArrayFormat"].as_str().unwrap_or("INDICES");
            let lists = Lists::of(lists).ok_or_else(|| {
                wrong(format!(
                    "The value '{lists}' of the field 'ArrayFormat' is not one of INDICES, REPEAT, COMMAS, BRACKETS"
                ))
            })?;
            match &given {
                Value::Object(_) => Ok((Some(form::joined(&form::pairs(&given, lists))), FORM)),
                Value::String(text) => Ok((Some(text.clone()), FORM)),
                _ => Err(wrong("The field 'RequestBody' must be an object to be URL-encoded")),
            }
        }
        other => Err(wrong(format!(
            "The value '{other}' of the field 'RequestBodyEncoding' is not one of NONE, URL_ENCODED"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Additions, Request, build, connection_arn};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn written(request: &Request) -> Vec<String> {
        let mut lines = vec![format!("{} {}", request.method, request.url)];
        lines.extend(request.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.extend(request.body.clone());
        lines
    }

    fn refusal(parameters: &Value) -> String {
        let failure = build(parameters, &Additions::default(), "r").err().unwrap();
        assert_eq!(failure.error, "States.Runtime");
        failure.cause
    }

    /// The example of the Developer Guide, "Merging EventBridge connection and HTTP Task definition data".
    #[test]
    fn the_connection_wins() {
        let parameters = json!({
            "ApiEndpoint": "https://example.com/path", "Method": "POST",
            "Headers": {"Request-Id": "my_request_id", "Header-Param": "state_machine_header_param"},
            "RequestBody": {"Job": "Software Engineer", "Company": "AnyCompany", "BodyParam": "state_machine_body_param"},
            "QueryParameters": {"QueryParam": "state_machine_query_param"},
        });
        let with = Additions {
            headers: pairs(&[("ApiKey", "key_value"), ("header-param", "connection_header_param")]),
            query: pairs(&[("QueryParam", "connection_query_param")]),
            body: pairs(&[("BodyParam", "connection_body_param")]),
        };
        assert_eq!(
            written(&build(&parameters, &with, "us-east-2").unwrap()),
            [
                "POST https://example.com/path?QueryParam=connection_query_param",
                "Request-Id: my_request_id",
                "ApiKey: key_value",
                "header-param: connection_header_param",
                "Content-Type: application/json; charset=UTF-8",
                "User-Agent: Amazon|StepFunctions|HttpInvoke|us-east-2",
                "Range: bytes=0-262144",
                r#"{"Job":"Software Engineer","Company":"AnyCompany","BodyParam":"connection_body_param"}"#,
            ]
        );
    }

    #[test]
    fn a_form() {
        let parameters = json!({
            "ApiEndpoint": "http://h:1/v1/invoices?a=b", "Method": "POST",
            "Headers": {"content-type": "application/x-www-form-urlencoded", "x": ["1", 2]},
            "QueryParameters": {"l": ["x y", "z"]},
            "RequestBody": {"description": "Monthly subscription", "metadata": {"order_details": "m"}},
            "Transform": {"RequestBodyEncoding": "URL_ENCODED", "RequestEncodingOptions": {"ArrayFormat": "INDICES"}},
        });
        assert_eq!(
            written(&build(&parameters, &Additions::default(), "r").unwrap()),
            [
                "POST http://h:1/v1/invoices?a=b&l=x%20y&l=z",
                "content-type: application/x-www-form-urlencoded",
                "x: 1",
                "x: 2",
                "User-Agent: Amazon|StepFunctions|HttpInvoke|r",
                "Range: bytes=0-262144",
                "description=Monthly%20subscription&metadata%5Border_details%5D=m",
            ]
        );
    }

    #[test]
    fn what_cannot_be_sent_is_told() {
        assert_eq!(refusal(&json!({"ApiEndpoint": "https://h"})), "The field 'Method' is required but was missing");
        assert_eq!(refusal(&json!({"Method": "GET"})), "The field 'ApiEndpoint' is required but was missing");
        for endpoint in ["h", "ftp://h", "file:///etc/passwd", "https://"] {
            let cause = refusal(&json!({"Method": "GET", "ApiEndpoint": endpoint}));
            assert!(cause.ends_with("is not the URL of an HTTP endpoint"), "{cause}");
        }
        for name in ["Host", "authorization", "X-Amz-Date", "X-Forwarded-For", "Transfer-Encoding"] {
            let cause = refusal(&json!({"Method": "GET", "ApiEndpoint": "https://h", "Headers": {name: "x"}}));
            assert_eq!(cause, format!("The header '{name}' cannot be set in an HTTP Task"));
        }
        let text = json!({"Method": "POST", "ApiEndpoint": "https://h", "RequestBody": "<xml/>"});
        assert_eq!(build(&text, &Additions::default(), "r").unwrap().body.as_deref(), Some("<xml/>"));
        let with = Additions { body: pairs(&[("a", "b")]), ..Additions::default() };
        assert_eq!(build(&text, &with, "r").err().unwrap().error, "States.Runtime");
        assert!(connection_arn(&text).is_err());
        let two = json!({"InvocationConfig": {"ConnectionArn": "a"}, "Authentication": {"ConnectionArn": "b"}});
        assert_eq!(connection_arn(&two).unwrap(), "a");
    }
}
