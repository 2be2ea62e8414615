//! `lakerun worker onnx`: one batch transform a request. It reads model and data from S3 with the job's credentials, and
//! writes `<output path>/<key relative to the input's prefix>.out`.

mod archive;
mod filter;
mod model;
mod objects;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;

use api_sagemaker::{DataProcessing, TransformInput, TransformOutput};
use arrow::array::RecordBatch;
use bytes::Bytes;
use compute::worker::{Answer, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use objects::{Access, Object};

use crate::program::Needed;
use filter::Filter;
use model::Model;
use objects::client;
use table::Format;

/// A model's archive, and what else decides how it is run.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Source {
    pub(crate) access: Access,
    pub(crate) model_data_url: String,
    /// The program that the container's environment names.
    #[serde(default)]
    pub(crate) named: Option<String>,
    #[serde(default)]
    pub(crate) image: String,
}

/// What the server asks for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(flatten)]
    pub(crate) source: Source,
    pub(crate) input: TransformInput,
    pub(crate) output: TransformOutput,
    pub(crate) processing: DataProcessing,
}

struct Plan {
    input: Format,
    output: Format,
    input_filter: Filter,
    output_filter: Filter,
    join: bool,
    gzip: bool,
}

/// Answers one request; for `compute::worker::serve`.
pub fn onnx(request: Value) -> Answer {
    Box::pin(transform(request))
}

/// `libonnxruntime.so`, of the packages that the worker was started with.
fn library() -> Result<PathBuf, String> {
    let packages = compute::worker::site_packages().ok_or("this worker was started without onnxruntime")?;
    let folder = packages.join("onnxruntime/capi");
    let entries = std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let is_library = |name: &str| name.starts_with("libonnxruntime.so") || name == "libonnxruntime.dylib";
    entries
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_str().is_some_and(is_library))
        .map(|entry| entry.path())
        .ok_or_else(|| format!("{} holds no libonnxruntime.so", folder.display()))
}

/// What an endpoint's model needs, whose server is a program whatever it is.
async fn inspect(source: &Source) -> Result<Value, Failure> {
    let files = files(source).await?;
    let needed = match how(source, &files).map_err(client)? {
        How::Program(needed) => needed,
        How::Onnx(..) => Needed::builtin("onnx"),
    };
    Ok(json!({ "needed": needed }))
}

async fn files(source: &Source) -> Result<Files, Failure> {
    let archive = source.access.get(&source.model_data_url).await?;
    archive::files(&archive).map_err(client)
}

async fn transform(mut request: Value) -> Result<Value, Failure> {
    let unreadable = |e: serde_json::Error| Failure::new("InternalServerError", e.to_string());
    if let Some(source) = request.get_mut("inspect").map(Value::take) {
        return inspect(&serde_json::from_value(source).map_err(unreadable)?).await;
    }
    let request: Request = serde_json::from_value(request).map_err(unreadable)?;
    let (source, access) = (&request.source, &request.source.access);
    let files = files(source).await?;
    let objects = access.objects(&request.input.data_source.s3_data_source).await?;
    let how = match how(source, &files).map_err(client)? {
        // Formats and outputs that only Python's library gives.
        How::Onnx(..) if Format::of(&request).is_none() => How::Program(Needed::builtin("onnx")),
        other => other,
    };
    let model = match how {
        How::Program(needed) => Err(needed),
        How::Onnx(name, bytes) => library()
            .and_then(|library| Model::load(&library, bytes))
            .map_err(|e| client(format!("{name}: {e}")))?
            .ok_or_else(|| Needed::builtin("onnx")),
    };
    let mut model = match model {
        Ok(model) => model,
        Err(mut needed) => {
            needed.objects = objects;
            return Ok(json!({ "needed": needed }));
        }
    };
    let plan = Plan::new(&request).map_err(client)?;
    let (mut files, mut rows) = (0, 0);
    for object in objects {
        let url = format!("s3://{}/{}", object.bucket, object.key);
        let bytes = access.get(&url).await?;
        let (count, out) = plan.transform(&mut model, bytes).map_err(|e| client(format!("{url}: {e}")))?;
        let target = format!("{}/{}.out", request.output.s3_output_path.trim_end_matches('/'), object.relative);
        access.put(&target, out).await?;
        files += 1;
        rows += count;
    }
    Ok(json!({"files": files, "rows": rows}))
}

