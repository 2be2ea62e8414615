//! The port through which the platform's own events are heard in process, beside the rules that match them.

use async_trait::async_trait;
use serde_json::Value;
use wire::Error;

use crate::Cx;

/// An event of one of the platform's services: its `source` begins with `aws.`.
#[derive(Clone, Copy, Debug)]
pub struct ServiceEvent<'a> {
    pub source: &'a str,
    pub detail_type: &'a str,
    pub detail: &'a Value,
}

/// Hears events. It must stand hearing one twice.
#[async_trait]
pub trait Listener: Send + Sync {
    /// `cx` has the event's account and region.
    ///
    /// # Errors
    /// Then the event is sent again.
    async fn hear(&self, cx: &Cx, event: ServiceEvent<'_>) -> Result<(), Error>;
}
