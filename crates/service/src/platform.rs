//! What a service is given when it is made: the router, the stores with their queues, the data folder, settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
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
    /// Where object bytes are that nodes share. `None`: in the data folder.
    pub objects: Option<store::objects::Objects>,
    /// Where children reach the server, e.g. `http://127.0.0.1:4566`.
    pub endpoint: String,
    pub account: String,
    pub region: String,
    pub settings: Settings,
}

impl Platform {
    /// The socket where workers are handed the open files of objects.
    pub fn objects_socket(&self) -> PathBuf {
        self.data.join("objects.sock")
    }

    /// Where clients reach the server, for what they are given addresses of: of other machines they come by TLS, where it is set.
    pub fn shown_endpoint(&self) -> String {
        match self.endpoint.strip_prefix("http://") {
            Some(rest) if self.settings.0.contains_key("tls") => format!("https://{rest}"),
            _ => self.endpoint.clone(),
        }
    }
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

/// `[s3.accounts]`: accounts beside the server's own, and what else is known of accounts. Whoever holds an account's keys is
/// that account's root: may do everything in it, and in others what their resources give.
pub type Accounts = BTreeMap<String, AccountSettings>;

/// What is known of an account.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountSettings {
    pub access_key_id: Option<String>,
    pub secret_access_key: Option<String>,
    /// `DisplayName` in S3's ACLs and lists; AWS has ceased to send it.
    pub display_name: Option<String>,
    /// The address that names the account in S3's grants.
    pub email: Option<String>,
    /// S3's canonical user; made of the account's number where it is not set.
    pub canonical_user_id: Option<String>,
}

impl std::fmt::Debug for AccountSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AccountSettings({:?})", self.access_key_id)
    }
}

impl Settings {
    /// # Errors
    /// A text that names what is wrong.
    pub fn accounts(&self) -> Result<Accounts, String> {
        #[derive(Default, Deserialize)]
        struct Section {
            #[serde(default)]
            accounts: Accounts,
        }
        let Section { accounts } = self.section("s3")?;
        for (account, keys) in &accounts {
            if account.len() != 12 || !account.bytes().all(|b| b.is_ascii_digit()) {
                return Err(format!("[s3.accounts.{account}]: an account is 12 digits"));
            }
            if keys.access_key_id.is_some() != keys.secret_access_key.is_some() {
                return Err(format!(
                    "[s3.accounts.{account}]: set both access_key_id and secret_access_key, or neither"
                ));
            }
        }
        Ok(accounts)
    }
}
