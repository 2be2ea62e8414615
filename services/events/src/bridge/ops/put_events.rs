//! PutEvents: up to ten events, each to the rules of its bus.

use api_events::{PutEvents, PutEventsRequest, PutEventsRequestEntry, PutEventsResponse, PutEventsResultEntry};
use async_trait::async_trait;
use serde_json::Value;
use service::listeners::ServiceEvent;
use service::{Cx, Handle, Principal};
use wire::Error;

use crate::bridge::Bridge;
use crate::bridge::event::{Event, dispatch, matches};
use crate::bridge::rule::Home;

#[async_trait]
impl Handle<PutEvents> for Bridge {
    async fn handle(&self, cx: &Cx, req: PutEventsRequest) -> Result<PutEventsResponse, Error> {
        if req.entries.is_empty() || req.entries.len() > 10 {
            return Err(Error::validation(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length less \
                 than or equal to 10",
            ));
        }
        let now = cx.now();
        let mut results = Vec::with_capacity(req.entries.len());
        let mut events = Vec::new();
        for entry in req.entries {
            let home = Home::of_bus(cx, entry.event_bus_name.as_deref());
            match event(cx, entry) {
                Ok(event) => {
                    if event.source.starts_with("aws.") {
                        let (source, detail_type) = (event.source.as_str(), event.detail_type.as_str());
                        cx.router()
                            .notify_listeners(cx, ServiceEvent { source, detail_type, detail: &event.detail })
                            .await?;
                    }
                    events.push((event.to_json(&home), home));
                    results.push(PutEventsResultEntry { event_id: Some(event.id), ..PutEventsResultEntry::default() });
                }
                Err((code, message)) => results.push(PutEventsResultEntry {
                    error_code: Some(code.to_owned()),
                    error_message: Some(message),
                    ..PutEventsResultEntry::default()
                }),
            }
        }
        // Most events interest no rule: they cost no commit.
        let wanted = self
            .store
            .read(|tx| {
                for (event, home) in &events {
                    if home.all(tx)?.iter().any(|rule| matches(rule, event))
                        || crate::archive::any_wants(tx, home, event)?
                    {
                        return Ok(true);
                    }
                }
                Ok::<_, Error>(false)
            })
            .await?;
        let failed = results.iter().filter(|result| result.error_code.is_some()).count();
        let mut entries = results;
        if wanted {
            entries = cx
                .write(&self.store, move |tx| {
                    for (event, home) in &events {
                        dispatch(tx, home, event, now)?;
                    }
                    Ok::<_, Error>(entries.clone())
                })
                .await?;
        }
        Ok(PutEventsResponse { failed_entry_count: i32::try_from(failed).ok(), entries: Some(entries) })
    }
}

fn event(cx: &Cx, entry: PutEventsRequestEntry) -> Result<Event, (&'static str, String)> {
    let missing = |name: &str| {
        ("InvalidArgument", format!("Parameter {name} is not valid. Reason: {name} is a required argument."))
    };
    let text = |value: Option<String>, name| value.filter(|text| !text.is_empty()).ok_or_else(|| missing(name));
    let source = text(entry.source, "Source")?;
    if source.starts_with("aws.") && !matches!(cx.principal(), Principal::Platform) {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source.".to_owned()));
    }
    let detail_type = text(entry.detail_type, "DetailType")?;
    let detail = text(entry.detail, "Detail")?;
    let detail: Value = jsontext::read(&detail)
        .ok()
        .filter(Value::is_object)
        .ok_or_else(|| ("MalformedDetail", "Detail is malformed.".to_owned()))?;
    Ok(Event {
        id: cx.uuid(),
        detail_type,
        source,
        time: entry.time.map_or_else(|| cx.now(), |time| time.0),
        resources: entry.resources.unwrap_or_default(),
        detail,
    })
}
