//! Failures of a statement in Athena's words: a name, a text, and the numbers that `AthenaError` carries.

use datafusion::common::{DataFusionError, SchemaError};
use serde::{Deserialize, Serialize};

/// What a statement failed with. `message` is the whole text, name and position included.
#[derive(Debug, Clone, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    /// `AthenaError.ErrorCategory`: 1 system, 2 user, 3 other.
    pub category: i32,
    /// `AthenaError.ErrorType`.
    pub error_type: i32,
    pub retryable: bool,
    pub message: String,
}

/// The usual return type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A mistake of the statement's author, e.g. `TABLE_NOT_FOUND`.
    pub fn user(error_type: i32, name: &str, text: impl std::fmt::Display) -> Self {
        Self { category: 2, error_type, retryable: false, message: format!("{name}: {text}") }
    }

    /// A statement that cannot be parsed: Athena gives no name, only the position.
    pub fn syntax(line: u64, column: u64, text: impl std::fmt::Display) -> Self {
        Self { category: 2, error_type: 1006, retryable: false, message: format!("line {line}:{column}: {text}") }
    }

    /// A statement that parses but has no meaning.
    pub fn semantic(text: impl std::fmt::Display) -> Self {
        Self::user(1006, "SYNTAX_ERROR", text)
    }

    pub fn not_supported(text: impl std::fmt::Display) -> Self {
        Self::user(1301, "NOT_SUPPORTED", text)
    }

    pub fn table_not_found(at: (u64, u64), table: impl std::fmt::Display) -> Self {
        Self::user(1110, "TABLE_NOT_FOUND", format_args!("line {}:{}: Table '{table}' does not exist", at.0, at.1))
    }

    /// What a Hive statement says of a missing table.
    pub fn ddl_table_not_found(name: &str) -> Self {
        Self {
            category: 2,
            error_type: 1110,
            retryable: false,
            message: format!("FAILED: SemanticException [Error 10001]: Table not found {name}"),
        }
    }

    /// A Hive statement that has no meaning, under Hive's number.
    pub fn hive(number: u32, text: impl std::fmt::Display) -> Self {
        Self {
            category: 2,
            error_type: 1006,
            retryable: false,
            message: format!("FAILED: SemanticException [Error {number}]: {text}"),
        }
    }

    /// What a Hive statement answers when the catalog refused it.
    pub fn ddl(text: impl std::fmt::Display) -> Self {
        Self {
            category: 2,
            error_type: 1004,
            retryable: false,
            message: format!(
                "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. {text}"
            ),
        }
    }

    /// A data file that cannot be opened at all.
    pub fn cannot_open(path: &str, text: impl std::fmt::Display) -> Self {
        Self::user(1103, "HIVE_CANNOT_OPEN_SPLIT", format_args!("Error opening Hive split {path}: {text}"))
    }

    /// A data file that broke while it was read.
    pub fn cursor(path: &str, text: impl std::fmt::Display) -> Self {
        Self::user(1104, "HIVE_CURSOR_ERROR", format_args!("Failed to read file: {path}: {text}"))
    }

    pub fn bad_data(text: impl std::fmt::Display) -> Self {
        Self::user(1102, "HIVE_BAD_DATA", text)
    }

    pub fn metastore(text: impl std::fmt::Display) -> Self {
        Self::user(1003, "HIVE_METASTORE_ERROR", text)
    }

    /// Something of ours, or of a service we need, is broken.
    pub fn internal(text: impl std::fmt::Display) -> Self {
        Self { category: 1, error_type: 1, retryable: false, message: format!("GENERIC_INTERNAL_ERROR: {text}") }
    }
}

impl From<Error> for DataFusionError {
    fn from(error: Error) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let text = error.to_string();
        match error {
            E::NotFound { path, .. } if text.contains("NoSuchBucket") => {
                Self::user(1109, "HIVE_METASTORE_ERROR", format_args!("The specified bucket does not exist: {path}"))
            }
            E::NotFound { path, .. } => Self::cannot_open(&path, "The specified key does not exist."),
            E::PermissionDenied { path, .. } | E::Unauthenticated { path, .. } => Self {
                category: 2,
                error_type: 1501,
                retryable: false,
                message: format!(
                    "Access denied when reading or writing S3 (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied): {path}"
                ),
            },
            _ => Self::internal(text),
        }
    }
}

