//! Alarms: what is stored of them, and how their states change.
//!
//! Map: [`state`] the state that values give · [`math`] alarms on expressions · [`rule`] the rules of composite alarms · [`watch`] looking at all alarms now and then ·
//! [`act`] carrying out actions · [`suppress`] holding them back · [`told`] the texts that tell of a change.

pub(super) mod act;
pub(super) mod math;
pub(super) mod rule;
pub(super) mod state;
pub(super) mod suppress;
pub(super) mod told;
pub(super) mod watch;

use std::collections::BTreeMap;

use api_cloudwatch::{AlarmHistoryItem, CompositeAlarm, MetricAlarm};
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{Key, NewTask, Store, Tx};
use wire::{Error, Timestamp};

use super::series::Home;

/// History is kept for that long. Source: API Reference, DescribeAlarmHistory.
const HISTORY_DAYS: i64 = 30;

/// An alarm as stored: one of the two.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct AlarmRecord {
    pub(super) version: u32,
    pub(super) home: (String, String),
    pub(super) metric: Option<MetricAlarm>,
    pub(super) composite: Option<CompositeAlarm>,
    pub(super) tags: BTreeMap<String, String>,
    /// Of composite alarms whose actions are held back now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) suppressed: Option<suppress::Suppressed>,
}

/// A state with its reason, as text and as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) value: String,
    pub(super) reason: String,
    pub(super) data: Option<String>,
}

fn base(what: &str) -> Key {
    Key::new("alarms").push(what)
}

pub(super) fn alarms(home: &Home) -> Key {
    base("alarm").push(&home.account).push(&home.region)
}

pub(super) fn history(home: &Home) -> Key {
    base("history").push(&home.account).push(&home.region)
}

pub(super) fn all(tx: &mut Tx<'_>) -> Result<Vec<AlarmRecord>, store::Error> {
    tx.list_json(base("alarm"), usize::MAX)
}

impl AlarmRecord {
    pub(super) fn home(&self) -> Home {
        Home { account: self.home.0.clone(), region: self.home.1.clone() }
    }

