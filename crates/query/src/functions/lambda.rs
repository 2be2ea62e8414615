//! Functions that take lambdas, and `TRY`, which is one: its argument is run row by row where it fails.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use datafusion::arrow::compute::take_arrays;
use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDFImpl,
    LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};
use trino_functions::call::cast_array;
use trino_functions::types::common;
use trino_functions::value::{build, read_all};
use trino_functions::{Error, Type, Value};

use super::{failed, field_of};

pub(super) fn all() -> Vec<LambdaFunction> {
    [
        "transform",
        "filter",
        "reduce",
        "any_match",
        "all_match",
        "none_match",
        "zip_with",
        "map_filter",
        "transform_keys",
        "transform_values",
        "map_zip_with",
        "$array_sort_by",
        "$regexp_replace_by",
        "$try",
        "$routine",
    ]
    .into_iter()
    .map(|name| LambdaFunction { name, signature: HigherOrderSignature::variadic_any(Volatility::Immutable) })
    .collect()
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LambdaFunction {
    name: &'static str,
    signature: HigherOrderSignature,
}

/// Types of the arguments; a lambda's is that of its result, where it is known.
type Given = Vec<ValueOrLambda<Type, Option<Type>>>;

impl LambdaFunction {
    fn mismatch(&self, given: &Given) -> DataFusionError {
        let types: Vec<String> = given
            .iter()
            .map(|argument| match argument {
                ValueOrLambda::Value(ty) => ty.to_string(),
                ValueOrLambda::Lambda(_) => "<function>".to_owned(),
            })
            .collect();
        let name = self.name.trim_start_matches('$').trim_end_matches("_by");
        failed(Error::new(
            "FUNCTION_NOT_FOUND",
            format!("Unexpected parameters ({}) for function {name}", types.join(", ")),
        ))
    }

    /// The types of each lambda's parameters.
    fn parameters(&self, given: &Given) -> Result<Vec<Vec<Type>>> {
        use ValueOrLambda::{Lambda as L, Value as V};
        let item = |ty: &Type| match ty {
            Type::Array(item) => Some(item.as_ref().clone()),
            Type::Unknown => Some(Type::Unknown),
            _ => None,
        };
        let entry = |ty: &Type| match ty {
            Type::Map(key, value) => Some((key.as_ref().clone(), value.as_ref().clone())),
            Type::Unknown => Some((Type::Unknown, Type::Unknown)),
            _ => None,
        };
        let found = match (self.name, &given[..]) {
            ("transform" | "filter" | "any_match" | "all_match" | "none_match", [V(array), L(_)]) => {
                item(array).map(|item| vec![vec![item]])
            }
            ("$array_sort_by", [V(array), L(_)]) => item(array).map(|item| vec![vec![item.clone(), item]]),
            ("reduce", [V(array), V(init), L(merged), L(_)]) => item(array).and_then(|item| {
                let state = match merged {
                    Some(merged) => common(init, merged)?,
                    None => init.clone(),
                };
                Some(vec![vec![state.clone(), item], vec![state]])
            }),
            ("zip_with", [V(a), V(b), L(_)]) => item(a).zip(item(b)).map(|(a, b)| vec![vec![a, b]]),
            ("map_filter" | "transform_keys" | "transform_values", [V(map), L(_)]) => {
                entry(map).map(|(k, v)| vec![vec![k, v]])
            }
            ("map_zip_with", [V(a), V(b), L(_)]) => {
                entry(a).zip(entry(b)).and_then(|((k, v), (l, w))| Some(vec![vec![common(&k, &l)?, v, w]]))
            }
            ("$regexp_replace_by", [V(_), V(_), L(_)]) => Some(vec![vec![Type::array(Type::Varchar(None))]]),
            ("$try", [V(_), L(_)]) => Some(vec![vec![Type::Boolean]]),
            ("$routine", [V(_), V(_), rest @ ..]) => {
                let variables: Vec<Type> =
                    rest.iter().filter_map(|given| if let V(ty) = given { Some(ty.clone()) } else { None }).collect();
                Some(vec![variables.clone(); rest.len() - variables.len()])
            }
            _ => None,
        };
        found.ok_or_else(|| self.mismatch(given))
    }

    fn returns(&self, given: &Given) -> Result<Type> {
        use ValueOrLambda::{Lambda as L, Value as V};
        let parameters = self.parameters(given)?;
        let results: Vec<&Type> =
            given.iter().filter_map(|g| if let L(Some(ty)) = g { Some(ty) } else { None }).collect();
        let Some(result) = results.first().copied() else { return Err(self.mismatch(given)) };
        // Trino coerces no NULL to what a lambda has to give.
        let boolean = matches!(result, Type::Boolean);
        let V(first) = &given[0] else { return Err(self.mismatch(given)) };
        Ok(match self.name {
            "transform" | "zip_with" => Type::array(result.clone()),
            "filter" | "map_filter" if boolean => first.clone(),
            "any_match" | "all_match" | "none_match" if boolean => Type::Boolean,
            "$array_sort_by" if *result == Type::Integer => first.clone(),
            "reduce" if *result != Type::Unknown || matches!(given.get(1), Some(V(Type::Unknown))) => {
                results.get(1).copied().unwrap_or(result).clone()
            }
            "transform_keys" => Type::map(result.clone(), parameters[0][1].clone()),
            "transform_values" | "map_zip_with" => Type::map(parameters[0][0].clone(), result.clone()),
            "$regexp_replace_by" if matches!(result, Type::Varchar(_)) => Type::Varchar(None),
            "$try" => result.clone(),
            "$routine" => match given.get(1) {
                Some(V(returns)) => returns.clone(),
                _ => return Err(self.mismatch(given)),
            },
            _ => return Err(self.mismatch(given)),
        })
    }
}

impl HigherOrderUDFImpl for LambdaFunction {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn lambda_parameters(
        &self,
        _step: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let given: Given = fields
            .iter()
            .map(|field| match field {
                ValueOrLambda::Value(field) => ValueOrLambda::Value(Type::of(field)),
                ValueOrLambda::Lambda(field) => ValueOrLambda::Lambda(field.as_ref().map(|field| Type::of(field))),
            })
            .collect();
        let parameters: Vec<Vec<FieldRef>> = self
            .parameters(&given)?
            .iter()
            .map(|types| types.iter().enumerate().map(|(i, ty)| field_of(ty, &format!("p{i}"))).collect())
            .collect();
        let open = self.name == "reduce" && matches!(given.get(2), Some(ValueOrLambda::Lambda(None)));
        Ok(if open {
            // What the first lambda gives may widen the state.
            LambdaParametersProgress::Partial(vec![parameters.into_iter().next(), None])
        } else {
            LambdaParametersProgress::Complete(parameters)
        })
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(field_of(&self.returns(&given(args.arg_fields))?, self.name))
    }

    fn clear_null_values(&self) -> bool {
        false
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let given = given(&args.arg_fields);
        let mut run = Run {
            parameters: self.parameters(&given)?,
            returns: self.returns(&given)?,
            values: Vec::new(),
            types: Vec::new(),
            lambdas: Vec::new(),
            results: Vec::new(),
            rows: args.number_rows,
        };
        for (argument, ty) in args.args.iter().zip(&given) {
            match (argument, ty) {
                (ValueOrLambda::Value(value), ValueOrLambda::Value(ty)) => {
                    run.values.push(value.to_array(args.number_rows)?);
                    run.types.push(ty.clone());
                }
                (ValueOrLambda::Lambda(lambda), ValueOrLambda::Lambda(ty)) => {
                    run.lambdas.push(lambda);
                    run.results.push(ty.clone().unwrap_or(Type::Unknown));
                }
                _ => return Err(failed(Error::internal("arguments changed their kind"))),
            }
        }
        let values = match self.name {
            "$try" => return run.attempt().map(ColumnarValue::Array),
            "$routine" => super::routine::run(&run)?,
            "reduce" => run.reduce()?,
            "$array_sort_by" => run.sort()?,
            "$regexp_replace_by" => run.replace()?,
            "zip_with" | "map_zip_with" => run.zip(self.name)?,
            name => run.each(name)?,
        };
        Ok(ColumnarValue::Array(build(&run.returns, &values).map_err(failed)?))
    }
}

fn given(fields: &[ValueOrLambda<FieldRef, FieldRef>]) -> Given {
    fields
        .iter()
        .map(|field| match field {
            ValueOrLambda::Value(field) => ValueOrLambda::Value(Type::of(field)),
            ValueOrLambda::Lambda(field) => ValueOrLambda::Lambda(Some(Type::of(field))),
        })
        .collect()
}

/// Java sorts fewer items than these by insertion alone.
const FEW: usize = 32;

/// Two items of a row's array.
struct Pair {
    row: usize,
    left: usize,
    right: usize,
}

/// The search for an item's place among those of the other run.
struct Search {
    which: usize,
    at: usize,
    /// Where the other run begins, and between which places the item's may be.
    first: usize,
    low: usize,
    high: usize,
    of_left: bool,
}

/// One call over a batch.
pub(super) struct Run<'a> {
    parameters: Vec<Vec<Type>>,
    returns: Type,
    values: Vec<ArrayRef>,
    types: Vec<Type>,
    lambdas: Vec<&'a LambdaArgument>,
    results: Vec<Type>,
    rows: usize,
}

