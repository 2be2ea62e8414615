//! Aggregates that keep the rows of each group until the end, or what stands for them ([`trino_functions::fold`]). Those that need
//! neither are DataFusion's own, see [`crate::analyze`].

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
use trino_functions::fold::{Running as Figures, compact};
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
            heap: 0,
            compacted: None,
        })
    }

    /// The figures of no rows, if a call of so many needs no more than figures.
    fn figures(&self, call: &Aggregate, distinct: bool) -> Option<Figures> {
        if distinct || self.is_ordered() { None } else { Figures::of(call) }
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
        let collect = self.collect(&args)?;
        if let Some(figures) = self.figures(&collect.call, args.is_distinct) {
            let Collect { call, given, .. } = collect;
            return Ok(Box::new(Reduce { call, given, figures }));
        }
        Ok(Box::new(Collect { compacted: Some(0), ..collect }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(self.collect(&args)?))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let given: Vec<Type> = args.input_fields.iter().map(|field| Type::of(field)).collect();
        let call = self.call(&given)?;
        if self.figures(&call, args.is_distinct).is_some() {
            return Ok(vec![field_of(&Type::array(Type::Bigint), &format!("{}[figures]", args.name))]);
        }
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
    /// The bytes of texts and lists in the rows.
    heap: usize,
    /// How many rows were left when they were last made fewer; none where rows leave again.
    compacted: Option<usize>,
}

impl Collect {
    /// Makes the rows fewer, if there are twice as many as need be and fewer will do.
    fn compact(&mut self) -> Result<()> {
        const FEW: usize = 256;
        if self.compacted.is_none_or(|left| self.rows.len() < FEW.max(2 * left)) {
            return Ok(());
        }
        if self.distinct {
            let width = self.call.params.len();
            let mut seen = BTreeSet::new();
            self.rows.retain(|row| seen.insert(row[..width.min(row.len())].to_vec()));
        } else if self.order.is_empty() {
            match compact(&self.call, std::mem::take(&mut self.rows)).map_err(failed)? {
                Ok(fewer) => self.rows = fewer,
                Err(all) => {
                    self.rows = all;
                    self.compacted = None;
                    return Ok(());
                }
            }
        }
        self.compacted = Some(self.rows.len());
        self.heap = self.rows.iter().flatten().map(heap).sum();
        Ok(())
    }

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

/// The bytes that a value has beside itself.
fn heap(value: &Value) -> usize {
    match value {
        Value::Str(text) => text.capacity(),
        Value::Bytes(bytes) => bytes.capacity(),
        Value::Array(items) | Value::Row(items) => items.iter().map(|item| size_of_val(item) + heap(item)).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size_of_val(entry) + heap(&entry.0) + heap(&entry.1)).sum(),
        _ => 0,
    }
}

/// The figures of a group.
#[derive(Debug)]
struct Reduce {
    call: Aggregate,
    given: Vec<Type>,
    figures: Figures,
}

impl Accumulator for Reduce {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut columns = Vec::with_capacity(values.len());
        for ((array, given), wanted) in values.iter().zip(&self.given).zip(&self.call.params) {
            let array = cast_array(array, given, wanted).map_err(failed)?;
            columns.push(read_all(array.as_ref(), wanted).into_iter());
        }
        let mut row = Vec::with_capacity(columns.len());
        for _ in 0..values.first().map_or(0, |array| array.len()) {
            row.clear();
            row.extend(columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)));
            self.figures.add(&self.call, &row).map_err(failed)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = self.figures.finish(&self.call).map_err(failed)?;
        scalar_of(&build(&self.call.returns, &[value]).map_err(failed)?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.figures.heap()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let numbers = self.figures.numbers().into_iter().map(Value::Int).collect();
        let array = build(&Type::array(Type::Bigint), &[Value::Array(numbers)]).map_err(failed)?;
        Ok(vec![scalar_of(&array)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for value in
            states.first().map(|array| read_all(array.as_ref(), &Type::array(Type::Bigint))).unwrap_or_default()
        {
            let numbers: Vec<i64> = value.items().iter().map(Value::as_int).collect();
            self.figures.merge(Figures::read(&self.call, &numbers).map_err(failed)?);
        }
        Ok(())
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
            let row: Vec<Value> = columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)).collect();
            self.heap += row.iter().map(heap).sum::<usize>();
            self.rows.push(row);
        }
        self.compact()
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
        size_of_val(self) + self.heap + self.rows.len() * (24 + size_of::<Value>() * self.kept.len())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = std::mem::take(&mut self.rows).into_iter().map(Value::Row).collect();
        let array = build(&Type::array(Type::row(self.kept.clone())), &[Value::Array(rows)]).map_err(failed)?;
        Ok(vec![scalar_of(&array)?])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let ty = Type::array(Type::row(self.kept.clone()));
        for value in states.first().map(|array| read_all(array.as_ref(), &ty)).unwrap_or_default() {
            let rows = value.items().iter().map(|row| row.items().to_vec());
            let before = self.rows.len();
            self.rows.extend(rows);
            self.heap += self.rows[before..].iter().flatten().map(heap).sum::<usize>();
            self.compact()?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // A frame only moves forward: what leaves it came first.
        let count = values.first().map_or(0, |array| array.len());
        let gone: usize = self.rows.drain(..count.min(self.rows.len())).flatten().map(|value| heap(&value)).sum();
        self.heap = self.heap.saturating_sub(gone);
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }
}
