//! What S3 calls accounts: canonical users, with names and e-mail addresses where the settings give them.

use serde::Deserialize;
use service::Accounts;
use sha2::{Digest as _, Sha256};

/// The owner of what nobody who had signed wrote. Source: S3 User Guide, "Access control list overview" ("anonymous user").
pub(crate) const ANONYMOUS: &str = "65a011a29cdf8ec533ec3d1ccaae921c";

/// `[s3]` in the settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Accounts beside the server's own.
    pub accounts: Accounts,
    /// What a new bucket's object ownership is where its maker does not say.
    pub object_ownership: String,
    /// Whether a new bucket's public access is blocked.
    pub block_public_access: bool,
    /// How a new bucket encrypts what is written without a word of it: AWS's buckets have AES256 since 2023.
    pub default_encryption: DefaultEncryption,
    /// The ids of KMS keys that SSE-KMS may name, beside `alias/aws/s3`. Each is derived from the data folder's key.
    pub kms_keys: Vec<String>,
    /// How long a day of a lifecycle rule is. For trying rules out.
    pub lifecycle_day_seconds: u32,
    /// How long lines of access logs gather before they are delivered.
    pub log_delivery_seconds: u32,
}

/// `[s3] default_encryption`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum DefaultEncryption {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "AES256")]
    Aes256,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            accounts: Accounts::default(),
            object_ownership: "BucketOwnerEnforced".to_owned(),
            block_public_access: true,
            default_encryption: DefaultEncryption::None,
            kms_keys: Vec::new(),
            lifecycle_day_seconds: 86_400,
            log_delivery_seconds: 300,
        }
    }
}

/// All accounts that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    own: String,
    region: String,
    accounts: Accounts,
}

impl Known {
    pub(crate) fn new(own: &str, region: &str, accounts: Accounts) -> Self {
        Self { own: own.to_owned(), region: region.to_owned(), accounts }
    }

    /// The server's own account, and the region of requests that name none.
    pub(crate) fn own(&self) -> (&str, &str) {
        (&self.own, &self.region)
    }

    /// The canonical user of an account, which AWS makes of it in its own way.
    pub(crate) fn canonical(&self, account: &str) -> String {
        if account.is_empty() {
            return ANONYMOUS.to_owned();
        }
        let set = self.accounts.get(account).and_then(|a| a.canonical_user_id.clone());
        set.unwrap_or_else(|| hex::encode(Sha256::digest(account)))
    }

    /// `DisplayName`, where the settings have one.
    pub(crate) fn display_name(&self, account: &str) -> Option<String> {
        self.accounts.get(account)?.display_name.clone()
    }

    /// The account of a canonical user.
    pub(crate) fn of_canonical(&self, id: &str) -> Option<String> {
        self.all().find(|account| self.canonical(account) == id).map(str::to_owned)
    }

    pub(crate) fn of_email(&self, email: &str) -> Option<String> {
        let found = self.accounts.iter().find(|(_, a)| a.email.as_deref() == Some(email));
        found.map(|(account, _)| account.clone())
    }

    /// Is there such an account?
    pub(crate) fn exists(&self, account: &str) -> bool {
        self.all().any(|known| known == account)
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        let others = self.accounts.keys().map(String::as_str).filter(|a| *a != self.own);
        std::iter::once(self.own.as_str()).chain(others)
    }
}
