//! Lifecycle rules: what is a valid set of them, when they apply to a version, and the sweep that carries them out. Sources: S3 User
//! Guide, "Lifecycle configuration elements", "Expiring objects", "Conflicts in lifecycle configurations"; API reference,
//! PutBucketLifecycleConfiguration.
//!
//! The sweep is a task on the durable queue that asks for its own next run: what a crash interrupts runs again, and what it has done
//! is done, for each deletion is a transaction of its own that looks at the version once more.

use s3s::dto::{BucketLifecycleConfiguration, LifecycleRule, Tag, Timestamp, TransitionStorageClass};
use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Done, NewTask, Task};
use wire::Error;

use crate::S3;
use crate::change::{self, Garbage};
use crate::errors::{Result, invalid_argument, invalid_request, malformed_xml};
use crate::events::{self, Change};
use crate::keys;
use crate::lock;
use crate::put::STORAGE_CLASSES;
use crate::records::{BucketRecord, ObjectRecord, UploadRecord};
use crate::settings::{LIFECYCLE, LIFECYCLE_SMALLEST};
use crate::tx::Tx;
use crate::version;

/// The kind of task that looks for what is to be expired.
pub(crate) const TASK: &str = "s3:lifecycle";
const TASK_ID: &str = "s3-lifecycle";
/// Of `TransitionDefaultMinimumObjectSize`; the other value is the usual one.
pub(crate) const VARIES: &str = "varies_by_storage_class";
pub(crate) const USUAL_SMALLEST: &str = "all_storage_classes_128K";
const MAX_RULES: usize = 1000;
const DAY_MS: i64 = 86_400_000;

/// What is put: checked, and each rule with an id. `day_ms`: where days are shorter than days, a month is none either.
pub(crate) fn check(
    mut config: BucketLifecycleConfiguration,
    chance: &str,
    day_ms: i64,
) -> Result<BucketLifecycleConfiguration> {
    if config.rules.is_empty() || config.rules.len() > MAX_RULES {
        return Err(malformed_xml());
    }
    let mut ids: Vec<String> = Vec::new();
    for (n, rule) in config.rules.iter_mut().enumerate() {
        check_rule(rule)?;
        if day_ms == DAY_MS {
            check_months(rule)?;
        }
        let id = match rule.id.clone().filter(|id| !id.is_empty()) {
            Some(id) if id.chars().count() > 255 => {
                return Err(invalid_argument("ID length should not exceed allowed limit of 255"));
            }
            Some(id) => id,
            None => format!("{n:04x}{}", &chance[chance.len().saturating_sub(44)..]),
        };
        if ids.contains(&id) {
            return Err(invalid_argument("Rule ID must be unique. Found same ID for more than one rule"));
        }
        ids.push(id.clone());
        rule.id = Some(id);
    }
    Ok(config)
}

#[expect(clippy::too_many_lines, reason = "one rule of AWS's after the other")]
fn check_rule(rule: &LifecycleRule) -> Result<()> {
    if !matches!(rule.status.as_str(), "Enabled" | "Disabled") {
        return Err(malformed_xml());
    }
    if rule.filter.is_some() == rule.prefix.is_some() {
        return Err(malformed_xml());
    }
    if prefix(rule).len() > 1024 {
        return Err(invalid_request("The maximum size of a prefix is 1024."));
    }
    if tags(rule).any(|tag| tag.key.as_deref().is_none_or(|key| key.is_empty() || key.chars().count() > 128)) {
        return Err(Error::new("InvalidTag", 400, "The TagKey you have provided is invalid"));
    }
    if let Some(filter) = &rule.filter {
        let named = [
            filter.and.is_some(),
            filter.prefix.is_some(),
            filter.tag.is_some(),
            filter.object_size_greater_than.is_some(),
            filter.object_size_less_than.is_some(),
        ];
        if named.iter().filter(|named| **named).count() > 1 {
            return Err(malformed_xml());
        }
        if let Some(and) = &filter.and {
            let tags = and.tags.as_deref().unwrap_or_default();
            let others =
                [and.prefix.is_some(), and.object_size_greater_than.is_some(), and.object_size_less_than.is_some()];
            if others.iter().filter(|named| **named).count() + tags.len() < 2 {
                return Err(malformed_xml());
            }
            if tags.iter().enumerate().any(|(n, tag)| tags[..n].iter().any(|earlier| earlier.key == tag.key)) {
                return Err(invalid_request("Duplicate Tag Keys are not allowed."));
            }
        }
        if let Some(and) = &filter.and
            && let (Some(more), Some(less)) = (and.object_size_greater_than, and.object_size_less_than)
            && more >= less
        {
            return Err(invalid_request(
                "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.",
            ));
        }
    }
    let positive = |days: Option<i32>, action: &str| match days {
        Some(days) if days <= 0 => {
            Err(invalid_argument(format!("'Days' for {action} action must be a positive integer")))
        }
        _ => Ok(()),
    };
    let mut acts = false;
    if let Some(expiration) = &rule.expiration {
        acts = true;
        let marker = expiration.expired_object_delete_marker.is_some();
        let said = [expiration.days.is_some(), expiration.date.is_some(), marker];
        if said.iter().filter(|said| **said).count() != 1 {
            return Err(malformed_xml());
        }
        positive(expiration.days, "Expiration")?;
        midnight(expiration.date.as_ref())?;
        if marker && tags(rule).next().is_some() {
            return Err(invalid_request("ExpiredObjectDeleteMarker cannot be specified with Tags."));
        }
    }
    if let Some(old) = &rule.noncurrent_version_expiration {
        acts = true;
        if old.noncurrent_days.is_none_or(|days| days <= 0) {
            return Err(invalid_argument(
                "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer",
            ));
        }
        if old.newer_noncurrent_versions.is_some_and(|n| !(1..=100).contains(&n)) {
            return Err(invalid_argument("'NewerNoncurrentVersions' must be between 1 and 100"));
        }
    }
    if let Some(abort) = &rule.abort_incomplete_multipart_upload {
        acts = true;
        if abort.days_after_initiation.is_none_or(|days| days <= 0) {
            return Err(invalid_argument(
                "'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer",
            ));
        }
        if tags(rule).next().is_some() {
            return Err(invalid_request("AbortIncompleteMultipartUpload cannot be specified with Tags."));
        }
    }
    for transition in rule.transitions.iter().flatten() {
        acts = true;
        if transition.days.is_some() == transition.date.is_some() {
            return Err(malformed_xml());
        }
        if transition.days.is_some_and(|days| days < 0) {
            return Err(invalid_argument("'Days' in Transition action must be nonnegative"));
        }
        midnight(transition.date.as_ref())?;
        class(transition.storage_class.as_ref().map(TransitionStorageClass::as_str))?;
        if let (Some(days), Some(expires)) =
            (transition.days, rule.expiration.as_ref().and_then(|expiration| expiration.days))
            && expires <= days
        {
            return Err(invalid_argument(
                "'Days' in the Expiration action for filter must be greater than 'Days' in the Transition action",
            ));
        }
    }
    check_transitions(rule)?;
    check_waterfall(rule)?;
    for transition in rule.noncurrent_version_transitions.iter().flatten() {
        acts = true;
        if transition.noncurrent_days.is_none_or(|days| days < 0) {
            return Err(invalid_argument("'NoncurrentDays' in NoncurrentVersionTransition action must be nonnegative"));
        }
        class(transition.storage_class.as_ref().map(TransitionStorageClass::as_str))?;
    }
    if acts {
        return Ok(());
    }
    Err(invalid_request("At least one action needs to be specified in a rule"))
}

