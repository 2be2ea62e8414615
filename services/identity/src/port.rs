//! The platform's identity port over IAM's records.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use api_sts::AssumeRoleRequest;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use serde_json::{Value, json};
use service::authorization::{Context, Nothing, gather};
use service::identity::{Credentials, Judgement};
use service::policy::{Asked, Verdict, asked_about, evaluate, withheld};
use service::{Cx, Principal};
use wire::Error;
use wire::arn::ArnRef;

use crate::records::{
    self, GroupRecord, Holder as _, KeyRecord, SessionRecord, UsedRecord, UserRecord, holder_key, role_key,
    session_key, session_prefix, used_key,
};
use crate::{Identity, KnownPrincipal};

#[async_trait]
impl service::identity::Identity for Identity {
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        if access_key == self.root.access_key {
            return Ok(Some(Credentials {
                access_key: access_key.to_owned(),
                secret_key: self.root.secret_key.clone(),
                session_token: None,
                expires: None,
                principal: Principal::root(&self.account),
                account: self.account.clone(),
                attempt: None,
            }));
        }
        if let Some((account, keys)) =
            self.accounts.iter().find(|(_, a)| a.access_key_id.as_deref() == Some(access_key))
        {
            return Ok(Some(Credentials {
                access_key: access_key.to_owned(),
                secret_key: keys.secret_access_key.clone().unwrap_or_default(),
                session_token: None,
                expires: None,
                principal: Principal::root(account),
                account: account.clone(),
                attempt: None,
            }));
        }
        if let Some(found) = self.users_key(access_key).await? {
            return Ok(Some(found));
        }
        let lent = self.lent().get(access_key).cloned();
        let found = match lent {
            Some(record) => Some(record),
            None => self.store.read(|tx| tx.get_json::<SessionRecord>(session_key(access_key))).await?,
        };
        Ok(found.map(|s| Credentials {
            access_key: access_key.to_owned(),
            secret_key: s.secret_key,
            session_token: Some(s.session_token),
            expires: jiff::Timestamp::from_millisecond(s.expires_ms).ok(),
            principal: s.principal.of_account(&s.account),
            account: s.account,
            attempt: s.attempt,
        }))
    }

    fn has_other_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    async fn authorize(&self, principal: &Principal, action: &str, resource: &str) -> Result<(), Error> {
        match self.judge(principal, action, resource, &Nothing).await? {
            Judgement::Allowed => Ok(()),
            Judgement::Denied(error) | Judgement::Silent(error) => Err(error),
        }
    }

    async fn judge(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        context: &dyn Context,
    ) -> Result<Judgement, Error> {
        self.note(principal, action, resource).await;
        self.weigh(principal, (action, resource), context).await
    }

    async fn user_id(&self, principal: &Principal) -> Result<Option<String>, Error> {
        Ok(match principal {
            Principal::Root { .. } | Principal::Platform => {
                Some(principal.account().unwrap_or(&self.account).to_owned())
            }
            Principal::Anonymous => None,
            Principal::Role { session, .. } => self.known(principal).await?.map(|k| format!("{}:{session}", k.id)),
            Principal::User { .. } => self.known(principal).await?.map(|known| match principal.federated() {
                Some(name) => format!("{}:{name}", principal.account().unwrap_or(&self.account)),
                None => known.id.clone(),
            }),
        })
    }

    async fn principal_tag(&self, principal: &Principal, key: &str) -> Result<Option<String>, Error> {
        // A session's tags come before those of its role. Source: IAM User Guide, "Pass session tags in AWS STS".
        let of_session = principal.session().and_then(|session| tag(&session.tags, key));
        Ok(match of_session {
            Some(value) => Some(value),
            None => self.known(principal).await?.and_then(|known| tag(&known.tags, key)),
        })
    }

    async fn used(&self, access_key: &str, service: &str, region: &str) -> Result<(), Error> {
        let (key, now) = (used_key(access_key), self.store.clock().now_ms());
        let last = self.store.read(|tx| tx.get_json::<UsedRecord>(&key)).await?;
        if last.is_some_and(|last| last.service == service && last.region == region && now - last.at_ms < USED_EVERY_MS)
        {
            return Ok(());
        }
        let record = UsedRecord { at_ms: now, service: service.to_owned(), region: region.to_owned() };
        Ok(self.store.write(move |tx| tx.put_json(&key, &record)).await?)
    }

    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        let invalid = || Error::validation(format!("The role {role_arn} does not exist or cannot be assumed"));
        let (account, name) = split_role(role_arn).ok_or_else(invalid)?;
        // As it was authorised: a name alone is not the role, its path belongs to its ARN.
        let role = self.role(&account, &name).await?.filter(|role| role.arn == role_arn).ok_or_else(invalid)?;
        let mut principal = Principal::role(role_arn, session, attempt.map(str::to_owned));
        if let Principal::Role { context, .. } = &mut principal {
            context.issued_ms = Some(self.store.clock().now_ms());
            context.holder_id = Some(role.id.clone());
        }
        Ok(principal)
    }

    async fn other_role(
        &self,
        cx: &Cx,
        role_arn: &str,
        session: &str,
        external_id: Option<&str>,
    ) -> Result<Principal, Error> {
        let request = AssumeRoleRequest {
            role_arn: role_arn.to_owned(),
            role_session_name: session.to_owned(),
            external_id: external_id.map(str::to_owned),
            ..AssumeRoleRequest::default()
        };
        Ok(self.taken_up(cx, &request).await?.principal)
    }

    async fn issue(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error> {
        let principal = self.bound(principal).await?;
        let (credentials, record) = self.keys(&principal, None, valid);
        let key = session_key(&credentials.access_key);
        self.store.write(move |tx| tx.put_json(&key, &record)).await?;
        Ok(credentials)
    }

    async fn issue_unlogged(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error> {
        let principal = self.bound(principal).await?;
        Ok(self.lend_out(self.keys(&principal, None, valid)))
    }

    async fn lend_attempt(
        &self,
        principal: &Principal,
        attempt: &str,
        valid: jiff::SignedDuration,
    ) -> Result<Credentials, Error> {
        let principal = self.bound(principal).await?;
        Ok(self.lend_out(self.keys(&principal, Some(attempt), valid)))
    }

    async fn revoke(&self, access_key: &str) -> Result<(), Error> {
        if self.lent().remove(access_key).is_some() {
            return Ok(());
        }
        let key = session_key(access_key);
        Ok(self.store.write(move |tx| tx.delete(&key)).await?)
    }
}

impl Identity {
    /// What all the policies that the caller has or is bounded by say together. Source: IAM User Guide, "Policy evaluation logic".
    #[expect(clippy::too_many_lines, reason = "one step after the other")]
    async fn weigh(
        &self,
        principal: &Principal,
        (action, resource): (&str, &str),
        context: &dyn Context,
    ) -> Result<Judgement, Error> {
        match principal {
            Principal::Root { .. } | Principal::Platform => return Ok(Judgement::Allowed),
            Principal::Role { .. } | Principal::User { .. } => {}
            Principal::Anonymous => {
                let text = format!("User: anonymous is not authorized to perform: {action} on resource: {resource}");
                return Ok(Judgement::Silent(Error::access_denied(text)));
            }
        }
        let because = |why: &str| {
            let arn = principal.arn(&self.account);
            Error::access_denied(format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"
            ))
        };
        // Source: STS API reference, GetFederationToken.
        let is_federated = principal.federated().is_some();
        if is_federated && (action.starts_with("iam:") || action.starts_with("sts:")) {
            return Ok(Judgement::Denied(because("because federated users may call neither IAM nor STS")));
        }
        // Source: STS API reference, GetSessionToken.
        if matches!(principal, Principal::User { context: Some(_), .. }) && action.starts_with("iam:") {
            return Ok(Judgement::Denied(because("because keys of GetSessionToken without MFA may not call IAM")));
        }
        let Some(known) = self.known(principal).await? else {
            return Ok(Judgement::Denied(because("because the user or role no longer exists")));
        };
        let session = self.session_policies(principal).await?;
        let mut about = asked_about(&known.policies, action);
        for more in known.boundary.iter().chain(&session) {
            about.extend(asked_about(more, action));
        }
        let gathered = gather(context, about).await?;
        let keys = gathered.keys();
        let asked = Asked { action, resource, keys: &keys, unknown: &gathered.unknown };
        let says = |policies: &[Value]| evaluate(policies, asked);
        // Keys that nobody here knows are told to whoever wrote them.
        let unknown = |policies: &[Value]| {
            let keys: Vec<String> = withheld(policies, asked).into_iter().collect();
            match keys.as_slice() {
                [] => String::new(),
                keys => format!(
                    " (statements that would allow it ask about condition keys that are not known here: {})",
                    keys.join(", ")
                ),
            }
        };
        let denies = |policies: &[Value], what: &str| {
            (says(policies) == Verdict::Denied)
                .then(|| Judgement::Denied(because(&format!("with an explicit deny in {what}"))))
        };
        let lacks = |policies: &[Value], what: &str| {
            let why = format!("because no {what} allows the {action} action{}", unknown(policies));
            (says(policies) != Verdict::Allowed).then(|| match what {
                // A resource's policy that names a federated user gives what its session's policies do not.
                "session policy" if is_federated => Judgement::Silent(because(&why)),
                _ => Judgement::Denied(because(&why)),
            })
        };
        let bounds = [(known.boundary.as_ref(), "permissions boundary"), (session.as_ref(), "session policy")];
        if let Some(denied) = denies(&known.policies, "an identity-based policy") {
            return Ok(denied);
        }
        for (policies, what) in bounds.iter().filter_map(|(policies, what)| Some((policies.as_ref()?, what))) {
            if let Some(denied) = denies(policies, &format!("a {what}")).or_else(|| lacks(policies, what)) {
                return Ok(denied);
            }
        }
        Ok(match says(&known.policies) {
            Verdict::Allowed => Judgement::Allowed,
            _ => Judgement::Silent(because(&format!(
                "because no identity-based policy allows the {action} action{}",
                unknown(&known.policies)
            ))),
        })
    }

    /// The policies that bound a session, where it has any: one of them has to allow what it does.
    async fn session_policies(&self, principal: &Principal) -> Result<Option<Vec<Value>>, Error> {
        let inline = match principal {
            Principal::Role { policy, .. } => policy.as_deref(),
            _ => principal.session().and_then(|session| session.policy.as_deref()),
        };
        let arns = principal.session().map_or(&[][..], |session| session.policy_arns.as_slice());
        // Without any policy a federated user may do nothing.
        if inline.is_none() && arns.is_empty() && principal.federated().is_none() {
            return Ok(None);
        }
        let mut all: Vec<Value> = inline.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let account = principal.account().unwrap_or(&self.account).to_owned();
        for arn in arns {
            let (account, arn) = (account.clone(), arn.clone());
            all.extend(self.store.read(move |tx| records::document(tx, &account, &arn)).await?);
        }
        Ok(Some(all))
    }
}

