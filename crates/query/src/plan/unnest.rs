//! The function behind UNNEST: several arrays and maps become one array of rows, as long as the longest, the others
//! filled with nulls, each row numbered when asked for.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt64Builder};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// The columns that one argument gives; an array of rows gives one for each of their fields, a map two.
pub(super) fn columns_of(ty: &DataType) -> Option<Vec<(Option<String>, FieldRef)>> {
    match ty {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => match item.data_type() {
            DataType::Struct(fields) if !is_reserved(fields) => {
                Some(fields.iter().map(|field| (Some(field.name().clone()), Arc::clone(field))).collect())
            }
            _ => Some(vec![(None, Arc::clone(item))]),
        },
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => Some(fields.iter().map(|field| (None, Arc::clone(field))).collect()),
            _ => None,
        },
        _ => None,
    }
}

/// Structs that carry a value of another type, such as a timestamp with its zone, have reserved names.
fn is_reserved(fields: &Fields) -> bool {
    fields.iter().any(|field| field.name().starts_with(['$', '\u{0}']))
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Zip {
    signature: Signature,
    ordinality: bool,
}

impl Zip {
    pub(super) fn new(ordinality: bool) -> Self {
        Self { signature: Signature::variadic_any(Volatility::Immutable), ordinality }
    }

    fn fields(&self, arguments: &[FieldRef]) -> Result<Fields> {
        let mut fields = Vec::new();
        for argument in arguments {
            let columns = columns_of(argument.data_type())
                .ok_or_else(|| DataFusionError::Plan(format!("Cannot unnest type: {}", argument.data_type())))?;
            for (_, field) in columns {
                let name = format!("c{}", fields.len());
                fields.push(Arc::new(field.as_ref().clone().with_name(name).with_nullable(true)));
            }
        }
        if self.ordinality {
            fields.push(Arc::new(Field::new(format!("c{}", fields.len()), DataType::Int64, true)));
        }
        Ok(fields.into())
    }
}

impl Default for Zip {
    fn default() -> Self {
        Self::new(false)
    }
}

impl ScalarUDFImpl for Zip {
    fn name(&self) -> &str {
        if self.ordinality { "unnest_zip_with_ordinality" } else { "unnest_zip" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("the type hangs on the arguments' fields".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let item = Field::new("item", DataType::Struct(self.fields(args.arg_fields)?), true);
        Ok(Arc::new(Field::new(self.name(), DataType::List(Arc::new(item)), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let fields = self.fields(&args.arg_fields)?;
        let arrays = args.args.iter().map(|arg| parts(&arg.to_array(rows)?)).collect::<Result<Vec<_>>>()?;
        let lengths: Vec<usize> =
            (0..rows).map(|row| arrays.iter().map(|array| array.range(row).1).max().unwrap_or(0)).collect();
        let total: usize = lengths.iter().sum();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        for array in &arrays {
            for (column, hidden) in &array.columns {
                let mut indices = UInt64Builder::with_capacity(total);
                for (row, length) in lengths.iter().enumerate() {
                    let (start, own) = array.range(row);
                    for i in 0..*length {
                        let index = start + i;
                        let there = i < own && hidden.as_ref().is_none_or(|rows| rows.is_valid(index));
                        indices.append_option(there.then_some(index as u64));
                    }
                }
                columns.push(take(column, &indices.finish(), None)?);
            }
        }
        if self.ordinality {
            let numbers = lengths.iter().flat_map(|length| 1..=i64::try_from(*length).unwrap_or(i64::MAX));
            columns.push(Arc::new(Int64Array::from_iter_values(numbers)));
        }
        let items = StructArray::try_new_with_length(fields.clone(), columns, None, total)?;
        let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
        let list = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), Arc::new(items), None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

/// One argument: where each row's elements lie, and the columns they are in, with the array whose nulls hide them.
struct Parts {
    ranges: Vec<(usize, usize)>,
    columns: Vec<(ArrayRef, Option<ArrayRef>)>,
}

impl Parts {
    fn range(&self, row: usize) -> (usize, usize) {
        self.ranges.get(row).copied().unwrap_or_default()
    }
}

fn parts(array: &ArrayRef) -> Result<Parts> {
    let array = match array.data_type() {
        DataType::LargeList(item) | DataType::FixedSizeList(item, _) => cast(array, &DataType::List(Arc::clone(item)))?,
        _ => Arc::clone(array),
    };
    let ranges = |offsets: &[i32]| {
        let range = |row: usize, pair: &[i32]| {
            let start = usize::try_from(pair[0]).unwrap_or(0);
            let end = usize::try_from(pair[1]).unwrap_or(0);
            (start, if array.is_valid(row) { end - start } else { 0 })
        };
        offsets.windows(2).enumerate().map(|(row, pair)| range(row, pair)).collect()
    };
    match array.data_type() {
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let columns = match (item.data_type(), columns_of(array.data_type())) {
                (DataType::Struct(_), Some(columns)) if columns.iter().all(|(name, _)| name.is_some()) => {
                    let items = list.values().as_struct();
                    items.columns().iter().map(|column| (Arc::clone(column), Some(Arc::clone(list.values())))).collect()
                }
                _ => vec![(Arc::clone(list.values()), None)],
            };
            Ok(Parts { ranges: ranges(list.value_offsets()), columns })
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let columns = vec![(Arc::clone(map.keys()), None), (Arc::clone(map.values()), None)];
            Ok(Parts { ranges: ranges(map.value_offsets()), columns })
        }
        other => Err(DataFusionError::Plan(format!("Cannot unnest type: {other}"))),
    }
}
