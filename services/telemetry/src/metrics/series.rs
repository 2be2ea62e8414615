//! What is measured: a metric with its dimensions in one unit. And where its minutes are, and the seconds of what is measured in seconds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::Cx;
use store::{Key, Store, Tx};

use super::stat::Stat;

const OWNER: &str = "metrics";

/// An account's metrics in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Home {
    pub(crate) account: String,
    pub(crate) region: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Version of the record's form.
    pub(crate) version: u32,
    pub(crate) namespace: String,
    pub(crate) metric: String,
    pub(crate) dimensions: BTreeMap<String, String>,
    pub(crate) unit: String,
    /// The newest minute that has values.
    pub(crate) newest: i64,
}

impl Home {
    pub(crate) fn of(cx: &Cx) -> Self {
        Self { account: cx.account().to_owned(), region: cx.region().to_owned() }
    }

    fn all(&self) -> Key {
        Key::new(OWNER).push("series").push(&self.account).push(&self.region)
    }

    fn data(&self) -> Key {
        Key::new(OWNER).push("data").push(&self.account).push(&self.region)
    }

    /// What is measured in high resolution, by the second.
    fn data_of_seconds(&self) -> Key {
        Key::new(OWNER).push("seconds").push(&self.account).push(&self.region)
    }

    /// Those that fit; a namespace and a metric narrow the search.
    pub(crate) fn series(
        &self,
        tx: &mut Tx<'_>,
        namespace: Option<&str>,
        metric: Option<&str>,
    ) -> Result<Vec<Series>, store::Error> {
        let prefix = match (namespace, metric) {
            (Some(namespace), Some(metric)) => self.all().push(namespace).push(metric),
            (Some(namespace), None) => self.all().push(namespace),
            _ => self.all(),
        };
        tx.list_json(prefix, usize::MAX)
    }

    /// Adds to a minute.
    pub(crate) fn add(&self, tx: &mut Tx<'_>, series: &Series, minute: i64, stat: &Stat) -> Result<(), store::Error> {
        let key = series.key(self.data()).push_i64(minute);
        let known: Option<Stat> = tx.get_json(&key)?;
        if known.is_none() {
            let listed = series.key(self.all());
            if tx.get_json::<Series>(&listed)?.is_none_or(|known| known.newest < minute) {
                tx.put_json(listed, &Series { newest: minute, ..series.clone() })?;
            }
        }
        let mut known = known.unwrap_or_default();
        known.take_in(stat);
        tx.put_json(key, &known)
    }

    /// Adds to a minute, and to a second where it is measured so.
    pub(crate) fn add_at(&self, tx: &mut Tx<'_>, series: &Series, at: At, stat: &Stat) -> Result<(), store::Error> {
        let At::Second(second) = at else { return self.add(tx, series, at.minute(), stat) };
        let key = series.key(self.data_of_seconds()).push_i64(second);
        let mut known: Stat = tx.get_json(&key)?.unwrap_or_default();
        known.take_in(stat);
        tx.put_json(key, &known)?;
        self.add(tx, series, at.minute(), stat)
    }

    /// The seconds from one to before another.
    pub(crate) fn seconds(
        &self,
        tx: &mut Tx<'_>,
        series: &Series,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Stat)>, store::Error> {
        between(tx, &series.key(self.data_of_seconds()), from, to)
    }

    /// The minutes from one to before another.
    pub(crate) fn minutes(
        &self,
        tx: &mut Tx<'_>,
        series: &Series,
        from: i64,
        to: i64,
    ) -> Result<Vec<(i64, Stat)>, store::Error> {
        between(tx, &series.key(self.data()), from, to)
    }
}

fn between(tx: &mut Tx<'_>, start: &Key, from: i64, to: i64) -> Result<Vec<(i64, Stat)>, store::Error> {
    let (first, end) = (start.clone().push_i64(from), start.clone().push_i64(to));
    let rows = tx.scan(first.as_bytes(), Some(end.as_bytes()), usize::MAX, false)?;
    rows.iter().map(|(key, value)| Ok((time_of(key), store::kv::decode(key, value)?))).collect()
}

/// When something was measured, as finely as it is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Minute(i64),
    Second(i64),
}

impl At {
    /// Of seconds since 1970, for a `StorageResolution`; `None` where there is no such resolution. Source: API Reference, MetricDatum.
    pub(crate) fn of(second: i64, resolution: Option<i64>) -> Option<Self> {
        match resolution {
            None | Some(60) => Some(Self::Minute(second.div_euclid(60))),
            Some(1) => Some(Self::Second(second)),
            Some(_) => None,
        }
    }

    pub(crate) fn minute(self) -> i64 {
        match self {
            Self::Minute(minute) => minute,
            Self::Second(second) => second.div_euclid(60),
        }
    }
}

/// Whether measurements of a second are taken. Source: API Reference, MetricDatum: up to two weeks in the past, and up to two hours in
/// the future.
pub(crate) fn is_taken(at: i64, now: i64) -> bool {
    (now - 14 * 24 * 3600..=now + 2 * 3600).contains(&at)
}