impl Run<'_> {
    /// How many rows there are, and how many arguments that are values.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn width(&self) -> usize {
        self.values.len()
    }

    pub(super) fn read(&self, index: usize) -> Vec<Value> {
        read_all(self.values[index].as_ref(), &self.types[index])
    }

    /// Runs a lambda over columns of parameters; `rows` says of which row of the batch each is.
    pub(super) fn evaluate(&self, lambda: usize, columns: &[Vec<Value>], rows: &[u32]) -> Result<Vec<Value>> {
        let arrays = columns
            .iter()
            .zip(&self.parameters[lambda])
            .map(|(column, ty)| build(ty, column).map_err(failed))
            .collect::<Result<Vec<_>>>()?;
        let result = self.arrays(lambda, &arrays, rows)?;
        Ok(read_all(result.as_ref(), &self.results[lambda]))
    }

    fn arrays(&self, lambda: usize, arrays: &[ArrayRef], rows: &[u32]) -> Result<ArrayRef> {
        let closures: Vec<Box<dyn Fn() -> Result<ArrayRef>>> = arrays
            .iter()
            .map(|array| {
                let array = Arc::clone(array);
                Box::new(move || Ok(Arc::clone(&array))) as Box<dyn Fn() -> Result<ArrayRef>>
            })
            .collect();
        let borrowed: Vec<&dyn Fn() -> Result<ArrayRef>> = closures.iter().map(AsRef::as_ref).collect();
        let spread = |captured: &[ArrayRef]| Ok(take_arrays(captured, &UInt32Array::from(rows.to_vec()), None)?);
        self.lambdas[lambda].evaluate(&borrowed, spread)?.into_array(rows.len())
    }

    /// Functions of each item or entry by itself.
    fn each(&self, name: &str) -> Result<Vec<Value>> {
        let all = self.read(0);
        let (mut rows, mut first, mut second) = (Vec::new(), Vec::new(), Vec::new());
        for (row, value) in all.iter().enumerate() {
            for item in value.items() {
                rows.push(u32::try_from(row).unwrap_or(0));
                first.push(item.clone());
            }
            for (k, v) in value.entries() {
                rows.push(u32::try_from(row).unwrap_or(0));
                first.push(k.clone());
                second.push(v.clone());
            }
        }
        let columns = if self.parameters[0].len() == 2 { vec![first, second] } else { vec![first] };
        let mut results = self.evaluate(0, &columns, &rows)?.into_iter();
        all.into_iter()
            .map(|value| {
                if value.is_null() {
                    return Ok(Value::Null);
                }
                let count = value.items().len() + value.entries().len();
                let own: Vec<Value> = results.by_ref().take(count).collect();
                finish(name, &value, own, &self.returns)
            })
            .collect()
    }

    fn reduce(&self) -> Result<Vec<Value>> {
        let arrays = self.read(0);
        let state = &self.parameters[1][0];
        let start = cast_array(&self.values[1], &self.types[1], state).map_err(failed)?;
        let mut states = read_all(start.as_ref(), state);
        let longest = arrays.iter().map(|array| array.items().len()).max().unwrap_or(0);
        for step in 0..longest {
            let active: Vec<usize> = (0..arrays.len()).filter(|row| arrays[*row].items().len() > step).collect();
            let rows: Vec<u32> = active.iter().map(|row| u32::try_from(*row).unwrap_or(0)).collect();
            let before: Vec<Value> = active.iter().map(|row| states[*row].clone()).collect();
            let items: Vec<Value> = active.iter().map(|row| arrays[*row].items()[step].clone()).collect();
            let after = self.evaluate(0, &[before, items], &rows)?;
            for (row, value) in active.into_iter().zip(after) {
                states[row] = trino_functions::cast::cast(&value, &self.results[0], state).map_err(failed)?;
            }
        }
        let rows: Vec<u32> = (0..self.rows).map(|row| u32::try_from(row).unwrap_or(0)).collect();
        let mut done = self.evaluate(1, &[states], &rows)?;
        for (value, array) in done.iter_mut().zip(&arrays) {
            if array.is_null() {
                *value = Value::Null;
            }
        }
        Ok(done)
    }

    /// Sorts the arrays of so many rows at once that what is compared in one go is bounded.
    fn sort(&self) -> Result<Vec<Value>> {
        const AT_ONCE: usize = 1 << 18;
        let arrays = self.read(0);
        let mut sorted = vec![Value::Null; arrays.len()];
        let (mut rows, mut work) = (Vec::new(), 0);
        for (row, array) in arrays.iter().enumerate().filter(|(_, array)| !array.is_null()) {
            let count = array.items().len();
            work += if count < FEW { count * count } else { count };
            rows.push(row);
            if work >= AT_ONCE {
                self.sort_some(&arrays, &std::mem::take(&mut rows), &mut sorted)?;
                work = 0;
            }
        }
        self.sort_some(&arrays, &rows, &mut sorted)?;
        Ok(sorted)
    }

    fn sort_some(&self, arrays: &[Value], rows: &[usize], sorted: &mut [Value]) -> Result<()> {
        let (few, many): (Vec<usize>, Vec<usize>) = rows.iter().partition(|row| arrays[**row].items().len() < FEW);
        let pairs: Vec<Pair> = few
            .iter()
            .flat_map(|row| {
                let count = arrays[*row].items().len();
                (0..count * count).map(move |at| Pair { row: *row, left: at / count, right: at % count })
            })
            .filter(|pair| pair.left != pair.right)
            .collect();
        let mut less = self.less(arrays, &pairs)?.into_iter();
        for row in few {
            let items = arrays[row].items();
            let count = items.len();
            let table: Vec<bool> =
                (0..count * count).map(|at| at / count != at % count && less.next().unwrap_or(false)).collect();
            let order = sorted_as_java(count, |a, b| table[a * count + b]);
            sorted[row] = Value::Array(order.into_iter().map(|at| items[at].clone()).collect());
        }
        for (row, order) in self.merged(arrays, &many)? {
            let items = arrays[row].items();
            sorted[row] = Value::Array(order.into_iter().map(|at| items[at].clone()).collect());
        }
        Ok(())
    }

    /// Whether the left item of each pair comes before the right one.
    fn less(&self, arrays: &[Value], pairs: &[Pair]) -> Result<Vec<bool>> {
        let rows: Vec<u32> = pairs.iter().map(|pair| u32::try_from(pair.row).unwrap_or(0)).collect();
        let column = |at: fn(&Pair) -> usize| -> Vec<Value> {
            pairs.iter().map(|pair| arrays[pair.row].items()[at(pair)].clone()).collect()
        };
        let compared = self.evaluate(0, &[column(|pair| pair.left), column(|pair| pair.right)], &rows)?;
        compared
            .iter()
            .map(|value| match value {
                Value::Int(order @ -1..=1) => Ok(*order < 0),
                _ => Err(failed(Error::argument("Lambda comparator must return either -1, 0, or 1"))),
            })
            .collect()
    }

    /// The orders of arrays of many items, by merging runs of one, two, four, … items: the place of each item in the other run of its
    /// two is searched for at once for all of them.
    fn merged(&self, arrays: &[Value], rows: &[usize]) -> Result<Vec<(usize, Vec<usize>)>> {
        let mut orders: Vec<(usize, Vec<usize>)> =
            rows.iter().map(|row| (*row, (0..arrays[*row].items().len()).collect())).collect();
        let next: Vec<Pair> = orders
            .iter()
            .flat_map(|(row, order)| (1..order.len()).map(|at| Pair { row: *row, left: at, right: at - 1 }))
            .collect();
        let mut falls = self.less(arrays, &next)?.into_iter();
        let mut open = Vec::new();
        for (at, (_, order)) in orders.iter_mut().enumerate() {
            let falls: Vec<bool> = falls.by_ref().take(order.len() - 1).collect();
            if falls.iter().all(|falls| *falls) {
                order.reverse();
            } else if falls.contains(&true) {
                open.push(at);
            }
        }
        let longest = open.iter().map(|at| orders[*at].1.len()).max().unwrap_or(0);
        let mut width = 1;
        while width < longest {
            self.merge_runs(arrays, &mut orders, &open, width)?;
            width *= 2;
        }
        Ok(orders)
    }

    fn merge_runs(
        &self,
        arrays: &[Value],
        orders: &mut [(usize, Vec<usize>)],
        open: &[usize],
        width: usize,
    ) -> Result<()> {
        let mut searches = Vec::new();
        for which in open {
            let count = orders[*which].1.len();
            for at in 0..count {
                let start = at / (2 * width) * (2 * width);
                let (middle, end) = ((start + width).min(count), (start + 2 * width).min(count));
                let of_left = at < middle;
                let (low, high) = if of_left { (middle, end) } else { (start, middle) };
                searches.push(Search { which: *which, at, first: low, low, high, of_left });
            }
        }
        loop {
            let asked: Vec<usize> = (0..searches.len()).filter(|i| searches[*i].low < searches[*i].high).collect();
            if asked.is_empty() {
                break;
            }
            let pairs: Vec<Pair> = asked
                .iter()
                .map(|i| {
                    let search = &searches[*i];
                    let (row, order) = &orders[search.which];
                    let (own, other) = (order[search.at], order[usize::midpoint(search.low, search.high)]);
                    let (left, right) = if search.of_left { (other, own) } else { (own, other) };
                    Pair { row: *row, left, right }
                })
                .collect();
            for (i, less) in asked.into_iter().zip(self.less(arrays, &pairs)?) {
                let search = &mut searches[i];
                let middle = usize::midpoint(search.low, search.high);
                // Equal items stay as they are: those of the left run first.
                if less == search.of_left { search.low = middle + 1 } else { search.high = middle }
            }
        }
        let mut placed: Vec<(usize, usize, usize)> = searches
            .iter()
            .map(|search| {
                let before = search.low - search.first;
                let place = if search.of_left { search.at + before } else { search.at - (width - before) };
                (search.which, place, orders[search.which].1[search.at])
            })
            .collect();
        placed.sort_by_key(|(which, place, _)| (*which, *place));
        for which in open {
            orders[*which].1.clear();
        }
        for (which, _, item) in placed {
            orders[which].1.push(item);
        }
        Ok(())
    }

    fn replace(&self) -> Result<Vec<Value>> {
        let (texts, patterns) = (self.read(0), self.read(1));
        let mut found = Vec::with_capacity(texts.len());
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (row, (text, pattern)) in texts.iter().zip(&patterns).enumerate() {
            if text.is_null() || pattern.is_null() {
                found.push(None);
                continue;
            }
            let matches = trino_functions::scalar::matches(text.as_str(), pattern.as_str()).map_err(failed)?;
            for (_, captured) in &matches {
                rows.push(u32::try_from(row).unwrap_or(0));
                groups.push(Value::Array(captured.clone()));
            }
            found.push(Some(matches));
        }
        let mut results = self.evaluate(0, &[groups], &rows)?.into_iter();
        let mut replaced = Vec::with_capacity(texts.len());
        for (text, matches) in texts.iter().zip(found) {
            let Some(matches) = matches else {
                replaced.push(Value::Null);
                continue;
            };
            let (mut out, mut last, mut null) = (String::new(), 0, false);
            for (range, _) in matches {
                out.push_str(&text.as_str()[last..range.start]);
                last = range.end;
                match results.next() {
                    Some(Value::Str(with)) => out.push_str(&with),
                    _ => null = true,
                }
            }
            out.push_str(&text.as_str()[last..]);
            replaced.push(if null { Value::Null } else { out.into() });
        }
        Ok(replaced)
    }

    fn zip(&self, name: &str) -> Result<Vec<Value>> {
        let (left, right) = (self.read(0), self.read(1));
        let mut columns = vec![Vec::new(); self.parameters[0].len()];
        let (mut rows, mut counts) = (Vec::new(), Vec::new());
        for (row, (a, b)) in left.iter().zip(&right).enumerate() {
            let mut count = 0;
            if !a.is_null() && !b.is_null() {
                if name == "zip_with" {
                    count = a.items().len().max(b.items().len());
                    for i in 0..count {
                        columns[0].push(a.items().get(i).cloned().unwrap_or(Value::Null));
                        columns[1].push(b.items().get(i).cloned().unwrap_or(Value::Null));
                    }
                } else {
                    let other = |map: &Value, key: &Value| {
                        map.entries().iter().find(|(k, _)| k == key).map_or(Value::Null, |(_, v)| v.clone())
                    };
                    let key_type = &self.parameters[0][0];
                    let cast = |map: &Value, index: usize| -> Result<Value> {
                        let Type::Map(_, value) = &self.types[index] else { return Ok(map.clone()) };
                        let to = Type::map(key_type.clone(), value.as_ref().clone());
                        trino_functions::cast::cast(map, &self.types[index], &to).map_err(failed)
                    };
                    let (a, b) = (cast(a, 0)?, cast(b, 1)?);
                    let only_right = b.entries().iter().filter(|(k, _)| !a.entries().iter().any(|(l, _)| l == k));
                    for key in a.entries().iter().chain(only_right).map(|(key, _)| key) {
                        columns[0].push(key.clone());
                        columns[1].push(other(&a, key));
                        columns[2].push(other(&b, key));
                        count += 1;
                    }
                }
            }
            rows.extend(std::iter::repeat_n(u32::try_from(row).unwrap_or(0), count));
            counts.push(count);
        }
        let keys = columns[0].clone();
        let results = self.evaluate(0, &columns, &rows)?;
        let mut at = 0;
        let mut zipped = Vec::with_capacity(left.len());
        for ((a, b), count) in left.iter().zip(&right).zip(counts) {
            let own = results[at..at + count].to_vec();
            let own_keys = keys[at..at + count].to_vec();
            at += count;
            zipped.push(if a.is_null() || b.is_null() {
                Value::Null
            } else if name == "zip_with" {
                Value::Array(own)
            } else {
                Value::Map(own_keys.into_iter().zip(own).collect())
            });
        }
        Ok(zipped)
    }

    /// `TRY`: the whole batch if that goes well, else each row by itself.
    fn attempt(&self) -> Result<ArrayRef> {
        let flags = |count: usize| -> ArrayRef { Arc::new(BooleanArray::from(vec![true; count])) };
        let rows: Vec<u32> = (0..self.rows).map(|row| u32::try_from(row).unwrap_or(0)).collect();
        match self.arrays(0, &[flags(self.rows)], &rows) {
            Ok(done) => Ok(done),
            Err(error) if !is_tried(&error) => Err(error),
            Err(_) => {
                let mut values = Vec::with_capacity(rows.len());
                for row in rows {
                    match self.arrays(0, &[flags(1)], &[row]) {
                        Ok(one) => values.extend(read_all(one.as_ref(), &self.returns)),
                        Err(error) if is_tried(&error) => values.push(Value::Null),
                        Err(error) => return Err(error),
                    }
                }
                build(&self.returns, &values).map_err(failed)
            }
        }
    }
}

