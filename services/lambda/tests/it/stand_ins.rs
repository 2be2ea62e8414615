//! What the service needs of others: an identity whose keys count up, logs and a queue that remember what they were sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use api_logs::{CreateLogGroup, CreateLogStream, PutLogEvents};
use api_sqs::{DeleteMessageBatch, GetQueueAttributes, Message, ReceiveMessage, SendMessage};
use async_trait::async_trait;
use service::identity::Credentials;
use service::{Cx, Handle, Principal, Router};
use tokio::sync::watch;
use wire::{Error, Operation};

#[derive(Default)]
pub(crate) struct Identity(AtomicUsize);

#[async_trait]
impl service::identity::Identity for Identity {
    async fn credentials(&self, _: &str) -> Result<Option<Credentials>, Error> {
        Ok(None)
    }
    async fn authorize(&self, _: &Principal, _: &str, _: &str) -> Result<(), Error> {
        Ok(())
    }
    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        if role_arn.ends_with("/nobody") {
            return Err(Error::access_denied("no such role"));
        }
        Ok(Principal::role(role_arn, session, attempt.map(str::to_owned)))
    }
    async fn issue(&self, principal: &Principal, _: jiff::SignedDuration) -> Result<Credentials, Error> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Credentials {
            access_key: format!("ASIA{number:016}"),
            secret_key: "secret".to_owned(),
            session_token: Some(format!("token-{number}")),
            expires: None,
            principal: principal.clone(),
            account: "000000000000".to_owned(),
            attempt: None,
        })
    }
    async fn revoke(&self, _: &str) -> Result<(), Error> {
        Ok(())
    }
}

/// Lines by group, and messages; a change wakes who waits.
#[derive(Default)]
pub(crate) struct Neighbours {
    lines: Mutex<BTreeMap<String, Vec<String>>>,
    messages: Mutex<Vec<<SendMessage as Operation>::Input>>,
    /// What may be received, and the receipt handles of what was deleted.
    waiting: Mutex<Vec<String>>,
    deleted: Mutex<Vec<String>>,
    changed: watch::Sender<u64>,
}

impl Neighbours {
    pub(crate) fn register(router: &Router) -> Arc<Self> {
        let neighbours = Arc::new(Self::default());
        service::operations!(router, neighbours, api_logs: CreateLogGroup, CreateLogStream, PutLogEvents);
        service::operations!(router, neighbours, api_sqs: DeleteMessageBatch, GetQueueAttributes, ReceiveMessage, SendMessage);
        neighbours
    }

    pub(crate) async fn log_until(&self, group: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut changed = self.changed.subscribe();
        loop {
            let lines = self.lines.lock().unwrap().get(group).cloned().unwrap_or_default();
            if enough(&lines) {
                return lines;
            }
            changed.changed().await.unwrap();
        }
    }

    /// Puts a message into the queue, whatever it is called.
    pub(crate) fn offer(&self, body: &str) {
        self.waiting.lock().unwrap().push(body.to_owned());
        self.changed.send_modify(|changes| *changes += 1);
    }

    /// Waits until nothing is left to be received.
    pub(crate) async fn taken(&self) {
        let mut changed = self.changed.subscribe();
        while !self.waiting.lock().unwrap().is_empty() {
            changed.changed().await.unwrap();
        }
    }

    pub(crate) async fn deleted(&self) -> String {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(handle) = self.deleted.lock().unwrap().pop() {
                return handle;
            }
            changed.changed().await.unwrap();
        }
    }

    pub(crate) async fn message(&self) -> <SendMessage as Operation>::Input {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(message) = self.messages.lock().unwrap().pop() {
                return message;
            }
            changed.changed().await.unwrap();
        }
    }
}

type Input<O> = <O as Operation>::Input;
type Output<O> = <O as Operation>::Output;

#[async_trait]
impl Handle<CreateLogGroup> for Neighbours {
    async fn handle(&self, _: &Cx, _: Input<CreateLogGroup>) -> Result<Output<CreateLogGroup>, Error> {
        Ok(Output::<CreateLogGroup>::default())
    }
}

#[async_trait]
impl Handle<CreateLogStream> for Neighbours {
    async fn handle(&self, _: &Cx, _: Input<CreateLogStream>) -> Result<Output<CreateLogStream>, Error> {
        Ok(Output::<CreateLogStream>::default())
    }
}

#[async_trait]
impl Handle<PutLogEvents> for Neighbours {
    async fn handle(&self, _: &Cx, input: Input<PutLogEvents>) -> Result<Output<PutLogEvents>, Error> {
        let messages = input.log_events.into_iter().map(|event| event.message.trim_end().to_owned());
        self.lines.lock().unwrap().entry(input.log_group_name).or_default().extend(messages);
        self.changed.send_modify(|changes| *changes += 1);
        Ok(Output::<PutLogEvents>::default())
    }
}

#[async_trait]
impl Handle<SendMessage> for Neighbours {
    async fn handle(&self, _: &Cx, input: Input<SendMessage>) -> Result<Output<SendMessage>, Error> {
        self.messages.lock().unwrap().push(input);
        self.changed.send_modify(|changes| *changes += 1);
        Ok(Output::<SendMessage>::default())
    }
}

#[async_trait]
impl Handle<GetQueueAttributes> for Neighbours {
    async fn handle(&self, _: &Cx, _: Input<GetQueueAttributes>) -> Result<Output<GetQueueAttributes>, Error> {
        let attributes = BTreeMap::from([("VisibilityTimeout".to_owned(), "30".to_owned())]);
        Ok(Output::<GetQueueAttributes> { attributes: Some(attributes) })
    }
}

#[async_trait]
impl Handle<ReceiveMessage> for Neighbours {
    async fn handle(&self, _: &Cx, _: Input<ReceiveMessage>) -> Result<Output<ReceiveMessage>, Error> {
        let mut changed = self.changed.subscribe();
        loop {
            let taken = self.waiting.lock().unwrap().pop();
            if let Some(body) = taken {
                self.changed.send_modify(|changes| *changes += 1);
                let message = Message {
                    message_id: Some(body.clone()),
                    receipt_handle: Some(body.clone()),
                    body: Some(body),
                    ..Message::default()
                };
                return Ok(Output::<ReceiveMessage> { messages: Some(vec![message]) });
            }
            changed.changed().await.unwrap();
        }
    }
}

#[async_trait]
impl Handle<DeleteMessageBatch> for Neighbours {
    async fn handle(&self, _: &Cx, input: Input<DeleteMessageBatch>) -> Result<Output<DeleteMessageBatch>, Error> {
        self.deleted.lock().unwrap().extend(input.entries.into_iter().map(|entry| entry.receipt_handle));
        self.changed.send_modify(|changes| *changes += 1);
        Ok(Output::<DeleteMessageBatch>::default())
    }
}
