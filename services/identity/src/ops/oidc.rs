//! Identity providers of OpenID Connect, as trust policies name them and `AssumeRoleWithWebIdentity` asks them. Source: IAM API
//! reference, CreateOpenIDConnectProvider.

use api_iam::error::{
    entity_already_exists_exception, invalid_input_exception, limit_exceeded_exception, no_such_entity_exception,
};
use api_iam::{
    AddClientIDToOpenIDConnectProvider, AddClientIDToOpenIDConnectProviderRequest, CreateOpenIDConnectProvider,
    CreateOpenIDConnectProviderRequest, CreateOpenIDConnectProviderResponse, DeleteOpenIDConnectProvider,
    DeleteOpenIDConnectProviderRequest, GetOpenIDConnectProvider, GetOpenIDConnectProviderRequest,
    GetOpenIDConnectProviderResponse, ListOpenIDConnectProviderTags, ListOpenIDConnectProviderTagsRequest,
    ListOpenIDConnectProviderTagsResponse, ListOpenIDConnectProviders, ListOpenIDConnectProvidersRequest,
    ListOpenIDConnectProvidersResponse, OpenIDConnectProviderListEntry, RemoveClientIDFromOpenIDConnectProvider,
    RemoveClientIDFromOpenIDConnectProviderRequest, Tag, TagOpenIDConnectProvider, TagOpenIDConnectProviderRequest,
    UntagOpenIDConnectProvider, UntagOpenIDConnectProviderRequest, UpdateOpenIDConnectProviderThumbprint,
    UpdateOpenIDConnectProviderThumbprintRequest,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use service::{Cx, Handle};
use store::{Key, Tx};
use wire::Error;
use wire::types::Empty;

use super::page::page;
use super::tags::{given, merged, without};
use crate::Identity;

/// Source: IAM User Guide, "IAM and STS quotas".
const MOST: usize = 100;
const MOST_CLIENTS: usize = 100;
const MOST_THUMBPRINTS: usize = 5;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Provider {
    /// Version of the record's form.
    version: u32,
    pub(super) arn: String,
    /// Without its scheme.
    pub(super) url: String,
    pub(super) clients: Vec<String>,
    pub(super) thumbprints: Vec<String>,
    created: wire::Timestamp,
    tags: Option<Vec<Tag>>,
}

fn prefix(account: &str) -> Key {
    Key::new("iam").push(account).push("oidc-provider")
}

/// The provider of a URL without its scheme.
pub(super) fn of_url(tx: &mut Tx<'_>, account: &str, url: &str) -> Result<Option<Provider>, Error> {
    Ok(tx.get_json(prefix(account).push(url))?)
}

fn load(tx: &mut Tx<'_>, account: &str, arn: &str) -> Result<(Key, Provider), Error> {
    let url = arn.strip_prefix(&format!("arn:aws:iam::{account}:oidc-provider/")).unwrap_or_default();
    let key = prefix(account).push(url);
    let missing = || no_such_entity_exception(format!("OpenIDConnect Provider not found for arn {arn}"));
    let found = tx.get_json(&key)?.ok_or_else(missing)?;
    Ok((key, found))
}

/// The URL without its scheme, where it is one of a provider's. A slash at its end is of the issuer's name, and so of the provider's. Not as
/// on AWS, which asks for none, it may have a port: issuers of one's own often do.
fn host_and_path(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://")?;
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = host.split_once(':').unwrap_or((host, "443"));
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
    let fits = !host.is_empty() && host.chars().all(plain) && path.chars().all(plain) && port.parse::<u16>().is_ok();
    fits.then_some(rest)
}

fn check_thumbprints(all: &[String]) -> Result<(), Error> {
    if all.len() > MOST_THUMBPRINTS {
        return Err(invalid_input_exception("Thumbprint list must contain fewer than 5 entries."));
    }
    match all.iter().find(|one| one.len() != 40 || !one.bytes().all(|b| b.is_ascii_hexdigit())) {
        Some(wrong) => Err(invalid_input_exception(format!("Invalid thumbprint: {wrong}"))),
        None => Ok(()),
    }
}

impl Identity {
    async fn change_provider(
        &self,
        cx: &Cx,
        arn: String,
        change: impl Fn(&mut Provider) -> Result<(), Error> + Send + Sync + 'static,
    ) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let (key, mut provider) = load(tx, &account, &arn)?;
            change(&mut provider)?;
            Ok::<_, Error>(tx.put_json(key, &provider)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<CreateOpenIDConnectProvider> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateOpenIDConnectProviderRequest,
    ) -> Result<CreateOpenIDConnectProviderResponse, Error> {
        let invalid = || invalid_input_exception("Invalid Open ID Connect Provider URL");
        let url = host_and_path(&req.url).ok_or_else(invalid)?.to_owned();
        let account = cx.account().to_owned();
        let clients = req.client_id_list.unwrap_or_default();
        if clients.len() > MOST_CLIENTS {
            return Err(limit_exceeded_exception(format!(
                "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}"
            )));
        }
        let thumbprints = req.thumbprint_list.unwrap_or_default();
        check_thumbprints(&thumbprints)?;
        let new = Provider {
            version: 1,
            arn: format!("arn:aws:iam::{account}:oidc-provider/{url}"),
            url,
            clients,
            thumbprints,
            created: cx.now().into(),
            tags: given(req.tags, "OpenIdConnectProvider")?,
        };
        let made = cx
            .write(&self.store, move |tx| {
                let key = prefix(&account).push(&new.url);
                if tx.has(&key)? {
                    return Err(entity_already_exists_exception(format!(
                        "Provider with url https://{} already exists.",
                        new.url
                    )));
                }
                if tx.scan_prefix(prefix(&account), MOST)?.len() >= MOST {
                    return Err(limit_exceeded_exception(format!(
                        "Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MOST}"
                    )));
                }
                tx.put_json(key, &new)?;
                Ok(new.clone())
            })
            .await?;
        Ok(CreateOpenIDConnectProviderResponse { open_id_connect_provider_arn: Some(made.arn), tags: made.tags })
    }
}

#[async_trait]
impl Handle<GetOpenIDConnectProvider> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: GetOpenIDConnectProviderRequest,
    ) -> Result<GetOpenIDConnectProviderResponse, Error> {
        let (_, found) = self.store.read(|tx| load(tx, cx.account(), &req.open_id_connect_provider_arn)).await?;
        Ok(GetOpenIDConnectProviderResponse {
            url: Some(found.url),
            client_id_list: Some(found.clients),
            thumbprint_list: Some(found.thumbprints),
            create_date: Some(found.created),
            tags: found.tags,
            ..Default::default()
        })
    }
}

