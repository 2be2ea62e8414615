//! EventBridge: buses, rules with their targets, events.

mod audience;
mod event;
mod fire;
mod ops;
mod rule;

use std::sync::Arc;

use service::{Platform, operations};
use store::Store;

/// The service.
#[derive(Debug)]
pub(crate) struct Bridge {
    store: Store,
}

pub(crate) fn register(platform: &Platform) {
    let store = platform.control.store().clone();
    let service = Arc::new(Bridge { store: store.clone() });
    platform.router.set_audience(Arc::new(audience::Listeners::new(&store)));
    operations!(platform.router, service, api_events:
        CreateEventBus, DeleteEventBus, DeleteRule, DescribeEventBus, DescribeRule, DisableRule, EnableRule,
        ListEventBuses, ListRuleNamesByTarget, ListRules, ListTagsForResource, ListTargetsByRule, PutEvents, PutPermission, PutRule,
        PutTargets, RemovePermission, RemoveTargets, TagResource, TestEventPattern, UntagResource, UpdateEventBus,
    );
    operations!(platform.router, service, api_lakerun: ListRuleTimes);
    platform.router.add_guard("events", service.clone());
    platform.control.register(fire::FIRE, 2, Arc::new(fire::Firer(store)));
}
