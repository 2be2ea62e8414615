//! Secrets Manager's operations.

use std::collections::BTreeMap;

use api_secretsmanager::error::{
    internal_service_error, invalid_next_token_exception, invalid_parameter_exception, invalid_request_exception,
    resource_exists_exception, resource_not_found_exception,
};
use api_secretsmanager::{
    CreateSecret, CreateSecretRequest, CreateSecretResponse, DeleteSecret, DeleteSecretRequest, DeleteSecretResponse,
    DescribeSecret, DescribeSecretRequest, DescribeSecretResponse, Filter, GetResourcePolicy, GetResourcePolicyRequest,
    GetResourcePolicyResponse, GetSecretValue, GetSecretValueRequest, GetSecretValueResponse, ListSecretVersionIds,
    ListSecretVersionIdsRequest, ListSecretVersionIdsResponse, ListSecrets, ListSecretsRequest, ListSecretsResponse,
    PutSecretValue, PutSecretValueRequest, PutSecretValueResponse, RestoreSecret, RestoreSecretRequest,
    RestoreSecretResponse, SecretListEntry, SecretVersionsListEntry, TagResource, TagResourceRequest, UntagResource,
    UntagResourceRequest, UpdateSecret, UpdateSecretRequest, UpdateSecretResponse,
};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use service::{Cx, Handle};
use store::NewTask;
use wire::types::Empty;
use wire::{Blob, Error};

use super::rotation::check_token;
use crate::Secrets;
use crate::rotation::{self, Asked, Rules};
use crate::secret::{CURRENT, EXPIRE, Moved, Secret, Version, find, find_live, prefix};

/// The largest value. Source: Secrets Manager quotas.
const MAX_VALUE: usize = 65_536;
/// Days until a deleted secret is gone, where the caller does not say.
const RECOVERY_DAYS: i64 = 30;

fn version(cx: &Cx, text: Option<String>, binary: Option<Blob>) -> Result<Option<Version>, Error> {
    let size = text.as_ref().map_or(0, String::len).max(binary.as_ref().map_or(0, |b| b.as_bytes().len()));
    match (&text, &binary) {
        (Some(_), Some(_)) => Err(invalid_parameter_exception(
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )),
        _ if size > MAX_VALUE => Err(invalid_parameter_exception(format!(
            "The secret value is {size} bytes; at most {MAX_VALUE} are allowed."
        ))),
        (None, None) => Ok(None),
        _ => Ok(Some(Version { text, binary, created: cx.now().into(), ..Version::default() })),
    }
}

impl Secrets {
    /// A new value as it is kept, and whether the version that it is for has it already. `fresh`: the ARN and key of a secret that is
    /// about to be made, where there is none of the name. With it the id of the secret that the value was encrypted for.
    async fn for_version(
        &self,
        cx: &Cx,
        (secret_id, token): (&str, &str),
        new: Option<Version>,
        (fresh, key): (Option<&str>, Option<&str>),
    ) -> Result<(Option<Version>, bool, String), Error> {
        let Some(new) = new else { return Ok((None, false, secret_id.to_owned())) };
        let prefix = prefix(cx);
        let found = self.store.read(|tx| find(tx, &prefix, secret_id)).await;
        let found = match found {
            Ok((_, secret)) => Some(secret),
            Err(error) if error.is("ResourceNotFoundException") => None,
            Err(error) => return Err(error),
        };
        let old = found
            .as_ref()
            .and_then(|secret| Some((secret.arn.clone(), secret.versions.get(token)?.clone())))
            .filter(|(_, version)| !version.is_empty());
        let same = match old {
            Some((arn, version)) => {
                let version = version.opened(cx, &arn, token).await?;
                (&version.text, &version.binary) == (&new.text, &new.binary)
            }
            None => false,
        };
        // A secret that is there keeps its ARN, and its values are bound to that.
        let arn = match (&found, fresh) {
            (Some(secret), _) => secret.arn.clone(),
            (None, Some(fresh)) => fresh.to_owned(),
            // The handler says that there is none.
            (None, None) => return Ok((Some(new), false, secret_id.to_owned())),
        };
        let key = key.map(str::to_owned).or_else(|| found.and_then(|secret| secret.kms_key_id));
        Ok((Some(new.sealed(cx, key.as_deref(), &arn, token).await?), same, arn))
    }
}

