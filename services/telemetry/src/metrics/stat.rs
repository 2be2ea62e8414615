//! A minute's statistics. Values are also counted in steps of one percent, from which percentiles come.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Stat {
    /// How many values; clients may give fractions.
    #[serde(rename = "n")]
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    /// How many values there are in a step; not of statistics that came without their values.
    #[serde(rename = "h", default, skip_serializing_if = "BTreeMap::is_empty")]
    steps: BTreeMap<i32, f64>,
    /// It is what a metric filter tells of a minute in which nothing matched.
    #[serde(rename = "d", default, skip_serializing_if = "std::ops::Not::not")]
    is_default: bool,
}

const STEPS: f64 = 100.0;
/// Steps of positive values are their logarithms, those of negative ones the logarithms below this: all in their values' order.
const NEGATIVE: i32 = -10_000_000;
const ZERO: i32 = -5_000_000;
/// The step of all that has no logarithm, in records of before.
const LOWEST: i32 = i32::MIN;

#[expect(clippy::cast_possible_truncation, reason = "the logarithm of a double times a hundred is below 80,000")]
fn step(value: f64) -> i32 {
    let logarithm = (value.abs().ln() * STEPS).round();
    if value > 0.0 {
        logarithm as i32
    } else if value < 0.0 {
        NEGATIVE - logarithm as i32
    } else {
        ZERO
    }
}

/// The value in the middle of a step; none of one that has no middle.
fn middle(step: i32) -> Option<f64> {
    let power = |logarithm: i32| (f64::from(logarithm) / STEPS).exp();
    match step {
        LOWEST => None,
        ZERO => Some(0.0),
        step if step < ZERO => Some(-power(NEGATIVE - step)),
        step => Some(power(step)),
    }
}

impl Stat {
    /// What a metric filter tells of a minute in which nothing matched.
    pub(crate) fn default_of(value: f64) -> Self {
        let mut stat = Self { is_default: true, ..Self::default() };
        stat.add(value, 1.0);
        stat
    }

    /// Adds what came in the same minute: a default stands for it only as long as nothing else does.
    pub(crate) fn take_in(&mut self, other: &Self) {
        match (self.count == 0.0 || self.is_default, other.is_default) {
            (true, _) if other.count > 0.0 => *self = other.clone(),
            (_, false) => self.merge(other),
            _ => {}
        }
    }

    pub(crate) fn add(&mut self, value: f64, count: f64) {
        *self.steps.entry(step(value)).or_default() += count;
        self.widen(count, value * count, value, value);
    }

    /// Statistics without their values, of which there are no percentiles, but where all values are the same. Source: CloudWatch User
    /// Guide, "Statistics definitions", percentiles.
    pub(crate) fn add_set(&mut self, count: f64, sum: f64, min: f64, max: f64) {
        if min.total_cmp(&max).is_eq() {
            *self.steps.entry(step(min)).or_default() += count;
        }
        self.widen(count, sum, min, max);
    }

    fn widen(&mut self, count: f64, sum: f64, min: f64, max: f64) {
        let first = self.count == 0.0;
        self.min = if first { min } else { self.min.min(min) };
        self.max = if first { max } else { self.max.max(max) };
        self.count += count;
        self.sum += sum;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        self.widen(other.count, other.sum, other.min, other.max);
        for (step, count) in &other.steps {
            *self.steps.entry(*step).or_default() += count;
        }
    }

    /// `Sum`, `Average`, `p99.9`, …; `None` for other names, and for percentiles of what came without its values.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        Some(match name {
            "SampleCount" => self.count,
            "Sum" => self.sum,
            "Average" => self.sum / self.count,
            "Minimum" => self.min,
            "Maximum" => self.max,
            other => return self.percentile(percent(other)?),
        })
    }

    fn percentile(&self, percent: f64) -> Option<f64> {
        let known = self.steps.values().sum::<f64>();
        // Of some there are no values.
        if (known - self.count).abs() > self.count * 1e-9 {
            return None;
        }
        let wanted = known * percent / 100.0;
        let mut seen = 0.0;
        for (step, count) in &self.steps {
            seen += count;
            if seen >= wanted {
                return Some(middle(*step).unwrap_or(self.min).clamp(self.min, self.max));
            }
        }
        None
    }
}

fn percent(name: &str) -> Option<f64> {
    let percent = name.strip_prefix('p')?.parse().ok()?;
    (0.0..=100.0).contains(&percent).then_some(percent)
}

/// Whether there is such a statistic.
pub(crate) fn is_known(name: &str) -> bool {
    matches!(name, "SampleCount" | "Sum" | "Average" | "Minimum" | "Maximum") || percent(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::{Stat, is_known};

    #[test]
    fn statistics_of_what_came_in_pieces() {
        let (mut one, mut other) = (Stat::default(), Stat::default());
        (1..=50).for_each(|n| one.add(f64::from(n), 1.0));
        (51..=100).for_each(|n| other.add(f64::from(n), 1.0));
        one.merge(&other);
        one.merge(&Stat::default());
        let near = |name: &str, want: f64| {
            let found = one.value(name).unwrap();
            assert!((found - want).abs() <= want * 0.01, "{name}: {found}, not {want}");
        };
        for (name, want) in
            [("SampleCount", 100.0), ("Sum", 5050.0), ("Average", 50.5), ("Minimum", 1.0), ("Maximum", 100.0)]
        {
            near(name, want);
        }
        near("p50", 50.0);
        near("p99", 99.0);
        near("p100", 100.0);
        let near = |stat: &Stat, name: &str, want: f64| {
            let found = stat.value(name).unwrap();
            assert!((found - want).abs() <= want.abs() * 0.01, "{name}: {found}, not {want}");
        };
        let mut below = Stat::default();
        (1..=100).for_each(|n| below.add(f64::from(-n), 1.0));
        for (name, want) in [("p1", -100.0), ("p50", -51.0), ("p99", -2.0), ("p100", -1.0)] {
            near(&below, name, want);
        }
        let mut around = Stat::default();
        around.add(0.0, 98.0);
        around.add(-5.0, 1.0);
        around.add(3.0, 1.0);
        for (name, want) in [("p1", -5.0), ("p50", 0.0), ("p99", 0.0), ("p100", 3.0)] {
            near(&around, name, want);
        }
        // As it was written before zero and negative values were told apart.
        let old: Stat =
            serde_json::from_str(r#"{"n":3,"sum":2,"min":-1,"max":3,"h":{"-2147483648":2,"110":1}}"#).unwrap();
        assert_eq!(old.value("p50"), Some(-1.0));
        near(&old, "p100", 3.0);
        let mut negative = Stat::default();
        negative.add(-3.0, 2.0);
        negative.add(0.0, 1.0);
        assert_eq!((negative.value("Minimum"), negative.value("Maximum")), (Some(-3.0), Some(0.0)));
        assert_eq!(negative.value("p50"), Some(-3.0));
        let mut set = Stat::default();
        set.add_set(4.0, 8.0, 1.0, 3.0);
        assert_eq!((set.value("Average"), set.value("p50")), (Some(2.0), None));
        set.add(2.0, 1.0);
        assert_eq!((set.value("Average"), set.value("p50")), (Some(2.0), None), "of most there are no values");
        let mut same = Stat::default();
        same.add_set(4.0, 8.0, 2.0, 2.0);
        assert_eq!(same.value("p50"), Some(2.0), "a set of one value is that value");
        assert!(is_known("p99.9") && !is_known("p101") && !is_known("Median"));
    }
}
