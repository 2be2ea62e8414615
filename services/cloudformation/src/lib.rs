//! CloudFormation: stacks of resources made from templates.
//!
//! Map: [`template`] parse, check, order · [`parameters`], [`intrinsics`] values · [`records`], [`stacks`] what is stored ·
//! [`start`] beginning operations · [`engine`] carrying them out, a durable task each · [`resources`] one file per type ·
//! [`ops`] the API.
//!
//! [`process`] carrying out transforms, with [`serverless`] and [`macros`] · [`policy`] which resources updates may touch.
//!
//! [`cloud_control`] the Cloud Control API: the same types of resources one by one, without stacks.
//!
//! [`dynamic`] references to values that other services keep · [`notify`] telling topics of events.
//!
//! [`sweep`] what is forgotten.
//!
//! [`answers`] links by which custom resources and wait conditions are answered.
//!
//! [`signals`] what resources wait for · [`triggers`] alarms by which operations go back.
//!
//! Not here: stack sets.

mod answers;
mod cloud_control;
mod dynamic;
mod engine;
mod intrinsics;
mod macros;
mod notify;
mod ongoing;
mod ops;
mod parameters;
mod policy;
mod process;
mod records;
mod resources;
mod serverless;
mod signals;
mod stacks;
mod start;
mod sweep;
mod template;
mod triggers;

use std::sync::Arc;

use api_cloudformation as api;
use compute::pyenv::PythonEnvs;
use service::{Platform, Router, operations};
use store::Store;

type Result<T, E = wire::Error> = std::result::Result<T, E>;

/// The service.
pub struct CloudFormation {
    router: Arc<Router>,
    store: Store,
    answers: answers::Answers,
    /// Where the Serverless transform runs; none in the simulation.
    envs: Option<PythonEnvs>,
}

impl std::fmt::Debug for CloudFormation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CloudFormation")
    }
}

/// Operations that are carried out side by side.
/// Stacks wait for the stacks within them, so there have to be more than are ever nested.
const OPERATIONS_AT_ONCE: usize = 256;

/// A template's text, JSON or YAML with short tags, as JSON with the long forms: for tools that change templates.
///
/// # Errors
/// ValidationError with the place where it does not parse.
pub fn template_to_json(text: &str) -> Result<serde_json::Value> {
    template::to_json(text)
}

/// The names of all types of resources, but for those that templates make up (`Custom::…`).
pub fn types() -> Vec<&'static str> {
    resources::names()
}

pub use answers::ANSWERS;

impl CloudFormation {
    /// Puts the daily task that forgets what is old on the queue.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn start(&self) -> Result<(), store::Error> {
        sweep::start(&self.store).await
    }

    /// Takes what somebody puts to a link of a custom resource or wait condition; false where there is no such link.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn take_answer(&self, token: &str, body: &[u8]) -> Result<bool> {
        self.answers.take(token, body).await
    }
}

/// Makes the service, and registers its operations and its task runner.
pub fn register(platform: &Platform, envs: Option<PythonEnvs>) -> Arc<CloudFormation> {
    let (router, store) = (platform.router.clone(), platform.control.store().clone());
    let answers = answers::Answers::new(store.clone(), &platform.endpoint);
    let service = Arc::new(CloudFormation { router, store, answers, envs });
    operations!(platform.router, service, api:
        CancelUpdateStack, ContinueUpdateRollback, CreateChangeSet, CreateStack, DeleteChangeSet, DeleteStack, DescribeChangeSet, DescribeStackDriftDetectionStatus, DescribeStackEvents,
        DescribeStackResource, DescribeStackResourceDrifts, DescribeStackResources, DescribeStacks, DescribeType, DetectStackDrift, DetectStackResourceDrift, ExecuteChangeSet, GetStackPolicy, GetTemplate,
        GetTemplateSummary, ListChangeSets, ListExports, ListImports, ListStackResources, ListStacks, ListTypes, RollbackStack,
        SetStackPolicy, SignalResource, UpdateStack,
        UpdateTerminationProtection, ValidateTemplate);
    let operations = Arc::new(ongoing::Job(engine::Operations(service.clone())));
    jobs::register(&platform.control, &platform.router, operations, OPERATIONS_AT_ONCE);
    platform.control.register(notify::TELL, notify::AT_ONCE, Arc::new(notify::Teller(Arc::clone(&platform.router))));
    platform.control.register(sweep::SWEEP, 1, Arc::new(sweep::Sweeper(service.clone())));
    cloud_control::register(platform, &service);
    service
}
