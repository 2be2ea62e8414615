//! The context of a call: who calls, for which account and region, on behalf of which task.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use store::kv::memo_prefix;
use store::{Store, Tx};
use wire::{Error, Operation};

use crate::Router;
use crate::attempts::job_of;
use crate::identity::Credentials;
use crate::lineage::Worker;
use crate::trace::TraceContext;

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub enum Principal {
    /// The owner of an account: may do everything in it, and nothing else anywhere.
    Root {
        /// Empty in records of before accounts were told apart: the account of where the record lies.
        account: String,
    },
    /// The platform itself, inside: may do everything.
    Platform,
    /// Nobody who has signed: may do what a resource's policy or ACL gives to everybody.
    Anonymous,
    /// A session of a role.
    Role {
        /// `arn:aws:iam::000000000000:role/name`
        role_arn: String,
        session: String,
        /// The session policy, JSON.
        policy: Option<String>,
        /// The attempt of user code that holds these credentials (see [`crate::attempts`]).
        attempt: Option<String>,
        access_key: Option<String>,
        #[serde(default)]
        context: Box<SessionContext>,
    },
    /// A user of IAM, with keys of their own, or with a session of `GetSessionToken` or `GetFederationToken`; of an owner's
    /// `GetFederationToken`, too, whose ARN is the account's `root`.
    User {
        /// `arn:aws:iam::000000000000:user/path/name`
        user_arn: String,
        /// As a role's: of the job that acts for the user.
        attempt: Option<String>,
        access_key: Option<String>,
        /// Of temporary keys only.
        context: Option<Box<SessionContext>>,
    },
}

/// What a session was made with, and policies may ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionContext {
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Keys of tags that sessions made with this one get, too.
    #[serde(default)]
    pub transitive: Vec<String>,
    /// Managed policies that bound the session.
    #[serde(default)]
    pub policy_arns: Vec<String>,
    #[serde(default)]
    pub source_identity: Option<String>,
    #[serde(default)]
    pub issued_ms: Option<i64>,
    /// The unique id of the role or user whose session it is: another of the same name is not it. None of sessions of before.
    #[serde(default)]
    pub holder_id: Option<String>,
    /// The service that was given the role, where one acts by it.
    #[serde(default)]
    pub service: Option<String>,
    /// The name of a federated user: it may do what both its maker and the session's policies allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub federated: Option<String>,
    /// The policy that a federated user's session was made with, JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// Where a request came from.
#[derive(Clone, Debug)]
pub struct Origin {
    pub address: Option<IpAddr>,
    /// It came by TLS, or never left the machine: a TLS proxy is one that connects from there.
    pub secure: bool,
    pub user_agent: Option<String>,
    pub referer: Option<String>,
}

impl Origin {
    pub fn new(address: Option<IpAddr>, user_agent: Option<&str>, referer: Option<&str>) -> Self {
        let secure = address.is_none_or(|ip| ip.to_canonical().is_loopback());
        Self { address, secure, user_agent: user_agent.map(str::to_owned), referer: referer.map(str::to_owned) }
    }
}

/// A service that calls by itself, on behalf of one of its resources: what it calls has to allow it.
/// Source: IAM User Guide, "AWS service principals", "The confused deputy problem".
#[derive(Clone, Debug)]
pub struct ActingService {
    /// `events.amazonaws.com`
    pub name: String,
    /// The rule, topic, bucket, alarm, … for which it calls.
    pub source_arn: String,
    pub source_account: String,
}

impl Serialize for Principal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, serializer)
    }
}

impl<'de> Deserialize<'de> for Principal {
    /// Older records say `"Root"` alone.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        enum Old {
            Root,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Kept {
            Old(Old),
            New(#[serde(deserialize_with = "Principal::deserialize")] Principal),
        }
        Ok(match <Kept as Deserialize<'de>>::deserialize(deserializer)? {
            Kept::Old(Old::Root) => Self::root(""),
            Kept::New(principal) => principal,
        })
    }
}

impl Principal {
    /// The owner of an account.
    pub fn root(account: impl Into<String>) -> Self {
        Self::Root { account: account.into() }
    }

    /// The same, of an account where a record of before does not say of which.
    #[must_use]
    pub fn of_account(self, of: &str) -> Self {
        match self {
            Self::Root { account } if account.is_empty() => Self::root(of),
            other => other,
        }
    }

    /// A session of a role, with nothing that bounds it.
    pub fn role(role_arn: impl Into<String>, session: impl Into<String>, attempt: Option<String>) -> Self {
        Self::Role {
            role_arn: role_arn.into(),
            session: session.into(),
            policy: None,
            attempt,
            access_key: None,
            context: Box::default(),
        }
    }

