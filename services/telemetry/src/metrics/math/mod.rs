//! Metric math: expressions over series, as GetMetricData and alarms have them. All pure.
//! Source: CloudWatch User Guide, "Using math expressions with CloudWatch metrics", "CloudWatch search expression syntax".
//!
//! Map: [`parse`] the language · [`eval`] its operators · [`functions`] its functions · [`search`] which metrics a search finds.
//! Not here: anomaly detection, Metrics Insights (`SELECT`), `STDDEV` (the guide does not say of which kind), functions over other
//! services; all of them are refused by name.

mod eval;
mod functions;
mod parse;
pub(super) mod search;

use std::collections::BTreeMap;

pub(super) use eval::{Grid, MOST_POINTS, World, evaluate};
pub(super) use parse::Expr;
pub(super) use search::Asked;

/// Values by the seconds at which their periods begin.
pub(super) type Points = BTreeMap<i64, f64>;

/// One series.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Series {
    pub(super) label: String,
    /// In seconds; none of what has no metric in it.
    pub(super) period: Option<i64>,
    pub(super) points: Points,
    /// It is a metric, not what an expression made of some.
    pub(super) is_metric: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(f64),
    Series(Series),
    Array(Vec<Series>),
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "Scalar",
            Self::Series(_) => "TimeSeries",
            Self::Array(_) => "Array[TimeSeries]",
        }
    }
}

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fault {
    Invalid(String),
    /// AWS has it, and it is not here.
    NotHere(String),
}

impl Fault {
    fn invalid(text: impl Into<String>) -> Self {
        Self::Invalid(text.into())
    }

    /// As the operations answer it.
    pub(super) fn of(self, id: &str) -> wire::Error {
        match self {
            Self::Invalid(text) => wire::Error::validation(format!("Error in expression '{id}': {text}")),
            Self::NotHere(what) => wire::Error::not_implemented(format!("metric math: {what}, in expression '{id}'")),
        }
    }
}

#[cfg(test)]
mod tests;
