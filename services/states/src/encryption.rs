//! How a machine or an activity says that its data is encrypted. Keys of customers are refused: what executions keep is not encrypted
//! under them. (Machines made before that was said still tell theirs.)

use api_states::{EncryptionConfiguration, error};
use wire::Error;

const OWNED: &str = "AWS_OWNED_KEY";
const CUSTOMER: &str = "CUSTOMER_MANAGED_KMS_KEY";

/// What encrypts where nothing else is said.
pub(crate) fn owned_key() -> EncryptionConfiguration {
    EncryptionConfiguration { r#type: OWNED.to_owned(), ..Default::default() }
}

/// Refuses what contradicts itself. Source: API reference, InvalidEncryptionConfiguration.
pub(crate) fn check(asked: Option<&EncryptionConfiguration>) -> Result<(), Error> {
    let Some(asked) = asked else { return Ok(()) };
    let problem = match (asked.r#type.as_str(), &asked.kms_key_id, asked.kms_data_key_reuse_period_seconds) {
        (CUSTOMER, None, _) => "kmsKeyId must be specified when type is CUSTOMER_MANAGED_KMS_KEY",
        (OWNED, Some(_), _) => "kmsKeyId must not be specified when type is AWS_OWNED_KEY",
        (OWNED, _, Some(_)) => "kmsDataKeyReusePeriodSeconds must not be specified when type is AWS_OWNED_KEY",
        (CUSTOMER, ..) => {
            "CUSTOMER_MANAGED_KMS_KEY is not supported here: executions are not encrypted under keys of KMS. Use AWS_OWNED_KEY"
        }
        _ => return Ok(()),
    };
    Err(error::invalid_encryption_configuration(format!("Invalid Encryption Configuration: '{problem}'")))
}

/// Whether two say the same; saying nothing names the owned key.
pub(crate) fn same(one: Option<&EncryptionConfiguration>, other: Option<&EncryptionConfiguration>) -> bool {
    let said = |asked: Option<&EncryptionConfiguration>| asked.cloned().unwrap_or_else(owned_key);
    said(one) == said(other)
}

#[cfg(test)]
mod tests {
    use api_states::EncryptionConfiguration;

    use super::{CUSTOMER, OWNED, check, owned_key, same};

    #[test]
    fn a_key_goes_with_the_type_that_takes_one() {
        let of = |kind: &str, key: Option<&str>, seconds: Option<i32>| EncryptionConfiguration {
            r#type: kind.to_owned(),
            kms_key_id: key.map(str::to_owned),
            kms_data_key_reuse_period_seconds: seconds,
        };
        assert!(check(Some(&of(OWNED, None, None))).is_ok());
        for bad in [
            of(CUSTOMER, None, Some(60)),
            of(CUSTOMER, Some("alias/k"), Some(60)),
            of(OWNED, Some("alias/k"), None),
            of(OWNED, None, Some(60)),
        ] {
            assert_eq!(check(Some(&bad)).unwrap_err().code(), "InvalidEncryptionConfiguration", "{bad:?}");
        }
        assert!(same(None, Some(&owned_key())) && !same(None, Some(&of(CUSTOMER, Some("k"), None))));
    }
}