/// The infrequent-access classes keep an object for 30 days at least, before and after. Source: S3 User Guide, "Transitioning objects using
/// Amazon S3 Lifecycle", "Constraints and considerations".
fn check_months(rule: &LifecycleRule) -> Result<()> {
    let infrequent = |class: &str| matches!(class, "STANDARD_IA" | "ONEZONE_IA");
    let transitions = rule.transitions.iter().flatten();
    let mut planned: Vec<(i32, &str)> =
        transitions.filter_map(|t| Some((t.days?, t.storage_class.as_ref()?.as_str()))).collect();
    planned.sort_by_key(|(days, _)| *days);
    let old = rule.noncurrent_version_transitions.iter().flatten();
    let old = old.filter_map(|t| Some((t.noncurrent_days?, t.storage_class.as_ref()?.as_str())));
    let early = |(days, class): &(i32, &str)| infrequent(class) && *days < 30;
    if let Some((_, class)) = planned.iter().find(|one| early(one)) {
        return Err(invalid_argument(format!(
            "'Days' in Transition action must be greater than or equal to 30 for storageClass '{class}'"
        )));
    }
    if let Some((_, class)) = old.into_iter().find(|one| early(one)) {
        return Err(invalid_argument(format!(
            "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or equal to 30 for storageClass \
             '{class}'"
        )));
    }
    let hasty = planned.windows(2).find(|pair| infrequent(pair[0].1) && pair[1].0 - pair[0].0 < 30);
    if let Some(pair) = hasty {
        let place = prefix(rule);
        return Err(invalid_argument(format!(
            "'Days' in the 'Transition' action for StorageClass '{}' for filter '(prefix={place})' must be 30 days more than \
             'filter '(prefix={place})'' in the 'Transition' action for StorageClass '{}'",
            pair[1].1, pair[0].1
        )));
    }
    Ok(())
}

/// What holds of a rule's transitions together: no class twice, and no mixture of days and dates.
fn check_transitions(rule: &LifecycleRule) -> Result<()> {
    let transitions = rule.transitions.as_deref().unwrap_or_default();
    let place = prefix(rule);
    let class = |n: usize| transitions[n].storage_class.as_ref().map(TransitionStorageClass::as_str);
    if (0..transitions.len()).any(|n| (0..n).any(|earlier| class(earlier) == class(n))) {
        return Err(invalid_argument(format!(
            "'StorageClass' must be different for 'Transition' actions in same 'Rule' with filter '(prefix={place})'"
        )));
    }
    let expires = rule.expiration.iter().filter(|expiration| expiration.expired_object_delete_marker.is_none());
    let dated: Vec<bool> =
        transitions.iter().map(|t| t.date.is_some()).chain(expires.map(|e| e.date.is_some())).collect();
    if dated.iter().any(|date| *date) && dated.iter().any(|date| !*date) {
        return Err(invalid_request(format!(
            "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter \
             '(prefix={place})'"
        )));
    }
    Ok(())
}

/// An object goes down the classes and never up again. Source: S3 User Guide, "Transitioning objects using Amazon S3 Lifecycle", "Supported
/// lifecycle transitions".
fn check_waterfall(rule: &LifecycleRule) -> Result<()> {
    let depth = |class: &str| match class {
        "STANDARD_IA" => 1,
        "INTELLIGENT_TIERING" => 2,
        "ONEZONE_IA" | "GLACIER_IR" => 3,
        "GLACIER" => 4,
        _ => 5,
    };
    let class = |class: Option<&TransitionStorageClass>| class.map(|class| class.as_str().to_owned());
    let days =
        rule.transitions.iter().flatten().filter_map(|t| Some((i64::from(t.days?), class(t.storage_class.as_ref())?)));
    let dates = rule.transitions.iter().flatten();
    let dates = dates.filter_map(|t| Some((millis(t.date.as_ref()?)?, class(t.storage_class.as_ref())?)));
    let old = rule.noncurrent_version_transitions.iter().flatten();
    let old = old.filter_map(|t| Some((i64::from(t.noncurrent_days?), class(t.storage_class.as_ref())?)));
    for mut planned in [days.collect::<Vec<_>>(), dates.collect(), old.collect()] {
        planned.sort_by_key(|(when, class)| (*when, depth(class)));
        if let Some(pair) = planned.windows(2).find(|pair| depth(&pair[1].1) <= depth(&pair[0].1)) {
            return Err(invalid_request(format!(
                "Objects cannot be transitioned from the '{}' to the '{}' storage class",
                pair[0].1, pair[1].1
            )));
        }
    }
    Ok(())
}