/// The use of an access key is noted so often. AWS tells it with a delay, too.
const USED_EVERY_MS: i64 = 15 * 60 * 1000;

/// Keys lent out before those that have expired are looked for.
const MAX_LENT: usize = 10_000;

impl Identity {
    /// What is known of a role; `None` where there is no such role.
    pub(crate) async fn role(&self, account: &str, name: &str) -> Result<Option<Arc<KnownPrincipal>>, Error> {
        self.principals
            .find(role_key(account, name), |tx| {
                let Some(role) = tx.get_json::<records::RoleRecord>(role_key(account, name))? else { return Ok(None) };
                let policies = records::documents(tx, account, role.inline, &role.attached)?;
                let boundary = role.role.permissions_boundary.and_then(|b| b.permissions_boundary_arn);
                let boundary = boundary.map(|arn| records::document(tx, account, &arn)).transpose()?;
                let boundary = boundary.map(|document| document.into_iter().collect());
                let tags = records::tag_map(role.role.tags);
                Ok(Some(KnownPrincipal { arn: role.role.arn, id: role.role.role_id, policies, boundary, tags }))
            })
            .await
    }

    /// The same session, of the role or user that there is now.
    async fn bound(&self, principal: &Principal) -> Result<Principal, Error> {
        let mut principal = principal.clone();
        let known = self.known(&principal).await?;
        let context = match &mut principal {
            Principal::Role { context, .. } => Some(context),
            Principal::User { context, .. } => context.as_mut(),
            _ => None,
        };
        if let (Some(context), Some(known)) = (context, known)
            && context.holder_id.is_none()
        {
            context.holder_id = Some(known.id.clone());
        }
        Ok(principal)
    }

