//! StartMessageMoveTask, ListMessageMoveTasks and CancelMessageMoveTask.

use api_sqs::{
    CancelMessageMoveTask, CancelMessageMoveTaskRequest, CancelMessageMoveTaskResult, ListMessageMoveTasks,
    ListMessageMoveTasksRequest, ListMessageMoveTasksResult, ListMessageMoveTasksResultEntry, StartMessageMoveTask,
    StartMessageMoveTaskRequest, StartMessageMoveTaskResult, error,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use service::{Cx, Handle};
use store::{NewTask, Tx};
use wire::Error;

use crate::sqs::moves::{MOVE, MoveTask, Status, Work};
use crate::sqs::queue::{Queue, QueueKey, invalid_parameter};
use crate::sqs::{Sqs, message};

/// How many tasks of a queue are known.
const KNOWN: usize = 10;

#[async_trait]
impl Handle<StartMessageMoveTask> for Sqs {
    async fn handle(&self, cx: &Cx, req: StartMessageMoveTaskRequest) -> Result<StartMessageMoveTaskResult, Error> {
        if req.max_number_of_messages_per_second.is_some_and(|rate| !(1..=500).contains(&rate)) {
            return Err(invalid_parameter(
                "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: it must be between 1 and 500.",
            ));
        }
        let now = cx.now().as_millisecond();
        let mut task = MoveTask {
            version: 1,
            id: cx.uuid(),
            source_arn: req.source_arn,
            destination_arn: req.destination_arn,
            rate: req.max_number_of_messages_per_second,
            status: Status::Running,
            moved: 0,
            to_move: 0,
            started_ms: now,
            failure: None,
        };
        let handle = handle(&task);
        self.may_move(cx, &task).await?;
        // Counting takes as long as there are messages: those that write do not wait for it.
        let source = task.source_arn.clone();
        let count = |tx: &mut Tx<'_>| {
            let queue = named(tx, "SourceArn", &source)?;
            Ok::<_, Error>(message::counts(tx, &queue, now)?.0)
        };
        let to_move = i64::try_from(self.store.read(count).await?).unwrap_or(i64::MAX);
        cx.write(&self.store, move |tx| {
            let queue = named(tx, "SourceArn", &task.source_arn)?;
            if let Some(destination) = &task.destination_arn {
                let destination = named(tx, "DestinationArn", destination)?;
                if destination.id == queue.id {
                    return Err(invalid_parameter("Source queue arn and destination queue arn cannot be the same."));
                }
                if destination.is_fifo() != queue.is_fifo() {
                    return Err(invalid_parameter("Source and destination queues must be of the same type."));
                }
            }
            if sources(tx, &queue)?.is_empty() {
                return Err(invalid_parameter("Source queue must be configured as a Dead Letter Queue."));
            }
            let known = MoveTask::list(tx, &queue, 1000)?;
            if known.iter().any(|task| task.status.is_active()) {
                return Err(invalid_parameter(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a given \
                     time.",
                ));
            }
            // Of two that are started within a millisecond the second is the newer one too.
            if let Some(newest) = known.first() {
                task.started_ms = task.started_ms.max(newest.started_ms + 1);
            }
            for old in known.iter().skip(KNOWN - 1) {
                old.forget(tx, &queue)?;
            }
            task.to_move = to_move;
            task.save(tx, &queue)?;
            let work = Work { source_arn: task.source_arn.clone(), id: task.id.clone() };
            Ok(tx.enqueue(NewTask::new(MOVE, format!("{MOVE}/{}", task.id)).payload(&work)?)?)
        })
        .await?;
        Ok(StartMessageMoveTaskResult { task_handle: Some(handle) })
    }
}

