//! Layers: archives with versions of their own that functions find in `/opt`. A version that was deleted stays with the functions
//! that have it, as on AWS.

use api_lambda::{GetLayerVersionResponse, Layer, LayerVersionContentOutput, LayerVersionsListItem, error};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use service::Cx;
use store::{Key, Tx};
use wire::Error;

use crate::function::{Policy, Scope};

/// AWS's limits: layers of a function, and what it and they hold unpacked.
const MAX_LAYERS: usize = 5;
pub(crate) const MAX_UNPACKED_BYTES: u64 = 262_144_000;

/// One version as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerVersion {
    /// Format of the record.
    pub(crate) v: u8,
    pub(crate) name: String,
    pub(crate) number: u64,
    /// The archive: its name, its hash as AWS shows it, its size packed and unpacked.
    pub(crate) code: String,
    pub(crate) sha256: String,
    pub(crate) bytes: i64,
    pub(crate) unpacked_bytes: u64,
    pub(crate) description: Option<String>,
    pub(crate) created: String,
    pub(crate) architectures: Option<Vec<String>>,
    pub(crate) runtimes: Option<Vec<String>>,
    pub(crate) license: Option<String>,
}

/// A layer as a request names it: its name, or its ARN with or without a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerName {
    /// That of the ARN, where there is one.
    pub(crate) place: Scope,
    pub(crate) name: String,
    pub(crate) version: Option<u64>,
}

/// A layer of a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    pub(crate) shown: Layer,
    pub(crate) code: String,
}

impl LayerName {
    pub(crate) fn parse(cx: &Cx, text: &str) -> Result<Self, Error> {
        let valid = |name: &str| {
            (1..=64).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let parts: Vec<_> = text.split(':').collect();
        let (place, name, version) = match parts.as_slice() {
            [name] => (Scope::of(cx), *name, None),
            ["arn", _, "lambda", region, account, "layer", name, rest @ ..] if rest.len() <= 1 => {
                let place = Scope { account: (*account).to_owned(), region: (*region).to_owned() };
                (place, *name, rest.first().map(|number| number.parse()))
            }
            _ => return Err(invalid(text)),
        };
        let version = version.transpose().map_err(|_| invalid(text))?;
        if valid(name) { Ok(Self { place, name: name.to_owned(), version }) } else { Err(invalid(text)) }
    }

    /// Where it is kept, if it is the caller's.
    pub(crate) fn own(&self, cx: &Cx) -> Result<Scope, Error> {
        if self.place.account == cx.account() {
            return Ok(self.place.clone());
        }
        Err(Error::access_denied(format!("{} is a layer of another account.", self.place.layer_arn(&self.name))))
    }
}

fn invalid(text: &str) -> Error {
    Error::validation(format!(
        "1 validation error detected: Value '{text}' at 'layerName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: (arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{{12}}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+"
    ))
}

impl Scope {
    fn layer_key(&self, kind: &str) -> Key {
        Key::new("lambda").push(kind).push(&self.account).push(&self.region)
    }
    pub(crate) fn layers(&self) -> Key {
        self.layer_key("layer")
    }
    pub(crate) fn layer_versions(&self, name: &str) -> Key {
        self.layers().push(name)
    }
    pub(crate) fn layer_version(&self, name: &str, number: u64) -> Key {
        self.layer_versions(name).push_u64(number)
    }
    /// The last number that was given: numbers are not used twice.
    pub(crate) fn layer_counter(&self, name: &str) -> Key {
        self.layer_key("layer-counter").push(name)
    }
    pub(crate) fn layer_policy(&self, name: &str, number: u64) -> Key {
        self.layer_key("layer-policy").push(name).push_u64(number)
    }
    pub(crate) fn layer_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{}:layer:{name}", self.region, self.account)
    }
}

impl LayerVersion {
    pub(crate) fn arn(&self, place: &Scope) -> String {
        format!("{}:{}", place.layer_arn(&self.name), self.number)
    }

    fn version(&self) -> Option<i64> {
        i64::try_from(self.number).ok()
    }

    pub(crate) fn listed(&self, place: &Scope) -> LayerVersionsListItem {
        LayerVersionsListItem {
            layer_version_arn: Some(self.arn(place)),
            version: self.version(),
            description: self.description.clone(),
            created_date: Some(self.created.clone()),
            compatible_architectures: self.architectures.clone(),
            compatible_runtimes: self.runtimes.clone(),
            license_info: self.license.clone(),
        }
    }

