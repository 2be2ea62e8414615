//! Job bookmarks: what a job's runs have read, by transformation context. The state itself is the script's side to make and to
//! understand (`runtimes/spark/awsglue/bookmarks.py`); here it is kept, and changed only by the run that started from it.
//!
//! Source: AWS Glue Developer Guide, "Tracking processed data using job bookmarks". There `job.commit()` moves the bookmark at once;
//! here it moves when the run has succeeded, so a run that fails after its commit reads the same data again.

use std::collections::BTreeMap;

use api_glue::{JobBookmarkEntry, JobRun};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::Tx;
use wire::Error;

use super::records::{JobRecord, RunKey, RunRecord};
use crate::scope;

const VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bookmark {
    format: u32,
    /// Counts its changes, resets too.
    version: i32,
    /// Counts the runs that moved it.
    run: i32,
    attempt: i32,
    run_id: Option<String>,
    previous_run_id: Option<String>,
    /// By transformation context; empty after a reset.
    state: Value,
}

impl Bookmark {
    pub(super) fn entry(&self, job: &str) -> JobBookmarkEntry {
        JobBookmarkEntry {
            job_name: Some(job.to_owned()),
            version: Some(self.version),
            run: Some(self.run),
            attempt: Some(self.attempt),
            previous_run_id: self.previous_run_id.clone(),
            run_id: self.run_id.clone(),
            job_bookmark: Some(self.state.to_string()),
        }
    }
}

/// The bookmark as it is, or as the run of `place` left it.
pub(super) fn find(tx: &mut Tx<'_>, place: &RunKey, of_run: bool) -> Result<Option<Bookmark>, Error> {
    Ok(tx.get_json(if of_run { place.left_bookmark() } else { place.bookmark() })?)
}

pub(super) fn not_found(place: &RunKey) -> Error {
    let run = if place.run.is_empty() { String::new() } else { format!(" and run {}", place.run) };
    api_glue::error::entity_not_found_exception(format!("Continuation for job {}{run} not found", place.job))
}

/// What a script is told of the bookmark, as JSON; none where its arguments ask for none.
pub(super) fn given(
    tx: &mut Tx<'_>,
    place: &RunKey,
    arguments: Option<&BTreeMap<String, String>>,
) -> Result<Option<String>, Error> {
    let argument = |name: &str| arguments.and_then(|all| all.get(name)).map(String::as_str).filter(|v| !v.is_empty());
    let option = argument("--job-bookmark-option").unwrap_or("job-bookmark-disable");
    if option == "job-bookmark-disable" {
        return Ok(None);
    }
    let current = find(tx, place, false)?;
    let mut told = json!({
        "option": option,
        "version": current.as_ref().map_or(0, |b| b.version),
        "state": current.map_or_else(|| json!({}), |b| b.state),
    });
    for name in ["from", "to"] {
        let Some(run) = argument(&format!("--job-bookmark-{name}")) else { continue };
        let of = RunKey { run: run.to_owned(), ..place.clone() };
        match find(tx, &of, true)? {
            Some(left) => told[name] = left.state,
            None => told["error"] = json!(format!("--job-bookmark-{name}: {}", not_found(&of).message())),
        }
    }
    Ok(Some(told.to_string()))
}

/// What a run that has succeeded does to its job's bookmark: nothing where the job is gone, for its bookmark went with it, and what
/// the run has read is nothing that another job of its name has read. Some: why the run has failed.
pub(super) fn end(
    tx: &mut Tx<'_>,
    place: &RunKey,
    record: &RunRecord,
    committed: &str,
) -> Result<Option<String>, Error> {
    let Some(JobRecord { job, .. }) = tx.get_json(place.job())? else { return Ok(None) };
    // Runs of earlier versions do not say which job they are of.
    if record.job_created_on.is_some() && record.job_created_on != job.created_on {
        return Ok(None);
    }
    advance(tx, place, &record.run, committed)
}

