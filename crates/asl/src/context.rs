//! The context object, `$$`: what an execution knows of itself. Built only when something refers to it.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::info::{Info, Redrive};
use crate::time::Timestamp;

pub(crate) struct Context<'a> {
    pub(crate) info: &'a Info,
    pub(crate) state: &'a str,
    pub(crate) entered: Timestamp,
    pub(crate) redrive: Redrive,
    pub(crate) retry_count: u32,
    /// Index and value, innermost Map.
    pub(crate) item: Option<(u64, &'a Value)>,
    /// In a Distributed Map: the member's name, where an object is gone over, and where the item is from.
    pub(crate) item_origin: Option<(Option<&'a str>, &'a str)>,
    pub(crate) token: Option<String>,
    /// A whole context object, to be used instead; a Map's items and a task's token are put into it.
    pub(crate) given: Option<&'a Value>,
    built: OnceCell<Value>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(info: &'a Info, state: &'a str, entered: Timestamp) -> Self {
        Self {
            info,
            state,
            entered,
            redrive: Redrive::default(),
            retry_count: 0,
            item: None,
            item_origin: None,
            token: None,
            given: None,
            built: OnceCell::new(),
        }
    }

    pub(crate) fn value(&self) -> &Value {
        self.built.get_or_init(|| self.build())
    }

    fn build(&self) -> Value {
        if let Some(given) = self.given {
            return self.completed(given);
        }
        let mut root = Map::new();
        let mut execution = json!({
            "Id": self.info.execution_arn,
            "Input": self.info.input.value(),
            "StartTime": self.info.started.to_iso(),
            "Name": self.info.name,
            "RoleArn": self.info.role_arn,
        });
        // Only what is durable can be redriven.
        if let (false, Value::Object(execution)) = (self.info.execution_arn.contains(":express:"), &mut execution) {
            execution.insert("RedriveCount".to_owned(), Value::from(self.redrive.count));
            if let Some(at) = self.redrive.at {
                execution.insert("RedriveTime".to_owned(), Value::from(at.to_iso()));
            }
        }
        root.insert("Execution".to_owned(), execution);
        root.insert(
            "StateMachine".to_owned(),
            json!({ "Id": self.info.state_machine_arn, "Name": self.info.state_machine_name }),
        );
        let mut state = json!({ "Name": self.state, "EnteredTime": self.entered.to_iso() });
        if let (Some(count), Value::Object(state)) = (self.shown_retry_count(), &mut state) {
            state.insert("RetryCount".to_owned(), Value::from(count));
        }
        root.insert("State".to_owned(), state);
        if let Some((index, value)) = self.item {
            let mut item = Map::new();
            item.insert("Index".to_owned(), Value::from(index));
            if let Some((Some(key), _)) = self.item_origin {
                item.insert("Key".to_owned(), Value::from(key));
            }
            item.insert("Value".to_owned(), value.clone());
            if let Some((_, source)) = self.item_origin {
                item.insert("Source".to_owned(), Value::from(source));
            }
            root.insert("Map".to_owned(), json!({ "Item": item }));
        }
        if let Some(token) = &self.token {
            root.insert("Task".to_owned(), json!({ "Token": token }));
        }
        Value::Object(root)
    }

    fn completed(&self, given: &Value) -> Value {
        let Value::Object(mut members) = given.clone() else { return given.clone() };
        if let Some((index, value)) = self.item {
            members.insert("Map".to_owned(), json!({ "Item": { "Index": index, "Value": value } }));
        }
        if let Some(token) = &self.token {
            members.entry("Task").or_insert_with(|| json!({ "Token": token }));
        }
        Value::Object(members)
    }

    /// States that can be retried have a count, from zero.
    fn shown_retry_count(&self) -> Option<u32> {
        (self.retry_count != u32::MAX).then_some(self.retry_count)
    }

    pub(crate) fn without_retries(mut self) -> Self {
        self.retry_count = u32::MAX;
        self
    }
}
