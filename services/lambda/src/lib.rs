//! Lambda: functions from zip archives, run in warm sandboxed environments over the real Runtime API.
//!
//! | file | owns |
//! |---|---|
//! | `ops/` | one operation each |
//! | [`function`] | records, names, versions and aliases |
//! | [`layer`] | layers: records, names, what a function takes of them |
//! | [`code`], [`prepare`], [`clean`] | archives on disk; unpacking; Python environments; what nobody names goes |
//! | [`runtime`] | environments: process, Runtime API, output, warm pool |
//! | [`invoke`] | one invocation from function to result |
//! | [`streaming`] | responses that are sent while they are written |
//! | [`url`], [`provision`] | function URLs; environments that are there before anybody calls |
//! | [`filters`] | which events of a source a function wants |
//! | [`asynchronous`], [`mapping`], [`stream`] | what runs off the durable queue: `Event` invocations; event source mappings of SQS and of streams |
//! | [`durable`] | durable executions |
//! | [`lines`] | the platform's own lines, as text and as JSON |
//!
//! Not here: container images, managed runtimes other than Python and Node.js (a `bootstrap` of one's own works),
//! isolation of the network.

mod answers;
mod asynchronous;
mod check;
mod clean;
mod code;
mod config;
mod durable;
mod failure;
mod filters;
mod function;
mod invoke;
mod layer;
mod lines;
mod mapping;
mod ops;
mod prepare;
mod provision;
mod runtime;
mod stream;
mod streaming;
mod url;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use compute::Compute;
use compute::budget::Budget;
use compute::pool::Pool;
use sealing::Sealer;
use service::authorization::{Guard, ResourcePolicy};
use service::{Platform, Router, operations};
use store::Store;

use crate::answers::Answers;
use crate::code::Archive;
use crate::config::Config;
use crate::invoke::Slots;
use crate::prepare::Preparer;
pub use crate::runtime::Host;
use crate::runtime::{Environment, Means, Templates};
pub use crate::streaming::Pieces;
pub use crate::url::{PREFIX as URL_PREFIX, UrlBody, UrlCall};

/// Asynchronous invocations that run side by side.
const EVENTS_AT_ONCE: usize = 64;
/// How long a link to a function's code works, as AWS's does.
const LINK: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

/// The service.
pub struct Lambda {
    me: Weak<Self>,
    router: Arc<Router>,
    store: Store,
    config: Config,
    archive: Archive,
    preparer: Preparer,
    pool: Pool<Environment>,
    templates: Templates,
    budget: Budget,
    slots: Slots,
    answers: Answers,
    sealer: Sealer,
    scratch: PathBuf,
    endpoint: String,
    /// Where its URLs lead.
    shown: String,
    /// Told whenever a durable execution may have ended.
    ended: tokio::sync::Notify,
    /// Answers on their way, by request.
    streams: Mutex<BTreeMap<String, (jiff::Timestamp, Pieces)>>,
    links: Mutex<BTreeMap<String, (jiff::Timestamp, PathBuf)>>,
}

