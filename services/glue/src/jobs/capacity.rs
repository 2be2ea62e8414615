//! What a run may use: worker types as memory and cores, and Glue's DPU figures.

use api_glue::{Job, StartJobRunRequest};

/// The capacity of a run: the request's over the job's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Capacity {
    pub(super) worker_type: Option<String>,
    pub(super) workers: Option<i32>,
    pub(super) dpu: f64,
}

impl Capacity {
    pub(super) fn of(job: &Job, request: &StartJobRunRequest) -> Self {
        let worker_type = request.worker_type.clone().or_else(|| job.worker_type.clone());
        let workers = request.number_of_workers.or(job.number_of_workers);
        let shell = job.command.as_ref().and_then(|c| c.name.as_deref()) == Some("pythonshell");
        let given = request.max_capacity.or(job.max_capacity).or_else(|| job.allocated_capacity.map(f64::from));
        let dpu = match (&worker_type, workers) {
            (Some(kind), Some(n)) => dpu_of(kind) * f64::from(n),
            _ => given.unwrap_or(if shell { 0.0625 } else { 10.0 }),
        };
        Self { worker_type, workers, dpu }
    }
}

/// A DPU has 4 cores and 16 GB; workers of type R have the memory of twice their M-DPUs. Source: Glue's developer guide, "AWS Glue worker
/// types".
pub(super) fn dpu_of(worker_type: &str) -> f64 {
    match worker_type {
        "G.025X" => 0.25,
        "G.2X" | "R.1X" => 2.0,
        "G.4X" | "R.2X" => 4.0,
        "G.8X" | "R.4X" => 8.0,
        "G.12X" => 12.0,
        "G.16X" | "R.8X" => 16.0,
        _ => 1.0,
    }
}

/// What one worker of a type is as an executor: the cores of its DPUs, and of the 16 GB of each what Glue gives the executor's heap, 10.
/// Source: AWS Glue Developer Guide, "Worker types" (G.1X: 4 vCPUs, 16 GB); `spark.executor.memory` 10g in its Spark UI.
pub(super) fn executor(worker_type: Option<&str>) -> (usize, u64) {
    let dpu = worker_type.map_or(1.0, dpu_of);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "from a table of small figures")]
    let (cores, memory_mb) = ((dpu * 4.0).max(1.0) as usize, (dpu * 10_240.0) as u64);
    (cores, memory_mb)
}

/// Of a run's workers those that are executors: one is the driver.
pub(super) fn executors(workers: Option<i32>, dpu: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
    let workers = workers.and_then(|n| usize::try_from(n).ok()).unwrap_or_else(|| dpu.clamp(1.0, 10_000.0) as usize);
    workers.saturating_sub(1).max(1)
}

pub(super) fn memory_mb(dpu: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
    let mb = (dpu * 16384.0).clamp(1024.0, 1_048_576.0) as u64;
    mb
}

pub(super) fn cores(dpu: f64) -> usize {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded on both sides")]
    let cores = (dpu * 4.0).clamp(1.0, 1024.0) as usize;
    cores.min(std::thread::available_parallelism().map_or(2, usize::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_cluster() {
        assert_eq!(executor(None), (4, 10_240));
        assert_eq!(executor(Some("G.025X")), (1, 2_560));
        assert_eq!(executor(Some("G.2X")), (8, 20_480));
        assert_eq!((executors(Some(3), 3.0), executors(Some(1), 1.0), executors(None, 10.0)), (2, 1, 9));
    }
}
