//! CloudFormation: stacks of resources made from templates.
//!
//! Map: [`template`] parse, check, order · [`parameters`], [`intrinsics`] values · [`records`], [`stacks`] what is stored ·
//! [`start`] beginning operations · [`engine`] carrying them out, a durable task each · [`resources`] one file per type ·
//! [`ops`] the API.
//!
//! Not here: nested stacks, macros and transforms, imports and exports between stacks, drift, stack sets.

mod engine;
mod intrinsics;
mod ops;
mod parameters;
mod records;
mod resources;
mod stacks;
mod start;
mod template;

use std::sync::Arc;

use api_cloudformation as api;
use service::{Platform, Router, operations};
use store::Store;

type Result<T, E = wire::Error> = std::result::Result<T, E>;

/// The service.
#[derive(Debug)]
pub struct CloudFormation {
    router: Arc<Router>,
    store: Store,
}

/// Operations that are carried out side by side.
const OPERATIONS_AT_ONCE: usize = 4;

/// A template's text, JSON or YAML with short tags, as JSON with the long forms: for tools that change templates.
///
/// # Errors
/// ValidationError with the place where it does not parse.
pub fn template_to_json(text: &str) -> Result<serde_json::Value> {
    template::to_json(text)
}

/// Makes the service, and registers its operations and its task runner.
pub fn register(platform: &Platform) -> Arc<CloudFormation> {
    let service = Arc::new(CloudFormation { router: platform.router.clone(), store: platform.control.store().clone() });
    operations!(platform.router, service, api:
        CreateChangeSet, CreateStack, DeleteChangeSet, DeleteStack, DescribeChangeSet, DescribeStackEvents,
        DescribeStackResource, DescribeStackResources, DescribeStacks, ExecuteChangeSet, GetTemplate, GetTemplateSummary,
        ListChangeSets, ListStackResources, ListStacks, UpdateStack, ValidateTemplate);
    let operations = Arc::new(engine::Operations(service.clone()));
    jobs::register(&platform.control, &platform.router, operations, OPERATIONS_AT_ONCE);
    service
}
