//! Division of decimals as Trino has it: the scale is the larger of the two, the last digit rounded half up.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use super::{Function, argument, error};

/// Plans `/` between decimals, or a decimal and an integer.
#[derive(Debug)]
pub(crate) struct DecimalDivision;

impl ExprPlanner for DecimalDivision {
    fn plan_binary_op(&self, expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op != BinaryOperator::Divide {
            return Ok(PlannerResult::Original(expr));
        }
        let (Ok(left), Ok(right)) = (expr.left.get_type(schema), expr.right.get_type(schema)) else {
            return Ok(PlannerResult::Original(expr));
        };
        let decimal = |ty: &DataType| matches!(ty, DataType::Decimal128(..));
        let exact = |ty: &DataType| decimal(ty) || ty.is_integer();
        if !(exact(&left) && exact(&right) && (decimal(&left) || decimal(&right))) {
            return Ok(PlannerResult::Original(expr));
        }
        let function = Arc::new(ScalarUDF::from(Function::new("decimal_divide", result_type, divide)));
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr.left, expr.right]))))
    }
}

/// Precision and scale of what counts as a decimal.
fn shape(ty: &DataType) -> Result<(u8, i8)> {
    Ok(match ty {
        DataType::Decimal128(p, s) => (*p, *s),
        DataType::Int8 | DataType::UInt8 => (3, 0),
        DataType::Int16 | DataType::UInt16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 | DataType::UInt64 => (19, 0),
        other => return Err(error(format_args!("{other} is no decimal"))),
    })
}

fn result_type(types: &[DataType]) -> Result<DataType> {
    let [left, right] = types else { return Err(error("division takes two arguments")) };
    let ((p1, s1), (_, s2)) = (shape(left)?, shape(right)?);
    let scale = s1.max(s2);
    let precision = i16::from(p1) + i16::from(s2) + i16::from((s2 - s1).max(0));
    Ok(DataType::Decimal128(u8::try_from(precision.clamp(1, 38)).unwrap_or(38), scale))
}

fn divide(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let (left, right) = (argument(args, 0)?, argument(args, 1)?);
    let DataType::Decimal128(precision, scale) = result_type(&[left.data_type().clone(), right.data_type().clone()])?
    else {
        return Err(error("division of decimals"));
    };
    let ((_, s1), (_, s2)) = (shape(left.data_type())?, shape(right.data_type())?);
    let (left, right) = (cast(left, &DataType::Decimal128(38, s1))?, cast(right, &DataType::Decimal128(38, s2))?);
    let (left, right) = (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    let shift = u32::try_from(scale + s2 - s1).unwrap_or(0);
    let overflow = || DataFusionError::Execution("NUMERIC_VALUE_OUT_OF_RANGE: Decimal overflow".to_owned());
    let mut values = Vec::with_capacity(rows);
    for row in 0..rows {
        if left.is_null(row) || right.is_null(row) {
            values.push(None);
            continue;
        }
        let divisor = right.value(row);
        if divisor == 0 {
            return Err(DataFusionError::Execution("DIVISION_BY_ZERO: Division by zero".to_owned()));
        }
        let dividend =
            10i128.checked_pow(shift).and_then(|factor| left.value(row).checked_mul(factor)).ok_or_else(overflow)?;
        let (quotient, rest) = (dividend / divisor, dividend % divisor);
        let up = rest.unsigned_abs() >= divisor.unsigned_abs().div_ceil(2);
        let sign = if (dividend < 0) == (divisor < 0) { 1 } else { -1 };
        values.push(Some(if up { quotient + sign } else { quotient }));
    }
    Ok(Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale)?))
}