    /// The same, as a job's attempt that acts for it.
    #[must_use]
    pub fn for_attempt(mut self, of_job: &str) -> Self {
        match &mut self {
            Self::Role { attempt, access_key, .. } | Self::User { attempt, access_key, .. } => {
                *attempt = Some(of_job.to_owned());
                *access_key = None;
            }
            Self::Root { .. } | Self::Platform | Self::Anonymous => {}
        }
        self
    }

    /// Whether the caller has policies that decide what it may do.
    pub fn has_policies(&self) -> bool {
        matches!(self, Self::Role { .. } | Self::User { .. })
    }

    /// The account whose owner, role or user it is.
    pub fn account(&self) -> Option<&str> {
        let account = match self {
            Self::Root { account } => account.as_str(),
            _ => self.policy_arn()?.split(':').nth(4)?,
        };
        Some(account).filter(|account| !account.is_empty())
    }

    /// The ARN of what has the policies: the role's, not its session's.
    pub fn policy_arn(&self) -> Option<&str> {
        match self {
            Self::Role { role_arn, .. } => Some(role_arn),
            Self::User { user_arn, .. } => Some(user_arn),
            _ => None,
        }
    }

    /// What `aws:PrincipalArn` is: a role's own, not its session's, and a federated user's.
    pub fn principal_arn(&self, account: &str) -> String {
        let own = self.policy_arn().filter(|_| self.federated().is_none());
        own.map_or_else(|| self.arn(account), str::to_owned)
    }

    /// What a session was made with; none for long-lived keys.
    pub fn session(&self) -> Option<&SessionContext> {
        match self {
            Self::Role { context, .. } => Some(context),
            Self::User { context, .. } => context.as_deref(),
            _ => None,
        }
    }

    /// The name of a federated user, whose session `GetFederationToken` has made.
    pub fn federated(&self) -> Option<&str> {
        self.session()?.federated.as_deref()
    }

    /// All the ARNs by which a policy may name the caller.
    pub fn arns(&self, account: &str) -> Vec<String> {
        // What is given to its maker is not given to it by that alone.
        if self.federated().is_some() {
            return vec![self.arn(account)];
        }
        let own = (!matches!(self, Self::Anonymous)).then(|| self.arn(account));
        let mut all: Vec<String> = self.policy_arn().map(str::to_owned).into_iter().chain(own).collect();
        all.dedup();
        all
    }

    /// The ARN that error messages, `GetCallerIdentity` and audit show.
    pub fn arn(&self, account: &str) -> String {
        match self {
            Self::Root { account: own } => {
                let account = if own.is_empty() { account } else { own };
                format!("arn:aws:iam::{account}:root")
            }
            Self::Platform => format!("arn:aws:iam::{account}:lakerun"),
            Self::Anonymous => "anonymous".to_owned(),
            Self::Role { role_arn, session, .. } => {
                let name = role_arn.rsplit('/').next().unwrap_or_default();
                let account = role_arn.split(':').nth(4).filter(|own| !own.is_empty()).unwrap_or(account);
                format!("arn:aws:sts::{account}:assumed-role/{name}/{session}")
            }
            Self::User { user_arn, .. } => match self.federated() {
                None => user_arn.clone(),
                Some(name) => {
                    let account = self.account().unwrap_or(account);
                    format!("arn:aws:sts::{account}:federated-user/{name}")
                }
            },
        }
    }
    /// Of a role's session; see [`Cx::attempt`].
    pub(crate) fn attempt(&self) -> Option<&str> {
        match self {
            Self::Role { attempt, .. } | Self::User { attempt, .. } => attempt.as_deref(),
            _ => None,
        }
    }
    /// The role's ARN, where the caller is one.
    pub fn role_arn(&self) -> Option<&str> {
        match self {
            Self::Role { role_arn, .. } => Some(role_arn),
            _ => None,
        }
    }
}

/// Principals that many calls have are there once.
fn shared(principal: Principal) -> Arc<Principal> {
    static PLATFORM: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::Platform));
    static ANONYMOUS: LazyLock<Arc<Principal>> = LazyLock::new(|| Arc::new(Principal::Anonymous));
    match principal {
        Principal::Platform => Arc::clone(&PLATFORM),
        Principal::Anonymous => Arc::clone(&ANONYMOUS),
        other => Arc::new(other),
    }
}

/// The context of a call. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cx {
    router: Arc<Router>,
    principal: Arc<Principal>,
    account: Arc<str>,
    region: Arc<str>,
    request_id: Arc<str>,
    /// The durable task on whose behalf this is, and how many writes it has made.
    task: Option<Arc<(String, AtomicU32)>>,
    called_via: Option<&'static str>,
    attempt: Option<Arc<str>>,
    origin: Option<Arc<Origin>>,
    worker: Option<Arc<Worker>>,
    service: Option<Arc<ActingService>>,
    trace: Option<TraceContext>,
    /// It is signed with temporary keys.
    temporary: bool,
}

