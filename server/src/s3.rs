//! `lakerun s3`: what lies in buckets, or what an execution has read and written, for who has no AWS CLI.

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::door::Door;
use crate::executions;
use crate::output::{self, Format};

#[derive(clap::Subcommand)]
pub(crate) enum S3 {
    /// List buckets, what lies in a place, or what an execution has read and written
    Ls(ListArgs),
    /// Copy a file to S3 or from it
    Cp {
        /// A file, or s3://BUCKET/KEY
        from: String,
        /// s3://BUCKET/KEY (a / at the end keeps the file's name), or a file or folder
        to: String,
    },
    /// Print an object
    Cat {
        /// s3://BUCKET/KEY
        object: String,
    },
}

#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// s3://BUCKET or s3://BUCKET/PREFIX; all buckets, where none is given
    #[arg(default_value = "")]
    place: String,
    /// All objects below it, not folder by folder
    #[arg(short, long)]
    recursive: bool,
    /// Only what this execution and what it started have read, written or deleted: its ARN, or MACHINE/NAME
    #[arg(short, long, value_name = "EXECUTION")]
    execution: Option<String>,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

pub(crate) async fn run(client: &Client, what: S3) -> Result<()> {
    match what {
        S3::Ls(ListArgs { place, execution: Some(execution), output, .. }) => {
            touched(client, &execution, &place, output).await
        }
        S3::Ls(asked) => list(client, &asked).await,
        S3::Cp { from, to } => crate::objects::copy(client, &from, &to).await,
        S3::Cat { object } => cat(client, &object).await,
    }
}

async fn cat(client: &Client, object: &str) -> Result<()> {
    let Some(place) = object.strip_prefix("s3://").filter(|place| place.contains('/')) else {
        bail!("an object is named s3://BUCKET/KEY, not {object}")
    };
    let path = crate::objects::path(place);
    let call = Call { service: "s3", method: "GET", path: &path, headers: &[], body: bytes::Bytes::new() };
    client.stream(call, &mut std::io::stdout().lock()).await
}

async fn list(client: &Client, asked: &ListArgs) -> Result<()> {
    let place = asked.place.strip_prefix("s3://").or_else(|| asked.place.is_empty().then_some(""));
    let Some(place) = place else { bail!("a place is named s3://BUCKET/PREFIX, not {}", asked.place) };
    let door = Door::open(client).await?;
    let found = if place.is_empty() { buckets(&door).await } else { below(&door, place, asked.recursive).await };
    door.close().await?;
    let found = found?;
    if asked.output != Format::Table {
        return output::document(asked.output, &Value::Array(found));
    }
    let text = |row: &Value, name: &str| match &row[name] {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    };
    let time = |row: &Value| row["LastModified"].as_f64().map(executions::moment).unwrap_or_default();
    let rows: Vec<_> = found.iter().map(|row| vec![time(row), text(row, "Size"), text(row, "Place")]).collect();
    if rows.is_empty() {
        let nothing =
            if place.is_empty() { "there is no bucket".to_owned() } else { format!("nothing is in s3://{place}") };
        crate::info::complain(&nothing);
        return Ok(());
    }
    output::table(&["CHANGED", "BYTES", "PLACE"], &rows);
    Ok(())
}

async fn buckets(door: &Door<'_>) -> Result<Vec<Value>> {
    let found = pages(door, "ListBuckets", json!({}), ("Buckets", "ContinuationToken")).await?;
    let told = |bucket: &Value| {
        let place = format!("s3://{}", bucket["Name"].as_str().unwrap_or_default());
        json!({ "Place": place, "LastModified": bucket["CreationDate"] })
    };
    Ok(found.iter().map(told).collect())
}

/// Folders first, then objects, as `aws s3 ls` has them.
async fn below(door: &Door<'_>, place: &str, recursive: bool) -> Result<Vec<Value>> {
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let mut input = json!({ "Bucket": bucket, "Prefix": prefix });
    if !recursive {
        input["Delimiter"] = "/".into();
    }
    let (mut folders, mut objects) = (Vec::new(), Vec::new());
    loop {
        let page = door.call("s3", "ListObjectsV2", &input).await?;
        let place = |key: &Value| format!("s3://{bucket}/{}", key.as_str().unwrap_or_default());
        let each = |member: &str| page[member].as_array().cloned().unwrap_or_default();
        folders.extend(each("CommonPrefixes").iter().map(|folder| json!({ "Place": place(&folder["Prefix"]) })));
        objects.extend(each("Contents").iter().map(|object| {
            let (size, changed) = (&object["Size"], &object["LastModified"]);
            json!({ "Place": place(&object["Key"]), "Size": size, "LastModified": changed })
        }));
        match page["NextContinuationToken"].as_str() {
            Some(next) => input["ContinuationToken"] = next.into(),
            None => break,
        }
    }
    folders.append(&mut objects);
    Ok(folders)
}