fn class(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if STORAGE_CLASSES.contains(&name) && name != "STANDARD" && name != "REDUCED_REDUNDANCY" => Ok(()),
        _ => Err(malformed_xml()),
    }
}

fn midnight(date: Option<&Timestamp>) -> Result<()> {
    match date.and_then(millis) {
        Some(ms) if ms.rem_euclid(86_400_000) != 0 => Err(invalid_argument("'Date' must be at midnight GMT")),
        _ => Ok(()),
    }
}

fn millis(time: &Timestamp) -> Option<i64> {
    let mut text = Vec::new();
    time.format(s3s::dto::TimestampFormat::DateTime, &mut text).ok()?;
    wire::Timestamp::parse_iso(&String::from_utf8(text).ok()?).map(wire::Timestamp::as_millis)
}

fn tags(rule: &LifecycleRule) -> impl Iterator<Item = &Tag> {
    let filter = rule.filter.as_ref();
    let one = filter.and_then(|f| f.tag.as_ref());
    let more = filter.and_then(|f| f.and.as_ref()).and_then(|a| a.tags.as_ref());
    one.into_iter().chain(more.into_iter().flatten())
}

fn prefix(rule: &LifecycleRule) -> &str {
    let filter = rule.filter.as_ref();
    let of_filter =
        filter.and_then(|f| f.prefix.as_deref().or_else(|| f.and.as_ref().and_then(|a| a.prefix.as_deref())));
    rule.prefix.as_deref().or(of_filter).unwrap_or_default()
}

/// Is the rule about this object?
fn concerns(rule: &LifecycleRule, key: &str, record: &ObjectRecord) -> bool {
    let filter = rule.filter.as_ref();
    let and = filter.and_then(|f| f.and.as_ref());
    let size = i64::try_from(record.size).unwrap_or(i64::MAX);
    let more = filter.and_then(|f| f.object_size_greater_than).or_else(|| and.and_then(|a| a.object_size_greater_than));
    let less = filter.and_then(|f| f.object_size_less_than).or_else(|| and.and_then(|a| a.object_size_less_than));
    rule.status.as_str() == "Enabled"
        && key.starts_with(prefix(rule))
        && more.is_none_or(|limit| size > limit)
        && less.is_none_or(|limit| size < limit)
        && tags(rule).all(|tag| {
            let wanted = (tag.key.as_deref().unwrap_or_default(), tag.value.as_deref().unwrap_or_default());
            record.tags.iter().any(|(name, value)| (name.as_str(), value.as_str()) == wanted)
        })
}

/// Days are counted to the next midnight after them. `day_ms` is a day's length.
fn due(from_ms: i64, days: i32, day_ms: i64) -> i64 {
    let end = from_ms + i64::from(days) * day_ms;
    end + (-end).rem_euclid(day_ms)
}

/// When the rules expire a current version, and the rule that does it first.
fn expires<'a>(rules: &'a [LifecycleRule], key: &str, record: &ObjectRecord, day_ms: i64) -> Option<(i64, &'a str)> {
    rules
        .iter()
        .filter(|rule| concerns(rule, key, record))
        .filter_map(|rule| {
            let expiration = rule.expiration.as_ref()?;
            let at = match (expiration.days, &expiration.date) {
                (Some(days), _) => due(record.modified_ms, days, day_ms),
                (None, Some(date)) => millis(date)?,
                (None, None) => return None,
            };
            Some((at, rule.id.as_deref().unwrap_or_default()))
        })
        .min()
}

/// The class that the rules have put an object in by now.
fn transition(rules: &[LifecycleRule], key: &str, record: &ObjectRecord, now: i64, terms: Terms) -> Option<String> {
    let day_ms = terms.day_ms;
    rules
        .iter()
        .filter(|rule| concerns(rule, key, record))
        .flat_map(|rule| {
            let large = |class: Option<&TransitionStorageClass>| terms.takes(rule, record, class);
            rule.transitions.iter().flatten().filter(move |t| large(t.storage_class.as_ref()))
        })
        .filter_map(|t| {
            let at = match (t.days, &t.date) {
                (Some(days), _) => due(record.modified_ms, days, day_ms),
                (None, Some(date)) => millis(date)?,
                (None, None) => return None,
            };
            let class = t.storage_class.as_ref()?.as_str().to_owned();
            (at <= now).then(|| (rank(&class), class))
        })
        .max()
        .filter(|(rank_, _)| *rank_ > rank(record.headers.storage_class.as_deref().unwrap_or("STANDARD")))
        .map(|(_, class)| class)
}

/// What beside its rules a bucket's lifecycle goes by.
#[derive(Clone, Copy, Debug)]
struct Terms {
    day_ms: i64,
    /// `varies_by_storage_class`, as opposed to `all_storage_classes_128K`.
    varies: bool,
}

impl Terms {
    /// Is the object large enough to be moved to the class? A rule that speaks of sizes itself says so.
    fn takes(self, rule: &LifecycleRule, record: &ObjectRecord, class: Option<&TransitionStorageClass>) -> bool {
        let filter = rule.filter.as_ref();
        let and = filter.and_then(|f| f.and.as_ref());
        let more =
            filter.and_then(|f| f.object_size_greater_than).or_else(|| and.and_then(|a| a.object_size_greater_than));
        let less = filter.and_then(|f| f.object_size_less_than).or_else(|| and.and_then(|a| a.object_size_less_than));
        let archive = matches!(class.map(TransitionStorageClass::as_str), Some("GLACIER" | "DEEP_ARCHIVE"));
        more.is_some() || less.is_some() || record.size >= 128 * 1024 || (self.varies && archive)
    }
}

