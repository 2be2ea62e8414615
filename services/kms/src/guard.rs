//! Key policies and grants as the Router asks for them. A grant is weighed as a statement that allows its grantee its operations; a key
//! gives nothing that neither its policy nor a grant does. Sources: KMS Developer Guide, "Key policies in AWS KMS", "Grants in AWS KMS".

use std::collections::BTreeMap;

use api_kms::GrantConstraints;
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
    statements.extend(record.grants.values().flat_map(statements_of));
    json!({ "Version": policy["Version"], "Statement": statements })
}

/// Operations of a grant that its constraints do not hold for: they have no encryption context.
const WITHOUT_CONTEXT: [&str; 2] = ["DescribeKey", "GetPublicKey"];

/// What a grant allows. Who may make grants by one gives no more than it has: some of its operations, under constraints that are as strict.
/// Source: KMS Developer Guide, "Granting `CreateGrant` permission".
fn statements_of(grant: &Grant) -> Vec<Value> {
    let entry = &grant.entry;
    let operations: Vec<&str> = entry.operations.iter().flatten().map(String::as_str).collect();
    let allow = |operations: Vec<&str>, condition: Conditions| {
        let actions: Vec<String> = operations.iter().map(|one| format!("kms:{one}")).collect();
        let principal = json!({ "AWS": entry.grantee_principal });
        (!actions.is_empty()).then(|| {
            json!({ "Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*", "Condition": condition })
        })
    };
    let constrained = context_conditions(entry.constraints.as_ref());
    let mut delegated = constrained.clone();
    delegated
        .entry("ForAllValues:StringEquals")
        .or_default()
        .insert("kms:GrantOperations".to_owned(), json!(operations));
    if entry.constraints.as_ref().is_some_and(|constraints| constraints.encryption_context_equals.is_some()) {
        let kind = json!("EncryptionContextEquals");
        delegated.entry("ForAnyValue:StringEquals").or_default().insert("kms:GrantConstraintType".to_owned(), kind);
    }
    // Retiring is of one grant, not of the key: who may is looked at there.
    let (makes, others): (Vec<_>, Vec<_>) =
        operations.iter().copied().filter(|one| *one != "RetireGrant").partition(|one| *one == "CreateGrant");
    let (open, uses): (Vec<_>, Vec<_>) = others.into_iter().partition(|one| WITHOUT_CONTEXT.contains(one));
    [allow(makes, delegated), allow(open, Conditions::new()), allow(uses, constrained)].into_iter().flatten().collect()
}

/// Operators, each with what it asks of which condition keys.
type Conditions = BTreeMap<&'static str, serde_json::Map<String, Value>>;

/// What constraints ask of an encryption context: both, where there are both.
fn context_conditions(constraints: Option<&GrantConstraints>) -> Conditions {
    let mut conditions = Conditions::new();
    let Some(constraints) = constraints else { return conditions };
    let equals = ("StringEquals", &constraints.encryption_context_equals);
    for (operator, pairs) in [equals, ("ForAnyValue:StringEquals", &constraints.encryption_context_subset)] {
        for (key, value) in pairs.iter().flatten() {
            let key = format!("kms:EncryptionContext:{key}");
            conditions.entry(operator).or_default().insert(key, json!(value));
        }
    }
    if let Some(whole) = &constraints.encryption_context_equals {
        let keys: Vec<&String> = whole.keys().collect();
        let all = conditions.entry("ForAllValues:StringEquals").or_default();
        all.insert("kms:EncryptionContextKeys".to_owned(), json!(keys));
    }
    conditions
}
