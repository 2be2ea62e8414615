//! `lakerun sql`: Athena from the command line: one statement, a file, or a prompt.

mod prompt;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Call, Client};
use crate::output::{self, say};

const POLL: Duration = Duration::from_millis(50);
/// Where results go whose workgroup names no place.
const RESULTS: &str = "lakerun-query-results";

#[derive(Clone, clap::Args)]
pub(crate) struct SqlArgs {
    /// The statement; a prompt where none is given, with a history and completion where there is rlwrap (\? shows its commands)
    statement: Option<String>,
    /// A file with one statement; - for what is piped in
    #[arg(short, long, value_name = "FILE", conflicts_with = "statement")]
    file: Option<PathBuf>,
    /// The database of names without one
    #[arg(long, default_value = "default")]
    database: String,
    #[arg(long, default_value = "primary")]
    workgroup: String,
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
    /// The prompt's lines are edited by the terminal, though there is rlwrap
    #[arg(long)]
    plain: bool,
    /// Where Parquet goes: a file, or a folder where there are several
    #[arg(long, value_name = "FILE", required_if_eq("output", "parquet"))]
    to: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, clap::ValueEnum)]
enum Form {
    /// Aligned columns, for people
    #[default]
    Table,
    /// An array of objects, values as texts
    Json,
    Yaml,
    /// RFC 4180; NULL is an empty field
    Csv,
    /// Files of Parquet with the types of the columns, by UNLOAD; --to names where they go
    Parquet,
}

/// A result: names, and rows of texts; none is NULL.
struct Answer {
    names: Vec<String>,
    rows: Vec<Vec<Option<String>>>,
    scanned: u64,
    millis: u64,
}

