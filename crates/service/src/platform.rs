//! What a service is given when it is made: the router, the stores with their queues, the data folder, settings.

use std::path::PathBuf;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use store::Queue;

use crate::Router;

/// The platform, as services see it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Platform {
    pub router: Arc<Router>,
    /// The store of everything small; its queue runs most tasks.
    pub control: Queue,
    pub s3: Queue,
    pub dynamodb: Queue,
    /// Folder for what is not a record: object bytes, function code.
    pub data: PathBuf,
    /// Where children reach the server, e.g. `http://127.0.0.1:4566`.
    pub endpoint: String,
    pub account: String,
    pub region: String,
    pub settings: Settings,
}

/// Settings by section, as merged by the server out of file, environment and flags.
#[derive(Clone, Debug, Default)]
pub struct Settings(pub Arc<serde_json::Map<String, serde_json::Value>>);

impl Settings {
    /// A section as its type; the default where it is absent. Unknown keys are the type's business (`deny_unknown_fields`).
    ///
    /// # Errors
    /// A text that names the section and what is wrong.
    pub fn section<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, String> {
        match self.0.get(name) {
            None => Ok(T::default()),
            Some(value) => T::deserialize(value).map_err(|e| format!("[{name}]: {e}")),
        }
    }
}
