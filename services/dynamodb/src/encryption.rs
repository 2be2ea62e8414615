//! The key that a table names for its encryption. It is looked up, kept and told; **items are not encrypted with it**: this is said in
//! `docs/dynamodb.md` and on the list of what has no effect. Source: API Reference, `SSESpecification`, `SSEDescription`.

use api_dynamodb::{SSEDescription, SSESpecification};
use serde_json::json;
use service::{Cx, Principal};
use wire::Error;

use crate::Invalid;

/// DynamoDB's own key, which KMS makes when it is first named.
const OWN: &str = "alias/aws/dynamodb";

/// The ARN of the key that is asked for; none where encryption is by what AWS calls its own key, which tells nothing.
///
/// # Errors
/// Validation: another type than KMS, a key without `Enabled`; KMS's own where there is no such key.
pub(crate) async fn key(cx: &Cx, asked: Option<&SSESpecification>) -> Result<Option<String>, Error> {
    let Some(asked) = asked else { return Ok(None) };
    if asked.sse_type.as_deref().is_some_and(|kind| kind != "KMS") {
        return Err(invalid("Only the SSEType KMS is supported"));
    }
    if asked.enabled != Some(true) {
        if asked.kms_master_key_id.is_some() {
            return Err(invalid("KMSMasterKeyId cannot be specified when SSE is not enabled"));
        }
        return Ok(None);
    }
    let id = asked.kms_master_key_id.as_deref().unwrap_or(OWN);
    let asks = cx.as_principal(Principal::Platform);
    let described = asks.call_json("kms", "describeKey", json!({ "KeyId": id })).await?;
    let key = &described["KeyMetadata"];
    if key["Enabled"] != true {
        return Err(invalid(&format!("The KMS key {id} is not enabled")));
    }
    Ok(key["Arn"].as_str().map(str::to_owned))
}

fn invalid(what: &str) -> Error {
    Invalid::new(format!("One or more parameter values were invalid: {what}")).into()
}

/// What DescribeTable says of a key.
pub(crate) fn description(key: &str) -> SSEDescription {
    SSEDescription {
        status: Some("ENABLED".to_owned()),
        sse_type: Some("KMS".to_owned()),
        kms_master_key_arn: Some(key.to_owned()),
        ..SSEDescription::default()
    }
}
