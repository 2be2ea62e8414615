//! The exchange of one request and its answer.

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Url};

use crate::{Door, Refused, told};

/// What is sent.
#[derive(Clone, PartialEq)]
pub struct Request {
    pub url: Url,
    pub method: String,
    /// In the order in which they are sent.
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// A response, read to its end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// `http` or `https`.
    pub protocol: &'static str,
    pub status: u16,
    pub reason: &'static str,
    /// Lower-case names, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The first header of this (lower-case) name.
    pub fn header(&self, wanted: &str) -> Option<&str> {
        self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
    }
}

/// The headers that whoever sends an event or a Task cannot set, `authorization` apart: they are the client's own. Sources: Step Functions
/// Developer Guide, "HTTP Task fields"; EventBridge User Guide, "Headers included in API destination requests".
const RESERVED: &[&str] = &[
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-encoding",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "warning",
];

/// Whether a header is the client's own to send.
pub fn is_reserved_header(name: &str) -> bool {
    RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name))
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Failed {
    /// The request is none that HTTP can send.
    Unsendable(String),
    /// No connection, or one that broke off.
    Socket(String),
    /// The endpoint did not answer in time.
    Timeout(String),
    /// The machine's certificates cannot be read.
    NoClient(String),
    /// The answer, of this status, is longer than is read.
    TooLong(u16),
}

impl Failed {
    /// What happened.
    pub fn cause(&self) -> &str {
        match self {
            Self::Unsendable(cause) | Self::Socket(cause) | Self::Timeout(cause) | Self::NoClient(cause) => cause,
            Self::TooLong(_) => "The answer is too long",
        }
    }
}

impl From<&reqwest::Error> for Failed {
    fn from(error: &reqwest::Error) -> Self {
        if error.is_timeout() { Self::Timeout(told(error)) } else { Self::Socket(told(error)) }
    }
}

impl Door {
    /// Sends, and reads the answer to its end, which is not behind so many bytes.
    ///
    /// # Errors
    /// Where no answer came; one that tells a failure is an answer.
    pub async fn exchange(&self, request: &Request, most: usize) -> Result<Received, Failed> {
        let mut response = self.send(request).await?;
        let status = response.status();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
        let headers = headers.collect();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| Failed::from(&error))? {
            if body.len() + piece.len() > most {
                return Err(Failed::TooLong(status.as_u16()));
            }
            body.extend_from_slice(&piece);
        }
        Ok(Received {
            protocol: if request.url.scheme() == "https" { "https" } else { "http" },
            status: status.as_u16(),
            reason: status.canonical_reason().unwrap_or_default(),
            headers,
            body,
        })
    }

    async fn send(&self, request: &Request) -> Result<reqwest::Response, Failed> {
        let method = Method::from_bytes(request.method.as_bytes());
        let method = method.map_err(|error| Failed::Unsendable(error.to_string()))?;
        let mut building = self.request(method, &request.url).map_err(|refused| match refused {
            Refused::Address(cause) => Failed::Socket(cause),
            Refused::NoClient(cause) => Failed::NoClient(cause),
        })?;
        for (name, value) in &request.headers {
            let invalid = || Failed::Unsendable(format!("The header '{name}' cannot be sent"));
            let value = HeaderValue::from_str(value).map_err(|_| invalid())?;
            building = building.header(HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid())?, value);
        }
        if let Some(body) = &request.body {
            building = building.body(body.clone());
        }
        building.send().await.map_err(|error| Failed::from(&error))
    }
}
