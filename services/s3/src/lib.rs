//! S3: buckets, objects, multipart uploads, bucket settings, events.
//!
//! Two doors lead to the same functions on [`S3`]: [`door`] is HTTP (the protocol comes from the `s3s` crate; signatures,
//! session tokens and permissions are checked there), [`ops`] is the Router's, for Step Functions, CloudFormation and the
//! other services. Metadata is in the store (`s3`), bytes are [`store::objects`].
//!
//! Map: [`records`] what is stored and [`keys`] where · [`body`] bytes in and out · [`put`], [`copy`], [`delete`],
//! [`multipart`] and what they share, [`change`] · [`conditions`], [`checksum`], [`list`] · [`buckets`], [`settings`] ·
//! [`attempts`] undo of superseded attempts · [`events`] · [`sweep`] garbage after a crash · [`gone`] what a deleted bucket leaves ·
//! [`metrics`], [`request_metrics`] what CloudWatch is told · [`strangers`] what `fuzz/` calls.
//!
//! [`version`] the versions of a key · [`admitted`] which bucket a request was let to · [`access`], [`policy`] with [`actions`], [`acl`] who may · [`state`] what governs a bucket · [`lock`], [`sse`],
//! [`kms`], [`archive`], [`account`].

mod access;
mod account;
mod acl;
mod actions;
mod admitted;
mod archive;
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
mod gone;
mod keys;
mod kms;
mod lifecycle;
mod lineage;
mod list;
mod lock;
mod logging;
mod make;
mod metrics;
mod multipart;
mod notification;
mod ops;
mod policy;
mod put;
mod records;
mod request_metrics;
mod scrub;
mod select;
mod settings;
mod sse;
mod state;
pub mod strangers;
mod sweep;
mod tags;
mod tx;
mod version;

use std::sync::Arc;

use service::{Accounts, Platform, Router};
use store::objects::Objects;
use store::{Cache, Store};

pub use account::{DefaultEncryption, Settings};
pub use door::{Door, Files, OpenFiles, Peer, names_bucket};
pub use scrub::Scrubbed;

use account::Known;
use state::Bucket;

/// The service.
#[derive(Debug)]
pub struct S3 {
    router: Arc<Router>,
    store: Store,
    objects: Objects,
    buckets: Cache<Bucket>,
    known: Known,
    settings: Settings,
    keys: sse::Keys,
    restored: Arc<sweep::Restored>,
}

/// Buckets whose state is kept in memory.
const MAX_BUCKETS: usize = 1000;

impl S3 {
    /// Over these stores; without a task runner and without operations: for tests.
    ///
    /// # Errors
    /// When there are no random bytes for a key.
    pub fn new(
        router: Arc<Router>,
        store: Store,
        objects: Objects,
        (account, others): (&str, Accounts),
        settings: Settings,
    ) -> std::io::Result<Arc<Self>> {
        let known = Known::new(account, "us-east-1", others);
        Ok(Self::over(router, store, objects, known, settings, sse::Keys::passing()?))
    }

    /// Keeps the bytes of all objects, whatever is deleted, for as long as the answer lives.
    pub fn hold_bytes(&self) -> store::objects::Held {
        self.objects.hold()
    }

    fn over(
        router: Arc<Router>,
        store: Store,
        objects: Objects,
        known: Known,
        settings: Settings,
        keys: sse::Keys,
    ) -> Arc<Self> {
        let buckets = Cache::new(&store, MAX_BUCKETS, keys::governs());
        let restored = Arc::default();
        Arc::new(Self { router, store, objects, buckets, known, settings, keys, restored })
    }
}

/// Makes the service, and registers its operations, its task runner and its part in ending attempts.
///
/// # Errors
/// When the folder for object bytes cannot be made, or a setting is wrong.
pub fn register(platform: &Platform) -> std::io::Result<Arc<S3>> {
    let wrong = std::io::Error::other::<String>;
    let settings: Settings = platform.settings.section("s3").map_err(wrong)?;
    if state::Ownership::parse(&settings.object_ownership).is_none() {
        return Err(wrong(format!("[s3] object_ownership: {:?} is none", settings.object_ownership)));
    }
    let known = Known::new(&platform.account, &platform.region, platform.settings.accounts().map_err(wrong)?);
    let objects = match &platform.objects {
        Some(shared) => shared.clone(),
        None => Objects::disk(platform.data.join("objects"))?,
    };
    let keys = sse::Keys::open(&platform.data.join("s3.key"))?;
    let service = S3::over(platform.router.clone(), platform.s3.store().clone(), objects, known, settings, keys);
    Ok(enlist(platform, service))
}

/// The same over bytes and keys in memory: for the simulation.
///
/// # Errors
/// When there are no random bytes for a key.
pub fn register_over(platform: &Platform, objects: Objects) -> std::io::Result<Arc<S3>> {
    let (router, store) = (platform.router.clone(), platform.s3.store().clone());
    let service = S3::new(router, store, objects, (&platform.account, Accounts::default()), Settings::default())?;
    Ok(enlist(platform, service))
}

/// The service over the bytes and keys of a folder that no server serves: to look through them, not to answer requests.
///
/// # Errors
/// When the folder's bytes or keys cannot be opened.
pub fn over_folder(data: &std::path::Path, store: Store) -> std::io::Result<Arc<S3>> {
    let objects = Objects::disk(data.join("objects"))?;
    let keys = sse::Keys::open(&data.join("s3.key"))?;
    let known = Known::new("", "us-east-1", Accounts::default());
    Ok(S3::over(Router::new(), store, objects, known, Settings::default(), keys))
}

fn enlist(platform: &Platform, service: Arc<S3>) -> Arc<S3> {
    ops::register(&platform.router, &service);
    platform.s3.register(events::TASK, 16, service.clone());
    platform.s3.register(lifecycle::TASK, 1, service.clone());
    platform.s3.register(logging::TASK, 1, service.clone());
    platform.s3.register(gone::TASK, 1, service.clone());
    platform.s3.register(metrics::TASK, 1, service.clone());
    platform.router.add_participant(service.clone());
    service
}
