//! CloudTrail: who called what, from where, and whether it was let, as records in a bucket and in the table `lakerun.audit`.
//!
//! A call that a trail wants is answered when its record is in the store; a durable task brings what has gathered to the trail's bucket,
//! and takes it from the store when the bucket has it: at least once. Where no trail logs, nothing is noted at all.
//!
//! Map: [`event`] a call as CloudTrail writes it · [`hidden`] what is not told of it · [`kind`] management or data, and which resources · [`selectors`] which events a trail
//! wants · [`trail`] trails as records · [`keep`] the recorder · [`bucket`] whether a bucket lets it in · [`deliver`] the task · [`ops`] the operations.
//!
//! Not here: digests, Insights, Lake, organizations.

mod bucket;
mod deliver;
mod event;
mod hidden;
mod keep;
mod kind;
mod ops;
mod selectors;
mod trail;

use std::sync::Arc;

use serde::Deserialize;
use service::{Platform, operations};
use store::Store;

/// `[cloudtrail]` of the settings.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// How long events gather before they are brought to the bucket.
    deliver_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { deliver_seconds: 300 }
    }
}

/// The service.
#[derive(Debug)]
pub struct Trails {
    store: Store,
    keeper: Arc<keep::Keeper>,
}

/// Registers the operations, the recorder and the tasks.
///
/// # Errors
/// A text that says what is wrong in the settings.
pub fn register(platform: &Platform) -> Result<Arc<Trails>, String> {
    let settings: Settings = platform.settings.section("cloudtrail")?;
    let store = platform.control.store().clone();
    let keeper = Arc::new(keep::Keeper::new(store.clone(), settings.deliver_seconds.max(1)));
    let service = Arc::new(Trails { store: store.clone(), keeper: Arc::clone(&keeper) });
    operations!(platform.router, service, api_cloudtrail:
        AddTags, CreateTrail, DeleteTrail, DescribeTrails, GetEventSelectors, GetTrail, GetTrailStatus, ListTags, ListTrails,
        LookupEvents, PutEventSelectors, RemoveTags, StartLogging, StopLogging, UpdateTrail,
    );
    let runner = deliver::Deliverer { router: Arc::clone(&platform.router), store };
    platform.control.register(deliver::DELIVER, 4, Arc::new(runner.clone()));
    platform.control.register(deliver::FORGET, 1, Arc::new(runner));
    platform.router.set_audit(keeper);
    Ok(service)
}

impl Trails {
    /// Looks which trails log, and puts the daily task on the queue.
    ///
    /// # Errors
    /// When the store refuses.
    pub async fn start(&self) -> Result<(), wire::Error> {
        self.keeper.look().await?;
        Ok(self.store.write(deliver::forget_daily).await?)
    }
}
