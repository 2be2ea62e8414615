//! `lakerun worker onnx`: one batch transform a request. It reads model and data from S3 with the job's credentials, and
//! writes `<output path>/<key relative to the input's prefix>.out`.

mod archive;
mod filter;
mod model;
mod objects;
mod table;

use std::path::PathBuf;

use api_sagemaker::{DataProcessing, TransformInput, TransformOutput};
use arrow::array::RecordBatch;
use bytes::Bytes;
use compute::worker::{Answer, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use objects::Access;

use filter::Filter;
use model::Model;
use objects::client;
use table::Format;

/// What the server asks for.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) access: Access,
    /// `libonnxruntime.so`.
    pub(crate) library: PathBuf,
    pub(crate) model_data_url: String,
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
}

/// Answers one request; for `compute::worker::serve`.
pub fn onnx(request: Value) -> Answer {
    Box::pin(transform(request))
}

async fn transform(request: Value) -> Result<Value, Failure> {
    let request: Request =
        serde_json::from_value(request).map_err(|e| Failure::new("InternalServerError", e.to_string()))?;
    let plan = Plan::new(&request).map_err(client)?;
    let archive = request.access.get(&request.model_data_url).await?;
    let mut model = load(&request, &archive).map_err(client)?;
    let (mut files, mut rows) = (0, 0);
    for object in request.access.objects(&request.input.data_source.s3_data_source).await? {
        let url = format!("s3://{}/{}", object.bucket, object.key);
        let bytes = request.access.get(&url).await?;
        let (count, out) = plan.transform(&mut model, bytes).map_err(|e| client(format!("{url}: {e}")))?;
        let target = format!("{}/{}.out", request.output.s3_output_path.trim_end_matches('/'), object.relative);
        request.access.put(&target, out).await?;
        files += 1;
        rows += count;
    }
    Ok(json!({"files": files, "rows": rows}))
}

fn load(request: &Request, archive: &[u8]) -> Result<Model, String> {
    let files = archive::files(archive)?;
    let onnx = files.keys().find(|name| *name == "model.onnx" || name.ends_with("/model.onnx"));
    let Some(name) = onnx.or_else(|| files.keys().find(|name| is_onnx(name))) else {
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        return Err(format!("{} holds no ONNX file (there are: {})", request.model_data_url, names.join(", ")));
    };
    Model::load(&request.library, &files[name]).map_err(|e| format!("{name}: {e}"))
}

fn is_onnx(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx"))
}

impl Plan {
    fn new(request: &Request) -> Result<Self, String> {
        let input = Format::parse(request.input.content_type.as_deref().unwrap_or("text/csv"))?;
        let output = request.output.accept.as_deref().filter(|a| !a.is_empty()).map_or(Ok(input), Format::parse)?;
        match request.input.compression_type.as_deref() {
            None | Some("" | "None") => {}
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
        })
    }

    /// The number of rows, and the object to write.
    fn transform(&self, model: &mut Model, bytes: Bytes) -> Result<(usize, Vec<u8>), String> {
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
