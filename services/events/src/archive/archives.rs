//! CreateArchive, DescribeArchive, UpdateArchive, DeleteArchive, ListArchives; forgetting what is too old.

use api_events::{
    CreateArchive, CreateArchiveRequest, CreateArchiveResponse, DeleteArchive, DeleteArchiveRequest,
    DeleteArchiveResponse, DescribeArchive, DescribeArchiveRequest, DescribeArchiveResponse, ListArchives,
    ListArchivesRequest, ListArchivesResponse, UpdateArchive, UpdateArchiveRequest, UpdateArchiveResponse, error,
};
use async_trait::async_trait;
use pattern::Pattern;
use serde_json::Value;
use service::{Cx, Handle};
use store::{Done, Runner, Store, Task, Tx};
use wire::{Error, Timestamp};

use super::{Archive, DAY_MS, Held, all, time_ms};
use crate::bridge::{Bridge, Home};
use crate::page;

/// Events that are forgotten in one transaction.
const AT_ONCE: usize = 500;

fn check_pattern(pattern: Option<&str>) -> Result<(), Error> {
    match pattern.filter(|pattern| !pattern.is_empty()).map(Pattern::parse) {
        Some(Err(reason)) => {
            Err(error::invalid_event_pattern_exception(format!("Event pattern is not valid. Reason: {reason}")))
        }
        _ => Ok(()),
    }
}

