//! Deliveries of FIFO topics: what is published waits by subscription and group, and one task for each brings it in the order of its
//! sequence numbers. A message that cannot be delivered now holds up its group; one that never can goes to the dead-letter queue.
//! Source: SNS Developer Guide, "Amazon SNS message ordering details for FIFO topics".

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use store::kv::memo_prefix;
use store::{Done, Key, NewTask, Task, Tx};
use wire::Error;

use super::deliver::{Deliverer, MAX_ATTEMPTS, pause};
use super::feedback::Said;
use super::mail::Refused;
use super::publish::Delivery;

pub(super) const ORDERED: &str = "sns:ordered";
/// Messages after which other groups have their turn.
const IN_A_ROW: usize = 20;

/// A message that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pending {
    delivery: Delivery,
    failures: u32,
}

/// Whose messages a task brings.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Lane {
    subscription_arn: String,
    group: String,
}

impl Lane {
    fn task(&self) -> String {
        let id = self.subscription_arn.rsplit(':').next().unwrap_or_default();
        format!("{ORDERED}/{id}/{}", self.group)
    }

    fn pending(&self) -> Key {
        Key::new("sns").push("pending").push(&self.subscription_arn).push(&self.group)
    }
}

/// Puts a message behind those of its group, under its sequence number.
pub(super) fn enqueue(tx: &mut Tx<'_>, delivery: Delivery, number: u64) -> Result<(), Error> {
    let group = delivery.notification.group.clone().unwrap_or_default();
    let lane = Lane { subscription_arn: delivery.subscription_arn.clone(), group };
    tx.put_json(lane.pending().push_u64(number), &Pending { delivery, failures: 0 })?;
    if !tx.has_task(&lane.task())? {
        tx.enqueue(NewTask::new(ORDERED, lane.task()).payload(&lane)?)?;
    }
    Ok(())
}

impl Deliverer {
    pub(super) async fn run_ordered(&self, task: &Task) -> Done {
        let brought = match task.payload::<Lane>() {
            Ok(lane) => self.bring(task, &lane).await,
            Err(error) => Err(error.into()),
        };
        brought.unwrap_or_else(|error| {
            tracing::warn!(task = task.id, %error, "messages of a FIFO topic could not be read; trying again");
            Done::RetryAfter(SignedDuration::from_secs(5))
        })
    }

    async fn bring(&self, task: &Task, lane: &Lane) -> Result<Done, Error> {
        for _ in 0..IN_A_ROW {
            let first = self.store.read(|tx| tx.scan_prefix(lane.pending(), 1)).await?.pop();
            let Some((key, value)) = first else {
                return Ok(if self.close(task, lane).await? {
                    Done::Committed
                } else {
                    Done::RetryAfter(SignedDuration::ZERO)
                });
            };
            let Pending { delivery, failures } = store::kv::decode(&key, &value)?;
            // The memos of what it calls begin with the task's name, and end with the message.
            let name = format!("{}/{}", task.id, delivery.notification.id);
            let (cause, for_good) = match self.deliver(&name, failures + 1, delivery.clone()).await {
                Ok(()) => {
                    self.done(key, &name).await?;
                    continue;
                }
                Err(Refused::ForNow(cause)) => (cause, failures + 1 >= MAX_ATTEMPTS),
                Err(Refused::ForGood(cause)) => (cause, true),
            };
            if for_good {
                tracing::error!(task = task.id, cause, "a delivery failed for good");
                self.failed(&name, failures + 1, &delivery, Said::refused(&cause)).await;
                if self.dead_letter(&name, delivery).await.is_err() {
                    return Ok(Done::RetryAfter(pause(failures + 1)));
                }
                self.done(key, &name).await?;
                continue;
            }
            let failures = failures + 1;
            tracing::warn!(task = task.id, failures, cause, "a delivery failed and is tried again");
            let pause = pause(failures);
            let ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
            let next_ms = self.store.clock().now_ms().saturating_add(ms);
            self.waits(&name, &delivery, (failures, next_ms), cause).await;
            self.store.write(move |tx| tx.put_json(&key, &Pending { delivery: delivery.clone(), failures })).await?;
            return Ok(Done::RetryAfter(pause));
        }
        Ok(Done::RetryAfter(SignedDuration::ZERO))
    }

    /// The message is dealt with: nothing of it is to be remembered.
    async fn done(&self, key: Vec<u8>, name: &str) -> Result<(), Error> {
        let memos = memo_prefix().push(name);
        let write = self.store.write(move |tx| {
            for (memo, _) in tx.scan_prefix(&memos, 10)? {
                tx.delete(memo)?;
            }
            tx.delete(&key)
        });
        Ok(write.await?)
    }

    /// Ends the task, unless something was published meanwhile.
    async fn close(&self, task: &Task, lane: &Lane) -> Result<bool, Error> {
        let (id, pending) = (task.id.clone(), lane.pending());
        let write = self.store.write(move |tx| {
            if !tx.scan_prefix(&pending, 1)?.is_empty() {
                return Ok(false);
            }
            tx.finish_task(&id)?;
            Ok::<_, Error>(true)
        });
        write.await
    }
}
