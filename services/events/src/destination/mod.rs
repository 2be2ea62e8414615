//! API destinations: HTTP endpoints that rules and pipes bring events to, with the credentials of a connection.
//!
//! Map: [`record`] destinations as records · `ops` the operations · [`request`] what is sent (pure) · [`call`] one call of an endpoint ·
//! [`deliver`] the durable task that brings one event to one, at its rate. Source: EventBridge User Guide, "API destinations as targets".
//!
//! Not here: private endpoints (VPC Lattice). Unlike AWS, `http://` endpoints and those of private networks are called as well: services of
//! one's own seldom have public certificates.

mod call;
mod deliver;
mod ops;
mod record;
mod request;

use std::sync::Arc;
use std::time::Duration;

use egress::{Door, Pace, Tokens};
use serde::Deserialize;
use service::{Platform, operations};
use store::Store;

pub(crate) use deliver::{CALL, Tries};
pub(crate) use request::Http;

/// An endpoint has so long to answer.
const LIMIT: Duration = Duration::from_secs(5);

/// `[events]` of the settings.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Whether API destinations may call link-local addresses, where clouds keep the credentials of the machine. Default: false.
    http_link_local: bool,
}

/// The service, and who makes the calls: one for all, so that connections stay open and tokens are used while they are good.
pub(crate) struct Destinations {
    store: Store,
    door: Door,
    tokens: Tokens,
    pace: Pace,
}

impl Destinations {
    pub(crate) fn new(platform: &Platform) -> Result<Arc<Self>, String> {
        let settings: Settings = platform.settings.section("events")?;
        let door = Door::new(settings.http_link_local).within(LIMIT);
        let store = platform.control.store().clone();
        Ok(Arc::new(Self { store, door, tokens: Tokens::default(), pace: Pace::default() }))
    }
}

pub(crate) fn register(platform: &Platform, service: &Arc<Destinations>, deliverer: &Arc<crate::deliver::Deliverer>) {
    operations!(platform.router, service, api_events:
        CreateApiDestination, DeleteApiDestination, DescribeApiDestination, ListApiDestinations, UpdateApiDestination,
    );
    let caller = deliver::Caller { deliverer: Arc::clone(deliverer), destinations: Arc::clone(service) };
    platform.control.register(CALL, deliver::AT_ONCE, Arc::new(caller));
}
