//! AWS Signature Version 4: what a client signs and what the server checks, for headers and presigned URLs.
//! Source: IAM User Guide, "AWS Signature Version 4 for API requests". Hash and HMAC are RustCrypto's.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use crate::Error;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a request's clock may be off.
const MAX_SKEW_SECONDS: i64 = 15 * 60;
/// The longest life of a presigned URL: seven days.
const MAX_EXPIRES_SECONDS: i64 = 7 * 24 * 3600;
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a request claims about who signed it, before anything is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub access_key: String,
    /// `20130524`
    pub date: String,
    pub region: String,
    pub service: String,
    /// `host;x-amz-date`
    pub signed_headers: String,
    pub signature: String,
    /// `20130524T000000Z`
    pub time: String,
    /// Presigned URLs: seconds it lives.
    pub expires: Option<i64>,
    pub session_token: Option<String>,
}

/// The parts of a request that are signed.
#[derive(Debug, Clone, Copy)]
pub struct Signable<'a> {
    pub method: &'a str,
    /// As sent: percent-encoded.
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a http::HeaderMap,
    /// Hex SHA-256 of the body, or what `x-amz-content-sha256` says.
    pub payload_hash: &'a str,
}

/// What a secret comes to for a day, a region and a service.
#[derive(Clone)]
pub struct SigningKey([u8; 32]);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex_of(&Sha256::digest(bytes).into())
}

/// Not digit by digit, as `hex::encode` does: every request passes here.
fn hex_of(digest: &[u8; 32]) -> String {
    let mut hex = vec![0; 2 * digest.len()];
    hex::encode_to_slice(digest, &mut hex).expect("it is twice as long");
    String::from_utf8(hex).expect("hexadecimal digits are ASCII")
}

impl Claim {
    /// Reads the claim out of the `Authorization` header or the query of a presigned URL. `Ok(None)`: not signed at all.
    ///
    /// # Errors
    /// `IncompleteSignature` with what is missing.
    pub fn of(headers: &http::HeaderMap, query: &str) -> Result<Option<Self>, Error> {
        if let Some(value) = headers.get(http::header::AUTHORIZATION) {
            let text = value.to_str().map_err(|_| incomplete("Authorization header is not text"))?;
            return Self::of_header(text, headers).map(Some);
        }
        if query.contains("X-Amz-Algorithm=") {
            return Self::of_query(query).map(Some);
        }
        Ok(None)
    }

    fn of_header(text: &str, headers: &http::HeaderMap) -> Result<Self, Error> {
        let Some(rest) = text.strip_prefix(ALGORITHM) else {
            return Err(incomplete(&format!(
                "Unsupported AWS 'algorithm' in '{}'",
                text.split(' ').next().unwrap_or_default()
            )));
        };
        let field = |name: &str| {
            rest.split(',')
                .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
                .ok_or_else(|| incomplete(&format!("Authorization header requires '{name}' parameter")))
        };
        let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let time = header("x-amz-date").ok_or_else(|| {
            incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header")
        })?;
        Self::new(
            field("Credential")?,
            field("SignedHeaders")?,
            field("Signature")?,
            time,
            None,
            header("x-amz-security-token"),
        )
    }

    fn of_query(query: &str) -> Result<Self, Error> {
        let find = |name: &str| {
            pairs(query)
                .find(|(k, _)| k == name)
                .map(|(_, v)| v)
                .ok_or_else(|| incomplete(&format!("AWS query-string parameters must include '{name}'")))
        };
        if find("X-Amz-Algorithm")? != ALGORITHM {
            return Err(incomplete("Unsupported X-Amz-Algorithm"));
        }
        let expires = find("X-Amz-Expires")?.parse().ok().filter(|n| (0..=MAX_EXPIRES_SECONDS).contains(n));
        let expires = expires.ok_or_else(|| {
            Error::new("AuthorizationQueryParametersError", 400, "X-Amz-Expires must be between 0 and 604800 seconds")
        })?;
        let token = find("X-Amz-Security-Token").ok();
        Self::new(
            &find("X-Amz-Credential")?,
            &find("X-Amz-SignedHeaders")?,
            &find("X-Amz-Signature")?,
            find("X-Amz-Date")?,
            Some(expires),
            token,
        )
    }

    fn new(
        credential: &str,
        signed_headers: &str,
        signature: &str,
        time: String,
        expires: Option<i64>,
        session_token: Option<String>,
    ) -> Result<Self, Error> {
        let mut scope = credential.rsplitn(5, '/');
        let (Some("aws4_request"), Some(service), Some(region), Some(date), Some(access_key)) =
            (scope.next(), scope.next(), scope.next(), scope.next(), scope.next())
        else {
            return Err(incomplete(&format!(
                "Credential must have exactly 5 slash-delimited elements, got '{credential}'"
            )));
        };
        Ok(Self {
            access_key: access_key.into(),
            date: date.into(),
            region: region.into(),
            service: service.into(),
            signed_headers: signed_headers.into(),
            signature: signature.into(),
            time,
            expires,
            session_token,
        })
    }

