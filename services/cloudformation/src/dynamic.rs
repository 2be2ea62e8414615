//! Dynamic references within the properties of resources: `{{resolve:ssm:NAME:VERSION}}` and
//! `{{resolve:secretsmanager:ID:SecretString:JSON-KEY:STAGE:VERSION}}`. What is stored, compared and shown is the reference as it is written;
//! its value goes to the resource's service only.
//! Source: CloudFormation User Guide, "Get values stored in other services using dynamic references".

use std::collections::BTreeMap;

use serde_json::{Value, json};
use service::Cx;

use crate::Result;
use crate::parameters::text;
use crate::resources;
use crate::template::validation;

const OPEN: &str = "{{resolve:";
const CLOSE: &str = "}}";

/// What a reference names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reference {
    Parameter {
        name: String,
        version: Option<String>,
    },
    Secret {
        id: String,
        key: Option<String>,
        stage: Option<String>,
        version: Option<String>,
    },
    /// A secure string, which no type that there is takes.
    SecureString,
}

/// Properties with the values of their references.
#[derive(Clone, Debug)]
pub(crate) struct Filled {
    pub(crate) properties: Value,
    /// The values of secrets.
    hidden: Vec<String>,
    /// Whole texts that hold secrets, and how they are written.
    written: Vec<(String, String)>,
}

impl Filled {
    /// Without the values of references.
    pub(crate) fn as_written(properties: &Value) -> Self {
        Self { properties: properties.clone(), hidden: Vec::new(), written: Vec::new() }
    }

    /// A text that may tell secrets, without them.
    pub(crate) fn mask(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "****"))
    }

    /// What a service answers, with secrets as the references to them.
    pub(crate) fn unfilled(&self, value: Value) -> Value {
        match value {
            Value::String(text) => match self.written.iter().find(|(filled, _)| *filled == text) {
                Some((_, written)) => written.as_str().into(),
                None => text.into(),
            },
            Value::Array(items) => items.into_iter().map(|item| self.unfilled(item)).collect(),
            Value::Object(map) => map.into_iter().map(|(key, inner)| (key, self.unfilled(inner))).collect(),
            plain => plain,
        }
    }
}

/// Is there a reference in it?
pub(crate) fn is_in(value: &Value) -> bool {
    let mut found = Vec::new();
    collect(value, &mut found);
    !found.is_empty()
}

/// Refuses references that a type's properties cannot have, as far as they are written out.
///
/// # Errors
/// ValidationError with the reference and the type.
pub(crate) fn check(kind: &str, properties: &Value) -> Result<()> {
    let mut found = Vec::new();
    collect(properties, &mut found);
    for inner in found {
        let service = inner.split(':').next().unwrap_or_default();
        if service == "ssm-secure" {
            return Err(validation(format!("SSM Secure reference is not supported in: [{kind}/Properties]")));
        }
        if service == "secretsmanager" && resources::replaces_itself(kind) {
            return Err(validation(format!(
                "Dynamic references for secure values, such as secretsmanager, are not supported in custom resources: [{kind}/Properties]"
            )));
        }
    }
    Ok(())
}

/// The properties with the values that their references have now. A stack within a stack gets them as they are written, and fills them itself.
///
/// # Errors
/// ValidationError where a reference is not well-formed or names nothing; the service's own where the caller may not read it.
pub(crate) async fn fill(cx: &Cx, kind: &str, properties: &Value) -> Result<Filled> {
    let mut found = Vec::new();
    collect(properties, &mut found);
    let mut filled = Filled::as_written(properties);
    if found.is_empty() || kind == resources::NESTED {
        return Ok(filled);
    }
    check(kind, properties)?;
    let mut values: BTreeMap<&str, (String, bool)> = BTreeMap::new();
    for inner in found {
        if values.contains_key(inner) {
            continue;
        }
        let reference = parse(inner)?;
        let secret = matches!(reference, Reference::Secret { .. });
        let value = fetch(&cx.without_task(), inner, &reference).await?;
        if secret && !value.is_empty() {
            filled.hidden.push(value.clone());
        }
        values.insert(inner, (value, secret));
    }
    // The longest first, so that none is hidden by halves.
    filled.hidden.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let mut written = Vec::new();
    filled.properties = substituted(properties, &values, &mut written);
    filled.written = written;
    Ok(filled)
}

