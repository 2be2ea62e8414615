//! What must hold: of a job when its end is seen, and of all of them at the end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use service::Cx;
use store::{Clock as _, Key, Store};
use tokio::sync::Notify;

use super::Ground;
use super::client::{Client, What};

/// Whoever sees that a job is over sees what it did. A fault, if there is one; what cannot be read now is not one.
#[expect(clippy::too_many_lines, reason = "one arm for each kind of job")]
pub(crate) async fn seen(cx: &Cx, client: &Client, ended: &str) -> Option<String> {
    let n = client.number;
    let whole = matches!(ended, "SUCCEEDED" | "Completed" | "CREATE_COMPLETE");
    let fault = |what: String| Some(format!("{:?} {n} ended {ended}, and {what}", client.what));
    let expect = |prefix: String, most: usize| async move {
        let found = objects(cx, &prefix).await?;
        (found.len() != most).then(|| format!("under {prefix} there is {found:?}"))
    };
    let wanted = |count: usize| if whole { count } else { 0 };
    match client.what {
        What::Select => expect(format!("results/{}", client.id()), wanted(1)).await.and_then(fault),
        What::Ctas => {
            if let Some(what) = expect(format!("tables/{n}/"), wanted(1)).await {
                return fault(what);
            }
            let table = has(cx, "glue", "getTable", json!({ "DatabaseName": "db", "Name": format!("t{n}") })).await?;
            (table != whole).then(|| format!("its table is there: {table}")).and_then(fault)
        }
        What::Insert => {
            if let Some(what) = expect(format!("facts/{n}/"), wanted(1)).await {
                return fault(what);
            }
            let partition = json!({ "DatabaseName": "db", "TableName": "facts", "PartitionValues": [n.to_string()] });
            let partition = has(cx, "glue", "getPartition", partition).await?;
            (partition != whole).then(|| format!("its partition is there: {partition}")).and_then(fault)
        }
        What::Commit => {
            let table = cx.call_json("glue", "getTable", json!({ "DatabaseName": "db", "Name": "ice" })).await.ok()?;
            let named = table["Table"]["Parameters"]["files"].as_str().unwrap_or_default().to_owned();
            let own = format!("ice/{n}/");
            let named: Vec<&str> = named.split(' ').filter(|file| file.starts_with(&own)).collect();
            let found = objects(cx, &own).await?;
            if found != named || named.len() != wanted(1) {
                return fault(format!("its table names {named:?} and there is {found:?}"));
            }
            None
        }
        What::Run => {
            let runs = cx.call_json("glue", "getJobRuns", json!({ "JobName": format!("j{n}") })).await.ok()?;
            for run in runs["JobRuns"].as_array().into_iter().flatten() {
                let (id, state) = (run["Id"].as_str().unwrap_or_default(), &run["JobRunState"]);
                let found = objects(cx, &format!("out/{id}/")).await?;
                let serials: Vec<&str> =
                    found.iter().filter_map(|key| key.rsplit('/').next()?.split('-').next()).collect();
                let mixed = serials.windows(2).any(|two| two[0] != two[1]);
                if mixed || found.len() > 2 || (state == "SUCCEEDED" && found.len() != 2) {
                    return fault(format!("its run {state} has {found:?}"));
                }
            }
            None
        }
        What::Crawl => {
            let table = json!({ "DatabaseName": format!("crawl{n}"), "Name": format!("crawled{n}") });
            let table = has(cx, "glue", "getTable", table).await?;
            (table != whole).then(|| format!("its table is there: {table}")).and_then(fault)
        }
        What::Transform => expect(format!("pred/{n}/"), wanted(2)).await.and_then(fault),
        What::Stack => {
            let mut there = Vec::new();
            for bucket in [format!("stack-{n}"), format!("stack-{n}-b")] {
                there.push(has(cx, "s3", "headBucket", json!({ "Bucket": bucket })).await?);
            }
            there.push(has(cx, "glue", "getDatabase", json!({ "Name": format!("stack{n}") })).await?);
            let broken = ended.ends_with("FAILED") || there.iter().any(|one| *one != whole);
            if !broken {
                return None;
            }
            let events =
                cx.call_json("cloudformation", "describeStackEvents", json!({ "StackName": client.id() })).await;
            let events = events.ok().and_then(|found| found["StackEvents"].as_array().cloned()).unwrap_or_default();
            let events: Vec<String> = events
                .iter()
                .rev()
                .map(|event| {
                    let reason = event["ResourceStatusReason"].as_str().unwrap_or_default();
                    format!("{} {} {reason}", event["LogicalResourceId"], event["ResourceStatus"])
                })
                .collect();
            fault(format!("of its resources are there: {there:?}\n{}", events.join("\n")))
        }
    }
}

