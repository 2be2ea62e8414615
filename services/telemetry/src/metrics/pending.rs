//! Measurements that are not yet written, added up by minute.

use std::collections::BTreeMap;
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
        let (name, value) = measured.dimension;
        Self {
            home: Home { account: measured.account.to_owned(), region: measured.region.to_owned() },
            series: Series {
                version: 1,
                namespace: measured.namespace.to_owned(),
                metric: measured.metric.to_owned(),
                dimensions: BTreeMap::from([(name.to_owned(), value.to_owned())]),
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

/// FNV-1a over 128 bits: no allocation, and no two that are the same.
fn hash(measured: &Measured<'_>) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let (name, value) = measured.dimension;
    let texts = [measured.account, measured.region, measured.namespace, measured.metric, name, value, measured.unit];
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for text in texts {
        for byte in text.bytes().chain([0xff]) {
            hash = (hash ^ u128::from(byte)).wrapping_mul(PRIME);
        }
    }
    hash
}
