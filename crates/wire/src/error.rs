//! One error type for every service: AWS's code, HTTP status and message. Services make them through the constructors
//! that are generated from their models; the few codes that every service has are here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// The caller's: 4xx.
    Client,
    /// Ours: 5xx.
    Server,
}

/// What a client sees of a failed operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Inner {
    code: String,
    status: u16,
    message: String,
    /// The code that the query protocol had, where it differs (SQS).
    query_code: Option<String>,
    /// Further members of the exception's shape.
    fields: Map<String, Value>,
}

impl Error {
    pub fn new(code: impl Into<String>, status: u16, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            code: code.into(),
            status,
            message: message.into(),
            query_code: None,
            fields: Map::new(),
        }))
    }

    /// A message for the log, an id for the client: the boundary replaces the text by the request id.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new("InternalFailure", 500, cause.to_string())
    }
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }
    pub fn access_denied(message: impl Into<String>) -> Self {
        Self::new("AccessDeniedException", 403, message)
    }
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Self::new("NotImplemented", 400, format!("{what} is not implemented"))
    }
    pub fn unknown_operation(service: &str, operation: &str) -> Self {
        Self::new("UnknownOperationException", 400, format!("Unknown operation {operation} of service {service}"))
    }
    pub fn throttling(message: impl Into<String>) -> Self {
        Self::new("ThrottlingException", 400, message)
    }
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", 400, message)
    }

    #[must_use]
    pub fn with_query_code(mut self, code: impl Into<String>) -> Self {
        self.0.query_code = Some(code.into());
        self
    }
    /// Adds a member of the exception's shape, e.g. `CancellationReasons`.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.0.fields.insert(member.to_owned(), value.into());
        self
    }

    pub fn code(&self) -> &str {
        &self.0.code
    }
    pub fn status(&self) -> u16 {
        self.0.status
    }
    pub fn message(&self) -> &str {
        &self.0.message
    }
    pub fn query_code(&self) -> Option<&str> {
        self.0.query_code.as_deref()
    }
    pub fn fields(&self) -> &Map<String, Value> {
        &self.0.fields
    }
    pub fn fault(&self) -> Fault {
        if self.0.status >= 500 { Fault::Server } else { Fault::Client }
    }
    pub fn is(&self, code: &str) -> bool {
        self.0.code == code
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.code, self.0.message)
    }
}

impl std::error::Error for Error {}