impl Cx {
    pub fn new(router: Arc<Router>, principal: Principal, account: &str, region: &str) -> Self {
        Self::of(router, principal, account.into(), region.into())
    }
    /// The same, of names that are kept.
    pub fn of(router: Arc<Router>, principal: Principal, account: Arc<str>, region: Arc<str>) -> Self {
        let request_id = router.uuid().into();
        Self {
            router,
            principal: shared(principal.of_account(&account)),
            account,
            region,
            request_id,
            task: None,
            called_via: None,
            attempt: None,
            origin: None,
            worker: None,
            service: None,
            trace: None,
            temporary: false,
        }
    }
    /// The platform's own context, with all powers: for runners.
    pub fn platform(router: &Arc<Router>, account: &str, region: &str) -> Self {
        Self::new(router.clone(), Principal::Platform, account, region)
    }

    pub fn principal(&self) -> &Principal {
        &self.principal
    }
    /// Where the call is: the account of what it acts on.
    pub fn account(&self) -> &str {
        &self.account
    }
    /// Whose the caller is, wherever the call has gone; who has not signed is nobody's, and counts as of where the call is.
    pub fn caller_account(&self) -> &str {
        match (&*self.principal, &self.service) {
            (Principal::Platform, Some(service)) => &service.source_account,
            (principal, _) => principal.account().unwrap_or(&self.account),
        }
    }
    pub fn region(&self) -> &str {
        &self.region
    }
    pub fn request_id(&self) -> &str {
        &self.request_id
    }
    pub fn router(&self) -> &Arc<Router> {
        &self.router
    }
    pub fn now(&self) -> jiff::Timestamp {
        self.router.now()
    }
    /// The attempt of a job with whose credentials the caller acts.
    pub fn attempt(&self) -> Option<&str> {
        self.attempt.as_deref().or_else(|| self.principal.attempt())
    }
    pub fn task_id(&self) -> Option<&str> {
        self.task.as_ref().map(|t| t.0.as_str())
    }
    /// A random id: 32 hex digits, or a UUID with dashes.
    pub fn uuid(&self) -> String {
        self.router.uuid()
    }
    /// A random UUID that sorts behind those made before it; for names of records that are many.
    pub fn uuid_in_order(&self) -> String {
        self.router.uuid_in_order()
    }
    /// An ARN in the caller's account and region.
    pub fn arn(&self, service: &str, resource: impl Into<String>) -> String {
        wire::arn::Arn::new(service, &self.region, &self.account, resource).to_string()
    }