/// The inner parts of all references, in all texts.
fn collect<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((_, after)) = rest.split_once(OPEN) {
                let Some((inner, after)) = after.split_once(CLOSE) else { break };
                found.push(inner);
                rest = after;
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(map) => map.values().for_each(|inner| collect(inner, found)),
        _ => {}
    }
}

fn substituted(value: &Value, values: &BTreeMap<&str, (String, bool)>, written: &mut Vec<(String, String)>) -> Value {
    match value {
        Value::String(text) => {
            let (mut out, mut rest, mut secret) = (String::with_capacity(text.len()), text.as_str(), false);
            while let Some((before, after)) = rest.split_once(OPEN) {
                out.push_str(before);
                let Some((inner, after)) = after.split_once(CLOSE) else {
                    out.push_str(OPEN);
                    rest = after;
                    break;
                };
                if let Some((value, is_secret)) = values.get(inner) {
                    out.push_str(value);
                    secret |= is_secret;
                }
                rest = after;
            }
            out.push_str(rest);
            if secret {
                written.push((out.clone(), text.clone()));
            }
            out.into()
        }
        Value::Array(items) => items.iter().map(|item| substituted(item, values, written)).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, inner)| (key.clone(), substituted(inner, values, written))).collect()
        }
        plain => plain.clone(),
    }
}

fn parse(inner: &str) -> Result<Reference> {
    let malformed =
        || validation(format!("Template error: the dynamic reference {OPEN}{inner}{CLOSE} is not well-formed"));
    let (service, key) = inner.split_once(':').ok_or_else(malformed)?;
    if key.is_empty() || key.ends_with('\\') {
        return Err(malformed());
    }
    match service {
        "ssm" => {
            let (name, version) = match key.split_once(':') {
                Some((name, version)) => (name, Some(version)),
                None => (key, None),
            };
            let digits = version.is_none_or(|v| !v.is_empty() && v.bytes().all(|b| b.is_ascii_digit()));
            let named = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-/".contains(c));
            if !digits || !named {
                return Err(malformed());
            }
            Ok(Reference::Parameter { name: name.to_owned(), version: version.map(str::to_owned) })
        }
        "ssm-secure" => Ok(Reference::SecureString),
        "secretsmanager" => {
            let parts: Vec<&str> = key.split(':').collect();
            // An ARN has seven parts of its own.
            let own = if key.starts_with("arn:") { 7 } else { 1 };
            if parts.len() < own || parts.len() > own + 4 {
                return Err(malformed());
            }
            let (id, more) = parts.split_at(own);
            let given = |at: usize| more.get(at).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
            if given(0).is_some_and(|what| what != "SecretString") {
                return Err(malformed());
            }
            let (stage, version) = (given(2), given(3));
            if stage.is_some() && version.is_some() {
                return Err(validation(format!(
                    "Template error: the dynamic reference {OPEN}{inner}{CLOSE} has both a version stage and a version id"
                )));
            }
            Ok(Reference::Secret { id: id.join(":"), key: given(1), stage, version })
        }
        other => Err(validation(format!(
            "Template error: {other} is no service of dynamic references; they are ssm, ssm-secure and secretsmanager"
        ))),
    }
}

