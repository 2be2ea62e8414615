//! CreateScheduleGroup, GetScheduleGroup, DeleteScheduleGroup and ListScheduleGroups.

use api_scheduler::{
    CreateScheduleGroup, CreateScheduleGroupInput, CreateScheduleGroupOutput, DeleteScheduleGroup,
    DeleteScheduleGroupInput, DeleteScheduleGroupOutput, GetScheduleGroup, GetScheduleGroupInput,
    GetScheduleGroupOutput, ListScheduleGroups, ListScheduleGroupsInput, ListScheduleGroupsOutput,
    ScheduleGroupSummary, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::{Error, Timestamp};

use super::page_size;
use crate::scheduler::record::{DEFAULT_GROUP, Group, Record, ScheduleKey, is_name};
use crate::scheduler::{Scheduler, fire};

#[async_trait]
impl Handle<CreateScheduleGroup> for Scheduler {
    async fn handle(&self, cx: &Cx, req: CreateScheduleGroupInput) -> Result<CreateScheduleGroupOutput, Error> {
        if !is_name(&req.name) {
            return Err(Error::validation(format!("Invalid schedule group name: {}", req.name)));
        }
        let place = ScheduleKey::new(cx, Some(&req.name), "");
        let group = Group {
            version: 1,
            arn: place.group_arn(),
            name: req.name,
            created_ms: cx.now().as_millisecond(),
            tags: req.tags.unwrap_or_default().into_iter().map(|tag| (tag.key, tag.value)).collect(),
        };
        let schedule_group_arn = cx
            .write(&self.store, move |tx| {
                if place.group(tx)?.is_some() {
                    return Err(error::conflict_exception(format!("Schedule group {} already exists.", group.name)));
                }
                tx.put_json(ScheduleKey::groups(&place.account, &place.region).push(&group.name), &group)?;
                Ok(group.arn.clone())
            })
            .await?;
        Ok(CreateScheduleGroupOutput { schedule_group_arn })
    }
}

#[async_trait]
impl Handle<GetScheduleGroup> for Scheduler {
    async fn handle(&self, cx: &Cx, req: GetScheduleGroupInput) -> Result<GetScheduleGroupOutput, Error> {
        let place = ScheduleKey::new(cx, Some(&req.name), "");
        let group = self.store.read(|tx| place.load_group(tx)).await?;
        Ok(GetScheduleGroupOutput {
            arn: Some(group.arn),
            creation_date: Some(Timestamp::from_millis(group.created_ms)),
            last_modification_date: Some(Timestamp::from_millis(group.created_ms)),
            name: Some(group.name),
            state: Some("ACTIVE".to_owned()),
        })
    }
}

#[async_trait]
impl Handle<DeleteScheduleGroup> for Scheduler {
    async fn handle(&self, cx: &Cx, req: DeleteScheduleGroupInput) -> Result<DeleteScheduleGroupOutput, Error> {
        let place = ScheduleKey::new(cx, Some(&req.name), "");
        if place.group == DEFAULT_GROUP {
            return Err(Error::validation("The default schedule group cannot be deleted."));
        }
        self.store.read(|tx| place.load_group(tx).map(drop)).await?;
        self.empty(&place).await?;
        cx.write(&self.store, move |tx| {
            place.load_group(tx)?;
            // What came since is little.
            for record in tx.list_json::<Record>(place.in_group(), usize::MAX)? {
                let place = ScheduleKey { name: record.shown.name.unwrap_or_default(), ..place.clone() };
                fire::cancel(tx, &place)?;
                tx.delete(place.key())?;
            }
            Ok::<_, Error>(tx.delete(ScheduleKey::groups(&place.account, &place.region).push(&place.group))?)
        })
        .await?;
        Ok(DeleteScheduleGroupOutput {})
    }
}

/// Schedules deleted in one transaction.
const DELETED_AT_ONCE: usize = 500;

impl Scheduler {
    /// Deletes a group's schedules, some at a time: those that write meanwhile do not wait for all of it.
    async fn empty(&self, place: &ScheduleKey) -> Result<(), Error> {
        loop {
            let group = place.clone();
            let deleted = self.store.write(move |tx| {
                let some = tx.list_json::<Record>(group.in_group(), DELETED_AT_ONCE)?;
                for record in &some {
                    let place = ScheduleKey { name: record.shown.name.clone().unwrap_or_default(), ..group.clone() };
                    fire::cancel(tx, &place)?;
                    tx.delete(place.key())?;
                }
                Ok::<_, Error>(some.len())
            });
            if deleted.await? < DELETED_AT_ONCE {
                return Ok(());
            }
        }
    }
}

#[async_trait]
impl Handle<ListScheduleGroups> for Scheduler {
    async fn handle(&self, cx: &Cx, req: ListScheduleGroupsInput) -> Result<ListScheduleGroupsOutput, Error> {
        let place = ScheduleKey::new(cx, None, "");
        let mut groups = self
            .store
            .read(|tx| {
                let mut groups: Vec<Group> =
                    tx.list_json(ScheduleKey::groups(&place.account, &place.region), 100_000)?;
                groups.extend(place.group(tx)?.filter(|one| !groups.iter().any(|own| own.name == one.name)));
                Ok::<_, Error>(groups)
            })
            .await?;
        let prefix = req.name_prefix.unwrap_or_default();
        groups.retain(|group| group.name.starts_with(&prefix) && Some(&group.name) > req.next_token.as_ref());
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        let size = page_size(req.max_results);
        let more = groups.len() > size;
        groups.truncate(size);
        let next_token = groups.last().filter(|_| more).map(|last| last.name.clone());
        let summary = |group: Group| ScheduleGroupSummary {
            arn: Some(group.arn),
            creation_date: Some(Timestamp::from_millis(group.created_ms)),
            last_modification_date: Some(Timestamp::from_millis(group.created_ms)),
            name: Some(group.name),
            state: Some("ACTIVE".to_owned()),
        };
        Ok(ListScheduleGroupsOutput { next_token, schedule_groups: groups.into_iter().map(summary).collect() })
    }
}