/// Makes the service and registers its operations and runners.
///
/// # Errors
/// A text that says which setting of `[lambda]` is wrong, or what is wrong with its folder.
pub fn register(platform: &Platform, compute: &Compute) -> Result<Arc<Lambda>, String> {
    let config: Config = platform.settings.section("lambda")?;
    let folder = platform.data.join("lambda");
    let scratch = folder.join("scratch");
    compute::sandbox::empty_folder(&scratch).map_err(|error| error.to_string())?;
    let archive = Archive::new(folder.join("code"), platform.objects.clone());
    let preparer = Preparer::new(archive.clone(), compute.envs.clone(), folder.join("runtime"))?;
    let pool = Pool::new(compute.budget.clone(), Duration::from_secs(config.idle_seconds));
    let idle = Duration::from_secs(config.template_seconds);
    let templates = Templates::new(compute.budget.clone(), idle, config.read_paths.clone());
    let service = Arc::new_cyclic(|me| Lambda {
        me: me.clone(),
        router: Arc::clone(&platform.router),
        store: platform.control.store().clone(),
        config,
        archive,
        preparer,
        pool,
        templates,
        budget: compute.budget.clone(),
        slots: Slots::default(),
        answers: Answers::default(),
        sealer: Sealer::new(variables::BY),
        scratch,
        endpoint: platform.endpoint.clone(),
        shown: platform.shown_endpoint(),
        ended: tokio::sync::Notify::new(),
        streams: Mutex::default(),
        links: Mutex::default(),
    });
    operations!(
        platform.router, service, api_lambda:
        AddLayerVersionPermission, AddPermission, CheckpointDurableExecution, CreateAlias, CreateEventSourceMapping, CreateFunction, CreateFunctionUrlConfig, DeleteAlias, DeleteDurableExecution, DeleteEventSourceMapping, DeleteFunction, DeleteFunctionConcurrency, DeleteFunctionEventInvokeConfig, DeleteFunctionUrlConfig, DeleteLayerVersion, DeleteProvisionedConcurrencyConfig, GetAccountSettings, GetAlias, GetDurableExecution, GetDurableExecutionHistory, GetDurableExecutionState, GetEventSourceMapping, GetFunction, GetFunctionCodeSigningConfig, GetFunctionConcurrency, GetFunctionConfiguration, GetFunctionEventInvokeConfig, GetFunctionUrlConfig, GetLayerVersion, GetLayerVersionByArn, GetLayerVersionPolicy, GetPolicy, GetProvisionedConcurrencyConfig, Invoke, InvokeWithResponseStream, ListAliases, ListDurableExecutionsByFunction, ListEventSourceMappings, ListFunctionEventInvokeConfigs, ListFunctionUrlConfigs, ListFunctions, ListLayerVersions, ListLayers, ListProvisionedConcurrencyConfigs, ListTags, ListVersionsByFunction, PauseDurableExecution, PublishLayerVersion, PublishVersion, PutFunctionConcurrency, PutFunctionEventInvokeConfig, PutProvisionedConcurrencyConfig, RemoveLayerVersionPermission, RemovePermission, ResumeDurableExecution, SendDurableExecutionCallbackFailure, SendDurableExecutionCallbackHeartbeat, SendDurableExecutionCallbackSuccess, StopDurableExecution, TagResource, UntagResource, UpdateAlias, UpdateEventSourceMapping, UpdateFunctionCode, UpdateFunctionConfiguration, UpdateFunctionEventInvokeConfig, UpdateFunctionUrlConfig,
    );
    let events = Arc::new(asynchronous::Events(service.clone()));
    jobs::register(&platform.control, &platform.router, events, EVENTS_AT_ONCE);
    platform.control.register(asynchronous::OUTCOME, 16, service.clone());
    platform.control.register(asynchronous::PREPARE, asynchronous::PREPARED_AT_ONCE, service.clone());
    for kind in [durable::drive::DRIVE, durable::drive::CHAIN, durable::drive::EXPIRE] {
        platform.control.register(kind, durable::drive::AT_ONCE, service.clone());
    }
    platform.control.register(mapping::POLL, 1000, service.clone());
    platform.control.register(provision::PROVISION, provision::AT_ONCE, service.clone());
    platform.router.add_guard("lambda", service.clone());
    service.archive.forget_halves();
    tokio::spawn(clean::run(Arc::downgrade(&service)));
    Ok(service)
}

impl Lambda {
    /// How many environments are warm and idle, and how many are in use or asked for.
    pub fn environments(&self) -> (usize, usize) {
        self.pool.census()
    }

    /// What environments are started with.
    pub(crate) fn means(&self) -> Means<'_> {
        Means { templates: &self.templates, archive: &self.archive, budget: &self.budget }
    }

    /// The archive that a link of `GetFunction` names, for the server to send; `None` when it is unknown or too old.
    pub fn linked_code(&self, link: &str) -> Option<PathBuf> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, (until, _)| *until > self.router.now());
        links.get(link).map(|(_, file)| file.clone())
    }

    /// A link to an archive: `<endpoint>/_lakerun/lambda/code/<link>`.
    fn link_code(&self, cx: &service::Cx, code: &str) -> String {
        let link = cx.uuid();
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.retain(|_, (until, _)| *until > cx.now());
        links.insert(link.clone(), (cx.now() + LINK, self.archive.file(code)));
        format!("{}/_lakerun/lambda/code/{link}", self.shown)
    }
}

#[async_trait]
impl Guard for Lambda {
    /// The policy of a function, a version or an alias, which `AddPermission` makes.
    async fn policy(&self, _: &service::Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, wire::Error> {
        let arn = wire::arn::Arn::parse(resource).filter(|arn| arn.resource.starts_with("function:"));
        let (Some(arn), Ok(name)) = (arn, function::Name::parse(resource, None)) else { return Ok(None) };
        // Another account asks about what is the function's account's.
        let place = function::Scope { account: arn.account, region: arn.region };
        let qualifier = name.qualifier.as_deref().filter(|qualifier| *qualifier != "$LATEST");
        let key = place.policy(&name.name, qualifier);
        let policy: Option<function::Policy> = self.store.read(|tx| tx.get_json(&key)).await?;
        let policy =
            policy.map(|policy| serde_json::json!({ "Version": "2012-10-17", "Statement": policy.statements }));
        Ok(policy.map(|policy| ResourcePolicy { policy, must_allow: false }))
    }
}