impl From<trino_functions::Error> for Error {
    fn from(error: trino_functions::Error) -> Self {
        let number = match error.code {
            "DIVISION_BY_ZERO" => 1201,
            "NUMERIC_VALUE_OUT_OF_RANGE" => 1202,
            "TYPE_MISMATCH" | "FUNCTION_NOT_FOUND" | "SYNTAX_ERROR" | "COLUMN_NOT_FOUND" | "INVALID_LITERAL" => 1006,
            "NOT_SUPPORTED" => 1301,
            "GENERIC_INTERNAL_ERROR" => return Self::internal(error.text),
            _ => 1203,
        };
        Self::user(number, error.code, error.text)
    }
}

impl Error {
    /// The cause inside an error of DataFusion's.
    pub(crate) fn from_ref(error: &DataFusionError) -> Self {
        explain(error, None)
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        explain(&error, None)
    }
}

/// Finds the cause inside DataFusion's wrappers and words it as Athena does.
fn explain(error: &DataFusionError, at: Option<(u64, u64)>) -> Error {
    match error {
        DataFusionError::Diagnostic(note, inner) => {
            explain(inner, at.or_else(|| note.span.map(|span| (span.start.line, span.start.column))))
        }
        DataFusionError::Context(_, inner) => explain(inner, at),
        DataFusionError::Shared(inner) => explain(inner, at),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => explain(first, at),
            None => Error::internal(error),
        },
        DataFusionError::External(inner) => external(inner.as_ref()),
        DataFusionError::ObjectStore(inner) => external(inner.as_ref()),
        DataFusionError::SchemaError(inner, _) => schema(inner, at),
        DataFusionError::ParquetError(inner) => parquet(inner),
        DataFusionError::ArrowError(inner, _) => arrow(inner),
        DataFusionError::ResourcesExhausted(text) => {
            Error::user(1009, "EXCEEDED_LOCAL_MEMORY_LIMIT", format_args!("Query exceeded its memory limit: {text}"))
        }
        DataFusionError::Plan(text) => plan(text, at),
        DataFusionError::NotImplemented(text) if text.contains("logical expression WindowFunction") => {
            let text = "line 1:1: WHERE clause cannot contain aggregations, window functions or grouping operations";
            Error::user(1006, "EXPRESSION_NOT_SCALAR", text)
        }
        DataFusionError::NotImplemented(text) if text.contains("in sqltorel: Lambda(") => {
            Error::user(1006, "TYPE_MISMATCH", "line 1:8: Lambda expression should always be used inside a function")
        }
        DataFusionError::NotImplemented(text) if text.starts_with("Multiple recursive references") => {
            let text = "multiple recursive references in the step relation of recursion";
            Error::user(1006, "INVALID_RECURSIVE_REFERENCE", place(at.or(Some((1, 1))), text))
        }
        // What sqlparser reads and Trino's grammar has not: `… PIVOT (…)`.
        DataFusionError::NotImplemented(text) if text.starts_with("Unsupported ast node ") => {
            let node = text.trim_start_matches("Unsupported ast node ");
            let word: String = node.chars().take_while(char::is_ascii_alphanumeric).collect();
            Error::syntax(1, 1, format_args!("mismatched input '{}'", word.to_uppercase()))
        }
        DataFusionError::NotImplemented(text) => Error::not_supported(place(at, text)),
        DataFusionError::Execution(text) => execution(text),
        DataFusionError::SQL(inner, _) => Error::syntax(1, 1, inner),
        other => Error::internal(other.strip_backtrace()),
    }
}

