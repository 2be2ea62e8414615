//! Answers as they leave: errors with all members that S3 gives them, and no control characters in any XML.

use std::fmt::Write as _;

use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use s3s::HttpResponse;

/// A header that never leaves: members of an error, as hexadecimal JSON.
pub(super) const MEMBERS: &str = "x-lakerun-error-members";

/// A header that never leaves: the status of an answer that has another than s3s gives its operation.
pub(super) const STATUS: &str = "x-lakerun-status";

/// Marks an answer with a status of its own.
pub(super) fn with_status<T>(output: T, status: StatusCode) -> s3s::S3Response<T> {
    let mut response = s3s::S3Response::new(output);
    response.headers.insert(STATUS, HeaderValue::from(status.as_u16()));
    response
}

/// Gives it that status.
pub(super) fn set_status(response: &mut HttpResponse) {
    let told = response.headers_mut().remove(STATUS);
    let told = told.and_then(|told| StatusCode::from_bytes(told.as_bytes()).ok());
    if let Some(status) = told.filter(|_| response.status() == StatusCode::OK) {
        *response.status_mut() = status;
    }
}

/// Largest body that is looked through: lists of a thousand keys are within it.
const MAX_XML: usize = 16 << 20;

/// Completes an error, and mends XML.
pub(super) fn finish(response: &mut HttpResponse, path: &str, id: &str) {
    let members = response.headers_mut().remove(MEMBERS);
    if response.status() == StatusCode::NOT_MODIFIED {
        *response.body_mut() = s3s::Body::empty();
        response.headers_mut().remove(CONTENT_TYPE);
        return;
    }
    let failed = response.status().as_u16() >= 400;
    // An error with headers of its own comes without a type.
    let xml = failed || response.headers().get(CONTENT_TYPE).is_some_and(|v| v == "application/xml");
    if !xml {
        return;
    }
    let Some(bytes) = response.body().bytes().filter(|b| b.len() <= MAX_XML) else { return };
    if failed && let Ok(text) = std::str::from_utf8(&bytes) {
        let told = error(text, members.as_ref(), path, id);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = told.into_bytes().into();
        return;
    }
    if bytes.iter().any(|b| is_control(*b)) {
        response.headers_mut().remove(CONTENT_LENGTH);
        *response.body_mut() = references(&bytes).into();
    }
}

/// GetObjectAttributes alone tells an ETag without quotes. Source: AWS CLI reference, get-object-attributes, "Examples".
pub(super) fn bare_etag(response: &mut HttpResponse) {
    let Some(bytes) = response.body().bytes().filter(|_| response.status() == StatusCode::OK) else { return };
    let text = String::from_utf8_lossy(&bytes);
    let bare = text.replace("<ETag>\"", "<ETag>").replace("\"</ETag>", "</ETag>");
    response.headers_mut().remove(CONTENT_LENGTH);
    *response.body_mut() = bare.into_bytes().into();
}

/// What S3 says where s3s has words of its own: of signatures that cannot be read, and of numbers that are none.
/// Source: API reference, "Error responses", and AWS's answers as clients' issues quote them.
pub(super) fn in_own_words(response: &mut HttpResponse, authorization: Option<&HeaderValue>) {
    if response.status() != StatusCode::BAD_REQUEST {
        return;
    }
    let Some(bytes) = response.body().bytes() else { return };
    let text = String::from_utf8_lossy(&bytes);
    let says = |words: &str| text.contains(words);
    let (status, code, message, argument) = if says("<Message>invalid header: authorization</Message>") {
        let value = authorization.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let argument = Some(("Authorization", value.to_owned()));
        let (status, code, message) = match value.split(' ').next().unwrap_or_default() {
            "" => (StatusCode::FORBIDDEN, "AccessDenied", "Access Denied"),
            "AWS" => (
                StatusCode::BAD_REQUEST,
                "InvalidArgument",
                "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
            ),
            scheme if scheme.starts_with("AWS4-") => (
                StatusCode::BAD_REQUEST,
                "AuthorizationHeaderMalformed",
                "The authorization header is malformed; the authorization header requires three components: Credential, \
                 SignedHeaders, and Signature.",
            ),
            _ => (StatusCode::BAD_REQUEST, "InvalidArgument", "Unsupported Authorization Type"),
        };
        (status, code, message, argument.filter(|_| code == "InvalidArgument"))
    } else if says("header: x-amz-date") || says("<Message>missing date</Message>") {
        let message = "AWS authentication requires a valid Date or x-amz-date header";
        (StatusCode::FORBIDDEN, "AccessDenied", message, None)
    } else if let Some((name, value, message)) = no_integer(&text) {
        (StatusCode::BAD_REQUEST, "InvalidArgument", message, Some((name, value)))
    } else {
        return;
    };
    let told = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    *response.status_mut() = status;
    response.headers_mut().remove(CONTENT_LENGTH);
    if let Some((name, value)) = argument {
        let members = serde_json::json!({"ArgumentName": name, "ArgumentValue": value}).to_string();
        if let Ok(members) = HeaderValue::try_from(hex::encode(members)) {
            response.headers_mut().insert(MEMBERS, members);
        }
    }
    *response.body_mut() = told.into_bytes().into();
}

