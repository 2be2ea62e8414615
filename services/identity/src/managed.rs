//! AWS's managed policies that people attach: their documents as AWS publishes them, in `managed.json.gz`, each in its
//! newest version only. Source: AWS Managed Policy Reference.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use crate::records::PolicyRecord;

const PREFIX: &str = "arn:aws:iam::aws:policy";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    name: String,
    path: String,
    version: String,
    created: jiff::Timestamp,
    updated: jiff::Timestamp,
    document: Value,
}

static POLICIES: LazyLock<BTreeMap<String, PolicyRecord>> = LazyLock::new(|| {
    let packed: &[u8] = include_bytes!("managed.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).expect("the file is part of the build");
    let all: Vec<Published> = serde_json::from_str(&text).expect("the file is part of the build");
    all.into_iter()
        .map(|one| {
            let arn = format!("{PREFIX}{}{}", one.path, one.name);
            let record = record(one, &arn);
            (arn, record)
        })
        .collect()
});

fn record(one: Published, arn: &str) -> PolicyRecord {
    // Ids of AWS's own policies are nowhere published for all of them: one that stays the same for a name.
    let id: String = one.name.to_ascii_uppercase().chars().filter(char::is_ascii_alphanumeric).take(17).collect();
    PolicyRecord {
        policy: api_iam::Policy {
            policy_name: Some(one.name),
            policy_id: Some(format!("ANPA{id:A<17}")),
            arn: Some(arn.to_owned()),
            path: Some(one.path),
            default_version_id: Some(one.version.clone()),
            is_attachable: Some(true),
            attachment_count: Some(0),
            permissions_boundary_usage_count: Some(0),
            create_date: Some(one.created.into()),
            update_date: Some(one.updated.into()),
            ..Default::default()
        },
        versions: vec![api_iam::PolicyVersion {
            document: Some(one.document.to_string()),
            version_id: Some(one.version.clone()),
            is_default_version: Some(true),
            create_date: Some(one.updated.into()),
        }],
        last_version: one.version.trim_start_matches('v').parse().unwrap_or(1),
    }
}

/// The managed policy with this ARN.
pub(crate) fn find(arn: &str) -> Option<PolicyRecord> {
    POLICIES.get(arn).cloned()
}

/// All of them, for `ListPolicies`.
pub(crate) fn all() -> impl Iterator<Item = PolicyRecord> {
    POLICIES.values().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_pipelines_attach() {
        for (name, action) in [
            ("service-role/AWSLambdaBasicExecutionRole", "logs:PutLogEvents"),
            ("service-role/AWSGlueServiceRole", "glue:*"),
            ("AmazonS3ReadOnlyAccess", "s3:Get*"),
            ("PowerUserAccess", "iam:CreateServiceLinkedRole"),
            ("AmazonAthenaFullAccess", "athena:*"),
        ] {
            let found = find(&format!("{PREFIX}/{name}")).unwrap();
            assert!(found.versions[0].document.as_ref().unwrap().contains(action), "{name}");
        }
        assert!(all().count() > 80);
        assert!(find("arn:aws:iam::aws:policy/Nothing").is_none());
    }
}