#[async_trait]
impl Handle<CreateSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: CreateSecretRequest) -> Result<CreateSecretResponse, Error> {
        twice(|| self.create(cx, req.clone())).await
    }
}

/// Once more where the version is there already: another call may have put it since this one looked whether its value is the same.
async fn twice<T, F: Future<Output = Result<T, Error>>>(put: impl Fn() -> F) -> Result<T, Error> {
    match put().await {
        Err(error) if error.is("ResourceExistsException") => put().await,
        done => done,
    }
}

impl Secrets {
    async fn create(&self, cx: &Cx, req: CreateSecretRequest) -> Result<CreateSecretResponse, Error> {
        let fits = |c: char| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c);
        if !req.name.chars().all(fits) {
            return Err(Error::validation(
                "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
            ));
        }
        let first = version(cx, req.secret_string, req.secret_binary)?;
        let token = req.client_request_token.unwrap_or_else(|| cx.uuid());
        let new = Secret {
            arn: cx.arn("secretsmanager", format!("secret:{}-{}", req.name, suffix(cx))),
            name: req.name,
            description: req.description,
            kms_key_id: req.kms_key_id,
            tags: req.tags.unwrap_or_default(),
            created: cx.now().into(),
            changed: cx.now().into(),
            ..Secret::default()
        };
        let (id, fresh) = ((new.name.as_str(), token.as_str()), (Some(new.arn.as_str()), new.kms_key_id.as_deref()));
        let (first, same, sealed_for) = self.for_version(cx, id, first, fresh).await?;
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let key = prefix.clone().push(&new.name);
            let mut secret = new.clone();
            if let Some(old) = tx.get_json::<Secret>(&key)? {
                if old.deletion.is_some() {
                    return Err(invalid_request_exception("You can't create this secret because a secret with this name is already scheduled for deletion."));
                }
                // One that was made since it was looked for is looked at again.
                if !old.versions.contains_key(&token) || (first.is_some() && old.arn != sealed_for) {
                    let name = &new.name;
                    return Err(resource_exists_exception(format!("The operation failed because the secret {name} already exists.")));
                }
                secret = old;
            }
            if let Some(version) = &first {
                secret.put(&token, version.clone(), &[CURRENT.to_owned()], same)?;
            }
            tx.put_json(&key, &secret)?;
            Ok(CreateSecretResponse {
                arn: Some(secret.arn),
                name: Some(secret.name),
                version_id: first.as_ref().map(|_| token.clone()),
                replication_status: None,
            })
        })
        .await
    }
}

fn suffix(cx: &Cx) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let bits = cx.router().clock().random().to_be_bytes();
    bits.iter().take(6).map(|b| char::from(LETTERS[usize::from(*b) % LETTERS.len()])).collect()
}

#[async_trait]
impl Handle<GetSecretValue> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetSecretValueRequest) -> Result<GetSecretValueResponse, Error> {
        let prefix = prefix(cx);
        let (_, secret) = self.store.read(|tx| find_live(tx, &prefix, &req.secret_id)).await?;
        let stage = req.version_stage.as_deref().unwrap_or(CURRENT);
        let found = secret.versions.iter().find(|(id, v)| match &req.version_id {
            Some(wanted) => *id == wanted && req.version_stage.as_ref().is_none_or(|s| v.stages.contains(s)),
            None => v.stages.iter().any(|s| s == stage),
        });
        if let (None, Some(wanted), Some(_)) = (found, &req.version_id, &req.version_stage)
            && secret.versions.contains_key(wanted)
        {
            let text = "You provided a VersionStage that is not associated to the provided VersionId.";
            return Err(invalid_request_exception(text));
        }
        let (id, version) = found.filter(|(_, version)| !version.is_empty()).ok_or_else(|| {
            resource_not_found_exception(match &req.version_id {
                Some(id) => format!("Secrets Manager can't find the specified secret value for VersionId: {id}"),
                None => format!("Secrets Manager can't find the specified secret value for staging label: {stage}"),
            })
        })?;
        let version = version.clone().opened(cx, &secret.arn, id).await?;
        Ok(GetSecretValueResponse {
            arn: Some(secret.arn.clone()),
            name: Some(secret.name.clone()),
            version_id: Some(id.clone()),
            secret_binary: version.binary.clone(),
            secret_string: version.text.clone(),
            version_stages: Some(version.stages.clone()),
            created_date: Some(version.created),
        })
    }
}

