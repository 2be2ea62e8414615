//! CreateActivity: a name has one activity; the tags of a repeated request are not looked at.

use api_states::{CreateActivity, CreateActivityInput, CreateActivityOutput, error};
use async_trait::async_trait;
use service::{Cx, Handle};
use wire::Error;

use crate::activity::{Activity, ActivityArn};
use crate::names::{check_name, new_tags};
use crate::{States, encryption};

#[async_trait]
impl Handle<CreateActivity> for States {
    async fn handle(&self, cx: &Cx, input: CreateActivityInput) -> Result<CreateActivityOutput, Error> {
        check_name(&input.name)?;
        encryption::check(input.encryption_configuration.as_ref())?;
        let arn = ActivityArn::new(cx.account(), cx.region(), &input.name);
        let activity = Activity {
            version: 1,
            arn: arn.as_str().to_owned(),
            name: input.name,
            created_ms: cx.now().as_millisecond(),
            encryption: input.encryption_configuration,
            tags: new_tags(cx, input.tags.as_ref(), arn.as_str())?,
        };
        cx.write(&self.store, move |tx| {
            let created_ms = match tx.get_json::<Activity>(arn.key())? {
                Some(known) if encryption::same(known.encryption.as_ref(), activity.encryption.as_ref()) => {
                    known.created_ms
                }
                Some(_) => {
                    let message = format!("Activity Already Exists: '{}'", arn.as_str());
                    return Err(error::activity_already_exists(message));
                }
                None => {
                    tx.put_json(arn.key(), &activity)?;
                    activity.created_ms
                }
            };
            Ok(CreateActivityOutput {
                activity_arn: arn.as_str().to_owned(),
                creation_date: wire::Timestamp::from_millis(created_ms),
            })
        })
        .await
    }
}