#[async_trait]
impl Handle<ListOpenIDConnectProviders> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        _: ListOpenIDConnectProvidersRequest,
    ) -> Result<ListOpenIDConnectProvidersResponse, Error> {
        let all: Vec<Provider> = self.store.read(|tx| tx.list_json(prefix(cx.account()), usize::MAX)).await?;
        let all = all
            .into_iter()
            .map(|one| OpenIDConnectProviderListEntry { arn: Some(one.arn), ..Default::default() })
            .collect();
        Ok(ListOpenIDConnectProvidersResponse { open_id_connect_provider_list: Some(all) })
    }
}

#[async_trait]
impl Handle<DeleteOpenIDConnectProvider> for Identity {
    async fn handle(&self, cx: &Cx, req: DeleteOpenIDConnectProviderRequest) -> Result<Empty, Error> {
        let account = cx.account().to_owned();
        cx.write(&self.store, move |tx| {
            let (key, _) = load(tx, &account, &req.open_id_connect_provider_arn)?;
            Ok::<_, Error>(tx.delete(key)?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<AddClientIDToOpenIDConnectProvider> for Identity {
    async fn handle(&self, cx: &Cx, req: AddClientIDToOpenIDConnectProviderRequest) -> Result<Empty, Error> {
        let id = req.client_id;
        self.change_provider(cx, req.open_id_connect_provider_arn, move |provider| {
            if !provider.clients.contains(&id) {
                if provider.clients.len() >= MOST_CLIENTS {
                    let most = format!("Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MOST_CLIENTS}");
                    return Err(limit_exceeded_exception(most));
                }
                provider.clients.push(id.clone());
            }
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<RemoveClientIDFromOpenIDConnectProvider> for Identity {
    async fn handle(&self, cx: &Cx, req: RemoveClientIDFromOpenIDConnectProviderRequest) -> Result<Empty, Error> {
        let id = req.client_id;
        self.change_provider(cx, req.open_id_connect_provider_arn, move |provider| {
            provider.clients.retain(|one| *one != id);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateOpenIDConnectProviderThumbprint> for Identity {
    async fn handle(&self, cx: &Cx, req: UpdateOpenIDConnectProviderThumbprintRequest) -> Result<Empty, Error> {
        let thumbprints = req.thumbprint_list;
        check_thumbprints(&thumbprints)?;
        self.change_provider(cx, req.open_id_connect_provider_arn, move |provider| {
            provider.thumbprints.clone_from(&thumbprints);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<TagOpenIDConnectProvider> for Identity {
    async fn handle(&self, cx: &Cx, req: TagOpenIDConnectProviderRequest) -> Result<Empty, Error> {
        let tags = req.tags;
        self.change_provider(cx, req.open_id_connect_provider_arn, move |provider| {
            let old = provider.tags.take().unwrap_or_default();
            provider.tags = Some(merged(old, &tags, "OpenIdConnectProvider")?);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<UntagOpenIDConnectProvider> for Identity {
    async fn handle(&self, cx: &Cx, req: UntagOpenIDConnectProviderRequest) -> Result<Empty, Error> {
        let keys = req.tag_keys;
        self.change_provider(cx, req.open_id_connect_provider_arn, move |provider| {
            without(&mut provider.tags, &keys);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListOpenIDConnectProviderTags> for Identity {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListOpenIDConnectProviderTagsRequest,
    ) -> Result<ListOpenIDConnectProviderTagsResponse, Error> {
        let (_, found) = self.store.read(|tx| load(tx, cx.account(), &req.open_id_connect_provider_arn)).await?;
        let (tags, is_truncated, marker) =
            page(found.tags.unwrap_or_default(), req.max_items, req.marker, |t: &Tag| t.key.clone());
        Ok(ListOpenIDConnectProviderTagsResponse { tags, is_truncated, marker })
    }
}

#[cfg(test)]
mod tests {
    use super::host_and_path;

    #[test]
    fn a_url_is_kept_without_its_scheme() {
        for (url, kept) in [
            ("https://token.actions.githubusercontent.com", Some("token.actions.githubusercontent.com")),
            ("https://oidc.eks.eu-west-1.amazonaws.com/id/A1/", Some("oidc.eks.eu-west-1.amazonaws.com/id/A1/")),
            ("https://keycloak.example.org:8443/realms/x", Some("keycloak.example.org:8443/realms/x")),
            ("http://a.example.org", None),
            ("https://", None),
            ("https://a.example.org:x", None),
            ("https://:443", None),
            ("https://a.example.org/?q", None),
        ] {
            assert_eq!(host_and_path(url), kept, "{url}");
        }
    }
}
