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
}

/// The step of what has no logarithm.
const LOWEST: i32 = i32::MIN;
const STEPS: f64 = 100.0;

fn step(value: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "the logarithm of a double times a hundred is below 80,000")]
    if value > 0.0 { (value.ln() * STEPS).round() as i32 } else { LOWEST }
}

impl Stat {
    pub(crate) fn add(&mut self, value: f64, count: f64) {
        *self.steps.entry(step(value)).or_default() += count;
        self.add_set(count, value * count, value, value);
    }

    pub(crate) fn add_set(&mut self, count: f64, sum: f64, min: f64, max: f64) {
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
        self.add_set(other.count, other.sum, other.min, other.max);
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
        let wanted = self.steps.values().sum::<f64>() * percent / 100.0;
        let mut seen = 0.0;
        for (step, count) in &self.steps {
            seen += count;
            if seen >= wanted {
                let value = if *step == LOWEST { self.min } else { (f64::from(*step) / STEPS).exp() };
                return Some(value.clamp(self.min, self.max));
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
        let mut negative = Stat::default();
        negative.add(-3.0, 2.0);
        negative.add(0.0, 1.0);
        assert_eq!((negative.value("Minimum"), negative.value("Maximum")), (Some(-3.0), Some(0.0)));
        assert_eq!(negative.value("p50"), Some(-3.0));
        let mut set = Stat::default();
        set.add_set(4.0, 8.0, 1.0, 3.0);
        assert_eq!((set.value("Average"), set.value("p50")), (Some(2.0), None));
        assert!(is_known("p99.9") && !is_known("p101") && !is_known("Median"));
    }
}
