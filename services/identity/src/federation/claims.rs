//! Claims that AWS reads: the session's tags and source identity, the roles that the issuer lets be taken, and those that are condition
//! keys. Sources: IAM User Guide, "Passing session tags using AssumeRoleWithWebIdentity", "Monitor and control actions taken with assumed
//! roles", "Available keys for AWS OIDC federation"; Service Authorization Reference, `sts:RoleAuthorizedByIdp`.

use std::collections::BTreeMap;

use api_sts::error::{idp_rejected_claim_exception as rejected, invalid_identity_token_exception};
use serde_json::{Map, Value};
use wire::Error;

const TAGS: &str = "https://aws.amazon.com/tags";
const ROLES: &str = "https://aws.amazon.com/roles";
const SOURCE_IDENTITY: &str = "https://aws.amazon.com/source_identity";
/// Claims that are condition keys for every issuer, behind `aud` and `sub`.
const KEYS: [&str; 4] = ["amr", "azp", "email", "oaud"];
/// And for one.
const OF_GITHUB: [&str; 9] = [
    "actor",
    "actor_id",
    "enterprise_id",
    "environment",
    "job_workflow_ref",
    "ref",
    "repository",
    "repository_id",
    "workflow",
];
const GITHUB: &str = "token.actions.githubusercontent.com";

/// What a session gets of a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) transitive: Vec<String>,
    pub(crate) source_identity: Option<String>,
    /// Whether the issuer names the role as one that may be taken; a token that names none leaves it to the role.
    pub(crate) names_role: bool,
}

impl Session {
    /// # Errors
    /// `IDPRejectedClaim` where a claim has not AWS's form, `InvalidIdentityToken` where the token is for other roles.
    pub(crate) fn of(claims: &Map<String, Value>, role_arn: &str) -> Result<Self, Error> {
        let mut session = Self::default();
        // Whole, or each tag in a claim of its own.
        let nested = claims.get(TAGS).and_then(|tags| tags.get("principal_tags"));
        for (key, value) in nested.and_then(Value::as_object).into_iter().flatten() {
            session.tags.insert(key.clone(), tag(key, value)?);
        }
        for (name, value) in claims {
            if let Some(key) = name.strip_prefix(TAGS).and_then(|rest| rest.strip_prefix("/principal_tags/")) {
                session.tags.insert(key.to_owned(), tag(key, value)?);
            }
        }
        let flat = claims.get(&format!("{TAGS}/transitive_tag_keys"));
        if let Some(keys) = claims.get(TAGS).and_then(|tags| tags.get("transitive_tag_keys")).or(flat) {
            session.transitive = texts(keys).ok_or_else(|| rejected("The transitive tag keys are not strings"))?;
        }
        if let Some(unknown) = session.transitive.iter().find(|key| !session.tags.contains_key(*key)) {
            return Err(rejected(format!("The transitive tag key {unknown} is not among the tags")));
        }
        if let Some(identity) = claims.get(SOURCE_IDENTITY) {
            let identity = identity.as_str().filter(|text| is_source_identity(text));
            session.source_identity =
                Some(identity.ok_or_else(|| rejected(format!("The claim {SOURCE_IDENTITY} is not valid")))?.to_owned());
        }
        if let Some(roles) = claims.get(ROLES) {
            let roles = texts(roles).ok_or_else(|| rejected(format!("The claim {ROLES} is not valid")))?;
            if !roles.iter().any(|role| role == role_arn) {
                let message = format!("The token does not authorize the role {role_arn} ({ROLES})");
                return Err(invalid_identity_token_exception(message));
            }
            session.names_role = true;
        }
        Ok(session)
    }
}

/// A tag's value; it may stand in a list, alone. Source: STS API reference, Tag.
fn tag(key: &str, value: &Value) -> Result<String, Error> {
    let wrong = || rejected(format!("The value of the session tag {key} is not valid"));
    let mut values = texts(value).ok_or_else(wrong)?;
    let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c));
    match values.pop() {
        Some(value) if values.is_empty() && value.chars().count() <= 256 && plain(&value) => {
            let keyed = (1..=128).contains(&key.chars().count()) && plain(key) && !is_reserved(key);
            keyed.then_some(value).ok_or_else(|| rejected(format!("The session tag key {key} is not valid")))
        }
        _ => Err(wrong()),
    }
}