#[async_trait]
impl Handle<ListMessageMoveTasks> for Sqs {
    async fn handle(&self, _: &Cx, req: ListMessageMoveTasksRequest) -> Result<ListMessageMoveTasksResult, Error> {
        let most = req.max_results.unwrap_or(1);
        let most = usize::try_from(most).ok().filter(|most| (1..=KNOWN).contains(most)).ok_or_else(|| {
            invalid_parameter("Value for parameter MaxResults is invalid. Reason: it must be between 1 and 10.")
        })?;
        let tasks = self.store.read(|tx| {
            let queue = named(tx, "SourceArn", &req.source_arn)?;
            MoveTask::list(tx, &queue, most)
        });
        let results = tasks.await?.into_iter().map(|task| ListMessageMoveTasksResultEntry {
            task_handle: (task.status == Status::Running).then(|| handle(&task)),
            status: Some(task.status.name().to_owned()),
            source_arn: Some(task.source_arn),
            destination_arn: task.destination_arn,
            max_number_of_messages_per_second: task.rate,
            approximate_number_of_messages_moved: Some(task.moved),
            approximate_number_of_messages_to_move: Some(task.to_move),
            failure_reason: task.failure,
            started_timestamp: Some(task.started_ms),
        });
        Ok(ListMessageMoveTasksResult { results: Some(results.collect()) })
    }
}

#[async_trait]
impl Handle<CancelMessageMoveTask> for Sqs {
    async fn handle(&self, cx: &Cx, req: CancelMessageMoveTaskRequest) -> Result<CancelMessageMoveTaskResult, Error> {
        let handle = BASE64.decode(&req.task_handle).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        let handle = handle.unwrap_or_default();
        let (Some(id), Some(arn)) = (handle["taskId"].as_str(), handle["sourceArn"].as_str()) else {
            return Err(invalid_parameter("Value for parameter TaskHandle is invalid."));
        };
        // The handle names the queue, which the operation's own members do not.
        cx.router().authorize(cx, "sqs:CancelMessageMoveTask", arn).await?;
        let (id, arn) = (id.to_owned(), arn.to_owned());
        let moved = cx
            .write(&self.store, move |tx| {
                let queue = named(tx, "SourceArn", &arn)?;
                let task = MoveTask::list(tx, &queue, 1000)?.into_iter().find(|task| task.id == id);
                let mut task = task.filter(|task| task.status == Status::Running).ok_or_else(|| {
                    error::resource_not_found_exception("Task does not exist.")
                        .with_query_code("ResourceNotFoundException")
                })?;
                task.status = Status::Cancelling;
                task.save(tx, &queue)?;
                Ok::<_, Error>(task.moved)
            })
            .await?;
        Ok(CancelMessageMoveTaskResult { approximate_number_of_messages_moved: Some(moved) })
    }
}

impl Sqs {
    /// The task takes, deletes and sends as its caller may: it moves nothing that the caller could not. Source: SQS Developer Guide,
    /// "Learn how to configure a dead-letter queue redrive", "required permissions".
    async fn may_move(&self, cx: &Cx, task: &MoveTask) -> Result<(), Error> {
        let named_there = |tx: &mut Tx<'_>| {
            let queue = named(tx, "SourceArn", &task.source_arn)?;
            Ok::<_, Error>(sources(tx, &queue)?.iter().map(Queue::arn).collect())
        };
        let destinations: Vec<String> = match &task.destination_arn {
            Some(destination) => vec![destination.clone()],
            None => self.store.read(named_there).await?,
        };
        let router = cx.router();
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage"] {
            router.authorize(cx, action, &task.source_arn).await?;
        }
        for destination in destinations {
            router.authorize(cx, "sqs:SendMessage", &destination).await?;
        }
        Ok(())
    }
}

/// The queues whose dead-letter queue it is.
fn sources(tx: &mut Tx<'_>, queue: &Queue) -> Result<Vec<Queue>, Error> {
    let all: Vec<Queue> = tx.list_json(QueueKey::queues(&queue.account, &queue.region), 100_000)?;
    let place = queue.place().key();
    let is_source = |one: &Queue| one.redrive().is_some_and(|redrive| redrive.target.key() == place);
    Ok(all.into_iter().filter(is_source).collect())
}

fn named(tx: &mut Tx<'_>, member: &str, arn: &str) -> Result<Queue, Error> {
    let found = match QueueKey::of_arn(arn) {
        Some(place) => place.find(tx)?,
        None => None,
    };
    found.ok_or_else(|| {
        error::resource_not_found_exception(format!(
            "The resource that you specified for the {member} parameter doesn't exist."
        ))
        .with_query_code("ResourceNotFoundException")
    })
}

fn handle(task: &MoveTask) -> String {
    BASE64.encode(json!({ "taskId": task.id, "sourceArn": task.source_arn }).to_string())
}
