//! The port through which calls are recorded: who called what, what came of it, and which statements of policies decided. Implemented by
//! `services/cloudtrail`; while nobody records, a call costs one look at a flag.

use std::cell::RefCell;

use async_trait::async_trait;
use serde_json::{Value, json};
use wire::schema::Shape;
use wire::{Error, OperationSpec};

use crate::{Cx, Principal, Router};

/// A call that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub cx: &'a Cx,
    pub at: jiff::Timestamp,
    pub service: &'static str,
    pub operation: &'static str,
    pub read_only: bool,
    /// In their canonical forms, with their shapes where they are known.
    pub input: &'a Value,
    pub input_shape: Option<&'static Shape>,
    pub output: Option<&'a Value>,
    pub output_shape: Option<&'static Shape>,
    pub error: Option<&'a Error>,
    /// The statements that allowed or denied it.
    pub statements: &'a [Value],
}

/// Who records calls.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Whether any call may be recorded now.
    fn is_on(&self) -> bool;
    /// Records a call where it is wanted; it is kept when this answers.
    async fn record(&self, call: Call<'_>) -> Result<(), Error>;
}

tokio::task_local! {
    /// The statements that have decided so far in the call under way.
    static STATEMENTS: RefCell<Vec<Value>>;
}

/// The most statements told of one call.
const MOST: usize = 10;

/// Notes a statement that has decided; nothing where nobody records.
pub(crate) fn decided(statement: &Value) {
    let _ = STATEMENTS.try_with(|all| {
        let mut all = all.borrow_mut();
        let told = if let Some(sid) = statement.get("Sid") {
            json!({ "sid": sid, "effect": statement["Effect"] })
        } else {
            let of = |one: &str, other: &str| statement.get(one).or_else(|| statement.get(other)).cloned();
            json!({
                "effect": statement["Effect"],
                "action": of("Action", "NotAction"),
                "resource": of("Resource", "NotResource"),
            })
        };
        if all.len() < MOST && !all.contains(&told) {
            all.push(told);
        }
    });
}

/// Does what a call does, and answers the statements that have decided with it.
pub async fn watched<T>(call: impl Future<Output = T>) -> (T, Vec<Value>) {
    STATEMENTS
        .scope(RefCell::new(Vec::new()), async {
            let done = call.await;
            (done, STATEMENTS.with(|all| all.borrow_mut().split_off(0)))
        })
        .await
}

impl Router {
    /// Whether anybody records calls now.
    pub fn is_audited(&self) -> bool {
        self.audit.get().is_some_and(|audit| audit.is_on())
    }

    /// Who records this call; nobody records what the platform does for itself.
    pub fn auditor(&self, cx: &Cx) -> Option<&dyn Audit> {
        let audit = self.audit.get().filter(|audit| audit.is_on())?;
        let own = matches!(cx.principal(), Principal::Platform) && cx.service().is_none();
        (!own).then_some(&**audit)
    }

    /// Records a call of the table.
    pub(crate) async fn record(
        &self,
        audit: &dyn Audit,
        (cx, spec, at): (&Cx, &'static OperationSpec, jiff::Timestamp),
        input: &Value,
        outcome: Result<Option<&Value>, &Error>,
        statements: &[Value],
    ) {
        let call = Call {
            cx,
            at,
            service: spec.service.name,
            operation: spec.name,
            read_only: spec.readonly,
            input,
            input_shape: Some(spec.input),
            output: outcome.ok().flatten(),
            output_shape: Some(spec.output),
            error: outcome.err(),
            statements,
        };
        // What has been done cannot be undone because it could not be recorded.
        if let Err(error) = audit.record(call).await {
            tracing::error!(service = spec.service.name, operation = spec.name, %error, "a call could not be recorded");
        }
    }
}