pub(crate) async fn run(client: &Client, asked: SqlArgs) -> Result<ExitCode> {
    let statement = match (&asked.statement, &asked.file) {
        (Some(statement), _) => statement.clone(),
        (None, Some(path)) if path.as_os_str() == "-" => std::io::read_to_string(std::io::stdin())?,
        (None, Some(path)) => {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?
        }
        (None, None) if !std::io::stdin().is_terminal() => std::io::read_to_string(std::io::stdin())?,
        (None, None) => return prompt::run(client, &asked).await,
    };
    if let (Form::Parquet, Some(to)) = (asked.output, &asked.to) {
        unload(client, &asked, &statement, to).await?;
        return Ok(ExitCode::SUCCESS);
    }
    show(&ask(client, &asked, &statement).await?, asked.output)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a statement, and stops it at Ctrl-C.
async fn ask(client: &Client, asked: &SqlArgs, statement: &str) -> Result<Answer> {
    let mut input = json!({
        "QueryString": statement.trim().trim_end_matches(';'), "WorkGroup": asked.workgroup,
        "QueryExecutionContext": { "Database": asked.database },
    });
    let group = client.json("athena", "AmazonAthena.GetWorkGroup", &json!({ "WorkGroup": asked.workgroup })).await?;
    if group["WorkGroup"]["Configuration"]["ResultConfiguration"]["OutputLocation"].as_str().is_none_or(str::is_empty) {
        let path = format!("/{RESULTS}");
        // A bucket that is there and ours is as good as a new one.
        client.send(Call { service: "s3", method: "PUT", path: &path, headers: &[], body: Bytes::new() }).await?;
        input["ResultConfiguration"] = json!({ "OutputLocation": format!("s3://{RESULTS}/") });
    }
    let started = client.json("athena", "AmazonAthena.StartQueryExecution", &input).await?;
    let id = json!({ "QueryExecutionId": started["QueryExecutionId"] });
    let done = tokio::select! {
        done = wait(client, &id) => done?,
        _ = tokio::signal::ctrl_c() => {
            client.json("athena", "AmazonAthena.StopQueryExecution", &id).await?;
            bail!("stopped");
        }
    };
    let status = &done["Status"];
    if status["State"] != "SUCCEEDED" {
        bail!("{}", status["StateChangeReason"].as_str().or_else(|| status["State"].as_str()).unwrap_or_default());
    }
    let mut answer = results(client, &id, done["StatementType"] == "DML").await?;
    answer.scanned = done["Statistics"]["DataScannedInBytes"].as_u64().unwrap_or_default();
    answer.millis = done["Statistics"]["TotalExecutionTimeInMillis"].as_u64().unwrap_or_default();
    Ok(answer)
}

async fn wait(client: &Client, id: &Value) -> Result<Value> {
    loop {
        let mut answer = client.json("athena", "AmazonAthena.GetQueryExecution", id).await?;
        let execution = answer["QueryExecution"].take();
        if !matches!(execution["Status"]["State"].as_str(), Some("QUEUED" | "RUNNING")) {
            return Ok(execution);
        }
        tokio::time::sleep(POLL).await;
    }
}

/// All rows. A SELECT's first row repeats the names.
async fn results(client: &Client, id: &Value, dml: bool) -> Result<Answer> {
    let mut answer = Answer { names: Vec::new(), rows: Vec::new(), scanned: 0, millis: 0 };
    let mut input = id.clone();
    loop {
        let page = client.json("athena", "AmazonAthena.GetQueryResults", &input).await?;
        let set = &page["ResultSet"];
        if answer.names.is_empty() {
            let columns = set["ResultSetMetadata"]["ColumnInfo"].as_array().map(Vec::as_slice).unwrap_or_default();
            answer.names = columns.iter().filter_map(|c| c["Name"].as_str().map(str::to_owned)).collect();
        }
        for row in set["Rows"].as_array().into_iter().flatten() {
            let cells = row["Data"].as_array().map(Vec::as_slice).unwrap_or_default();
            let cell = |at: usize| cells.get(at).and_then(|cell| cell["VarCharValue"].as_str()).map(str::to_owned);
            answer.rows.push((0..answer.names.len().max(cells.len())).map(cell).collect());
        }
        match page["NextToken"].as_str() {
            Some(next) => input["NextToken"] = next.into(),
            None => break,
        }
    }
    let repeats =
        |row: &Vec<Option<String>>| row.iter().zip(&answer.names).all(|(cell, name)| cell.as_ref() == Some(name));
    if dml && answer.rows.first().is_some_and(repeats) {
        answer.rows.remove(0);
    }
    Ok(answer)
}

fn show(answer: &Answer, form: Form) -> Result<()> {
    match form {
        Form::Csv => {
            let mut out = String::new();
            let mut line = |cells: &mut dyn Iterator<Item = &str>| {
                out.push_str(&cells.map(field).collect::<Vec<_>>().join(","));
                out.push('\n');
            };
            line(&mut answer.names.iter().map(String::as_str));
            for row in &answer.rows {
                line(&mut row.iter().map(|cell| cell.as_deref().unwrap_or_default()));
            }
            let _ = write!(std::io::stdout(), "{out}");
        }
        Form::Json | Form::Yaml => {
            let object = |row: &Vec<Option<String>>| {
                let members = answer.names.iter().cloned().zip(row.iter().map(|cell| json!(cell)));
                Value::Object(members.collect())
            };
            let rows = Value::Array(answer.rows.iter().map(object).collect());
            output::document(if form == Form::Yaml { output::Format::Yaml } else { output::Format::Json }, &rows)?;
        }
        // By UNLOAD where it is asked for; the prompt shows a table.
        Form::Table | Form::Parquet => {
            let names: Vec<&str> = answer.names.iter().map(String::as_str).collect();
            let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "NULL".to_owned());
            let rows: Vec<Vec<String>> = answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
            output::table(&names, &rows);
            let plural = if rows.len() == 1 { "" } else { "s" };
            let (rows, millis, scanned) = (rows.len(), answer.millis, answer.scanned);
            let summary = format!("({rows} row{plural}, {millis} ms, {scanned} bytes scanned)");
            let _ = writeln!(std::io::stderr(), "{summary}");
        }
    }
    Ok(())
}

