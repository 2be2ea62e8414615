//! EventBridge Scheduler: schedules and their groups.

mod fire;
mod ops;
mod record;

use std::sync::Arc;

use service::{Platform, operations};
use store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Scheduler {
    store: Store,
}

pub(crate) fn register(platform: &Platform) {
    let store = platform.control.store().clone();
    let service = Arc::new(Scheduler { store: store.clone() });
    operations!(platform.router, service, api_scheduler:
        CreateSchedule, CreateScheduleGroup, DeleteSchedule, DeleteScheduleGroup, GetSchedule, GetScheduleGroup,
        ListScheduleGroups, ListSchedules, ListTagsForResource, TagResource, UntagResource, UpdateSchedule,
    );
    operations!(platform.router, service, api_lakerun: ListScheduleTimes);
    platform.control.register(fire::FIRE, 2, Arc::new(fire::Firer(store)));
}
