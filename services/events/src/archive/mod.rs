//! Archives of buses, which keep the events that were put on them, and replays, which bring them to the rules again.
//! Source: EventBridge User Guide, "Archiving and replaying events in Amazon EventBridge".

mod archives;
mod replays;

use api_events::error;
use pattern::Pattern;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use store::{Key, NewTask, Tx};
use wire::Error;
use wire::arn::Arn;

use crate::bridge::Home;

pub(crate) use archives::Retainer;
pub(crate) use replays::{REPLAY, Replayer};

/// The daily task that forgets what an archive has kept long enough.
pub(crate) const RETAIN: &str = "events:archive-retain";
const DAY_MS: i64 = 86_400_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Archive {
    /// Version of the record's form.
    version: u32,
    name: String,
    account: String,
    region: String,
    bus: String,
    description: Option<String>,
    pattern: Option<String>,
    retention_days: i32,
    created_ms: i64,
}

/// How much an archive holds, kept apart from it: it changes with every event.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Held {
    count: i64,
    bytes: i64,
}

fn all(account: &str, region: &str) -> Key {
    Key::new("events").push("archive").push(account).push(region)
}

fn name_of_arn(cx: &Cx, arn: &str) -> Option<String> {
    let arn = Arn::parse(arn).filter(|arn| arn.account == cx.account() && arn.region == cx.region())?;
    arn.resource.strip_prefix("archive/").map(str::to_owned)
}

impl Archive {
    fn find(tx: &mut Tx<'_>, cx: &Cx, name: &str) -> Result<Self, Error> {
        let found: Option<Self> = tx.get_json(all(cx.account(), cx.region()).push(name))?;
        found.ok_or_else(|| error::resource_not_found_exception(format!("Archive {name} does not exist.")))
    }

    fn save(&self, tx: &mut Tx<'_>) -> Result<(), Error> {
        Ok(tx.put_json(all(&self.account, &self.region).push(&self.name), self)?)
    }

    fn arn(&self) -> String {
        Arn::new("events", &self.region, &self.account, format!("archive/{}", self.name)).to_string()
    }

    fn bus_arn(&self) -> String {
        Arn::new("events", &self.region, &self.account, format!("event-bus/{}", self.bus)).to_string()
    }

    /// Its events, by their time.
    fn events(&self) -> Key {
        Key::new("events").push("archived").push(&self.account).push(&self.region).push(&self.name)
    }

    fn held(&self) -> Key {
        Key::new("events").push("archive-held").push(&self.account).push(&self.region).push(&self.name)
    }

    fn wants(&self, event: &Value) -> bool {
        match &self.pattern {
            None => true,
            Some(text) => Pattern::parse(text).is_ok_and(|pattern| pattern.matches(event)),
        }
    }

    /// Puts the next look at what is too old on the queue, or takes it off.
    fn plan(&self, tx: &mut Tx<'_>, now_ms: i64) -> Result<(), Error> {
        let id = format!("{RETAIN}/{}/{}/{}", self.account, self.region, self.name);
        if self.retention_days == 0 {
            return if tx.has_task(&id)? { Ok(tx.cancel_task(&id)?) } else { Ok(()) };
        }
        let at = jiff::Timestamp::from_millisecond(now_ms + DAY_MS).map_err(Error::internal)?;
        let whose = (&self.account, &self.region, &self.name);
        Ok(tx.enqueue(NewTask::new(RETAIN, id).payload(&whose)?.at(at))?)
    }
}

fn time_ms(event: &Value) -> u64 {
    let time = event["time"].as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    time.and_then(|time| u64::try_from(time.as_millisecond()).ok()).unwrap_or(0)
}

/// The archives of a bus.
pub(crate) fn of_bus(tx: &mut Tx<'_>, home: &Home) -> Result<Vec<Archive>, Error> {
    let found: Vec<Archive> = tx.list_json(all(&home.account, &home.region), 10_000)?;
    Ok(found.into_iter().filter(|archive| archive.bus == home.bus).collect())
}

/// The patterns of a bus's archives; an empty one where everything is kept.
pub(crate) fn patterns(tx: &mut Tx<'_>, home: &Home) -> Result<Vec<Value>, Error> {
    let text = |archive: Archive| archive.pattern.unwrap_or_else(|| "{}".to_owned());
    Ok(of_bus(tx, home)?.into_iter().filter_map(|archive| serde_json::from_str(&text(archive)).ok()).collect())
}

/// Whether any archive of the bus would keep the event. What is replayed is not kept again.
pub(crate) fn any_wants(tx: &mut Tx<'_>, home: &Home, event: &Value) -> Result<bool, Error> {
    Ok(event.get("replay-name").is_none() && of_bus(tx, home)?.iter().any(|archive| archive.wants(event)))
}

/// Keeps the event in the bus's archives.
pub(crate) fn keep(tx: &mut Tx<'_>, home: &Home, event: &Value) -> Result<(), Error> {
    if event.get("replay-name").is_some() {
        return Ok(());
    }
    for archive in of_bus(tx, home)?.into_iter().filter(|archive| archive.wants(event)) {
        let key = archive.events().push_u64(time_ms(event)).push(event["id"].as_str().unwrap_or_default());
        tx.put_json(key, event)?;
        let mut held: Held = tx.get_json(archive.held())?.unwrap_or_default();
        held.count += 1;
        held.bytes += i64::try_from(event.to_string().len()).unwrap_or(0);
        tx.put_json(archive.held(), &held)?;
    }
    Ok(())
}

/// True for the keys of archives.
pub(crate) fn is_archive() -> impl Fn(&[u8]) -> bool {
    let archives = Key::new("events").push("archive");
    move |key| key.starts_with(archives.as_bytes())
}
