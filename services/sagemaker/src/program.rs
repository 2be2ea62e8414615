//! Transforms by a program: a Python process of its own, in an environment that the model's image and its `requirements.txt` name.
//! It runs `runtimes/sagemaker/transform.py`; what the worker found in the archive decides whether one is needed.

use std::path::{Path, PathBuf};

use compute::budget::Class;
use compute::pyenv::PyEnv;
use compute::sandbox::{self, Capture, Command};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::SageMaker;
use crate::records::{JobRecord, container};
use crate::transform::{REQUIREMENTS, TIMEOUT};
use crate::worker::{Access, Object, Request};

const PROGRAMS: [(&str, &str); 2] = [
    ("serve.py", include_str!("../../../runtimes/sagemaker/serve.py")),
    ("transform.py", include_str!("../../../runtimes/sagemaker/transform.py")),
];
/// Where a program finds them, where the machine allows that.
const RUNTIME: &str = "/var/runtime";
pub(crate) const MEMORY_MB: u64 = 4096;
const STORAGE_MB: u64 = 2048;
/// AWS's, where a job does not say.
const MAX_PAYLOAD_MB: i32 = 6;

/// What the worker says where it does not transform itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Needed {
    /// The model's own program, by its path in the archive or as `SAGEMAKER_PROGRAM` names it.
    pub(crate) program: Option<String>,
    /// `onnx` or `xgboost`, where it has none.
    pub(crate) builtin: Option<String>,
    /// The text of its `requirements.txt`.
    pub(crate) requirements: String,
    pub(crate) objects: Vec<Object>,
}

#[derive(Deserialize)]
struct End {
    code: Option<String>,
    #[serde(default)]
    message: String,
}

/// Lays the programs out; `folder` is emptied.
fn lay_out(folder: &Path) -> Result<(), String> {
    sandbox::empty_folder(folder).map_err(|error| error.to_string())?;
    let runtime = folder.join("runtime");
    let written = std::fs::create_dir(&runtime)
        .and_then(|()| PROGRAMS.iter().try_for_each(|(name, text)| std::fs::write(runtime.join(name), text)));
    written.map_err(|error| format!("{}: {error}", runtime.display()))
}

/// Packages that an image's name stands for, in the version of its tag where it has one.
pub(crate) fn packages(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or_default();
    let (name, tag) = name.split_once(':').unwrap_or((name, ""));
    let version: Vec<&str> = tag.split(['-', '.']).take_while(|part| part.parse::<u32>().is_ok()).take(2).collect();
    let number = |at: usize| version.get(at).and_then(|part| part.parse::<u32>().ok()).unwrap_or(u32::MAX);
    let of = |package: &str| {
        if version.len() == 2 && tag.contains('.') {
            format!("{package}=={}.*", version.join("."))
        } else {
            package.to_owned()
        }
    };
    // Wheels of before numpy 2 say nothing of it, and break with it.
    let old = |major: u32, minor: u32| if (number(0), number(1)) < (major, minor) { "numpy<2\n" } else { "numpy\n" };
    if name.contains("scikit-learn") || name.contains("sklearn") {
        format!("{}\n{}pandas\n", of("scikit-learn"), old(1, 5))
    } else if name.contains("xgboost") {
        format!("{}\n{}pandas\n", of("xgboost"), old(2, 1))
    } else if name.contains("lightgbm") {
        format!("{}\n{}scikit-learn\npandas\n", of("lightgbm"), old(4, 4))
    } else {
        "numpy\n".to_owned()
    }
}

impl SageMaker {
    /// The Python environment of a model: what its image's name stands for, and what its archive asks for.
    pub(crate) async fn model_environment(&self, image: &str, needed: &Needed, parquet: bool) -> Result<PyEnv, String> {
        let mut requirements = format!("boto3\n{}{}\n", packages(image), needed.requirements);
        if needed.builtin.as_deref() == Some("onnx") || image.contains("onnx") {
            requirements.push_str(REQUIREMENTS);
        }
        if parquet {
            requirements.push_str("pandas\npyarrow\n");
        }
        let env = self.compute.envs.ensure(&requirements, &|line| tracing::info!("{line}")).await;
        env.map_err(|error| format!("the model's environment could not be made: {error}"))
    }

    pub(crate) async fn lay_out(&self) -> Result<(), String> {
        self.laid_out.get_or_try_init(|| async { lay_out(&self.scratch) }).await.copied()
    }

    /// Where a program of ours is, as its process sees it.
    pub(crate) async fn program_at(&self, name: &str) -> PathBuf {
        let isolated = sandbox::is_isolated().await;
        if isolated { Path::new(RUNTIME).join(name) } else { self.scratch.join("runtime").join(name) }
    }