    /// `location` is where its archive can be fetched.
    pub(crate) fn shown(&self, place: &Scope, location: String) -> GetLayerVersionResponse {
        GetLayerVersionResponse {
            content: Some(LayerVersionContentOutput {
                location: Some(location),
                code_sha256: Some(self.sha256.clone()),
                code_size: Some(self.bytes),
                ..Default::default()
            }),
            layer_arn: Some(place.layer_arn(&self.name)),
            layer_version_arn: Some(self.arn(place)),
            description: Some(self.description.clone().unwrap_or_default()),
            created_date: Some(self.created.clone()),
            version: self.version(),
            compatible_architectures: self.architectures.clone(),
            compatible_runtimes: self.runtimes.clone(),
            license_info: self.license.clone(),
        }
    }

    /// Whether a list that asks for what suits a runtime and an architecture shows it.
    pub(crate) fn suits(&self, runtime: Option<&str>, architecture: Option<&str>) -> bool {
        let has = |wanted: Option<&str>, list: &Option<Vec<String>>| {
            wanted.is_none_or(|wanted| list.iter().flatten().any(|one| one == wanted))
        };
        has(runtime, &self.runtimes) && has(architecture, &self.architectures)
    }
}

/// A version that must be there.
pub(crate) fn find(tx: &mut Tx<'_>, layer: &LayerName, number: u64) -> Result<LayerVersion, Error> {
    tx.get_json(layer.place.layer_version(&layer.name, number))?.ok_or_else(|| {
        error::resource_not_found_exception("The resource you requested does not exist.").with("Type", "User")
    })
}

/// Whether another account may use a version.
pub(crate) fn allow(cx: &Cx, tx: &mut Tx<'_>, layer: &LayerName, number: u64) -> Result<(), Error> {
    if layer.place.account == cx.account() {
        return Ok(());
    }
    let policy = tx.get_json::<Policy>(layer.place.layer_policy(&layer.name, number))?;
    let account = format!("arn:aws:iam::{}:root", cx.account());
    let gives = |statement: &Value| {
        let principal = &statement["Principal"];
        *principal == "*" || principal["AWS"] == account.as_str()
    };
    if policy.is_some_and(|policy| policy.statements.iter().any(gives)) {
        return Ok(());
    }
    Err(Error::access_denied(format!(
        "User: {account} is not authorized to perform: lambda:GetLayerVersion on resource: {}:{number} because no resource-based \
         policy allows the lambda:GetLayerVersion action",
        layer.place.layer_arn(&layer.name)
    )))
}

/// The layers that a function asks for, in its order. `code_bytes` is what the function itself holds unpacked.
pub(crate) fn resolve(cx: &Cx, tx: &mut Tx<'_>, arns: &[String], code_bytes: u64) -> Result<Vec<Used>, Error> {
    let refused = |message: String| Err(error::invalid_parameter_value_exception(message).with("Type", "User"));
    if arns.len() > MAX_LAYERS {
        return refused(format!("Cannot reference more than {MAX_LAYERS} layers."));
    }
    let (mut used, mut names, mut bytes) = (Vec::new(), Vec::new(), code_bytes);
    for arn in arns {
        let layer = LayerName::parse(cx, arn)?;
        let Some(number) = layer.version else { return Err(invalid(arn)) };
        allow(cx, tx, &layer, number)?;
        let version = tx.get_json::<LayerVersion>(layer.place.layer_version(&layer.name, number))?;
        let Some(version) = version else { return refused(format!("Layer version {arn} does not exist.")) };
        let family = layer.place.layer_arn(&layer.name);
        if names.contains(&family) {
            return refused(format!(
                "Two different versions of the same layer are not allowed to be referenced in the same function. {family}"
            ));
        }
        names.push(family);
        bytes = bytes.saturating_add(version.unpacked_bytes);
        let shown = Layer { arn: Some(arn.clone()), code_size: Some(version.bytes), ..Default::default() };
        used.push(Used { shown, code: version.code });
    }
    if bytes > MAX_UNPACKED_BYTES {
        return refused(format!(
            "Function code combined with layers exceeds the maximum allowed size of {MAX_UNPACKED_BYTES} bytes. The actual size is {bytes} bytes."
        ));
    }
    Ok(used)
}
