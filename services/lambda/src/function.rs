//! Functions, their versions and aliases as they are stored, and how callers name them.

use api_lambda::{AliasConfiguration, FunctionConfiguration, FunctionEventInvokeConfig, error};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use service::authorization::FunctionName;
use std::collections::BTreeMap;
use store::{Key, Tx};
use wire::Error;

pub(crate) const LATEST: &str = "$LATEST";

/// A function: what is shared by its versions, and `$LATEST`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Format of the record.
    pub(crate) v: u8,
    pub(crate) latest: Version,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) reserved: Option<i32>,
    pub(crate) last_version: u64,
}

/// One version: its configuration as AWS shows it and the name of its code's archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) config: FunctionConfiguration,
    pub(crate) code: String,
    /// Its layers' archives, in their order.
    #[serde(default)]
    pub(crate) layers: Vec<String>,
    /// What its code holds unpacked.
    #[serde(default)]
    pub(crate) unpacked_bytes: u64,
}

impl Version {
    pub(crate) fn number(&self) -> &str {
        self.config.version.as_deref().unwrap_or(LATEST)
    }

    /// The configuration as answers to one version or to a change show it: with the version in the ARN where it has one.
    pub(crate) fn shown(&self, qualified: bool) -> FunctionConfiguration {
        let mut config = self.config.clone();
        if qualified && let Some(arn) = &mut config.function_arn {
            *arn = format!("{arn}:{}", self.number());
        }
        config
    }
}

/// A resource policy of a function, version or alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) statements: Vec<Value>,
    pub(crate) revision: String,
}

/// A function as a request names it: `name`, `name:qualifier`, `account:function:name` or an ARN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) qualifier: Option<String>,
}

impl Name {
    pub(crate) fn parse(text: &str, qualifier: Option<&str>) -> Result<Self, Error> {
        let FunctionName { name, qualifier: inner, .. } = FunctionName::parse(text);
        let valid = |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'));
        if name.is_empty() || name.len() > 64 || !valid(name) || !inner.is_none_or(valid) {
            return Err(invalid_name(text));
        }
        match (inner, qualifier) {
            (Some(inner), Some(other)) if inner != other => Err(error::invalid_parameter_value_exception(
                "The derived qualifier from the function name does not match the specified qualifier.",
            )),
            _ => Ok(Self { name: name.to_owned(), qualifier: inner.or(qualifier).map(str::to_owned) }),
        }
    }

    /// For operations on the function itself.
    pub(crate) fn parse_unqualified(text: &str) -> Result<String, Error> {
        Ok(Self::parse(text, None)?.name)
    }
}

fn invalid_name(text: &str) -> Error {
    Error::validation(format!(
        "1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{{2}}(-gov)?-[a-z]+-\\d{{1}}:)?(\\d{{12}}:)?\
         (function:)?([a-zA-Z0-9-_]+)(:(\\$LATEST|[a-zA-Z0-9-_]+))?"
    ))
}

/// Where records are kept, for one account and region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) account: String,
    pub(crate) region: String,
}

impl Scope {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    pub(crate) fn key(&self, kind: &str) -> Key {
        Key::new("lambda").push(kind).push(&self.account).push(&self.region)
    }
    pub(crate) fn functions(&self) -> Key {
        self.key("function")
    }
    pub(crate) fn function(&self, name: &str) -> Key {
        self.functions().push(name)
    }
    pub(crate) fn versions(&self, name: &str) -> Key {
        self.key("version").push(name)
    }
    pub(crate) fn version(&self, name: &str, number: u64) -> Key {
        self.versions(name).push_u64(number)
    }
    pub(crate) fn aliases(&self, name: &str) -> Key {
        self.key("alias").push(name)
    }
    pub(crate) fn alias(&self, name: &str, alias: &str) -> Key {
        self.aliases(name).push(alias)
    }
    pub(crate) fn policies(&self, name: &str) -> Key {
        self.key("policy").push(name)
    }
    pub(crate) fn policy(&self, name: &str, qualifier: Option<&str>) -> Key {
        self.policies(name).push(qualifier.unwrap_or_default())
    }
    pub(crate) fn invoke_configs(&self, name: &str) -> Key {
        self.key("invoke-config").push(name)
    }
    pub(crate) fn invoke_config(&self, name: &str, qualifier: Option<&str>) -> Key {
        self.invoke_configs(name).push(qualifier.unwrap_or(LATEST))
    }
    pub(crate) fn urls(&self, name: &str) -> Key {
        self.key("url").push(name)
    }
    pub(crate) fn url(&self, name: &str, qualifier: Option<&str>) -> Key {
        self.urls(name).push(qualifier.unwrap_or_default())
    }
    pub(crate) fn provisions(&self, name: &str) -> Key {
        self.key("provision").push(name)
    }
    pub(crate) fn provision(&self, name: &str, qualifier: &str) -> Key {
        self.provisions(name).push(qualifier)
    }
    pub(crate) fn mappings(&self) -> Key {
        self.key("mapping")
    }
    pub(crate) fn mapping(&self, uuid: &str) -> Key {
        self.mappings().push(uuid)
    }