impl Series {
    fn key(&self, under: Key) -> Key {
        let dimensions: Vec<_> = self.dimensions.iter().collect();
        let dimensions = serde_json::to_string(&dimensions).expect("texts have a JSON form");
        under.push(&self.namespace).push(&self.metric).push(dimensions).push(&self.unit)
    }
}

fn time_of(key: &[u8]) -> i64 {
    Key::parts(key).last().and_then(|part| Key::part_i64(part)).unwrap_or_default()
}

/// Series that are looked at in one transaction.
const SERIES_AT_ONCE: usize = 50;
/// Minutes of a series that are removed in one transaction.
const MINUTES_AT_ONCE: usize = 1000;

/// Seconds are kept for three hours. Source: CloudWatch User Guide, "Metrics retention".
pub(crate) const SECONDS_KEPT: i64 = 3 * 3600;

/// Removes minutes before `oldest`, seconds that are kept no longer, and series that have none left: some in each transaction, so that
/// others can write between them.
pub(crate) async fn forget(store: &Store, oldest: i64, now: i64) -> Result<(), store::Error> {
    let mut after = Key::new(OWNER).push("series").as_bytes().to_vec();
    loop {
        let from = after.clone();
        match store.write(move |tx| forget_some(tx, &from, oldest, now)).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// The same of the series after a key; where to go on, where there is more.
fn forget_some(tx: &mut Tx<'_>, after: &[u8], oldest: i64, now: i64) -> Result<Option<Vec<u8>>, store::Error> {
    let page = tx.scan_after(Key::new(OWNER).push("series"), after, SERIES_AT_ONCE)?;
    let mut done = after.to_vec();
    for (key, value) in &page {
        let series: Series = store::kv::decode(key, value)?;
        let parts = Key::parts(key);
        let text =
            |part: Option<&Vec<u8>>| part.map(|part| String::from_utf8_lossy(part).into_owned()).unwrap_or_default();
        let home = Home { account: text(parts.get(2)), region: text(parts.get(3)) };
        for (data, oldest) in [(home.data(), oldest), (home.data_of_seconds(), now - SECONDS_KEPT)] {
            let start = series.key(data);
            let end = start.clone().push_i64(oldest);
            let old = tx.scan(start.as_bytes(), Some(end.as_bytes()), MINUTES_AT_ONCE, false)?;
            for (time, _) in &old {
                tx.delete(time)?;
            }
            if old.len() == MINUTES_AT_ONCE {
                // The rest of it next.
                return Ok(Some(done));
            }
        }
        if series.newest < oldest {
            tx.delete(key)?;
        }
        done.clone_from(key);
    }
    Ok((page.len() == SERIES_AT_ONCE).then_some(done))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use store::Store;

    use super::{At, Home, SECONDS_KEPT, Series, forget};
    use crate::metrics::stat::Stat;

    #[tokio::test]
    async fn old_minutes_go_and_series_without_any() {
        let store = Store::memory();
        let home = Home { account: "0".to_owned(), region: "r".to_owned() };
        let series = |metric: &str| Series {
            version: 1,
            namespace: "N".to_owned(),
            metric: metric.to_owned(),
            dimensions: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            unit: "None".to_owned(),
            newest: 0,
        };
        let minutes = [("gone", 1), ("kept", 2), ("kept", 10), ("kept", 11)];
        let (place, made) = (home.clone(), series);
        store
            .write(move |tx| {
                let mut stat = Stat::default();
                stat.add(1.0, 1.0);
                for (metric, minute) in minutes {
                    place.add(tx, &made(metric), minute, &stat)?;
                }
                // More than go in one transaction.
                for minute in -2500..0 {
                    place.add(tx, &made("kept"), minute, &stat)?;
                }
                for n in 0..60 {
                    place.add(tx, &made(&format!("gone-{n}")), 1, &stat)?;
                }
                Ok::<_, store::Error>(())
            })
            .await
            .unwrap();
        let (place, at) = (home.clone(), 660);
        store
            .write(move |tx| {
                let mut stat = Stat::default();
                stat.add(1.0, 1.0);
                for second in [0, at, at + 1] {
                    place.add_at(tx, &series("fine"), At::Second(second), &stat)?;
                }
                Ok::<_, store::Error>(())
            })
            .await
            .unwrap();
        forget(&store, 10, at + SECONDS_KEPT).await.unwrap();
        let fine = store.read(|tx| home.seconds(tx, &series("fine"), 0, 1000)).await.unwrap();
        assert_eq!(fine.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [at, at + 1]);
        let left = store
            .read(|tx| {
                let names: Vec<_> =
                    home.series(tx, None, None)?.into_iter().map(|one| (one.metric, one.newest)).collect();
                let minutes: Vec<_> =
                    home.minutes(tx, &series("kept"), -5000, 100)?.into_iter().map(|(at, _)| at).collect();
                Ok::<_, store::Error>((names, minutes, home.minutes(tx, &series("gone"), 0, 100)?.len()))
            })
            .await
            .unwrap();
        assert_eq!(left, (vec![("fine".to_owned(), 11), ("kept".to_owned(), 11)], vec![10, 11], 0));
    }
}
