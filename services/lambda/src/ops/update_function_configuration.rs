//! UpdateFunctionConfiguration: new settings for `$LATEST`; what is not named stays.

use api_lambda::{
    EnvironmentResponse, FunctionConfiguration, SnapStartResponse, TracingConfigResponse, UpdateFunctionConfiguration,
    UpdateFunctionConfigurationRequest, VpcConfigResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::create_function::settled;
use super::{prepare, set_layers, touch};
use crate::function::{Name, Scope};
use crate::{Lambda, check, layer};

#[async_trait]
impl Handle<UpdateFunctionConfiguration> for Lambda {
    async fn handle(&self, cx: &Cx, req: UpdateFunctionConfigurationRequest) -> Result<FunctionConfiguration, Error> {
        if let Some(role) = &req.role {
            let name = Name::parse_unqualified(&req.function_name)?;
            cx.router().identity().role_session(role, &name, None).await.map_err(|_| {
                error::invalid_parameter_value_exception(
                    "The role defined for the function cannot be assumed by Lambda.",
                )
            })?;
        }
        req.runtime.as_deref().map_or(Ok(()), check::runtime)?;
        if let Some(runtime) = req.runtime.as_ref().filter(|_| self.config.exact_runtimes) {
            self.preparer.exact(runtime).await?;
        }
        req.timeout.map_or(Ok(()), check::timeout)?;
        req.memory_size.map_or(Ok(()), check::memory_size)?;
        check::variables(&req.environment.clone().unwrap_or_default().variables.unwrap_or_default())?;
        check::file_systems(req.file_system_configs.as_deref().unwrap_or_default(), &self.config)?;
        check::storage(req.ephemeral_storage.as_ref())?;
        check::snap_start(req.snap_start.as_ref())?;
        check::dead_letter(cx.region(), req.dead_letter_config.as_ref())?;
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let (now, revision) = (cx.now(), cx.uuid());
        let function_name = req.function_name.clone();
        let caller = cx.clone();
        let sealed = self.sealed_anew(cx, &req).await?;
        let shown = self.change(cx, &function_name, move |tx, _, function| {
            let latest = &mut function.latest;
            check::revision(req.revision_id.as_deref(), latest.config.revision_id.as_deref())?;
            if let Some(arns) = &req.layers {
                set_layers(latest, layer::resolve(&caller, tx, arns, latest.unpacked_bytes)?);
            }
            let was = latest.config.revision_id.clone();
            apply(&mut latest.config, req.clone())?;
            if let Some((revision, environment)) = &sealed {
                // What was sealed is of the function as it was read.
                if *revision != was {
                    let text = "The operation cannot be performed at this time. An update is in progress for resource";
                    return Err(error::resource_conflict_exception(text));
                }
                latest.config.environment.clone_from(environment);
            }
            touch(&mut latest.config, now, &revision);
            latest.config.last_update_status = Some("InProgress".to_owned());
            latest.config.last_update_status_reason = Some("The function is being created.".to_owned());
            latest.config.last_update_status_reason_code = Some("Creating".to_owned());
            prepare(tx, (&account, &region), latest)?;
            Ok(latest.shown(false))
        });
        let shown = shown.await?;
        self.pool.retire(&format!("{} $LATEST", shown.function_arn.as_deref().unwrap_or_default()));
        Ok(self.told(cx, shown).await)
    }
}

impl Lambda {
    /// The environment as it is kept after the update, where a key has to do with it, and of which revision.
    async fn sealed_anew(&self, cx: &Cx, req: &UpdateFunctionConfigurationRequest) -> Result<Sealed, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let before = self.store.read(|tx| place.load(tx, &name)).await?.latest.config;
        let mut config = before.clone();
        apply(&mut config, req.clone())?;
        if before.kms_key_arn.is_none() && config.kms_key_arn.is_none() {
            return Ok(None);
        }
        self.seal(cx, &mut config, Some(&before)).await?;
        Ok(Some((before.revision_id, config.environment)))
    }
}

type Sealed = Option<(Option<String>, Option<EnvironmentResponse>)>;

fn apply(config: &mut FunctionConfiguration, req: UpdateFunctionConfigurationRequest) -> Result<(), Error> {
    fn set<T>(place: &mut Option<T>, new: Option<T>) {
        if new.is_some() {
            *place = new;
        }
    }
    set(&mut config.role, req.role);
    set(&mut config.handler, req.handler);
    set(&mut config.description, req.description);
    set(&mut config.timeout, req.timeout);
    set(&mut config.memory_size, req.memory_size);
    set(&mut config.runtime, req.runtime);
    set(&mut config.dead_letter_config, req.dead_letter_config);
    set(&mut config.file_system_configs, req.file_system_configs);
    set(&mut config.ephemeral_storage, req.ephemeral_storage);
    set(
        &mut config.environment,
        req.environment.map(|env| EnvironmentResponse { variables: env.variables, error: None }),
    );
    set(&mut config.tracing_config, req.tracing_config.map(|tracing| TracingConfigResponse { mode: tracing.mode }));
    if let Some(key) = req.kms_key_arn {
        config.kms_key_arn = Some(key).filter(|key| !key.is_empty());
    }
    if let Some(durable) = req.durable_config {
        // Source: Lambda Developer Guide, "Configure durable functions": only when a function is created.
        let Some(current) = &mut config.durable_config else {
            return Err(error::invalid_parameter_value_exception(
                "DurableConfig cannot be given to a function that was created without: create a durable function.",
            ));
        };
        set(&mut current.execution_timeout, durable.execution_timeout);
        set(&mut current.retention_period_in_days, durable.retention_period_in_days);
    }
    if let Some(snap) = req.snap_start {
        config.snap_start =
            Some(SnapStartResponse { apply_on: snap.apply_on, optimization_status: Some("Off".to_owned()) });
    }
    if let Some(vpc) = req.vpc_config {
        config.vpc_config = Some(VpcConfigResponse {
            subnet_ids: vpc.subnet_ids,
            security_group_ids: vpc.security_group_ids,
            ipv6_allowed_for_dual_stack: vpc.ipv6_allowed_for_dual_stack,
            vpc_id: Some(String::new()),
        });
    }
    if let Some(logging) = req.logging_config {
        let name = config.function_name.clone().unwrap_or_default();
        let mut current = config.logging_config.clone().unwrap_or_default();
        set(&mut current.log_format, logging.log_format);
        set(&mut current.log_group, logging.log_group);
        if current.log_format.as_deref() != Some("JSON") {
            // Levels that were set before go with the format.
            (current.application_log_level, current.system_log_level) = (None, None);
        }
        set(&mut current.application_log_level, logging.application_log_level);
        set(&mut current.system_log_level, logging.system_log_level);
        check::logging(&current)?;
        config.logging_config = Some(settled(current, &name));
    }
    Ok(())
}