    /// Checks signature and time against the secret.
    ///
    /// # Errors
    /// `SignatureDoesNotMatch`, `RequestTimeTooSkewed` or `AccessDenied` ("Request has expired").
    pub fn check(&self, request: &Signable<'_>, secret: &str, now: jiff::Timestamp) -> Result<(), Error> {
        self.check_with(request, &self.signing_key(secret), now)
    }

    /// The same, with the key that was derived from the secret.
    ///
    /// # Errors
    /// As [`Claim::check`].
    pub fn check_with(&self, request: &Signable<'_>, key: &SigningKey, now: jiff::Timestamp) -> Result<(), Error> {
        self.check_time(now)?;
        let mut claimed = [0; 32];
        let is_hex = !self.signature.bytes().any(|digit| digit.is_ascii_uppercase())
            && hex::decode_to_slice(&self.signature, &mut claimed).is_ok();
        // Compared in constant time.
        if is_hex && self.mac(request, key).verify_slice(&claimed).is_ok() {
            Ok(())
        } else {
            Err(Error::new(
                "SignatureDoesNotMatch",
                403,
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
            ))
        }
    }

    fn check_time(&self, now: jiff::Timestamp) -> Result<(), Error> {
        let signed = parse_time(&self.time)
            .ok_or_else(|| incomplete(&format!("Date must be in ISO-8601 'basic format'. Got '{}'", self.time)))?;
        if !self.time.starts_with(&self.date) {
            return Err(incomplete("Date in Credential scope does not match YYYYMMDD of the request's date"));
        }
        let age = now.as_second() - signed.as_second();
        match self.expires {
            Some(expires) if age > expires => Err(Error::new("AccessDenied", 403, "Request has expired")),
            Some(_) if age < -MAX_SKEW_SECONDS => Err(Error::new("AccessDenied", 403, "Request is not yet valid")),
            None if age.abs() > MAX_SKEW_SECONDS => Err(Error::new(
                "RequestTimeTooSkewed",
                403,
                format!(
                    "The difference between the request time and the current time is too large: signed {}",
                    self.time
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The signature that this claim should carry.
    pub fn sign(&self, request: &Signable<'_>, secret: &str) -> String {
        self.sign_with(request, &self.signing_key(secret))
    }

    fn sign_with(&self, request: &Signable<'_>, key: &SigningKey) -> String {
        hex_of(&self.mac(request, key).finalize().into_bytes().into())
    }

    /// Over what is to be signed.
    fn mac(&self, request: &Signable<'_>, key: &SigningKey) -> Hmac<Sha256> {
        let mut text = self.canonical(request);
        let digest = sha256_hex(text.as_bytes());
        text.clear();
        let Self { time, date, region, service, .. } = self;
        let _ = write!(text, "{ALGORITHM}\n{time}\n{date}/{region}/{service}/aws4_request\n{digest}");
        keyed(&key.0, &text)
    }

    /// The key of a secret for this claim's day, region and service.
    pub fn signing_key(&self, secret: &str) -> SigningKey {
        let mut key = hmac(format!("AWS4{secret}").as_bytes(), &self.date);
        for part in [&self.region, &self.service, "aws4_request"] {
            key = hmac(&key, part);
        }
        SigningKey(key)
    }

    fn canonical(&self, request: &Signable<'_>) -> String {
        let mut text = String::with_capacity(USUAL);
        let _ = writeln!(text, "{}", request.method);
        // S3 signs the path as sent; the others encode it once more.
        match request.path {
            "" | "/" => text.push('/'),
            path if self.service == "s3" => text.push_str(&normalise(path)),
            path => {
                for (at, segment) in path.split('/').enumerate() {
                    let _ =
                        write!(text, "{}{}", if at == 0 { "" } else { "/" }, utf8_percent_encode(segment, UNRESERVED));
                }
            }
        }
        let mut query: Vec<(String, String)> = pairs(request.query)
            .filter(|(k, _)| k != "X-Amz-Signature")
            .map(|(k, v)| (encode(&k), encode(&v)))
            .collect();
        query.sort();
        let query: Vec<String> = query.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        let _ = writeln!(text, "\n{}", query.join("&"));
        for name in self.signed_headers.split(';') {
            text.push_str(name);
            let mut values = request.headers.get_all(name).iter().enumerate().peekable();
            if values.peek().is_none() {
                text.push(':');
            }
            for (at, value) in values {
                text.push(if at == 0 { ':' } else { ',' });
                for (at, word) in String::from_utf8_lossy(value.as_bytes()).split_whitespace().enumerate() {
                    text.push_str(if at == 0 { "" } else { " " });
                    text.push_str(word);
                }
            }
            text.push('\n');
        }
        let _ = write!(text, "\n{}\n{}", self.signed_headers, request.payload_hash);
        text
    }
}

/// Room for most canonical requests.
const USUAL: usize = 1024;

/// Decodes and encodes again, so that a client's own choice of what to encode does not matter.
fn normalise(path: &str) -> String {
    path.split('/').map(|s| encode(&percent_decode_str(s).decode_utf8_lossy())).collect::<Vec<_>>().join("/")
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> {
    query.split('&').filter(|p| !p.is_empty()).map(|pair| {
        let (k, v) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |t: &str| percent_decode_str(t).decode_utf8_lossy().into_owned();
        (decode(k), decode(v))
    })
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    keyed(key, text).finalize().into_bytes().into()
}

fn keyed(key: &[u8], text: &str) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac
}

/// `20130524T000000Z`.
pub fn format_time(t: jiff::Timestamp) -> String {
    t.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn parse_time(text: &str) -> Option<jiff::Timestamp> {
    let digits = text.strip_suffix('Z').filter(|text| text.len() == 15 && text.as_bytes()[8] == b'T')?;
    let number = |range: std::ops::Range<usize>| -> Option<i8> {
        let part = digits.get(range)?;
        if part.bytes().all(|byte| byte.is_ascii_digit()) { part.parse().ok() } else { None }
    };
    let year = i16::from(number(0..2)?) * 100 + i16::from(number(2..4)?);
    let (month, day) = (number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let civil = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
}

fn incomplete(message: &str) -> Error {
    Error::new("IncompleteSignature", 400, message)
}

/// Keys to sign with.
#[derive(Clone, Debug)]
pub struct SigningKeys<'a> {
    pub access_key: &'a str,
    pub secret_key: &'a str,
    pub session_token: Option<&'a str>,
}

/// Signs a request of our own: adds `x-amz-date`, `x-amz-content-sha256`, `x-amz-security-token` and `authorization` to
/// `headers`, which must hold `host` already.
pub fn sign_request(
    (method, path, query): (&str, &str, &str),
    headers: &mut http::HeaderMap,
    body: &[u8],
    (region, service): (&str, &str),
    keys: &SigningKeys<'_>,
    now: jiff::Timestamp,
) {
    let time = format_time(now);
    let hash = sha256_hex(body);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = http::HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set("x-amz-date", &time);
    set("x-amz-content-sha256", &hash);
    if let Some(token) = keys.session_token {
        set("x-amz-security-token", token);
    }
    let mut signed: Vec<String> = headers
        .keys()
        .map(|k| k.as_str().to_owned())
        .filter(|k| k == "host" || k == "content-type" || k.starts_with("x-amz-"))
        .collect();
    signed.sort();
    let claim = Claim {
        access_key: keys.access_key.into(),
        date: time[..8].into(),
        region: region.into(),
        service: service.into(),
        signed_headers: signed.join(";"),
        signature: String::new(),
        time,
        expires: None,
        session_token: None,
    };
    let signature = claim.sign(&Signable { method, path, query, headers, payload_hash: &hash }, keys.secret_key);
    let value = format!(
        "{ALGORITHM} Credential={}/{}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={signature}",
        keys.access_key, claim.date, claim.signed_headers
    );
    if let Ok(value) = http::HeaderValue::from_str(&value) {
        headers.insert(http::header::AUTHORIZATION, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_tampering() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let keys = SigningKeys { access_key: "AK", secret_key: "secret", session_token: None };
        let mut headers = http::HeaderMap::new();
        headers.insert("host", "127.0.0.1:4566".parse().unwrap());
        sign_request(("POST", "/a%20b", "x=1&a=%2F"), &mut headers, b"body", ("eu-west-1", "sqs"), &keys, now);
        let claim = Claim::of(&headers, "").unwrap().unwrap();
        let hash = sha256_hex(b"body");
        let signable =
            Signable { method: "POST", path: "/a%20b", query: "a=%2F&x=1", headers: &headers, payload_hash: &hash };
        claim.check(&signable, "secret", now).unwrap();
        assert_eq!(claim.check(&signable, "other", now).unwrap_err().code(), "SignatureDoesNotMatch");
        let tampered = Signable { query: "a=%2F&x=2", ..signable };
        assert_eq!(claim.check(&tampered, "secret", now).unwrap_err().code(), "SignatureDoesNotMatch");
        let late = now + jiff::SignedDuration::from_mins(20);
        assert_eq!(claim.check(&signable, "secret", late).unwrap_err().code(), "RequestTimeTooSkewed");
    }

    /// The example of the S3 API reference, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn presigned_example() {
        let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        let mut headers = http::HeaderMap::new();
        headers.insert("host", "examplebucket.s3.amazonaws.com".parse().unwrap());
        let claim = Claim::of(&headers, query).unwrap().unwrap();
        let signable =
            Signable { method: "GET", path: "/test.txt", query, headers: &headers, payload_hash: "UNSIGNED-PAYLOAD" };
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        claim.check(&signable, secret, "2013-05-24T10:00:00Z".parse().unwrap()).unwrap();
        let late = claim.check(&signable, secret, "2013-05-26T10:00:00Z".parse().unwrap()).unwrap_err();
        assert_eq!(late.message(), "Request has expired");
    }

    #[test]
    fn times_are_of_one_form() {
        let now: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(parse_time(&format_time(now)), Some(now));
        for other in
            ["", "20260102T030405", "20260102 030405Z", "20261302T030405Z", "2026010\u{e9}T30405Z", "+1260102T030405Z"]
        {
            assert_eq!(parse_time(other), None, "{other}");
        }
    }
}
