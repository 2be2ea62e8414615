//! LookupEvents: what was recorded while a trail logged, the newest first.

use api_cloudtrail::{
    Event, LookupAttribute, LookupEvents, LookupEventsRequest, LookupEventsResponse, Resource, error,
};
use async_trait::async_trait;
use serde_json::Value;
use service::{Cx, Handle};
use store::Key;
use wire::{Error, Timestamp};

use crate::Trails;
use crate::trail::events;

/// Events of a page.
const PAGE: usize = 50;
/// Records read at once.
const AT_ONCE: usize = 500;

#[async_trait]
impl Handle<LookupEvents> for Trails {
    async fn handle(&self, cx: &Cx, req: LookupEventsRequest) -> Result<LookupEventsResponse, Error> {
        if req.event_category.is_some() {
            return Err(Error::not_implemented("the lookup of Insights events"));
        }
        let wanted = req.lookup_attributes.unwrap_or_default();
        if wanted.len() > 1 {
            return Err(error::invalid_lookup_attributes_exception("Only one lookup attribute can be specified."));
        }
        if let Some(other) = wanted.iter().find(|one| one.attribute_key == "ResourceType") {
            return Err(Error::not_implemented(format!("the lookup of events by {}", other.attribute_key)));
        }
        let (from, to) = (req.start_time.map(|at| at.0.as_millisecond()), req.end_time.map(|at| at.0.as_millisecond()));
        if from.zip(to).is_some_and(|(from, to)| from > to) {
            return Err(error::invalid_time_range_exception("The end of the time range is before its start."));
        }
        let limit = req.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(PAGE);
        let prefix = events(cx.account(), cx.region());
        let begin = prefix.clone().push_i64(from.unwrap_or(i64::MIN)).into_bytes();
        let mut end = match &req.next_token {
            None => prefix.clone().push_i64(to.map_or(i64::MAX, |to| to.saturating_add(1))).into_bytes(),
            Some(token) => token_key(&prefix, token)?,
        };
        let mut found = Vec::new();
        loop {
            let pairs = self.store.read(|tx| tx.scan(&begin, Some(&end), AT_ONCE, true)).await?;
            let Some((last, _)) = pairs.last() else { return Ok(page(found, None)) };
            end.clone_from(last);
            for (key, value) in &pairs {
                let record: Value = store::kv::decode(key, value)?;
                if record["managementEvent"] == false || !wanted.iter().all(|one| holds(one, &record)) {
                    continue;
                }
                if found.len() == limit {
                    return Ok(page(found, Some(())));
                }
                found.push((key.clone(), shown(&record)));
            }
        }
    }
}

/// The token is the last event's time and id: the next page ends before it.
fn page(found: Vec<(Vec<u8>, Event)>, more: Option<()>) -> LookupEventsResponse {
    let token = more.and_then(|()| found.last()).map(|(key, _)| {
        let parts = Key::parts(key);
        let at = parts.get(4).and_then(|part| Key::part_i64(part)).unwrap_or_default();
        let id = parts.get(5).map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default();
        format!("{at}/{id}")
    });
    LookupEventsResponse { events: Some(found.into_iter().map(|(_, event)| event).collect()), next_token: token }
}

fn token_key(prefix: &Key, token: &str) -> Result<Vec<u8>, Error> {
    let parts = token.split_once('/').and_then(|(at, id)| Some((at.parse::<i64>().ok()?, id)));
    let (at, id) = parts.ok_or_else(|| error::invalid_next_token_exception("The next token is not valid."))?;
    Ok(prefix.clone().push_i64(at).push(id).into_bytes())
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn user(record: &Value) -> Option<String> {
    let identity = &record["userIdentity"];
    match identity["type"].as_str() {
        Some("Root") => Some("root".to_owned()),
        Some("AssumedRole") => identity["arn"].as_str()?.rsplit('/').next().map(str::to_owned),
        _ => text(&identity["userName"]).or_else(|| text(&identity["invokedBy"])),
    }
}

fn holds(wanted: &LookupAttribute, record: &Value) -> bool {
    let value = match wanted.attribute_key.as_str() {
        "EventId" => text(&record["eventID"]),
        "EventName" => text(&record["eventName"]),
        "EventSource" => text(&record["eventSource"]),
        "ReadOnly" => record["readOnly"].as_bool().map(|only| only.to_string()),
        "AccessKeyId" => text(&record["userIdentity"]["accessKeyId"]),
        "Username" => user(record),
        // Names of resources stand among the parameters.
        "ResourceName" => {
            let mut parameters = record["requestParameters"].as_object().into_iter().flatten();
            return parameters.any(|(_, value)| value.as_str() == Some(wanted.attribute_value.as_str()));
        }
        _ => None,
    };
    value.as_deref() == Some(wanted.attribute_value.as_str())
}

fn shown(record: &Value) -> Event {
    let at = record["eventTime"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let resources = record["resources"].as_array().into_iter().flatten();
    Event {
        event_id: text(&record["eventID"]),
        event_name: text(&record["eventName"]),
        read_only: record["readOnly"].as_bool().map(|only| only.to_string()),
        access_key_id: text(&record["userIdentity"]["accessKeyId"]),
        event_time: at.map(Timestamp::from),
        event_source: text(&record["eventSource"]),
        username: user(record),
        resources: Some(
            resources
                .map(|one| Resource { resource_type: text(&one["type"]), resource_name: text(&one["ARN"]) })
                .collect(),
        ),
        cloud_trail_event: Some(record.to_string()),
    }
}
