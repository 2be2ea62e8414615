//! CreateApiDestination, UpdateApiDestination, DescribeApiDestination, ListApiDestinations and DeleteApiDestination.

use api_events::{
    ApiDestination, CreateApiDestination, CreateApiDestinationRequest, CreateApiDestinationResponse,
    DeleteApiDestination, DeleteApiDestinationRequest, DeleteApiDestinationResponse, DescribeApiDestination,
    DescribeApiDestinationRequest, DescribeApiDestinationResponse, ListApiDestinations, ListApiDestinationsRequest,
    ListApiDestinationsResponse, UpdateApiDestination, UpdateApiDestinationRequest, UpdateApiDestinationResponse,
    error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::Destinations;
use super::record::{Destination, RATE, all, find};
use super::request;
use crate::{connection, page};

#[async_trait]
impl Handle<CreateApiDestination> for Destinations {
    async fn handle(&self, cx: &Cx, req: CreateApiDestinationRequest) -> Result<CreateApiDestinationResponse, Error> {
        request::check(&req.invocation_endpoint)?;
        let (all, now) = (all(cx.account(), cx.region()), cx.now().as_millisecond());
        let arn = cx.arn("events", format!("api-destination/{}/{}", req.name, cx.uuid()));
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let (made, state) = cx
            .write(&self.store, move |tx| {
                if tx.has(all.clone().push(&req.name))? {
                    let name = &req.name;
                    return Err(error::resource_already_exists_exception(format!(
                        "An api-destination '{name}' already exists."
                    )));
                }
                connection::check(tx, (&account, &region), &req.connection_arn)?;
                let new = Destination {
                    version: 1,
                    name: req.name.clone(),
                    arn: arn.clone(),
                    description: req.description.clone(),
                    connection_arn: req.connection_arn.clone(),
                    endpoint: req.invocation_endpoint.clone(),
                    method: req.http_method.clone(),
                    rate: req.invocation_rate_limit_per_second.unwrap_or(RATE),
                    created_ms: now,
                    changed_ms: now,
                };
                new.save(tx, &all)?;
                let state = new.state(tx)?.to_owned();
                Ok((new, state))
            })
            .await?;
        Ok(CreateApiDestinationResponse {
            creation_time: Some(made.created()),
            last_modified_time: Some(made.changed()),
            api_destination_arn: Some(made.arn),
            api_destination_state: Some(state),
        })
    }
}

#[async_trait]
impl Handle<UpdateApiDestination> for Destinations {
    /// What is left out stays.
    async fn handle(&self, cx: &Cx, req: UpdateApiDestinationRequest) -> Result<UpdateApiDestinationResponse, Error> {
        if let Some(endpoint) = &req.invocation_endpoint {
            request::check(endpoint)?;
        }
        let (all, now) = (all(cx.account(), cx.region()), cx.now().as_millisecond());
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let (changed, state) = cx
            .write(&self.store, move |tx| {
                let req = req.clone();
                let mut found = find(tx, &all, &req.name)?;
                if let Some(arn) = req.connection_arn {
                    connection::check(tx, (&account, &region), &arn)?;
                    found.connection_arn = arn;
                }
                found.endpoint = req.invocation_endpoint.unwrap_or(found.endpoint);
                found.method = req.http_method.unwrap_or(found.method);
                found.rate = req.invocation_rate_limit_per_second.unwrap_or(found.rate);
                found.description = req.description.or(found.description);
                found.changed_ms = now;
                found.save(tx, &all)?;
                let state = found.state(tx)?.to_owned();
                Ok::<_, Error>((found, state))
            })
            .await?;
        Ok(UpdateApiDestinationResponse {
            creation_time: Some(changed.created()),
            last_modified_time: Some(changed.changed()),
            api_destination_arn: Some(changed.arn),
            api_destination_state: Some(state),
        })
    }
}

#[async_trait]
impl Handle<DescribeApiDestination> for Destinations {
    async fn handle(
        &self,
        cx: &Cx,
        req: DescribeApiDestinationRequest,
    ) -> Result<DescribeApiDestinationResponse, Error> {
        let all = all(cx.account(), cx.region());
        let look = |tx: &mut store::Tx<'_>| {
            let found = find(tx, &all, &req.name)?;
            let state = found.state(tx)?;
            Ok::<_, Error>((found, state))
        };
        let (found, state) = self.store.read(look).await?;
        Ok(DescribeApiDestinationResponse {
            creation_time: Some(found.created()),
            last_modified_time: Some(found.changed()),
            api_destination_arn: Some(found.arn),
            name: Some(found.name),
            description: found.description,
            api_destination_state: Some(state.to_owned()),
            connection_arn: Some(found.connection_arn),
            invocation_endpoint: Some(found.endpoint),
            http_method: Some(found.method),
            invocation_rate_limit_per_second: Some(found.rate),
        })
    }
}

#[async_trait]
impl Handle<ListApiDestinations> for Destinations {
    async fn handle(&self, cx: &Cx, req: ListApiDestinationsRequest) -> Result<ListApiDestinationsResponse, Error> {
        let all = all(cx.account(), cx.region());
        let look = |tx: &mut store::Tx<'_>| {
            let mut found: Vec<Destination> = tx.list_json(all.clone(), 100_000)?;
            found.retain(|one| {
                req.name_prefix.as_ref().is_none_or(|prefix| one.name.starts_with(prefix.as_str()))
                    && req.connection_arn.as_ref().is_none_or(|arn| one.connection_arn == *arn)
            });
            let (found, next) = page(found, |one| &one.name, req.next_token.as_deref(), req.limit);
            let with_state = |one: Destination| {
                let state = one.state(tx)?;
                Ok((one, state))
            };
            Ok::<_, Error>((found.into_iter().map(with_state).collect::<Result<Vec<_>, Error>>()?, next))
        };
        let (found, next_token) = self.store.read(look).await?;
        let listed = found.into_iter().map(|(one, state)| ApiDestination {
            creation_time: Some(one.created()),
            last_modified_time: Some(one.changed()),
            api_destination_arn: Some(one.arn),
            name: Some(one.name),
            api_destination_state: Some(state.to_owned()),
            connection_arn: Some(one.connection_arn),
            invocation_endpoint: Some(one.endpoint),
            http_method: Some(one.method),
            invocation_rate_limit_per_second: Some(one.rate),
        });
        Ok(ListApiDestinationsResponse { api_destinations: Some(listed.collect()), next_token })
    }
}

#[async_trait]
impl Handle<DeleteApiDestination> for Destinations {
    async fn handle(&self, cx: &Cx, req: DeleteApiDestinationRequest) -> Result<DeleteApiDestinationResponse, Error> {
        let all = all(cx.account(), cx.region());
        cx.write(&self.store, move |tx| {
            find(tx, &all, &req.name)?;
            Ok::<_, Error>(tx.delete(all.clone().push(&req.name))?)
        })
        .await?;
        Ok(DeleteApiDestinationResponse {})
    }
}
