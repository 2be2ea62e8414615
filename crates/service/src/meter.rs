//! The port through which services count what happens: CloudWatch's metrics of the platform itself, without a call.

/// One measurement of a metric of AWS's own, e.g. `ExecutionsStarted` in `AWS/States`.
#[derive(Clone, Copy, Debug)]
pub struct Measured<'a> {
    pub account: &'a str,
    pub region: &'a str,
    pub namespace: &'a str,
    pub metric: &'a str,
    /// Name and value.
    pub dimension: (&'a str, &'a str),
    pub value: f64,
    /// `Count`, `Milliseconds`, …
    pub unit: &'a str,
}

/// Takes measurements: at once, in memory.
pub trait Meter: Send + Sync {
    fn measure(&self, measured: Measured<'_>);
}