    /// The same on behalf of a durable task: writes are remembered under its id, so that a repeated call of the same task
    /// returns the first reply. The id names the logical call (execution and state entry), not the attempt.
    #[must_use]
    pub fn with_task(&self, id: &str) -> Self {
        Self { task: Some(Arc::new((id.to_owned(), AtomicU32::new(0)))), ..self.clone() }
    }
    /// The same, on behalf of no task: for looking, whose answer is not to be remembered.
    #[must_use]
    pub fn without_task(&self) -> Self {
        Self { task: None, ..self.clone() }
    }
    #[must_use]
    pub fn with_region(&self, region: &str) -> Self {
        if *self.region == *region {
            return self.clone();
        }
        Self { region: region.into(), ..self.clone() }
    }
    /// The same call, made by the platform itself.
    #[must_use]
    pub fn as_platform(&self) -> Self {
        Self { principal: shared(Principal::Platform), service: None, ..self.clone() }
    }
    /// The same call, made by a service for one of its resources: the policy of what it calls is asked.
    #[must_use]
    pub fn as_service(&self, name: &str, source_arn: &str) -> Self {
        let source_account = source_arn.split(':').nth(4).filter(|account| !account.is_empty());
        let service = ActingService {
            name: name.to_owned(),
            source_arn: source_arn.to_owned(),
            source_account: source_account.unwrap_or(&self.account).to_owned(),
        };
        Self { principal: shared(Principal::Platform), service: Some(Arc::new(service)), ..self.clone() }
    }
    /// The service that calls by itself, where one does.
    pub fn service(&self) -> Option<&ActingService> {
        self.service.as_deref()
    }
    /// The same call where its resource is: in the account that owns it, after that account has let the caller in.
    #[must_use]
    pub fn in_account(&self, account: &str) -> Self {
        Self { account: account.into(), ..self.clone() }
    }
    /// The same, made by one of the platform's services for the principal: `cloudformation.amazonaws.com`.
    #[must_use]
    pub fn with_called_via(&self, service: &'static str) -> Self {
        Self { called_via: Some(service), ..self.clone() }
    }
    /// The service that makes the call for the principal, if one does: it may set what callers may not, as tags of `aws:`.
    /// Source: the context key `aws:CalledVia` of IAM.
    pub fn called_via(&self) -> Option<&str> {
        // What a query's worker does with the caller's keys, Athena does for the caller.
        let queries = self.attempt().is_some_and(|attempt| attempt.starts_with("athena:"));
        self.called_via.or_else(|| queries.then_some("athena.amazonaws.com"))
    }
    /// Where the request came from; none for calls inside.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_deref()
    }
    #[must_use]
    pub fn with_origin(&self, origin: Origin) -> Self {
        Self { origin: Some(Arc::new(origin)), ..self.clone() }
    }
    /// The same, on behalf of a state that calls a service itself.
    #[must_use]
    pub fn for_worker(&self, worker: Worker) -> Self {
        Self { worker: Some(Arc::new(worker)), ..self.clone() }
    }
    /// The same, as part of a trace: what is called is told of it.
    #[must_use]
    pub fn with_trace(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }
    /// The span that makes this call, where it is traced.
    pub fn trace(&self) -> Option<TraceContext> {
        self.trace
    }
    /// Who does this, where it is an execution's state, a job or an invocation.
    pub fn worker(&self) -> Option<Worker> {
        if let Some(worker) = &self.worker {
            return Some(Worker::clone(worker));
        }
        if let Some(attempt) = self.attempt() {
            return Some(Worker::Job(job_of(attempt).to_owned()));
        }
        match self.principal() {
            Principal::Role { access_key: Some(key), .. } => self.router.noting().holder(key),
            _ => None,
        }
    }
    #[must_use]
    pub fn as_principal(&self, principal: Principal) -> Self {
        let principal = shared(principal.of_account(&self.account));
        Self { principal, service: None, temporary: false, ..self.clone() }
    }
    /// Whether the caller's keys are temporary: those of a session.
    pub const fn is_temporary(&self) -> bool {
        self.temporary
    }
    /// Acts with these credentials, in the account that they are of.
    #[must_use]
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let attempt = credentials.attempt.map(Into::into);
        let account = Some(credentials.account).filter(|account| !account.is_empty() && **account != *self.account);
        let account = account.map_or_else(|| self.account.clone(), Into::into);
        let principal = shared(credentials.principal.of_account(&account));
        let temporary = credentials.session_token.is_some();
        Self { principal, account, attempt, temporary, service: None, ..self.clone() }
    }
    /// Acts as a role that the caller's resource was given (a function's, job's or state machine's role).
    ///
    /// # Errors
    /// When the role does not exist.
    pub async fn assume(&self, role_arn: &str, session: &str) -> Result<Self, Error> {
        let principal = self.router.identity().role_session(role_arn, session, None).await?;
        Ok(self.as_principal(principal))
    }
    /// Acts as another role, in its account, where the role that this call is made as may use it and the other trusts that.
    ///
    /// # Errors
    /// `AccessDenied` as STS words it.
    pub async fn assume_other(&self, role_arn: &str, session: &str, external_id: Option<&str>) -> Result<Self, Error> {
        let principal = self.router.identity().other_role(self, role_arn, session, external_id).await?;
        let account = principal.account().unwrap_or(&self.account).to_owned();
        Ok(self.as_principal(principal).in_account(&account))
    }

    /// The typed door: `cx.call::<api_sqs::SendMessage>(input)`.
    pub async fn call<O: Operation>(&self, input: O::Input) -> Result<O::Output, Error> {
        self.router.call::<O>(self, input).await
    }
    /// The door of Step Functions and Scheduler: service and operation as `aws-sdk:` ARNs write them, PascalCase JSON.
    pub async fn call_json(&self, service: &str, operation: &str, parameters: Value) -> Result<Value, Error> {
        self.router.call_json(self, service, operation, parameters).await
    }

    /// A write transaction of this call. On behalf of a task its result is remembered and returned again when the task repeats
    /// the call, so everything that decides the reply must come out of the closure. An attempt writes only while it is open,
    /// and what it changes of the records that are to be undone with it is noted.
    pub async fn write<T, E, F>(&self, store: &Store, f: F) -> Result<T, E>
    where
        F: FnMut(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        E: From<store::Error> + Send + 'static,
    {
        let noted = self.attempt().map(|attempt| (self.router.clone(), attempt.to_owned(), self.router.noted()));
        let mut f = f;
        let f = move |tx: &mut Tx<'_>| {
            if let Some((router, attempt, noted)) = &noted {
                if !router.attempts().is_open(attempt) {
                    return Err(store::Error::Ended.into());
                }
                tx.keep_journal(job_of(attempt), noted.clone());
            }
            f(tx)
        };
        match &self.task {
            None => store.write(f).await,
            Some(task) => {
                let n = task.1.fetch_add(1, Ordering::Relaxed);
                store.write_once(memo_prefix().push(&task.0).push_u64(u64::from(n)), f).await
            }
        }
    }
}
