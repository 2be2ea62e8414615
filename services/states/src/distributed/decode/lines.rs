//! JSON Lines: each line an item.

use std::collections::VecDeque;

use serde_json::Value;

use super::MAX_ITEM_BYTES;

#[derive(Default)]
pub(in super::super) struct JsonLines {
    /// The line that has begun.
    line: Vec<u8>,
    number: u64,
}

impl JsonLines {
    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        let mut pieces = bytes.split(|byte| *byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            self.line.extend_from_slice(piece);
            self.item(out)?;
        }
        self.line.extend_from_slice(last);
        if self.line.len() > MAX_ITEM_BYTES {
            return Err(format!("Line {} is longer than {MAX_ITEM_BYTES} bytes", self.number + 1));
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        self.item(out)
    }

    fn item(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        self.number += 1;
        if !self.line.trim_ascii().is_empty() {
            let item = jsontext::read_slice(&self.line)
                .map_err(|error| format!("Line {} is not valid JSON: {error}", self.number))?;
            out.push_back(item);
        }
        self.line.clear();
        Ok(())
    }
}
