//! Load through HTTP on a running server of this machine.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use serde_json::{Value, json};

use crate::client::{Client, Server};
use crate::inside::{SELDOM, SOON};
use crate::machines;
use crate::measure::{Fsyncs, Spread, count, cpu_ms, ms, say};

#[derive(Subcommand)]
pub(crate) enum Load {
    /// Short executions of Pass states: start, then describe until the end
    Starts {
        #[arg(long, default_value_t = 5)]
        states: usize,
        #[arg(long, default_value_t = 2000)]
        executions: usize,
        #[arg(long, default_value_t = 16)]
        clients: usize,
        /// Starts a second to be held to, evenly apart; as many as go when not given
        #[arg(long)]
        rate: Option<usize>,
    },
    /// A chain of Pass states, again and again
    Chain {
        #[arg(long, default_value_t = 100)]
        states: usize,
        #[arg(long, default_value_t = 30)]
        runs: usize,
    },
    /// A Map over many items
    Map {
        #[arg(long, default_value_t = 1000)]
        items: usize,
        #[arg(long, default_value_t = 10)]
        runs: usize,
    },
    /// Task states that call an operation inside: every one is a commit of its own
    Tasks {
        #[arg(long, default_value_t = 50)]
        states: usize,
        #[arg(long, default_value_t = 600)]
        executions: usize,
        /// Executions under way at once
        #[arg(long, default_value_t = 600)]
        clients: usize,
        /// Transitions a second to be held to; as many as go when not given
        #[arg(long)]
        rate: Option<usize>,
    },
    /// Calls of a warm Python function, one after the other and many at once
    Lambda {
        #[arg(long, default_value_t = 40)]
        calls: usize,
        #[arg(long, default_value_t = 400)]
        fan_out: usize,
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
}

pub(crate) async fn run(load: Load, data: Option<PathBuf>) -> Result<()> {
    let data = data.context("--data or LAKERUN_DATA names the server's data folder")?;
    let bench = Bench { server: Server::of(&data)?, data };
    let mut client = Client::connect(&bench.server).await?;
    let role = role(&mut client).await?;
    match load {
        Load::Starts { states, executions, clients, rate } => {
            let machine = machine(&mut client, &machines::chain(states), &role).await?;
            bench.starts(&machine, executions, clients, rate).await
        }
        Load::Chain { states, runs } => {
            let machine = machine(&mut client, &machines::chain(states), &role).await?;
            bench.repeated("chain", &machine, &json!({}), states, runs).await
        }
        Load::Map { items, runs } => {
            let machine = machine(&mut client, &machines::map_of_pass(), &role).await?;
            bench.repeated("map", &machine, &machines::items(items), items, runs).await
        }
        Load::Tasks { states, executions, clients, rate } => {
            let machine = machine(&mut client, &machines::tasks(states), &role).await?;
            bench.tasks(&machine, states, executions, clients, rate).await
        }
        Load::Lambda { calls, fan_out, runs } => {
            let function = function(&mut client, &role).await?;
            let row = machine(&mut client, &machines::calls(calls, &function), &role).await?;
            bench.repeated("lambda row", &row, &json!({}), calls, runs).await?;
            let fan = machine(&mut client, &machines::fan_out(&function), &role).await?;
            bench.repeated("lambda fan", &fan, &machines::items(fan_out), fan_out, runs).await
        }
    }
}

async fn role(client: &mut Client) -> Result<String> {
    let trust = "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22Service%22%3A%5B%22states.amazonaws.com%22%2C%22lambda.amazonaws.com%22%5D%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%5D%7D";
    // It may be there from an earlier run.
    let _ = client
        .iam(&format!("Action=CreateRole&Version=2010-05-08&RoleName=bench&AssumeRolePolicyDocument={trust}"))
        .await;
    let policy = "arn%3Aaws%3Aiam%3A%3Aaws%3Apolicy%2FAdministratorAccess";
    client.iam(&format!("Action=AttachRolePolicy&Version=2010-05-08&RoleName=bench&PolicyArn={policy}")).await?;
    Ok("arn:aws:iam::000000000000:role/bench".to_owned())
}

async fn machine(client: &mut Client, definition: &Value, role: &str) -> Result<String> {
    let name = format!("bench-{}", jiff::Timestamp::now().as_microsecond());
    let input = json!({ "name": name, "definition": definition.to_string(), "roleArn": role });
    text(&client.states("CreateStateMachine", &input).await?, "stateMachineArn")
}

/// A Python function that answers at once.
async fn function(client: &mut Client, role: &str) -> Result<String> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("handler.py", options)?;
    archive.write_all(b"def handle(event, context):\n    return {'ok': True}\n")?;
    let code = STANDARD.encode(archive.finish()?.into_inner());
    let name = format!("bench-{}", jiff::Timestamp::now().as_microsecond());
    let input = json!({ "FunctionName": name, "Runtime": "python3.12", "Handler": "handler.handle", "Role": role, "Code": { "ZipFile": code } });
    let made = client.lambda("POST", "/2015-03-31/functions", &input).await?;
    for _ in 0..600 {
        let now = client.lambda("GET", &format!("/2015-03-31/functions/{name}/configuration"), &json!({})).await?;
        if now["State"] == "Active" {
            break;
        }
        tokio::time::sleep(SELDOM).await;
    }
    text(&made, "FunctionArn")
}

