//! SSM Parameter Store's operations.

use api_ssm::error::{
    invalid_resource_id, parameter_already_exists, parameter_max_version_limit_exceeded, parameter_not_found,
    parameter_pattern_mismatch_exception, parameter_version_not_found, too_many_updates,
};
use api_ssm::{
    AddTagsToResource, AddTagsToResourceRequest, AddTagsToResourceResult, DeleteParameter, DeleteParameterRequest,
    DeleteParameterResult, DeleteParameters, DeleteParametersRequest, DeleteParametersResult, DescribeParameters,
    DescribeParametersRequest, DescribeParametersResult, GetParameter, GetParameterRequest, GetParameterResult,
    GetParameters, GetParametersByPath, GetParametersByPathRequest, GetParametersByPathResult, GetParametersRequest,
    GetParametersResult, ListTagsForResource, ListTagsForResourceRequest, ListTagsForResourceResult, Parameter,
    ParameterMetadata, ParameterStringFilter, PutParameter, PutParameterRequest, PutParameterResult,
    RemoveTagsFromResource, RemoveTagsFromResourceRequest, RemoveTagsFromResourceResult, Tag,
};
use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::{Key, Tx};
use wire::arn::Arn;
use wire::{Blob, Error, Timestamp};

use crate::parameters::policies::{self, Policy};
use crate::parameters::{Change, changed, public};
use crate::{Secrets, seal};

/// Versions kept of one parameter. Source: Parameter Store quotas.
const MAX_VERSIONS: usize = 100;
/// Levels of a name.
const MAX_LEVELS: usize = 15;
/// Bytes of a value, by tier. Source: Systems Manager User Guide, "Managing parameter tiers".
const STANDARD_BYTES: usize = 4096;
const ADVANCED_BYTES: usize = 8192;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) kind: String,
    pub(crate) description: Option<String>,
    pub(super) key_id: Option<String>,
    allowed_pattern: Option<String>,
    tier: String,
    data_type: String,
    tags: Vec<Tag>,
    changed_by: String,
    /// Oldest first.
    pub(super) versions: Vec<(i64, String, Timestamp)>,
    /// What else was true of each version. Of those that were put before it was kept, what is true now is told.
    #[serde(default)]
    pub(super) facts: BTreeMap<i64, Facts>,
    /// Labels, and the version that each is of.
    #[serde(default)]
    pub(super) labels: BTreeMap<String, i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) policies: Vec<Policy>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Facts {
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) allowed_pattern: Option<String>,
    pub(super) tier: String,
    pub(super) data_type: String,
    pub(super) changed_by: String,
}

/// Which version of a parameter is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selector {
    Newest,
    Version(i64),
    Label(String),
}

/// Begins a value that KMS has encrypted; no value that a caller gives can.
const SEALED: &str = "\u{0}kms:";

fn context(arn: &str) -> seal::Context {
    [("PARAMETER_ARN".to_owned(), arn.to_owned())].into()
}

/// A parameter as it is told: of a `SecureString` its ciphertext, unless the caller wants it decrypted.
pub(super) async fn told(
    cx: &Cx,
    mut parameter: Parameter,
    key: Option<&str>,
    decrypt: bool,
) -> Result<Parameter, Error> {
    if parameter.r#type.as_deref() != Some("SecureString") {
        return Ok(parameter);
    }
    let (arn, value) = (parameter.arn.clone().unwrap_or_default(), parameter.value.take().unwrap_or_default());
    let sealed = match value.strip_prefix(SEALED) {
        Some(text) => Blob::new(STANDARD.decode(text).map_err(|_| Error::internal("a parameter is damaged"))?),
        // A record of versions before 0.2, which had no KMS.
        None if decrypt => return Ok(Parameter { value: Some(value), ..parameter }),
        None => seal::seal(cx, seal::PARAMETERS, key, context(&arn), value.as_bytes()).await?,
    };
    let value = if decrypt {
        let plain = seal::open(cx, seal::PARAMETERS, context(&arn), &sealed).await?;
        String::from_utf8(plain).map_err(|_| Error::internal("a parameter is damaged"))?
    } else {
        STANDARD.encode(sealed.as_bytes())
    };
    Ok(Parameter { value: Some(value), ..parameter })
}

