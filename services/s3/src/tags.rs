//! Tags, locks and grants of objects: what is said of a version after it was written.

use service::Cx;

use crate::S3;
use crate::acl::Grant;
use crate::admitted::Home;
use crate::body::readable;
use crate::buckets::now_ms;
use crate::change::{ChangeContext, Garbage};
use crate::errors::Result;
use crate::events::{self, Change};
use crate::lock::{self, Retention};
use crate::put::check_tags;
use crate::records::{BucketRecord, ObjectRecord};
use crate::tx::{Tx, require_bucket};
use crate::version;

/// An object, or one of its versions.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) bucket: String,
    pub(crate) key: String,
    pub(crate) version: Option<String>,
}

impl S3 {
    /// The record without its bytes.
    pub(crate) async fn head(&self, named: &Named) -> Result<ObjectRecord> {
        self.store
            .read(|tx| {
                require_bucket(tx, &named.bucket)?;
                readable(tx, &named.bucket, &named.key, named.version.as_deref())
            })
            .await
    }

    pub(crate) async fn put_object_tags(
        &self,
        cx: &Cx,
        named: Named,
        tags: Vec<(String, String)>,
    ) -> Result<Option<String>> {
        check_tags(&tags, 10)?;
        let (origin, change) = (events::Origin::of(cx), if tags.is_empty() { Change::Untag } else { Change::Tag });
        self.revise(cx, named, move |tx, home, key, record| {
            record.tags.clone_from(&tags);
            let told = events::Details { version: record.version.as_deref() };
            events::record(tx, &origin, home, key, Some(record), change, told)
        })
        .await
    }

    pub(crate) async fn put_retention(
        &self,
        cx: &Cx,
        named: Named,
        retention: Option<Retention>,
        bypass: bool,
    ) -> Result<()> {
        let now = now_ms(cx);
        self.revise(cx, named, move |_, home, _, record| {
            if !home.object_lock {
                return Err(lock::missing());
            }
            lock::check_change(record.retention, retention, now, bypass)?;
            record.retention = retention;
            Ok(())
        })
        .await
        .map(|_| ())
    }

    pub(crate) async fn put_legal_hold(&self, cx: &Cx, named: Named, on: bool) -> Result<()> {
        self.revise(cx, named, move |_, home, _, record| {
            if !home.object_lock {
                return Err(lock::missing());
            }
            record.legal_hold = Some(on);
            Ok(())
        })
        .await
        .map(|_| ())
    }

    pub(crate) async fn put_object_grants(&self, cx: &Cx, named: Named, grants: Vec<Grant>) -> Result<()> {
        let origin = events::Origin::of(cx);
        self.revise(cx, named, move |tx, home, key, record| {
            record.grants = Some(grants.clone());
            let told = events::Details { version: record.version.as_deref() };
            events::record(tx, &origin, home, key, Some(record), Change::Acl, told)
        })
        .await
        .map(|_| ())
    }

    /// Makes an archived object readable for some days; says whether it was already.
    pub(crate) async fn restore(&self, cx: &Cx, named: Named, until_ms: i64) -> Result<bool> {
        let now = now_ms(cx);
        let origin = events::Origin::of(cx);
        let before = self.head(&named).await?;
        let was = before.restored_until_ms.is_some_and(|t| t > now);
        self.revise(cx, named, move |tx, home, key, record| {
            record.restored_until_ms = Some(until_ms);
            let told = events::Details { version: record.version.as_deref() };
            events::record(tx, &origin, home, key, Some(record), Change::RestoreBegun, told)?;
            events::record(tx, &origin, home, key, Some(record), Change::Restore, told)
        })
        .await?;
        Ok(was)
    }

    /// Changes a version's record where it stands; answers with its id where there are versions.
    async fn revise(
        &self,
        cx: &Cx,
        named: Named,
        mut change: impl FnMut(&mut Tx<'_>, &BucketRecord, &str, &mut ObjectRecord) -> Result<()> + Send + 'static,
    ) -> Result<Option<String>> {
        let (home, attempt, restored) = (Home::of(&named.bucket), crate::attempts::of(cx), self.restored.clone());
        let (version, garbage) = cx
            .write(&self.store, move |tx| {
                let home = home.require(tx)?;
                let mut record = readable(tx, &named.bucket, &named.key, named.version.as_deref())?;
                let before = record.said();
                change(tx, &home, &named.key, &mut record)?;
                version::rewrite(tx, &named.bucket, &named.key, &record)?;
                let mut garbage = Garbage::new();
                let place = ChangeContext {
                    bucket: &home,
                    key: &named.key,
                    attempt: attempt.as_deref(),
                    chance: "",
                    restored: &restored,
                };
                crate::change::revise(tx, place, &record, before, &mut garbage)?;
                Ok::<_, wire::Error>((home.versioning.map(|_| record.version_id().to_owned()), garbage))
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(version)
    }
}
