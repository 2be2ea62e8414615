//! What of a query's filters narrows what is read: equality of texts, beginnings of texts, and bounds of times. All filters are
//! applied to the rows once more, so what is not understood here costs time only.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

/// Conditions that hold for every row that the query wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// Sets: a value that is named twice has its rows once.
    equal: BTreeMap<String, BTreeSet<String>>,
    prefix: BTreeMap<String, String>,
    /// Milliseconds since 1970, both included.
    from: BTreeMap<String, i64>,
    to: BTreeMap<String, i64>,
}

impl Asked {
    pub(super) fn of<'a>(filters: impl IntoIterator<Item = &'a Expr>) -> Self {
        let mut asked = Self::default();
        for filter in filters {
            for part in split_conjunction(filter) {
                asked.add(part);
            }
        }
        asked
    }

    /// The values that a column may have, if they are told.
    pub(super) fn values(&self, column: &str) -> Option<&BTreeSet<String>> {
        self.equal.get(column)
    }

    /// The one value that a column has.
    pub(super) fn value(&self, column: &str) -> Option<&str> {
        let values = self.values(column).filter(|values| values.len() == 1)?;
        values.first().map(String::as_str)
    }

    /// How a column's values begin.
    pub(super) fn prefix(&self, column: &str) -> Option<&str> {
        self.value(column).or_else(|| self.prefix.get(column).map(String::as_str))
    }

    /// The moments between which a column's values are, in milliseconds.
    pub(super) fn between(&self, column: &str) -> (Option<i64>, Option<i64>) {
        (self.from.get(column).copied(), self.to.get(column).copied())
    }

    fn add(&mut self, condition: &Expr) {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => self.either(left, right),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let (column, op, value) = match (&**left, &**right) {
                    (Expr::Column(column), Expr::Literal(value, _)) => (column, *op, value),
                    (Expr::Literal(value, _), Expr::Column(column)) => match op.swap() {
                        Some(op) => (column, op, value),
                        None => return,
                    },
                    _ => return,
                };
                self.compare(&column.name, op, value);
            }
            Expr::InList(InList { expr, list, negated: false }) => {
                let Expr::Column(column) = &**expr else { return };
                let values: Option<BTreeSet<String>> = list.iter().map(literal).collect();
                if let Some(values) = values {
                    self.equal.entry(column.name.clone()).or_insert(values);
                }
            }
            Expr::Like(like) if !like.negated && !like.case_insensitive && like.escape_char.is_none() => {
                let (Expr::Column(column), Some(pattern)) = (&*like.expr, literal(&like.pattern)) else { return };
                // A backslash may make what follows it a character of its own.
                let end = pattern.find(['%', '_', '\\']).unwrap_or(pattern.len());
                self.prefix.entry(column.name.clone()).or_insert_with(|| pattern[..end].to_owned());
            }
            Expr::Between(between) if !between.negated => {
                let Expr::Column(column) = &*between.expr else { return };
                if let (Expr::Literal(low, _), Expr::Literal(high, _)) = (&*between.low, &*between.high) {
                    self.compare(&column.name, Operator::GtEq, low);
                    self.compare(&column.name, Operator::LtEq, high);
                }
            }
            _ => {}
        }
    }

    /// `a = 'x' OR a = 'y'`, which is what becomes of a short IN.
    fn either(&mut self, left: &Expr, right: &Expr) {
        let (mut one, mut other) = (Self::default(), Self::default());
        one.add(left);
        other.add(right);
        for (column, mut values) in one.equal {
            if let Some(more) = other.equal.remove(&column) {
                values.extend(more);
                self.equal.entry(column).or_insert(values);
            }
        }
    }

    fn compare(&mut self, column: &str, op: Operator, value: &ScalarValue) {
        if let (Operator::Eq, Some(Some(text))) = (op, value.try_as_str()) {
            self.equal.entry(column.to_owned()).or_insert_with(|| BTreeSet::from([text.to_owned()]));
        }
        let Some(time) = milliseconds(value) else { return };
        if matches!(op, Operator::Eq | Operator::Gt | Operator::GtEq) {
            let from = self.from.entry(column.to_owned()).or_insert(time.0);
            *from = time.0.max(*from);
        }
        if matches!(op, Operator::Eq | Operator::Lt | Operator::LtEq) {
            let to = self.to.entry(column.to_owned()).or_insert(time.1);
            *to = time.1.min(*to);
        }
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_owned),
        _ => None,
    }
}

/// The milliseconds around a moment.
fn milliseconds(value: &ScalarValue) -> Option<(i64, i64)> {
    let (time, unit) = match value {
        ScalarValue::TimestampMillisecond(Some(time), None) => (*time, 1),
        ScalarValue::TimestampMicrosecond(Some(time), None) => (*time, 1_000),
        ScalarValue::TimestampNanosecond(Some(time), None) => (*time, 1_000_000),
        _ => return None,
    };
    let before = time.div_euclid(unit);
    Some((before, if time.rem_euclid(unit) == 0 { before } else { before + 1 }))
}
