//! Dynamic references: `{{resolve:ssm:name:version}}`, `{{resolve:ssm-secure:name:version}}` and
//! `{{resolve:secretsmanager:id:SecretString:key:stage:version}}` in properties, looked up as who makes the resource. Where AWS takes
//! `ssm-secure` in some properties only, it is taken in all.
//! Source: CloudFormation User Guide, "Get values stored in other services using dynamic references".

use serde_json::{Map, Value, json};
use service::Cx;
use wire::Error;

use crate::Result;
use crate::resources;
use crate::template::validation;

const BEGIN: &str = "{{resolve:";
const END: &str = "}}";

/// Whether anything in it is a reference.
pub(crate) fn mentions(value: &Value) -> bool {
    match value {
        Value::String(text) => references(text).next().is_some(),
        Value::Array(items) => items.iter().any(mentions),
        Value::Object(map) => map.values().any(mentions),
        _ => false,
    }
}

/// What stands between `{{resolve:` and `}}`.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices(BEGIN).filter_map(|(at, _)| {
        let rest = &text[at + BEGIN.len()..];
        rest.find(END).map(|end| &rest[..end])
    })
}

/// The value with what its references lead to.
///
/// # Errors
/// Where one leads to nothing, or not the caller's to read.
pub(crate) async fn fetched(cx: &Cx, kind: &str, value: &Value) -> Result<Value> {
    // A nested stack looks up what its own resources refer to: its parameters are told.
    if kind == "AWS::CloudFormation::Stack" {
        return Ok(value.clone());
    }
    Box::pin(replaced(cx, kind, value)).await
}

async fn replaced(cx: &Cx, kind: &str, value: &Value) -> Result<Value> {
    Ok(match value {
        Value::String(text) => Value::String(filled(cx, kind, text).await?),
        Value::Array(items) => {
            let mut out = Vec::with_capacity(items.len());
            for item in items {
                out.push(Box::pin(replaced(cx, kind, item)).await?);
            }
            Value::Array(out)
        }
        Value::Object(map) => {
            let mut out = Map::new();
            for (key, inner) in map {
                out.insert(key.clone(), Box::pin(replaced(cx, kind, inner)).await?);
            }
            Value::Object(out)
        }
        other => other.clone(),
    })
}

async fn filled(cx: &Cx, kind: &str, text: &str) -> Result<String> {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once(BEGIN) {
        let Some((reference, after)) = after.split_once(END) else { break };
        out.push_str(before);
        out.push_str(&looked_up(cx, kind, reference).await?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

async fn looked_up(cx: &Cx, kind: &str, reference: &str) -> Result<String> {
    let wrong =
        |why: &str| validation(format!("Could not resolve the dynamic reference {BEGIN}{reference}{END}: {why}"));
    let told = |error: Error| if error.status() >= 500 { error } else { wrong(error.message()) };
    let (service, key) = reference.split_once(':').ok_or_else(|| wrong("it names no service and key"))?;
    if service != "ssm" && resources::replaces_itself(kind) {
        return Err(wrong("secure values are not given to custom resources"));
    }
    match service {
        "ssm" | "ssm-secure" => {
            let secure = service == "ssm-secure";
            let asked = json!({ "Name": key, "WithDecryption": secure });
            let found = cx.call_json("ssm", "getParameter", asked).await.map_err(told)?;
            let parameter = &found["Parameter"];
            match parameter["Type"].as_str() {
                Some("SecureString") if !secure => Err(wrong("a SecureString is referred to by ssm-secure")),
                Some(kind) if secure && kind != "SecureString" => Err(wrong("ssm-secure is for SecureStrings")),
                _ => Ok(parameter["Value"].as_str().unwrap_or_default().to_owned()),
            }
        }
        "secretsmanager" => {
            let secret = Secret::parse(key).ok_or_else(|| wrong("it is not id:SecretString:key:stage:version"))?;
            let mut asked = json!({ "SecretId": secret.id });
            for (name, given) in [("VersionStage", secret.stage), ("VersionId", secret.version)] {
                if let Some(given) = given {
                    asked[name] = given.into();
                }
            }
            let found = cx.call_json("secretsmanager", "getSecretValue", asked).await.map_err(told)?;
            let text = found["SecretString"].as_str().ok_or_else(|| wrong("the secret is no text"))?;
            let Some(key) = secret.key else { return Ok(text.to_owned()) };
            // Not the reader's words, which may quote the secret.
            let whole: Value = serde_json::from_str(text).map_err(|_| wrong("the secret is not JSON"))?;
            match whole.get(&key) {
                Some(Value::String(text)) => Ok(text.clone()),
                Some(other) => Ok(other.to_string()),
                None => Err(wrong("the secret has no such key")),
            }
        }
        other => Err(wrong(&format!("{other} is none of ssm, ssm-secure and secretsmanager"))),
    }
}

#[derive(Debug, PartialEq)]
struct Secret {
    id: String,
    key: Option<String>,
    stage: Option<String>,
    version: Option<String>,
}

impl Secret {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        // An ARN has seven parts.
        let own = if parts[0] == "arn" { 7 } else { 1 };
        let id = parts.get(..own)?.join(":");
        let rest = &parts[own..];
        let kind = rest.first().copied().unwrap_or_default();
        if id.is_empty() || rest.len() > 4 || !matches!(kind, "" | "SecretString") {
            return None;
        }
        let at = |n: usize| rest.get(n).filter(|part| !part.is_empty()).map(|part| (*part).to_owned());
        Some(Self { id, key: at(1), stage: at(2), version: at(3) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found() {
        assert!(mentions(&json!({"a": ["x {{resolve:ssm:/p:1}}y"]})));
        assert!(!mentions(&json!({"a": ["{{resolve:ssm:/p", "{{other}}", 1]})));
        let text = "a{{resolve:ssm:/p:1}}b{{resolve:secretsmanager:s}}";
        assert_eq!(references(text).collect::<Vec<_>>(), ["ssm:/p:1", "secretsmanager:s"]);
    }

    #[test]
    fn secrets() {
        let secret = |id: &str, key: Option<&str>, stage: Option<&str>, version: Option<&str>| {
            let owned = |text: Option<&str>| text.map(str::to_owned);
            Some(Secret { id: id.to_owned(), key: owned(key), stage: owned(stage), version: owned(version) })
        };
        let arn = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db-AbCdEf";
        for (text, wanted) in [
            ("db", secret("db", None, None, None)),
            ("prod/db:SecretString:password", secret("prod/db", Some("password"), None, None)),
            ("db:SecretString:p:AWSPREVIOUS", secret("db", Some("p"), Some("AWSPREVIOUS"), None)),
            ("db::::v-1", secret("db", None, None, Some("v-1"))),
            (&format!("{arn}:SecretString:p::"), secret(arn, Some("p"), None, None)),
            (arn, secret(arn, None, None, None)),
            ("db:SecretBinary", None),
            (":SecretString", None),
            ("arn:aws:short", None),
        ] {
            assert_eq!(Secret::parse(text), wanted, "{text}");
        }
    }
}