/// Objects go down this list, never up.
fn rank(class: &str) -> usize {
    const ORDER: [&str; 7] =
        ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"];
    ORDER.iter().position(|c| *c == class).unwrap_or(0)
}

/// What becomes of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    /// The current version ends: a delete marker, or without versions the object's end.
    Expires,
    /// A noncurrent version, or a delete marker that nothing is behind, goes for good.
    Goes,
    Moves(String),
}

/// Versions that are looked at together. A key may have a million.
const PIECE: usize = if cfg!(test) { 3 } else { 1000 };

/// Where among a key's versions a piece of them begins.
#[derive(Clone, Copy, Debug, Default)]
struct Cursor {
    /// Behind the version of this number.
    than: Option<u64>,
    /// When that was made.
    since_ms: i64,
    /// How many are before it.
    before: usize,
}

/// A piece of a key's versions, the newest first, and where the next one begins.
fn piece(tx: &mut Tx<'_>, bucket: &str, key: &str, cursor: Cursor) -> Result<(Vec<ObjectRecord>, Option<Cursor>)> {
    let mut records = version::list(tx, bucket, key, cursor.than, PIECE + 1)?;
    let more = records.len() > PIECE;
    records.truncate(PIECE);
    let next = records.last().filter(|_| more).map(|last| Cursor {
        than: Some(last.seq),
        since_ms: last.modified_ms,
        before: cursor.before + records.len(),
    });
    Ok((records, next))
}

