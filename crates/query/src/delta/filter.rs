//! Filters in the kernel's words, so that it leaves out files by their partitions and statistics. What cannot be said there is left out:
//! the filters are applied to what comes back as well.

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};
use delta_kernel::expressions::{Expression, Predicate, PredicateRef, Scalar};
use std::sync::Arc;

/// What of these filters, which all hold, the kernel understands. `exposed` and `stored` are the same columns as queries and as the log
/// have them.
pub(super) fn predicate(filters: &[Expr], exposed: &Schema, stored: &Schema) -> Option<PredicateRef> {
    let known: Vec<Predicate> = filters.iter().filter_map(|filter| write(filter, exposed, stored)).collect();
    (!known.is_empty()).then(|| Arc::new(Predicate::and_from(known)))
}

fn write(filter: &Expr, exposed: &Schema, stored: &Schema) -> Option<Predicate> {
    let part = |filter: &Expr| write(filter, exposed, stored);
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => match (part(left), part(right)) {
            // Of a conjunction one side is enough.
            (Some(a), Some(b)) => Some(Predicate::and(a, b)),
            (a, b) => a.or(b),
        },
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Predicate::or(part(left)?, part(right)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (name, op, value) = match (left.as_ref(), right.as_ref()) {
                (Expr::Column(c), Expr::Literal(value, _)) => (&c.name, *op, value),
                (Expr::Literal(value, _), Expr::Column(c)) => (&c.name, op.swap()?, value),
                _ => return None,
            };
            compare(name, op, value, exposed, stored)
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let (Expr::Column(c), Expr::Literal(low, _), Expr::Literal(high, _)) =
                (expr.as_ref(), low.as_ref(), high.as_ref())
            else {
                return None;
            };
            let least = compare(&c.name, Operator::GtEq, low, exposed, stored)?;
            Some(Predicate::and(least, compare(&c.name, Operator::LtEq, high, exposed, stored)?))
        }
        Expr::InList(InList { expr, list, negated: false }) if list.len() <= 100 => {
            let Expr::Column(c) = expr.as_ref() else { return None };
            let of = |item: &Expr| match item {
                Expr::Literal(value, _) => compare(&c.name, Operator::Eq, value, exposed, stored),
                _ => None,
            };
            Some(Predicate::or_from(list.iter().map(of).collect::<Option<Vec<_>>>()?))
        }
        _ => None,
    }
}

fn compare(name: &str, op: Operator, value: &ScalarValue, exposed: &Schema, stored: &Schema) -> Option<Predicate> {
    let at = exposed.index_of(name).ok()?;
    let field = stored.field(at);
    // A comparison that converts its column is not the column's own.
    let value = match (field.data_type(), value) {
        (DataType::Utf8, ScalarValue::Utf8(Some(text))) => Scalar::from(text.clone()),
        (DataType::Int8, ScalarValue::Int8(Some(n))) => Scalar::from(*n),
        (DataType::Int16, ScalarValue::Int16(Some(n))) => Scalar::from(*n),
        (DataType::Int32, ScalarValue::Int32(Some(n))) => Scalar::from(*n),
        (DataType::Int64, ScalarValue::Int64(Some(n))) => Scalar::from(*n),
        (DataType::Boolean, ScalarValue::Boolean(Some(is))) => Scalar::from(*is),
        (DataType::Date32, ScalarValue::Date32(Some(days))) => Scalar::Date(*days),
        _ => return None,
    };
    // A name with dots is one name.
    let column = Expression::column([field.name().as_str()]);
    Some(match op {
        Operator::Eq => Predicate::eq(column, value),
        Operator::Lt => Predicate::lt(column, value),
        Operator::LtEq => Predicate::le(column, value),
        Operator::Gt => Predicate::gt(column, value),
        Operator::GtEq => Predicate::ge(column, value),
        _ => return None,
    })
}
