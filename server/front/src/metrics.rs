//! `GET /metrics`, as Prometheus reads it: requests and how long they took, what the services count for CloudWatch, memory and CPU of the
//! process and its children, the nodes that work for this one. Labels are names of services, operations, metrics and nodes, never of users'
//! things: how many series there are, users do not decide.
//!
//! Source of the format: OpenMetrics 1.0, which `prometheus-client` writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder, NoLabelSet, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use service::meter::{Measured, Meter};
use store::metrics::Shown;

/// Where an answer's time falls, in seconds.
const BUCKETS: [f64; 14] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];
/// So long what was gathered is shown again.
const FRESH: Duration = Duration::from_secs(1);
pub(crate) const PATH: &str = "/metrics";
pub(crate) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a request asked: in an answer's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked(pub(crate) &'static str, pub(crate) &'static str);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    service: &'static str,
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    service: &'static str,
    operation: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    namespace: String,
    metric: String,
    unit: String,
}

/// All that is counted. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    took: Family<Operation, Histogram, fn() -> Histogram>,
    measured: Family<Named, Counter<f64, std::sync::atomic::AtomicU64>>,
    measurements: Family<Named, Counter>,
    shown: tokio::sync::Mutex<Option<(Instant, Bytes)>>,
}

impl Metrics {
    /// `state`: what is asked when somebody looks.
    pub fn new(state: impl Collector + 'static) -> Self {
        let mut registry = Registry::with_prefix("lakerun");
        let (requests, measured, measurements) = (Family::default(), Family::default(), Family::default());
        let took: Family<Operation, Histogram, fn() -> Histogram> =
            Family::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register("requests", "Requests answered, by HTTP status", Family::clone(&requests));
        registry.register("request_duration_seconds", "From a request's head to its answer's", took.clone());
        registry.register(
            "measured",
            "Sums of what services count for CloudWatch: executions, invocations, jobs",
            Family::clone(&measured),
        );
        registry.register("measurements", "How often they have counted", Family::clone(&measurements));
        registry.register_collector(Box::new(state));
        Self(Arc::new(Shared {
            registry,
            requests,
            took,
            measured,
            measurements,
            shown: tokio::sync::Mutex::default(),
        }))
    }

    pub(crate) fn answered(&self, Asked(service, operation): Asked, status: u16, took: Duration) {
        self.0.requests.get_or_create(&Outcome { service, operation, code: status }).inc();
        self.0.took.get_or_create(&Operation { service, operation }).observe(took.as_secs_f64());
    }

    /// The text, at most a second old; none where it cannot be written. Those who look at the same time wait for the one who gathers.
    pub(crate) async fn shown(&self) -> Option<Bytes> {
        let mut shown = self.0.shown.lock().await;
        if let Some((at, text)) = &*shown
            && at.elapsed() < FRESH
        {
            return Some(text.clone());
        }
        let metrics = self.clone();
        // It reads files of all processes.
        let text: Bytes = tokio::task::spawn_blocking(move || metrics.text()).await.ok()?.ok()?.into();
        *shown = Some((Instant::now(), text.clone()));
        Some(text)
    }

    /// All of them, as they are now.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry)?;
        Ok(out)
    }
}

impl Meter for Metrics {
    fn measure(&self, measured: Measured<'_>) {
        let named = Named {
            namespace: measured.namespace.to_owned(),
            metric: measured.metric.to_owned(),
            unit: measured.unit.to_owned(),
        };
        self.0.measurements.get_or_create(&named).inc();
        if measured.value > 0.0 {
            self.0.measured.get_or_create(&named).inc_by(measured.value);
        }
    }
}

/// Figures that are asked for when somebody looks: name, help, and value.
pub struct State(pub Box<dyn Fn() -> Vec<Figure> + Send + Sync>);

/// One of them.
#[derive(Clone, Debug)]
pub struct Figure {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub values: Vec<(Labels, Value)>,
}

/// Names and values.
pub type Labels = Vec<(&'static str, String)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    /// It only grows.
    Counter,
    Histogram,
}

#[derive(Clone, Debug)]
pub enum Value {
    Number(f64),
    Histogram(Shown),
}

impl Figure {
    fn kind(&self) -> MetricType {
        match self.kind {
            Kind::Gauge => MetricType::Gauge,
            Kind::Counter => MetricType::Counter,
            Kind::Histogram => MetricType::Histogram,
        }
    }

    fn encode(&self, value: &Value, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match value {
            Value::Number(value) if self.kind == Kind::Counter => ConstCounter::new(*value).encode(encoder),
            Value::Number(value) => ConstGauge::new(*value).encode(encoder),
            Value::Histogram(shown) => {
                encoder.encode_histogram::<NoLabelSet>(shown.sum, shown.count, &shown.buckets, None)
            }
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("State")
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        for figure in (self.0)() {
            let mut family = encoder.encode_descriptor(figure.name, figure.help, None, figure.kind())?;
            for (labels, value) in &figure.values {
                if labels.is_empty() {
                    // The only one of its name.
                    figure.encode(value, family)?;
                    break;
                }
                let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (*name, value.as_str())).collect();
                figure.encode(value, family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_reads() {
        let figures = || {
            vec![Figure {
                name: "up",
                help: "It is",
                kind: Kind::Gauge,
                values: vec![(vec![("node", "a".to_owned())], Value::Number(1.0))],
            }]
        };
        let metrics = Metrics::new(State(Box::new(figures)));
        metrics.answered(Asked("sqs", "SendMessage"), 200, Duration::from_millis(3));
        metrics.answered(Asked("sqs", "SendMessage"), 400, Duration::from_millis(30));
        metrics.measure(Measured {
            account: "0",
            region: "r",
            namespace: "AWS/States",
            metric: "ExecutionsStarted",
            dimensions: &[("StateMachineArn", "a")],
            value: 2.0,
            unit: "Count",
        });
        let text = metrics.text().unwrap();
        for line in [
            "lakerun_requests_total{service=\"sqs\",operation=\"SendMessage\",code=\"400\"} 1",
            "lakerun_request_duration_seconds_count{service=\"sqs\",operation=\"SendMessage\"} 2",
            "lakerun_measured_total{namespace=\"AWS/States\",metric=\"ExecutionsStarted\",unit=\"Count\"} 2.0",
            "lakerun_up{node=\"a\"} 1.0",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
