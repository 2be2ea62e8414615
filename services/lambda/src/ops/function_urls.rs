//! Function URLs: their configurations. What calls of them get: `crate::url`.

use api_lambda::{
    CreateFunctionUrlConfig, CreateFunctionUrlConfigRequest, CreateFunctionUrlConfigResponse, DeleteFunctionUrlConfig,
    DeleteFunctionUrlConfigRequest, FunctionUrlConfig, GetFunctionUrlConfig, GetFunctionUrlConfigRequest,
    GetFunctionUrlConfigResponse, ListFunctionUrlConfigs, ListFunctionUrlConfigsRequest,
    ListFunctionUrlConfigsResponse, UpdateFunctionUrlConfig, UpdateFunctionUrlConfigRequest,
    UpdateFunctionUrlConfigResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;
use wire::types::Empty;

use super::page;
use crate::Lambda;
use crate::function::{LATEST, Name, Scope};
use crate::url::{STREAM, Url};

#[async_trait]
impl Handle<CreateFunctionUrlConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: CreateFunctionUrlConfigRequest,
    ) -> Result<CreateFunctionUrlConfigResponse, Error> {
        let (place, name) = (Scope::of(cx), named(&req.function_name, req.qualifier.as_deref())?);
        let now = cx.now().into();
        let url = Url {
            v: 1,
            id: cx.uuid().replace('-', ""),
            account: cx.account().to_owned(),
            region: cx.region().to_owned(),
            name: name.name.clone(),
            qualifier: name.qualifier.clone(),
            auth_type: req.auth_type,
            cors: req.cors,
            streams: req.invoke_mode.as_deref() == Some(STREAM),
            created: now,
            modified: now,
        };
        let address = self.address_of(&url);
        cx.write(&self.store, move |tx| {
            place.resolve(tx, &name, 1.0)?;
            let key = place.url(&name.name, name.qualifier.as_deref());
            if tx.get(&key)?.is_some() {
                let message = format!(
                    "Failed to create function url config for [functionArn = {}]. Error message:  FunctionUrlConfig exists for this Lambda function",
                    url.arn()
                );
                return Err(error::resource_conflict_exception(message).with("Type", "User"));
            }
            tx.put_json(key, &url)?;
            tx.put_json(Url::index(&url.id), &url)?;
            Ok(CreateFunctionUrlConfigResponse {
                function_url: address.clone(),
                function_arn: url.arn(),
                auth_type: url.auth_type.clone(),
                cors: url.cors.clone(),
                creation_time: url.created.to_iso(),
                invoke_mode: Some(url.invoke_mode()),
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<UpdateFunctionUrlConfig> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: UpdateFunctionUrlConfigRequest,
    ) -> Result<UpdateFunctionUrlConfigResponse, Error> {
        let (place, name) = (Scope::of(cx), named(&req.function_name, req.qualifier.as_deref())?);
        let now = cx.now().into();
        let endpoint = self.shown.clone();
        cx.write(&self.store, move |tx| {
            let key = place.url(&name.name, name.qualifier.as_deref());
            let mut url: Url = tx.get_json(&key)?.ok_or_else(missing)?;
            if let Some(auth_type) = &req.auth_type {
                url.auth_type.clone_from(auth_type);
            }
            if req.cors.is_some() {
                url.cors.clone_from(&req.cors);
            }
            if let Some(mode) = &req.invoke_mode {
                url.streams = mode == STREAM;
            }
            url.modified = now;
            tx.put_json(key, &url)?;
            tx.put_json(Url::index(&url.id), &url)?;
            Ok(UpdateFunctionUrlConfigResponse {
                function_url: url.address(&endpoint),
                function_arn: url.arn(),
                creation_time: url.created.to_iso(),
                last_modified_time: url.modified.to_iso(),
                invoke_mode: Some(url.invoke_mode()),
                auth_type: url.auth_type,
                cors: url.cors,
            })
        })
        .await
    }
}

#[async_trait]
impl Handle<GetFunctionUrlConfig> for Lambda {
    async fn handle(&self, cx: &Cx, req: GetFunctionUrlConfigRequest) -> Result<GetFunctionUrlConfigResponse, Error> {
        let (place, name) = (Scope::of(cx), named(&req.function_name, req.qualifier.as_deref())?);
        let key = place.url(&name.name, name.qualifier.as_deref());
        let url: Url = self.store.read(|tx| tx.get_json(&key)).await?.ok_or_else(missing)?;
        Ok(GetFunctionUrlConfigResponse {
            function_url: self.address_of(&url),
            function_arn: url.arn(),
            creation_time: url.created.to_iso(),
            last_modified_time: url.modified.to_iso(),
            invoke_mode: Some(url.invoke_mode()),
            auth_type: url.auth_type,
            cors: url.cors,
        })
    }
}

#[async_trait]
impl Handle<DeleteFunctionUrlConfig> for Lambda {
    async fn handle(&self, cx: &Cx, req: DeleteFunctionUrlConfigRequest) -> Result<Empty, Error> {
        let (place, name) = (Scope::of(cx), named(&req.function_name, req.qualifier.as_deref())?);
        cx.write(&self.store, move |tx| {
            let key = place.url(&name.name, name.qualifier.as_deref());
            let url: Url = tx.get_json(&key)?.ok_or_else(missing)?;
            tx.delete(key)?;
            tx.delete(Url::index(&url.id))?;
            Ok(Empty::default())
        })
        .await
    }
}

#[async_trait]
impl Handle<ListFunctionUrlConfigs> for Lambda {
    async fn handle(
        &self,
        cx: &Cx,
        req: ListFunctionUrlConfigsRequest,
    ) -> Result<ListFunctionUrlConfigsResponse, Error> {
        let (place, name) = (Scope::of(cx), Name::parse_unqualified(&req.function_name)?);
        let (urls, next_marker) = self
            .store
            .read(|tx| {
                place.load(tx, &name)?;
                page::<Url>(tx, &place.urls(&name), req.marker.as_deref(), req.max_items)
            })
            .await?;
        let shown = |url: &Url| FunctionUrlConfig {
            function_url: self.address_of(url),
            function_arn: url.arn(),
            creation_time: url.created.to_iso(),
            last_modified_time: url.modified.to_iso(),
            cors: url.cors.clone(),
            auth_type: url.auth_type.clone(),
            invoke_mode: Some(url.invoke_mode()),
        };
        Ok(ListFunctionUrlConfigsResponse { function_url_configs: urls.iter().map(shown).collect(), next_marker })
    }
}

/// A URL is of a function or of an alias.
fn named(function: &str, qualifier: Option<&str>) -> Result<Name, Error> {
    let mut name = Name::parse(function, qualifier)?;
    name.qualifier = name.qualifier.filter(|qualifier| qualifier != LATEST);
    let is_version = name.qualifier.as_ref().is_some_and(|text| text.bytes().all(|digit| digit.is_ascii_digit()));
    if is_version {
        return Err(Error::validation(format!(
            "1 validation error detected: Value '{}' at 'qualifier' failed to satisfy constraint: Member must satisfy regular \
             expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)",
            name.qualifier.unwrap_or_default()
        )));
    }
    Ok(name)
}

fn missing() -> Error {
    error::resource_not_found_exception("The resource you requested does not exist.").with("Type", "User")
}
