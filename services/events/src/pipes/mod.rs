//! EventBridge Pipes: what comes out of a queue or a stream goes, filtered, changed and enriched, to a target.
//!
//! Map: [`record`] pipes as records, and what they may be · [`run`] the durable task that follows a pipe's source, [`queue`] or
//! [`stream`] · [`batch`] what becomes of what came: filters, templates, enrichment, target · [`template`] input templates (pure) · [`trace`] metrics and logs ·
//! `ops` the operations. Source: EventBridge User Guide, "Amazon EventBridge Pipes".
//!
//! Not here: Kinesis, Kafka and brokers as sources; logs of pipes in S3 and Firehose.

mod batch;
mod ops;
mod queue;
mod record;
mod run;
mod stream;
mod template;
mod trace;

use std::sync::Arc;

use service::{Platform, operations};
use store::Store;

use crate::destination::Destinations;

/// The service.
#[derive(Debug)]
pub(crate) struct Pipes {
    store: Store,
}

/// Pipes that run at once: each is a task that waits.
const MOST: usize = 1000;

pub(crate) fn register(platform: &Platform, destinations: Arc<Destinations>) {
    let store = platform.control.store().clone();
    let service = Arc::new(Pipes { store: store.clone() });
    operations!(platform.router, service, api_pipes:
        CreatePipe, DeletePipe, DescribePipe, ListPipes, ListTagsForResource, StartPipe, StopPipe, TagResource, UntagResource, UpdatePipe,
    );
    let runner =
        run::Piper { router: platform.router.clone(), endpoint: platform.endpoint.clone(), store, destinations };
    platform.control.register(run::RUN, MOST, Arc::new(runner));
}
