//! Trino's errors, with the numbers that `AthenaError` carries.

use serde::Deserialize;

use crate::error::Error;

/// As the protocol tells it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Failure {
    #[serde(default)]
    message: String,
    error_name: String,
    error_type: String,
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let Failure { message, error_name, error_type } = failure;
        // A statement that Trino's grammar does not have: Athena gives no name, only the position.
        if error_name == "SYNTAX_ERROR" && message.contains("mismatched input") {
            return Self { category: 2, error_type: 1006, retryable: false, message };
        }
        let (category, number) = match error_type.as_str() {
            "INTERNAL_ERROR" => (1, 1),
            "EXTERNAL" => (2, external(&error_name)),
            "INSUFFICIENT_RESOURCES" => (2, if error_name.ends_with("TIME_LIMIT") { 1010 } else { 1009 }),
            _ => (2, user(&error_name)),
        };
        Self { category, error_type: number, retryable: false, message: format!("{error_name}: {message}") }
    }
}

/// A mistake of the statement's author. Source: Amazon Athena User Guide, "Athena error catalog".
fn user(name: &str) -> i32 {
    match name {
        "DIVISION_BY_ZERO" => 1201,
        "NUMERIC_VALUE_OUT_OF_RANGE" => 1202,
        "NOT_SUPPORTED" => 1301,
        "TABLE_NOT_FOUND" | "SCHEMA_NOT_FOUND" | "CATALOG_NOT_FOUND" => 1110,
        "PERMISSION_DENIED" => 1501,
        "INVALID_CAST_ARGUMENT" | "INVALID_FUNCTION_ARGUMENT" | "SUBQUERY_MULTIPLE_ROWS" => 1203,
        "GENERIC_USER_ERROR" => 1200,
        // The rest is found before anything runs.
        _ => 1006,
    }
}

fn external(name: &str) -> i32 {
    match name {
        "HIVE_BAD_DATA" => 1102,
        "HIVE_CANNOT_OPEN_SPLIT" => 1103,
        "HIVE_CURSOR_ERROR" => 1104,
        "HIVE_METASTORE_ERROR" => 1003,
        "HIVE_INVALID_METADATA" => 1004,
        _ => 1100,
    }
}