    /// What is known of the caller; `None` where the user or role is no more.
    pub(crate) async fn known(&self, principal: &Principal) -> Result<Option<Arc<KnownPrincipal>>, Error> {
        let arn = principal.policy_arn().and_then(ArnRef::parse);
        let found = match (principal, arn) {
            (Principal::Role { .. }, Some(arn)) if arn.resource.starts_with("role/") => {
                self.role(arn.account, arn.name()).await?
            }
            (Principal::User { .. }, Some(arn)) if arn.resource == "root" => Some(Arc::new(KnownPrincipal {
                arn: principal.policy_arn().unwrap_or_default().to_owned(),
                id: arn.account.to_owned(),
                policies: vec![json!({ "Statement": [{ "Effect": "Allow", "Action": "*", "Resource": "*" }] })],
                boundary: None,
                tags: BTreeMap::new(),
            })),
            (Principal::User { .. }, Some(arn)) => self.user(arn.account, arn.name()).await?,
            _ => None,
        };
        // A session is of the role or user that it was made of, not of the next one of that name.
        let id = principal.session().and_then(|session| session.holder_id.as_deref());
        Ok(found.filter(|found| id.is_none_or(|id| id == found.id)))
    }

    /// What is known of a user, with the policies of the groups.
    pub(crate) async fn user(&self, account: &str, name: &str) -> Result<Option<Arc<KnownPrincipal>>, Error> {
        let key = holder_key::<UserRecord>(account, name);
        self.principals
            .find(key.clone(), |tx| {
                let Some(user) = tx.get_json::<UserRecord>(&key)? else { return Ok(None) };
                let boundary = user.boundary().map(|arn| records::document(tx, account, arn)).transpose()?;
                let mut policies = records::documents(tx, account, user.inline, &user.attached)?;
                for group in user.groups {
                    if let Some(group) = tx.get_json::<GroupRecord>(holder_key::<GroupRecord>(account, &group))? {
                        policies.extend(records::documents(tx, account, group.inline, &group.attached)?);
                    }
                }
                Ok(Some(KnownPrincipal {
                    arn: user.user.arn,
                    id: user.user.user_id,
                    policies,
                    boundary: boundary.map(|document| document.into_iter().collect()),
                    tags: records::tag_map(user.user.tags),
                }))
            })
            .await
    }

