//! The Serverless transform, AWS's own: the package aws-sam-translator in a Python environment that is made at first use.

use std::time::Duration;

use compute::pyenv::PythonEnvs;
use compute::sandbox::Command;
use serde_json::{Value, json};
use service::Cx;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::Error;

use crate::Result;
use crate::parameters::text;
use crate::template::validation;

pub(crate) const NAME: &str = "AWS::Serverless-2016-10-31";
const REQUIREMENTS: &str = "aws-sam-translator==1.115.0\n";
const SCRIPT: &str = include_str!("serverless.py");
const MEMORY_MB: u64 = 1024;
const LONGEST: Duration = Duration::from_mins(2);
/// The script's status for a template that it refuses.
const REFUSED: i32 = 3;

/// The template with its `AWS::Serverless::*` resources made plain ones.
pub(crate) async fn transform(envs: &PythonEnvs, cx: &Cx, template: Value, parameters: Value) -> Result<Value> {
    let request = json!({ "template": template, "parameters": parameters, "policies": policies(cx).await? });
    let clock = cx.router().clock().clone();
    let answer = tokio::select! {
        answer = run(envs, cx.region(), request.to_string()) => answer,
        () = clock.sleep(LONGEST) => Err(Error::internal("the Serverless transform takes too long")),
    }?;
    serde_json::from_slice(&answer).map_err(Error::internal)
}

async fn run(envs: &PythonEnvs, region: &str, request: String) -> Result<Vec<u8>> {
    let broken = |error: compute::Error| Error::internal(format!("the Serverless transform: {error}"));
    let env = envs.ensure(REQUIREMENTS, &|line| tracing::info!("{line}")).await.map_err(broken)?;
    let mut command = Command::new(&env.python);
    command.args(["-I", "-c", SCRIPT]).env("AWS_DEFAULT_REGION", region).env("AWS_EC2_METADATA_DISABLED", "true");
    command.stdin().memory_mb(MEMORY_MB);
    for path in &env.read_paths {
        command.read_only(path);
    }
    let mut child = command.spawn().await.map_err(broken)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A process that has ended early says why by itself.
            let _ = stdin.write_all(request.as_bytes()).await;
        }
    };
    let (mut out, mut errors) = (Vec::new(), Vec::new());
    let read = async {
        match stdout {
            Some(mut stdout) => stdout.read_to_end(&mut out).await.map(drop),
            None => Ok(()),
        }
    };
    let read_errors = async {
        match stderr {
            Some(mut stderr) => stderr.read_to_end(&mut errors).await.map(drop),
            None => Ok(()),
        }
    };
    let ((), read, read_errors) = tokio::join!(write, read, read_errors);
    read.and(read_errors).map_err(Error::internal)?;
    let exit = child.wait().await.map_err(broken)?;
    let told = String::from_utf8_lossy(&errors);
    match exit.code() {
        Some(0) => Ok(out),
        Some(REFUSED) => Err(validation(format!("Transform {NAME} failed with: {told}"))),
        _ => {
            tracing::error!(%exit, stderr = %told, "the Serverless transform ended");
            let last = told.lines().last().unwrap_or_default();
            Err(validation(format!("Transform {NAME} failed with: Internal transform failure: {last}")))
        }
    }
}

/// AWS's managed policies by name.
async fn policies(cx: &Cx) -> Result<Value> {
    let listed = cx.as_platform().call_json("iam", "listPolicies", json!({ "Scope": "AWS" })).await?;
    let policies = listed["Policies"].as_array().into_iter().flatten();
    Ok(policies.map(|policy| (text(&policy["PolicyName"]), policy["Arn"].clone())).collect())
}