async fn pages(
    door: &Door<'_>,
    operation: &str,
    mut input: Value,
    (member, token): (&str, &str),
) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    loop {
        let mut page = door.call("s3", operation, &input).await?;
        if let Value::Array(found) = page[member].take() {
            items.extend(found);
        }
        match page[token].take() {
            Value::String(next) if !next.is_empty() => input[token] = next.into(),
            _ => return Ok(items),
        }
    }
}

/// The objects that an execution, and what it started, has touched, as the lineage knows them.
async fn touched(client: &Client, execution: &str, place: &str, format: Format) -> Result<()> {
    let arn = executions::execution_arn(client, execution)?;
    executions::described(client, &arn).await?;
    let asked = json!({ "Resource": arn, "Detail": "OBJECT", "MaxDepth": 1 });
    let graph = client.json("lineage", "Lineage.GetLineage", &asked).await?;
    let found = of_execution(&graph, &arn, place);
    if format != Format::Table {
        return output::document(format, &Value::Array(found));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            let bytes = row["Bytes"].as_i64().map(|bytes| bytes.to_string()).unwrap_or_default();
            let last = row["LastTime"].as_f64().map(executions::moment).unwrap_or_default();
            vec![last, text("Did").to_lowercase(), bytes, text("Place"), text("By")]
        })
        .collect();
    if graph["Truncated"] == true {
        crate::info::complain("It touched more than the lineage follows at once: this is a part.");
    }
    output::table(&["LAST", "DID", "BYTES", "PLACE", "BY"], &rows);
    Ok(())
}

fn of_execution(graph: &Value, execution: &str, place: &str) -> Vec<Value> {
    let own = crate::execution_logs::descendants(graph, execution);
    let nodes = graph["Nodes"].as_array().map(Vec::as_slice).unwrap_or_default();
    let name = |id: &str| nodes.iter().find(|node| node["Id"] == id).and_then(|node| node["Name"].as_str());
    let mut found: Vec<Value> = graph["Edges"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|edge| {
            let (source, target) = (edge["Source"].as_str()?, edge["Target"].as_str()?);
            let (worker, data) = if edge["Type"] == "READ" { (target, source) } else { (source, target) };
            let is_wanted = own.contains(worker) && data.starts_with("s3://") && data.starts_with(place);
            is_wanted.then(|| {
                json!({ "Did": edge["Type"], "Place": data, "Bytes": edge["Bytes"], "LastTime": edge["LastTime"],
                    "By": name(worker).unwrap_or(worker) })
            })
        })
        .collect();
    found.sort_by(|a, b| {
        let key = |row: &Value| (row["Place"].to_string(), row["Did"].to_string());
        key(a).cmp(&key(b))
    });
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn an_execution_has_touched_what_its_states_and_jobs_did() {
        let graph = json!({
            "Nodes": [{ "Id": "e#S", "Name": "S" }],
            "Edges": [
                { "Type": "STARTED", "Source": "e", "Target": "e#S" },
                { "Type": "WROTE", "Source": "e#S", "Target": "s3://b/out/x", "Bytes": 3 },
                { "Type": "READ", "Source": "s3://b/in/y", "Target": "e#S" },
                { "Type": "READ", "Source": "s3://b/out/x", "Target": "another" },
                { "Type": "WROTE", "Source": "e#S", "Target": "dynamodb://t" },
            ],
        });
        let places = |place: &str| {
            let found = super::of_execution(&graph, "e", place);
            found.iter().map(|row| format!("{} {}", row["Did"], row["Place"]).replace('"', "")).collect::<Vec<_>>()
        };
        assert_eq!(places(""), ["READ s3://b/in/y", "WROTE s3://b/out/x"]);
        assert_eq!(places("s3://b/out/"), ["WROTE s3://b/out/x"]);
    }
}
