//! A script's `sys.argv`, and the arguments that are for the platform.

use std::collections::BTreeMap;

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

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
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
        assert_eq!(modules(&map(&[("--additional-python-modules", "x==1, y")])), ["x==1", "y"]);
    }
}
