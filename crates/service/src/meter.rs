//! The port through which services count what happens: CloudWatch's metrics of the platform itself, without a call.

/// One measurement of a metric of AWS's own, e.g. `ExecutionsStarted` in `AWS/States`.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub namespace: &'a str,
    pub metric: &'a str,
    /// Names and values, in any order.
    pub dimensions: &'a [(&'a str, &'a str)],
    pub value: f64,
    /// `Count`, `Milliseconds`, …
    pub unit: &'a str,
}

/// The namespace of what AWS would bill, added up when it is used.
pub const USAGE: &str = "Lakerun/Usage";

/// What AWS would bill of something used.
#[derive(Clone, Copy, Debug)]
pub struct Usage<'a> {
    /// `states`, `lambda`, `glue`, `athena`.
    pub service: &'a str,
    /// `StateTransitions`, `Requests`, `GBSeconds`, `DPUSeconds`, `BilledBytes`, …
    pub metric: &'a str,
    /// The state machine's ARN, the function's, job's or workgroup's name.
    pub resource: &'a str,
    pub amount: f64,
    /// As CloudWatch names units.
    pub unit: &'a str,
}

impl Usage<'_> {
    /// Counts it for its resource and for its service.
    pub fn tell(self, router: &crate::Router, (account, region): (&str, &str)) {
        let Self { service, metric, resource, amount: value, unit } = self;
        for dimension in [("Resource", resource), ("Service", service)] {
            let dimensions = &[dimension];
            router.measure(Measured { account, region, namespace: USAGE, metric, dimensions, value, unit });
        }
    }
}

/// Takes measurements: at once, in memory.
pub trait Meter: Send + Sync {
    fn measure(&self, measured: Measured<'_>);
}