fn external(inner: &(dyn std::error::Error + 'static)) -> Error {
    if let Some(ours) = inner.downcast_ref::<Error>() {
        return ours.clone();
    }
    if let Some(nested) = inner.downcast_ref::<DataFusionError>() {
        return explain(nested, None);
    }
    if let Some(nested) = inner.downcast_ref::<datafusion::arrow::error::ArrowError>() {
        return arrow(nested);
    }
    match inner.source() {
        Some(source) => external(source),
        None => Error::internal(inner),
    }
}

fn schema(error: &SchemaError, at: Option<(u64, u64)>) -> Error {
    match error {
        // Columns that share a name have others here, which tell of it.
        SchemaError::FieldNotFound { field, valid_fields }
            if valid_fields.iter().any(|known| crate::sql::shares(&known.name, &field.name)) =>
        {
            let text = format!("Column '{}' is ambiguous", field.flat_name());
            Error::user(1006, "AMBIGUOUS_NAME", place(at.or(Some((1, 8))), &text))
        }
        SchemaError::FieldNotFound { field, .. } => Error::user(
            1006,
            "COLUMN_NOT_FOUND",
            place(
                at.or(Some((1, 8))),
                &format!(
                    "Column '{}' cannot be resolved or requester is not authorized to access requested resources",
                    field.flat_name()
                ),
            ),
        ),
        SchemaError::AmbiguousReference { field } => Error::user(
            1006,
            "AMBIGUOUS_NAME",
            place(at.or(Some((1, 8))), &format!("Column '{}' is ambiguous", field.name())),
        ),
        // Two relations of one name, of which a column is asked.
        SchemaError::DuplicateQualifiedField { qualifier, name } => {
            let text = format!("Column '{qualifier}.{name}' is ambiguous");
            Error::user(1006, "AMBIGUOUS_NAME", place(at.or(Some((1, 8))), &text))
        }
        SchemaError::DuplicateUnqualifiedField { name } => Error::user(
            1006,
            "DUPLICATE_COLUMN_NAME",
            place(at, &format!("Column name '{name}' specified more than once")),
        ),
    }
}

fn parquet(error: &parquet::errors::ParquetError) -> Error {
    if let parquet::errors::ParquetError::External(inner) = error
        && let Some(ours) = inner.downcast_ref::<Error>()
    {
        return ours.clone();
    }
    Error::user(1104, "HIVE_CURSOR_ERROR", format_args!("Failed to read Parquet file: {error}"))
}

fn arrow(error: &datafusion::arrow::error::ArrowError) -> Error {
    use datafusion::arrow::error::ArrowError as A;
    match error {
        A::DivideByZero => Error::user(1201, "DIVISION_BY_ZERO", "Division by zero"),
        A::CastError(text) => cast(text),
        A::ArithmeticOverflow(text) => Error::user(1202, "NUMERIC_VALUE_OUT_OF_RANGE", text),
        A::ExternalError(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(nested) => explain(nested, None),
            None => external(inner.as_ref()),
        },
        A::ParquetError(text) => {
            Error::user(1104, "HIVE_CURSOR_ERROR", format_args!("Failed to read Parquet file: {text}"))
        }
        other => Error::internal(other),
    }
}

/// `Cannot cast string 'x' to value of Int64 type` → `Cannot cast 'x' to BIGINT`.
fn cast(text: &str) -> Error {
    let words = text
        .strip_prefix("Cannot cast string '")
        .and_then(|rest| rest.split_once("' to value of "))
        .and_then(|(value, rest)| Some((value, rest.strip_suffix(" type")?)));
    match words {
        Some((value, ty)) => {
            let ty = match ty {
                "Int8" => "TINYINT",
                "Int16" => "SMALLINT",
                "Int32" => "INT",
                "Int64" => "BIGINT",
                "Float32" => "REAL",
                "Float64" => "DOUBLE",
                "Date32" => "DATE",
                "Boolean" => "BOOLEAN",
                other => other,
            };
            Error::user(1203, "INVALID_CAST_ARGUMENT", format_args!("Cannot cast '{value}' to {ty}"))
        }
        None => Error::user(1203, "INVALID_CAST_ARGUMENT", text),
    }
}

fn execution(text: &str) -> Error {
    if text == "Scalar subquery returned more than one row" {
        return Error::user(1203, "SUBQUERY_MULTIPLE_ROWS", "Scalar sub-query has returned multiple rows");
    }
    // `a.b` where `a` is a column that is no row.
    if text.starts_with("Cannot access field at argument ") {
        return Error::user(1006, "TYPE_MISMATCH", "line 1:8: Expression is not of type ROW");
    }
    if text == "NTILE requires a positive integer" {
        return Error::user(1203, "INVALID_FUNCTION_ARGUMENT", "Buckets must be greater than 0");
    }
    // Functions of ours name the Trino error themselves.
    match text.split_once(": ") {
        Some((name, rest)) if !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') => {
            Error::user(1203, name, rest)
        }
        _ => Error::user(1200, "GENERIC_USER_ERROR", text),
    }
}