pub(super) fn prefix(cx: &Cx) -> Key {
    prefix_of(cx.account(), cx.region())
}

/// Where an account's parameters of a region are.
pub(crate) fn prefix_of(account: &str, region: &str) -> Key {
    Key::new("ssm").push(account).push(region)
}

/// The same as events and tasks name it.
pub(super) fn place(cx: &Cx) -> (String, String) {
    (cx.account().to_owned(), cx.region().to_owned())
}

pub(super) fn load(tx: &mut Tx<'_>, prefix: &Key, name: &str) -> Result<Record, Error> {
    tx.get_json(prefix.clone().push(name))?.ok_or_else(|| parameter_not_found(""))
}

/// The parameter that a name or an ARN selects, and which version. The ARNs of `name` and `/name` are the same.
pub(super) fn load_selected(tx: &mut Tx<'_>, cx: &Cx, id: &str) -> Result<(Record, Selector), Error> {
    let (prefix, (name, selector)) = (prefix(cx), selected(cx, id));
    match load(tx, &prefix, &name) {
        Err(_) if id.starts_with("arn:") && !name.is_empty() && !name.starts_with('/') => {
            Ok((load(tx, &prefix, &format!("/{name}"))?, selector))
        }
        found => Ok((found?, selector)),
    }
}

impl Record {
    /// The key that a secret value is sealed with: the account's own where none was named.
    fn key(&self) -> Option<&str> {
        let own = (self.kind == "SecureString").then_some(seal::PARAMETERS.own_key);
        self.key_id.as_deref().or(own)
    }

    /// The oldest version goes where there are as many as there may be, unless it has a label.
    fn make_room(&mut self) -> Result<(), Error> {
        if self.versions.len() < MAX_VERSIONS {
            return Ok(());
        }
        let oldest = self.versions.first().map_or(0, |version| version.0);
        if self.labels.values().any(|labelled| *labelled == oldest) {
            return Err(parameter_max_version_limit_exceeded(format!(
                "You attempted to create a new version of {} by calling the PutParameter API with the overwrite flag. Version {oldest}, \
                 the oldest version, can't be deleted because it has a label associated with it. Move the label to another version of \
                 the parameter, and try again.",
                self.name
            )));
        }
        self.versions.remove(0);
        self.facts.remove(&oldest);
        Ok(())
    }

    fn last(&self) -> &(i64, String, Timestamp) {
        self.versions.last().expect("a parameter is stored with a version")
    }

    /// What is true of it now.
    pub(super) fn facts(&self) -> Facts {
        Facts {
            kind: self.kind.clone(),
            description: self.description.clone(),
            key_id: self.key().map(str::to_owned),
            allowed_pattern: self.allowed_pattern.clone(),
            tier: self.tier.clone(),
            data_type: self.data_type.clone(),
            changed_by: self.changed_by.clone(),
        }
    }

    pub(super) fn version(&self, selector: &Selector) -> Result<&(i64, String, Timestamp), Error> {
        let (number, said) = match selector {
            Selector::Newest => return Ok(self.last()),
            Selector::Version(number) => (Some(*number), number.to_string()),
            Selector::Label(label) => (self.labels.get(label).copied(), label.clone()),
        };
        let found = number.and_then(|number| self.versions.iter().find(|version| version.0 == number));
        found.ok_or_else(|| {
            parameter_version_not_found(format!("Systems Manager could not find version {said} of {}.", self.name))
        })
    }

    /// The parameter as shown, in a version.
    pub(super) fn shown(&self, selector: &Selector) -> Result<Parameter, Error> {
        let found = self.version(selector)?;
        let kind = self.facts.get(&found.0).map_or(&self.kind, |facts| &facts.kind);
        Ok(Parameter {
            name: Some(self.name.clone()),
            r#type: Some(kind.clone()),
            value: Some(found.1.clone()),
            version: Some(found.0),
            selector: match selector {
                Selector::Newest => None,
                Selector::Version(number) => Some(format!(":{number}")),
                Selector::Label(label) => Some(format!(":{label}")),
            },
            last_modified_date: Some(found.2),
            arn: Some(self.arn.clone()),
            data_type: Some(self.data_type.clone()),
            source_result: None,
        })
    }
}