#[async_trait]
impl Handle<PutSecretValue> for Secrets {
    async fn handle(&self, cx: &Cx, req: PutSecretValueRequest) -> Result<PutSecretValueResponse, Error> {
        let token = req.client_request_token.clone().unwrap_or_else(|| cx.uuid());
        twice(|| self.put_value(cx, req.clone(), token.clone())).await
    }
}

impl Secrets {
    async fn put_value(
        &self,
        cx: &Cx,
        req: PutSecretValueRequest,
        token: String,
    ) -> Result<PutSecretValueResponse, Error> {
        let new = version(cx, req.secret_string, req.secret_binary)?
            .ok_or_else(|| invalid_parameter_exception("You must provide either SecretString or SecretBinary."))?;
        let stages = req.version_stages.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        let (new, same, id) = self.for_version(cx, (&req.secret_id, &token), Some(new), (None, None)).await?;
        let new = new.unwrap_or_default();
        let (prefix, home) = (prefix(cx), cx.clone());
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &id)?;
            check_token(&secret, req.rotation_token.as_deref())?;
            secret.put(&token, new.clone(), &stages, same)?;
            if stages.iter().any(|stage| stage == CURRENT) {
                rotation::changed(tx, &mut secret, &Asked::new(&home, &key))?;
            }
            tx.put_json(key, &secret)?;
            Ok(PutSecretValueResponse {
                version_stages: secret.versions.get(&token).map(|v| v.stages.clone()),
                arn: Some(secret.arn),
                name: Some(secret.name),
                version_id: Some(token.clone()),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: UpdateSecretRequest) -> Result<UpdateSecretResponse, Error> {
        let token = req.client_request_token.clone().unwrap_or_else(|| cx.uuid());
        for _ in 0..MOST_TRIES {
            if let Some(done) = twice(|| self.update(cx, req.clone(), token.clone())).await? {
                return Ok(done);
            }
        }
        Err(internal_service_error("The secret's values change all the time; try again."))
    }
}

/// How often values are encrypted anew that have changed meanwhile.
const MOST_TRIES: usize = 5;

impl Secrets {
    /// None where values have changed since they were encrypted with another key.
    async fn update(
        &self,
        cx: &Cx,
        req: UpdateSecretRequest,
        token: String,
    ) -> Result<Option<UpdateSecretResponse>, Error> {
        let new = version(cx, req.secret_string.clone(), req.secret_binary.clone())?;
        let moved = match &req.kms_key_id {
            Some(key) => self.with_key(cx, &req.secret_id, key).await?,
            None => BTreeMap::new(),
        };
        let key = (None, req.kms_key_id.as_deref());
        let (new, same, id) = self.for_version(cx, (&req.secret_id, &token), new, key).await?;
        let (prefix, now, home) = (prefix(cx), cx.now().into(), cx.clone());
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &id)?;
            if req.kms_key_id.is_some() && !secret.move_values(&moved) {
                return Ok(None);
            }
            if let Some(new) = &new {
                secret.put(&token, new.clone(), &[CURRENT.to_owned()], same)?;
                rotation::changed(tx, &mut secret, &Asked::new(&home, &key))?;
            }
            secret.description = req.description.clone().or(secret.description);
            secret.kms_key_id = req.kms_key_id.clone().or(secret.kms_key_id);
            secret.changed = now;
            tx.put_json(key, &secret)?;
            let version_id = new.as_ref().map(|_| token.clone());
            Ok(Some(UpdateSecretResponse { arn: Some(secret.arn), name: Some(secret.name), version_id }))
        })
        .await
    }

    /// The values that have AWS's stages, each with itself encrypted with another key. Without any, the key is tried all the same.
    /// Source: Secrets Manager API reference, UpdateSecret, `KmsKeyId`.
    async fn with_key(&self, cx: &Cx, secret_id: &str, key: &str) -> Result<Moved, Error> {
        let prefix = prefix(cx);
        let (_, secret) = self.store.read(|tx| find_live(tx, &prefix, secret_id)).await?;
        let mut moved = BTreeMap::new();
        for (id, version) in secret.staged() {
            let opened = version.clone().opened(cx, &secret.arn, id).await?;
            moved.insert(id.clone(), (version.clone(), opened.sealed(cx, Some(key), &secret.arn, id).await?));
        }
        if moved.is_empty() {
            let nothing = Version { text: Some(String::new()), ..Version::default() };
            nothing.sealed(cx, Some(key), &secret.arn, "").await?;
        }
        Ok(moved)
    }
}

