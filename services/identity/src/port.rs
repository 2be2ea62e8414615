//! The platform's identity port over IAM's records.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use service::Principal;
use service::identity::{Credentials, Judgement};
use service::policy::{Asked, Verdict, evaluate};
use wire::Error;
use wire::arn::Arn;

use crate::records::{self, SessionRecord, role_key, session_key, session_prefix};
use crate::{Identity, KnownRole};

#[async_trait]
impl service::identity::Identity for Identity {
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error> {
        if access_key == self.root.access_key {
            return Ok(Some(Credentials {
                access_key: access_key.to_owned(),
                secret_key: self.root.secret_key.clone(),
                session_token: None,
                expires: None,
                principal: Principal::Root,
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
                principal: Principal::Root,
                account: account.clone(),
                attempt: None,
            }));
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
            principal: s.principal,
            account: s.account,
            attempt: s.attempt,
        }))
    }

    async fn authorize(&self, principal: &Principal, action: &str, resource: &str) -> Result<(), Error> {
        self.authorize_with(principal, action, resource, &[]).await
    }

    async fn authorize_with(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        keys: &[(&str, &str)],
    ) -> Result<(), Error> {
        match self.weigh(principal, (action, resource), keys, false).await? {
            Judgement::Allowed => Ok(()),
            Judgement::Denied(error) | Judgement::Silent(error) => Err(error),
        }
    }

    async fn judge(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        keys: &[(&str, &str)],
    ) -> Result<Judgement, Error> {
        self.weigh(principal, (action, resource), keys, true).await
    }

    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error> {
        let invalid = || Error::validation(format!("The role {role_arn} does not exist or cannot be assumed"));
        let (account, name) = split_role(role_arn).ok_or_else(invalid)?;
        if self.role(&account, &name).await?.is_none() {
            return Err(invalid());
        }
        Ok(Principal::Role {
            role_arn: role_arn.to_owned(),
            session: session.to_owned(),
            policy: None,
            attempt: attempt.map(str::to_owned),
            access_key: None,
        })
    }

    async fn issue(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error> {
        let (credentials, record) = self.keys(principal, None, valid);
        let key = session_key(&credentials.access_key);
        self.store.write(move |tx| tx.put_json(&key, &record)).await?;
        Ok(credentials)
    }

    async fn lend(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error> {
        Ok(self.lend_out(self.keys(principal, None, valid)))
    }

    async fn lend_attempt(
        &self,
        principal: &Principal,
        attempt: &str,
        valid: jiff::SignedDuration,
    ) -> Result<Credentials, Error> {
        Ok(self.lend_out(self.keys(principal, Some(attempt), valid)))
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
    /// `complete`: `keys` are all the condition keys that there are.
    async fn weigh(
        &self,
        principal: &Principal,
        (action, resource): (&str, &str),
        keys: &[(&str, &str)],
        complete: bool,
    ) -> Result<Judgement, Error> {
        let (role_arn, policy) = match principal {
            Principal::Root | Principal::Platform => return Ok(Judgement::Allowed),
            Principal::Role { role_arn, policy, .. } => (role_arn, policy),
            Principal::Anonymous => {
                let text = format!("User: anonymous is not authorized to perform: {action} on resource: {resource}");
                return Ok(Judgement::Silent(Error::access_denied(text)));
            }
        };
        let because = |why: &str| {
            let arn = principal.arn(&self.account);
            Error::access_denied(format!(
                "User: {arn} is not authorized to perform: {action} on resource: {resource} {why}"
            ))
        };
        let Some((account, name)) = split_role(role_arn) else {
            return Ok(Judgement::Denied(because("because the role's ARN is malformed")));
        };
        let Some(role) = self.role(&account, &name).await? else {
            return Ok(Judgement::Denied(because("because the role no longer exists")));
        };
        let asked = Asked { action, resource, keys, complete };
        let identity = evaluate(&role.policies, asked);
        if identity == Verdict::Denied {
            return Ok(Judgement::Denied(because("with an explicit deny in an identity-based policy")));
        }
        if let Some(text) = policy {
            let session: Vec<_> = serde_json::from_str(text).into_iter().collect();
            if evaluate(&session, asked) != Verdict::Allowed {
                let why = format!("because no session policy allows the {action} action");
                return Ok(Judgement::Denied(because(&why)));
            }
        }
        Ok(match identity {
            Verdict::Allowed => Judgement::Allowed,
            _ => Judgement::Silent(because(&format!("because no identity-based policy allows the {action} action"))),
        })
    }
}

/// Keys lent out before those that have expired are looked for.
const MAX_LENT: usize = 10_000;

impl Identity {
    /// What is known of a role; `None` where there is no such role.
    pub(crate) async fn role(&self, account: &str, name: &str) -> Result<Option<Arc<KnownRole>>, Error> {
        self.roles
            .find(role_key(account, name), |tx| {
                let Some(role) = tx.get_json::<records::RoleRecord>(role_key(account, name))? else { return Ok(None) };
                let mut documents: Vec<String> = role.inline.into_values().collect();
                for arn in role.attached {
                    let Ok(policy) = records::policy(tx, account, &arn) else { continue };
                    let default = policy.versions.into_iter().find(|v| v.is_default_version == Some(true));
                    documents.extend(default.and_then(|v| v.document));
                }
                let policies = documents.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
                Ok(Some(KnownRole { id: role.role.role_id, policies }))
            })
            .await
    }

    fn lent(&self) -> MutexGuard<'_, BTreeMap<String, SessionRecord>> {
        self.lent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers keys for as long as this server lives.
    fn lend_out(&self, (credentials, record): (Credentials, SessionRecord)) -> Credentials {
        let mut lent = self.lent();
        if lent.len() >= MAX_LENT {
            let now = jiff::Timestamp::now().as_millisecond();
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
        rand::rng().fill_bytes(&mut token);
        let session_token = STANDARD.encode(token);
        let expires = jiff::Timestamp::now() + valid;
        let mut principal = principal.clone();
        if let Principal::Role { access_key: held, .. } = &mut principal {
            *held = Some(access_key.clone());
        }
        let record = SessionRecord {
            secret_key: secret_key.clone(),
            session_token: session_token.clone(),
            expires_ms: expires.as_millisecond(),
            principal: principal.clone(),
            account: self.account.clone(),
            attempt: attempt.map(str::to_owned),
        };
        let (account, session_token, expires) = (self.account.clone(), Some(session_token), Some(expires));
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
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "sessions that have expired could not be swept");
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
pub(crate) fn split_role(arn: &str) -> Option<(String, String)> {
    let arn = Arn::parse(arn).filter(|a| a.service == "iam" && a.resource.starts_with("role/"))?;
    Some((arn.account.clone(), arn.name().to_owned()))
}

/// `n` random letters of an alphabet of at most 256: for keys, ids and tokens.
pub fn random_text(n: usize, alphabet: &[u8]) -> String {
    let mut bytes = vec![0u8; n];
    rand::rng().fill_bytes(&mut bytes);
    bytes.into_iter().map(|b| char::from(alphabet[usize::from(b) % alphabet.len()])).collect()
}

/// 256 random bits as text.
pub fn random_token() -> String {
    random_text(43, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
}