fn plan(text: &str, at: Option<(u64, u64)>) -> Error {
    let first = text.lines().next().unwrap_or(text);
    if let Some(rest) = first.strip_prefix("Invalid function '") {
        let name = rest.split('\'').next().unwrap_or(rest);
        return Error::user(
            1006,
            "FUNCTION_NOT_FOUND",
            place(at.or(Some((1, 8))), &format!("Function '{name}' not registered")),
        );
    }
    if first.contains("must appear in the GROUP BY clause") || first.contains("must be in the GROUP BY clause") {
        let name = first.split('"').nth(1).unwrap_or("expression");
        return Error::user(
            1006,
            "EXPRESSION_NOT_AGGREGATE",
            place(
                at.or(Some((1, 8))),
                &format!("'{name}' must be an aggregate expression or appear in GROUP BY clause"),
            ),
        );
    }
    if let Some(rest) = first.strip_prefix("lambda defined ") {
        let count = |at: usize| rest.split_whitespace().nth(at).unwrap_or_default();
        let text = format!("Expected a lambda that takes {} argument(s) but got {}", count(5), count(0));
        return Error::user(1006, "INVALID_PARAMETER_USAGE", place(at.or(Some((1, 8))), &text));
    }
    if let Some((code, text)) = known_plan(first) {
        return Error::user(1006, code, place(at.or(Some((1, 1))), &text));
    }
    if let Some((given, _)) = first
        .split_once("No function matches the given name and argument types '")
        .and_then(|(_, rest)| rest.split_once('\''))
    {
        let (name, parameters) = given.split_once('(').unwrap_or((given, ""));
        let text = format!("Unexpected parameters ({parameters} for function {name}");
        return Error::user(1006, "FUNCTION_NOT_FOUND", place(at.or(Some((1, 8))), &text));
    }
    if first.contains("type_coercion")
        || first.contains("coerce")
        || first.contains("No function matches")
        || first.contains("Cannot infer common argument type")
        || first.contains("non-boolean predicate")
    {
        return Error::user(1006, "TYPE_MISMATCH", place(at.or(Some((1, 8))), first));
    }
    Error::semantic(place(at.or(Some((1, 1))), first))
}

/// Mistakes in windows.
fn known_window(text: &str) -> Option<(&'static str, String)> {
    if let Some(rest) = text.strip_prefix("The window ") {
        let name = rest.split(' ').next().unwrap_or_default();
        return Some(("INVALID_WINDOW_REFERENCE", format!("Cannot resolve WINDOW name {name}")));
    }
    let (code, text) = if text.starts_with("Window function calls cannot be nested") {
        ("NESTED_WINDOW", "Cannot nest window functions or row pattern measures inside window function arguments")
    } else if text.starts_with("Aggregate function calls cannot contain window function calls") {
        ("NESTED_WINDOW", "Cannot nest window functions or row pattern measures inside aggregation")
    } else if text.starts_with("Invalid window frame: end bound cannot be UNBOUNDED PRECEDING") {
        ("INVALID_WINDOW_FRAME", "Window frame end cannot be UNBOUNDED PRECEDING")
    } else if text.starts_with("Invalid window frame: start bound") {
        ("INVALID_WINDOW_FRAME", "Window frame starting from FOLLOWING cannot end with PRECEDING")
    } else if text.starts_with("Invalid window frame: frame offsets") {
        ("INVALID_WINDOW_FRAME", "Window frame offset value must not be negative or null")
    } else {
        return None;
    };
    Some((code, text.to_owned()))
}