fn text(answer: &Value, member: &str) -> Result<String> {
    Ok(answer[member].as_str().with_context(|| format!("{member} in {answer}"))?.to_owned())
}

async fn start(client: &mut Client, machine: &str, input: &Value) -> Result<String> {
    let input = json!({ "stateMachineArn": machine, "input": input.to_string() });
    text(&client.states("StartExecution", &input).await?, "executionArn")
}

/// Waits for the end; answers when it was, in seconds since 1970.
async fn ended(client: &mut Client, execution: &str, poll: Duration) -> Result<f64> {
    loop {
        let described = client.states("DescribeExecution", &json!({ "executionArn": execution })).await?;
        if described["status"] != "RUNNING" {
            ensure!(described["status"] == "SUCCEEDED", "{described}");
            return described["stopDate"].as_f64().context("a time");
        }
        tokio::time::sleep(poll).await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit a double")]
fn count_ms(at: jiff::Timestamp) -> f64 {
    at.as_millisecond() as f64
}

struct Bench {
    server: Server,
    data: PathBuf,
}

impl Bench {
    fn measured(&self) -> Result<(Fsyncs, Instant, f64)> {
        Ok((Fsyncs::beside(&self.data), Instant::now(), cpu_ms(self.server.pid)?))
    }

    async fn starts(&self, machine: &str, executions: usize, clients: usize, rate: Option<usize>) -> Result<()> {
        let (fsyncs, begun, cpu) = self.measured()?;
        let mut running = tokio::task::JoinSet::new();
        for n in 0..clients {
            let (server, machine) = (self.server.clone(), machine.to_owned());
            let mine = executions / clients + usize::from(n < executions % clients);
            running.spawn(async move {
                let mut client = Client::connect(&server).await?;
                let mut took = Vec::new();
                for round in 0..mine {
                    if let Some(rate) = rate {
                        let at = Duration::from_secs_f64(count(n + round * clients) / count(rate));
                        tokio::time::sleep_until(tokio::time::Instant::from_std(begun + at)).await;
                    }
                    let begun = Instant::now();
                    let execution = start(&mut client, &machine, &json!({})).await?;
                    ended(&mut client, &execution, SOON).await?;
                    took.push(ms(begun.elapsed()));
                }
                anyhow::Ok(took)
            });
        }
        let mut took = Vec::new();
        while let Some(done) = running.join_next().await {
            took.extend(done??);
        }
        let (wall, cpu) = (begun.elapsed(), cpu_ms(self.server.pid)? - cpu);
        let fsync = fsyncs.end()?;
        say(
            "starts",
            &[
                ("executions", executions.to_string()),
                ("per second", format!("{:.0}", count(executions) / wall.as_secs_f64())),
                ("server cpu ms each", format!("{:.3}", cpu / count(executions))),
                ("start to end ms", Spread::of(took).show()),
                ("fsync ms", fsync.show()),
            ],
        );
        Ok(())
    }

    /// One execution after the other, each from its start until it is seen to have ended.
    async fn repeated(&self, name: &str, machine: &str, input: &Value, states: usize, runs: usize) -> Result<()> {
        let mut client = Client::connect(&self.server).await?;
        // What is made at first use is not what is measured.
        let execution = start(&mut client, machine, input).await?;
        ended(&mut client, &execution, SOON).await?;
        let (fsyncs, _, cpu) = self.measured()?;
        let mut took = Vec::new();
        for _ in 0..runs {
            let begun = Instant::now();
            let execution = start(&mut client, machine, input).await?;
            ended(&mut client, &execution, Duration::from_millis(1)).await?;
            took.push(ms(begun.elapsed()));
        }
        let cpu = cpu_ms(self.server.pid)? - cpu;
        let (took, fsync) = (Spread::of(took), fsyncs.end()?);
        say(
            name,
            &[
                ("states", states.to_string()),
                ("wall ms", took.show()),
                ("server cpu ms each", format!("{:.2}", cpu / count(runs))),
                ("fsync ms", fsync.show()),
                ("p50 in fsyncs", format!("{:.1}", took.percentile(50) / fsync.percentile(50))),
            ],
        );
        Ok(())
    }

    async fn tasks(
        &self,
        machine: &str,
        states: usize,
        executions: usize,
        clients: usize,
        rate: Option<usize>,
    ) -> Result<()> {
        let (fsyncs, begun, cpu) = self.measured()?;
        let at_first = count_ms(jiff::Timestamp::now()) / 1000.0;
        let mut running = tokio::task::JoinSet::new();
        let (mut took, mut last) = (Vec::new(), at_first);
        let mut note = |(entered, ended): (f64, f64)| {
            took.push(entered);
            last = last.max(ended);
        };
        for n in 0..executions {
            if running.len() >= clients
                && let Some(done) = running.join_next().await
            {
                note(done??);
            }
            if let Some(rate) = rate {
                let at = Duration::from_secs_f64(count(n * states) / count(rate));
                tokio::time::sleep_until(tokio::time::Instant::from_std(begun + at)).await;
            }
            let (server, machine) = (self.server.clone(), machine.to_owned());
            running.spawn(async move {
                let mut client = Client::connect(&server).await?;
                let begun = Instant::now();
                let execution = start(&mut client, &machine, &json!({})).await?;
                let entered = ms(begun.elapsed());
                anyhow::Ok((entered, ended(&mut client, &execution, SELDOM).await?))
            });
        }
        while let Some(done) = running.join_next().await {
            note(done??);
        }
        // The end is asked for seldom, not to be a load itself: what counts is when the server says that it was.
        let (wall, cpu) = (last - at_first, cpu_ms(self.server.pid)? - cpu);
        let transitions = executions * states;
        let (took, fsync) = (Spread::of(took), fsyncs.end()?);
        say(
            "tasks",
            &[
                ("transitions", transitions.to_string()),
                ("per second", format!("{:.0}", count(transitions) / wall)),
                ("server cpu us each", format!("{:.1}", cpu * 1000.0 / count(transitions))),
                ("start to first state ms", took.show()),
                ("fsync ms", fsync.show()),
                ("allowed p99 ms", format!("{:.2}", 3.0 + 2.0 * fsync.percentile(99))),
            ],
        );
        Ok(())
    }
}
