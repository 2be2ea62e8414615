//! ECR as a registry of names: repositories with their settings, for templates and tools that make them. It holds no images: lists of
//! them are empty, nothing can be pushed or pulled, and its tokens open nothing.
//!
//! Map: [`repository`] what is stored · [`ops`] the operations.

mod ops;
mod repository;

use std::sync::Arc;

use service::{Platform, operations};
use store::Store;

/// The service's state: records in the control store.
#[derive(Debug)]
pub struct Registry {
    store: Store,
}

/// Registers the operations.
pub fn register(platform: &Platform) -> Arc<Registry> {
    let service = Arc::new(Registry { store: platform.control.store().clone() });
    operations!(platform.router, service, api_ecr:
        CreateRepository, DeleteLifecyclePolicy, DeleteRepository, DeleteRepositoryPolicy, DescribeImages, DescribeRepositories,
        GetAuthorizationToken, GetLifecyclePolicy, GetRepositoryPolicy, ListImages, ListTagsForResource, PutImageScanningConfiguration,
        PutImageTagMutability, PutLifecyclePolicy, SetRepositoryPolicy, TagResource, UntagResource);
    service
}