#[async_trait]
impl Handle<CreateArchive> for Bridge {
    async fn handle(&self, cx: &Cx, req: CreateArchiveRequest) -> Result<CreateArchiveResponse, Error> {
        check_pattern(req.event_pattern.as_deref())?;
        let missing =
            || error::resource_not_found_exception(format!("Event bus {} does not exist.", req.event_source_arn));
        let own = |home: &Home| (home.account.as_str(), home.region.as_str()) == (cx.account(), cx.region());
        let home = Home::of_bus_arn(&req.event_source_arn).filter(own).ok_or_else(missing)?;
        let archive = Archive {
            version: 1,
            name: req.archive_name,
            account: home.account.clone(),
            region: home.region.clone(),
            bus: home.bus.clone(),
            description: req.description,
            pattern: req.event_pattern.filter(|pattern| !pattern.is_empty()),
            retention_days: req.retention_days.unwrap_or(0),
            created_ms: cx.now().as_millisecond(),
        };
        let archive = cx
            .write(&self.store, move |tx| {
                home.check_bus(tx)?;
                if tx.get(all(&archive.account, &archive.region).push(&archive.name))?.is_some() {
                    return Err(error::resource_already_exists_exception(format!(
                        "Archive {} already exists.",
                        archive.name
                    )));
                }
                archive.save(tx)?;
                archive.plan(tx, archive.created_ms)?;
                Ok(archive.clone())
            })
            .await?;
        Ok(CreateArchiveResponse {
            archive_arn: Some(archive.arn()),
            state: Some("ENABLED".to_owned()),
            creation_time: Some(Timestamp::from_millis(archive.created_ms)),
            ..CreateArchiveResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DescribeArchive> for Bridge {
    async fn handle(&self, cx: &Cx, req: DescribeArchiveRequest) -> Result<DescribeArchiveResponse, Error> {
        let (archive, held) = self
            .store
            .read(|tx| {
                let archive = Archive::find(tx, cx, &req.archive_name)?;
                let held: Option<Held> = tx.get_json(archive.held())?;
                Ok::<_, Error>((archive, held.unwrap_or_default()))
            })
            .await?;
        Ok(DescribeArchiveResponse {
            archive_arn: Some(archive.arn()),
            event_source_arn: Some(archive.bus_arn()),
            archive_name: Some(archive.name),
            description: archive.description,
            event_pattern: archive.pattern,
            state: Some("ENABLED".to_owned()),
            retention_days: Some(archive.retention_days),
            size_bytes: Some(held.bytes),
            event_count: Some(held.count),
            creation_time: Some(Timestamp::from_millis(archive.created_ms)),
            ..DescribeArchiveResponse::default()
        })
    }
}

#[async_trait]
impl Handle<UpdateArchive> for Bridge {
    async fn handle(&self, cx: &Cx, req: UpdateArchiveRequest) -> Result<UpdateArchiveResponse, Error> {
        check_pattern(req.event_pattern.as_deref())?;
        let (own, now) = (cx.clone(), cx.now().as_millisecond());
        let archive = cx
            .write(&self.store, move |tx| {
                let mut archive = Archive::find(tx, &own, &req.archive_name)?;
                archive.description = req.description.clone().or(archive.description);
                // An empty one takes all events.
                archive.pattern = req.event_pattern.clone().or(archive.pattern).filter(|pattern| !pattern.is_empty());
                archive.retention_days = req.retention_days.unwrap_or(archive.retention_days);
                archive.save(tx)?;
                archive.plan(tx, now)?;
                Ok::<_, Error>(archive)
            })
            .await?;
        Ok(UpdateArchiveResponse {
            archive_arn: Some(archive.arn()),
            state: Some("ENABLED".to_owned()),
            creation_time: Some(Timestamp::from_millis(archive.created_ms)),
            ..UpdateArchiveResponse::default()
        })
    }
}

#[async_trait]
impl Handle<DeleteArchive> for Bridge {
    async fn handle(&self, cx: &Cx, req: DeleteArchiveRequest) -> Result<DeleteArchiveResponse, Error> {
        let own = cx.clone();
        let archive = cx
            .write(&self.store, move |tx| {
                let mut archive = Archive::find(tx, &own, &req.archive_name)?;
                archive.retention_days = 0;
                archive.plan(tx, 0)?;
                tx.delete(archive.held())?;
                tx.delete(all(&archive.account, &archive.region).push(&archive.name))?;
                Ok::<_, Error>(archive)
            })
            .await?;
        while forget(&self.store, &archive, u64::MAX).await? == AT_ONCE {}
        Ok(DeleteArchiveResponse {})
    }
}

#[async_trait]
impl Handle<ListArchives> for Bridge {
    async fn handle(&self, cx: &Cx, req: ListArchivesRequest) -> Result<ListArchivesResponse, Error> {
        let (account, region) = (cx.account().to_owned(), cx.region().to_owned());
        let found = self
            .store
            .read(|tx| {
                let found: Vec<Archive> = tx.list_json(all(&account, &region), 10_000)?;
                let with = |archive: Archive, tx: &mut Tx<'_>| {
                    let held: Option<Held> = tx.get_json(archive.held())?;
                    Ok::<_, Error>((archive, held.unwrap_or_default()))
                };
                found.into_iter().map(|archive| with(archive, tx)).collect::<Result<Vec<_>, Error>>()
            })
            .await?;
        let prefix = req.name_prefix.unwrap_or_default();
        let wanted = |archive: &Archive| {
            archive.name.starts_with(&prefix)
                && req.event_source_arn.as_ref().is_none_or(|arn| *arn == archive.bus_arn())
                && req.state.as_ref().is_none_or(|state| state == "ENABLED")
        };
        let found: Vec<_> = found.into_iter().filter(|(archive, _)| wanted(archive)).collect();
        let (found, next_token) = page(found, |(archive, _)| &archive.name, req.next_token.as_deref(), req.limit);
        let shape = |(archive, held): (Archive, Held)| api_events::Archive {
            event_source_arn: Some(archive.bus_arn()),
            archive_name: Some(archive.name),
            state: Some("ENABLED".to_owned()),
            retention_days: Some(archive.retention_days),
            size_bytes: Some(held.bytes),
            event_count: Some(held.count),
            creation_time: Some(Timestamp::from_millis(archive.created_ms)),
            ..api_events::Archive::default()
        };
        Ok(ListArchivesResponse { archives: Some(found.into_iter().map(shape).collect()), next_token })
    }
}

/// Forgets some of the events before a time; answers how many.
async fn forget(store: &Store, archive: &Archive, before_ms: u64) -> Result<usize, Error> {
    let archive = archive.clone();
    store
        .write(move |tx| {
            let prefix = archive.events();
            let end = prefix.clone().push_u64(before_ms).into_bytes();
            let found = tx.scan(prefix.as_bytes(), Some(&end), AT_ONCE, false)?;
            let held: Option<Held> = tx.get_json(archive.held())?;
            let mut left = held.unwrap_or_default();
            for (key, value) in &found {
                let event: Value = store::kv::decode(key, value)?;
                debug_assert!(time_ms(&event) <= before_ms, "the scan ends there");
                left.count -= 1;
                left.bytes -= i64::try_from(event.to_string().len()).unwrap_or(0);
                tx.delete(key)?;
            }
            if held.is_some() {
                tx.put_json(archive.held(), &left)?;
            }
            Ok(found.len())
        })
        .await
}

/// Forgets once a day what is older than its archive's retention.
pub(crate) struct Retainer(pub(crate) Store);

#[async_trait]
impl Runner for Retainer {
    async fn run(&self, task: Task) -> Done {
        let now = self.0.clock().now();
        let again = Done::RetryAfter(jiff::SignedDuration::from_hours(24));
        let Ok((account, region, name)) = task.payload::<(String, String, String)>() else { return Done::Finished };
        let found = self.0.read(|tx| tx.get_json::<Archive>(all(&account, &region).push(&name))).await;
        let Ok(found) = found else { return again };
        let Some(archive) = found.filter(|archive| archive.retention_days > 0) else { return Done::Finished };
        let before = now.as_millisecond() - i64::from(archive.retention_days) * DAY_MS;
        let before = u64::try_from(before).unwrap_or(0);
        while matches!(forget(&self.0, &archive, before).await, Ok(AT_ONCE)) {}
        again
    }
}