/// Mistakes that DataFusion finds too, under Trino's names and in its words.
fn known_plan(text: &str) -> Option<(&'static str, String)> {
    if let Some(found) = known_window(text) {
        return Some(found);
    }
    let quoted = |n: usize| text.split('\'').nth(n).unwrap_or_default().to_owned();
    Some(if text.starts_with("Aggregate function calls cannot be nested") {
        ("NESTED_AGGREGATION", format!("Cannot nest aggregations inside aggregation: [{}]", quoted(1)))
    } else if text.starts_with("Aggregate functions are not allowed in the WHERE clause") {
        let text = "WHERE clause cannot contain aggregations, window functions or grouping operations";
        ("EXPRESSION_NOT_SCALAR", text.to_owned())
    } else if text.contains("to grouping function is not in grouping columns") {
        let argument = text.split(" to grouping function").next().and_then(|text| text.rsplit(' ').next());
        let argument = argument.unwrap_or_default();
        let text = format!(
            "The arguments to GROUPING() must be expressions referenced by the GROUP BY at the associated query level. Mismatch due to {}.",
            argument.rsplit('.').next().unwrap_or(argument)
        );
        ("INVALID_ARGUMENTS", text)
    } else if text.starts_with("Too many columns! The subquery should only return one column") {
        ("TYPE_MISMATCH", "Value expression and result of subquery must be of the same type".to_owned())
    } else if text.starts_with("For SELECT DISTINCT, ORDER BY expressions") {
        let text = "For SELECT DISTINCT, ORDER BY expressions must appear in select list";
        ("EXPRESSION_NOT_IN_DISTINCT", text.to_owned())
    } else if text.contains("queries have different number of columns") {
        let operation = text.split(' ').next().unwrap_or("UNION");
        ("TYPE_MISMATCH", format!("{operation} query has different number of fields"))
    } else if let Some(rest) = text.strip_prefix("Source table contains ") {
        let count =
            |word: &str| rest.split(word).next().and_then(|t| t.rsplit(' ').next()).unwrap_or_default().to_owned();
        let (columns, names) = (count(" columns"), count(" names"));
        (
            "MISMATCHED_COLUMN_ALIASES",
            format!("Column alias list has {names} entries but relation has {columns} columns"),
        )
    } else if let Some(rest) = text.strip_prefix("Order by column out of bounds, specified: ") {
        let position = rest.split(',').next().unwrap_or_default();
        ("INVALID_COLUMN_REFERENCE", format!("ORDER BY position {position} is not in select list"))
    } else if text.starts_with("Order by index starts at 1") {
        ("INVALID_COLUMN_REFERENCE", "ORDER BY position 0 is not in select list".to_owned())
    } else if text.starts_with("Field ") && text.ends_with(" not found in struct") {
        let field = text.split(' ').nth(1).unwrap_or_default();
        ("INVALID_COLUMN_REFERENCE", format!("Column reference '{field}' is invalid"))
    } else if let Some(name) = text.strip_prefix("table '").and_then(|rest| rest.strip_suffix("' not found")) {
        ("TABLE_NOT_FOUND", format!("Table '{name}' does not exist"))
    } else if text.starts_with("Cannot project plan column ") {
        let text = "recursion step relation output type is not coercible to recursion base relation output type";
        ("TYPE_MISMATCH", text.to_owned())
    } else if let Some(rest) = text.strip_prefix("Cannot find column with position ") {
        let position = rest.split(' ').next().unwrap_or_default();
        ("INVALID_COLUMN_REFERENCE", format!("GROUP BY position {position} is not in select list"))
    } else if text.starts_with("Join condition must be boolean type") {
        ("TYPE_MISMATCH", "JOIN ON clause must evaluate to a boolean".to_owned())
    } else if text.starts_with("WITH query name ") {
        let name = text.split('"').nth(1).unwrap_or_default();
        ("DUPLICATE_NAMED_QUERY", format!("WITH query name '{name}' specified more than once"))
    } else if text.starts_with("SELECT * with no tables") {
        ("COLUMN_NOT_FOUND", "SELECT * not allowed in queries without FROM clause".to_owned())
    } else if let Some(name) = text.strip_prefix("Invalid qualifier ") {
        ("TABLE_NOT_FOUND", format!("Unable to resolve reference {name}"))
    } else {
        return None;
    })
}

fn place(at: Option<(u64, u64)>, text: &str) -> String {
    match at {
        Some((line, column)) => format!("line {line}:{column}: {text}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_cast_is_named_as_trino_names_it() {
        let error = cast("Cannot cast string 'x' to value of Int64 type");
        assert_eq!(error.message, "INVALID_CAST_ARGUMENT: Cannot cast 'x' to BIGINT");
    }
}