/// Name and version of `name`, `name:3`, `name:label` or an ARN.
///
/// Only what is an ARN as a whole is read as one, as authorisation reads it; one of another place names nothing here.
fn selected(cx: &Cx, id: &str) -> (String, Selector) {
    let of_ssm = Arn::parse(id).filter(|arn| arn.service == "ssm");
    let id =
        match of_ssm.as_ref().map(|arn| (arn, arn.resource.strip_prefix("parameter/"))) {
            Some((arn, Some(rest))) if arn.account == cx.account() && arn.region == cx.region() => {
                if rest.contains('/') { format!("/{rest}") } else { rest.to_owned() }
            }
            Some(_) => return (String::new(), Selector::Newest),
            None => id.to_owned(),
        };
    match id.rsplit_once(':') {
        Some((name, version)) => match version.parse() {
            Ok(number) => (name.to_owned(), Selector::Version(number)),
            Err(_) => (name.to_owned(), Selector::Label(version.to_owned())),
        },
        None => (id, Selector::Newest),
    }
}

fn check_pattern(pattern: &str, value: &str) -> Result<(), Error> {
    let regex = regex::Regex::new(pattern).map_err(|_| {
        api_ssm::error::invalid_allowed_pattern_exception(format!("The pattern {pattern} is not valid."))
    })?;
    if regex.is_match(value) {
        return Ok(());
    }
    Err(parameter_pattern_mismatch_exception(format!(
        "Parameter value, cannot be validated against allowedPattern: {pattern}"
    )))
}

