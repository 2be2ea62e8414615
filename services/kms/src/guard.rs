//! Key policies and grants as the Router asks for them. A grant is weighed as a statement that allows its grantee its operations; a key
//! gives nothing that neither its policy nor a grant does. Sources: KMS Developer Guide, "Key policies in AWS KMS", "Grants in AWS KMS".

use async_trait::async_trait;
use serde_json::{Value, json};
use service::Cx;
use service::authorization::{Guard, ResourcePolicy};
use service::policy::one_or_many;
use wire::Error;

use crate::Kms;
use crate::records::{Grant, KeyRecord, find};

/// The policy of a key whose maker gave none: the account's own policies decide.
pub(crate) fn default_policy(account: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [{
            "Sid": "Enable IAM User Permissions",
            "Effect": "Allow",
            "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
            "Action": "kms:*",
            "Resource": "*"
        }]
    })
    .to_string()
}

/// The policy of AWS's own key of a service: it is used by way of that service, and its description is open.
pub(crate) fn managed_policy(account: &str, region: &str, service: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Id": format!("auto-{service}-1"),
        "Statement": [
            {
                "Sid": format!("Allow access through {service} for all principals in the account that are authorized to use it"),
                "Effect": "Allow",
                "Principal": {"AWS": "*"},
                "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:CreateGrant", "kms:DescribeKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {
                    "kms:CallerAccount": account,
                    "kms:ViaService": format!("{service}.{region}.amazonaws.com")
                }}
            },
            {
                "Sid": "Allow direct access to key metadata to the account",
                "Effect": "Allow",
                "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
                "Action": ["kms:Describe*", "kms:Get*", "kms:List*", "kms:RevokeGrant"],
                "Resource": "*"
            }
        ]
    })
    .to_string()
}

#[async_trait]
impl Guard for Kms {
    async fn policy(&self, cx: &Cx, _: &str, resource: &str) -> Result<Option<ResourcePolicy>, Error> {
        // An alias has no policy: its key's is asked for the key.
        if !resource.contains(":key/") {
            return Ok(None);
        }
        let found = self.store.read(|tx| find(tx, cx, resource)).await;
        let record = match found {
            Ok((_, record)) => record,
            Err(error) if error.status() < 500 => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(ResourcePolicy { policy: with_grants(&record), must_allow: true }))
    }
}

fn with_grants(record: &KeyRecord) -> Value {
    let policy: Value = serde_json::from_str(&record.policy).unwrap_or_default();
    let mut statements: Vec<Value> = one_or_many(&policy["Statement"]).cloned().collect();
    statements.extend(record.grants.values().map(statement));
    json!({ "Version": policy["Version"], "Statement": statements })
}

fn statement(grant: &Grant) -> Value {
    let entry = &grant.entry;
    // Retiring is of one grant, not of the key: who may is looked at there.
    let operations = entry.operations.iter().flatten().filter(|one| *one != "RetireGrant");
    let operations: Vec<String> = operations.map(|one| format!("kms:{one}")).collect();
    let mut equals = serde_json::Map::new();
    let mut condition = serde_json::Map::new();
    if let Some(constraints) = &entry.constraints {
        let whole = constraints.encryption_context_equals.iter().flatten();
        for (key, value) in whole.chain(constraints.encryption_context_subset.iter().flatten()) {
            equals.insert(format!("kms:EncryptionContext:{key}"), json!(value));
        }
        if let Some(whole) = &constraints.encryption_context_equals {
            let keys: Vec<&String> = whole.keys().collect();
            condition.insert("ForAllValues:StringEquals".to_owned(), json!({ "kms:EncryptionContextKeys": keys }));
        }
    }
    if !equals.is_empty() {
        condition.insert("StringEquals".to_owned(), Value::Object(equals));
    }
    let mut statement = json!({
        "Effect": "Allow",
        "Principal": {"AWS": entry.grantee_principal},
        "Action": operations,
        "Resource": "*",
    });
    if !condition.is_empty() {
        statement["Condition"] = Value::Object(condition);
    }
    statement
}
