//! S3: buckets, objects, multipart uploads, bucket settings, events.
//!
//! Two doors lead to the same functions on [`S3`]: [`door`] is HTTP (the protocol comes from the `s3s` crate; signatures,
//! session tokens and permissions are checked there), [`ops`] is the Router's, for Step Functions, CloudFormation and the
//! other services. Metadata is in the store (`s3`), bytes are [`store::objects`].
//!
//! Map: [`records`] what is stored and [`keys`] where · [`body`] bytes in and out · [`put`], [`copy`], [`delete`],
//! [`multipart`] and what they share, [`change`] · [`conditions`], [`checksum`], [`list`] · [`buckets`], [`settings`] ·
//! [`attempts`] undo of superseded attempts · [`events`] · [`sweep`] garbage after a crash.
//!
//! Not here: versioning, ACLs other than private, server-side encryption, object lock.

mod attempts;
mod body;
mod buckets;
mod change;
mod checksum;
mod conditions;
mod copy;
mod delete;
mod door;
mod errors;
mod events;
mod keys;
mod list;
mod multipart;
mod ops;
mod put;
mod records;
mod settings;
mod sweep;
mod tags;
mod tx;

use std::sync::Arc;

use service::{Platform, Router};
use store::Store;
use store::objects::Objects;

pub use door::Door;

/// The service.
#[derive(Debug)]
pub struct S3 {
    router: Arc<Router>,
    store: Store,
    objects: Objects,
}

impl S3 {
    /// Over these stores; without a task runner and without operations: for tests.
    pub fn new(router: Arc<Router>, store: Store, objects: Objects) -> Arc<Self> {
        Arc::new(Self { router, store, objects })
    }
}

/// Makes the service, and registers its operations, its task runner and its part in ending attempts.
///
/// # Errors
/// When the folder for object bytes cannot be made.
pub fn register(platform: &Platform) -> std::io::Result<Arc<S3>> {
    let objects = Objects::disk(platform.data.join("objects"))?;
    let service = S3::new(platform.router.clone(), platform.s3.store().clone(), objects);
    ops::register(&platform.router, &service);
    platform.s3.register(events::TASK, 16, service.clone());
    platform.router.add_participant(service.clone());
    Ok(service)
}
