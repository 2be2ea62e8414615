//! From the bytes of an object to the items in it, piece by piece: an object is never whole in memory.

mod csv;
mod hash_order;
mod json;
mod lines;
pub(super) mod parquet;
mod records;

use std::collections::VecDeque;

use asl::{InputType, ReaderConfig};
use serde_json::Value;

pub(super) use csv::CsvRows;
use json::JsonItems;
use lines::JsonLines;

/// One item longer than this cannot be given to any execution.
const MAX_ITEM_BYTES: usize = 16 * 1024 * 1024;

/// Reads one object.
pub(super) enum Decoder {
    Csv(Box<CsvRows>),
    Json(JsonItems),
    Lines(JsonLines),
}

impl Decoder {
    /// `Err` says what cannot be read as a stream of bytes.
    pub(super) fn new(kind: InputType, config: &ReaderConfig) -> Result<Self, String> {
        match kind {
            InputType::Csv => Ok(Self::Csv(Box::new(CsvRows::configured(config)?))),
            InputType::Json => Ok(Self::Json(JsonItems::new(config.items_pointer.as_deref())?)),
            InputType::Jsonl => Ok(Self::Lines(JsonLines::default())),
            other => Err(format!("Objects of InputType {} cannot be read", other.name())),
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut VecDeque<Value>) -> Result<(), String> {
        match self {
            Self::Csv(rows) => rows.feed(bytes, out),
            Self::Json(items) => items.feed(bytes, out),
            Self::Lines(lines) => lines.feed(bytes, out),
        }
    }

    /// The object has ended.
    pub(super) fn finish(&mut self, out: &mut VecDeque<Value>) -> Result<(), String> {
        match self {
            Self::Csv(rows) => rows.finish(out),
            Self::Json(items) => items.finish(out),
            Self::Lines(lines) => lines.finish(out),
        }
    }
}

/// The items in data that is at hand as a text. What no InputType is said of is JSON, as a listing is.
pub(crate) fn items_in(text: &str, config: &ReaderConfig) -> Result<Vec<Value>, String> {
    let kind = config.input_type.filter(|kind| *kind != InputType::Manifest).unwrap_or(InputType::Json);
    let mut decoder = Decoder::new(kind, config)?;
    let mut items = VecDeque::new();
    decoder.feed(text.as_bytes(), &mut items)?;
    decoder.finish(&mut items)?;
    Ok(items.into())
}

#[cfg(test)]
mod tests;