/// Fails for what is no name of a parameter, in AWS's words. Source: Systems Manager API reference, `PutParameter`, "Name".
fn check_name(name: &str) -> Result<(), Error> {
    let bare = name.trim_start_matches('/').to_lowercase();
    if bare.starts_with("aws") || bare.starts_with("ssm") {
        return Err(Error::validation("Parameter name: can't be prefixed with \"aws\" or \"ssm\" (case-insensitive)."));
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    let levels = || name.trim_start_matches('/').split('/');
    if !name.chars().all(fits) || levels().any(str::is_empty) {
        return Err(Error::validation(
            "Parameter name: can't be prefixed with \"ssm\" (case-insensitive). If formed as a path, it can consist of \
             sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following \
             3 symbols .-_",
        ));
    }
    if !name.starts_with('/') && name.contains('/') {
        return Err(Error::validation("Parameter name must be a fully qualified name."));
    }
    if levels().count() > MAX_LEVELS {
        return Err(api_ssm::error::hierarchy_level_limit_exceeded_exception(format!(
            "A hierarchy can have a maximum of {MAX_LEVELS} levels: {name}"
        )));
    }
    Ok(())
}

/// The tier of a parameter with a value of that many bytes: the one asked for, or the one that it has, or `Standard`.
fn tier(old: Option<&str>, asked: Option<&str>, bytes: usize, has_policies: bool) -> Result<String, Error> {
    let was_advanced = old == Some("Advanced");
    let tier = match asked {
        Some("Intelligent-Tiering") if was_advanced || has_policies || bytes > STANDARD_BYTES => "Advanced",
        Some("Intelligent-Tiering") => "Standard",
        Some("Standard") if was_advanced => {
            return Err(Error::validation(
                "This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the \
                 advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced \
                 parameter and recreate it as a standard parameter.",
            ));
        }
        Some(asked) => asked,
        // As older records have it.
        None => old.filter(|old| *old != "Intelligent-Tiering").unwrap_or("Standard"),
    };
    if has_policies && tier != "Advanced" {
        return Err(Error::validation(
            "Parameter policies are available for parameters that use the advanced-parameter tier. To assign policies, upgrade the \
             parameter to use the advanced-parameter tier.",
        ));
    }
    let most = if tier == "Advanced" { ADVANCED_BYTES } else { STANDARD_BYTES };
    if bytes > most {
        return Err(Error::validation(if tier == "Advanced" {
            format!("Advanced tier parameters support a maximum parameter value of {most} characters.")
        } else {
            format!(
                "Standard tier parameters support a maximum parameter value of {most} characters. To create a larger \
                 parameter value, upgrade the parameter to use the advanced-parameter tier."
            )
        }));
    }
    Ok(tier.to_owned())
}

#[async_trait]
impl Handle<PutParameter> for Secrets {
    async fn handle(&self, cx: &Cx, req: PutParameterRequest) -> Result<PutParameterResult, Error> {
        for _ in 0..MOST_TRIES {
            if let Some(done) = self.put_parameter(cx, req.clone()).await? {
                return Ok(done);
            }
        }
        Err(too_many_updates("There are concurrent updates for a resource that supports one update at a time."))
    }
}

/// How often a value is encrypted for a parameter that has changed meanwhile.
const MOST_TRIES: usize = 5;

impl Secrets {
    #[expect(clippy::too_many_lines, reason = "one step after the other")]
    /// None where the parameter is of another kind or key than when its value was encrypted, or was not.
    async fn put_parameter(&self, cx: &Cx, req: PutParameterRequest) -> Result<Option<PutParameterResult>, Error> {
        check_name(&req.name)?;
        if req.value.is_empty() {
            // AWS's words, though its model does not have the limit.
            return Err(Error::validation(
                "1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length \
                 greater than or equal to 1",
            ));
        }
        if req.overwrite == Some(true) && req.tags.as_ref().is_some_and(|tags| !tags.is_empty()) {
            // AWS's words.
            return Err(Error::validation(
                "Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove \
                 overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.",
            ));
        }
        let prefix = prefix(cx);
        let name = prefix.clone().push(&req.name);
        let before: Option<Record> = self.store.read(|tx| tx.get_json(&name)).await?;
        // What is told of a parameter holds, until a put says otherwise.
        let kept = before.as_ref().and_then(|old| old.allowed_pattern.as_ref());
        if let Some(pattern) = req.allowed_pattern.as_ref().or(kept) {
            check_pattern(pattern, &req.value)?;
        }
        let arn = cx.arn("ssm", format!("parameter/{}", req.name.trim_start_matches('/')));
        let (now, by) = (Timestamp::from(cx.now()), cx.principal().arn(cx.account()));
        let kind = req.r#type.clone().or_else(|| before.as_ref().map(|old| old.kind.clone()));
        if kind.is_none() {
            return Err(Error::validation("A parameter type is required when you create a parameter."));
        }
        let given = req.policies.as_deref().map(policies::parse).transpose()?;
        let kept = before.as_ref().map(|old| old.policies.as_slice()).unwrap_or_default();
        let has_policies = !given.as_deref().unwrap_or(kept).is_empty();
        let tier =
            tier(before.as_ref().map(|old| old.tier.as_str()), req.tier.as_deref(), req.value.len(), has_policies)?;
        let looked_at = before.as_ref().map(|old| (old.kind.clone(), old.key_id.clone()));
        let mut value = req.value.clone();
        if kind.as_deref() == Some("SecureString") {
            let key = req.key_id.clone().or_else(|| before.and_then(|old| old.key_id));
            let sealed = seal::seal(cx, seal::PARAMETERS, key.as_deref(), context(&arn), value.as_bytes()).await?;
            value = format!("{SEALED}{}", STANDARD.encode(sealed.as_bytes()));
        }
        let (place, fresh) = (place(cx), cx.uuid());
        cx.write(&self.store, move |tx| {
            let key = prefix.clone().push(&req.name);
            let old: Option<Record> = tx.get_json(&key)?;
            if old.is_some() && req.overwrite != Some(true) {
                return Err(parameter_already_exists("The parameter already exists. To overwrite this value, set the overwrite option in the request to true."));
            }
            if old.as_ref().map(|old| (old.kind.clone(), old.key_id.clone())) != looked_at {
                return Ok(None);
            }
            let change = if old.is_some() { Change::Update } else { Change::Create };
            let mut record = old.unwrap_or_else(|| Record {
                name: req.name.clone(),
                arn: arn.clone(),
                kind: "String".to_owned(),
                description: None,
                key_id: None,
                allowed_pattern: None,
                tier: "Standard".to_owned(),
                data_type: "text".to_owned(),
                tags: req.tags.clone().unwrap_or_default(),
                changed_by: String::new(),
                versions: Vec::new(),
                facts: BTreeMap::new(),
                labels: BTreeMap::new(),
                policies: Vec::new(),
            });
            let number = record.versions.last().map_or(1, |v| v.0 + 1);
            record.make_room()?;
            record.versions.push((number, value.clone(), now));
            record.changed_by.clone_from(&by);
            record.kind = req.r#type.clone().unwrap_or(record.kind);
            record.description = req.description.clone().or(record.description);
            record.key_id = req.key_id.clone().or(record.key_id);
            record.allowed_pattern = req.allowed_pattern.clone().or(record.allowed_pattern);
            record.tier.clone_from(&tier);
            record.data_type = req.data_type.clone().unwrap_or(record.data_type);
            let facts = record.facts();
            record.facts.insert(number, facts);
            let were = record.policies.len();
            if let Some(given) = &given {
                record.policies.clone_from(given);
            }
            policies::schedule(tx, &place, &mut record, were)?;
            changed(tx, &place, &record, change, &fresh)?;
            tx.put_json(&key, &record)?;
            Ok(Some(PutParameterResult { version: Some(number), tier: Some(record.tier) }))
        })
        .await
    }
}

#[async_trait]
impl Handle<GetParameter> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetParameterRequest) -> Result<GetParameterResult, Error> {
        if let Some(public) = public::find(cx.region(), &req.name) {
            return Ok(GetParameterResult { parameter: Some(public) });
        }
        let (record, version) = self.store.read(|tx| load_selected(tx, cx, &req.name)).await?;
        let decrypt = req.with_decryption == Some(true);
        let shown = told(cx, record.shown(&version)?, record.key_id.as_deref(), decrypt).await?;
        Ok(GetParameterResult { parameter: Some(shown) })
    }
}