fn is_tried(error: &DataFusionError) -> bool {
    let message = crate::Error::from_ref(error).message;
    ["DIVISION_BY_ZERO", "INVALID_CAST_ARGUMENT", "INVALID_FUNCTION_ARGUMENT", "NUMERIC_VALUE_OUT_OF_RANGE"]
        .iter()
        .any(|code| message.starts_with(code))
}

/// The order that `java.util.List.sort` gives to fewer than 32 items, which shows where a comparator is no proper order:
/// the run at the start, turned round if it descends, then the rest inserted by binary search.
fn sorted_as_java(count: usize, less: impl Fn(usize, usize) -> bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if count < 2 {
        return order;
    }
    let descends = less(1, 0);
    let mut run = 2;
    while run < count && less(run, run - 1) == descends {
        run += 1;
    }
    if descends {
        order[..run].reverse();
    }
    for start in run..count {
        let pivot = order[start];
        let (mut left, mut right) = (0, start);
        while left < right {
            let middle = usize::midpoint(left, right);
            if less(pivot, order[middle]) {
                right = middle;
            } else {
                left = middle + 1;
            }
        }
        order.copy_within(left..start, left + 1);
        order[left] = pivot;
    }
    order
}

/// One row's result from those of its items.
fn finish(name: &str, value: &Value, results: Vec<Value>, returns: &Type) -> Result<Value> {
    let kept = |result: &Value| result.as_bool();
    Ok(match name {
        "transform" => Value::Array(results),
        "filter" => {
            Value::Array(value.items().iter().zip(&results).filter(|(_, r)| kept(r)).map(|(v, _)| v.clone()).collect())
        }
        "map_filter" => {
            Value::Map(value.entries().iter().zip(&results).filter(|(_, r)| kept(r)).map(|(e, _)| e.clone()).collect())
        }
        "transform_values" => {
            Value::Map(value.entries().iter().zip(results).map(|((k, _), v)| (k.clone(), v)).collect())
        }
        "transform_keys" => {
            let values: Vec<Value> = value.entries().iter().map(|(_, v)| v.clone()).collect();
            let key = if let Type::Map(key, _) = returns { key.as_ref().clone() } else { Type::Unknown };
            trino_functions::scalar::map_of(&results, &values, &key).map_err(failed)?
        }
        _ => {
            let (any, open) = (results.iter().any(kept), results.iter().any(Value::is_null));
            let all = results.iter().all(|r| r.is_null() || kept(r));
            match name {
                "any_match" if any => true.into(),
                "none_match" if any => false.into(),
                "all_match" if !all => false.into(),
                _ if open => Value::Null,
                "any_match" => false.into(),
                _ => true.into(),
            }
        }
    })
}