    /// Its tags.
    pub(crate) fn mapping_tags(&self, uuid: &str) -> Key {
        self.key("mapping-tags").push(uuid)
    }
    /// How far a mapping of a stream has come.
    pub(crate) fn position(&self, uuid: &str) -> Key {
        self.key("mapping-position").push(uuid)
    }

    pub(crate) fn arn(&self, name: &str, qualifier: Option<&str>) -> String {
        let arn = format!("arn:aws:lambda:{}:{}:function:{name}", self.region, self.account);
        qualifier.map_or_else(|| arn.clone(), |qualifier| format!("{arn}:{qualifier}"))
    }

    pub(crate) fn not_found(&self, name: &str, qualifier: Option<&str>) -> Error {
        error::resource_not_found_exception(format!("Function not found: {}", self.arn(name, qualifier)))
            .with("Type", "User")
    }

    pub(crate) fn load(&self, tx: &mut Tx<'_>, name: &str) -> Result<Function, Error> {
        tx.get_json(self.function(name))?.ok_or_else(|| self.not_found(name, None))
    }

    /// [`Self::resolve`] for a call: where there is no such function, Lambda names the version that would have been called.
    pub(crate) fn resolve_call(&self, tx: &mut Tx<'_>, name: &Name, chance: f64) -> Result<Resolved, Error> {
        if name.qualifier.is_none() && tx.get_json::<Function>(self.function(&name.name))?.is_none() {
            return Err(self.not_found(&name.name, Some(LATEST)));
        }
        self.resolve(tx, name, chance)
    }

    /// A function and the version that a qualifier names.
    pub(crate) fn resolve(&self, tx: &mut Tx<'_>, name: &Name, chance: f64) -> Result<Resolved, Error> {
        let qualifier = name.qualifier.as_deref();
        let Some(function) = tx.get_json::<Function>(self.function(&name.name))? else {
            return Err(self.not_found(&name.name, qualifier));
        };
        let arn = self.arn(&name.name, qualifier);
        let version = match qualifier {
            None | Some(LATEST) => function.latest.clone(),
            Some(text) => {
                let alias = tx.get_json::<AliasConfiguration>(self.alias(&name.name, text))?;
                let number = alias.as_ref().map_or_else(|| text.to_owned(), |alias| choose(alias, chance));
                if number == LATEST {
                    function.latest.clone()
                } else {
                    let stored = match version_number(&number) {
                        Some(number) => tx.get_json::<Version>(self.version(&name.name, number))?,
                        None => None,
                    };
                    stored.ok_or_else(|| self.not_found(&name.name, qualifier))?
                }
            }
        };
        let invoke_config = tx.get_json::<FunctionEventInvokeConfig>(self.invoke_config(&name.name, qualifier))?;
        Ok(Resolved { function, version, arn, invoke_config })
    }
}

#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) function: Function,
    pub(crate) version: Version,
    /// As it was called: with the qualifier.
    pub(crate) arn: String,
    pub(crate) invoke_config: Option<FunctionEventInvokeConfig>,
}

/// A published version's number. It has one name: `01`, which policies and aliases would not know as version 1, is none.
pub(crate) fn version_number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// The version that an alias points to this time, by its weights; `chance` is in 0..1.
fn choose(alias: &AliasConfiguration, mut chance: f64) -> String {
    let weights = alias.routing_config.as_ref().and_then(|routing| routing.additional_version_weights.as_ref());
    for (version, weight) in weights.into_iter().flatten() {
        if chance < *weight {
            return version.clone();
        }
        chance -= weight;
    }
    alias.function_version.clone().unwrap_or_else(|| LATEST.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let parse = |text: &str| Name::parse(text, None).map(|name| (name.name, name.qualifier));
        let plain = || Ok::<_, ()>(("f".to_owned(), None));
        let live = || Ok::<_, ()>(("f".to_owned(), Some("live".to_owned())));
        assert_eq!(parse("f").map_err(drop), plain());
        assert_eq!(parse("f:live").map_err(drop), live());
        assert_eq!(parse("arn:aws:lambda:us-east-1:000000000000:function:f").map_err(drop), plain());
        assert_eq!(parse("arn:aws:lambda:us-east-1:000000000000:function:f:live").map_err(drop), live());
        assert_eq!(parse("000000000000:function:f:live").map_err(drop), live());
        assert_eq!(parse("f/g").unwrap_err().code(), "ValidationException");
        assert!(Name::parse("f:live", Some("other")).is_err());
        assert_eq!(Name::parse("f", Some("$LATEST")).unwrap().qualifier.as_deref(), Some(LATEST));
    }

    #[test]
    fn versions_have_one_name() {
        assert_eq!([version_number("1"), version_number("10")], [Some(1), Some(10)]);
        for other in ["01", "+1", "1 ", "", "-1", "$LATEST", "live", "99999999999999999999"] {
            assert_eq!(version_number(other), None, "{other}");
        }
    }

    #[test]
    fn aliases_choose_by_weight() {
        let routing = api_lambda::AliasRoutingConfiguration {
            additional_version_weights: Some(BTreeMap::from([("2".to_owned(), 0.25)])),
        };
        let alias = AliasConfiguration {
            function_version: Some("1".to_owned()),
            routing_config: Some(routing),
            ..Default::default()
        };
        assert_eq!(choose(&alias, 0.2), "2");
        assert_eq!(choose(&alias, 0.3), "1");
    }
}
