//! Security configurations: how what jobs write to S3 is encrypted. A run takes the configuration as it is when it starts. What cannot be
//! obeyed here, keys of one's own for logs, bookmarks and results, is refused when a configuration is made.
//! Source: AWS Glue Developer Guide, "Encrypting data written by AWS Glue".

use api_glue::error::{entity_not_found_exception, invalid_input_exception};
use api_glue::{EncryptionConfiguration, SecurityConfiguration};
use serde::{Deserialize, Serialize};
use store::{Key, Tx};
use wire::Error;

use crate::scope::Scope;

const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    pub(crate) configuration: SecurityConfiguration,
}

/// How objects are encrypted, as S3's headers say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Encryption {
    pub(crate) algorithm: String,
    pub(crate) key: Option<String>,
}

pub(crate) fn all(scope: &Scope) -> Key {
    scope.key("security-configuration")
}

pub(crate) fn key(scope: &Scope, name: &str) -> Key {
    all(scope).push(name)
}

pub(crate) fn find(tx: &mut Tx<'_>, scope: &Scope, name: &str) -> Result<Record, Error> {
    let found = tx.get_json(key(scope, name))?;
    found.ok_or_else(|| entity_not_found_exception(format!("Security configuration {name} not found")))
}

impl Record {
    /// # Errors
    /// `InvalidInputException` where a part of it cannot be obeyed.
    pub(crate) fn new(name: &str, asked: EncryptionConfiguration, now: wire::Timestamp) -> Result<Self, Error> {
        let others = [
            (
                "CloudWatchEncryptionMode",
                asked.cloud_watch_encryption.as_ref().and_then(|one| one.cloud_watch_encryption_mode.as_deref()),
            ),
            (
                "JobBookmarksEncryptionMode",
                asked.job_bookmarks_encryption.as_ref().and_then(|one| one.job_bookmarks_encryption_mode.as_deref()),
            ),
            (
                "DataQualityEncryptionMode",
                asked.data_quality_encryption.as_ref().and_then(|one| one.data_quality_encryption_mode.as_deref()),
            ),
        ];
        for (what, mode) in others {
            if let Some(mode) = mode.filter(|mode| *mode != "DISABLED") {
                return Err(invalid_input_exception(format!(
                    "{what} {mode} is not in Lakerun: DISABLED is, and S3Encryption"
                )));
            }
        }
        encryption(&asked)?;
        let configuration = SecurityConfiguration {
            name: Some(name.to_owned()),
            created_time_stamp: Some(now),
            encryption_configuration: Some(asked),
        };
        Ok(Self { version: VERSION, configuration })
    }

    pub(crate) fn encryption(&self) -> Result<Option<Encryption>, Error> {
        self.configuration.encryption_configuration.as_ref().map_or(Ok(None), encryption)
    }
}

fn encryption(asked: &EncryptionConfiguration) -> Result<Option<Encryption>, Error> {
    let invalid = |message: &str| Err(invalid_input_exception(message));
    let (first, others) = match asked.s3_encryption.as_deref().unwrap_or_default() {
        [] => return Ok(None),
        [first, others @ ..] => (first, others),
    };
    if !others.is_empty() {
        return invalid("S3Encryption holds one mode");
    }
    let key = first.kms_key_arn.clone().filter(|key| !key.is_empty());
    match (first.s3_encryption_mode.as_deref().unwrap_or("DISABLED"), key) {
        ("DISABLED", None) => Ok(None),
        ("SSE-S3", None) => Ok(Some(Encryption { algorithm: "AES256".to_owned(), key: None })),
        ("SSE-KMS", Some(key)) => Ok(Some(Encryption { algorithm: "aws:kms".to_owned(), key: Some(key) })),
        ("SSE-KMS", None) => invalid("S3EncryptionMode SSE-KMS needs a KmsKeyArn"),
        (_, Some(_)) => invalid("KmsKeyArn is for S3EncryptionMode SSE-KMS"),
        (mode, None) => invalid(&format!("S3EncryptionMode {mode} is none of DISABLED, SSE-KMS, SSE-S3")),
    }
}
