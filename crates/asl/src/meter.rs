//! What a state's expressions may cost: steps for time, bytes for memory. Counted, not timed, so that the same state ends the same way
//! on every machine.

use std::cell::Cell;

use serde_json::Value;

/// Values looked at, and steps of JSONata, in one go over a state's fields.
const MAX_STEPS: u64 = 20_000_000;
/// What the values that are made may take together.
const MAX_BYTES: usize = 128 << 20;
/// A value takes so much beside its text.
const VALUE_BYTES: usize = size_of::<Value>();

/// What is left of the bounds.
#[derive(Debug)]
pub(crate) struct Meter {
    steps: Cell<u64>,
    bytes: Cell<usize>,
}

impl Default for Meter {
    fn default() -> Self {
        Self { steps: Cell::new(MAX_STEPS), bytes: Cell::new(MAX_BYTES) }
    }
}

/// A bound was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded;

impl Meter {
    pub(crate) fn step(&self, steps: usize) -> Result<(), Exceeded> {
        let left = self.steps.get().checked_sub(steps as u64);
        self.steps.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Exceeded)
    }

    /// Before the value is copied, or after it was made.
    pub(crate) fn hold(&self, value: &Value) -> Result<(), Exceeded> {
        self.hold_bytes(weight(value))
    }

    /// One value with so many bytes of text.
    pub(crate) fn hold_text(&self, bytes: usize) -> Result<(), Exceeded> {
        self.hold_bytes(VALUE_BYTES + bytes)
    }

    fn hold_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Exceeded)
    }

    pub(crate) fn steps_left(&self) -> u64 {
        self.steps.get()
    }

    pub(crate) fn steps_taken(&self) -> u64 {
        MAX_STEPS - self.steps.get()
    }
}

/// How much memory a value takes, about.
fn weight(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| name.len() + VALUE_BYTES + weight(value)).sum()
            }
            _ => 0,
        }
}

/// The values within a value, and itself.
pub(crate) fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}
