//! Cross-origin requests: what a bucket's rules allow, preflights, and the headers of actual answers. Source: S3 User Guide, "Using
//! cross-origin resource sharing (CORS)"; API reference, OPTIONS object and PutBucketCors.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use http::{Method, StatusCode};
use s3s::HttpResponse;
use s3s::dto::{CORSConfiguration, CORSRule};
use service::policy::glob;
use wire::Error;

use super::Target;
use crate::S3;
use crate::errors::{Result, invalid_request, malformed_xml};

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];

/// What is put.
pub(crate) fn check(config: &CORSConfiguration) -> Result<()> {
    if config.cors_rules.is_empty() || config.cors_rules.len() > 100 {
        return Err(malformed_xml());
    }
    for rule in &config.cors_rules {
        if rule.allowed_methods.is_empty() || rule.allowed_origins.is_empty() {
            return Err(malformed_xml());
        }
        for method in &rule.allowed_methods {
            if !METHODS.contains(&method.as_str()) {
                let text = format!("Found unsupported HTTP method in CORS config. Unsupported method is {method}");
                return Err(invalid_request(text));
            }
        }
        for origin in &rule.allowed_origins {
            if origin.matches('*').count() > 1 {
                let text = format!("AllowedOrigin \"{origin}\" can not have more than one wildcard.");
                return Err(invalid_request(text));
            }
        }
        for header in rule.allowed_headers.iter().flatten() {
            if header.matches('*').count() > 1 {
                let text = format!("AllowedHeader \"{header}\" can not have more than one wildcard.");
                return Err(invalid_request(text));
            }
        }
        for header in rule.expose_headers.iter().flatten() {
            if header.contains('*') {
                let text = format!(
                    "ExposeHeader \"{header}\" contains wildcard. We currently do not support wildcard for ExposeHeader."
                );
                return Err(invalid_request(text));
            }
        }
    }
    Ok(())
}

/// The first rule that allows a request, and the origin that allows it.
fn allowing<'a>(
    config: &'a CORSConfiguration,
    origin: &str,
    method: &str,
    headers: &[&str],
) -> Option<(&'a CORSRule, &'a str)> {
    config.cors_rules.iter().find_map(|rule| {
        let found = rule.allowed_origins.iter().find(|allowed| glob(allowed, origin, false))?;
        let method = rule.allowed_methods.iter().any(|m| m == method);
        let all = headers
            .iter()
            .all(|header| rule.allowed_headers.iter().flatten().any(|allowed| glob(allowed, header, true)));
        (method && all).then_some((rule, found.as_str()))
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|v| v.to_str().ok())
}

/// Writes what a rule allows.
fn allow(response: &mut HeaderMap, (rule, allowed): (&CORSRule, &str), origin: &HeaderValue) {
    // A rule for all origins says so; one that names some names the one that asked.
    if allowed == "*" {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    } else {
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    let mut put = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.insert(name, value);
        }
    };
    put(ACCESS_CONTROL_ALLOW_METHODS, rule.allowed_methods.join(", "));
    if let Some(expose) = rule.expose_headers.as_ref().filter(|e| !e.is_empty()) {
        put(ACCESS_CONTROL_EXPOSE_HEADERS, expose.join(", "));
    }
    if let Some(seconds) = rule.max_age_seconds {
        put(ACCESS_CONTROL_MAX_AGE, seconds.to_string());
    }
    response.insert(
        VARY,
        HeaderValue::from_static("Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
    );
}

impl S3 {
    /// OPTIONS: asked by browsers, unsigned, before the request itself.
    pub(super) async fn preflight(&self, target: Option<&Target>, headers: &HeaderMap) -> Result<HttpResponse> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Err(Error::new("BadRequest", 400, "Insufficient information. Origin request header needed."));
        };
        let method = text(headers, &ACCESS_CONTROL_REQUEST_METHOD);
        let Some(method) = method.filter(|m| METHODS.contains(m)) else {
            let text = format!("Invalid Access-Control-Request-Method: {}", method.unwrap_or("null"));
            return Err(Error::new("BadRequest", 400, text));
        };
        let forbidden = |why: &str| Err(Error::new("AccessForbidden", 403, format!("CORSResponse: {why}")));
        let Some(target) = target else { return forbidden("CORS is not enabled for this bucket.") };
        let bucket = self.governed(&target.bucket).await?;
        let Some(config) = &bucket.cors else { return forbidden("CORS is not enabled for this bucket.") };
        let asked = text(headers, &ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
        let names: Vec<&str> = asked.split(',').map(str::trim).filter(|h| !h.is_empty()).collect();
        let found = allowing(config, origin.to_str().unwrap_or_default(), method, &names);
        let Some(found) = found else {
            return forbidden(
                "This CORS request is not allowed. This is usually because the evalution of Origin, request method / \
                 Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
            );
        };
        let mut response = HttpResponse::default();
        *response.status_mut() = StatusCode::OK;
        allow(response.headers_mut(), found, origin);
        if !names.is_empty()
            && let Ok(value) = HeaderValue::from_str(&names.join(", "))
        {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_HEADERS, value);
        }
        Ok(response)
    }

    /// Adds to an answer what a browser needs to hand it over.
    pub(super) async fn allow_origin(
        &self,
        response: &mut HttpResponse,
        bucket: &str,
        origin: &HeaderValue,
        method: &Method,
    ) {
        let Ok(bucket) = self.governed(bucket).await else { return };
        let Some(config) = &bucket.cors else { return };
        if let Some(found) = allowing(config, origin.to_str().unwrap_or_default(), method.as_str(), &[]) {
            allow(response.headers_mut(), found, origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        let config: CORSConfiguration = serde_json::from_value(serde_json::json!({"cors_rules": [
            {"allowed_methods": ["GET"], "allowed_origins": ["*suffix"]},
            {"allowed_methods": ["PUT"], "allowed_origins": ["https://start*end"], "allowed_headers": ["x-amz-*"]},
        ]}))
        .unwrap();
        let cases: [(&str, &str, &[&str], bool); 6] = [
            ("foo.suffix", "GET", &[], true),
            ("foo.suffix.get", "GET", &[], false),
            ("foo.suffix", "PUT", &[], false),
            ("https://start1end", "PUT", &["X-Amz-Date"], true),
            ("https://start1end", "PUT", &["content-type"], false),
            ("foo.suffix", "GET", &["x-any"], false),
        ];
        for (origin, method, headers, expected) in cases {
            assert_eq!(allowing(&config, origin, method, headers).is_some(), expected, "{origin} {method} {headers:?}");
        }
    }
}