fn is_reserved(key: &str) -> bool {
    key.get(..4).is_some_and(|front| front.eq_ignore_ascii_case("aws:"))
}

fn is_source_identity(text: &str) -> bool {
    (2..=256).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
        && !is_reserved(text)
}

/// One text, or a list of them.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::String(one) => Some(vec![one.clone()]),
        Value::Array(many) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

/// What a claim is worth as a condition key of its issuer (`host/path:claim`): its values, none where the token has it not, `None` where
/// the token has it and AWS does not pass it on.
pub(crate) fn key(claims: &Map<String, Value>, issuer: &str, name: &str) -> Option<Vec<String>> {
    let Some(value) = claims.get(name) else { return Some(Vec::new()) };
    let passed_on = KEYS.contains(&name) || issuer == GITHUB && OF_GITHUB.contains(&name);
    passed_on.then(|| texts(value).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ROLE: &str = "arn:aws:iam::000000000000:role/r";

    fn of(claims: Value) -> Result<Session, Error> {
        let Value::Object(claims) = claims else { unreachable!() };
        Session::of(&claims, ROLE)
    }

    #[test]
    fn tags_come_whole_or_one_by_one() {
        let whole = json!({TAGS: {"principal_tags": {"team": ["data"], "n": "1"}, "transitive_tag_keys": ["team"]}});
        let single = json!({
            format!("{TAGS}/principal_tags/team"): "data", format!("{TAGS}/principal_tags/n"): "1",
            format!("{TAGS}/transitive_tag_keys"): ["team"],
        });
        let session = of(whole).unwrap();
        assert_eq!(session.tags, [("n".to_owned(), "1".to_owned()), ("team".to_owned(), "data".to_owned())].into());
        assert_eq!(session.transitive, ["team"]);
        assert_eq!(of(single).unwrap(), session);
    }

    #[test]
    fn what_has_not_its_form_is_rejected() {
        for wrong in [
            json!({TAGS: {"principal_tags": {"team": ["a", "b"]}}}),
            json!({TAGS: {"principal_tags": {"team": 1}}}),
            json!({TAGS: {"principal_tags": {"aws:x": "1"}}}),
            json!({TAGS: {"principal_tags": {}, "transitive_tag_keys": ["team"]}}),
            json!({SOURCE_IDENTITY: "a b"}),
            json!({SOURCE_IDENTITY: ["ada"]}),
            json!({ROLES: {"a": 1}}),
        ] {
            assert_eq!(of(wrong.clone()).unwrap_err().code(), "IDPRejectedClaim", "{wrong}");
        }
    }

    #[test]
    fn the_issuer_may_say_which_roles() {
        assert!(!of(json!({})).unwrap().names_role);
        assert!(of(json!({ROLES: ROLE})).unwrap().names_role);
        assert!(of(json!({ROLES: ["arn:aws:iam::000000000000:role/x", ROLE]})).unwrap().names_role);
        let refused = of(json!({ROLES: "arn:aws:iam::000000000000:role/*"})).unwrap_err();
        assert_eq!(refused.code(), "InvalidIdentityToken");
    }

    #[test]
    fn claims_as_condition_keys() {
        let claims = json!({"email": "a@example.org", "amr": ["mfa", "pwd"], "repository": "o/r"});
        let claims = claims.as_object().unwrap();
        assert_eq!(key(claims, "i.example.org", "email"), Some(vec!["a@example.org".to_owned()]));
        assert_eq!(key(claims, "i.example.org", "amr").unwrap().len(), 2);
        assert_eq!(key(claims, "i.example.org", "scope"), Some(Vec::new()));
        assert_eq!(key(claims, "i.example.org", "repository"), None);
        assert_eq!(key(claims, GITHUB, "repository"), Some(vec!["o/r".to_owned()]));
    }
}
