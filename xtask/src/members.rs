//! What becomes of each member of each operation's input: it is read by the service's code, it stands in models/no_effect.toml with
//! a reason, or it stands in models/refused.toml and is refused by name when set. `cargo xtask tidy` holds that there is no fourth.
//!
//! A member counts as read when its field's name occurs in the sources that name the operation or its input's type, and a member of a
//! structure within the input when it occurs anywhere in the service's sources. That is a word's occurrence and no proof; it finds
//! what nobody has thought of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

use crate::checks::root;
use crate::codegen::{self, document, snake};

/// Refused, although a word of the sources looks like reading them: handlers that keep all of an input would keep these too.
const KEPT_AND_REFUSED: [(&str, &str, &str); 10] = [
    // The file that registers it names a module so.
    ("glue", "CreateColumnStatisticsTaskSettingsRequest", "Tags"),
    ("glue", "CreateJobRequest", "CodeGenConfigurationNodes"),
    ("kms", "CreateKeyRequest", "MultiRegion"),
    ("kms", "CreateKeyRequest", "Origin"),
    ("lambda", "CreateFunctionUrlConfigRequest", "InvokeMode"),
    ("lambda", "UpdateFunctionUrlConfigRequest", "InvokeMode"),
    ("sagemaker", "CreateTransformJobRequest", "DataCaptureConfig"),
    ("sagemakerruntime", "InvokeEndpointAsyncInput", "Body"),
    ("secretsmanager", "GetResourcePolicyRequest", "PolicyName"),
    // An answer of the same file has one of that name.
    ("ssm", "PutParameterRequest", "Policies"),
];

/// What is said of members, by service and structure.
type List<T> = BTreeMap<String, BTreeMap<String, BTreeMap<String, T>>>;

