//! `lakerun run`, `lakerun executions` and `lakerun test-state`: Step Functions from the command line.

pub(crate) mod tree;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::client::Client;
use crate::output::{self, Format, say};
use tree::{Tree, seconds};

/// How a shell knows a command that Ctrl-C ended.
pub(crate) const INTERRUPTED: u8 = 130;
const POLL: Duration = Duration::from_millis(100);
/// How often it is asked how far what starts slowly is.
const LOOK: Duration = Duration::from_secs(1);
/// Lines that a drawn tree may take.
const ROWS: usize = 20;

#[derive(clap::Args)]
pub(crate) struct RunArgs {
    /// A state machine's name or ARN
    state_machine: String,
    /// The input: JSON, @FILE, or @- for what is piped in
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE")]
    input: String,
    /// The execution's name
    #[arg(long)]
    name: Option<String>,
    /// Show the states as they run; end with 0 when the execution succeeds, 1 when it fails, 2 when it times out, 3 when it is stopped
    #[arg(short, long)]
    follow: bool,
}

impl RunArgs {
    /// A run that is followed to its end.
    pub(crate) fn followed(state_machine: &str, input: &str) -> Self {
        Self { state_machine: state_machine.to_owned(), input: input.to_owned(), name: None, follow: true }
    }
}

/// Source: Step Functions' API Reference, `ListExecutions`.
const STATUSES: [&str; 6] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];

