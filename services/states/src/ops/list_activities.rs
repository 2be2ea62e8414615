//! ListActivities, by name.

use api_states::{ActivityListItem, ListActivities, ListActivitiesInput, ListActivitiesOutput};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::activity::{Activity, activities};
use crate::{States, page};

#[async_trait]
impl Handle<ListActivities> for States {
    async fn handle(&self, cx: &Cx, input: ListActivitiesInput) -> Result<ListActivitiesOutput, Error> {
        let size = page::size(input.max_results);
        let prefix = activities(cx.account(), cx.region());
        let after = page::place_in(&prefix, input.next_token.as_ref())?.unwrap_or_default();
        self.store
            .read(|tx| {
                let found = tx.scan_after(&prefix, &after, size + 1)?;
                let more = found.len() > size;
                let mut output = ListActivitiesOutput::default();
                for (key, value) in found.into_iter().take(size) {
                    let activity: Activity = store::kv::decode(&key, &value)?;
                    output.activities.push(ActivityListItem {
                        activity_arn: activity.arn,
                        name: activity.name,
                        creation_date: wire::Timestamp::from_millis(activity.created_ms),
                    });
                    output.next_token = more.then(|| page::token(&key));
                }
                Ok(output)
            })
            .await
    }
}
