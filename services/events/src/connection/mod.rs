//! Connections: how to sign in at an HTTP endpoint. What is secret of them is kept in Secrets Manager alone, as on AWS; HTTP Tasks of
//! Step Functions and calls of API destinations read it there.
//!
//! Not here: private connectivity, the exchange of OAuth credentials for a token (whoever calls the endpoint makes it).

mod credentials;
mod ops;
mod record;

use std::sync::Arc;

pub(crate) use record::{check, is_authorized};
use service::{Platform, operations};
use store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Connections {
    store: Store,
}

pub(crate) fn register(platform: &Platform) {
    let service = Arc::new(Connections { store: platform.control.store().clone() });
    operations!(platform.router, service, api_events:
        CreateConnection, DeauthorizeConnection, DeleteConnection, DescribeConnection, ListConnections, UpdateConnection,
    );
}