#[derive(clap::Args)]
pub(crate) struct ListArgs {
    /// A state machine's name or ARN; all of them where none is given
    state_machine: Option<String>,
    /// Only those
    #[arg(long, value_name = "STATUS", ignore_case = true, value_parser = STATUSES)]
    status: Option<String>,
    /// At most so many, newest first
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(clap::Args)]
pub(crate) struct StopArgs {
    /// The execution's ARN, or MACHINE/NAME
    execution: String,
    /// The error that the execution ends with
    #[arg(long)]
    error: Option<String>,
    /// Why, in words
    #[arg(long)]
    cause: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct TestStateArgs {
    /// A file with a state, or with a whole definition (then --state names the state); - for what is piped in
    definition: PathBuf,
    /// The state's input: JSON, or @FILE
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE")]
    input: String,
    /// INFO, DEBUG or TRACE
    #[arg(long, default_value = "INFO", value_name = "LEVEL")]
    inspection_level: String,
    /// The state of a whole definition
    #[arg(long, value_name = "NAME")]
    state: Option<String>,
    /// The role to act as
    #[arg(long, value_name = "ARN")]
    role: Option<String>,
    /// Variables that the state sees: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    variables: Option<String>,
    /// What the state's call answers, instead of calling: JSON, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    mock: Option<String>,
    /// With TRACE: show what a connection adds to an HTTP request
    #[arg(long)]
    reveal_secrets: bool,
}

/// `lakerun run`.
pub(crate) async fn run(client: &Client, asked: RunArgs) -> Result<ExitCode> {
    let arn = machine_arn(client, &asked.state_machine);
    let mut input = json!({ "stateMachineArn": arn, "input": text("--input", &asked.input)? });
    let machine = match call(client, "DescribeStateMachine", json!({ "stateMachineArn": arn })).await {
        Err(error) if error.to_string().starts_with("StateMachineDoesNotExist") => {
            bail!("{}", no_machine(client, &asked.state_machine).await?)
        }
        machine => machine?,
    };
    if let Some(name) = asked.name {
        input["name"] = name.into();
    }
    let express = machine["type"] == "EXPRESS";
    if express && asked.follow {
        let ended = call(client, "StartSyncExecution", input).await?;
        return Ok(tell_end(&ended));
    }
    let started = call(client, "StartExecution", input).await?;
    let execution = started["executionArn"].as_str().context("StartExecution answers without an ARN")?;
    if !asked.follow {
        say(execution);
        return Ok(ExitCode::SUCCESS);
    }
    let _ = writeln!(std::io::stderr(), "{execution}");
    tokio::select! {
        followed = follow(client, execution) => followed?,
        _ = tokio::signal::ctrl_c() => {
            let _ = writeln!(std::io::stderr(), "it goes on: lakerun executions {}", asked.state_machine);
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    let ended = call(client, "DescribeExecution", json!({ "executionArn": execution })).await?;
    Ok(tell_end(&ended))
}

/// Shows the states as they run, on stderr, until the execution is over.
async fn follow(client: &Client, execution: &str) -> Result<()> {
    let mut tree = Tree::new(execution.rsplit(':').next().unwrap_or(execution));
    let mut screen = Screen { drawn: 0, terminal: output::is_terminal() };
    let (mut page, mut seen) = (Value::Null, 0);
    let mut looked = Instant::now();
    loop {
        let mut asked = json!({ "executionArn": execution, "maxResults": 1000 });
        if !page.is_null() {
            asked["nextToken"] = page.clone();
        }
        let history = call(client, "GetExecutionHistory", asked).await?;
        let events = history["events"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut over = false;
        for event in events.iter().skip(seen) {
            let changes = tree.take(event);
            if !screen.terminal {
                changes.iter().for_each(Screen::line);
            }
            over |= matches!(
                event["type"].as_str(),
                Some("ExecutionSucceeded" | "ExecutionFailed" | "ExecutionAborted" | "ExecutionTimedOut")
            );
        }
        tell_map_runs(client, &mut tree, !screen.terminal).await;
        if looked.elapsed() > LOOK {
            tell_job_runs(client, &mut tree, !screen.terminal).await;
            looked = Instant::now();
        }
        screen.draw(&tree);
        // A full page is behind us; the last one is read again until it is.
        match history.get("nextToken").filter(|next| !next.is_null()) {
            Some(next) => (page, seen) = (next.clone(), 0),
            None => seen = events.len(),
        }
        if over {
            return Ok(());
        }
        if history.get("nextToken").is_none_or(Value::is_null) {
            tokio::time::sleep(POLL).await;
        }
    }
}

/// What job runs wait for that do not run yet: at a first one an environment is made, which takes a while.
async fn tell_job_runs(client: &Client, tree: &mut Tree, aloud: bool) {
    for (node, job, run) in tree.job_runs() {
        let asked = json!({ "JobName": job, "RunId": run });
        let Ok(found) = client.json("glue", "AWSGlue.GetJobRun", &asked).await else { continue };
        let run = &found["JobRun"];
        let starts = matches!(run["JobRunState"].as_str(), Some("STARTING" | "WAITING"));
        let detail = run["StateDetail"].as_str().unwrap_or_default();
        let note = if starts { detail.to_owned() } else { String::new() };
        let is_news = tree.note(node, note.clone(), !starts);
        if aloud && is_news && !note.is_empty() {
            let _ = writeln!(std::io::stderr(), "{}: {note}", tree.name(node));
        }
    }
}

/// How far the Map Runs are whose end has not been seen: their children are executions of their own.
async fn tell_map_runs(client: &Client, tree: &mut Tree, aloud: bool) {
    for (node, arn) in tree.map_runs() {
        let Ok(run) = call(client, "DescribeMapRun", json!({ "mapRunArn": arn })).await else { continue };
        let count = |name: &str| run["itemCounts"][name].as_u64().unwrap_or_default();
        let failed = count("failed") + count("timedOut") + count("aborted");
        let note = format!(
            "{} of {} items succeeded, {failed} failed, {} running",
            count("succeeded"),
            count("total"),
            count("running")
        );
        let over = run["status"] != "RUNNING";
        if over && aloud {
            let _ = writeln!(std::io::stderr(), "{}: {note}", tree.name(node));
        }
        tree.note(node, note, over);
    }
}

/// Where progress is shown.
struct Screen {
    /// Lines of the tree on the screen.
    drawn: usize,
    terminal: bool,
}

impl Screen {
    fn draw(&mut self, tree: &Tree) {
        if !self.terminal {
            return;
        }
        // A line that wraps would take more of the screen than is known here: while the tree is drawn, the terminal cuts them
        // (DECAWM, which all terminals since the VT100 have).
        let mut frame = "\x1b[?7l".to_owned();
        if self.drawn > 0 {
            frame = format!("{frame}\x1b[{}A\x1b[J", self.drawn);
        }
        let lines = tree.lines(now(), ROWS);
        for line in &lines {
            frame.push_str(line);
            frame.push('\n');
        }
        frame.push_str("\x1b[?7h");
        self.drawn = lines.len();
        let _ = write!(std::io::stderr(), "{frame}");
    }

    fn line(change: &tree::Change) {
        let at = jiff::Timestamp::from_nanosecond(nanoseconds(change.at)).unwrap_or_default();
        let lasted = change.lasted.map(|lasted| format!("  {}", seconds(lasted))).unwrap_or_default();
        let (indent, mark, word) = ("  ".repeat(change.depth), change.status.mark(), change.status.word());
        let _ = writeln!(
            std::io::stderr(),
            "{}  {indent}{mark} {}{lasted}{word}",
            at.strftime("%H:%M:%S%.3f"),
            change.name
        );
    }
}

/// A time of the API, in the machine's words for people.
pub(crate) fn moment(seconds: f64) -> String {
    let at = jiff::Timestamp::from_nanosecond(nanoseconds(seconds)).unwrap_or_default();
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn nanoseconds(seconds: f64) -> i128 {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds of this century fit")]
    let millis = (seconds * 1000.0).round() as i64;
    i128::from(millis) * 1_000_000
}

pub(crate) fn now() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit a double")]
    let millis = jiff::Timestamp::now().as_millisecond() as f64;
    millis / 1000.0
}

/// How an execution ended: its output to stdout, what went wrong to stderr.
fn tell_end(ended: &Value) -> ExitCode {
    let status = ended["status"].as_str().unwrap_or_default();
    if let Some(output) = ended["output"].as_str() {
        say(&pretty(output));
    }
    if status != "SUCCEEDED" {
        let part = |name: &str| ended[name].as_str().map(output::cause).unwrap_or_default();
        let _ = writeln!(std::io::stderr(), "{status}{}", output::failure(&part("error"), &part("cause")));
    }
    match status {
        "SUCCEEDED" => ExitCode::SUCCESS,
        "TIMED_OUT" => ExitCode::from(2),
        "ABORTED" => ExitCode::from(3),
        _ => ExitCode::FAILURE,
    }
}

/// `lakerun executions`.
pub(crate) async fn list(client: &Client, asked: ListArgs) -> Result<()> {
    let machines = if let Some(machine) = &asked.state_machine {
        vec![machine_arn(client, machine)]
    } else {
        let all = pages(client, "ListStateMachines", json!({}), "stateMachines", usize::MAX).await?;
        all.iter().filter_map(|machine| machine["stateMachineArn"].as_str().map(str::to_owned)).collect()
    };
    let mut found = Vec::new();
    for machine in machines {
        let mut filter = json!({ "stateMachineArn": machine });
        if let Some(status) = &asked.status {
            filter["statusFilter"] = status.to_ascii_uppercase().into();
        }
        match pages(client, "ListExecutions", filter, "executions", asked.limit.saturating_add(1)).await {
            Err(error) => {
                let (error, named) = (error.to_string(), asked.state_machine.as_deref());
                match (error.split(':').next(), named) {
                    (Some("StateMachineTypeNotSupported"), None) => {}
                    (Some("StateMachineTypeNotSupported"), Some(name)) => {
                        bail!("{name} is an Express state machine: of its executions only their logs are kept")
                    }
                    (Some("StateMachineDoesNotExist"), Some(name)) => bail!("{}", no_machine(client, name).await?),
                    _ => bail!(error),
                }
            }
            Ok(executions) => found.extend(executions),
        }
    }
    found.sort_by(|a, b| {
        b["startDate"].as_f64().unwrap_or_default().total_cmp(&a["startDate"].as_f64().unwrap_or_default())
    });
    let is_cut = found.len() > asked.limit;
    found.truncate(asked.limit);
    if asked.output != Format::Table {
        return output::document(asked.output, &json!({ "executions": found }));
    }
    let mut rows = Vec::new();
    for execution in &found {
        let began = execution["startDate"].as_f64().unwrap_or_default();
        let ended = execution["stopDate"].as_f64().unwrap_or_else(now);
        let part = |name: &str| execution[name].as_str().unwrap_or_default();
        let machine = part("stateMachineArn").rsplit(':').next().unwrap_or_default();
        rows.push(vec![
            part("status").to_owned(),
            moment(began),
            seconds(ended - began),
            machine.to_owned(),
            part("name").to_owned(),
        ]);
    }
    output::table(&["STATUS", "STARTED", "LASTED", "STATE MACHINE", "NAME"], &rows);
    if is_cut {
        crate::info::complain(&format!("the newest {}: there are older ones (--limit N)", asked.limit));
    }
    Ok(())
}

/// `lakerun stop`.
pub(crate) async fn stop(client: &Client, asked: StopArgs) -> Result<()> {
    let arn = execution_arn(client, &asked.execution)?;
    let now = described(client, &arn).await?;
    if now["status"] != "RUNNING" {
        bail!("{arn} has ended already: {}", now["status"].as_str().unwrap_or_default());
    }
    let mut input = json!({ "executionArn": arn });
    for (name, given) in [("error", asked.error), ("cause", asked.cause)] {
        if let Some(given) = given {
            input[name] = given.into();
        }
    }
    call(client, "StopExecution", input).await?;
    say(&format!("stopped {arn}"));
    Ok(())
}

/// `lakerun redrive`.
pub(crate) async fn redrive(client: &Client, execution: &str) -> Result<()> {
    let arn = execution_arn(client, execution)?;
    described(client, &arn).await?;
    call(client, "RedriveExecution", json!({ "executionArn": arn })).await?;
    say(&format!("goes on {arn}"));
    Ok(())
}

pub(crate) async fn described(client: &Client, arn: &str) -> Result<Value> {
    call(client, "DescribeExecution", json!({ "executionArn": arn })).await.map_err(|error| {
        let unknown = error.to_string().starts_with("ExecutionDoesNotExist");
        if unknown { anyhow::anyhow!("there is no execution {arn} (lakerun executions lists them)") } else { error }
    })
}

/// An execution by its ARN, or as MACHINE/NAME.
pub(crate) fn execution_arn(client: &Client, execution: &str) -> Result<String> {
    if execution.starts_with("arn:") {
        return Ok(execution.to_owned());
    }
    let Some((machine, name)) = execution.split_once('/') else {
        bail!("an execution is named by its ARN, or as MACHINE/NAME, not {execution:?}")
    };
    Ok(format!("arn:aws:states:{}:{}:execution:{machine}:{name}", client.server.region, client.server.account))
}

/// `lakerun test-state`.
pub(crate) async fn test_state(client: &Client, asked: TestStateArgs) -> Result<ExitCode> {
    let definition = if asked.definition == Path::new("-") { piped()? } else { read(&asked.definition)? };
    let mut input = Map::new();
    input.insert("definition".to_owned(), definition.into());
    input.insert("input".to_owned(), text("--input", &asked.input)?.into());
    input.insert("inspectionLevel".to_owned(), asked.inspection_level.to_ascii_uppercase().into());
    for (member, given) in [("stateName", asked.state), ("roleArn", asked.role)] {
        if let Some(given) = given {
            input.insert(member.to_owned(), given.into());
        }
    }
    if let Some(variables) = asked.variables {
        input.insert("variables".to_owned(), text("--variables", &variables)?.into());
    }
    if let Some(mock) = asked.mock {
        let mock = text("--mock", &mock)?;
        let parsed: Value = serde_json::from_str(&mock).context("--mock")?;
        // A mock of TestState as it is, or else the result alone.
        let whole = parsed.get("result").is_some() || parsed.get("errorOutput").is_some();
        input.insert("mock".to_owned(), if whole { parsed } else { json!({ "result": mock }) });
    }
    if asked.reveal_secrets {
        input.insert("revealSecrets".to_owned(), true.into());
    }
    let has_role = input.contains_key("roleArn");
    let tested = match call(client, "TestState", Value::Object(input)).await {
        Err(error) if !has_role && error.to_string().contains("RoleArn must be specified") => {
            bail!("a Task is tested as a role (--role ARN), or with an answer instead of its call (--mock JSON)")
        }
        tested => tested?,
    };
    say(&serde_json::to_string_pretty(&tested)?);
    Ok(if tested["status"] == "FAILED" { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

pub(crate) async fn call(client: &Client, operation: &str, input: Value) -> Result<Value> {
    let target = format!("AWSStepFunctions.{operation}");
    client.json("states", &target, &input).await
}

/// That there is no such machine, and which there are.
async fn no_machine(client: &Client, name: &str) -> Result<String> {
    let all = pages(client, "ListStateMachines", json!({}), "stateMachines", 20).await?;
    let names: Vec<_> = all.iter().filter_map(|machine| machine["name"].as_str()).collect();
    let others = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
    Ok(format!("there is no state machine {name} (there are: {others})"))
}

/// All items of a list operation, up to a limit.
async fn pages(client: &Client, operation: &str, mut input: Value, member: &str, limit: usize) -> Result<Vec<Value>> {
    let mut items = Vec::new();
    loop {
        let mut page = call(client, operation, input.clone()).await?;
        if let Value::Array(found) = page[member].take() {
            items.extend(found);
        }
        match page["nextToken"].take() {
            Value::String(next) if items.len() < limit => input["nextToken"] = next.into(),
            _ => return Ok(items),
        }
    }
}

/// A machine by its ARN, or by its name in the server's account and region.
pub(crate) fn machine_arn(client: &Client, machine: &str) -> String {
    if machine.starts_with("arn:") {
        return machine.to_owned();
    }
    format!("arn:aws:states:{}:{}:stateMachine:{machine}", client.server.region, client.server.account)
}

/// The JSON of an argument: itself, a file's, or what is piped in.
fn text(flag: &str, argument: &str) -> Result<String> {
    let text = match argument.strip_prefix('@') {
        Some("-") => piped()?,
        Some(path) => read(Path::new(path))?,
        None => argument.to_owned(),
    };
    match serde_json::from_str::<serde::de::IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(_) if !argument.starts_with('@') && Path::new(argument).is_file() => {
            bail!("{flag} is not JSON; for what the file holds write {flag} @{argument}")
        }
        Err(e) => bail!("{flag} is not JSON: {e}"),
    }
}

fn piped() -> Result<String> {
    std::io::read_to_string(std::io::stdin()).context("cannot read what is piped in")
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

pub(crate) fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<Value>(json).ok();
    value.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or_else(|| json.to_owned())
}
