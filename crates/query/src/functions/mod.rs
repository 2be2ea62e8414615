//! Trino functions that DataFusion lacks or understands differently. Each is a plain function over arrays; one type
//! makes them known to DataFusion.

mod datetime;
mod decimal;
mod json;
mod text;

pub(crate) use decimal::DecimalDivision;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, UInt64Builder};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::types::trino_type;
use crate::value::write_value;

/// All functions of ours.
pub(crate) fn all() -> Vec<ScalarUDF> {
    let mut all = vec![
        Function::new("to_varchar", |_| Ok(DataType::Utf8), to_varchar).simplified(|args| match args {
            [(_, DataType::Utf8)] => Some(0),
            _ => None,
        }),
        Function::new("round_half_up", first, round_half_up).simplified(|args| match args {
            [(_, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..))] => None,
            _ => Some(0),
        }),
        Function::new("element_at", element_type, element_at),
        Function { fields: true, ..Function::new("typeof", |_| Ok(DataType::Utf8), |_, _| Err(error("typeof"))) },
    ];
    all.extend(datetime::functions());
    all.extend(json::functions());
    all.extend(text::functions());
    all.into_iter().map(ScalarUDF::from).collect()
}

type Invoke = fn(&[ArrayRef], usize) -> Result<ArrayRef>;
type Simplify = fn(&[(&Expr, DataType)]) -> Option<usize>;

/// A function over arrays, as DataFusion wants it.
#[derive(Debug)]
struct Function {
    name: &'static str,
    signature: Signature,
    returns: fn(&[DataType]) -> Result<DataType>,
    /// The result's type when it hangs on the arguments' values.
    returns_by_value: Option<fn(&ReturnFieldArgs<'_>) -> Result<DataType>>,
    invoke: Invoke,
    /// The argument that the whole call is equal to, if any.
    simplify: Option<Simplify>,
    /// Whether it answers with the type of its argument instead of a value.
    fields: bool,
}

impl Function {
    fn new(name: &'static str, returns: fn(&[DataType]) -> Result<DataType>, invoke: Invoke) -> Self {
        Self {
            name,
            signature: Signature::variadic_any(Volatility::Immutable),
            returns,
            returns_by_value: None,
            invoke,
            simplify: None,
            fields: false,
        }
    }

    fn simplified(mut self, simplify: Simplify) -> Self {
        self.simplify = Some(simplify);
        self
    }

