//! Aggregates that keep the rows of each group until the end. Those that need not are DataFusion's own, see
//! [`crate::analyze`].

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::mem::size_of_val;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, TypeSignature, Volatility};
use trino_functions::aggregate::{Aggregate, resolve};
use trino_functions::call::cast_array;
use trino_functions::value::{build, order, read_all};
use trino_functions::{Type, Value};

use super::{failed, field_of, scalar_of};

/// An aggregate by its name, and the order of its rows if one is asked for: `array_agg$dl` sorts by its last argument,
/// descending, nulls last; `array_agg$u$al` takes equal rows once.
#[derive(Debug)]
pub(crate) struct TrinoAggregate {
    name: String,
    base: String,
    order: Vec<Order>,
    distinct: bool,
    signature: Signature,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    descending: bool,
    nulls_first: bool,
}

impl TrinoAggregate {
    pub(crate) fn new(name: &str) -> Self {
        let mut parts = name.split('$').peekable();
        let base = parts.next().unwrap_or(name).to_owned();
        let distinct = parts.next_if_eq(&"u").is_some();
        let order = parts.map(|p| Order { descending: p.starts_with('d'), nulls_first: p.ends_with('f') }).collect();
        let any = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        let signature = Signature::one_of(any, Volatility::Immutable);
        Self { name: name.to_owned(), base, order, distinct, signature }
    }

    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    pub(crate) fn is_ordered(&self) -> bool {
        self.distinct || !self.order.is_empty()
    }

    fn call(&self, types: &[Type]) -> Result<Aggregate> {
        resolve(&self.base, &types[..types.len().saturating_sub(self.order.len())]).map_err(failed)
    }

    fn collect(&self, args: &AccumulatorArgs<'_>) -> Result<Collect> {
        let given: Vec<Type> = args.expr_fields.iter().map(|field| Type::of(field)).collect();
        let call = self.call(&given)?;
        let kept: Vec<Type> = call.params.iter().chain(given.iter().skip(call.params.len())).cloned().collect();
        Ok(Collect {
            call,
            given,
            kept,
            order: self.order.clone(),
            distinct: args.is_distinct || self.distinct,
            rows: Vec::new(),
        })
    }
}

impl PartialEq for TrinoAggregate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TrinoAggregate {}

impl Hash for TrinoAggregate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for TrinoAggregate {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let types: Vec<Type> = types.iter().map(Type::of_data_type).collect();
        Ok(self.call(&types)?.returns.data_type())
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        let types: Vec<Type> = fields.iter().map(|field| Type::of(field)).collect();
        let field = field_of(&self.call(&types)?.returns, &self.name);
        Ok(field)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.collect(&args)?))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.collect(&args)?))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let given: Vec<Type> = args.input_fields.iter().map(|field| Type::of(field)).collect();
        let call = self.call(&given)?;
        let kept = call.params.iter().chain(given.iter().skip(call.params.len())).cloned().collect();
        Ok(vec![field_of(&Type::array(Type::row(kept)), &format!("{}[rows]", args.name))])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        // Rows are sorted at the end, from keys kept with them.
        AggregateOrderSensitivity::Insensitive
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        if matches!(self.base.as_str(), "count" | "count_if" | "approx_distinct") {
            return Ok(ScalarValue::Int64(Some(0)));
        }
        ScalarValue::try_from(data_type)
    }

    fn is_nullable(&self) -> bool {
        !matches!(self.base.as_str(), "count" | "count_if" | "approx_distinct")
    }
}

/// The rows of a group.
#[derive(Debug)]
struct Collect {
    call: Aggregate,
    given: Vec<Type>,
    /// Types of what is kept: the arguments as the aggregate takes them, then the keys of the order.
    kept: Vec<Type>,
    order: Vec<Order>,
    distinct: bool,
    rows: Vec<Vec<Value>>,
}

impl Collect {
    fn sorted(&self) -> Vec<Vec<Value>> {
        let width = self.call.params.len();
        let mut rows = self.rows.clone();
        if self.distinct {
            let mut seen = BTreeSet::new();
            rows.retain(|row| seen.insert(row[..width.min(row.len())].to_vec()));
        }
        rows.sort_by(|a, b| {
            self.order
                .iter()
                .enumerate()
                .map(|(i, how)| {
                    let (x, y) = (&a[width + i], &b[width + i]);
                    match (x.is_null(), y.is_null()) {
                        (true, true) => std::cmp::Ordering::Equal,
                        (true, false) | (false, true) => {
                            if x.is_null() == how.nulls_first {
                                std::cmp::Ordering::Less
                            } else {
                                std::cmp::Ordering::Greater
                            }
                        }
                        _ if how.descending => compared(y, x, how.nulls_first),
                        _ => compared(x, y, how.nulls_first),
                    }
                })
                .find(|found| found.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        rows
    }
}

/// Where nulls come first, `NaN` is less than every number; else it is greater.
fn compared(x: &Value, y: &Value, nan_first: bool) -> std::cmp::Ordering {
    let is_nan = |value: &Value| matches!(value, Value::Double(_) | Value::Real(_)) && value.as_double().is_nan();
    match (is_nan(x), is_nan(y)) {
        (true, false) if nan_first => std::cmp::Ordering::Less,
        (false, true) if nan_first => std::cmp::Ordering::Greater,
        _ => order(x, y),
    }
}

impl Accumulator for Collect {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let count = values.first().map_or(0, |array| array.len());
        let mut columns = Vec::with_capacity(values.len());
        for (i, array) in values.iter().enumerate().take(self.kept.len()) {
            let array = cast_array(array, &self.given[i], &self.kept[i]).map_err(failed)?;
            columns.push(read_all(array.as_ref(), &self.kept[i]).into_iter());
        }
        self.rows.reserve(count);
        for _ in 0..count {
            self.rows.push(columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)).collect());
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let rows = if self.distinct || !self.order.is_empty() {
            // The keys of the order are no arguments.
            let width = self.call.params.len();
            let mut rows = self.sorted();
            for row in &mut rows {
                row.truncate(width);
            }
            rows
        } else {
            std::mem::take(&mut self.rows)
        };
        let value = (self.call.run)(&self.call, &rows).map_err(failed)?;
        if !self.distinct && self.order.is_empty() {
            self.rows = rows;
        }
        let array = build(&self.call.returns, &[value]).map_err(failed)?;
        scalar_of(&array)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.rows.len() * (24 + 48 * self.kept.len())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = std::mem::take(&mut self.rows).into_iter().map(Value::Row).collect();
        let array = build(&Type::array(Type::row(self.kept.clone())), &[Value::Array(rows)]).map_err(failed)?;
        Ok(vec![scalar_of(&array)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let ty = Type::array(Type::row(self.kept.clone()));
        for value in states.first().map(|array| read_all(array.as_ref(), &ty)).unwrap_or_default() {
            self.rows.extend(value.items().iter().map(|row| row.items().to_vec()));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // A frame only moves forward: what leaves it came first.
        let count = values.first().map_or(0, |array| array.len());
        self.rows.drain(..count.min(self.rows.len()));
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
