//! The JSON texts that flow between states. Large ones are immutable blobs, written once and referred to by number from frames and
//! history alike.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// One immutable JSON text. Cloning shares it, with its parsed form.
#[derive(Clone, Debug)]
pub struct Payload(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    text: String,
    value: OnceLock<Value>,
    blob: Option<u64>,
}

impl Payload {
    /// Texts longer than this many bytes are kept as blobs.
    pub const INLINE_BYTES: usize = 8192;

    /// A text kept where it is referred to.
    pub fn inline(text: String) -> Self {
        Self(Arc::new(Inner { text, value: OnceLock::new(), blob: None }))
    }

    /// A text, with what was read in it when it was checked.
    pub fn checked(text: String, value: Value) -> Self {
        Self(Arc::new(Inner { text, value: OnceLock::from(value), blob: None }))
    }

    /// The same payload, kept in the execution's blob `id`.
    pub(crate) fn in_blob(&self, id: u64) -> Self {
        Self(Arc::new(Inner { text: self.0.text.clone(), value: self.0.value.clone(), blob: Some(id) }))
    }

    /// A value whose text is already known to be needed.
    pub(crate) fn of_value(value: Value, blob: impl FnOnce(usize) -> Option<u64>) -> Self {
        let text = value.to_string();
        let blob = blob(text.len());
        Self(Arc::new(Inner { text, value: OnceLock::from(value), blob }))
    }

    /// A text kept in the execution's blob `id`.
    pub fn blob(id: u64, text: String) -> Self {
        Self(Arc::new(Inner { text, value: OnceLock::new(), blob: Some(id) }))
    }

    /// The blob that holds the text, if one does.
    pub fn blob_id(&self) -> Option<u64> {
        self.0.blob
    }

    /// True when both are one text in memory.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// True for a reference read back from a record whose text has not been fetched yet.
    pub fn is_unread(&self) -> bool {
        self.0.blob.is_some() && self.0.text.is_empty()
    }

    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The parsed text. Texts are checked where they enter, with [`Self::is_readable`] or before: one that is no JSON would read as null.
    pub fn value(&self) -> &Value {
        self.0.value.get_or_init(|| jsontext::read(&self.0.text).unwrap_or(Value::Null))
    }

    /// Whether the value is what the text says: a text may be no JSON, or nested too deeply.
    pub fn is_readable(&self) -> bool {
        !self.value().is_null() || self.0.text.trim() == "null"
    }

    /// Fetches the text of a blob that has only been referred to so far.
    pub fn fetch<E>(&mut self, mut read: impl FnMut(u64) -> Result<String, E>) -> Result<(), E> {
        if let Some(id) = self.0.blob
            && self.is_unread()
        {
            *self = Self::blob(id, read(id)?);
        }
        Ok(())
    }
}

impl Default for Payload {
    fn default() -> Self {
        Self::inline("{}".to_owned())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.blob_id() == other.blob_id()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Text(String),
    Blob { blob: u64 },
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.blob {
            Some(blob) => Stored::Blob { blob }.serialize(serializer),
            None => serializer.serialize_str(&self.0.text),
        }
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Text(text) => Self::inline(text),
            Stored::Blob { blob } => Self::blob(blob, String::new()),
        })
    }
}
