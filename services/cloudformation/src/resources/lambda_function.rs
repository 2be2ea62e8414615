//! AWS::Lambda::Function: Ref is its name; Arn.

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{Context, Kind, Made, Updated, defaults, differ, only, pick, required, text};
use crate::Result;

pub(super) struct Function;

use base64::Engine as _;

const CONFIGURATION: [&str; 18] = [
    "DeadLetterConfig",
    "Description",
    "DurableConfig",
    "Environment",
    "EphemeralStorage",
    "FileSystemConfigs",
    "Handler",
    "ImageConfig",
    "KmsKeyArn",
    "Layers",
    "LoggingConfig",
    "MemorySize",
    "Role",
    "Runtime",
    "SnapStart",
    "Timeout",
    "TracingConfig",
    "VpcConfig",
];

#[async_trait]
impl Kind for Function {
    async fn create(&self, at: &Context, properties: &Value) -> Result<Made> {
        check(properties)?;
        let name = at.name(properties, "FunctionName", 64);
        let mut input = pick(properties, &CONFIGURATION);
        input.extend(pick(properties, &["Architectures", "PackageType"]));
        input.insert("FunctionName".to_owned(), name.clone().into());
        input.insert("Code".to_owned(), code(required(properties, "Code")?, properties)?);
        input.insert("Tags".to_owned(), at.tag_map(properties));
        let output = call(at, "CreateFunction", input.into()).await?;
        let made = Made::new(name, json!({ "Arn": output["FunctionArn"] }));
        at.begun(&made);
        if properties.get("ReservedConcurrentExecutions").is_some() {
            concurrency(at, &made.physical_id, properties).await?;
        }
        Ok(made)
    }

    async fn update(&self, at: &Context, made: &Made, old: &Value, new: &Value) -> Result<Updated> {
        check(new)?;
        // Durable is what a function is made as, or never.
        let durable = |properties: &Value| properties.get("DurableConfig").is_some();
        if differ(old, new, &["FunctionName", "PackageType"]) || durable(old) != durable(new) {
            return Ok(Updated::Replace);
        }
        let name = &made.physical_id;
        if differ(old, new, &["Code", "Architectures"]) {
            let mut input = code(required(new, "Code")?, new)?;
            input["FunctionName"] = name.clone().into();
            call(at, "UpdateFunctionCode", input).await?;
        }
        if differ(old, new, &CONFIGURATION) {
            let mut input = pick(new, &CONFIGURATION);
            defaults::reset(&mut input, "AWS::Lambda::Function", old, new);
            if old.get("LoggingConfig").is_some() && new.get("LoggingConfig").is_none() {
                let group = format!("/aws/lambda/{name}");
                input.insert("LoggingConfig".to_owned(), json!({ "LogFormat": "Text", "LogGroup": group }));
            }
            input.insert("FunctionName".to_owned(), name.clone().into());
            call(at, "UpdateFunctionConfiguration", input.into()).await?;
        }
        if differ(old, new, &["ReservedConcurrentExecutions"]) {
            concurrency(at, name, new).await?;
        }
        Ok(Updated::InPlace(made.clone()))
    }

    async fn delete(&self, at: &Context, made: &Made, _: &Value) -> Result<()> {
        at.call_if_there("lambda", "DeleteFunction", json!({ "FunctionName": made.physical_id })).await
    }
}

fn check(properties: &Value) -> Result<()> {
    let mut known = CONFIGURATION.to_vec();
    known.extend(["Architectures", "Code", "FunctionName", "PackageType", "ReservedConcurrentExecutions", "Tags"]);
    only(properties, &known)
}

/// Already bytes in base64 where it has any: the typed value of `ZipFile` is not text.
async fn call(at: &Context, operation: &str, input: Value) -> Result<Value> {
    match at.cx.router().find_asl("lambda", operation) {
        None => Err(wire::Error::not_implemented(format!("lambda:{operation}"))),
        Some(spec) => {
            let input = wire::codec::validate::prepare(spec.input, super::fit(spec.input, input))?;
            let answer = at.cx.router().call_canonical(&at.cx, spec, input).await?;
            at.touch();
            Ok(answer)
        }
    }
}

/// Inline source is put into a zip as `index.py` or `index.js`, as CloudFormation does.
fn code(code: &Value, properties: &Value) -> Result<Value> {
    only(code, &["ImageUri", "S3Bucket", "S3Key", "S3ObjectVersion", "SourceKMSKeyArn", "ZipFile"])?;
    let Some(source) = code.get("ZipFile") else { return Ok(code.clone()) };
    let runtime = properties.get("Runtime").map(text).unwrap_or_default();
    let name = if runtime.starts_with("nodejs") { "index.js" } else { "index.py" };
    let zip = super::zip::store(name, text(source).as_bytes());
    Ok(json!({ "ZipFile": base64::engine::general_purpose::STANDARD.encode(zip) }))
}

async fn concurrency(at: &Context, name: &str, properties: &Value) -> Result<()> {
    match properties.get("ReservedConcurrentExecutions") {
        Some(n) => {
            let input = json!({ "FunctionName": name, "ReservedConcurrentExecutions": n });
            at.call("lambda", "PutFunctionConcurrency", input).await?;
            Ok(())
        }
        None => at.call_if_there("lambda", "DeleteFunctionConcurrency", json!({ "FunctionName": name })).await,
    }
}