/// What becomes of a piece of one key's versions.
fn fates(
    rules: &[LifecycleRule],
    key: &str,
    (cursor, versions): (Cursor, &[ObjectRecord]),
    now: i64,
    terms: Terms,
) -> Vec<Fate> {
    let day_ms = terms.day_ms;
    let mut fates = Vec::with_capacity(versions.len());
    for (at, record) in versions.iter().enumerate() {
        let n = cursor.before + at;
        fates.push(match n {
            0 if record.marker => {
                let alone = versions.len() == 1;
                let asked = rules.iter().any(|rule| {
                    let expiration = rule.expiration.as_ref();
                    let by_days = expiration
                        .and_then(|e| e.days)
                        .is_some_and(|days| due(record.modified_ms, days, day_ms) <= now);
                    concerns(rule, key, record)
                        && (by_days || expiration.and_then(|e| e.expired_object_delete_marker) == Some(true))
                });
                if alone && asked { Fate::Goes } else { Fate::Stays }
            }
            0 => match expires(rules, key, record, day_ms) {
                Some((at, _)) if at <= now => Fate::Expires,
                _ => transition(rules, key, record, now, terms).map_or(Fate::Stays, Fate::Moves),
            },
            _ => {
                // Noncurrent since the next newer version was made; how many noncurrent ones are newer: n - 1.
                let since = at.checked_sub(1).map_or(cursor.since_ms, |newer| versions[newer].modified_ms);
                let newer = i32::try_from(n - 1).unwrap_or(i32::MAX);
                let goes = rules.iter().filter(|rule| concerns(rule, key, record)).any(|rule| {
                    rule.noncurrent_version_expiration.as_ref().is_some_and(|old| {
                        old.noncurrent_days.is_some_and(|days| due(since, days, day_ms) <= now)
                            && old.newer_noncurrent_versions.is_none_or(|keep| newer >= keep)
                    })
                });
                let moves = || {
                    rules
                        .iter()
                        .filter(|rule| concerns(rule, key, record))
                        .flat_map(|rule| {
                            let large = |class: Option<&TransitionStorageClass>| terms.takes(rule, record, class);
                            let moves = rule.noncurrent_version_transitions.iter().flatten();
                            moves.filter(move |t| large(t.storage_class.as_ref()))
                        })
                        .filter(|t| t.noncurrent_days.is_some_and(|days| due(since, days, day_ms) <= now))
                        .filter(|t| t.newer_noncurrent_versions.is_none_or(|keep| newer >= keep))
                        .filter_map(|t| t.storage_class.as_ref().map(|c| c.as_str().to_owned()))
                        .max_by_key(|class| rank(class))
                        .filter(|c| rank(c) > rank(record.headers.storage_class.as_deref().unwrap_or("STANDARD")))
                };
                if goes {
                    Fate::Goes
                } else if record.marker {
                    Fate::Stays
                } else {
                    moves().map_or(Fate::Stays, Fate::Moves)
                }
            }
        });
    }
    fates
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Payload {}

impl S3 {
    /// The `x-amz-expiration` header of a current version.
    pub(crate) async fn expiration(&self, bucket: &str, key: &str, record: &ObjectRecord) -> Result<Option<String>> {
        let bucket = self.governed(bucket).await?;
        let Some(config) = &bucket.lifecycle else { return Ok(None) };
        let Some((at, id)) = expires(&config.rules, key, record, self.day_ms()) else { return Ok(None) };
        let Ok(time) = jiff::Timestamp::from_millisecond(at) else { return Ok(None) };
        let date = time.strftime("%a, %d %b %Y %H:%M:%S GMT");
        let id = crate::list::encode(id, true);
        Ok(Some(format!("expiry-date=\"{date}\", rule-id=\"{id}\"")))
    }

    /// The same of what a key holds now.
    pub(crate) async fn expiration_of(&self, bucket: &str, key: &str) -> Result<Option<String>> {
        if self.governed(bucket).await?.lifecycle.is_none() {
            return Ok(None);
        }
        let named = crate::tags::Named { bucket: bucket.to_owned(), key: key.to_owned(), version: None };
        match self.head(&named).await {
            Ok(record) => self.expiration(bucket, key, &record).await,
            // Deleted since.
            Err(error) if error.status() == 404 => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn day_ms(&self) -> i64 {
        i64::from(self.settings.lifecycle_day_seconds.max(1)) * 1000
    }

    /// Puts the sweep on the queue; at every start, and whenever rules are put.
    pub(crate) async fn plan_lifecycle(&self) -> Result<()> {
        let at = self.router.now() + jiff::SignedDuration::from_millis((self.day_ms() / 24).clamp(500, 3_600_000));
        self.store
            .write(move |tx| {
                if tx.has_task(TASK_ID)? {
                    return Ok(());
                }
                Ok(tx.enqueue(NewTask::new(TASK, TASK_ID).payload(&Payload::default())?.at(at))?)
            })
            .await
    }

    pub(crate) async fn run_lifecycle(&self, _task: &Task) -> Done {
        let swept = self.sweep_lifecycle().await;
        store::metrics::swept("lifecycle", swept.is_ok().then(|| self.store.clock().now_ms()));
        if let Err(error) = swept {
            tracing::warn!(%error, "lifecycle rules could not be carried out; they are tried again");
        }
        if let Err(error) = self.forget_completed(self.router.now().as_millisecond()).await {
            tracing::warn!(%error, "answers of completed uploads could not be forgotten; it is tried again");
        }
        Done::RetryAfter(jiff::SignedDuration::from_millis((self.day_ms() / 24).clamp(500, 3_600_000)))
    }

    /// Carries out every rule of every bucket that is due.
    pub async fn sweep_lifecycle(&self) -> Result<usize> {
        let all: Vec<BucketRecord> =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json(keys::buckets(), usize::MAX)?)).await?;
        let mut done = 0;
        for bucket in all {
            let day_ms = self.day_ms();
            let found = self.store.read(|tx| rules_of(tx, &bucket.name, day_ms)).await?;
            let Some((rules, terms)) = found else { continue };
            done += self.sweep_bucket(&bucket.name, &rules, terms).await?;
            done += self.abort_stale(&bucket.name, &rules).await?;
        }
        Ok(done)
    }

    async fn sweep_bucket(&self, bucket: &str, rules: &[LifecycleRule], terms: Terms) -> Result<usize> {
        let (mut from, mut done) = ((String::new(), Cursor::default()), 0);
        loop {
            let (page, next) = self.store.read(|tx| some(tx, bucket, from.clone())).await?;
            for (key, cursor, versions) in &page {
                let now = self.router.now().as_millisecond();
                if fates(rules, key, (*cursor, versions), now, terms).iter().any(|fate| *fate != Fate::Stays) {
                    done += self.carry_out(bucket, key, *cursor).await?;
                }
            }
            match next {
                Some(next) => from = next,
                None => return Ok(done),
            }
        }
    }

    /// A piece of one key's versions, looked at again inside the transaction that changes it, and the rules as well: they may be others by
    /// now, or the bucket.
    async fn carry_out(&self, bucket: &str, key: &str, cursor: Cursor) -> Result<usize> {
        let cx = Cx::platform(&self.router, self.known.own().0, self.known.own().1);
        let origin = events::Origin::of(&cx);
        let (bucket, key, day_ms) = (bucket.to_owned(), key.to_owned(), self.day_ms());
        let (now, chance) = (self.router.now().as_millisecond(), self.objects.new_id().to_string());
        let restored = self.restored.clone();
        let (done, garbage) = self
            .store
            .write(move |tx| {
                let (mut garbage, mut done) = (Garbage::new(), 0);
                let Some(home) = tx.get_json::<BucketRecord>(keys::bucket(&bucket))? else {
                    return Ok((done, garbage));
                };
                let Some((rules, terms)) = rules_of(tx, &bucket, day_ms)? else { return Ok((done, garbage)) };
                let (versions, _) = piece(tx, &bucket, &key, cursor)?;
                let place = change::ChangeContext {
                    bucket: &home,
                    key: &key,
                    attempt: None,
                    chance: &chance,
                    restored: &restored,
                };
                for (record, fate) in versions.iter().zip(fates(&rules, &key, (cursor, &versions), now, terms)) {
                    let id = record.version_id();
                    // With versioning suspended the marker of an expiry has taken the null version's place.
                    let found = version::find(tx, &bucket, &key, id)?;
                    if found.is_none_or(|found| (found.seq, found.marker) != (record.seq, record.marker)) {
                        continue;
                    }
                    let (gone, what) = match fate {
                        Fate::Stays => continue,
                        Fate::Moves(class) => {
                            let mut moved = record.clone();
                            moved.headers.storage_class = Some(class);
                            version::rewrite(tx, &bucket, &key, &moved)?;
                            let told = events::Details { version: moved.version.as_deref() };
                            events::record(tx, &origin, &home, &key, Some(&moved), Change::Transition, told)?;
                            done += 1;
                            continue;
                        }
                        Fate::Expires => {
                            let gone = change::delete(tx, place, crate::delete::marker(now, None))?;
                            let made = home.versioning.is_some();
                            (gone, if made { Change::ExpireMarker } else { Change::Expire })
                        }
                        // What is locked stays, whatever the rules say.
                        Fate::Goes if lock::check_delete(record, now, false).is_err() => continue,
                        Fate::Goes => (change::delete_version(tx, place, id)?, Change::Expire),
                    };
                    let version = gone.version.as_deref().filter(|_| home.versioning.is_some());
                    events::record(tx, &origin, &home, &key, None, what, events::Details { version })?;
                    garbage.extend(gone.garbage);
                    done += 1;
                }
                Ok::<_, Error>((done, garbage))
            })
            .await?;
        self.objects.delete(garbage).await;
        Ok(done)
    }

    async fn abort_stale(&self, bucket: &str, rules: &[LifecycleRule]) -> Result<usize> {
        let now = self.router.now().as_millisecond();
        let uploads: Vec<UploadRecord> =
            self.store.read(|tx| Ok::<_, Error>(tx.list_json(keys::uploads(bucket), usize::MAX)?)).await?;
        let (mut done, day_ms) = (0, self.day_ms());
        for upload in uploads.iter().filter(|upload| is_stale(rules, upload, now, day_ms)) {
            let (key, id) = (upload.key.clone(), upload.id.clone());
            let named = crate::multipart::Upload { bucket: bucket.to_owned(), key, id };
            let ended = self
                .store
                .write(move |tx| {
                    let mut garbage = Garbage::new();
                    let Some((rules, _)) = rules_of(tx, &named.bucket, day_ms)? else { return Ok(None) };
                    let found: Option<UploadRecord> =
                        tx.get_json(keys::upload(&named.bucket, &named.key, &named.id))?;
                    let Some(record) = found.filter(|record| is_stale(&rules, record, now, day_ms)) else {
                        return Ok(None);
                    };
                    crate::multipart::abort(tx, &named, &record, &mut garbage)?;
                    Ok::<_, Error>(Some(garbage))
                })
                .await?;
            if let Some(garbage) = ended {
                self.objects.delete(garbage).await;
                done += 1;
            }
        }
        Ok(done)
    }
}

fn is_stale(rules: &[LifecycleRule], upload: &UploadRecord, now: i64, day_ms: i64) -> bool {
    rules.iter().filter(|rule| rule.status.as_str() == "Enabled").any(|rule| {
        let days = rule.abort_incomplete_multipart_upload.as_ref().and_then(|a| a.days_after_initiation);
        upload.key.starts_with(prefix(rule)) && days.is_some_and(|days| due(upload.initiated_ms, days, day_ms) <= now)
    })
}

/// A bucket's rules, where it has any.
fn rules_of(tx: &mut Tx<'_>, bucket: &str, day_ms: i64) -> Result<Option<(Vec<LifecycleRule>, Terms)>> {
    let config: Option<BucketLifecycleConfiguration> = tx.get_json(keys::setting(bucket, LIFECYCLE))?;
    let smallest: Option<String> = tx.get_json(keys::setting(bucket, LIFECYCLE_SMALLEST))?;
    let terms = Terms { day_ms, varies: smallest.as_deref() == Some(VARIES) };
    Ok(config.map(|config| (config.rules, terms)))
}

/// A piece of a key's versions.
type Piece = (String, Cursor, Vec<ObjectRecord>);
/// A key, and where among its versions.
type Place = (String, Cursor);

/// Some of a bucket's versions, key by key, and where the rest begins.
fn some(tx: &mut Tx<'_>, bucket: &str, (mut from, mut cursor): Place) -> Result<(Vec<Piece>, Option<Place>)> {
    let (mut page, mut count) = (Vec::new(), 0);
    while count < PIECE {
        let Some(key) = crate::list::next_key(tx, bucket, "", &from)? else { return Ok((page, None)) };
        // The key that was to be gone on with is gone.
        if key != from {
            cursor = Cursor::default();
        }
        let (records, next) = piece(tx, bucket, &key, cursor)?;
        count += records.len().max(1);
        let then = next.map_or_else(|| (format!("{key}\0"), Cursor::default()), |next| (key.clone(), next));
        page.push((key, cursor, records));
        (from, cursor) = then;
    }
    Ok((page, Some((from, cursor))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DAY: i64 = 86_400_000;
    const TERMS: Terms = Terms { day_ms: DAY, varies: false };

    fn rules(value: serde_json::Value) -> Vec<LifecycleRule> {
        serde_json::from_value(value).unwrap()
    }

    fn record(modified_ms: i64, seq: u64, marker: bool) -> ObjectRecord {
        serde_json::from_value(json!({
            "v": 1, "etag": "e", "size": 10, "modified_ms": modified_ms, "segments": [], "seq": seq, "marker": marker,
            "tags": [["a", "1"]],
        }))
        .unwrap()
    }

    async fn world() -> (std::sync::Arc<S3>, Cx) {
        let router = service::Router::new();
        let (store, objects) = (store::Store::memory(), store::objects::Objects::memory());
        let known = ("0", service::Accounts::default());
        let s3 = S3::new(router.clone(), store, objects, known, crate::Settings::default()).unwrap();
        let cx = Cx::platform(&router, "0", "us-east-1");
        s3.create_bucket(&cx, "bucket", "us-east-1", s3.usual()).await.unwrap();
        (s3, cx)
    }

    async fn put(s3: &S3, cx: &Cx) {
        let body = Some(wire::Blob::new(vec![1; 40_000]));
        let input = api_s3::PutObjectRequest { bucket: "bucket".into(), key: "k".into(), body, ..Default::default() };
        service::Handle::<api_s3::PutObject>::handle(s3, cx, input).await.unwrap();
    }

    fn named(version: Option<&str>) -> crate::tags::Named {
        crate::tags::Named { bucket: "bucket".into(), key: "k".into(), version: version.map(str::to_owned) }
    }

    async fn put_rules(s3: &S3, cx: &Cx, value: serde_json::Value) {
        let config = BucketLifecycleConfiguration { rules: rules(value) };
        s3.put_setting(cx, "bucket", LIFECYCLE, &config).await.unwrap();
    }

    /// A sweep that has read the rules before they were deleted comes to a key.
    #[tokio::test]
    async fn rules_that_are_gone_do_nothing() {
        let (s3, cx) = world().await;
        put(&s3, &cx).await;
        put_rules(
            &s3,
            &cx,
            json!([{"status": "Enabled", "prefix": "", "expiration": {"date": "2020-01-01T00:00:00Z"}}]),
        )
        .await;
        let all: Option<BucketLifecycleConfiguration> = s3.setting("bucket", LIFECYCLE).await.unwrap();
        let old = all.unwrap().rules;
        s3.delete_setting(&cx, "bucket", LIFECYCLE).await.unwrap();
        assert_eq!(s3.sweep_bucket("bucket", &old, TERMS).await.unwrap(), 0);
        s3.head(&named(None)).await.unwrap();
        s3.delete_bucket(&cx, "bucket").await.unwrap_err();
        let gone = crate::delete::Deletion {
            key: "k".into(),
            version: None,
            conditions: crate::conditions::Conditions::default(),
            bypass: false,
        };
        s3.delete_object(&cx, "bucket", gone).await.unwrap();
        s3.delete_bucket(&cx, "bucket").await.unwrap();
        assert_eq!(s3.carry_out("bucket", "k", Cursor::default()).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn an_expiry_takes_the_null_versions_place() {
        let (s3, cx) = world().await;
        put(&s3, &cx).await;
        s3.put_versioning(&cx, "bucket", crate::records::Versioning::Enabled).await.unwrap();
        put(&s3, &cx).await;
        s3.put_versioning(&cx, "bucket", crate::records::Versioning::Suspended).await.unwrap();
        // Noncurrent for long.
        let mut current = s3.head(&named(None)).await.unwrap();
        current.modified_ms = 0;
        let id = current.version_id().to_owned();
        s3.store.write(move |tx| version::rewrite(tx, "bucket", "k", &current)).await.unwrap();
        for then in [
            json!({"noncurrent_version_expiration": {"noncurrent_days": 1}}),
            json!({"noncurrent_version_transitions": [{"noncurrent_days": 1, "storage_class": "GLACIER"}],
                "filter": {"object_size_greater_than": 1}}),
        ] {
            let mut rule = json!({"status": "Enabled", "expiration": {"date": "2020-01-01T00:00:00Z"}});
            rule.as_object_mut().unwrap().extend(then.as_object().unwrap().clone());
            put_rules(&s3, &cx, json!([rule])).await;
            s3.sweep_bucket("bucket", &rules(json!([rule])), TERMS).await.unwrap();
            let missing = s3.head(&named(None)).await.unwrap_err();
            assert!(missing.is("NoSuchKey"), "{missing}");
            s3.head(&named(Some(&id))).await.unwrap();
            let all: Vec<ObjectRecord> =
                s3.store.read(|tx| tx.list_json(keys::versions_of("bucket", "k"), 9)).await.unwrap();
            assert_eq!(
                all.iter().map(|r| (r.version_id(), r.marker)).collect::<Vec<_>>(),
                [("null", true), (&*id, false)]
            );
            // Again, with the marker gone and a null version behind the other.
            s3.store
                .write(|tx| {
                    version::remove(tx, "bucket", "k", "null")?;
                    let null = ObjectRecord { size: 200_000, ..record(0, 0, false) };
                    version::insert(tx, "bucket", "k", &null, false)
                })
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn a_key_with_many_versions_is_swept_piece_by_piece() {
        let (s3, cx) = world().await;
        s3.put_versioning(&cx, "bucket", crate::records::Versioning::Enabled).await.unwrap();
        for _ in 0..11 {
            put(&s3, &cx).await;
        }
        // All but the newest noncurrent one have been so for long.
        s3.store
            .write(|tx| {
                for mut record in version::list(tx, "bucket", "k", None, 99)?.into_iter().skip(1) {
                    record.modified_ms = 0;
                    version::rewrite(tx, "bucket", "k", &record)?;
                }
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        let rule = json!([{"status": "Enabled",
            "noncurrent_version_expiration": {"noncurrent_days": 1, "newer_noncurrent_versions": 4}}]);
        put_rules(&s3, &cx, rule.clone()).await;
        assert_eq!(s3.sweep_bucket("bucket", &rules(rule), TERMS).await.unwrap(), 6);
        let left = s3.store.read(|tx| version::list(tx, "bucket", "k", None, 99)).await.unwrap();
        assert_eq!(left.len(), 5);
    }

    #[test]
    fn what_is_due() {
        let expire =
            rules(json!([{"status": "Enabled", "id": "r", "filter": {"prefix": "x/"}, "expiration": {"days": 1}}]));
        let fate = |rules: &[LifecycleRule], key: &str, versions: &[ObjectRecord], now| {
            fates(rules, key, (Cursor::default(), versions), now, TERMS)
        };
        // Written at noon of day 0: a day later is noon of day 1, and the next midnight begins day 2.
        let noon = record(DAY / 2, 0, false);
        assert_eq!(fate(&expire, "x/1", std::slice::from_ref(&noon), 2 * DAY - 1), [Fate::Stays]);
        assert_eq!(fate(&expire, "x/1", std::slice::from_ref(&noon), 2 * DAY), [Fate::Expires]);
        assert_eq!(fate(&expire, "y/1", std::slice::from_ref(&noon), 9 * DAY), [Fate::Stays]);
        let tagged = rules(json!([{"status": "Enabled", "expiration": {"days": 1},
            "filter": {"and": {"tags": [{"key": "a", "value": "1"}], "object_size_greater_than": 9}}}]));
        assert_eq!(fate(&tagged, "k", std::slice::from_ref(&noon), 9 * DAY), [Fate::Expires]);
        let off = rules(json!([{"status": "Disabled", "expiration": {"days": 1}}]));
        assert_eq!(fate(&off, "k", std::slice::from_ref(&noon), 9 * DAY), [Fate::Stays]);
        let old = rules(json!([{"status": "Enabled",
            "noncurrent_version_expiration": {"noncurrent_days": 1, "newer_noncurrent_versions": 1}}]));
        let versions = [record(5 * DAY, 3, false), record(4 * DAY, 2, false), record(DAY, 1, false)];
        assert_eq!(fate(&old, "k", &versions, 9 * DAY), [Fate::Stays, Fate::Stays, Fate::Goes]);
        let marker = rules(json!([{"status": "Enabled", "expiration": {"expired_object_delete_marker": true}}]));
        assert_eq!(fate(&marker, "k", &[record(DAY, 1, true)], 2 * DAY), [Fate::Goes]);
        assert_eq!(fate(&marker, "k", &[record(DAY, 1, true), noon.clone()], 2 * DAY), [Fate::Stays, Fate::Stays]);
        let moves = rules(json!([{"status": "Enabled", "transitions": [
            {"days": 1, "storage_class": "STANDARD_IA"}, {"days": 3, "storage_class": "GLACIER"}]}]));
        assert_eq!(fate(&moves, "k", std::slice::from_ref(&noon), 9 * DAY), [Fate::Stays], "too small");
        let varies = Terms { varies: true, ..TERMS };
        let archived = fates(&moves, "k", (Cursor::default(), std::slice::from_ref(&noon)), 2 * DAY, varies);
        assert_eq!(archived, [Fate::Stays], "STANDARD_IA takes no small objects either way");
        let archived = fates(&moves, "k", (Cursor::default(), std::slice::from_ref(&noon)), 9 * DAY, varies);
        assert_eq!(archived, [Fate::Moves("GLACIER".into())]);
        let noon = ObjectRecord { size: 128 * 1024, ..noon };
        assert_eq!(fate(&moves, "k", std::slice::from_ref(&noon), 2 * DAY), [Fate::Moves("STANDARD_IA".into())]);
        assert_eq!(fate(&moves, "k", &[noon], 9 * DAY), [Fate::Moves("GLACIER".into())]);
    }

    /// The id that a rule gets, or the code of what it is refused with.
    fn taken(rule: &serde_json::Value) -> String {
        let config = BucketLifecycleConfiguration { rules: rules(json!([rule])) };
        check(config, "0123456789", DAY)
            .map_or_else(|e| e.code().to_owned(), |c| c.rules[0].id.clone().unwrap_or_default())
    }

    #[test]
    fn ways_up_and_names_that_are_none() {
        let bad = [
            (
                json!({"status": "Enabled", "prefix": "", "transitions": [
                    {"days": 30, "storage_class": "GLACIER"}, {"days": 90, "storage_class": "STANDARD_IA"}]}),
                "InvalidRequest",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "noncurrent_version_transitions": [
                    {"noncurrent_days": 90, "storage_class": "GLACIER_IR"}, {"noncurrent_days": 30, "storage_class": "DEEP_ARCHIVE"}]}),
                "InvalidRequest",
            ),
            (
                json!({"status": "Enabled", "filter": {"prefix": "p".repeat(1025)}, "expiration": {"days": 1}}),
                "InvalidRequest",
            ),
            (
                json!({"status": "Enabled", "filter": {"tag": {"key": "", "value": ""}}, "expiration": {"days": 1}}),
                "InvalidTag",
            ),
        ];
        for (rule, code) in bad {
            assert_eq!(taken(&rule), code, "{rule}");
        }
        let down = json!({"status": "Enabled", "prefix": "", "transitions": [
            {"days": 180, "storage_class": "DEEP_ARCHIVE"}, {"days": 30, "storage_class": "STANDARD_IA"},
            {"days": 90, "storage_class": "GLACIER"}]});
        assert_eq!(taken(&down), "00000123456789");
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(taken(&json!({"status": "Enabled", "prefix": "", "expiration": {"days": 1}})), "00000123456789");
        let bad = [
            (json!({"status": "enabled", "prefix": "", "expiration": {"days": 1}}), "MalformedXML"),
            (json!({"status": "Enabled", "prefix": ""}), "InvalidRequest"),
            (json!({"status": "Enabled", "prefix": "", "expiration": {"days": 0}}), "InvalidArgument"),
            (
                json!({"status": "Enabled", "prefix": "", "expiration": {"days": 1, "expired_object_delete_marker": true}}),
                "MalformedXML",
            ),
            (
                json!({"status": "Enabled", "prefix": "a", "filter": {"prefix": "a"}, "expiration": {"days": 1}}),
                "MalformedXML",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "transitions": [{"days": 1, "storage_class": "COLD"}]}),
                "MalformedXML",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "transitions": [{"days": 29, "storage_class": "STANDARD_IA"}]}),
                "InvalidArgument",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "transitions": [
                    {"days": 30, "storage_class": "STANDARD_IA"}, {"days": 40, "storage_class": "GLACIER"}]}),
                "InvalidArgument",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "id": "x".repeat(256), "expiration": {"days": 1}}),
                "InvalidArgument",
            ),
            (json!({"status": "Enabled", "expiration": {"days": 1}}), "MalformedXML"),
            (
                json!({"status": "Enabled", "filter": {"and": {"prefix": "a"}}, "expiration": {"days": 1}}),
                "MalformedXML",
            ),
            (
                json!({"status": "Enabled", "expiration": {"days": 1}, "filter": {"and": {"tags": [
                    {"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}}}),
                "InvalidRequest",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "transitions": [
                    {"days": 40, "storage_class": "GLACIER"}, {"days": 50, "storage_class": "GLACIER"}]}),
                "InvalidArgument",
            ),
            (
                json!({"status": "Enabled", "prefix": "", "expiration": {"days": 100}, "transitions": [
                    {"date": "2030-01-01T00:00:00Z", "storage_class": "GLACIER"}]}),
                "InvalidRequest",
            ),
        ];
        for (rule, code) in bad {
            assert_eq!(taken(&rule), code, "{rule}");
        }
    }
}
