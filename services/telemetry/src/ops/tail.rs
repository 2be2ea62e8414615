//! StartLiveTail: events of groups as they are put, told every second for as long as the caller listens.

use api_logs::error::invalid_parameter_exception;
use api_logs::{StartLiveTail, StartLiveTailRequest, StartLiveTailResponse};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle};
use wire::Error;

use super::queries::group_of;
use crate::Telemetry;
use crate::logs::Scope;
use crate::pattern::Pattern;
use crate::seal::group_arn;
use crate::tail::Wanted;

#[async_trait]
impl Handle<StartLiveTail> for Telemetry {
    async fn handle(&self, cx: &Cx, req: StartLiveTailRequest) -> Result<StartLiveTailResponse, Error> {
        let (streams, prefixes) =
            (req.log_stream_names.unwrap_or_default(), req.log_stream_name_prefixes.unwrap_or_default());
        if !streams.is_empty() && !prefixes.is_empty() {
            return Err(invalid_parameter_exception(
                "logStreamNames and logStreamNamePrefixes cannot be given together.",
            ));
        }
        if req.log_group_identifiers.len() > 1 && !(streams.is_empty() && prefixes.is_empty()) {
            return Err(invalid_parameter_exception("Log streams can be given with one log group only."));
        }
        let scope = Scope::of(cx);
        for arn in &req.log_group_identifiers {
            let name = &group_of(cx, arn)?;
            if *arn.trim_end_matches(":*") != group_arn(cx.account(), cx.region(), name) {
                return Err(invalid_parameter_exception(format!("{arn} is not the ARN of a log group of here.")));
            }
            self.store.read(|tx| scope.load_group(tx, name)).await?;
        }
        let text = req.log_event_filter_pattern.unwrap_or_default();
        let start = json!({
            "requestId": cx.request_id(),
            "sessionId": cx.uuid(),
            "logGroupIdentifiers": req.log_group_identifiers,
            "logStreamNames": streams,
            "logStreamNamePrefixes": prefixes,
            "logEventFilterPattern": text,
        });
        let wanted = Wanted { groups: req.log_group_identifiers, streams, prefixes, pattern: Pattern::parse(&text)? };
        self.tails.open(cx, wanted, &start)?;
        Ok(StartLiveTailResponse::default())
    }
}
