//! DeleteObject and DeleteObjects. A key that is not there is deleted successfully, as S3 has it.

use service::Cx;

use crate::S3;
use crate::change::{self, Garbage};
use crate::conditions::Conditions;
use crate::errors::{Result, no_such_version};
use crate::events::{self, Change};
use crate::keys;
use crate::records::ObjectRecord;
use crate::tx::require_bucket;

/// One key to delete.
#[derive(Clone, Debug)]
pub(crate) struct Doomed {
    pub(crate) key: String,
    pub(crate) version: Option<String>,
    pub(crate) conditions: Conditions,
}

impl S3 {
    /// Deletes the keys in one transaction; each has its own outcome.
    pub(crate) async fn delete_objects(
        &self,
        cx: &Cx,
        bucket: &str,
        doomed: Vec<Doomed>,
    ) -> Result<Vec<Result<String, (String, wire::Error)>>> {
        let bucket = bucket.to_owned();
        let attempt = crate::attempts::of(cx);
        let origin = events::Origin::of(cx);
        let (outcomes, garbage) = cx
            .write(&self.store, move |tx| {
                let home = require_bucket(tx, &bucket)?;
                let mut garbage = Garbage::new();
                let mut outcomes = Vec::with_capacity(doomed.len());
                for one in &doomed {
                    let current: Option<ObjectRecord> = tx.get_json(keys::object(&bucket, &one.key))?;
                    if let Err(error) = permitted(one, current.as_ref()) {
                        outcomes.push(Err((one.key.clone(), error)));
                        continue;
                    }
                    if current.is_some() {
                        garbage.extend(change::replace(tx, (&bucket, &one.key), None, attempt.as_deref())?);
                        events::record(tx, &origin, &home, &one.key, None, Change::Delete)?;
                    }
                    outcomes.push(Ok(one.key.clone()));
                }
                Ok::<_, wire::Error>((outcomes, garbage))
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(outcomes)
    }

    pub(crate) async fn delete_object(&self, cx: &Cx, bucket: &str, doomed: Doomed) -> Result<()> {
        for outcome in self.delete_objects(cx, bucket, vec![doomed]).await? {
            outcome.map_err(|(_, error)| error)?;
        }
        Ok(())
    }
}

fn permitted(one: &Doomed, current: Option<&ObjectRecord>) -> Result<()> {
    if one.version.as_deref().is_some_and(|v| v != "null") {
        return Err(no_such_version());
    }
    one.conditions.check_write(&one.key, current)
}