/// Moves the bookmark to what a run committed. Some: why it may not, because another run or a reset moved it meanwhile.
fn advance(tx: &mut Tx<'_>, place: &RunKey, run: &JobRun, committed: &str) -> Result<Option<String>, Error> {
    #[derive(Deserialize)]
    struct Committed {
        version: i32,
        state: Value,
    }
    let Ok(committed) = serde_json::from_str::<Committed>(committed) else {
        return Ok(Some("the job's bookmark was committed in a form that is not known".to_owned()));
    };
    let old = find(tx, place, false)?;
    let version = old.as_ref().map_or(0, |b| b.version);
    if version != committed.version {
        let by = old.and_then(|b| b.run_id).map_or_else(|| "a reset".to_owned(), |run| format!("run {run}"));
        return Ok(Some(format!(
            "VersionMismatchException: the bookmark of job {} is at version {version} since {by}; this run started from version {}",
            place.job, committed.version
        )));
    }
    let new = Bookmark {
        format: VERSION,
        version: version + 1,
        run: old.as_ref().map_or(0, |b| b.run) + 1,
        attempt: run.attempt.unwrap_or(0),
        run_id: Some(place.run.clone()),
        previous_run_id: old.and_then(|b| b.run_id),
        state: committed.state,
    };
    tx.put_json(place.bookmark(), &new)?;
    tx.put_json(place.left_bookmark(), &new)?;
    Ok(None)
}

/// Back to the beginning, or to how the run of `place` left it.
pub(super) fn reset(tx: &mut Tx<'_>, place: &RunKey) -> Result<Bookmark, Error> {
    let old = find(tx, place, false)?.ok_or_else(|| not_found(place))?;
    let target =
        if place.run.is_empty() { None } else { Some(find(tx, place, true)?.ok_or_else(|| not_found(place))?) };
    let new = Bookmark {
        format: VERSION,
        version: old.version + 1,
        run: target.as_ref().map_or(0, |t| t.run),
        attempt: target.as_ref().map_or(0, |t| t.attempt),
        run_id: target.as_ref().and_then(|t| t.run_id.clone()),
        previous_run_id: target.as_ref().and_then(|t| t.previous_run_id.clone()),
        state: target.map_or_else(|| json!({}), |t| t.state),
    };
    tx.put_json(place.bookmark(), &new)?;
    Ok(new)
}

/// Whether the job's bookmark is as the run of `place` left it, or the one before that.
pub(super) fn is_of(tx: &mut Tx<'_>, place: &RunKey) -> Result<bool, Error> {
    let current = find(tx, place, false)?;
    Ok(current.is_some_and(|b| [b.run_id, b.previous_run_id].into_iter().flatten().any(|run| run == place.run)))
}

/// Of a job that is deleted.
pub(super) fn forget(tx: &mut Tx<'_>, place: &RunKey) -> Result<(), Error> {
    tx.delete(place.bookmark())?;
    Ok(scope::clear(tx, &place.left_bookmarks())?)
}

#[cfg(test)]
mod tests {
    use api_glue::Job;
    use wire::Timestamp;

    use super::*;

    fn place(run: &str) -> RunKey {
        RunKey { account: "1".into(), region: "r".into(), job: "j".into(), run: run.into() }
    }

    fn committed(version: i32, state: &str) -> String {
        json!({ "version": version, "state": { "src": state } }).to_string()
    }

