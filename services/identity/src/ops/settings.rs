//! What an account sets for itself: its alias, and its policy for passwords, which no user has here.

use api_iam::error::{entity_already_exists_exception, no_such_entity_exception};
use api_iam::{
    CreateAccountAlias, CreateAccountAliasRequest, DeleteAccountAlias, DeleteAccountAliasRequest,
    DeleteAccountPasswordPolicy, GetAccountPasswordPolicy, GetAccountPasswordPolicyResponse, ListAccountAliases,
    ListAccountAliasesRequest, ListAccountAliasesResponse, ListVirtualMFADevices, ListVirtualMFADevicesRequest,
    ListVirtualMFADevicesResponse, PasswordPolicy, UpdateAccountPasswordPolicy, UpdateAccountPasswordPolicyRequest,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use store::Key;
use wire::Error;
use wire::types::Empty;

use crate::Identity;

fn alias_key(account: &str) -> Key {
    Key::new("iam").push(account).push("account-alias")
}

/// Aliases are unique among all accounts.
fn alias_owner(alias: &str) -> Key {
    Key::new("iam-account-alias").push(alias)
}

fn password_key(account: &str) -> Key {
    Key::new("iam").push(account).push("password-policy")
}

#[async_trait]
impl Handle<CreateAccountAlias> for Identity {
    /// An account has one alias: a new one takes its place.
    async fn handle(&self, cx: &Cx, req: CreateAccountAliasRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        let alias = req.account_alias;
        cx.write(&self.store, move |tx| {
            if tx.has(alias_owner(&alias))? {
                return Err(entity_already_exists_exception(format!("The account alias {alias} already exists.")));
            }
            if let Some(old) = tx.get_json::<String>(alias_key(&account))? {
                tx.delete(alias_owner(&old))?;
            }
            tx.put_json(alias_owner(&alias), &account)?;
            Ok::<_, Error>(tx.put_json(alias_key(&account), &alias)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<DeleteAccountAlias> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteAccountAliasRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        let alias = req.account_alias;
        cx.write(&self.store, move |tx| {
            if tx.get_json::<String>(alias_key(&account))?.as_ref() != Some(&alias) {
                return Err(no_such_entity_exception(format!("The account alias {alias} cannot be found.")));
            }
            tx.delete(alias_owner(&alias))?;
            Ok::<_, Error>(tx.delete(alias_key(&account))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListAccountAliases> for Identity {
    async fn handle(&self, cx: &Cx, _: ListAccountAliasesRequest) -> Result<ListAccountAliasesResponse, Error> {
        let alias: Option<String> = self.store.read(|tx| tx.get_json(alias_key(cx.account()))).await?;
        let account_aliases = alias.into_iter().collect();
        Ok(ListAccountAliasesResponse { account_aliases, is_truncated: Some(false), ..Default::default() })
    }
}

fn no_password_policy(account: &str) -> Error {
    no_such_entity_exception(format!("The Password Policy with domain name {account} cannot be found."))
}

#[async_trait]
impl Handle<UpdateAccountPasswordPolicy> for Identity {
    /// What is not given goes back to its default.
    async fn handle(&self, cx: &Cx, req: UpdateAccountPasswordPolicyRequest) -> Result<Empty, Error> {
        let policy = PasswordPolicy {
            minimum_password_length: req.minimum_password_length.or(Some(6)),
            require_symbols: req.require_symbols.or(Some(false)),
            require_numbers: req.require_numbers.or(Some(false)),
            require_uppercase_characters: req.require_uppercase_characters.or(Some(false)),
            require_lowercase_characters: req.require_lowercase_characters.or(Some(false)),
            allow_users_to_change_password: req.allow_users_to_change_password.or(Some(false)),
            expire_passwords: Some(req.max_password_age.is_some_and(|days| days > 0)),
            max_password_age: req.max_password_age.filter(|days| *days > 0),
            password_reuse_prevention: req.password_reuse_prevention.filter(|many| *many > 0),
            hard_expiry: req.hard_expiry,
        };
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| Ok::<_, Error>(tx.put_json(password_key(&account), &policy)?)).await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<GetAccountPasswordPolicy> for Identity {
    async fn handle(&self, cx: &Cx, _: Empty) -> Result<GetAccountPasswordPolicyResponse, Error> {
        let policy: Option<PasswordPolicy> = self.store.read(|tx| tx.get_json(password_key(cx.account()))).await?;
        let password_policy = policy.ok_or_else(|| no_password_policy(cx.account()))?;
        Ok(GetAccountPasswordPolicyResponse { password_policy })
    }
}

#[async_trait]
impl Handle<DeleteAccountPasswordPolicy> for Identity {
    async fn handle(&self, cx: &Cx, _: Empty) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            if !tx.has(password_key(&account))? {
                return Err(no_password_policy(&account));
            }
            Ok::<_, Error>(tx.delete(password_key(&account))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListVirtualMFADevices> for Identity {
    /// There are none, as `CreateVirtualMFADevice` is not served.
    async fn handle(&self, _: &Cx, _: ListVirtualMFADevicesRequest) -> Result<ListVirtualMFADevicesResponse, Error> {
        Ok(ListVirtualMFADevicesResponse { is_truncated: Some(false), ..Default::default() })
    }
}
