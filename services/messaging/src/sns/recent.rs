//! ListDeliveries, which AWS does not have: how each message's way to each subscription went of late, mails and confirmations among
//! them, whether a topic has feedback roles or not; and what is tried again. It is kept in memory, of each topic the newest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api_lakerun::{Delivery, ListDeliveries, ListDeliveriesRequest, ListDeliveriesResponse, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::arn::Arn;
use wire::{Error, Timestamp};

use super::Sns;
use super::topic::{Subscription, Topic};

/// Kept of a topic.
const MOST: usize = 200;
/// Topics of which some are kept.
const MOST_TOPICS: usize = 500;
/// Characters kept of what an endpoint said.
const SAID: usize = 1000;
const LISTED: usize = 100;

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Delivered,
    Failed,
    /// It is tried again then.
    Waits {
        next_ms: i64,
    },
}

/// A delivery, as it was last heard of.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Names the delivery: what is heard of it again takes the place of what was heard before.
    pub(super) task: String,
    /// None of a request for confirmation.
    pub(super) message_id: Option<String>,
    pub(super) subscription: String,
    pub(super) protocol: String,
    pub(super) endpoint: String,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) status_code: Option<u16>,
    pub(super) said: String,
    pub(super) published_ms: Option<i64>,
    pub(super) at_ms: i64,
}

impl Heard {
    pub(super) fn of(subscription: &Subscription, task: &str, (state, attempts, at_ms): (State, u32, i64)) -> Self {
        Self {
            task: task.to_owned(),
            message_id: None,
            subscription: subscription.arn.clone(),
            protocol: subscription.protocol.clone(),
            endpoint: subscription.endpoint.clone(),
            state,
            attempts,
            status_code: None,
            said: String::new(),
            published_ms: None,
            at_ms,
        }
    }

    fn shown(&self) -> Delivery {
        let (status, next) = match self.state {
            State::Delivered => ("DELIVERED", None),
            State::Failed => ("FAILED", None),
            State::Waits { next_ms } => ("RETRYING", Some(Timestamp::from_millis(next_ms))),
        };
        Delivery {
            message_id: self.message_id.clone(),
            subscription_arn: self.subscription.clone(),
            protocol: self.protocol.clone(),
            endpoint: self.endpoint.clone(),
            status: status.to_owned(),
            attempts: i32::try_from(self.attempts).unwrap_or(i32::MAX),
            status_code: self.status_code.map(i32::from).filter(|code| *code > 0),
            provider_response: Some(self.said.clone()).filter(|said| !said.is_empty()),
            published_time: self.published_ms.map(Timestamp::from_millis),
            last_attempt_time: Timestamp::from_millis(self.at_ms),
            next_attempt_time: next,
        }
    }
}

/// What was heard, by topic; the newest last.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    since_ms: i64,
    by_topic: Arc<Mutex<BTreeMap<String, VecDeque<Heard>>>>,
}

impl Recent {
    pub(super) fn since(now_ms: i64) -> Self {
        Self { since_ms: now_ms, by_topic: Arc::default() }
    }

    pub(super) fn heard(&self, topic: &str, mut heard: Heard) {
        if let Some((end, _)) = heard.said.char_indices().nth(SAID) {
            heard.said.truncate(end);
        }
        let mut topics = self.topics();
        if !topics.contains_key(topic) && topics.len() >= MOST_TOPICS {
            let oldest = topics.iter().min_by_key(|(_, list)| list.back().map(|last| last.at_ms));
            let oldest = oldest.map(|(arn, _)| arn.clone());
            oldest.and_then(|arn| topics.remove(&arn));
        }
        let list = topics.entry(topic.to_owned()).or_default();
        list.retain(|known| known.task != heard.task);
        list.push_back(heard);
        if list.len() > MOST {
            list.pop_front();
        }
    }

    fn topics(&self) -> MutexGuard<'_, BTreeMap<String, VecDeque<Heard>>> {
        self.by_topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest first.
    fn of(&self, topic: &str, most: usize) -> Vec<Delivery> {
        let topics = self.topics();
        topics.get(topic).map_or_else(Vec::new, |list| list.iter().rev().take(most).map(Heard::shown).collect())
    }
}

#[async_trait]
impl Handle<ListDeliveries> for Sns {
    async fn handle(&self, cx: &Cx, input: ListDeliveriesRequest) -> Result<ListDeliveriesResponse, Error> {
        let arn = input.topic_arn;
        let own = Arn::parse(&arn).is_some_and(|parsed| parsed.account == cx.account() && parsed.region == cx.region());
        if !own || self.store.read(|tx| Topic::load(tx, &arn)).await.is_err() {
            return Err(error::resource_not_found_exception(format!("Topic {arn} does not exist.")));
        }
        let most = input.max_results.and_then(|most| usize::try_from(most).ok()).unwrap_or(LISTED);
        let deliveries = self.recent.of(&arn, most);
        Ok(ListDeliveriesResponse { deliveries, since: Timestamp::from_millis(self.recent.since_ms) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(task: &str, state: State, at_ms: i64) -> Heard {
        Heard {
            task: task.to_owned(),
            message_id: Some("m".to_owned()),
            subscription: "arn".to_owned(),
            protocol: "email".to_owned(),
            endpoint: "a@b".to_owned(),
            state,
            attempts: 1,
            status_code: None,
            said: "ü".repeat(SAID + 5),
            published_ms: None,
            at_ms,
        }
    }

    #[test]
    fn the_newest_of_each_delivery_is_told() {
        let recent = Recent::since(0);
        recent.heard("t", heard("one", State::Waits { next_ms: 9 }, 1));
        recent.heard("t", heard("two", State::Delivered, 2));
        recent.heard("t", heard("one", State::Failed, 3));
        let told: Vec<_> = recent.of("t", 10).into_iter().map(|d| (d.status, d.provider_response)).collect();
        let said = Some("ü".repeat(SAID));
        assert_eq!(told, [("FAILED".to_owned(), said.clone()), ("DELIVERED".to_owned(), said)]);
        assert_eq!(recent.of("t", 1).len(), 1);
        assert!(recent.of("other", 10).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let recent = Recent::since(0);
        for n in 0..300 {
            recent.heard("t", heard(&format!("{n}"), State::Delivered, n));
        }
        assert_eq!(recent.of("t", 1000).len(), MOST);
        for n in 0..600 {
            recent.heard(&format!("topic {n}"), heard("one", State::Delivered, 1000 + n));
        }
        assert_eq!(recent.topics().len(), MOST_TOPICS);
        assert!(recent.of("t", 1000).is_empty(), "the topic of which nothing was heard for longest is forgotten first");
    }
}