/// Has Athena write the result as Parquet, and brings the files.
async fn unload(client: &Client, asked: &SqlArgs, statement: &str, to: &Path) -> Result<()> {
    let path = format!("/{RESULTS}");
    client.send(Call { service: "s3", method: "PUT", path: &path, headers: &[], body: Bytes::new() }).await?;
    let prefix = format!("unload/{}-{}/", jiff::Timestamp::now().as_nanosecond(), std::process::id());
    let query = statement.trim().trim_end_matches(';');
    ask(client, asked, &format!("UNLOAD ({query}) TO 's3://{RESULTS}/{prefix}' WITH (format = 'PARQUET')")).await?;
    let path = format!("/{RESULTS}?list-type=2&prefix={}", crate::deploy::package::escape(&prefix));
    let (_, body) =
        client.send(Call { service: "s3", method: "GET", path: &path, headers: &[], body: Bytes::new() }).await?;
    let keys = crate::deploy::texts(&String::from_utf8_lossy(&body), "Key");
    match keys.as_slice() {
        [] => bail!("the statement has no rows: no file is written"),
        [key] if !to.is_dir() => {
            crate::objects::copy(client, &format!("s3://{RESULTS}/{key}"), &to.display().to_string()).await?;
        }
        _ => {
            std::fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
            for (at, key) in keys.iter().enumerate() {
                let file = to.join(format!("part-{at:04}.parquet"));
                crate::objects::copy(client, &format!("s3://{RESULTS}/{key}"), &file.display().to_string()).await?;
            }
        }
    }
    // They were made for this alone.
    for key in &keys {
        let path = format!("/{RESULTS}/{key}");
        client.send(Call { service: "s3", method: "DELETE", path: &path, headers: &[], body: Bytes::new() }).await?;
    }
    Ok(())
}

/// A field of CSV. Source: RFC 4180, 2.
fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Tables as `database.table`, with the names and types of their columns.
type Tables = Vec<(String, Vec<(String, String)>)>;

async fn catalog(client: &Client) -> Result<Tables> {
    let mut tables = Vec::new();
    let paged = ("NextToken", usize::MAX);
    let databases = client.all(("glue", "AWSGlue.GetDatabases"), json!({}), ("DatabaseList", paged.0), paged.1).await?;
    for database in databases.iter().filter_map(|database| database["Name"].as_str()) {
        let input = json!({ "DatabaseName": database });
        for table in client.all(("glue", "AWSGlue.GetTables"), input, ("TableList", paged.0), paged.1).await? {
            let columns = [&table["StorageDescriptor"]["Columns"], &table["PartitionKeys"]];
            let columns = columns.into_iter().filter_map(Value::as_array).flatten().map(|column| {
                let text = |name: &str| column[name].as_str().unwrap_or_default().to_owned();
                (text("Name"), text("Type"))
            });
            tables.push((format!("{database}.{}", table["Name"].as_str().unwrap_or_default()), columns.collect()));
        }
    }
    Ok(tables)
}

/// `\d`, `\d TABLE`, `\d DATABASE`: a table of the database that is chosen, else of any.
fn describe(tables: &Tables, name: &str, database: &str) -> Result<()> {
    let row = |(table, columns): &(String, Vec<_>)| vec![table.clone(), columns.len().to_string()];
    let list = |of: &dyn Fn(&str) -> bool| tables.iter().filter(|(table, _)| of(table)).map(row).collect::<Vec<_>>();
    if name.is_empty() {
        output::table(&["TABLE", "COLUMNS"], &list(&|_| true));
        return Ok(());
    }
    let whole = |wanted: &str| tables.iter().filter(|(table, _)| table == wanted).collect::<Vec<_>>();
    let mut named = whole(&name.to_lowercase());
    if named.is_empty() {
        named = whole(&format!("{database}.{}", name.to_lowercase()));
    }
    if named.is_empty() {
        let is_named = |table: &str| table.split_once('.').is_some_and(|(_, short)| short == name.to_lowercase());
        named = tables.iter().filter(|(table, _)| is_named(table)).collect();
    }
    let within = list(&|table| table.split_once('.').is_some_and(|(of, _)| of == name.to_lowercase()));
    if named.is_empty() && within.is_empty() {
        bail!("the catalog has no table and no database {name} that holds one");
    }
    if named.is_empty() {
        output::table(&["TABLE", "COLUMNS"], &within);
    }
    for (table, columns) in named {
        say(table);
        let rows: Vec<_> = columns.iter().map(|(name, kind)| vec![name.clone(), kind.clone()]).collect();
        output::table(&["COLUMN", "TYPE"], &rows);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!([field("a"), field("a,b"), field("a\"b"), field("")], ["a", "\"a,b\"", "\"a\"\"b\"", ""]);
    }
}
