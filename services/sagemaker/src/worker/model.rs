//! An ONNX model: its session, and predictions for the rows of a table.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{Array, ArrayRef, Float32Array, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};

use super::table::batch;

/// Rows a call of the model gets.
const ROWS: usize = 8192;

pub(crate) struct Model {
    session: Session,
    inputs: Vec<Input>,
}

#[derive(Clone, Debug)]
struct Input {
    name: String,
    kind: TensorElementType,
    /// Columns it takes: its second dimension; `None` where the model leaves it open.
    width: Option<usize>,
    flat: bool,
}

impl Model {
    /// `None` for one with outputs that are no tensors, such as the maps that classifiers give: this library does not read those.
    pub(crate) fn load(library: &std::path::Path, bytes: &[u8]) -> Result<Option<Self>, String> {
        let environment = environment(library)?;
        let session = Session::builder(environment)
            .and_then(|mut builder| builder.commit_from_memory(bytes))
            .map_err(|e| format!("the model could not be loaded: {e}"))?;
        let inputs = session.inputs().iter().map(|i| Input::new(i.name(), i.dtype())).collect::<Result<_, _>>()?;
        let tensors = session.outputs().iter().all(|output| matches!(output.dtype(), ValueType::Tensor { .. }));
        Ok(tensors.then_some(Self { session, inputs }))
    }

    /// The model's outputs for each row, as columns.
    pub(crate) fn predict(&mut self, features: &RecordBatch) -> Result<RecordBatch, String> {
        let plan = assign(&self.inputs, features)?;
        let mut parts = Vec::new();
        for start in (0..features.num_rows()).step_by(ROWS) {
            let rows = ROWS.min(features.num_rows() - start);
            parts.push(self.predict_rows(&features.slice(start, rows), &plan)?);
        }
        let Some(first) = parts.first() else { return batch(Vec::new(), Vec::new(), 0) };
        arrow::compute::concat_batches(&first.schema(), &parts).map_err(|e| e.to_string())
    }

    fn predict_rows(&mut self, features: &RecordBatch, plan: &[Vec<usize>]) -> Result<RecordBatch, String> {
        let mut values: Vec<(String, SessionInputValue<'_>)> = Vec::new();
        for (input, columns) in self.inputs.iter().zip(plan) {
            values.push((input.name.clone(), tensor(input, features, columns)?));
        }
        let outputs = self.session.run(values).map_err(|e| format!("the model failed: {e}"))?;
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (name, value) in &outputs {
            for (name, column) in output_columns(name, &value, features.num_rows())? {
                fields.push(Field::new(name, column.data_type().clone(), true));
                columns.push(column);
            }
        }
        if columns.is_empty() {
            return Err("the model has no output that is a tensor".to_owned());
        }
        batch(fields, columns, features.num_rows())
    }
}

/// The library is loaded once in a process, by the first job of a worker.
fn environment(library: &std::path::Path) -> Result<&'static Environment, String> {
    static LOADED: Mutex<()> = Mutex::new(());
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let _one_at_a_time = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = ENVIRONMENT.get() {
        return Ok(environment);
    }
    let loaded = ort::init_from(library).map_err(|e| format!("{}: {e}", library.display()))?;
    let made = loaded.build().map_err(|e| e.to_string())?;
    Ok(ENVIRONMENT.get_or_init(|| made))
}

impl Input {
    fn new(name: &str, kind: &ValueType) -> Result<Self, String> {
        let ValueType::Tensor { ty, shape, .. } = kind else {
            return Err(format!("the model's input {name} is no tensor"));
        };
        if shape.len() > 2 {
            return Err(format!(
                "the model's input {name} has {} dimensions; rows and columns are expected",
                shape.len()
            ));
        }
        let width = match shape.get(1) {
            Some(n) => usize::try_from(*n).ok(),
            None => Some(1),
        };
        Ok(Self { name: name.to_owned(), kind: *ty, width, flat: shape.len() < 2 })
    }
}

/// Which columns feed which input: by name where every input finds its column; all columns to a single input; else by order.
fn assign(inputs: &[Input], features: &RecordBatch) -> Result<Vec<Vec<usize>>, String> {
    let schema = features.schema();
    let by_name: Option<Vec<_>> = inputs.iter().map(|i| schema.index_of(&i.name).ok().map(|at| vec![at])).collect();
    if let Some(plan) = by_name {
        return Ok(plan);
    }
    let count = features.num_columns();
    if let [input] = inputs {
        return match input.width {
            Some(width) if width != count => Err(format!("the model takes {width} columns, the data has {count}")),
            _ => Ok(vec![(0..count).collect()]),
        };
    }
    // Columns of CSV have no names of their own.
    if schema.fields().iter().all(|f| f.name().starts_with("_c")) && count == inputs.len() {
        return Ok((0..count).map(|i| vec![i]).collect());
    }
    let missing: Vec<_> = inputs.iter().map(|i| i.name.as_str()).filter(|n| schema.index_of(n).is_err()).collect();
    Err(format!("the data has no column for the model's input {}", missing.join(", ")))
}

