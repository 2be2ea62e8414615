//! Where in its source a run has come to: kept with the run, so that reading goes on behind it whatever has become of the source.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An item's place in what is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// The object that the item is in; of a listing, the one that it is.
    pub object: Arc<ObjectPlace>,
    /// Which of the object's items it is, the first one being 1.
    pub item: u64,
    /// No other item follows in the object.
    #[serde(default)]
    pub ends_object: bool,
}

/// An object as it was when its items were read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ObjectPlace {
    pub key: String,
    /// How many stand before it in the manifest, where one names it.
    #[serde(default)]
    pub number: u64,
    /// Its state; `None` where any is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The manifest's state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest_etag: Option<String>,
}

impl Place {
    /// The same place, whatever the objects have become since.
    pub(super) fn of_any_state(&self) -> Self {
        let object = ObjectPlace { etag: None, manifest_etag: None, ..(*self.object).clone() };
        Self { object: Arc::new(object), ..self.clone() }
    }
}
