//! SageMaker: models and batch transform. A transform job is a durable task (`sagemaker:transform`) that hands model and
//! data to a worker: `lakerun worker onnx` for archives that hold an ONNX file, a Python process for those with an
//! `inference.py`. Workers reach S3 over HTTP with the credentials of the attempt.
//!
//! | module | what it holds |
//! |---|---|
//! | `ops` | one operation a file |
//! | `records` | models, endpoints and transform jobs as stored, tags |
//! | `transform` | a job's work and end; `event` |
//! | `program` | transforms by the model's own `inference.py` |
//! | `endpoint` | endpoints: models that stay loaded and are called |
//! | `listing` | what all lists have in common |
//! | [`worker`] | the child process: archive, ONNX session, formats, filters |
//!
//! Beyond AWS: content type `application/x-parquet`. Columns are matched to the model's inputs by name; with JoinSource=Input
//! the output holds the input's columns and the predictions, and filters (`$['a','b']`) choose columns by name.
//!
//! Not here: training, containers. The image of a model is not run:
//! its name says which packages its program finds.

mod endpoint;
mod event;
mod listing;
mod ops;
mod program;
mod records;
mod transform;
pub mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use compute::Compute;
use compute::pool::Pool;
use service::{Platform, Router, operations};
use store::Store;
use tokio::sync::OnceCell;

use crate::endpoint::call::Slots;
use crate::endpoint::server::Server;
use crate::endpoint::{asynchronous, deploy, notice};

pub use transform::REQUIREMENTS;

/// The service.
pub struct SageMaker {
    me: Weak<Self>,
    store: Store,
    router: Arc<Router>,
    compute: Compute,
    endpoint: String,
    scratch: PathBuf,
    /// Whether the scratch folder holds the programs.
    laid_out: OnceCell<()>,
    /// Servers of models that are warm.
    servers: Pool<Server>,
    slots: Arc<Slots>,
}

impl SageMaker {
    /// How many models' servers are warm and idle, and how many are in use or asked for.
    pub fn servers(&self) -> (usize, usize) {
        self.servers.census()
    }
}

impl std::fmt::Debug for SageMaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SageMaker")
    }
}

/// How long a model's server is kept without a call: an endpoint takes nothing of the machine then.
const IDLE: std::time::Duration = std::time::Duration::from_mins(5);
/// Transforms that work side by side.
const TRANSFORMS_AT_ONCE: usize = 8;

/// Adds the operations to the table and the runners to the queue.
pub fn register(platform: &Platform, compute: &Compute) -> Arc<SageMaker> {
    let service = Arc::new_cyclic(|me| SageMaker {
        me: me.clone(),
        store: platform.control.store().clone(),
        router: platform.router.clone(),
        compute: compute.clone(),
        endpoint: platform.endpoint.clone(),
        scratch: platform.data.join("sagemaker").join("scratch"),
        laid_out: OnceCell::new(),
        servers: Pool::new(compute.budget.clone(), IDLE),
        slots: Arc::default(),
    });
    operations!(platform.router, service, api_sagemaker: AddTags, CreateEndpoint, CreateEndpointConfig, CreateModel,
        CreateTransformJob, DeleteEndpoint, DeleteEndpointConfig, DeleteModel, DeleteTags, DescribeEndpoint,
        DescribeEndpointConfig, DescribeModel, DescribeTransformJob, ListEndpointConfigs, ListEndpoints, ListModels, ListTags,
        ListTransformJobs, StopTransformJob, UpdateEndpoint, UpdateEndpointWeightsAndCapacities);
    operations!(platform.router, service, api_sagemakerruntime: InvokeEndpoint, InvokeEndpointAsync);
    let transforms = Arc::new(transform::Transforms(service.clone()));
    jobs::register(&platform.control, &platform.router, transforms, TRANSFORMS_AT_ONCE);
    let calls = Arc::new(asynchronous::Calls(service.clone()));
    jobs::register(&platform.control, &platform.router, calls, asynchronous::AT_ONCE);
    platform.control.register(deploy::DEPLOY, deploy::AT_ONCE, service.clone());
    platform.control.register(notice::NOTICE, notice::AT_ONCE, Arc::new(notice::Notices(service.clone())));
    service
}
