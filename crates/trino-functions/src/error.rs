//! Failures as Trino names them.

/// A failure with Trino's error code name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Error {
    pub code: &'static str,
    pub text: String,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// A value that a function does not take.
    pub fn argument(text: impl Into<String>) -> Self {
        Self::new("INVALID_FUNCTION_ARGUMENT", text)
    }

    pub fn out_of_range(text: impl Into<String>) -> Self {
        Self::new("NUMERIC_VALUE_OUT_OF_RANGE", text)
    }

    pub fn division_by_zero() -> Self {
        Self::new("DIVISION_BY_ZERO", "Division by zero")
    }

    pub fn cast(text: impl Into<String>) -> Self {
        Self::new("INVALID_CAST_ARGUMENT", text)
    }

    pub fn type_mismatch(text: impl Into<String>) -> Self {
        Self::new("TYPE_MISMATCH", text)
    }

    pub fn not_supported(text: impl Into<String>) -> Self {
        Self::new("NOT_SUPPORTED", text)
    }

    /// What cannot happen if types were checked.
    pub fn internal(text: impl Into<String>) -> Self {
        Self::new("GENERIC_INTERNAL_ERROR", text)
    }

    /// Whether `TRY` and `TRY_CAST` turn it into a null.
    pub fn is_tried(&self) -> bool {
        matches!(
            self.code,
            "DIVISION_BY_ZERO" | "INVALID_CAST_ARGUMENT" | "INVALID_FUNCTION_ARGUMENT" | "NUMERIC_VALUE_OUT_OF_RANGE"
        )
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(error: arrow::error::ArrowError) -> Self {
        use arrow::error::ArrowError as A;
        match error {
            A::DivideByZero => Self::division_by_zero(),
            A::ArithmeticOverflow(text) => Self::out_of_range(text),
            other => Self::internal(other.to_string()),
        }
    }
}
