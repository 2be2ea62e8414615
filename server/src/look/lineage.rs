//! Who has read and written: a list of it below what `lakerun describe` shows.

use anyhow::Result;
use serde_json::{Value, json};

use crate::client::Client;
use crate::output::{self, say};

/// Edges of data that are shown.
const ROWS: usize = 40;

pub(super) async fn tell(client: &Client, resource: &str) -> Result<()> {
    // Data is told by itself, what lies in a folder object by object; an execution by folders.
    let is_object = resource.contains("://");
    let input = json!({
        "Resource": resource,
        "Detail": if is_object { "OBJECT" } else { "FOLDER" },
        "MaxDepth": if is_object { 1 } else { 12 },
    });
    let answer = client.json("lineage", "Lineage.GetLineage", &input).await?;
    let rows = rows(&answer, is_object.then_some(resource));
    say("");
    if rows.is_empty() {
        say("Lineage    nothing is recorded (calls with keys of users and of the owner are not)");
        return Ok(());
    }
    output::table(&["WHO", "DID", "WHAT", "LAST"], &rows[..rows.len().min(ROWS)]);
    if rows.len() > ROWS {
        say(&format!("… {} more: the console shows all", rows.len() - ROWS));
    }
    Ok(())
}

fn rows(answer: &Value, only: Option<&str>) -> Vec<Vec<String>> {
    let nodes = answer["Nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let node = |id: &Value| nodes.iter().find(|node| node["Id"] == *id);
    let mut edges: Vec<&Value> = answer["Edges"].as_array().into_iter().flatten().collect();
    let last = |edge: &Value| edge["LastTime"].as_f64().unwrap_or_default();
    edges.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let mut rows = Vec::new();
    for edge in edges {
        let (who, data) = if edge["Type"] == "READ" {
            (&edge["Target"], &edge["Source"])
        } else {
            (&edge["Source"], &edge["Target"])
        };
        let is_wanted = only.is_none_or(|only| {
            data == only || (only.ends_with('/') && data.as_str().is_some_and(|data| data.starts_with(only)))
        });
        if edge["Type"] == "STARTED" || !is_wanted {
            continue;
        }
        let data = node(data).and_then(|data| data["Name"].as_str()).unwrap_or_default();
        rows.push(vec![
            told(answer, who),
            edge["Type"].as_str().unwrap_or_default().to_lowercase(),
            data.to_owned(),
            crate::executions::moment(last(edge)),
        ]);
    }
    rows
}

/// A worker with the state and the execution that it works for.
fn told(answer: &Value, id: &Value) -> String {
    let nodes = answer["Nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let edges = answer["Edges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut words = Vec::new();
    let mut at = id.clone();
    // As many steps as there are nodes: nobody asks for themselves.
    for _ in nodes {
        let Some(node) = nodes.iter().find(|node| node["Id"] == at) else { break };
        let kind = node["Type"].as_str().unwrap_or_default().to_lowercase().replace('_', " ");
        words.push(format!("{kind} {}", node["Name"].as_str().unwrap_or_default()));
        let Some(edge) = edges.iter().find(|edge| edge["Type"] == "STARTED" && edge["Target"] == at) else {
            // Its principal's name, without account and kind.
            let asked = node["AskedBy"].as_str().and_then(|arn| arn.splitn(6, ':').nth(5));
            words.extend(asked.map(str::to_owned));
            break;
        };
        at = edge["Source"].clone();
    }
    words.join(" for ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_told_with_whom_it_works_for() {
        let answer = json!({
            "Nodes": [
                { "Id": "e", "Type": "EXECUTION", "Name": "run" }, { "Id": "e#S", "Type": "STATE", "Name": "S" },
                { "Id": "j", "Type": "JOB_RUN", "Name": "jr_1" }, { "Id": "s3://b/", "Type": "FOLDER", "Name": "s3://b/" },
            ],
            "Edges": [
                { "Source": "j", "Target": "s3://b/", "Type": "WROTE", "LastTime": 0.0 },
                { "Source": "e", "Target": "e#S", "Type": "STARTED" }, { "Source": "e#S", "Target": "j", "Type": "STARTED" },
            ],
        });
        let rows = rows(&answer, None);
        assert_eq!(rows[0][..3], ["job run jr_1 for state S for execution run", "wrote", "s3://b/"].map(str::to_owned));
        assert!(super::rows(&answer, Some("s3://other")).is_empty());
        let file = "s3://b/day=1/x";
        let answer = json!({
            "Nodes": [{ "Id": "j", "Type": "JOB_RUN", "Name": "jr_1" }, { "Id": file, "Type": "OBJECT", "Name": file }],
            "Edges": [{ "Source": "j", "Target": file, "Type": "WROTE", "LastTime": 0.0 }],
        });
        let of = |resource: &str| super::rows(&answer, Some(resource)).len();
        assert_eq!([of("s3://b/day=1/"), of("s3://b/day=1"), of("s3://b/day=10/")], [1, 0, 0]);
    }
}