#[async_trait]
impl Handle<GetParameters> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetParametersRequest) -> Result<GetParametersResult, Error> {
        let (found, missing) = self
            .store
            .read(|tx| {
                let (mut found, mut missing) = (Vec::new(), Vec::new());
                for id in &req.names {
                    if let Some(public) = public::find(cx.region(), id) {
                        found.push((public, None));
                        continue;
                    }
                    match load_selected(tx, cx, id).and_then(|(r, version)| Ok((r.shown(&version)?, r.key_id))) {
                        Ok(parameter) => found.push(parameter),
                        Err(_) => missing.push(id.clone()),
                    }
                }
                Ok::<_, Error>((found, missing))
            })
            .await?;
        let decrypt = req.with_decryption == Some(true);
        let mut parameters = Vec::new();
        for (parameter, key) in found {
            parameters.push(told(cx, parameter, key.as_deref(), decrypt).await?);
        }
        Ok(GetParametersResult { parameters: Some(parameters), invalid_parameters: Some(missing) })
    }
}

impl Secrets {
    /// A page of parameters in order of name, and the token of the next.
    async fn page(
        &self,
        cx: &Cx,
        token: Option<String>,
        limit: Option<i32>,
        keep: impl Fn(&Record) -> bool,
    ) -> Result<(Vec<Record>, Option<String>), Error> {
        let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(50);
        self.page_after(&prefix(cx), token, limit, keep, |record| &record.name).await
    }

    /// A page of those kept of what lies below a prefix, in order of name, and the last name of it where there are more.
    pub(super) async fn page_after<T: serde::de::DeserializeOwned>(
        &self,
        prefix: &Key,
        after: Option<String>,
        limit: usize,
        keep: impl Fn(&T) -> bool,
        name: impl Fn(&T) -> &String,
    ) -> Result<(Vec<T>, Option<String>), Error> {
        let mut after = after.map(|name| prefix.clone().push(name).into_bytes()).unwrap_or_default();
        let mut page: Vec<T> = Vec::new();
        loop {
            let pairs = self.store.read(|tx| tx.scan_after(prefix, &after, 500)).await?;
            let Some((last, _)) = pairs.last() else { return Ok((page, None)) };
            after.clone_from(last);
            for (key, value) in &pairs {
                let record: T = store::kv::decode(key, value)?;
                if keep(&record) {
                    if page.len() == limit {
                        let next = page.last().map(|last| name(last).clone());
                        return Ok((page, next));
                    }
                    page.push(record);
                }
            }
        }
    }
}