    /// The credentials of a user's own key.
    async fn users_key(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        if !access_key.starts_with("AKIA") {
            return Ok(None);
        }
        let found = self.store.read(|tx| tx.get_json::<KeyRecord>(records::access_key(access_key))).await?;
        Ok(found.filter(|key| key.status == "Active").map(|key| Credentials {
            access_key: access_key.to_owned(),
            secret_key: key.secret,
            session_token: None,
            expires: None,
            principal: Principal::User {
                user_arn: key.user_arn,
                attempt: None,
                access_key: Some(access_key.to_owned()),
                context: None,
            },
            account: key.account,
            attempt: None,
        }))
    }

    /// The account of a user's key, active or not.
    pub(crate) async fn account_of_key(&self, access_key: &str) -> Result<Option<String>, Error> {
        let found = self.store.read(|tx| tx.get_json::<KeyRecord>(records::access_key(access_key))).await?;
        Ok(found.map(|key| key.account))
    }

    fn lent(&self) -> MutexGuard<'_, BTreeMap<String, SessionRecord>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers keys for as long as this server lives.
    fn lend_out(&self, (credentials, record): (Credentials, SessionRecord)) -> Credentials {
        let mut lent = self.lent();
        if lent.len() >= MAX_LENT {
            let now = self.store.clock().now_ms();
            lent.retain(|_, record| record.expires_ms > now);
        }
        lent.insert(credentials.access_key.clone(), record);
        credentials
    }

