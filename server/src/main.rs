//! `lakerun`: the server and its command line. This crate wires: settings, HTTP, the services, workers, the console.
//!
//! Map: [`settings`] what can be set · [`up`] start and stop · [`services`] which services there are · [`http`] one port,
//! every protocol · [`worker`] child processes' side · [`client`] the signed client that the other commands use.

mod client;
mod deploy;
mod executions;
mod info;
mod services;
mod settings;
mod up;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

/// Gives back what a busy hour took, and is quicker than the system's where many threads allocate.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
#[command(name = "lakerun", version, about = "Serverless data pipelines on your own machines, behind AWS's protocols")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server (Ctrl-C or SIGTERM drains and stops it)
    Up(settings::Flags),
    /// Print what clients need in their environment: eval "$(lakerun env)"
    Env(DataFlag),
    /// Say whether the server runs, and what it holds
    Status(DataFlag),
    /// Create or update a CloudFormation stack; local folders in the template are packaged
    Deploy {
        stack: String,
        template: PathBuf,
        /// A template parameter, NAME=VALUE; may be given several times
        #[arg(long = "parameter", value_name = "NAME=VALUE")]
        parameters: Vec<String>,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Delete a CloudFormation stack
    Delete {
        stack: String,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Print log events, newest groups first
    Logs {
        /// Only groups that begin with this, e.g. /aws/lambda/
        #[arg(default_value = "/")]
        prefix: String,
        /// Go on as new events come
        #[arg(short, long)]
        follow: bool,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Start an execution of a state machine, and follow it
    Run {
        #[command(flatten)]
        run: executions::RunArgs,
        #[command(flatten)]
        data: DataFlag,
    },
    /// List executions, newest first
    Executions {
        #[command(flatten)]
        list: executions::ListArgs,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Run one state alone (TestState), and show what it makes of its input
    TestState {
        #[command(flatten)]
        test: executions::TestStateArgs,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Say what this machine lacks, and what that costs
    Doctor(DataFlag),
    #[command(hide = true)]
    Worker { kind: String },
    #[command(hide = true)]
    Operations,
}

/// Which running server a command talks to.
#[derive(clap::Args)]
struct DataFlag {
    /// The server's data folder
    #[arg(long, env = "LAKERUN_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataFlag {
    fn path(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(settings::default_data)
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if matches!(command, Command::Up(_) | Command::Doctor(_)) {
        // Before there are threads.
        compute::sandbox::enter();
    }
    let outcome = match command {
        Command::Run { run, data } => block(async { executions::run(&client::Client::open(&data.path())?, run).await }),
        Command::TestState { test, data } => {
            block(async { executions::test_state(&client::Client::open(&data.path())?, test).await })
        }
        other => plain(other).map(|()| ExitCode::SUCCESS),
    };
    outcome.unwrap_or_else(|e| {
        info::complain(&format!("lakerun: {e:#}"));
        ExitCode::FAILURE
    })
}

/// The commands that either do what they are for or fail.
fn plain(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(flags) => up::run(&flags),
        Command::Env(data) => info::env(&data.path()),
        Command::Status(data) => block(info::status(&data.path())),
        Command::Deploy { stack, template, parameters, data } => {
            block(async { deploy::run(&client::Client::open(&data.path())?, &stack, &template, &parameters).await })
        }
        Command::Delete { stack, data } => {
            block(async { deploy::delete(&client::Client::open(&data.path())?, &stack).await })
        }
        Command::Logs { prefix, follow, data } => block(info::logs(&data.path(), &prefix, follow)),
        Command::Executions { list, data } => {
            block(async { executions::list(&client::Client::open(&data.path())?, list).await })
        }
        Command::Doctor(data) => block(info::doctor(&data.path())),
        Command::Worker { kind } => worker::run(&kind),
        Command::Operations => services::print_operations(),
        Command::Run { .. } | Command::TestState { .. } => Ok(()),
    }
}

fn block<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        super::Cli::command().debug_assert();
    }
}