#[async_trait]
impl Handle<GetParametersByPath> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetParametersByPathRequest) -> Result<GetParametersByPathResult, Error> {
        if !req.path.starts_with('/') {
            return Err(Error::validation(format!("The path {} must begin with a forward slash \"/\".", req.path)));
        }
        let path = req.path;
        if public::is_path(&path) {
            return Ok(public_page(cx, &path, req.recursive == Some(true), req.next_token.as_deref(), req.max_results));
        }
        let recursive = req.recursive == Some(true);
        let mut filters = Vec::new();
        for filter in req.parameter_filters.unwrap_or_default() {
            filters.push(ByPath::of(filter)?);
        }
        let keep = |r: &Record| {
            below(&r.name, &path).is_some_and(|rest| recursive || !rest.contains('/'))
                && filters.iter().all(|filter| filter.keeps(r))
        };
        let (records, next_token) = self.page(cx, req.next_token, req.max_results.or(Some(10)), keep).await?;
        let decrypt = req.with_decryption == Some(true);
        let mut parameters = Vec::new();
        for record in &records {
            let version = filters.iter().find_map(|filter| filter.version(record)).unwrap_or(Selector::Newest);
            parameters.push(told(cx, record.shown(&version)?, record.key_id.as_deref(), decrypt).await?);
        }
        Ok(GetParametersByPathResult { parameters: Some(parameters), next_token })
    }
}

/// A page of public parameters; the token is the name of the last.
fn public_page(
    cx: &Cx,
    path: &str,
    recursive: bool,
    after: Option<&str>,
    limit: Option<i32>,
) -> GetParametersByPathResult {
    let limit = limit.and_then(|n| usize::try_from(n).ok()).unwrap_or(10);
    let mut found = public::below(cx.region(), path, recursive);
    found.retain(|one| after.is_none_or(|after| one.name.as_deref().is_some_and(|name| name > after)));
    let more = found.len() > limit;
    found.truncate(limit);
    let next_token = found.last().filter(|_| more).and_then(|last| last.name.clone());
    GetParametersByPathResult { parameters: Some(found), next_token }
}

/// What parameters below a path are chosen by. Source: Systems Manager API reference, `GetParametersByPath`: "The following Key values are
/// supported for GetParametersByPath: Type, KeyId, and Label".
struct ByPath {
    key: String,
    begins: bool,
    values: Vec<String>,
}

impl ByPath {
    fn of(filter: ParameterStringFilter) -> Result<Self, Error> {
        let ParameterStringFilter { key, option, values } = filter;
        if !matches!(key.as_str(), "Type" | "KeyId" | "Label") {
            let message = format!(
                "The following filter key is not valid: {key}. Valid filter keys include: [Type, KeyId, Label]."
            );
            return Err(api_ssm::error::invalid_filter_key(message));
        }
        let begins = match option.as_deref() {
            None | Some("Equals") => false,
            Some("BeginsWith") if key != "Label" => true,
            Some(other) => {
                let message = format!("The following filter option is not valid: {other}.");
                return Err(api_ssm::error::invalid_filter_option(message));
            }
        };
        let values = values.unwrap_or_default();
        if values.is_empty() {
            return Err(api_ssm::error::invalid_filter_value(format!("The filter {key} has no values.")));
        }
        Ok(Self { key, begins, values })
    }

    fn keeps(&self, record: &Record) -> bool {
        let text = match self.key.as_str() {
            "Type" => record.kind.as_str(),
            "KeyId" => record.key().unwrap_or_default(),
            _ => return self.version(record).is_some(),
        };
        self.values.iter().any(|value| if self.begins { text.starts_with(value.as_str()) } else { text == value })
    }

