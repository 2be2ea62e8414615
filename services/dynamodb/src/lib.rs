//! DynamoDB: tables, items, indexes, transactions and expiry, on the `dynamodb` store file.

mod expr;
mod number;
mod value;

/// The text of a ValidationException.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) String);

impl Invalid {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// The message as it is told about an expression parameter.
    pub(crate) fn within(self, parameter: &str) -> Self {
        Self(format!("Invalid {parameter}: {}", self.0))
    }
}