    fn arguments(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (format!("--job-bookmark-{k}"), (*v).to_owned())).collect()
    }

    #[tokio::test]
    async fn only_the_run_that_started_from_a_bookmark_moves_it() {
        let store = store::Store::memory();
        store
            .write(|tx| {
                let run = JobRun::default();
                assert!(find(tx, &place(""), false)?.is_none());
                assert_eq!(advance(tx, &place("one"), &run, &committed(0, "a"))?, None);
                let late = advance(tx, &place("two"), &run, &committed(0, "b"))?.unwrap_or_default();
                assert!(late.starts_with("VersionMismatchException") && late.contains("run one"), "{late}");
                assert_eq!(advance(tx, &place("three"), &run, &committed(1, "c"))?, None);
                let now = find(tx, &place(""), false)?.unwrap().entry("j");
                assert_eq!((now.version, now.run, now.run_id.as_deref()), (Some(2), Some(2), Some("three")));
                assert_eq!(
                    (now.previous_run_id.as_deref(), now.job_bookmark.as_deref()),
                    (Some("one"), Some(r#"{"src":"c"}"#))
                );

                let back = reset(tx, &place("one"))?.entry("j");
                assert_eq!((back.version, back.run_id.as_deref()), (Some(3), Some("one")));
                let mixed = advance(tx, &place("four"), &run, &committed(2, "d"))?;
                assert!(mixed.is_some(), "a reset counts as a change");
                assert_eq!(reset(tx, &place(""))?.entry("j").job_bookmark.as_deref(), Some("{}"));
                assert!(reset(tx, &place("none")).unwrap_err().is("EntityNotFoundException"));
                forget(tx, &place(""))?;
                assert!(find(tx, &place("one"), true)?.is_none());
                assert!(reset(tx, &place("")).unwrap_err().is("EntityNotFoundException"));
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_run_of_a_deleted_job_leaves_the_bookmark_of_its_successor_alone() {
        let job = |created: i64| Job { created_on: Some(Timestamp::from_millis(created)), ..Job::default() };
        let run = |of: &Job| RunRecord::new(JobRun::default(), of);
        let store = store::Store::memory();
        store
            .write(move |tx| {
                let version = |tx: &mut Tx<'_>| Ok::<_, Error>(find(tx, &place(""), false)?.map(|b| b.version));
                let (old, new) = (job(1), job(2));
                tx.put_json(place("").job(), &JobRecord::new(old.clone()))?;
                assert_eq!(end(tx, &place("one"), &run(&old), &committed(0, "a"))?, None);
                assert_eq!(version(tx)?, Some(1));
                // Deleted while two runs are under way.
                tx.delete(place("").job())?;
                forget(tx, &place(""))?;
                assert_eq!(end(tx, &place("two"), &run(&old), &committed(1, "b"))?, None);
                assert_eq!((version(tx)?, find(tx, &place("two"), true)?.is_some()), (None, false));
                // Made again.
                tx.put_json(place("").job(), &JobRecord::new(new.clone()))?;
                assert_eq!(end(tx, &place("three"), &run(&old), &committed(0, "c"))?, None);
                assert_eq!(version(tx)?, None);
                assert_eq!(end(tx, &place("four"), &run(&new), &committed(0, "d"))?, None);
                assert_eq!(end(tx, &place("five"), &run(&old), &committed(1, "e"))?, None);
                assert_eq!(find(tx, &place(""), false)?.unwrap().state, json!({ "src": "d" }));
                let unmarked = RunRecord { job_created_on: None, ..run(&old) };
                assert_eq!(end(tx, &place("six"), &unmarked, &committed(1, "f"))?, None);
                assert_eq!(version(tx)?, Some(2));
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn what_a_script_is_told() {
        let store = store::Store::memory();
        store
            .write(|tx| {
                assert_eq!(given(tx, &place("x"), None)?, None);
                assert_eq!(given(tx, &place("x"), Some(&arguments(&[("option", "job-bookmark-disable")])))?, None);
                advance(tx, &place("one"), &JobRun::default(), &committed(0, "a"))?;
                advance(tx, &place("two"), &JobRun::default(), &committed(1, "b"))?;
                let pause = arguments(&[("option", "job-bookmark-pause"), ("from", "one"), ("to", "gone")]);
                let told: Value = serde_json::from_str(&given(tx, &place("x"), Some(&pause))?.unwrap()).unwrap();
                assert_eq!(
                    (&told["version"], &told["state"], &told["from"]),
                    (&json!(2), &json!({"src": "b"}), &json!({"src": "a"}))
                );
                assert_eq!(told["error"], json!("--job-bookmark-to: Continuation for job j and run gone not found"));
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
    }
}
