//! Section `[spark]` of the settings: the Apache Spark beyond this server that jobs may be sent to, where they go that do not say, and
//! what stands by for them here.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use compute::spark::{Cluster, Engine, Job};
use serde::Deserialize;

use super::capacity;
use super::records::RunRecord;

/// Where nothing is set.
const STANDBY: Duration = Duration::from_mins(10);

/// What is set. Each key is described in `docs/settings.md`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Section {
    /// What runs the jobs that have no `--lakerun-engine`.
    engine: Option<String>,
    /// The cluster of `submit`, as `spark.master` takes it.
    master: Option<String>,
    /// The server of `connect`, `sc://HOST:PORT`.
    connect: Option<String>,
    /// The interpreter of the cluster's machines.
    python: Option<String>,
    /// Where those reach this server.
    endpoint: Option<String>,
    /// The folder of a YARN cluster's settings.
    config_folder: Option<PathBuf>,
    /// Settings of Spark that the cluster's jobs have.
    conf: BTreeMap<String, String>,
    /// How long what stands by for runs here stays without one.
    standby_seconds: Option<u64>,
}

impl Section {
    /// # Errors
    /// A text that names the key.
    pub(super) fn of(settings: &service::Settings) -> Result<Self, String> {
        let section: Self = settings.section("spark")?;
        section.checked()
    }

    fn checked(self) -> Result<Self, String> {
        if let Some(name) = &self.engine
            && Engine::named(name).is_none()
        {
            return Err(format!("[spark] engine: auto, sail, spark, submit or connect, not {name:?}"));
        }
        let masters = ["spark://", "k8s://", "yarn"];
        if let Some(master) = self.master.as_deref().filter(|at| !masters.iter().any(|start| at.starts_with(start))) {
            return Err(format!("[spark] master: spark://HOST:PORT, yarn or k8s://URL, not {master:?}"));
        }
        if let Some(connect) = self.connect.as_deref().filter(|at| !at.starts_with("sc://")) {
            return Err(format!("[spark] connect: sc://HOST:PORT, not {connect:?}"));
        }
        if let Some(folder) = self.config_folder.as_deref().filter(|folder| !folder.is_absolute()) {
            return Err(format!("[spark] config_folder: an absolute path, not {}", folder.display()));
        }
        Ok(self)
    }

    /// Zero: nothing stands by.
    pub(super) fn standby(&self) -> Duration {
        self.standby_seconds.map_or(STANDBY, Duration::from_secs)
    }

    /// What runs a job's plans, where its arguments say `asked`.
    pub(super) fn engine(&self, asked: Option<Engine>) -> Engine {
        asked.or_else(|| self.engine.as_deref().and_then(Engine::named)).unwrap_or_default()
    }

    /// What a run has of the cluster of its engine; none where none is set, or the engine needs none.
    /// `session` is the run's own, a UUID.
    pub(super) fn cluster(&self, engine: Engine, record: &RunRecord, session: String) -> Option<Cluster> {
        let at = match engine {
            Engine::Submit => self.master.clone()?,
            Engine::Connect => self.connect.clone()?,
            Engine::Auto | Engine::Sail | Engine::Spark => return None,
        };
        let run = &record.run;
        let (executor_cores, executor_memory_mb) = capacity::executor(run.worker_type.as_deref());
        Some(Cluster {
            at,
            python: self.python.clone(),
            endpoint: self.endpoint.clone(),
            config_folder: self.config_folder.clone(),
            conf: self.conf.clone(),
            session,
            executors: capacity::executors(run.number_of_workers, run.max_capacity.unwrap_or(1.0)),
            executor_cores,
            executor_memory_mb,
        })
    }
}

/// Why a run whose engine is elsewhere cannot be.
pub(super) fn refusal(job: &Job) -> Option<String> {
    let (engine, needs) = match job.engine {
        Engine::Submit => ("submit", "a cluster: [spark] master = \"spark://HOST:PORT\""),
        Engine::Connect => ("connect", "a server: [spark] connect = \"sc://HOST:PORT\""),
        Engine::Auto | Engine::Sail | Engine::Spark => return None,
    };
    if job.cluster.is_none() {
        return Some(format!("LAUNCH ERROR | --lakerun-engine {engine} needs {needs} in the server's settings"));
    }
    (!job.modules.is_empty()).then(|| {
        format!(
            "LAUNCH ERROR | --additional-python-modules {}: a cluster's machines have the modules that they have; --extra-py-files reach them",
            job.modules.join(",")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(value: serde_json::Value) -> Result<Section, String> {
        let sections = serde_json::Map::from_iter([("spark".to_owned(), value)]);
        Section::of(&service::Settings(std::sync::Arc::new(sections)))
    }

    #[test]
    fn settings_are_held_to_what_they_take() {
        for (wrong, named) in [
            (serde_json::json!({"engine": "flink"}), "flink"),
            (serde_json::json!({"master": "local[2]"}), "local[2]"),
            (serde_json::json!({"connect": "http://here:15002"}), "http://here"),
            (serde_json::json!({"config_folder": "conf"}), "absolute"),
            (serde_json::json!({"masters": "yarn"}), "masters"),
        ] {
            let error = section(wrong).unwrap_err();
            assert!(error.contains(named) && error.contains("[spark]"), "{error}");
        }
        let set = section(serde_json::json!({"engine": "submit", "master": "spark://a:7077,b:7077"})).unwrap();
        assert_eq!(set.engine(None), Engine::Submit);
        assert_eq!(set.engine(Some(Engine::Sail)), Engine::Sail);
        assert_eq!(Section::default().engine(None), Engine::Auto);
        assert_eq!(Section::default().standby(), Duration::from_mins(10));
        assert!(section(serde_json::json!({"standby_seconds": 0})).unwrap().standby().is_zero());
    }
}