/// None: it cannot be said now.
async fn has(cx: &Cx, service: &str, operation: &str, input: Value) -> Option<bool> {
    match cx.call_json(service, operation, input).await {
        Ok(_) => Some(true),
        Err(error) if error.status() < 500 => Some(false),
        Err(_) => None,
    }
}

async fn objects(cx: &Cx, prefix: &str) -> Option<Vec<String>> {
    let found = cx.call_json("s3", "listObjectsV2", json!({ "Bucket": "lake", "Prefix": prefix })).await.ok()?;
    let keys = found["Contents"].as_array().into_iter().flatten();
    Some(keys.filter_map(|object| object["Key"].as_str().map(str::to_owned)).collect())
}

/// In the last life: waits until all is over and quiet, then looks at everything again.
pub(crate) async fn audit(ground: Ground, cx: Cx, clients: Vec<Client>, over: Arc<Notify>) {
    let outside = &ground.outside;
    ground.clock.sleep(Duration::from_mins(10)).await;
    ground.control.heal();
    ground.s3.heal();
    while !clients.iter().all(Client::is_over) {
        if !outside.faults().is_empty() {
            return over.notify_one();
        }
        ground.clock.sleep(Duration::from_secs(10)).await;
    }
    // Events that could not be sent are sent by now.
    ground.clock.sleep(Duration::from_mins(30)).await;
    let told = outside.told();
    for client in &clients {
        let ended = client.ended();
        match client.look(&cx).await {
            Ok(Some(now)) if now == ended => {}
            now => outside.fault(format!("{:?} {} ended {ended}, and then {now:?}", client.what, client.number)),
        }
        if let Some(fault) = seen(&cx, client, &ended).await {
            outside.fault(fault);
        }
        if client.what != What::Stack {
            let states = told.get(&client.id()).cloned().unwrap_or_default();
            if states.is_empty() || states.windows(2).any(|two| two[0] != two[1]) {
                outside.fault(format!("{:?} {} ended {ended}, and was told as {states:?}", client.what, client.number));
            }
        }
    }
    let uploads = cx.call_json("s3", "listMultipartUploads", json!({ "Bucket": "lake" })).await;
    if uploads.as_ref().is_ok_and(|found| found["Uploads"].as_array().is_some_and(|all| !all.is_empty())) {
        outside.fault(format!("uploads are left: {uploads:?}"));
    }
    if outside.keys() > 0 {
        outside.fault(format!("{} keys are still valid", outside.keys()));
    }
    let clock = Arc::new(ground.clock.clone());
    let stores = [&ground.control, &ground.s3].map(|disk| Store::over(Arc::new(disk.clone()), clock.clone()));
    match jobs::sweep::round(cx.router(), &stores[0]).await {
        Ok(0) => {}
        left => outside.fault(format!("jobs have left something behind: {left:?}")),
    }
    for store in &stores {
        if let Err(error) = store::sweep::turn(store, &stores, &[], Duration::ZERO).await {
            outside.fault(format!("memos cannot be swept: {error}"));
        }
    }
    over.notify_one();
}

/// Tasks that last as long as the installation: each sets its own next time.
const LASTING: [&str; 1] = ["athena:sweep"];

/// Rows that nothing will ever take away.
pub(crate) fn rows(ground: &Ground) -> Vec<String> {
    let shown =
        |key: &[u8]| Key::parts(key).iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>();
    let of_store = ["\u{1}now", "\u{1}task", "\u{1}due", "\u{1}job", "\u{1}journal", "\u{1}memo"];
    let in_store = [&ground.control, &ground.s3]
        .into_iter()
        .flat_map(|disk| of_store.iter().flat_map(|owner| disk.keys(Key::new(owner).as_bytes())));
    let of_s3 = ["upload", "part", "undo", "attempt-upload"];
    let in_s3 = of_s3.iter().flat_map(|kind| ground.s3.keys(Key::new("s3").push(kind).as_bytes()));
    let left = in_store.chain(in_s3).map(|key| shown(&key));
    let left = left.filter(|key| !key.iter().any(|part| LASTING.contains(&part.as_str())));
    left.map(|key| format!("a row is left: {key:?}")).collect()
}
