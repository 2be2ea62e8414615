//! A script's `sys.argv`, and the arguments that are for the platform.

use std::collections::BTreeMap;

use compute::spark::Engine;
use wire::Error;

/// What becomes of an argument that Glue has a meaning for. All others are the script's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Obeyed,
    /// Goes to the Spark runtime, which obeys it or refuses it.
    Runtime,
    /// The run's result is the same with and without it: it is about where AWS runs or watches the job.
    None,
    /// Refused, unless it has this value.
    Refused(&'static str),
}

/// Source: AWS Glue Developer Guide, "Using job parameters in AWS Glue jobs".
const SPECIAL: [(&str, Effect); 41] = [
    ("--JOB_NAME", Effect::Obeyed),
    ("--TempDir", Effect::Obeyed),
    ("--additional-python-modules", Effect::Obeyed),
    ("--auto-scale-within-microbatch", Effect::None),
    ("--class", Effect::Refused("")),
    ("--conf", Effect::Runtime),
    ("--continuous-log-conversionPattern", Effect::None),
    ("--continuous-log-logGroup", Effect::None),
    ("--continuous-log-logStreamPrefix", Effect::None),
    ("--customer-driver-env-vars", Effect::Refused("")),
    ("--customer-executor-env-vars", Effect::Refused("")),
    ("--datalake-formats", Effect::Runtime),
    ("--disable-proxy-v2", Effect::None),
    ("--enable-auto-scaling", Effect::None),
    ("--enable-continuous-cloudwatch-log", Effect::None),
    ("--enable-continuous-log-filter", Effect::None),
    ("--enable-glue-datacatalog", Effect::Runtime),
    ("--enable-job-insights", Effect::None),
    ("--enable-lakeformation-fine-grained-access", Effect::Refused("false")),
    ("--enable-metrics", Effect::Obeyed),
    ("--enable-observability-metrics", Effect::None),
    ("--enable-rename-algorithm-v2", Effect::None),
    ("--enable-s3-parquet-optimized-committer", Effect::None),
    ("--enable-spark-ui", Effect::None),
    ("--encryption-type", Effect::Obeyed),
    ("--extra-files", Effect::Runtime),
    ("--extra-jars", Effect::Runtime),
    ("--extra-py-files", Effect::Runtime),
    ("--job-bookmark-from", Effect::Runtime),
    ("--job-bookmark-option", Effect::Runtime),
    ("--job-bookmark-to", Effect::Runtime),
    ("--job-language", Effect::Refused("python")),
    ("--library-set", Effect::None),
    ("--python-modules-installer-option", Effect::Refused("")),
    ("--scriptLocation", Effect::Refused("")),
    ("--spark-event-logs-path", Effect::None),
    ("--spark-ui-event-logs-path", Effect::None),
    ("--use-postgres-driver", Effect::None),
    ("--user-jars-first", Effect::Runtime),
    ("--write-shuffle-files-to-s3", Effect::None),
    ("--write-shuffle-spills-to-s3", Effect::None),
];

/// Refuses what nothing here would obey.
pub(super) fn check(arguments: &BTreeMap<String, String>) -> Result<(), Error> {
    for (name, value) in arguments {
        let known = SPECIAL.iter().find(|(special, _)| special == name);
        if let Some((_, Effect::Refused(unless))) = known
            && !value.is_empty()
            && value != unless
        {
            return Err(api_glue::error::invalid_input_exception(format!(
                "The job argument {name} is not supported, given: {value}"
            )));
        }
    }
    engine(Some(arguments)).map(drop)
}

/// What the script is started with: Glue's own arguments first, then the run's over the job's defaults.
pub(super) fn argv(job: &str, run: &str, arguments: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: Vec<(&str, &str)> = vec![("--JOB_ID", job), ("--JOB_RUN_ID", run), ("--JOB_NAME", job)];
    if !arguments.contains_key("--job-bookmark-option") {
        all.push(("--job-bookmark-option", "job-bookmark-disable"));
    }
    let own = ["--JOB_ID", "--JOB_RUN_ID", "--JOB_NAME"];
    all.extend(arguments.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|(k, _)| !own.contains(k)));
    all.into_iter().flat_map(|(k, v)| [k.to_owned(), v.to_owned()]).collect()
}

/// `NonOverridableArguments` win over the run's, the run's over the job's defaults.
pub(super) fn merge(
    defaults: Option<&BTreeMap<String, String>>,
    run: Option<&BTreeMap<String, String>>,
    fixed: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    [defaults, run, fixed].into_iter().flatten().flat_map(|m| m.iter()).map(|(k, v)| (k.clone(), v.clone())).collect()
}

/// `--additional-python-modules`: lines for pip.
pub(super) fn modules(arguments: &BTreeMap<String, String>) -> Vec<String> {
    let listed = arguments.get("--additional-python-modules").map(String::as_str).unwrap_or_default();
    listed.split(',').map(str::trim).filter(|m| !m.is_empty()).map(str::to_owned).collect()
}

/// `--lakerun-engine`: what runs the plans of a Spark job; none where it does not say.
///
/// # Errors
/// `InvalidInputException` for another name.
pub(super) fn engine(arguments: Option<&BTreeMap<String, String>>) -> Result<Option<Engine>, Error> {
    let Some(name) = arguments.and_then(|all| all.get("--lakerun-engine")) else { return Ok(None) };
    Engine::named(name).map(Some).ok_or_else(|| {
        api_glue::error::invalid_input_exception(format!(
            "--lakerun-engine is {name}: it takes auto, sail, spark, submit or connect"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn what_nothing_obeys_is_refused() {
        for (name, effect) in SPECIAL {
            let refused = check(&map(&[(name, "value")]));
            assert_eq!(refused.is_err(), matches!(effect, Effect::Refused(_)), "{name}");
            if let Effect::Refused(unless) = effect {
                assert!(check(&map(&[(name, unless)])).is_ok(), "{name} {unless}");
                assert!(refused.unwrap_err().message().contains(name));
            }
        }
        assert!(check(&map(&[("--mine", "value")])).is_ok());
        assert!(SPECIAL.is_sorted_by_key(|(name, _)| *name));
    }

    #[test]
    fn arguments_of_a_run() {
        let merged =
            merge(Some(&map(&[("--a", "1"), ("--b", "1")])), Some(&map(&[("--b", "2")])), Some(&map(&[("--c", "3")])));
        assert_eq!(merged, map(&[("--a", "1"), ("--b", "2"), ("--c", "3")]));
        assert_eq!(
            argv("j", "jr_1", &map(&[("--a", "1"), ("--JOB_NAME", "other")])).join(" "),
            "--JOB_ID j --JOB_RUN_ID jr_1 --JOB_NAME j --job-bookmark-option job-bookmark-disable --a 1"
        );
        assert_eq!(engine(None).unwrap(), None);
        for engine_ in [Engine::Auto, Engine::Sail, Engine::Spark, Engine::Submit, Engine::Connect] {
            assert_eq!(engine(Some(&map(&[("--lakerun-engine", engine_.name())]))).unwrap(), Some(engine_));
        }
        assert!(engine(Some(&map(&[("--lakerun-engine", "flink")]))).unwrap_err().message().contains("flink"));
        assert_eq!(modules(&map(&[("--additional-python-modules", "x==1, y")])), ["x==1", "y"]);
    }
}
