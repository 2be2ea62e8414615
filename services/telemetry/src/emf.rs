//! Embedded metrics: measurements within log events. Source: CloudWatch User Guide, "Specification: Embedded metric format".

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::filters::Measured;
use crate::metrics::series::{At, Series, is_taken};
use crate::metrics::stat::Stat;

/// Source: the specification: a metric has at most 100 values, a dimension set at most 30 keys, a directive at most 100 metrics.
const MAX_VALUES: usize = 100;
const MAX_DIMENSIONS: usize = 30;
const MAX_METRICS: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    timestamp: Option<i64>,
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: String,
    #[serde(default)]
    dimensions: Vec<Vec<String>>,
    metrics: Vec<Definition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: String,
    unit: Option<String>,
    storage_resolution: Option<i64>,
}

/// What a message measures; nothing where it is not in the format, or of a time of which no measurements are taken.
pub(crate) fn metrics(at_ms: i64, message: &str, now: i64) -> Vec<Measured> {
    if !message.trim_start().starts_with('{') || !message.contains("\"_aws\"") {
        return Vec::new();
    }
    let Ok(Value::Object(mut root)) = jsontext::read(message) else { return Vec::new() };
    let Some(Ok(metadata)) = root.remove("_aws").map(serde_json::from_value::<Metadata>) else { return Vec::new() };
    let at = metadata.timestamp.unwrap_or(at_ms);
    if !is_taken(at.div_euclid(1000), now) {
        return Vec::new();
    }
    let at = at.div_euclid(1000);
    metadata.cloud_watch_metrics.iter().flat_map(|directive| directive.measured(&root, at)).collect()
}

impl Directive {
    fn measured(&self, root: &Map<String, Value>, second: i64) -> Vec<Measured> {
        let none = [Vec::new()];
        let sets = if self.dimensions.is_empty() { &none[..] } else { &self.dimensions };
        let mut out = Vec::new();
        for definition in self.metrics.iter().take(MAX_METRICS) {
            let Some(stat) = root.get(&definition.name).and_then(stat) else { continue };
            let Some(at) = At::of(second, definition.storage_resolution) else { continue };
            for set in sets.iter().filter(|set| set.len() <= MAX_DIMENSIONS) {
                let dimensions: Option<BTreeMap<_, _>> =
                    set.iter().map(|name| Some((name.clone(), text(root.get(name)?)?))).collect();
                let Some(dimensions) = dimensions else { continue };
                let series = Series {
                    version: 1,
                    namespace: self.namespace.clone(),
                    metric: definition.name.clone(),
                    dimensions,
                    unit: definition.unit.clone().unwrap_or_else(|| "None".to_owned()),
                    newest: 0,
                };
                out.push((series, at, stat.clone()));
            }
        }
        out
    }
}

fn stat(value: &Value) -> Option<Stat> {
    let values = match value {
        Value::Array(values) if values.len() <= MAX_VALUES => values.iter().map(Value::as_f64).collect(),
        Value::Number(_) => value.as_f64().map(|value| vec![value]),
        _ => None,
    }?;
    let mut stat = Stat::default();
    for value in &values {
        stat.add(*value, 1.0);
    }
    (!values.is_empty()).then_some(stat)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The specification's example.
    #[test]
    fn embedded_metrics() {
        let message = r#"{"_aws": {"Timestamp": 1574109732004, "CloudWatchMetrics": [{"Namespace": "lambda-function-metrics",
            "Dimensions": [["functionVersion"], ["functionVersion", "n"], []],
            "Metrics": [{"Name": "time", "Unit": "Milliseconds", "StorageResolution": 60}, {"Name": "nope"}]}]},
            "functionVersion": "$LATEST", "n": 1, "time": [100, 200], "requestId": "989ffbf8"}"#;
        let now = 1_574_109_732;
        let found = metrics(0, message, now);
        assert_eq!(found.len(), 3);
        let (series, at, stat) = &found[1];
        assert_eq!((series.namespace.as_str(), series.metric.as_str()), ("lambda-function-metrics", "time"));
        assert_eq!((series.unit.as_str(), *at), ("Milliseconds", At::Minute(1_574_109_732_004 / 60_000)));
        let fine = metrics(0, &message.replace("\"StorageResolution\": 60", "\"StorageResolution\": 1"), now);
        assert_eq!(fine[0].1, At::Second(now));
        assert_eq!(series.dimensions["functionVersion"], "$LATEST");
        assert_eq!((stat.value("Sum"), stat.value("SampleCount")), (Some(300.0), Some(2.0)));
        for other in ["{}", "x _aws", r#"{"_aws": 1}"#, r#"{"_aws": {"CloudWatchMetrics": [{"Namespace": "n"}]}}"#] {
            assert!(metrics(now * 1000, other, now).is_empty(), "{other}");
        }
        // In seconds or nanoseconds, and of times that are too far away.
        for (at, taken) in [
            (now, false),
            (now * 1_000_000_000, false),
            ((now - 15 * 86_400) * 1000, false),
            ((now + 3 * 3600) * 1000, false),
            ((now - 13 * 86_400) * 1000, true),
            ((now + 3600) * 1000, true),
        ] {
            let message = message.replace("1574109732004", &at.to_string());
            assert_eq!(!metrics(now * 1000, &message, now).is_empty(), taken, "{at}");
        }
    }
}
