//! What is wrong with a definition, in AWS's words.

/// One finding, as ValidateStateMachineDefinition reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub severity: Severity,
    pub code: &'static str,
    pub message: String,
    /// A path into the definition, or the place in the text.
    pub location: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    Error,
    Warning,
}

impl Diagnostic {
    pub(crate) fn schema(message: impl Into<String>, location: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code: "SCHEMA_VALIDATION_FAILED",
            message: message.into(),
            location: Some(location.into()),
        }
    }

    /// A JSONata expression that cannot be parsed.
    pub(crate) fn invalid_query(message: impl Into<String>, location: impl Into<String>) -> Self {
        Self { code: "INVALID_JSONATA_EXPRESSION", ..Self::schema(message, location) }
    }

    /// A JSONata expression that reads what is not there.
    pub(crate) fn unsupported_query(message: impl Into<String>, location: impl Into<String>) -> Self {
        Self { code: "UNSUPPORTED_JSONATA_EXPRESSION", ..Self::schema(message, location) }
    }

    /// As CreateStateMachine puts it into one line.
    pub fn sentence(&self) -> String {
        match &self.location {
            Some(location) => format!("{}: {} at {location}", self.code, self.message),
            None => format!("{}: {} at null", self.code, self.message),
        }
    }
}
