//! CreateEventBus, UpdateEventBus, DescribeEventBus, DeleteEventBus and ListEventBuses.

use api_events::{
    CreateEventBus, CreateEventBusRequest, CreateEventBusResponse, DeadLetterConfig, DeleteEventBus,
    DeleteEventBusRequest, DescribeEventBus, DescribeEventBusRequest, DescribeEventBusResponse, EventBus,
    ListEventBuses, ListEventBusesRequest, ListEventBusesResponse, UpdateEventBus, UpdateEventBusRequest,
    UpdateEventBusResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::arn::Arn;
use wire::types::Empty;
use wire::{Error, Timestamp};

use crate::bridge::Bridge;
use crate::bridge::rule::{Bus, DEFAULT_BUS, Home};
use crate::page;

#[async_trait]
impl Handle<CreateEventBus> for Bridge {
    async fn handle(&self, cx: &Cx, req: CreateEventBusRequest) -> Result<CreateEventBusResponse, Error> {
        let home = Home::new(cx, Some(&req.name));
        let well_formed = req.name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
        if req.event_source_name.is_some() || !well_formed || req.name.is_empty() {
            return Err(Error::validation(format!("Event bus name {} is not valid.", req.name)));
        }
        let bus = Bus {
            version: 1,
            name: req.name,
            arn: home.bus_arn(),
            description: req.description,
            created_ms: cx.now().as_millisecond(),
            tags: req.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
            policy: None,
            modified_ms: None,
            dead_letter_arn: dead_letters(req.dead_letter_config)?,
            log_config: req.log_config,
        };
        let bus = cx
            .write(&self.store, move |tx| {
                if home.find_bus(tx)?.is_some() {
                    return Err(error::resource_already_exists_exception(format!(
                        "Event bus {} already exists.",
                        home.bus
                    )));
                }
                bus.save(tx, &home)?;
                Ok(bus.clone())
            })
            .await?;
        Ok(CreateEventBusResponse {
            event_bus_arn: Some(bus.arn),
            description: bus.description,
            dead_letter_config: told(bus.dead_letter_arn),
            log_config: bus.log_config,
            ..CreateEventBusResponse::default()
        })
    }
}

/// The queue of a bus: an SQS queue's ARN.
fn dead_letters(given: Option<DeadLetterConfig>) -> Result<Option<String>, Error> {
    let arn = given.and_then(|given| given.arn);
    match arn.as_deref().map(Arn::parse) {
        Some(parsed) if parsed.as_ref().is_none_or(|arn| arn.service != "sqs") => {
            Err(Error::validation("DeadLetterConfig.Arn must be the ARN of an SQS queue."))
        }
        _ => Ok(arn),
    }
}

fn told(arn: Option<String>) -> Option<DeadLetterConfig> {
    arn.map(|arn| DeadLetterConfig { arn: Some(arn) })
}

/// A time of a bus. The default one is there from the beginning: of it none is known until it is changed.
fn time(ms: i64) -> Option<Timestamp> {
    (ms > 0).then(|| Timestamp::from_millis(ms))
}

#[async_trait]
impl Handle<DescribeEventBus> for Bridge {
    async fn handle(&self, cx: &Cx, req: DescribeEventBusRequest) -> Result<DescribeEventBusResponse, Error> {
        let home = Home::new(cx, req.name.as_deref());
        let bus = self.store.read(|tx| home.check_bus(tx)).await?;
        Ok(DescribeEventBusResponse {
            name: Some(bus.name),
            arn: Some(bus.arn),
            description: bus.description,
            creation_time: time(bus.created_ms),
            last_modified_time: time(bus.modified_ms.unwrap_or(bus.created_ms)),
            policy: bus.policy,
            dead_letter_config: told(bus.dead_letter_arn),
            log_config: bus.log_config,
            ..DescribeEventBusResponse::default()
        })
    }
}

#[async_trait]
impl Handle<UpdateEventBus> for Bridge {
    async fn handle(&self, cx: &Cx, req: UpdateEventBusRequest) -> Result<UpdateEventBusResponse, Error> {
        let home = Home::new(cx, req.name.as_deref());
        let now = cx.now().as_millisecond();
        let bus = cx
            .write(&self.store, move |tx| {
                let mut bus = home.check_bus(tx)?;
                bus.description.clone_from(&req.description);
                bus.dead_letter_arn = dead_letters(req.dead_letter_config.clone())?;
                bus.log_config.clone_from(&req.log_config);
                bus.modified_ms = Some(now);
                bus.save(tx, &home)?;
                Ok::<_, Error>(bus)
            })
            .await?;
        Ok(UpdateEventBusResponse {
            arn: Some(bus.arn),
            name: Some(bus.name),
            description: bus.description,
            dead_letter_config: told(bus.dead_letter_arn),
            log_config: bus.log_config,
            ..UpdateEventBusResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DeleteEventBus> for Bridge {
    async fn handle(&self, cx: &Cx, req: DeleteEventBusRequest) -> Result<Empty, Error> {
        let home = Home::new(cx, Some(&req.name));
        if home.bus == DEFAULT_BUS {
            return Err(Error::validation("Cannot delete event bus default."));
        }
        cx.write(&self.store, move |tx| {
            if !home.all(tx)?.is_empty() {
                return Err(Error::validation(format!("Event bus {} can't be deleted since it has rules.", home.bus)));
            }
            Ok(tx.delete(home.buses().push(&home.bus))?)
        })
        .await?;
        Ok(Empty {})
    }
}

#[async_trait]
impl Handle<ListEventBuses> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListEventBusesRequest) -> Result<ListEventBusesResponse, Error> {
        let home = Home::new(cx, None);
        let mut buses = self
            .store
            .read(|tx| {
                let mut buses: Vec<Bus> = tx.list_json(home.buses(), 10_000)?;
                buses.extend(home.find_bus(tx)?.filter(|bus| !buses.iter().any(|own| own.name == bus.name)));
                Ok::<_, Error>(buses)
            })
            .await?;
        let prefix = req.name_prefix.unwrap_or_default();
        buses.retain(|bus| bus.name.starts_with(&prefix));
        buses.sort_by(|a, b| a.name.cmp(&b.name));
        let (buses, next_token) = page(buses, |bus| &bus.name, req.next_token.as_deref(), req.limit);
        let shape = |bus: Bus| EventBus {
            name: Some(bus.name),
            arn: Some(bus.arn),
            description: bus.description,
            creation_time: time(bus.created_ms),
            last_modified_time: time(bus.modified_ms.unwrap_or(bus.created_ms)),
            policy: bus.policy,
            ..EventBus::default()
        };
        Ok(ListEventBusesResponse { event_buses: Some(buses.into_iter().map(shape).collect()), next_token })
    }
}
