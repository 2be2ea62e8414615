//! CreateFunction: checks, keeps the code, and has it made ready; the function is Pending until then.

use api_lambda::{
    CreateFunction, CreateFunctionRequest, EnvironmentResponse, EphemeralStorage, FunctionConfiguration, LoggingConfig,
    RuntimeVersionConfig, SnapStartResponse, TracingConfigResponse, VpcConfigResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::{Source, prepare, publish, set_layers, touch};
use crate::function::{Function, LATEST, Name, Scope, Version};
use crate::{Lambda, check, layer, mapping};

#[async_trait]
impl Handle<CreateFunction> for Lambda {
    async fn handle(&self, cx: &Cx, req: CreateFunctionRequest) -> Result<FunctionConfiguration, Error> {
        let place = Scope::of(cx);
        let name = Name::parse_unqualified(&req.function_name)?;
        check_request(cx, &req, self)?;
        if self.config.exact_runtimes {
            self.preparer.exact(req.runtime.as_deref().unwrap_or_default()).await?;
        }
        cx.router().identity().role_session(&req.role, &name, None).await.map_err(|_| {
            error::invalid_parameter_value_exception("The role defined for the function cannot be assumed by Lambda.")
        })?;
        let exists =
            || error::resource_conflict_exception(format!("Function already exist: {name}")).with("Type", "User");
        if cx.task_id().is_none() && self.store.read(|tx| place.load(tx, &name)).await.is_ok() {
            return Err(exists());
        }
        let source = Source {
            zip: req.code.zip_file.clone(),
            bucket: req.code.s3_bucket.clone(),
            key: req.code.s3_key.clone(),
            object_version: req.code.s3_object_version.clone(),
        };
        let code = self.fetch(cx, source).await?;
        let mut config = configuration(&place, &name, &req);
        config.code_size = Some(code.bytes);
        config.code_sha256 = Some(code.sha256);
        touch(&mut config, cx.now(), &cx.uuid());
        self.seal(cx, &mut config, None).await?;
        let function = Function {
            v: 1,
            latest: Version { config, code: code.name, layers: Vec::new(), unpacked_bytes: code.unpacked_bytes },
            tags: req.tags.unwrap_or_default(),
            reserved: None,
            last_version: 0,
        };
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let wants_version = req.publish == Some(true);
        let (caller, layers) = (cx.clone(), req.layers.unwrap_or_default());
        let shown = cx.write(&self.store, move |tx| {
            let mut function = function.clone();
            set_layers(&mut function.latest, layer::resolve(&caller, tx, &layers, code.unpacked_bytes)?);
            let name = function.latest.config.function_name.clone().unwrap_or_default();
            if tx.get(place.function(&name))?.is_some() {
                let message = format!("Function already exist: {name}");
                return Err(error::resource_conflict_exception(message).with("Type", "User"));
            }
            let shown =
                if wants_version { publish(tx, &place, &mut function, None)? } else { function.latest.shown(false) };
            prepare(tx, (&account, &region), &function.latest)?;
            tx.put_json(place.function(&name), &function)?;
            mapping::resume(tx, &place, &name)?;
            Ok(shown)
        });
        Ok(self.told(cx, shown.await?).await)
    }
}

fn check_request(cx: &Cx, req: &CreateFunctionRequest, lambda: &Lambda) -> Result<(), Error> {
    if req.package_type.as_deref() == Some("Image") {
        return Err(error::invalid_parameter_value_exception(
            "Container images are not supported here: use a zip archive.",
        ));
    }
    let (Some(runtime), Some(_)) = (&req.runtime, &req.handler) else {
        return Err(error::invalid_parameter_value_exception(
            "Runtime and Handler are mandatory parameters for functions created with deployment packages.",
        ));
    };
    check::runtime(runtime)?;
    check::timeout(req.timeout.unwrap_or(3))?;
    check::memory_size(req.memory_size.unwrap_or(128))?;
    check::variables(&req.environment.clone().unwrap_or_default().variables.unwrap_or_default())?;
    check::file_systems(req.file_system_configs.as_deref().unwrap_or_default(), &lambda.config)?;
    check::storage(req.ephemeral_storage.as_ref())?;
    check::snap_start(req.snap_start.as_ref())?;
    check::dead_letter(cx.region(), req.dead_letter_config.as_ref())?;
    check::logging(&req.logging_config.clone().unwrap_or_default())
}

fn configuration(place: &Scope, name: &str, req: &CreateFunctionRequest) -> FunctionConfiguration {
    let arn = place.arn(name, None);
    let runtime = req.runtime.clone().unwrap_or_default();
    let logging = req.logging_config.clone().unwrap_or_default();
    let vpc = req.vpc_config.clone().map(|vpc| VpcConfigResponse {
        subnet_ids: vpc.subnet_ids,
        security_group_ids: vpc.security_group_ids,
        ipv6_allowed_for_dual_stack: vpc.ipv6_allowed_for_dual_stack,
        vpc_id: Some(String::new()),
    });
    FunctionConfiguration {
        function_name: Some(name.to_owned()),
        runtime_version_config: Some(RuntimeVersionConfig {
            runtime_version_arn: Some(format!(
                "{}::runtime:{runtime}",
                arn.split(":function:").next().unwrap_or_default()
            )),
            error: None,
        }),
        function_arn: Some(arn),
        runtime: Some(runtime),
        role: Some(req.role.clone()),
        handler: req.handler.clone(),
        description: Some(req.description.clone().unwrap_or_default()),
        timeout: Some(req.timeout.unwrap_or(3)),
        memory_size: Some(req.memory_size.unwrap_or(128)),
        version: Some(LATEST.to_owned()),
        vpc_config: vpc,
        dead_letter_config: req.dead_letter_config.clone(),
        environment: req.environment.clone().map(|env| EnvironmentResponse { variables: env.variables, error: None }),
        kms_key_arn: req.kms_key_arn.clone().filter(|arn| !arn.is_empty()),
        tracing_config: Some(TracingConfigResponse {
            mode: Some(
                req.tracing_config
                    .as_ref()
                    .and_then(|tracing| tracing.mode.clone())
                    .unwrap_or_else(|| "PassThrough".to_owned()),
            ),
        }),
        state: Some("Pending".to_owned()),
        state_reason: Some("The function is being created.".to_owned()),
        state_reason_code: Some("Creating".to_owned()),
        file_system_configs: req.file_system_configs.clone(),
        package_type: Some("Zip".to_owned()),
        architectures: Some(req.architectures.clone().unwrap_or_else(|| vec!["x86_64".to_owned()])),
        ephemeral_storage: Some(req.ephemeral_storage.clone().unwrap_or(EphemeralStorage { size: 512 })),
        snap_start: Some(SnapStartResponse {
            apply_on: Some(
                req.snap_start.as_ref().and_then(|snap| snap.apply_on.clone()).unwrap_or_else(|| "None".to_owned()),
            ),
            optimization_status: Some("Off".to_owned()),
        }),
        logging_config: Some(settled(logging, name)),
        durable_config: req.durable_config.clone(),
        ..FunctionConfiguration::default()
    }
}

/// With what AWS takes where nothing is said: levels are those of JSON alone.
pub(super) fn settled(logging: LoggingConfig, name: &str) -> LoggingConfig {
    let is_json = logging.log_format.as_deref() == Some("JSON");
    let level = |set: Option<String>| if is_json { Some(set.unwrap_or_else(|| "INFO".to_owned())) } else { None };
    LoggingConfig {
        log_format: Some(logging.log_format.unwrap_or_else(|| "Text".to_owned())),
        log_group: Some(logging.log_group.unwrap_or_else(|| format!("/aws/lambda/{name}"))),
        application_log_level: level(logging.application_log_level),
        system_log_level: level(logging.system_log_level),
    }
}
