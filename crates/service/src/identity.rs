//! The port through which the platform knows who may do what. Implemented by `services/identity`.

use async_trait::async_trait;
use wire::Error;

use crate::Principal;
use crate::authorization::Context;

/// Keys as a client holds them.
#[derive(Clone)]
pub struct Credentials {
    pub access_key: String,
    pub secret_key: String,
    pub session_token: Option<String>,
    pub expires: Option<jiff::Timestamp>,
    pub principal: Principal,
    pub account: String,
    /// The attempt of a job that holds them, where the principal does not say so itself.
    pub attempt: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.access_key)
    }
}

impl Credentials {
    /// Checks what came with a request that names this access key: the session token and the expiry.
    ///
    /// # Errors
    /// `InvalidClientTokenId` for a missing or wrong token, `ExpiredTokenException`.
    pub fn check_session(&self, token: Option<&str>, now: jiff::Timestamp) -> Result<(), Error> {
        if self.session_token.as_deref() != token.filter(|t| !t.is_empty()) {
            return Err(Error::new(
                "InvalidClientTokenId",
                403,
                "The security token included in the request is invalid.",
            ));
        }
        if self.expires.is_some_and(|t| now >= t) {
            return Err(Error::new(
                "ExpiredTokenException",
                403,
                "The security token included in the request is expired",
            ));
        }
        Ok(())
    }
}

/// What identity policies say.
#[derive(Clone, Debug)]
pub enum Judgement {
    Allowed,
    /// An explicit Deny, or a session policy that does not allow it.
    Denied(Error),
    /// Nothing allows it; the error says so.
    Silent(Error),
}

/// Who may do what.
#[async_trait]
pub trait Identity: Send + Sync {
    /// The keys with this access key id; `None` where it does not exist or was revoked.
    async fn credentials(&self, access_key: &str) -> Result<Option<Credentials>, Error>;

    /// Whether other accounts exist beside the server's own: only then can anybody name what is another's.
    fn has_other_accounts(&self) -> bool {
        false
    }

    /// # Errors
    /// `AccessDeniedException` naming principal, action and resource.
    async fn authorize(&self, principal: &Principal, action: &str, resource: &str) -> Result<(), Error>;

    /// What the caller's own policies say; a resource may have a policy too ([`crate::Router::authorize`] asks both).
    async fn judge(
        &self,
        principal: &Principal,
        action: &str,
        resource: &str,
        _context: &dyn Context,
    ) -> Result<Judgement, Error> {
        match self.authorize(principal, action, resource).await {
            Ok(()) => Ok(Judgement::Allowed),
            Err(error) if error.status() == 403 => Ok(Judgement::Silent(error)),
            Err(error) => Err(error),
        }
    }

    /// `aws:userid`: the unique id, with the session's name where there is one.
    async fn user_id(&self, _principal: &Principal) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// The value of a tag of the caller: the session's, else the user's or role's.
    async fn principal_tag(&self, _principal: &Principal, _key: &str) -> Result<Option<String>, Error> {
        Ok(None)
    }

    /// Notes that a user's own key was used, for `GetAccessKeyLastUsed`.
    async fn used(&self, _access_key: &str, _service: &str, _region: &str) -> Result<(), Error> {
        Ok(())
    }

    /// The principal of a role's session, for the platform's own use: no trust policy is asked for services that were
    /// given the role by its owner (a function's, job's or state machine's role).
    async fn role_session(&self, role_arn: &str, session: &str, attempt: Option<&str>) -> Result<Principal, Error>;

    /// The principal of a role's session, for a caller that takes it up as by STS's `AssumeRole`: its own policies and the role's trust
    /// policy both have a say.
    ///
    /// # Errors
    /// `AccessDenied` where either does not let it.
    async fn other_role(
        &self,
        _cx: &crate::Cx,
        role_arn: &str,
        _session: &str,
        _external_id: Option<&str>,
    ) -> Result<Principal, Error> {
        Err(Error::access_denied(format!("The role {role_arn} cannot be assumed")))
    }

    /// Short-lived keys for a principal that `role_session` made, for user code.
    async fn issue(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error>;

    /// As [`Identity::issue`], for a process that ends with this server: its keys end with the server too, and cost no commit.
    async fn issue_unlogged(&self, principal: &Principal, valid: jiff::SignedDuration) -> Result<Credentials, Error> {
        self.issue(principal, valid).await
    }

    /// As [`Identity::issue_unlogged`], for an attempt of a job: what is done with the keys is the attempt's, whoever the principal is.
    async fn lend_attempt(
        &self,
        principal: &Principal,
        attempt: &str,
        valid: jiff::SignedDuration,
    ) -> Result<Credentials, Error> {
        Ok(Credentials { attempt: Some(attempt.to_owned()), ..self.issue_unlogged(principal, valid).await? })
    }

    /// Ends keys before their time.
    async fn revoke(&self, access_key: &str) -> Result<(), Error>;
}
