//! PutEventSelectors and GetEventSelectors.

use api_cloudtrail::{
    GetEventSelectors, GetEventSelectorsRequest, GetEventSelectorsResponse, PutEventSelectors,
    PutEventSelectorsRequest, PutEventSelectorsResponse, error,
};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use super::trails::all_management;
use crate::Trails;
use crate::selectors::check;
use crate::trail::{Trail, find, place};

#[async_trait]
impl Handle<PutEventSelectors> for Trails {
    async fn handle(&self, cx: &Cx, req: PutEventSelectorsRequest) -> Result<PutEventSelectorsResponse, Error> {
        let (basic, advanced) =
            (req.event_selectors.unwrap_or_default(), req.advanced_event_selectors.unwrap_or_default());
        if basic.is_empty() == advanced.is_empty() {
            return Err(error::invalid_event_selectors_exception(
                "Specify either EventSelectors or AdvancedEventSelectors for a trail, not both.",
            ));
        }
        check(&basic, &advanced)?;
        let basic: Vec<_> = basic
            .into_iter()
            .map(|given| {
                let default = all_management();
                api_cloudtrail::EventSelector {
                    read_write_type: given.read_write_type.or(default.read_write_type),
                    include_management_events: given.include_management_events.or(default.include_management_events),
                    data_resources: given.data_resources.or(default.data_resources),
                    exclude_management_event_sources: given
                        .exclude_management_event_sources
                        .or(default.exclude_management_event_sources),
                }
            })
            .collect();
        let place = place(cx, &req.trail_name);
        let changed = cx
            .write(&self.store, move |tx| {
                let mut trail = find(tx, &place)?;
                trail.selectors.clone_from(&basic);
                trail.advanced.clone_from(&advanced);
                trail.save(tx)?;
                Ok::<_, Error>(trail)
            })
            .await?;
        let (arn, basic, advanced) = told(changed);
        Ok(PutEventSelectorsResponse { trail_arn: arn, event_selectors: basic, advanced_event_selectors: advanced })
    }
}

#[async_trait]
impl Handle<GetEventSelectors> for Trails {
    async fn handle(&self, cx: &Cx, req: GetEventSelectorsRequest) -> Result<GetEventSelectorsResponse, Error> {
        let place = place(cx, &req.trail_name);
        let (arn, basic, advanced) = told(self.store.read(|tx| find(tx, &place)).await?);
        Ok(GetEventSelectorsResponse { trail_arn: arn, event_selectors: basic, advanced_event_selectors: advanced })
    }
}

type Told =
    (Option<String>, Option<Vec<api_cloudtrail::EventSelector>>, Option<Vec<api_cloudtrail::AdvancedEventSelector>>);

fn told(trail: Trail) -> Told {
    let arn = Some(trail.arn());
    let some = |is_empty: bool| !is_empty;
    (
        arn,
        Some(trail.selectors).filter(|all| some(all.is_empty())),
        Some(trail.advanced).filter(|all| some(all.is_empty())),
    )
}