/// A query key that is to be an integer and is none, its value, and what S3 says of it.
fn no_integer(text: &str) -> Option<(&'static str, String, &'static str)> {
    const KEYS: [(&str, &str); 6] = [
        ("max-keys", "Provided max-keys not an integer or within integer range"),
        ("max-parts", "Provided max-parts not an integer or within integer range"),
        ("max-uploads", "Provided max-uploads not an integer or within integer range"),
        ("max-buckets", "Provided max-buckets not an integer or within integer range"),
        ("part-number-marker", "Provided part-number-marker not an integer or within integer range"),
        ("partNumber", "Part number must be an integer between 1 and 10000, inclusive"),
    ];
    let (_, said) = text.split_once("<Message>invalid query: ")?;
    let (name, value) = said.split('<').next()?.split_once(": ")?;
    KEYS.iter().find(|(key, _)| *key == name).map(|(key, message)| (*key, value.to_owned(), *message))
}

fn error(text: &str, members: Option<&HeaderValue>, path: &str, id: &str) -> String {
    let within = |name: &str| {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let (_, rest) = text.split_once(&open)?;
        rest.split_once(&close).map(|(value, _)| value.to_owned())
    };
    let code = within("Code").unwrap_or_else(|| "InternalError".to_owned());
    let message = within("Message").filter(|_| code != "RequestTimeTooSkewed");
    let message = message.unwrap_or_else(|| usual_message(&code).to_owned());
    let mut out =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>");
    let members = members
        .and_then(|v| hex::decode(v.as_bytes()).ok())
        .and_then(|json| serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(&json).ok());
    for (name, value) in members.into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let _ = write!(out, "<{name}>{}</{name}>", escaped(&value));
    }
    let _ =
        write!(out, "<Resource>{}</Resource><RequestId>{id}</RequestId><HostId>{id}</HostId></Error>", escaped(path));
    out
}

/// What S3 says of codes that s3s gives without a message.
fn usual_message(code: &str) -> &'static str {
    match code {
        "InvalidBucketName" => "The specified bucket is not valid.",
        "KeyTooLongError" => "Your key is too long",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check your key and signing method."
        }
        "InvalidURI" => "Couldn't parse the specified URI.",
        "IncompleteBody" => "You did not provide the number of bytes specified by the Content-Length HTTP header",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MalformedXML" => "The XML you provided was not well-formed or did not validate against our published schema",
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "RequestTimeTooSkewed" => "The difference between the request time and the current time is too large.",
        "MissingRequestBodyError" => "Request Body is empty",
        "AccessDenied" => "Access Denied",
        "InternalError" => "We encountered an internal error. Please try again.",
        "MalformedPOSTRequest" => "The body of your POST request is not well-formed multipart/form-data.",
        _ => "The request is not valid.",
    }
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => {
                let _ = write!(out, "&#x{:x};", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

fn is_control(byte: u8) -> bool {
    byte < 0x20 && byte != b'\n' && byte != b'\t'
}

/// S3 writes characters that XML 1.0 has no form for as references all the same; a parser that refuses them can ask for
/// `encoding-type=url`.
fn references(xml: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(xml.len() + 64);
    for byte in xml {
        if is_control(*byte) {
            out.extend_from_slice(format!("&#x{byte:x};").as_bytes());
        } else {
            out.push(*byte);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors() {
        let mut response = HttpResponse::default();
        *response.status_mut() = StatusCode::NOT_FOUND;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert(MEMBERS, HeaderValue::from_str(&hex::encode("{\"Key\":\"a<\\u0001\"}")).unwrap());
        *response.body_mut() = s3s::Body::from("<Error><Code>NoSuchKey</Code></Error>".to_owned());
        finish(&mut response, "/b/a%3C", "id");
        let text = String::from_utf8(response.body().bytes().unwrap().to_vec()).unwrap();
        assert!(text.contains("<Key>a&lt;&#x1;</Key><Resource>/b/a%3C</Resource><RequestId>id</RequestId>"), "{text}");
        assert!(response.headers().get(MEMBERS).is_none());
    }
}
