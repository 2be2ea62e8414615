//! Filters on partition keys as the expression that `GetPartitions` takes, so that the catalog sends only what may be
//! read. What cannot be said there is left out: the filters are applied to what comes back as well.

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

/// Expressions are limited to 2,048 characters (Glue API, GetPartitions).
const LONGEST: usize = 2048;

pub(crate) fn expression(filters: &[Expr], keys: &[FieldRef]) -> Option<String> {
    let mut out = String::new();
    for text in filters.iter().filter_map(|filter| write(filter, keys)) {
        if out.len() + text.len() + 7 > LONGEST {
            continue;
        }
        if !out.is_empty() {
            out.push_str(" AND ");
        }
        out.push('(');
        out.push_str(&text);
        out.push(')');
    }
    (!out.is_empty()).then_some(out)
}

fn write(filter: &Expr, keys: &[FieldRef]) -> Option<String> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            // Of a conjunction one side is enough.
            Operator::And => match (write(left, keys), write(right, keys)) {
                (Some(a), Some(b)) => Some(format!("({a}) AND ({b})")),
                (a, b) => a.or(b),
            },
            Operator::Or => Some(format!("({}) OR ({})", write(left, keys)?, write(right, keys)?)),
            _ => {
                let (key, op, value) = match (left.as_ref(), right.as_ref()) {
                    (Expr::Column(c), Expr::Literal(value, _)) => (&c.name, *op, value),
                    (Expr::Literal(value, _), Expr::Column(c)) => (&c.name, op.swap()?, value),
                    _ => return None,
                };
                let sign = match op {
                    Operator::Eq => "=",
                    Operator::Lt => "<",
                    Operator::LtEq => "<=",
                    Operator::Gt => ">",
                    Operator::GtEq => ">=",
                    _ => return None,
                };
                let (key, value) = operands(key, value, keys)?;
                Some(format!("{key} {sign} {value}"))
            }
        },
        Expr::Between(Between { expr, negated: false, low, high }) => {
            let (Expr::Column(c), Expr::Literal(low, _), Expr::Literal(high, _)) =
                (expr.as_ref(), low.as_ref(), high.as_ref())
            else {
                return None;
            };
            let ((key, low), (_, high)) = (operands(&c.name, low, keys)?, operands(&c.name, high, keys)?);
            Some(format!("{key} BETWEEN {low} AND {high}"))
        }
        Expr::InList(InList { expr, list, negated: false }) => {
            let Expr::Column(c) = expr.as_ref() else { return None };
            let mut values = Vec::with_capacity(list.len());
            for item in list {
                let Expr::Literal(value, _) = item else { return None };
                values.push(operands(&c.name, value, keys)?.1);
            }
            Some(format!("{} IN ({})", c.name, values.join(", ")))
        }
        _ => None,
    }
}

/// The key and the value in the catalog's words, if they are of one kind.
fn operands<'a>(name: &'a str, value: &ScalarValue, keys: &[FieldRef]) -> Option<(&'a str, String)> {
    let key = keys.iter().find(|key| key.name() == name)?;
    // A name that would have to be quoted is not worth it.
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') || name.bytes().next()?.is_ascii_digit() {
        return None;
    }
    let text = match (key.data_type(), value) {
        // char(n) and varchar(n) compare by rules of their own.
        (DataType::Utf8, value) if key.metadata().is_empty() => {
            let text = value.try_as_str()??;
            format!("'{}'", text.replace('\'', "''"))
        }
        (ty, value) if ty.is_integer() && value.data_type().is_integer() && !value.is_null() => value.to_string(),
        _ => return None,
    };
    Some((name, text))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::{col, lit};

    use super::*;

    #[test]
    fn what_the_catalog_understands_is_said() {
        let keys: Vec<FieldRef> = vec![
            Arc::new(Field::new("y", DataType::Int32, true)),
            Arc::new(Field::new("d", DataType::Utf8, true)),
            Arc::new(Field::new("at", DataType::Date32, true)),
        ];
        let check = |filters: &[Expr], expected: Option<&str>| {
            assert_eq!(expression(filters, &keys).as_deref(), expected);
        };
        check(&[col("y").eq(lit(2024i32)), col("d").gt(lit("it's"))], Some("(y = 2024) AND (d > 'it''s')"));
        check(&[lit(3i32).lt(col("y"))], Some("(y > 3)"));
        check(&[col("d").in_list(vec![lit("a"), lit("b")], false)], Some("(d IN ('a', 'b'))"));
        check(&[col("y").between(lit(1i32), lit(2i32))], Some("(y BETWEEN 1 AND 2)"));
        check(&[col("y").eq(lit(1i32)).or(col("d").eq(lit("x")))], Some("((y = 1) OR (d = 'x'))"));
        check(&[col("y").eq(lit(1i32)).or(col("at").is_null())], None);
        check(&[col("at").gt(lit(ScalarValue::Date32(Some(1))))], None);
        check(&[], None);
    }
}
