//! CloudWatch Logs Insights: queries over the events of log groups.
//!
//! Map: [`lex`] words · [`parse`] commands and expressions · [`value`] what a field holds, and how it is told · [`eval`] expressions ·
//! [`fields`] what is found in an event · [`run`] the commands, one after the other.
//! Sources: CloudWatch Logs User Guide, "CloudWatch Logs Insights language query syntax", "Supported logs and discovered fields",
//! "Operators and functions".

mod aggregate;
mod eval;
pub(crate) mod fields;
mod lex;
mod parse;
mod run;
mod value;

pub(crate) use parse::Query;
pub(crate) use run::{Found, Row, Running};

use serde_json::json;
use wire::Error;

/// What is wrong with a query, and between which letters.
#[derive(Debug)]
pub(crate) struct Malformed {
    message: String,
    from: usize,
    to: usize,
}

impl Malformed {
    fn new(message: impl Into<String>, (from, to): (usize, usize)) -> Self {
        Self { message: message.into(), from, to }
    }
}

impl From<Malformed> for Error {
    fn from(wrong: Malformed) -> Self {
        let location = json!({ "startCharOffset": wrong.from, "endCharOffset": wrong.to });
        let text = format!("{} (line 1, characters {} to {})", wrong.message, wrong.from, wrong.to);
        api_logs::error::malformed_query_exception(text)
            .with("queryCompileError", json!({ "location": location, "message": wrong.message }))
    }
}