/// The two lists.
pub(crate) struct Lists {
    refused: List<Refused>,
    no_effect: List<String>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Refused {
    /// Unless it has one of these values.
    Unless(Vec<String>),
    By(By),
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum By {
    /// The service's own code sees to it.
    Handler,
}

impl Refused {
    fn unless(&self) -> Option<&Vec<String>> {
        match self {
            Self::Unless(values) => Some(values),
            Self::By(By::Handler) => None,
        }
    }
}

/// A member of an input and what the lists say of it.
pub(crate) struct Found {
    pub(crate) structure: String,
    pub(crate) member: String,
    /// `Configuration.EngineConfiguration`; lists and maps are passed through.
    pub(crate) path: String,
}

impl Lists {
    /// # Errors
    /// When they cannot be read.
    pub(crate) fn read() -> Result<Self> {
        let text = |name: &str| std::fs::read_to_string(root().join("models").join(name)).context(name.to_owned());
        let refused = toml::from_str(&text("refused.toml")?).context("models/refused.toml")?;
        let no_effect = toml::from_str(&text("no_effect.toml")?).context("models/no_effect.toml")?;
        Ok(Self { refused, no_effect })
    }

    /// Paths of the members that an operation refuses, with the texts that it takes all the same.
    pub(crate) fn refused_of(
        &self,
        service: &str,
        shapes: &Map<String, Value>,
        input: &str,
    ) -> Vec<(String, Vec<String>)> {
        let mut refused = Vec::new();
        each(shapes, input, &mut |found| {
            let listed = self.refused_member(service, &found.structure, &found.member);
            refused.extend(listed.and_then(Refused::unless).map(|unless| (found.path.clone(), unless.clone())));
            listed.is_none()
        });
        refused
    }

    /// Paths of the members that have no effect in an operation.
    pub(crate) fn without_effect_of(&self, service: &str, shapes: &Map<String, Value>, input: &str) -> Vec<String> {
        let mut found = Vec::new();
        each(shapes, input, &mut |member| {
            let listed = self.no_effect.get(service).and_then(|all| all.get(&member.structure)?.get(&member.member));
            found.extend(listed.map(|_| member.path.clone()));
            listed.is_none() && self.refused_member(service, &member.structure, &member.member).is_none()
        });
        found
    }

    /// What a member of a structure may be all the same, where it is refused else.
    pub(crate) fn unless(&self, service: &str, structure: &str, member: &str) -> Option<&Vec<String>> {
        self.refused_member(service, structure, member)?.unless()
    }

    fn refused_member(&self, service: &str, structure: &str, member: &str) -> Option<&Refused> {
        self.refused.get(service)?.get(structure)?.get(member)
    }

    fn listed(&self, service: &str, found: &Found) -> bool {
        let no_effect = self.no_effect.get(service).and_then(|s| s.get(&found.structure));
        self.refused_member(service, &found.structure, &found.member).is_some()
            || no_effect.is_some_and(|members| members.contains_key(&found.member))
    }

    /// The part of COMPATIBILITY.md that says why members have no effect in a service.
    pub(crate) fn told(&self, service: &str) -> Result<String> {
        let mut text = String::new();
        let structures = self.no_effect.get(service).into_iter().flatten();
        for (structure, members) in structures {
            for (member, reason) in members {
                writeln!(text, "- `{structure}.{member}`: {reason}")?;
            }
        }
        if !text.is_empty() {
            text.insert_str(0, "\nAccepted, without effect:\n\n");
        }
        Ok(text)
    }
}

/// Shows every member that an input leads to, outermost first; `visit` says whether to go into it.
fn each(shapes: &Map<String, Value>, input: &str, visit: &mut dyn FnMut(&Found) -> bool) {
    fn walk(
        shapes: &Map<String, Value>,
        shape: &str,
        path: &str,
        above: &mut Vec<String>,
        visit: &mut dyn FnMut(&Found) -> bool,
    ) {
        let body = &shapes[shape];
        for inner in ["member", "value"] {
            if let Some(inner) = body[inner]["shape"].as_str() {
                walk(shapes, inner, path, above, visit);
            }
        }
        if body["type"] != "structure" || above.iter().any(|name| name == shape) {
            return;
        }
        above.push(shape.to_owned());
        for (member, target) in body["members"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { member.clone() } else { format!("{path}.{member}") };
            let found = Found { structure: shape.to_owned(), member: member.clone(), path };
            if visit(&found) {
                walk(shapes, target["shape"].as_str().unwrap_or_default(), &found.path, above, visit);
            }
        }
        above.pop();
    }
    walk(shapes, input, "", &mut Vec::new(), visit);
}

/// The members of the inputs of what the server has that are neither read nor listed, a line each.
///
/// # Errors
/// When the models or the sources cannot be read.
pub(crate) fn unaccounted() -> Result<Vec<String>> {
    let lists = Lists::read()?;
    let mut faults = BTreeSet::new();
    for (service, mut operations) in codegen::operations()? {
        if service == "s3" {
            operations.extend(at_the_door()?);
        }
        let document = document(&root(), &service)?;
        let shapes = document["shapes"].as_object().context("shapes")?;
        let sources = sources(&service)?;
        let all: BTreeSet<&str> = sources.iter().flat_map(|source| words(source)).collect();
        for operation in operations {
            let Some(input) = document["operations"][&operation]["input"]["shape"].as_str() else { continue };
            let of_s3s = format!("{operation}Input");
            let names =
                |source: &&String| words(source).any(|word| word == operation || word == input || word == of_s3s);
            let own: BTreeSet<&str> = sources.iter().filter(names).flat_map(|source| words(source)).collect();
            // Without a handler it is refused as a whole.
            if own.is_empty() {
                continue;
            }
            each(shapes, input, &mut |found| {
                let field = snake(&found.member);
                let read = if found.structure == input { &own } else { &all };
                let known = read.contains(field.trim_start_matches("r#"));
                let listed = lists.listed(&service, found);
                if !known && !listed {
                    faults
                        .insert(format!("[{service}.{}] {} is neither read nor listed", found.structure, found.member));
                }
                // What a handler has come to read would never reach it. Deeper, a word may be another structure's.
                let refused = lists.unless(&service, input, &found.member).is_some();
                let kept = KEPT_AND_REFUSED.contains(&(service.as_str(), input, found.member.as_str()));
                if known && found.structure == input && refused && !kept {
                    faults.insert(format!("[{service}.{input}] {} is refused and yet read", found.member));
                }
                known && !listed
            });
        }
    }
    Ok(faults.into_iter().collect())
}

/// The sources of the crate that handles a service, without tests and comments.
fn sources(service: &str) -> Result<Vec<String>> {
    let folder = match service {
        "cloudcontrol" => "cloudformation",
        "cloudwatch" | "logs" => "telemetry",
        "dynamodbstreams" => "dynamodb",
        "iam" | "sts" => "identity",
        "sagemakerruntime" => "sagemaker",
        "secretsmanager" | "ssm" => "secrets",
        "sns" | "sqs" => "messaging",
        "ecr" => "registry",
        "scheduler" | "pipes" | "lakerun" => "events",
        other => other,
    };
    let mut found = Vec::new();
    collect(&root().join("services").join(folder).join("src"), &mut found)?;
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            // Tests, and tables of names, read nothing.
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if matches!(name, "tests" | "requests" | "gate") {
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
            found.push(lines.collect::<Vec<_>>().join("\n"));
        }
    }
    Ok(())
}

/// The operations that S3's door serves over HTTP.
fn at_the_door() -> Result<Vec<String>> {
    let door = std::fs::read_to_string(root().join("services/s3/src/door/mod.rs"))?;
    let inputs = door.split("S3Request<").skip(1).filter_map(|rest| Some(rest.split_once("Input>")?.0.to_owned()));
    Ok(inputs.filter(|name| name.chars().all(|c| c.is_ascii_alphanumeric())).collect())
}

fn words(source: &str) -> impl Iterator<Item = &str> {
    source.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_member_is_read_or_listed() {
        let unaccounted = super::unaccounted().unwrap();
        assert!(unaccounted.is_empty(), "models/no_effect.toml or models/refused.toml:\n{}", unaccounted.join("\n"));
    }
}
