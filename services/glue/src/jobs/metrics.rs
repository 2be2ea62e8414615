//! `--enable-metrics`: what a run took, as metrics of namespace `Glue`, once it is over. Source: AWS Glue Developer Guide, "Monitoring AWS
//! Glue using Amazon CloudWatch metrics". Of its metrics those are here that a run has on either engine; what Spark's executors would
//! count is not.

use compute::sandbox;
use serde_json::json;
use service::Cx;

use super::capacity;
use super::records::RunKey;

/// Tells CloudWatch; a run does not fail for its metrics.
pub(super) async fn tell(cx: &Cx, place: &RunKey, dpu: f64, elapsed_ms: i64, used: &sandbox::Used) {
    let dimensions = |kind: &str, run: &str| {
        json!([
            { "Name": "JobName", "Value": place.job },
            { "Name": "JobRunId", "Value": run },
            { "Name": "Type", "Value": kind },
        ])
    };
    #[expect(clippy::cast_precision_loss, reason = "figures of a run are far below 2^52")]
    let (elapsed, cpu, cores) = (elapsed_ms.max(1) as f64, used.cpu_ms as f64, capacity::cores(dpu).max(1) as f64);
    let figures = [
        ("glue.driver.aggregate.elapsedTime", "count", elapsed, "Milliseconds"),
        ("glue.driver.system.cpuSystemLoad", "gauge", (cpu / elapsed / cores).min(1.0), "None"),
    ];
    let data: Vec<_> = figures
        .iter()
        .flat_map(|(name, kind, value, unit)| {
            [place.run.as_str(), "ALL"].map(
                |run| json!({ "MetricName": name, "Dimensions": dimensions(kind, run), "Value": value, "Unit": unit }),
            )
        })
        .collect();
    let request = json!({ "Namespace": "Glue", "MetricData": data });
    if let Err(error) = cx.call_json("cloudwatch", "putMetricData", request).await {
        tracing::warn!(%error, run = place.run, "the metrics of a job run could not be told");
    }
}