    fn by_value(mut self, returns: fn(&ReturnFieldArgs<'_>) -> Result<DataType>) -> Self {
        self.returns_by_value = Some(returns);
        self
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        (self.returns)(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = if let Some(returns) = self.returns_by_value {
            returns(&args)?
        } else {
            let types: Vec<_> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
            (self.returns)(&types)?
        };
        let field = Field::new(self.name, ty, true);
        Ok(Arc::new(if matches!(self.name, "to_json" | "json_extract" | "json_parse" | "try_json_parse") {
            field.with_metadata([(crate::types::TRINO_TYPE.to_owned(), "json".to_owned())].into())
        } else {
            field
        }))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.fields {
            let ty = args.arg_fields.first().map(|field| trino_type(field)).unwrap_or_default();
            return Ok(ColumnarValue::Scalar(ty.into()));
        }
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let arrays = args.args.iter().map(|arg| arg.to_array(rows)).collect::<Result<Vec<_>>>()?;
        let result = (self.invoke)(&arrays, rows)?;
        let result = if result.data_type() == args.return_type() { result } else { cast(&result, args.return_type())? };
        if scalar {
            return Ok(ColumnarValue::Scalar(datafusion::common::ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(result))
    }

    fn simplify(&self, mut args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        if let Some(simplify) = self.simplify {
            let typed = args.iter().map(|arg| Ok((arg, info.get_data_type(arg)?))).collect::<Result<Vec<_>>>()?;
            if let Some(index) = simplify(&typed) {
                return Ok(ExprSimplifyResult::Simplified(args.swap_remove(index)));
            }
        }
        Ok(ExprSimplifyResult::Original(args))
    }
}

/// A failure of a function, in Trino's words.
fn error(text: impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Execution(format!("INVALID_FUNCTION_ARGUMENT: {text}"))
}

fn first(types: &[DataType]) -> Result<DataType> {
    types.first().cloned().ok_or_else(|| error("an argument is missing"))
}

fn argument(args: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    args.get(index).ok_or_else(|| error("an argument is missing"))
}

fn strings(args: &[ArrayRef], index: usize) -> Result<StringArray> {
    let array = cast(argument(args, index)?, &DataType::Utf8)?;
    Ok(array.as_string::<i32>().clone())
}

fn integers(args: &[ArrayRef], index: usize) -> Result<Int64Array> {
    let array = cast(argument(args, index)?, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().clone())
}

fn get(array: &StringArray, row: usize) -> Option<&str> {
    array.is_valid(row).then(|| array.value(row))
}

/// `CAST(x AS varchar[(n)])`
fn to_varchar(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let array = argument(args, 0)?;
    let length = match args.get(1) {
        Some(_) => integers(args, 1)?.iter().next().flatten(),
        None => None,
    };
    let mut text = String::new();
    let print = |row| {
        text.clear();
        if !write_value(array.as_ref(), row, &mut text) {
            return None;
        }
        if let Some((end, _)) = length.and_then(|n| text.char_indices().nth(usize::try_from(n).unwrap_or(0))) {
            text.truncate(end);
        }
        Some(text.clone())
    };
    Ok(Arc::new((0..rows).map(print).collect::<StringArray>()))
}

/// Casts to integers round, half away from zero.
fn round_half_up(args: &[ArrayRef], _: usize) -> Result<ArrayRef> {
    let array = argument(args, 0)?;
    Ok(match array.data_type() {
        DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round)),
        DataType::Float32 => {
            use datafusion::arrow::datatypes::Float32Type;
            Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::round))
        }
        DataType::Decimal128(precision, scale @ 1..) => {
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
            let round = |value: i128| (value + value.signum() * (unit / 2)) / unit * unit;
            let rounded = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(round);
            Arc::new(rounded.with_precision_and_scale(*precision, *scale)?)
        }
        _ => Arc::clone(array),
    })
}

fn element_type(types: &[DataType]) -> Result<DataType> {
    match types.first() {
        Some(DataType::List(item)) => Ok(item.data_type().clone()),
        Some(DataType::Map(entries, _)) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields[1].data_type().clone()),
            _ => Err(error("not a map")),
        },
        Some(DataType::Null) => Ok(DataType::Null),
        _ => Err(DataFusionError::Plan(
            "Unexpected parameters for function element_at, coerce failed. Expected: array(E), bigint or map(K, V), K"
                .to_owned(),
        )),
    }
}

/// `element_at(array, index)`, negative from the end; `element_at(map, key)`. Null where there is nothing.
fn element_at(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let container = argument(args, 0)?;
    let mut indices = UInt64Builder::with_capacity(rows);
    match container.data_type() {
        DataType::List(_) => {
            let list = container.as_list::<i32>();
            let wanted = integers(args, 1)?;
            for row in 0..rows {
                let length = i64::from(if list.is_valid(row) { list.value_length(row) } else { 0 });
                let index = wanted.is_valid(row).then(|| wanted.value(row)).and_then(|index| match index {
                    1.. if index <= length => Some(index - 1),
                    ..=-1 if -index <= length => Some(length + index),
                    _ => None,
                });
                let start = i64::from(list.value_offsets()[row]);
                indices.append_option(index.and_then(|index| u64::try_from(start + index).ok()));
            }
            Ok(take(list.values(), &indices.finish(), None)?)
        }
        DataType::Map(..) => {
            let map = container.as_map();
            let key = argument(args, 1)?;
            let (mut wanted, mut found) = (String::new(), String::new());
            for row in 0..rows {
                wanted.clear();
                let valid = map.is_valid(row) && write_value(key.as_ref(), row, &mut wanted);
                let range = map.value_offsets()[row]..if valid {
                    map.value_offsets()[row + 1]
                } else {
                    map.value_offsets()[row]
                };
                indices.append_option(range.filter_map(|at| u64::try_from(at).ok()).find(|at| {
                    found.clear();
                    usize::try_from(*at).is_ok_and(|at| write_value(map.keys().as_ref(), at, &mut found))
                        && found == wanted
                }));
            }
            Ok(take(map.values(), &indices.finish(), None)?)
        }
        other => Ok(datafusion::arrow::array::new_null_array(other, rows)),
    }
}