type Files = BTreeMap<String, Vec<u8>>;

/// What runs a model.
enum How<'a> {
    Program(Needed),
    /// An ONNX file: its name and bytes.
    Onnx(&'a str, &'a [u8]),
}

/// A script goes before all else: who wrote one wants it.
fn how<'a>(source: &Source, files: &'a Files) -> Result<How<'a>, String> {
    let script = ["code/inference.py", "inference.py"].into_iter().find(|name| files.contains_key(*name));
    let script = source.named.clone().or_else(|| script.map(|_| "inference.py".to_owned()));
    if script.is_some() {
        let wanted = files.get("code/requirements.txt").or_else(|| files.get("requirements.txt"));
        let requirements = wanted.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
        return Ok(How::Program(Needed { program: script, builtin: None, requirements, objects: Vec::new() }));
    }
    let onnx = files.keys().find(|name| *name == "model.onnx" || name.ends_with("/model.onnx"));
    if let Some(name) = onnx.or_else(|| files.keys().find(|name| is_onnx(name))) {
        return Ok(How::Onnx(name, &files[name]));
    }
    if source.image.contains("xgboost") {
        return Ok(How::Program(Needed::builtin("xgboost")));
    }
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    Err(format!("{} holds no inference.py and no ONNX file (there are: {})", source.model_data_url, names.join(", ")))
}

impl Needed {
    fn builtin(name: &str) -> Self {
        let builtin = Some(name.to_owned());
        Self { program: None, builtin, requirements: String::new(), objects: Vec::new() }
    }
}

fn is_onnx(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

impl Plan {
    fn new(request: &Request) -> Result<Self, String> {
        let input = Format::parse(request.input.content_type.as_deref().unwrap_or("text/csv"))?;
        let output = request.output.accept.as_deref().filter(|a| !a.is_empty()).map_or(Ok(input), Format::parse)?;
        match request.input.compression_type.as_deref() {
            None | Some("" | "None" | "Gzip") => {}
            Some(other) => return Err(format!("CompressionType {other} is not supported")),
        }
        let join = match request.processing.join_source.as_deref() {
            None | Some("" | "None") => false,
            Some("Input") => true,
            Some(other) => return Err(format!("JoinSource {other} is not supported")),
        };
        Ok(Self {
            input,
            output,
            input_filter: Filter::parse(request.processing.input_filter.as_deref())?,
            output_filter: Filter::parse(request.processing.output_filter.as_deref())?,
            join,
            gzip: request.input.compression_type.as_deref() == Some("Gzip"),
        })
    }

    /// The number of rows, and the object to write.
    fn transform(&self, model: &mut Model, bytes: Bytes) -> Result<(usize, Vec<u8>), String> {
        let bytes = if self.gzip { archive::unpack(&bytes)?.into() } else { bytes };
        let table = self.input.read(bytes)?;
        let predictions = model.predict(&choose(&table, &self.input_filter)?)?;
        let result = if self.join { join(&table, &predictions)? } else { predictions };
        // The outputs of a model are known once it has run.
        let result = if table.num_rows() == 0 { result } else { choose(&result, &self.output_filter)? };
        Ok((table.num_rows(), self.output.write(&result)?))
    }
}

fn choose(table: &RecordBatch, filter: &Filter) -> Result<RecordBatch, String> {
    let schema = table.schema();
    let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
    table.project(&filter.positions(&names)?).map_err(|e| e.to_string())
}

fn join(left: &RecordBatch, right: &RecordBatch) -> Result<RecordBatch, String> {
    let fields = |table: &RecordBatch| table.schema().fields().iter().map(|f| f.as_ref().clone()).collect::<Vec<_>>();
    let all = [fields(left), fields(right)].concat();
    table::batch(all, [left.columns(), right.columns()].concat(), left.num_rows())
}

#[cfg(test)]
mod tests;
