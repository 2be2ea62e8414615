//! What nobody confirmed in time goes: subscriptions that wait for it, and those that could be brought back.
//! Source: SNS API Reference, Subscribe and ConfirmSubscription ("valid for two days").

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Done, NewTask, Task, Tx};
use wire::Error;

use super::deliver::Deliverer;
use super::topic::{Removed, Subscription};

pub(super) const LAPSE: &str = "sns:lapse";
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

impl Deliverer {
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
