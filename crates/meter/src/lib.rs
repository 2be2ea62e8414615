//! What expressions may cost: steps for time, bytes for memory. Counted, not timed, so that the same expressions end the same way on
//! every machine.

use std::cell::Cell;

use serde_json::Value;

/// Values looked at, and steps of evaluation, in one go over expressions that belong together.
const MAX_STEPS: u64 = 20_000_000;
/// What the values that are made may take together.
const MAX_BYTES: usize = 128 << 20;
/// A value takes so much beside its text.
const VALUE_BYTES: usize = size_of::<Value>();

/// What is left of the bounds.
#[derive(Debug)]
pub struct Meter {
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
pub struct Exceeded;

impl Meter {
    pub fn step(&self, steps: usize) -> Result<(), Exceeded> {
        let left = self.steps.get().checked_sub(steps as u64);
        self.steps.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Exceeded)
    }

    /// Before the value is copied, or after it was made.
    pub fn hold(&self, value: &Value) -> Result<(), Exceeded> {
        self.hold_bytes(weight(value))
    }

    /// One value with so many bytes of text.
    pub fn hold_text(&self, bytes: usize) -> Result<(), Exceeded> {
        self.hold_bytes(VALUE_BYTES + bytes)
    }

    fn hold_bytes(&self, bytes: usize) -> Result<(), Exceeded> {
        let left = self.bytes.get().checked_sub(bytes);
        self.bytes.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Exceeded)
    }

    pub fn steps_left(&self) -> u64 {
        self.steps.get()
    }

    pub fn steps_taken(&self) -> u64 {
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
pub fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum(),
        _ => 0,
    }
}
