//! DataFusion's aggregates over frames that begin with their partition, which go on from row to row.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature};

/// An aggregate whose window is never turned round: doubles that were added cannot be taken away again (`NaN`, infinities,
/// rounding). Its results have no order that is known: DataFusion puts the nulls before the first value at the end.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Running(pub(crate) AggregateUDF);

impl AggregateUDFImpl for Running {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.0.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.0.is_nullable()
    }

    fn default_value(&self, ty: &DataType) -> Result<ScalarValue> {
        self.0.default_value(ty)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let adds_doubles = *args.return_field.data_type() == DataType::Float64;
        let all = self.0.accumulator(args)?;
        Ok(if adds_doubles { Box::new(OneByOne(all)) } else { all })
    }
}

/// Takes rows in their order: the kernels add doubles in lanes, which rounds in another way.
#[derive(Debug)]
struct OneByOne(Box<dyn Accumulator>);

impl Accumulator for OneByOne {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for row in 0..values.first().map_or(0, Array::len) {
            let values: Vec<ArrayRef> = values.iter().map(|values| values.slice(row, 1)).collect();
            self.0.update_batch(&values)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states)
    }
}
