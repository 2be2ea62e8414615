//! The secret of an access key, for s3s to check signatures with.

use std::sync::Arc;

use s3s::S3Result;
use s3s::auth::{S3Auth, SecretKey};
use service::Router;

pub(super) struct Keys {
    router: Arc<Router>,
}

impl Keys {
    pub(super) fn new(router: Arc<Router>) -> Self {
        Self { router }
    }
}

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match self.router.identity().credentials(access_key).await.map_err(super::convert::error)? {
            Some(found) => Ok(SecretKey::from(found.secret_key)),
            None => Err(super::access::unknown_key()),
        }
    }
}