fn tensor(input: &Input, features: &RecordBatch, columns: &[usize]) -> Result<SessionInputValue<'static>, String> {
    let rows = features.num_rows();
    let mut shape = vec![i64::try_from(rows).map_err(|e| e.to_string())?];
    if !input.flat {
        shape.push(i64::try_from(columns.len()).map_err(|e| e.to_string())?);
    }
    macro_rules! numbers {
        ($array:ty, $kind:expr, $null:expr) => {{
            let arrays = columns.iter().map(|at| number(features, *at, &$kind)).collect::<Result<Vec<_>, _>>()?;
            let arrays: Vec<&$array> = arrays.iter().filter_map(|a| a.as_any().downcast_ref()).collect();
            let mut data = Vec::with_capacity(rows * columns.len());
            for row in 0..rows {
                for array in &arrays {
                    data.push(if array.is_null(row) { $null? } else { array.value(row) });
                }
            }
            Tensor::from_array((shape, data)).map(SessionInputValue::from)
        }};
    }
    let no_null = || format!("the model's input {} takes whole numbers and a value is missing", input.name);
    let value = match input.kind {
        TensorElementType::Float32 => numbers!(Float32Array, DataType::Float32, Ok::<_, String>(f32::NAN)),
        TensorElementType::Float64 => numbers!(Float64Array, DataType::Float64, Ok::<_, String>(f64::NAN)),
        TensorElementType::Int64 => numbers!(Int64Array, DataType::Int64, Err(no_null())),
        TensorElementType::Int32 => numbers!(Int32Array, DataType::Int32, Err(no_null())),
        TensorElementType::String => {
            let arrays =
                columns.iter().map(|at| cast(features.column(*at), &DataType::Utf8)).collect::<Result<Vec<_>, _>>();
            let arrays = arrays.map_err(|e| e.to_string())?;
            let arrays: Vec<&StringArray> = arrays.iter().filter_map(|a| a.as_any().downcast_ref()).collect();
            let mut data = Vec::with_capacity(rows * columns.len());
            for row in 0..rows {
                data.extend(
                    arrays.iter().map(|a| if a.is_null(row) { String::new() } else { a.value(row).to_owned() }),
                );
            }
            Tensor::from_string_array((shape, data.as_slice())).map(SessionInputValue::from)
        }
        other => {
            return Err(format!("the model's input {} has the type {other:?}, which is not supported", input.name));
        }
    };
    value.map_err(|e| e.to_string())
}

/// A column as numbers. Empty text is a missing value; other text that is no number is an error.
fn number(features: &RecordBatch, at: usize, kind: &DataType) -> Result<ArrayRef, String> {
    let column = features.column(at);
    let numbers = cast(column, kind).map_err(|e| e.to_string())?;
    if let Some(text) = column.as_any().downcast_ref::<StringArray>() {
        for row in 0..text.len() {
            if numbers.is_null(row) && !text.is_null(row) && !text.value(row).trim().is_empty() {
                return Err(format!("{:?} in column {} is no number", text.value(row), at + 1));
            }
        }
    }
    Ok(numbers)
}

/// A tensor of one value a row is a column of the output's name, one of several is `name_0`, `name_1`, ….
fn output_columns(name: &str, value: &DynValue, rows: usize) -> Result<Vec<(String, ArrayRef)>, String> {
    let ValueType::Tensor { ty, shape, .. } = value.dtype() else {
        return Err(format!("the model's output {name} is no tensor"));
    };
    let total: usize = shape.iter().map(|n| usize::try_from(*n).unwrap_or(0)).product();
    if rows == 0 || !total.is_multiple_of(rows) || shape.first().is_none_or(|n| usize::try_from(*n) != Ok(rows)) {
        return Err(format!("the model's output {name} has the shape {:?} for {rows} rows", &shape[..]));
    }
    let width = total / rows;
    macro_rules! columns {
        ($element:ty, $array:ty) => {{
            let (_, data) = value.try_extract_tensor::<$element>().map_err(|e| e.to_string())?;
            (0..width)
                .map(|i| Arc::new(<$array>::from_iter_values(data.iter().skip(i).step_by(width).copied())) as ArrayRef)
                .collect()
        }};
    }
    let columns: Vec<ArrayRef> = match ty {
        TensorElementType::Float32 => columns!(f32, Float32Array),
        TensorElementType::Float64 => columns!(f64, Float64Array),
        TensorElementType::Int64 => columns!(i64, Int64Array),
        TensorElementType::Int32 => columns!(i32, Int32Array),
        TensorElementType::String => {
            let (_, data) = value.try_extract_strings().map_err(|e| e.to_string())?;
            (0..width)
                .map(|i| Arc::new(StringArray::from_iter_values(data.iter().skip(i).step_by(width))) as ArrayRef)
                .collect()
        }
        other => return Err(format!("the model's output {name} has the type {other:?}, which is not supported")),
    };
    let named = |i: usize| if width == 1 { name.to_owned() } else { format!("{name}_{i}") };
    Ok(columns.into_iter().enumerate().map(|(i, column)| (named(i), column)).collect())
}
