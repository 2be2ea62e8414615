//! Workers: what Task states call. What they answer is decided by the plan in what they are given, so that the evaluator knows it
//! too; when they answer, how often, and whether it arrives is chance.

use serde_json::{Value, json};

use crate::evaluate::Failure;
use crate::model::How;

/// How the attempts of a task go: so many fail, so many more are never answered, the next succeeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub fails: u64,
    pub error: String,
    pub silent: u64,
    pub reply: Reply,
    pub delay_ms: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What it was given.
    Echo,
    /// The same in an object.
    Wrapped,
    Fixed(Value),
}

/// What becomes of one attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Attempt {
    Succeeds(Value),
    Fails(String),
    Silent,
}

impl Plan {
    pub fn written(&self) -> Value {
        let reply = match &self.reply {
            Reply::Echo => json!("echo"),
            Reply::Wrapped => json!("wrapped"),
            Reply::Fixed(value) => json!({ "fixed": value }),
        };
        json!({ "fails": self.fails, "error": self.error, "silent": self.silent, "reply": reply, "delay": self.delay_ms })
    }

    /// As it was written.
    pub fn read(written: &Value) -> Self {
        let number = |field: &str| written[field].as_u64().unwrap_or(0);
        let reply = match &written["reply"] {
            Value::String(text) if text == "wrapped" => Reply::Wrapped,
            Value::Object(reply) => Reply::Fixed(reply.get("fixed").cloned().unwrap_or_default()),
            _ => Reply::Echo,
        };
        let error = written["error"].as_str().unwrap_or_default().to_owned();
        Self { fails: number("fails"), error, silent: number("silent"), reply, delay_ms: number("delay") }
    }

    pub fn attempt(&self, retry: u64, value: &Value) -> Attempt {
        if retry < self.fails {
            return Attempt::Fails(self.error.clone());
        }
        if retry < self.fails + self.silent {
            return Attempt::Silent;
        }
        Attempt::Succeeds(match &self.reply {
            Reply::Echo => value.clone(),
            Reply::Wrapped => json!({ "got": value }),
            Reply::Fixed(value) => value.clone(),
        })
    }

    /// The attempt as the state sees it.
    pub fn perform(&self, retry: u64, value: &Value, how: How) -> Result<Value, Failure> {
        match self.attempt(retry, value) {
            Attempt::Succeeds(value) => Ok(value),
            // What a job did is in its cause.
            Attempt::Fails(_) if how == How::Job => Err(Failure::new("States.TaskFailed", crate::evaluate::ANY_TEXT)),
            Attempt::Fails(error) => {
                let answered = matches!(how, How::Callback | How::Activity);
                let cause = if answered { "m".to_owned() } else { raised(&error) };
                Err(Failure::new(&error, &cause))
            }
            Attempt::Silent => Err(Failure::new("States.Timeout", crate::evaluate::ANY_TEXT)),
        }
    }
}

/// What a function that raises answers.
pub fn raised(error: &str) -> String {
    format!("{{\"errorType\":\"{error}\",\"errorMessage\":\"m\"}}")
}
