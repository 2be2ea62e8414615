//! Measurements that are not yet written, added up by minute.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};

use service::meter::{Measured, Meter};

use super::Metrics;
use super::series::{Home, Series};
use super::stat::Stat;

/// By the hash of what is measured, and the minute.
#[derive(Default)]
pub(super) struct Pending(Mutex<Sums>);

type Sums = BTreeMap<(u128, i64), Sum>;

#[derive(Clone)]
struct Sum {
    home: Home,
    series: Series,
    stat: Stat,
}

impl Meter for Metrics {
    fn measure(&self, measured: Measured<'_>) {
        let minute = self.router.now().as_second().div_euclid(60);
        let mut sums = self.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sums.entry((hash(&measured), minute)).or_insert_with(|| Sum::of(&measured, minute));
        sum.stat.add(measured.value, 1.0);
    }
}

impl Sum {
    fn of(measured: &Measured<'_>, minute: i64) -> Self {
        let dimensions = measured.dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            home: Home { account: measured.account.to_owned(), region: measured.region.to_owned() },
            series: Series {
                version: 1,
                namespace: measured.namespace.to_owned(),
                metric: measured.metric.to_owned(),
                dimensions: dimensions.collect(),
                unit: measured.unit.to_owned(),
                newest: minute,
            },
            stat: Stat::default(),
        }
    }
}

impl Metrics {
    /// Writes what is in memory; when the store refuses, it stays there.
    pub(crate) async fn flush(&self) -> Result<(), store::Error> {
        let sums = std::mem::take(&mut *self.pending.0.lock().unwrap_or_else(PoisonError::into_inner));
        if sums.is_empty() {
            return Ok(());
        }
        let written = sums.clone();
        let result = self
            .store
            .write(move |tx| {
                written.iter().try_for_each(|((_, minute), sum)| sum.home.add(tx, &sum.series, *minute, &sum.stat))
            })
            .await;
        if result.is_err() {
            let mut pending = self.pending.0.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, sum) in sums {
                pending.entry(key).and_modify(|known| known.stat.merge(&sum.stat)).or_insert(sum);
            }
        }
        result
    }
}

/// 128 bits, so that no two things that are measured have the same; without an allocation.
fn hash(measured: &Measured<'_>) -> u128 {
    let mut hasher = DefaultHasher::new();
    [measured.account, measured.region, measured.namespace, measured.metric, measured.unit].hash(&mut hasher);
    measured.dimensions.hash(&mut hasher);
    let first = hasher.finish();
    hasher.write_u8(1);
    (u128::from(first) << 64) | u128::from(hasher.finish())
}

#[cfg(test)]
mod tests {
    use service::meter::Measured;

    use super::hash;

    #[test]
    fn what_differs_in_one_name_differs() {
        let one = Measured {
            account: "1",
            region: "r",
            namespace: "n",
            metric: "m",
            dimensions: &[("d", "v")],
            value: 1.0,
            unit: "u",
        };
        let others = [
            Measured { account: "2", ..one },
            Measured { namespace: "nm", metric: "", ..one },
            Measured { dimensions: &[("dv", "")], ..one },
            Measured { dimensions: &[("d", "v"), ("e", "w")], ..one },
            Measured { unit: "v", ..one },
        ];
        assert_eq!(hash(&one), hash(&Measured { value: 2.0, ..one }));
        assert!(others.iter().all(|other| hash(other) != hash(&one)));
    }
}
