//! EventBridge: buses, rules with their targets, events.

mod audience;
pub(crate) mod event;
mod fire;
mod ops;
pub(crate) mod rule;

use std::sync::Arc;

pub(crate) use event::replay;
pub(crate) use rule::Home;

use service::{Platform, operations};
use store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Bridge {
    pub(crate) store: Store,
}

pub(crate) fn register(platform: &Platform) {
    let store = platform.control.store().clone();
    let service = Arc::new(Bridge { store: store.clone() });
    platform.router.set_audience(Arc::new(audience::Listeners::new(&store)));
    operations!(platform.router, service, api_events:
        CancelReplay, CreateArchive, CreateEventBus, DeleteArchive, DeleteEventBus, DeleteRule, DescribeArchive, DescribeEventBus, DescribeReplay, DescribeRule, DisableRule, EnableRule,
        ListArchives, ListEventBuses, ListReplays, ListRuleNamesByTarget, ListRules, ListTagsForResource, ListTargetsByRule, PutEvents, PutPermission, PutRule,
        PutTargets, RemovePermission, RemoveTargets, StartReplay, TagResource, TestEventPattern, UntagResource, UpdateArchive, UpdateEventBus,
    );
    operations!(platform.router, service, api_lakerun: ListRuleTimes);
    platform.router.add_guard("events", service);
    platform.control.register(crate::archive::REPLAY, 4, Arc::new(crate::archive::Replayer(store.clone())));
    platform.control.register(crate::archive::RETAIN, 1, Arc::new(crate::archive::Retainer(store.clone())));
    platform.control.register(fire::FIRE, 2, Arc::new(fire::Firer(store)));
}