    fn text<'a>(
        &'a self,
        metric: fn(&'a MetricAlarm) -> &'a Option<String>,
        composite: fn(&'a CompositeAlarm) -> &'a Option<String>,
    ) -> &'a str {
        let found = self.metric.as_ref().map(metric).or_else(|| self.composite.as_ref().map(composite));
        found.and_then(Option::as_deref).unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.text(|m| &m.alarm_name, |c| &c.alarm_name)
    }
    pub(super) fn arn(&self) -> &str {
        self.text(|m| &m.alarm_arn, |c| &c.alarm_arn)
    }
    pub(super) fn state(&self) -> &str {
        self.text(|m| &m.state_value, |c| &c.state_value)
    }
    pub(super) fn kind(&self) -> &'static str {
        if self.metric.is_some() { "MetricAlarm" } else { "CompositeAlarm" }
    }

    pub(super) fn current(&self) -> State {
        let data = self.text(|m| &m.state_reason_data, |c| &c.state_reason_data);
        State {
            value: self.state().to_owned(),
            reason: self.text(|m| &m.state_reason, |c| &c.state_reason).to_owned(),
            data: Some(data.to_owned()).filter(|data| !data.is_empty()),
        }
    }

    /// The ARNs of the actions of a state, for all states where none is named.
    pub(super) fn actions(&self, state: Option<&str>) -> Vec<String> {
        let lists = match (&self.metric, &self.composite) {
            (Some(m), _) => [&m.ok_actions, &m.alarm_actions, &m.insufficient_data_actions],
            (None, Some(c)) => [&c.ok_actions, &c.alarm_actions, &c.insufficient_data_actions],
            (None, None) => return Vec::new(),
        };
        let named = [("OK", lists[0]), ("ALARM", lists[1]), ("INSUFFICIENT_DATA", lists[2])];
        let wanted = named.into_iter().filter(|(name, _)| state.is_none_or(|state| state == *name));
        wanted.flat_map(|(_, list)| list.clone().unwrap_or_default()).collect()
    }

    pub(super) fn acts(&self) -> bool {
        let enabled = match (&self.metric, &self.composite) {
            (Some(m), _) => m.actions_enabled,
            (None, Some(c)) => c.actions_enabled,
            (None, None) => None,
        };
        enabled != Some(false)
    }

    pub(super) fn set_acts(&mut self, enabled: bool) {
        if let Some(m) = &mut self.metric {
            m.actions_enabled = Some(enabled);
        }
        if let Some(c) = &mut self.composite {
            c.actions_enabled = Some(enabled);
        }
    }

    pub(super) fn set_state(&mut self, state: &State, now: Timestamp) {
        let changed = self.state() != state.value;
        if let Some(m) = &mut self.metric {
            m.state_value = Some(state.value.clone());
            m.state_reason = Some(state.reason.clone());
            m.state_reason_data.clone_from(&state.data);
            m.state_updated_timestamp = Some(now);
            if changed {
                m.state_transitioned_timestamp = Some(now);
            }
        }
        if let Some(c) = &mut self.composite {
            c.state_value = Some(state.value.clone());
            c.state_reason = Some(state.reason.clone());
            c.state_reason_data.clone_from(&state.data);
            c.state_updated_timestamp = Some(now);
            if changed {
                c.state_transitioned_timestamp = Some(now);
            }
        }
    }

    pub(super) fn load(tx: &mut Tx<'_>, home: &Home, name: &str) -> Result<Option<Self>, store::Error> {
        tx.get_json(alarms(home).push(name))
    }

    pub(super) fn save(&self, tx: &mut Tx<'_>) -> Result<(), store::Error> {
        tx.put_json(alarms(&self.home()).push(self.name()), self)
    }

    /// Puts the alarm into a state, with history, event and actions; all in this transaction.
    pub(super) fn become_state(&mut self, tx: &mut Tx<'_>, state: &State, now: Timestamp) -> Result<(), Error> {
        let before = self.current();
        self.set_state(state, now);
        self.save(tx)?;
        if before.value == state.value {
            return Ok(());
        }
        let summary = format!("Alarm updated from {} to {}", before.value, state.value);
        let data = json!({
            "version": "1.0",
            "oldState": told::history(&before),
            "newState": told::history(state),
        });
        let held = self.holds_back(tx, &before, state, now)?;
        note(tx, self, "StateUpdate", &summary, Some(data.to_string()), now)?;
        jobs::event::enqueue(
            tx,
            &format!("{}:{}", self.arn(), now.as_millis()),
            &told::event(self, &before, state, now),
        )?;
        if held { Ok(()) } else { self.act(tx, &before, state, now) }
    }

    /// Puts the actions of a state on the queue, where they are enabled.
    fn act(&self, tx: &mut Tx<'_>, before: &State, state: &State, now: Timestamp) -> Result<(), Error> {
        if !self.acts() {
            return Ok(());
        }
        for (n, action) in self.actions(Some(&state.value)).into_iter().enumerate() {
            let work = act::Act {
                home: self.home.clone(),
                alarm: self.name().to_owned(),
                message: told::message(self, &action, before, state, now),
                subject: told::subject(self, state),
                action,
            };
            let id = format!("{}/{}/{}/{n}", act::ACT, self.arn(), now.as_millis());
            tx.enqueue(NewTask::new(act::ACT, id).payload(&work)?)?;
        }
        Ok(())
    }
}

/// Adds to an alarm's history.
pub(super) fn note(
    tx: &mut Tx<'_>,
    alarm: &AlarmRecord,
    kind: &str,
    summary: &str,
    data: Option<String>,
    now: Timestamp,
) -> Result<(), Error> {
    let home = alarm.home();
    let number = tx.next_number(base("counter"))?;
    let item = AlarmHistoryItem {
        alarm_name: Some(alarm.name().to_owned()),
        alarm_type: Some(alarm.kind().to_owned()),
        timestamp: Some(now),
        history_item_type: Some(kind.to_owned()),
        history_summary: Some(summary.to_owned()),
        history_data: data,
        ..AlarmHistoryItem::default()
    };
    Ok(tx.put_json(history(&home).push_i64(now.as_millis()).push_u64(number), &item)?)
}

/// Items of history that are looked at at once.
const HISTORY_AT_ONCE: usize = 500;

/// Removes history that is old, some at a time: those that write meanwhile do not wait for all of it.
pub(super) async fn forget(store: &Store, now_ms: i64) -> Result<(), store::Error> {
    let (oldest, all) = (now_ms - HISTORY_DAYS * 86_400_000, base("history"));
    let mut after = all.as_bytes().to_vec();
    loop {
        let page = store.read(|tx| tx.scan_after(&all, &after, HISTORY_AT_ONCE)).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after.clone_from(last);
        let mut old = Vec::new();
        for (key, value) in page {
            let item: AlarmHistoryItem = store::kv::decode(&key, &value)?;
            if item.timestamp.is_none_or(|at| at.as_millis() < oldest) {
                old.push(key);
            }
        }
        if !old.is_empty() {
            store.write(move |tx| old.iter().try_for_each(|key| tx.delete(key))).await?;
        }
    }
}
