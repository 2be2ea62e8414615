//! What CloudWatch is told of endpoints: `AWS/SageMaker`, by `EndpointName` and `VariantName`.
//! Source: `SageMaker` Developer Guide, "Monitor Amazon SageMaker AI with Amazon CloudWatch", "Endpoint invocation metrics".

use std::time::Duration;

use service::Cx;
use service::meter::Measured;

use super::call::Failed;
use super::server::Answered;

/// Tells of a call that took so long, and its model so long where it was asked.
pub(super) fn tell(
    cx: &Cx,
    (endpoint, variant): (&str, &str),
    outcome: &Result<Answered, Failed>,
    (whole, model): (Duration, Option<Duration>),
) {
    let one = |metric: &str, value: f64, unit: &str| {
        let dimensions = &[("EndpointName", endpoint), ("VariantName", variant)];
        let (account, region, namespace) = (cx.account(), cx.region(), "AWS/SageMaker");
        cx.router().measure(Measured { account, region, namespace, metric, dimensions, value, unit });
    };
    let status = match outcome {
        Ok(_) => 200,
        Err(Failed::Model { status: 0, .. }) => 500,
        Err(Failed::Model { status, .. }) => *status,
        Err(Failed::Platform(error)) => error.status(),
    };
    let count = |holds: bool| if holds { 1.0 } else { 0.0 };
    one("Invocations", 1.0, "None");
    one("Invocation4XXErrors", count((400..500).contains(&status)), "None");
    one("Invocation5XXErrors", count(status >= 500), "None");
    one("InvocationModelErrors", count(matches!(outcome, Err(Failed::Model { .. }))), "None");
    if let Some(model) = model {
        let microseconds = |time: Duration| time.as_secs_f64() * 1_000_000.0;
        one("ModelLatency", microseconds(model), "Microseconds");
        one("OverheadLatency", microseconds(whole.saturating_sub(model)), "Microseconds");
    }
}