    /// The version that has one of the labels.
    fn version(&self, record: &Record) -> Option<Selector> {
        let mut labels = self.values.iter().filter(|_| self.key == "Label");
        labels.find(|label| record.labels.contains_key(*label)).map(|label| Selector::Label(label.clone()))
    }
}

/// What parameters are chosen by that are described. Source: Systems Manager API reference, `ParameterStringFilter`.
struct Described {
    key: String,
    option: String,
    values: Vec<String>,
}

impl Described {
    fn of(filter: ParameterStringFilter) -> Result<Self, Error> {
        let ParameterStringFilter { key, option, values } = filter;
        let options: &[&str] = match key.as_str() {
            "Name" => &["Equals", "BeginsWith", "Contains"],
            "Type" | "KeyId" => &["Equals", "BeginsWith"],
            "Path" => &["OneLevel", "Recursive"],
            _ => return Err(api_ssm::error::invalid_filter_key(format!("The filter key {key} is not supported."))),
        };
        let option = option.unwrap_or_else(|| options[0].to_owned());
        if !options.contains(&option.as_str()) {
            let message = format!(
                "The following filter option is not valid: {option}. Valid options include: [{}].",
                options.join(", ")
            );
            return Err(api_ssm::error::invalid_filter_option(message));
        }
        let values = values.unwrap_or_default();
        if values.is_empty() {
            return Err(api_ssm::error::invalid_filter_value(format!("The filter {key} has no values.")));
        }
        if let Some(path) = values.iter().find(|path| key == "Path" && !path.starts_with('/')) {
            return Err(Error::validation(format!("The path {path} must begin with a forward slash \"/\".")));
        }
        Ok(Self { key, option, values })
    }

    fn keeps(&self, record: &Record) -> bool {
        let text = match self.key.as_str() {
            "Type" => record.kind.as_str(),
            "KeyId" => record.key().unwrap_or_default(),
            _ => record.name.as_str(),
        };
        self.values.iter().any(|value| match self.option.as_str() {
            "BeginsWith" => text.starts_with(value.as_str()),
            "Contains" => text.contains(value.as_str()),
            "OneLevel" => below(text, value).is_some_and(|rest| !rest.contains('/')),
            "Recursive" => below(text, value).is_some(),
            _ => text == value.as_str(),
        })
    }
}

/// What of a name is below a path: whole levels.
fn below<'a>(name: &'a str, path: &str) -> Option<&'a str> {
    name.strip_prefix(path.trim_end_matches('/'))?.strip_prefix('/')
}

#[async_trait]
impl Handle<DescribeParameters> for Secrets {
    async fn handle(&self, cx: &Cx, req: DescribeParametersRequest) -> Result<DescribeParametersResult, Error> {
        let mut filters = Vec::new();
        for filter in req.parameter_filters.unwrap_or_default() {
            filters.push(Described::of(filter)?);
        }
        for filter in req.filters.unwrap_or_default() {
            let values = Some(filter.values);
            filters.push(Described::of(ParameterStringFilter { key: filter.key, option: None, values })?);
        }
        let keep = |r: &Record| filters.iter().all(|filter| filter.keeps(r));
        let (records, next_token) = self.page(cx, req.next_token, req.max_results, keep).await?;
        let shown = records.into_iter().map(|r| {
            let (version, _, changed) = r.last().clone();
            let key_id = r.key().map(str::to_owned);
            ParameterMetadata {
                name: Some(r.name),
                arn: Some(r.arn),
                r#type: Some(r.kind),
                key_id,
                last_modified_date: Some(changed),
                last_modified_user: Some(r.changed_by),
                description: r.description,
                allowed_pattern: r.allowed_pattern,
                version: Some(version),
                tier: Some(r.tier),
                policies: Some(policies::told(&r.policies)),
                data_type: Some(r.data_type),
            }
        });
        Ok(DescribeParametersResult { parameters: Some(shown.collect()), next_token })
    }
}