#[async_trait]
impl Handle<DescribeSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: DescribeSecretRequest) -> Result<DescribeSecretResponse, Error> {
        let prefix = prefix(cx);
        let (_, secret) = self.store.read(|tx| find(tx, &prefix, &req.secret_id)).await?;
        let rotation = secret.rotation.clone().unwrap_or_default();
        Ok(DescribeSecretResponse {
            rotation_enabled: secret.rotation.as_ref().map(|rotation| rotation.enabled),
            rotation_lambda_arn: Some(rotation.lambda.clone()).filter(|arn| !arn.is_empty()),
            next_rotation_date: next_rotation(&rotation),
            rotation_rules: rotation.rules,
            last_rotated_date: rotation.rotated,
            version_ids_to_stages: Some(secret.stages()),
            arn: Some(secret.arn),
            name: Some(secret.name),
            description: secret.description,
            kms_key_id: secret.kms_key_id,
            last_changed_date: Some(secret.changed),
            created_date: Some(secret.created),
            deleted_date: secret.deletion,
            tags: Some(secret.tags),
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<ListSecrets> for Secrets {
    async fn handle(&self, cx: &Cx, req: ListSecretsRequest) -> Result<ListSecretsResponse, Error> {
        let limit = req.max_results.and_then(|n| usize::try_from(n).ok()).unwrap_or(100);
        let after = req.next_token.map(|token| after(&token)).transpose()?;
        let filters = req.filters.unwrap_or_default();
        check_filters(&filters)?;
        let scheduled = req.include_planned_deletion == Some(true);
        let shown = move |s: &Secret| (scheduled || s.deletion.is_none()) && filters.iter().all(|f| passes(f, s));
        let (secrets, next) = match Order::of(req.sort_by.as_deref(), req.sort_order.as_deref())? {
            None => self.page_after(&prefix(cx), after, limit, shown, |secret: &Secret| &secret.name).await?,
            Some(order) => {
                let prefix = prefix(cx);
                let mut all: Vec<Secret> = self.store.read(|tx| tx.list_json(&prefix, usize::MAX)).await?;
                all.retain(shown);
                order.page(all, after.as_deref(), limit)
            }
        };
        let next_token = next.map(|next| STANDARD.encode(next));
        let shown = secrets.into_iter().map(|s| SecretListEntry {
            rotation_enabled: s.rotation.as_ref().map(|rotation| rotation.enabled),
            rotation_lambda_arn: s.rotation.as_ref().map(|rotation| rotation.lambda.clone()),
            next_rotation_date: s.rotation.as_ref().and_then(next_rotation),
            rotation_rules: s.rotation.as_ref().and_then(|rotation| rotation.rules.clone()),
            last_rotated_date: s.rotation.as_ref().and_then(|rotation| rotation.rotated),
            secret_versions_to_stages: Some(s.stages()),
            arn: Some(s.arn),
            name: Some(s.name),
            description: s.description,
            kms_key_id: s.kms_key_id,
            last_changed_date: Some(s.changed),
            created_date: Some(s.created),
            deleted_date: s.deletion,
            tags: Some(s.tags),
            ..Default::default()
        });
        Ok(ListSecretsResponse { secret_list: Some(shown.collect()), next_token })
    }
}

/// The end of the window in which it is rotated next.
fn next_rotation(rotation: &rotation::Rotation) -> Option<wire::Timestamp> {
    let rules = rotation.rules.as_ref().and_then(|rules| Rules::read(rules).ok().flatten())?;
    rotation.next.map(|opens| rules.closes(opens.0).into())
}

/// In which order secrets are listed, where the request says one. Source: Secrets Manager API reference, ListSecrets: without `SortBy`
/// they are sorted by when they were made.
#[derive(Clone, Copy)]
struct Order {
    key: fn(&Secret) -> String,
    descending: bool,
}

impl Order {
    fn of(by: Option<&str>, order: Option<&str>) -> Result<Option<Self>, Error> {
        let key: fn(&Secret) -> String = match by {
            None if order.is_none() => return Ok(None),
            None | Some("created-date") => |secret| dated(secret.created, &secret.name),
            Some("last-changed-date") => |secret| dated(secret.changed, &secret.name),
            Some("name") => |secret| secret.name.clone(),
            Some(other) => {
                return Err(invalid_parameter_exception(format!("Secrets cannot be sorted by {other} here.")));
            }
        };
        Ok(Some(Self { key, descending: order == Some("desc") }))
    }

    /// A page behind what was last, and what is last in it where there are more.
    fn page(self, all: Vec<Secret>, after: Option<&str>, limit: usize) -> (Vec<Secret>, Option<String>) {
        let behind = |key: &str| match after {
            None => true,
            Some(after) if self.descending => key < after,
            Some(after) => key > after,
        };
        let keyed = all.into_iter().map(|secret| ((self.key)(&secret), secret));
        let mut rest: Vec<(String, Secret)> = keyed.filter(|(key, _)| behind(key)).collect();
        rest.sort_by(|(one, _), (other, _)| if self.descending { other.cmp(one) } else { one.cmp(other) });
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next = rest.last().filter(|_| more).map(|(key, _)| key.clone());
        (rest.into_iter().map(|(_, secret)| secret).collect(), next)
    }
}

fn dated(time: wire::Timestamp, name: &str) -> String {
    format!("{:020}/{name}", time.0.as_millisecond().max(0))
}

/// The name after which a page begins, out of its token.
fn after(token: &str) -> Result<String, Error> {
    let name = STANDARD.decode(token).ok().and_then(|name| String::from_utf8(name).ok());
    name.ok_or_else(|| invalid_next_token_exception(format!("The NextToken {token} is not valid.")))
}

/// What secrets are chosen by. Source: Secrets Manager API reference, `Filter`.
const FILTERS: [&str; 7] = ["all", "description", "name", "owning-service", "primary-region", "tag-key", "tag-value"];

fn check_filters(filters: &[Filter]) -> Result<(), Error> {
    for filter in filters {
        let key = filter.key.as_deref().unwrap_or_default();
        if !FILTERS.contains(&key) {
            return Err(invalid_parameter_exception(format!("Invalid filter key: {key}")));
        }
        if filter.values.as_ref().is_none_or(Vec::is_empty) {
            return Err(invalid_parameter_exception(format!("The filter {key} has no values.")));
        }
    }
    Ok(())
}

/// Whether a secret has one of a filter's values, and none of those that begin with an exclamation mark.
fn passes(filter: &Filter, secret: &Secret) -> bool {
    let key = filter.key.as_deref().unwrap_or_default();
    let (not, any): (Vec<&str>, Vec<&str>) =
        filter.values.iter().flatten().map(String::as_str).partition(|value| value.starts_with('!'));
    let has = |value: &str| matches(key, value, secret);
    (any.is_empty() || any.into_iter().any(has)) && !not.into_iter().any(|value| has(&value[1..]))
}

fn matches(key: &str, value: &str, secret: &Secret) -> bool {
    let tag_keys = secret.tags.iter().filter_map(|tag| tag.key.as_deref());
    let tag_values = secret.tags.iter().filter_map(|tag| tag.value.as_deref());
    let description = secret.description.iter().map(String::as_str);
    let starts = |text: &str| text.starts_with(value);
    match key {
        "name" => starts(&secret.name),
        "description" => description.map(str::to_lowercase).any(|text| text.starts_with(&value.to_lowercase())),
        "tag-key" => tag_keys.into_iter().any(starts),
        "tag-value" => tag_values.into_iter().any(starts),
        // Each word of the value begins one of the attributes' words, whatever its case.
        "all" => {
            let attributes = description.chain(tag_keys).chain(tag_values).chain([secret.name.as_str()]);
            let known: Vec<String> = attributes.flat_map(words).collect();
            words(value).iter().all(|word| known.iter().any(|one| one.starts_with(word.as_str())))
        }
        // No service has secrets of its own here, and none is a copy of another region's.
        _ => false,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

#[async_trait]
impl Handle<ListSecretVersionIds> for Secrets {
    async fn handle(&self, cx: &Cx, req: ListSecretVersionIdsRequest) -> Result<ListSecretVersionIdsResponse, Error> {
        let prefix = prefix(cx);
        let (_, secret) = self.store.read(|tx| find(tx, &prefix, &req.secret_id)).await?;
        let deprecated = req.include_deprecated == Some(true);
        let versions = secret.versions.into_iter().filter(|(_, version)| deprecated || !version.stages.is_empty());
        let versions = versions.map(|(id, v)| SecretVersionsListEntry {
            version_id: Some(id),
            version_stages: Some(v.stages),
            created_date: Some(v.created),
            ..Default::default()
        });
        Ok(ListSecretVersionIdsResponse {
            versions: Some(versions.collect()),
            next_token: None,
            arn: Some(secret.arn),
            name: Some(secret.name),
        })
    }
}

#[async_trait]
impl Handle<DeleteSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: DeleteSecretRequest) -> Result<DeleteSecretResponse, Error> {
        let force = req.force_delete_without_recovery == Some(true);
        let days = req.recovery_window_in_days.unwrap_or(RECOVERY_DAYS);
        if !(7..=30).contains(&days) {
            return Err(invalid_parameter_exception(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            ));
        }
        if force && req.recovery_window_in_days.is_some() {
            return Err(invalid_parameter_exception(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ));
        }
        let at = if force { cx.now() } else { cx.now() + jiff::SignedDuration::from_hours(24 * days) };
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let found = match find(tx, &prefix, &req.secret_id) {
                // What is gone is deleted: its name, or its ARN, is all that is known of it.
                Err(error) if force && error.is("ResourceNotFoundException") => {
                    let (id, by_arn) = (req.secret_id.clone(), req.secret_id.starts_with("arn:"));
                    let (arn, name) = if by_arn { (Some(id), None) } else { (None, Some(id)) };
                    return Ok(DeleteSecretResponse { arn, name, deletion_date: Some(at.into()) });
                }
                found => found?,
            };
            let (key, mut secret) = found;
            if force {
                rotation::stop(tx, &secret.arn)?;
                tx.delete(&key)?;
                tx.cancel_task(&secret.task())?;
            } else {
                secret.deletion = Some(at.into());
                tx.put_json(&key, &secret)?;
                let task = NewTask::new(EXPIRE, secret.task()).at(at);
                tx.enqueue(task.payload(&key.as_bytes())?)?;
            }
            Ok(DeleteSecretResponse { arn: Some(secret.arn), name: Some(secret.name), deletion_date: Some(at.into()) })
        })
        .await
    }
}

#[async_trait]
impl Handle<RestoreSecret> for Secrets {
    async fn handle(&self, cx: &Cx, req: RestoreSecretRequest) -> Result<RestoreSecretResponse, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find(tx, &prefix, &req.secret_id)?;
            secret.deletion = None;
            tx.put_json(&key, &secret)?;
            tx.cancel_task(&secret.task())?;
            Ok(RestoreSecretResponse { arn: Some(secret.arn), name: Some(secret.name) })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetResourcePolicy> for Secrets {
    async fn handle(&self, cx: &Cx, req: GetResourcePolicyRequest) -> Result<GetResourcePolicyResponse, Error> {
        let prefix = prefix(cx);
        let (_, secret) = self.store.read(|tx| find(tx, &prefix, &req.secret_id)).await?;
        Ok(GetResourcePolicyResponse {
            arn: Some(secret.arn),
            name: Some(secret.name),
            resource_policy: secret.policy,
            policy_name: None,
        })
    }
}

#[async_trait]
impl Handle<TagResource> for Secrets {
    async fn handle(&self, cx: &Cx, req: TagResourceRequest) -> Result<Empty, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            secret.tags.retain(|t| req.tags.iter().all(|n| n.key != t.key));
            secret.tags.extend(req.tags.iter().cloned());
            tx.put_json(&key, &secret)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<UntagResource> for Secrets {
    async fn handle(&self, cx: &Cx, req: UntagResourceRequest) -> Result<Empty, Error> {
        let prefix = prefix(cx);
        cx.write(&self.store, move |tx| {
            let (key, mut secret) = find_live(tx, &prefix, &req.secret_id)?;
            secret.tags.retain(|t| t.key.as_ref().is_none_or(|k| !req.tag_keys.contains(k)));
            tx.put_json(&key, &secret)?;
            Ok::<_, Error>(())
        })
        .await?;
        Ok(Empty {})
    }
}
