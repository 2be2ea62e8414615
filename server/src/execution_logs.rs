//! `lakerun logs --execution`: what the functions, jobs and crawls wrote that an execution has started, and nothing of others. Which
//! those are, the lineage says.

use std::collections::BTreeSet;

use anyhow::Result;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};

/// An event: when, in which group, what.
pub(crate) type Line = (i64, String, String);

pub(crate) async fn lines(client: &Client, execution: &str) -> Result<Vec<Line>> {
    crate::executions::described(client, execution).await?;
    let asked = json!({ "Resource": execution, "MaxDepth": 1 });
    let graph = client.json("lineage", "Lineage.GetLineage", &asked).await?;
    let own = descendants(&graph, execution);
    let mut lines = Vec::new();
    for node in graph["Nodes"].as_array().into_iter().flatten() {
        let (id, name) = (node["Id"].as_str().unwrap_or_default(), node["Name"].as_str().unwrap_or_default());
        if !own.contains(id) {
            continue;
        }
        match node["Type"].as_str() {
            Some("INVOCATION") => lines.extend(invocation(client, id).await?),
            Some("JOB_RUN") => {
                for group in ["/aws-glue/jobs/output", "/aws-glue/jobs/error"] {
                    let of = json!({ "logGroupName": group, "logStreamNames": [name] });
                    lines.extend(events(client, of).await.into_iter().map(|event| line(group, &event)));
                }
            }
            Some("CRAWL") => {
                let run = id.rsplit(':').next().unwrap_or_default();
                let group = "/aws-glue/crawlers";
                let of = json!({ "logGroupName": group, "logStreamNames": [name] });
                let found = events(client, of).await.into_iter().map(|event| line(group, &event));
                lines.extend(found.filter(|(_, _, text)| text.contains(run)));
            }
            _ => {}
        }
    }
    lines.sort_by_key(|(time, ..)| *time);
    Ok(lines)
}

/// What an execution has started, and what that has.
pub(crate) fn descendants(graph: &Value, execution: &str) -> BTreeSet<String> {
    let edges = graph["Edges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = BTreeSet::from([execution.to_owned()]);
    loop {
        let before = found.len();
        for edge in edges.iter().filter(|edge| edge["Type"] == "STARTED") {
            if edge["Source"].as_str().is_some_and(|source| found.contains(source)) {
                found.extend(edge["Target"].as_str().map(str::to_owned));
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// An environment works on one invocation at a time: what lies between its START and its REPORT is its own.
async fn invocation(client: &Client, id: &str) -> Result<Vec<Line>> {
    let (groups, request) = if let Some((function, request)) = id.split_once('#') {
        (vec![group_of(client, function).await?], request)
    } else {
        let input = json!({ "logGroupNamePrefix": "/aws/lambda/" });
        let target = ("logs", "Logs_20140328.DescribeLogGroups");
        let found = client.all(target, input, ("logGroups", "nextToken"), usize::MAX).await?;
        let names = found.iter().filter_map(|group| group["logGroupName"].as_str().map(str::to_owned));
        (names.collect(), id.rsplit(':').next().unwrap_or_default())
    };
    let mut lines = Vec::new();
    for group in groups {
        let marks = events(client, json!({ "logGroupName": group, "filterPattern": format!("\"{request}\"") })).await;
        let Some(first) = marks.first() else { continue };
        let stream = &first["logStreamName"];
        let (from, to) = (&first["timestamp"], &marks.last().unwrap_or(first)["timestamp"]);
        let end = to.as_i64().unwrap_or_default() + 1;
        let of = json!({ "logGroupName": group, "logStreamNames": [stream], "startTime": from, "endTime": end });
        let all = events(client, of).await;
        lines.extend(between(&all, request).iter().map(|event| line(&group, event)));
    }
    Ok(lines)
}

/// The events from the first that names the request to the last.
fn between<'a>(events: &'a [Value], request: &str) -> &'a [Value] {
    let names = |event: &Value| event["message"].as_str().is_some_and(|text| text.contains(request));
    let (first, last) = (events.iter().position(names), events.iter().rposition(names));
    match (first, last) {
        (Some(first), Some(last)) => &events[first..=last],
        _ => &[],
    }
}

async fn group_of(client: &Client, function: &str) -> Result<String> {
    let name = function.split(':').nth(6).unwrap_or(function);
    let path = format!("/2015-03-31/functions/{name}/configuration");
    let call = Call { service: "lambda", method: "GET", path: &path, headers: &[], body: Bytes::new() };
    let (_, body) = client.send(call).await?;
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    Ok(told["LoggingConfig"]["LogGroup"].as_str().map_or_else(|| format!("/aws/lambda/{name}"), str::to_owned))
}

/// All events of a filter; none of a group that is not there.
async fn events(client: &Client, of: Value) -> Vec<Value> {
    let filter = ("logs", "Logs_20140328.FilterLogEvents");
    client.all(filter, of, ("events", "nextToken"), usize::MAX).await.unwrap_or_default()
}

fn line(group: &str, event: &Value) -> Line {
    let text = event["message"].as_str().unwrap_or_default().trim_end().to_owned();
    (event["timestamp"].as_i64().unwrap_or_default(), group.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invocations_lines_are_those_between_its_own() {
        let event = |text: &str| json!({ "message": text });
        let all =
            ["START RequestId: a", "one", "REPORT RequestId: a", "START RequestId: b", "two", "REPORT RequestId: b"]
                .map(event);
        let texts: Vec<_> = between(&all, "b").iter().map(|event| event["message"].as_str().unwrap()).collect();
        assert_eq!(texts, ["START RequestId: b", "two", "REPORT RequestId: b"]);
        assert!(between(&all, "c").is_empty());
    }

    #[test]
    fn an_executions_own_are_what_it_has_started() {
        let edge = |source: &str, target: &str| json!({ "Type": "STARTED", "Source": source, "Target": target });
        let graph = json!({ "Edges": [edge("e#S", "f#1"), edge("e", "e#S"), edge("other", "f#2")] });
        assert_eq!(descendants(&graph, "e").into_iter().collect::<Vec<_>>(), ["e", "e#S", "f#1"]);
    }
}
