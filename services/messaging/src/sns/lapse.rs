//! What nobody confirmed in time goes: subscriptions that wait for it, and those that could be brought back.
//! Source: SNS API Reference, Subscribe and ConfirmSubscription ("valid for two days").

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Done, NewTask, Task, Tx};
use wire::Error;

use super::deliver::Deliverer;
use super::topic::{Removed, Subscription, Topic};

pub(super) const LAPSE: &str = "sns:lapse";
/// Clears what a deleted topic knew.
pub(super) const CLEAR: &str = "sns:clear";
/// Rows removed in one transaction.
const PAGE: usize = 500;
const AFTER: SignedDuration = SignedDuration::from_hours(48);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Lapse {
    /// The subscription, if it is not confirmed by then.
    Pending(String),
    /// What a topic's removed subscription could be brought back by.
    Removed(String),
}

impl Lapse {
    pub(super) fn plan(&self, tx: &mut Tx<'_>, token: &str, now: Timestamp) -> Result<(), Error> {
        let task = NewTask::new(LAPSE, format!("{LAPSE}/{token}")).payload(&(self, token))?;
        Ok(tx.enqueue(task.at(now + AFTER))?)
    }
}

/// Asks for what a topic knows to be cleared.
pub(super) fn clear(tx: &mut Tx<'_>, topic: &Topic) -> Result<(), Error> {
    let known_by = topic.known_by();
    Ok(tx.enqueue(NewTask::new(CLEAR, format!("{CLEAR}/{known_by}")).payload(&known_by)?)?)
}

impl Deliverer {
    pub(super) async fn clear(&self, task: &Task) -> Done {
        match self.clear_all(task).await {
            Ok(()) => Done::Finished,
            Err(error) => {
                tracing::error!(task = task.id, %error, "what a topic knew could not be cleared");
                Done::RetryAfter(SignedDuration::from_secs(60))
            }
        }
    }

    async fn clear_all(&self, task: &Task) -> Result<(), Error> {
        let known_by: String = task.payload()?;
        for prefix in Topic::contents(&known_by) {
            loop {
                let prefix = prefix.clone();
                let removed = self.store.write(move |tx| {
                    let found = tx.scan_prefix(&prefix, PAGE)?;
                    for (key, _) in &found {
                        tx.delete(key)?;
                    }
                    Ok::<_, Error>(found.len())
                });
                if removed.await? < PAGE {
                    break;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn lapse(&self, task: &Task) -> Done {
        let written = async {
            let (lapse, token): (Lapse, String) = task.payload()?;
            let id = task.id.clone();
            self.store
                .write(move |tx| {
                    tx.finish_task(&id)?;
                    match &lapse {
                        Lapse::Pending(arn) => {
                            let key = Subscription::key(arn)?;
                            let found: Option<Subscription> = tx.get_json(&key)?;
                            if found.is_some_and(|found| found.token.as_ref() == Some(&token)) {
                                tx.delete(&key)?;
                            }
                        }
                        Lapse::Removed(topic) => tx.delete(Removed::key(topic, &token)?)?,
                    }
                    Ok::<_, Error>(())
                })
                .await
        };
        match written.await {
            Ok(()) => Done::Committed,
            Err(error) => {
                tracing::error!(task = task.id, %error, "what lapsed could not be removed");
                Done::RetryAfter(SignedDuration::from_secs(60))
            }
        }
    }
}