#[async_trait]
impl Handle<DeleteParameter> for Secrets {
    async fn handle(&self, cx: &Cx, req: DeleteParameterRequest) -> Result<DeleteParameterResult, Error> {
        let prefix = prefix(cx);
        let (place, fresh) = (place(cx), cx.uuid());
        cx.write(&self.store, move |tx| {
            let record = load(tx, &prefix, &req.name)?;
            delete(tx, &place, &prefix, &record, &fresh)
        })
        .await?;
        Ok(DeleteParameterResult {})
    }
}

#[async_trait]
impl Handle<DeleteParameters> for Secrets {
    async fn handle(&self, cx: &Cx, req: DeleteParametersRequest) -> Result<DeleteParametersResult, Error> {
        let prefix = prefix(cx);
        let (place, fresh) = (place(cx), cx.uuid());
        let (deleted, missing) = cx
            .write(&self.store, move |tx| {
                let (mut deleted, mut missing) = (Vec::new(), Vec::new());
                for (n, name) in req.names.iter().enumerate() {
                    if let Some(record) = tx.get_json::<Record>(prefix.clone().push(name))? {
                        delete(tx, &place, &prefix, &record, &format!("{fresh}/{n}"))?;
                        deleted.push(name.clone());
                    } else {
                        missing.push(name.clone());
                    }
                }
                Ok::<_, Error>((deleted, missing))
            })
            .await?;
        Ok(DeleteParametersResult { deleted_parameters: Some(deleted), invalid_parameters: Some(missing) })
    }
}

fn delete(tx: &mut Tx<'_>, place: &(String, String), prefix: &Key, record: &Record, fresh: &str) -> Result<(), Error> {
    policies::cancel(tx, place, &record.name, record.policies.len())?;
    changed(tx, place, record, Change::Delete, fresh)?;
    Ok(tx.delete(prefix.clone().push(&record.name))?)
}

impl Secrets {
    async fn change_tags(
        &self,
        cx: &Cx,
        kind: &str,
        id: String,
        change: impl Fn(&mut Vec<Tag>) + Send + 'static,
    ) -> Result<(), Error> {
        if kind != "Parameter" {
            return Err(api_ssm::error::invalid_resource_type(format!("Resource type {kind} is not supported.")));
        }
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let key = prefix.clone().push(&id);
            let found: Option<Record> = tx.get_json(&key)?;
            let mut record = found.ok_or_else(|| invalid_resource_id(format!("The resource ID {id} is not valid.")))?;
            change(&mut record.tags);
            tx.put_json(&key, &record)?;
            Ok::<_, Error>(())
        })
        .await
    }
}

#[async_trait]
impl Handle<AddTagsToResource> for Secrets {
    async fn handle(&self, cx: &Cx, req: AddTagsToResourceRequest) -> Result<AddTagsToResourceResult, Error> {
        let new = req.tags;
        self.change_tags(cx, &req.resource_type, req.resource_id, move |tags| {
            tags.retain(|t| new.iter().all(|n| n.key != t.key));
            tags.extend(new.iter().cloned());
        })
        .await?;
        Ok(AddTagsToResourceResult {})
    }
}

#[async_trait]
impl Handle<RemoveTagsFromResource> for Secrets {
    async fn handle(&self, cx: &Cx, req: RemoveTagsFromResourceRequest) -> Result<RemoveTagsFromResourceResult, Error> {
        let keys = req.tag_keys;
        self.change_tags(cx, &req.resource_type, req.resource_id, move |tags| tags.retain(|t| !keys.contains(&t.key)))
            .await?;
        Ok(RemoveTagsFromResourceResult {})
    }
}

#[async_trait]
impl Handle<ListTagsForResource> for Secrets {
    async fn handle(&self, cx: &Cx, req: ListTagsForResourceRequest) -> Result<ListTagsForResourceResult, Error> {
        let key = prefix(cx).push(&req.resource_id);
        let found: Option<Record> = self.store.read(|tx| tx.get_json(&key)).await?;
        let record =
            found.ok_or_else(|| invalid_resource_id(format!("The resource ID {} is not valid.", req.resource_id)))?;
        Ok(ListTagsForResourceResult { tag_list: Some(record.tags) })
    }
}