async fn fetch(cx: &Cx, inner: &str, reference: &Reference) -> Result<String> {
    match reference {
        Reference::Parameter { name, version } => {
            let name = version.as_ref().map_or_else(|| name.clone(), |version| format!("{name}:{version}"));
            let output = cx.call_json("ssm", "getParameter", json!({ "Name": name, "WithDecryption": false })).await;
            let output = output.map_err(|error| match error.code() {
                "ParameterNotFound" | "ParameterVersionNotFound" => {
                    validation(format!("Parameters: [{inner}] cannot be found."))
                }
                _ => error,
            })?;
            let parameter = &output["Parameter"];
            if parameter["Type"] == "SecureString" {
                return Err(validation(format!("Non-secure ssm prefix was used for secure parameter: [{name}]")));
            }
            Ok(text(&parameter["Value"]))
        }
        Reference::Secret { id, key, stage, version } => {
            let mut input = json!({ "SecretId": id });
            for (member, given) in [("VersionStage", stage), ("VersionId", version)] {
                if let Some(given) = given {
                    input[member] = given.as_str().into();
                }
            }
            let output = cx.call_json("secretsmanager", "getSecretValue", input).await?;
            let Some(secret) = output["SecretString"].as_str() else {
                return Err(validation(format!("The secret {id} has no SecretString")));
            };
            let Some(key) = key else { return Ok(secret.to_owned()) };
            let parsed: Value =
                serde_json::from_str(secret).map_err(|_| validation("Could not parse SecretString JSON"))?;
            match parsed.get(key) {
                Some(value) => Ok(text(value)),
                None => Err(validation("Could not find a value associated with JSONKey in SecretString")),
            }
        }
        Reference::SecureString => Err(validation(format!("SSM Secure reference is not supported: [{inner}]"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The guide's examples, and what is not well-formed.
    #[test]
    fn references() {
        let some = |text: &str| Some(text.to_owned());
        let secret = |id: &str, key: Option<String>, stage: Option<String>, version: Option<String>| {
            Reference::Secret { id: id.to_owned(), key, stage, version }
        };
        let arn = "arn:aws:secretsmanager:us-west-2:123456789012:secret:MySecret";
        for (inner, expected) in [
            ("ssm:S3AccessControl:2", Reference::Parameter { name: "S3AccessControl".to_owned(), version: some("2") }),
            ("ssm:/a/b.c-d_e", Reference::Parameter { name: "/a/b.c-d_e".to_owned(), version: None }),
            ("ssm-secure:IAMUserPassword:10", Reference::SecureString),
            ("secretsmanager:MySecret", secret("MySecret", None, None, None)),
            ("secretsmanager:MySecret:SecretString:password", secret("MySecret", some("password"), None, None)),
            ("secretsmanager:MySecret::::", secret("MySecret", None, None, None)),
            (
                &format!("secretsmanager:{arn}:SecretString:password:AWSPREVIOUS"),
                secret(arn, some("password"), some("AWSPREVIOUS"), None),
            ),
            (&format!("secretsmanager:{arn}:SecretString:p::v1"), secret(arn, some("p"), None, some("v1"))),
            (&format!("secretsmanager:{arn}"), secret(arn, None, None, None)),
        ] {
            assert_eq!(parse(inner).unwrap(), expected, "{inner}");
        }
        for bad in [
            "ssm",
            "ssm:",
            "ssm:a:x",
            "ssm:a:1:2",
            "ssm:a b",
            "secretsmanager:a:SecretBinary",
            "secretsmanager:a:SecretString:k:AWSCURRENT:v",
            "secretsmanager:a:SecretString:k:s:v:more",
            "secretsmanager:a:SecretString:k\\",
            "vault:a",
        ] {
            assert!(parse(bad).unwrap_err().is("ValidationError"), "{bad}");
        }
    }

    #[test]
    fn texts_around_references_stay() {
        let values = BTreeMap::from([("ssm:a", ("x".to_owned(), false)), ("secretsmanager:b", ("y".to_owned(), true))]);
        let value = json!({ "A": ["1{{resolve:ssm:a}}2{{resolve:secretsmanager:b}}3", "{{resolve:open", 4], "B": "{{resolve:ssm:a}}" });
        let mut written = Vec::new();
        assert_eq!(
            substituted(&value, &values, &mut written),
            json!({ "A": ["1x2y3", "{{resolve:open", 4], "B": "x" })
        );
        assert_eq!(written, [("1x2y3".to_owned(), "1{{resolve:ssm:a}}2{{resolve:secretsmanager:b}}3".to_owned())]);
        assert!(is_in(&value) && !is_in(&json!(["{{resolve:open"])));
    }
}
