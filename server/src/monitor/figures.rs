//! What `/metrics` shows beside requests: the process and its children, stores and queues, PostgreSQL and the bucket, environments,
//! sweeps, traces, the lease and the nodes that work for this one. `docs/operations.md` lists every one.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use compute::nodes::Nodes;
use front::{Figure, Kind, Labels, Metrics, State, Value};
use store::Queue;
use store::metrics::{self, BUCKET, Commits, Shown, TRIPS};
use store::postgres::Lease;

use super::{Process, below, open_files};
use crate::traces::Exporter;

/// How many environments are idle, and how many in use or asked for.
type Census = Box<dyn Fn() -> (usize, usize) + Send + Sync>;

/// What is looked at when somebody asks.
pub(crate) struct Sources {
    /// Where several nodes share the stores.
    pub(crate) lease: Option<Lease>,
    pub(crate) nodes: Nodes,
    pub(crate) queues: Vec<(&'static str, Queue)>,
    /// `functions`, `models`.
    pub(crate) environments: Vec<(&'static str, Census)>,
    pub(crate) exporter: Option<Exporter>,
}

pub(crate) fn metrics(sources: Sources) -> Metrics {
    Metrics::new(State(Box::new(move || figures(&sources))))
}

fn figures(sources: &Sources) -> Vec<Figure> {
    let mut figures = of_process();
    figures.extend(of_stores(&sources.queues));
    figures.extend(of_tasks(&sources.queues));
    figures.push(of_database());
    figures.extend(of_bucket());
    figures.push(of_environments(&sources.environments));
    figures.extend(of_sweeps());
    figures.extend(of_traces(sources.exporter.as_ref()));
    figures.extend(of_cluster(sources.lease.as_ref(), &sources.nodes));
    figures
}

fn of_process() -> Vec<Figure> {
    let own = Process::read("self").unwrap_or_default();
    let (children, memory) = below();
    vec![
        counter("process_cpu_seconds", "CPU time of the server", alone(own.cpu_seconds)),
        gauge("process_resident_memory_bytes", "Memory of the server", alone(own.resident_bytes)),
        gauge("process_threads", "Threads of the server", alone(own.threads)),
        gauge("process_open_files", "Open files of the server", alone(open_files())),
        gauge("children", "Processes of functions, jobs, queries and models", alone(children)),
        gauge("children_resident_memory_bytes", "Their memory, shared pages counted each time", alone(memory)),
    ]
}

fn of_stores(queues: &[(&'static str, Queue)]) -> Vec<Figure> {
    let by_store = |value: &dyn Fn(&Commits) -> Value| -> Values {
        let counted = |(name, queue): &(&str, Queue)| {
            Some((vec![("store", (*name).to_owned())], value(queue.store().commits()?)))
        };
        queues.iter().filter_map(counted).collect()
    };
    vec![
        histogram(
            "store_commit_duration_seconds",
            "Until a commit is durable in the log",
            by_store(&|commits| shown(commits.took.shown())),
        ),
        histogram(
            "store_commit_requests",
            "Requests that share a commit",
            by_store(&|commits| shown(commits.requests.shown())),
        ),
        counter(
            "store_committed_bytes",
            "Bytes of records committed",
            by_store(&|commits| Value::Number(total(&commits.bytes))),
        ),
        gauge(
            "store_waiting_requests",
            "Requests that wait for their commit",
            by_store(&|commits| Value::Number(present(&commits.waiting))),
        ),
        gauge(
            "store_unmoved_bytes",
            "Bytes committed and not yet among the records",
            by_store(&|commits| Value::Number(present(&commits.unmoved))),
        ),
    ]
}

fn of_tasks(queues: &[(&'static str, Queue)]) -> Vec<Figure> {
    let (mut waiting, mut running) = (Values::new(), Values::new());
    let (mut oldest, mut scheduled) = (Values::new(), Values::new());
    for (name, queue) in queues {
        let store = || ("store", (*name).to_owned());
        let now_ms = queue.store().clock().now_ms();
        for load in queue.load() {
            let labels = vec![store(), ("kind", load.kind)];
            let age_ms = load.oldest_ms.map_or(0, |at_ms| (now_ms - at_ms).max(0));
            oldest.push((labels.clone(), Value::Number(seconds(age_ms))));
            waiting.push((labels.clone(), Value::Number(number(load.waiting))));
            running.push((labels, Value::Number(number(load.running))));
        }
        scheduled.push((vec![store()], Value::Number(number(queue.scheduled()))));
    }
    vec![
        gauge("tasks_waiting", "Tasks that are due and wait for others of their kind", waiting),
        gauge("tasks_running", "Tasks that run", running),
        gauge("tasks_oldest_waiting_seconds", "How long the first of those that wait has been due", oldest),
        gauge("tasks_scheduled", "Tasks in memory that are due later, timers among them", scheduled),
    ]
}

fn of_database() -> Figure {
    let values = TRIPS.by_name().map(|(what, took)| (vec![("what", what.to_owned())], shown(took.shown())));
    histogram("postgres_round_trip_duration_seconds", "From a statement to PostgreSQL's answer", values.into())
}

fn of_bucket() -> [Figure; 2] {
    let by_operation = |value: fn(&metrics::Asked) -> &AtomicU64| -> Values {
        let one = |(name, asked): (&&str, &metrics::Asked)| {
            (vec![("operation", (*name).to_owned())], Value::Number(total(value(asked))))
        };
        BUCKET.iter().map(one).collect()
    };
    [
        counter("bucket_requests", "Requests to the bucket of objects", by_operation(|asked| &asked.requests)),
        counter("bucket_errors", "Those of them that failed", by_operation(|asked| &asked.errors)),
    ]
}

fn of_environments(all: &[(&'static str, Census)]) -> Figure {
    let mut values = Values::new();
    for (of, census) in all {
        let (warm, busy) = census();
        for (state, count) in [("warm", warm), ("busy", busy)] {
            let labels = vec![("of", (*of).to_owned()), ("state", state.to_owned())];
            values.push((labels, Value::Number(number(count))));
        }
    }
    gauge("environments", "Environments that are warm and idle, and that are in use or asked for", values)
}

fn of_sweeps() -> [Figure; 2] {
    let (mut done, mut errors) = (Values::new(), Values::new());
    for (name, swept) in metrics::sweeps() {
        let labels = || vec![("sweep", name.to_owned())];
        done.extend(swept.done_ms.map(|at_ms| (labels(), Value::Number(seconds(at_ms)))));
        errors.push((labels(), Value::Number(count(swept.errors))));
    }
    [
        gauge("sweep_last_completed_timestamp_seconds", "When a sweep's last whole round was over", done),
        counter("sweep_errors", "Rounds of a sweep that failed", errors),
    ]
}

fn of_traces(exporter: Option<&Exporter>) -> [Figure; 3] {
    let (mut spans, mut missed, mut waiting) = (Values::new(), Values::new(), Values::new());
    if let Some(exporter) = exporter {
        let counted = exporter.counted();
        for (outcome, count) in
            [("exported", &counted.exported), ("dropped", &counted.dropped), ("rejected", &counted.rejected)]
        {
            spans.push((vec![("outcome", outcome.to_owned())], Value::Number(total(count))));
        }
        missed = alone(total(&counted.missed));
        waiting = alone(number(exporter.count_waiting()));
    }
    [
        counter("trace_spans", "Spans, by what has become of them", spans),
        counter("trace_executions_missed", "Executions that have no trace: the collector was away", missed),
        gauge("trace_spans_waiting", "Spans that wait to be sent", waiting),
    ]
}

fn of_cluster(lease: Option<&Lease>, nodes: &Nodes) -> [Figure; 3] {
    let (mut valid, mut fence, mut free) = (Values::new(), Values::new(), Values::new());
    if let Some(lease) = lease {
        valid = alone(f64::from(u8::from(lease.is_valid())));
        fence = alone(count(u64::try_from(lease.fence()).unwrap_or_default()));
        let bytes = |(node, free_mb): (String, usize)| {
            (vec![("node", node)], Value::Number(number(free_mb) * f64::from(1_u32 << 20)))
        };
        free = nodes.list_free().into_iter().map(bytes).collect();
    }
    [
        gauge("lease_valid", "1 while this node surely owns the stores", valid),
        gauge("lease_fence", "The number of this ownership", fence),
        gauge("node_free_memory_bytes", "What nodes that work for this one have left for functions and jobs", free),
    ]
}

type Values = Vec<(Labels, Value)>;

fn alone(value: f64) -> Values {
    vec![(Vec::new(), Value::Number(value))]
}

fn gauge(name: &'static str, help: &'static str, values: Values) -> Figure {
    Figure { name, help, kind: Kind::Gauge, values }
}

/// The format adds `_total` to its name.
fn counter(name: &'static str, help: &'static str, values: Values) -> Figure {
    Figure { name, help, kind: Kind::Counter, values }
}

fn histogram(name: &'static str, help: &'static str, values: Values) -> Figure {
    Figure { name, help, kind: Kind::Histogram, values }
}

fn shown(histogram: Shown) -> Value {
    Value::Histogram(histogram)
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "a count, for people")]
fn count(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a time in milliseconds, for people")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn total(value: &AtomicU64) -> f64 {
    count(value.load(Ordering::Relaxed))
}

fn present(value: &AtomicUsize) -> f64 {
    number(value.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use service::meter::{Measured, Meter as _};

    use super::*;

    /// The metrics that are served, as their samples are called.
    fn served(text: &str) -> BTreeSet<String> {
        let family = |line: &str| {
            let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
            Some(if kind == "counter" { format!("{name}_total") } else { name.to_owned() })
        };
        text.lines().filter_map(family).collect()
    }

    /// What the first cells of the tables of a section of the documentation name.
    fn documented(page: &str, section: &str) -> BTreeSet<String> {
        let (_, after) = page.split_once(&format!("\n## {section}\n")).expect("the section is there");
        let text = after.split("\n## ").next().unwrap_or_default();
        let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
        let names = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2));
        names.filter(|name| name.starts_with("lakerun_")).map(str::to_owned).collect()
    }

    fn sources(queues: Vec<(&'static str, Queue)>) -> Sources {
        let environments: Vec<(&'static str, Census)> = vec![("functions", Box::new(|| (2, 1)))];
        Sources { lease: None, nodes: Nodes::default(), queues, environments, exporter: None }
    }

    #[test]
    fn the_documentation_lists_what_is_served() {
        let page = include_str!("../../../docs/operations.md");
        let metrics = metrics(sources(Vec::new()));
        metrics.measure(Measured {
            account: "0",
            region: "r",
            namespace: "n",
            metric: "m",
            dimensions: &[("d", "v")],
            value: 1.0,
            unit: "Count",
        });
        let mut served = served(&metrics.text().unwrap());
        // Of requests, which come by HTTP, there were none.
        served.extend(["lakerun_requests_total", "lakerun_request_duration_seconds"].map(str::to_owned));
        assert_eq!(documented(page, "Metrics and logs"), served);
    }

    /// Source: Prometheus' documentation, "Metric and label naming"; OpenMetrics, "Counter": the format adds `_total`.
    #[test]
    fn names_are_as_prometheus_wants_them() {
        let text = metrics(sources(Vec::new())).text().unwrap();
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            let is_word =
                |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            assert!(name.starts_with("lakerun_") && name.split('_').all(is_word), "{name}");
            for wrong in ["_total", "_count", "_sum", "_bucket", "_ms", "_milliseconds", "_kb", "_mb", "_info"] {
                assert!(!name.ends_with(wrong), "{name} is a {kind}");
            }
            // Base units, at the end.
            for unit in ["seconds", "bytes"] {
                assert!(!name.contains(unit) || name.ends_with(unit), "{name}");
            }
        }
    }

    #[tokio::test]
    async fn a_store_that_commits_shows_it() {
        let folder = tempfile::tempdir().unwrap();
        let queue = Queue::new(store::Store::open(&folder.path().join("s.db")).unwrap());
        for _ in 0..3 {
            queue.store().write(|tx| tx.put("key", b"value")).await.unwrap();
        }
        let text = metrics(sources(vec![("control", queue)])).text().unwrap();
        for line in [
            r#"lakerun_store_commit_duration_seconds_count{store="control"} 3"#,
            r#"lakerun_store_commit_requests_sum{store="control"} 3.0"#,
            r#"lakerun_store_commit_requests_bucket{le="+Inf",store="control"} 3"#,
            r#"lakerun_store_waiting_requests{store="control"} 0.0"#,
            r#"lakerun_environments{of="functions",state="warm"} 2.0"#,
            r#"lakerun_bucket_errors_total{operation="put"} 0.0"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
    }
}
