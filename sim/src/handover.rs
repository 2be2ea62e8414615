//! One execution hands over to another by its task token, with the call of a Task. Whatever crashes, the one goes on and the other has
//! made its call once.

use std::sync::{Arc, Mutex, PoisonError};

use api_sqs::{SendMessage, SendMessageRequest, SendMessageResult};
use async_trait::async_trait;
use serde_json::json;
use service::{Cx, Handle, Router, operations};
use wire::Error;

use crate::scene::{Client, Stage};

/// The token that was sent last.
#[derive(Default)]
struct Letters(Mutex<Option<String>>);

#[async_trait]
impl Handle<SendMessage> for Letters {
    async fn handle(&self, _: &Cx, input: SendMessageRequest) -> Result<SendMessageResult, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(input.message_body);
        Ok(SendMessageResult::default())
    }
}

/// Runs a seed, with executions in so many stores of their own; `fails` is whether the answer is a failure.
pub fn run(seed: u64, shards: usize) -> Result<u64, String> {
    let mut stage = Stage::over(seed, shards);
    stage.sound();
    let fails = stage.chance.permille(300);
    let letters = Arc::new(Letters::default());
    let services = {
        let letters = Arc::clone(&letters);
        move |router: &Arc<Router>| {
            operations!(router, letters, api_sqs: SendMessage);
        }
    };
    let waits = json!({ "StartAt": "W", "States": { "W": {
        "Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken", "End": true,
        "Parameters": { "QueueUrl": "q", "MessageBody.$": "$$.Task.Token" },
    } } });
    let (operation, parameters) = if fails {
        ("sendTaskFailure", json!({ "TaskToken.$": "$.token", "Error": "E" }))
    } else {
        ("sendTaskSuccess", json!({ "TaskToken.$": "$.token", "Output": "1" }))
    };
    let hands_over = json!({ "StartAt": "H", "States": { "H": {
        "Type": "Task", "Resource": format!("arn:aws:states:::aws-sdk:sfn:{operation}"), "End": true,
        "Parameters": parameters,
    } } });
    let played = stage.play(
        &services,
        |client: Client| {
            let (letters, waits, hands_over) = (Arc::clone(&letters), waits.clone(), hands_over.clone());
            async move {
                let waiting = client.start("waits", &waits, &json!({})).await;
                let token = loop {
                    let token = letters.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    match token {
                        Some(token) => break token,
                        None => client.pause().await,
                    }
                };
                let handing = client.start("hands-over", &hands_over, &json!({ "token": token })).await;
                let (handed, waited) = (client.ended(&handing).await, client.ended(&waiting).await);
                let want = if fails { "FAILED" } else { "SUCCEEDED" };
                if handed["Status"] == "SUCCEEDED" && waited["Status"] == want {
                    return Ok(());
                }
                Err(format!("{handed}\n{waited}"))
            }
        },
        |_| {},
    );
    played.map_err(|fault| format!("seed {seed}: {fault}"))
}
