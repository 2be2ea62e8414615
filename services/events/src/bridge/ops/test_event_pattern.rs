//! TestEventPattern.

use api_events::{TestEventPattern, TestEventPatternRequest, TestEventPatternResponse, error};
use async_trait::async_trait;
use pattern::Pattern;
use serde_json::Value;
use service::{Cx, Handle};
use wire::Error;

use crate::bridge::Bridge;

#[async_trait]
impl Handle<TestEventPattern> for Bridge {
    async fn handle(&self, _: &Cx, req: TestEventPatternRequest) -> Result<TestEventPatternResponse, Error> {
        let pattern = Pattern::parse(&req.event_pattern).map_err(|reason| {
            error::invalid_event_pattern_exception(format!("Event pattern is not valid. Reason: {reason}"))
        })?;
        let event: Value =
            jsontext::read(&req.event).map_err(|_| Error::validation("Parameter Event is not valid."))?;
        let required = ["id", "account", "source", "time", "region", "resources", "detail-type"];
        if let Some(name) = required.iter().find(|name| event.get(**name).is_none()) {
            return Err(Error::validation(format!("Parameter Event is not valid. Reason: {name} is required.")));
        }
        Ok(TestEventPatternResponse { result: Some(pattern.matches(&event)) })
    }
}