    /// New keys for a principal, and what is to be remembered of them.
    fn keys(
        &self,
        principal: &Principal,
        attempt: Option<&str>,
        valid: jiff::SignedDuration,
    ) -> (Credentials, SessionRecord) {
        let access_key = format!("ASIA{}", random_text(16, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"));
        let secret_key = random_text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/+");
        let mut token = [0u8; 96];
        fill(&mut token);
        let session_token = STANDARD.encode(token);
        let expires = self.store.clock().now() + valid;
        // An owner's, a role's and a user's are of its own account.
        let account = principal.account().unwrap_or(&self.account).to_owned();
        let mut principal = principal.clone();
        if let Principal::Role { access_key: held, .. } | Principal::User { access_key: held, .. } = &mut principal {
            *held = Some(access_key.clone());
        }
        let record = SessionRecord {
            secret_key: secret_key.clone(),
            session_token: session_token.clone(),
            expires_ms: expires.as_millisecond(),
            principal: principal.clone(),
            account: account.clone(),
            attempt: attempt.map(str::to_owned),
        };
        let (session_token, expires) = (Some(session_token), Some(expires));
        let attempt = attempt.map(str::to_owned);
        (Credentials { access_key, secret_key, session_token, expires, principal, account, attempt }, record)
    }

    /// Forgets sessions that have expired, for ever: all of them once an hour, some at a time.
    pub async fn sweep_sessions(self: Arc<Self>) {
        loop {
            let mut after = Vec::new();
            loop {
                match self.sweep_some(&after).await {
                    Ok(Some(last)) => after = last,
                    Ok(None) => {
                        store::metrics::swept("sessions", Some(self.store.clock().now_ms()));
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "sessions that have expired could not be swept");
                        store::metrics::swept("sessions", None);
                        break;
                    }
                }
            }
            self.store.clock().sleep(SWEEP_EVERY).await;
        }
    }

    /// Forgets what has expired among the sessions after a key; answers where to go on.
    async fn sweep_some(&self, after: &[u8]) -> Result<Option<Vec<u8>>, store::Error> {
        let now = self.store.clock().now_ms();
        let page = self.store.read(|tx| tx.scan_after(session_prefix(), after, SWEPT_AT_ONCE)).await?;
        let mut expired = Vec::new();
        for (key, value) in &page {
            if store::kv::decode::<SessionRecord>(key, value)?.expires_ms < now {
                expired.push(key.clone());
            }
        }
        let next = page.last().filter(|_| page.len() == SWEPT_AT_ONCE).map(|(key, _)| key.clone());
        if !expired.is_empty() {
            self.store
                .write(move |tx| {
                    for key in &expired {
                        tx.delete(key)?;
                    }
                    Ok::<_, store::Error>(())
                })
                .await?;
        }
        Ok(next)
    }
}

/// Sessions looked at in one transaction.
const SWEPT_AT_ONCE: usize = 1000;
const SWEEP_EVERY: std::time::Duration = std::time::Duration::from_hours(1);

/// Account and name of a role's ARN (its path is no part of the name).
/// A tag by its key, of which case says nothing where no key is written the same.
fn tag(tags: &BTreeMap<String, String>, key: &str) -> Option<String> {
    let any = || tags.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
    tags.get(key).or_else(any).cloned()
}

pub(crate) fn split_role(arn: &str) -> Option<(String, String)> {
    let arn = ArnRef::parse(arn).filter(|a| a.service == "iam" && a.resource.starts_with("role/"))?;
    Some((arn.account.to_owned(), arn.name().to_owned()))
}

/// `n` random letters of an alphabet of at most 256: for keys, ids and tokens.
pub fn random_text(n: usize, alphabet: &[u8]) -> String {
    let mut bytes = vec![0u8; n];
    fill(&mut bytes);
    bytes.into_iter().map(|b| char::from(alphabet[usize::from(b) % alphabet.len()])).collect()
}

/// 256 random bits as text.
pub fn random_token() -> String {
    random_text(43, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
}

#[expect(
    clippy::disallowed_methods,
    reason = "secrets are longer than the clock's 128 bits, and no seed may give them back"
)]
fn fill(bytes: &mut [u8]) {
    rand::rng().fill_bytes(bytes);
}