    /// A process of a model, in `folder`, without its arguments. The model's own variables do not replace the platform's.
    pub(crate) async fn model_command(
        &self,
        env: &PyEnv,
        folder: &Path,
        own: impl IntoIterator<Item = (String, String)>,
        access: &Access,
    ) -> std::io::Result<Command> {
        let (isolated, models) = (sandbox::is_isolated().await, folder.join("ml"));
        std::fs::create_dir_all(models.join("model"))?;
        let (python, runtime) = (Path::new("/var/lang/bin/python"), self.scratch.join("runtime"));
        let mut command = Command::new(if isolated { python } else { &env.python });
        command.show(&runtime, if isolated { Path::new(RUNTIME) } else { &runtime });
        command.show(&env.root, if isolated { Path::new("/var/lang") } else { &env.root });
        command
            .folder(folder)
            .read_write(folder)
            .mount(&models, "/opt/ml")
            .temporary_mb(STORAGE_MB)
            .memory_mb(MEMORY_MB);
        for path in &env.read_paths {
            command.read_only(path);
        }
        for (name, value) in own {
            command.env(name, value);
        }
        if !isolated {
            command.env("TMPDIR", folder);
        }
        let model = if isolated { PathBuf::from("/opt/ml/model") } else { models.join("model") };
        command.env("SM_MODEL_DIR", &model).env("HOME", folder).env("PYTHONUNBUFFERED", "1");
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        access.set(&mut command);
        Ok(command)
    }

    pub(crate) async fn program(&self, record: &JobRecord, request: &Request, needed: Needed) -> Result<(), String> {
        let broken = |error: String| format!("InternalServerError: {error}");
        let container = container(&record.model);
        let image = container.and_then(|container| container.image.clone()).unwrap_or_default();
        let parquet = [&request.input.content_type, &request.output.accept]
            .iter()
            .any(|kind| kind.as_deref().is_some_and(|kind| kind.contains("parquet")));
        let env = self.model_environment(&image, &needed, parquet).await;
        let env = env.map_err(|error| format!("ClientError: {error}"))?;
        self.lay_out().await.map_err(broken)?;
        let _permit = self.compute.budget.acquire(Class::User, usize::try_from(MEMORY_MB / 2).unwrap_or(2048)).await;
        let folder = tempfile::tempdir_in(&self.scratch).map_err(|error| broken(error.to_string()))?;
        let at = |name: &str| folder.path().join(name);
        let (asked, result) = (at("request.json"), at("result.json"));
        let job = &record.job;
        let processing = &request.processing;
        let text = json!({
            "model_data_url": request.source.model_data_url, "program": needed.program, "builtin": needed.builtin,
            "objects": needed.objects, "output": request.output.s3_output_path,
            "content_type": request.input.content_type, "accept": request.output.accept,
            "split": request.input.split_type, "gzip": request.input.compression_type.as_deref() == Some("Gzip"),
            "assemble": request.output.assemble_with, "single": job.batch_strategy.as_deref() == Some("SingleRecord"),
            "max_payload_mb": job.max_payload_in_mb.filter(|mb| *mb > 0).unwrap_or(MAX_PAYLOAD_MB),
            "input_filter": processing.input_filter, "output_filter": processing.output_filter,
            "join": processing.join_source.as_deref() == Some("Input"),
        });
        std::fs::write(&asked, text.to_string()).map_err(|error| broken(error.to_string()))?;
        let own = container.and_then(|container| container.environment.clone()).unwrap_or_default();
        let own = own.into_iter().chain(job.environment.clone().unwrap_or_default());
        let command = self.model_command(&env, folder.path(), own, &request.source.access).await;
        let mut command = command.map_err(|error| broken(error.to_string()))?;
        command.arg(self.program_at("transform.py").await).args([&asked, &result]);
        let output = command.output(Capture { bytes: 16 << 10 }, Some(TIMEOUT)).await;
        let output = output.map_err(|error| format!("AlgorithmError: {error}"))?;
        // It may have put anything there.
        let end = sandbox::result(&result).await.ok().flatten();
        match end.and_then(|bytes| serde_json::from_slice::<End>(&bytes).ok()) {
            Some(End { code: None, .. }) => Ok(()),
            Some(End { code: Some(code), message }) => Err(format!("{code}: {message}")),
            None => {
                let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(format!("AlgorithmError: the model's program ended: {}: {said}", output.exit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::packages;

    #[test]
    fn images_stand_for_packages() {
        let account = "683313688378.dkr.ecr.us-east-1.amazonaws.com";
        let of = |name: &str| packages(&format!("{account}/{name}"));
        assert_eq!(of("sagemaker-scikit-learn:1.2-1-cpu-py3"), "scikit-learn==1.2.*\nnumpy<2\npandas\n");
        assert_eq!(of("sagemaker-xgboost:3.0-5"), "xgboost==3.0.*\nnumpy\npandas\n");
        assert_eq!(of("my-lightgbm:latest"), "lightgbm\nnumpy\nscikit-learn\npandas\n");
        assert_eq!(of("pytorch-inference:2.3-cpu-py311"), "numpy\n");
    }
}
