//! `lakerun`: the server and its command line. This crate wires: settings, HTTP, the services, workers, the console.
//!
//! Map: [`settings`] what can be set · [`up`] start and stop · [`services`] which services there are · [`cluster`] nodes
//! that take each other's place · [`bucket`] where they share objects' bytes · [`migrate`] from a
//! folder to these, and back · [`elsewhere`] what a folder lacks then · [`memory`] what is
//! given back when there is nothing to do · [`worker`] child
//! processes' side · [`client`] the signed client that the other commands use, a file each: [`executions`], [`deploy`],
//! [`dev`], [`execution_logs`], [`look`], [`sql`], [`objects`], [`init`], [`info`] · [`output`] how they print.

mod backup;
mod bucket;
mod client;
mod cluster;
mod deploy;
mod dev;
mod door;
mod elsewhere;
mod execution_logs;
mod executions;
mod info;
mod init;
mod look;
mod memory;
mod migrate;
mod monitor;
mod objects;
mod output;
mod s3;
mod services;
mod settings;
mod sql;
mod tls;
mod traces;
mod up;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mimalloc::MiMalloc;

use output::Format;

/// Gives back what a busy hour took, and is quicker than the system's where many threads allocate.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[derive(Parser)]
#[command(
    name = "lakerun",
    version,
    about = "Serverless data pipelines on your own machines, behind AWS's protocols",
    after_help = EXIT_CODES
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    it is done; with run --follow: the execution succeeded
  1    it failed, or the server does not answer; with run --follow: the execution failed
  2    the command line is wrong; with run --follow: the execution timed out
  3    with run --follow: the execution was stopped
  130  Ctrl-C; an execution that is followed goes on

Colours and redrawn lines only on terminals; NO_COLOR, CLICOLOR=0 and TERM=dumb are heeded.";

#[derive(Subcommand)]
enum Command {
    /// Start the server (Ctrl-C or SIGTERM drains and stops it)
    Up(settings::Flags),
    /// Print what clients need in their environment: eval "$(lakerun env)"
    Env(DataFlag),
    /// Make an authority and a certificate for [tls] own = true, and say where the authority is that clients must trust
    Tls {
        /// A name or an address that clients use; may be given several times
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Say whether the server runs, and what it holds
    Status {
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Open the console in a browser, signed in
    Open {
        /// What to open: the ARN of anything that has a page, or a page such as sql
        #[arg(default_value = "")]
        what: String,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Write a pipeline to start from: a template, a state machine, ten lines of Python, one CSV
    Init {
        /// A folder, which is made; files that are there are kept
        folder: PathBuf,
    },
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
    /// Deploy a folder's template, run its state machine, and do both again whenever a file is saved
    #[command(after_help = EXIT_CODES)]
    Dev {
        #[command(flatten)]
        dev: dev::DevArgs,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Delete a CloudFormation stack
    Delete {
        stack: String,
        /// Delete also what those of its buckets hold that go with it: a bucket that is not empty cannot be deleted
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Print log events of all groups, in order of time
    Logs {
        /// Only groups that begin with this, e.g. /aws/lambda/
        #[arg(default_value = "")]
        prefix: String,
        /// Go on as new events come
        #[arg(short, long)]
        follow: bool,
        /// Only what the functions, jobs and crawls wrote that this execution has started: its ARN, or MACHINE/NAME
        #[arg(short, long, value_name = "EXECUTION", conflicts_with = "follow")]
        execution: Option<String>,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Start an execution of a state machine; with --follow show its states as they run
    #[command(after_help = EXIT_CODES)]
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
    /// Show a state machine, an execution, a stack, a function, a job, a table, a queue, or another resource: by ARN or by name
    Describe {
        name: String,
        #[arg(short, long, value_enum, default_value_t)]
        output: Format,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Stop an execution
    Stop {
        #[command(flatten)]
        stop: executions::StopArgs,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Run an execution that has failed again, from the state that failed
    Redrive {
        /// The execution's ARN, or MACHINE/NAME
        execution: String,
        #[command(flatten)]
        data: DataFlag,
    },
    /// List, copy and print objects
    S3 {
        #[command(subcommand)]
        what: s3::S3,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Copy a file to S3 or from it: lakerun s3 cp
    Cp {
        /// A file, or s3://BUCKET/KEY
        from: String,
        /// s3://BUCKET/KEY (a / at the end keeps the file's name), or a file or folder
        to: String,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Ask Athena: one statement, a file, or a prompt
    Sql {
        #[command(flatten)]
        sql: sql::SqlArgs,
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
    Doctor {
        /// Read every object instead, and hold its bytes against what is said of them
        #[arg(long)]
        scrub: bool,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Copy the data folder as it is at this moment, while the server runs or not
    Backup {
        /// A folder that is empty or does not exist
        to: PathBuf,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Make a data folder of a backup
    Restore {
        from: PathBuf,
        #[command(flatten)]
        data: DataFlag,
    },
    /// Bring a data folder's records and objects to the PostgreSQL database and the bucket that settings name, or back
    Migrate(migrate::MigrateArgs),
    /// Print the completion of a shell, e.g. lakerun completion bash > /etc/bash_completion.d/lakerun
    Completion { shell: clap_complete::Shell },
    /// Write the man pages into a folder, one for each command
    Man { folder: PathBuf },
}

/// Which running server a command talks to.
#[derive(clap::Args)]
struct DataFlag {
    /// The server's data folder
    #[arg(long, env = "LAKERUN_DATA", value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

impl DataFlag {
    fn path(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(settings::default_data)
    }
}

/// What the server calls itself for, which no list of commands names.
fn internal() -> Option<anyhow::Result<()>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (Some("worker"), Some(kind)) => Some(worker::run(&kind)),
        (Some("operations"), None) => Some(services::print_operations()),
        _ => None,
    }
}

fn main() -> ExitCode {
    if let Some(done) = internal() {
        return finish(done.map(|()| ExitCode::SUCCESS));
    }
    let command = Cli::parse().command;
    if matches!(command, Command::Up(_) | Command::Doctor { .. }) {
        // Before there are threads.
        compute::sandbox::enter();
    }
    finish(match command {
        Command::Run { run, data } => block(async { executions::run(&client::Client::open(&data.path())?, run).await }),
        Command::TestState { test, data } => {
            block(async { executions::test_state(&client::Client::open(&data.path())?, test).await })
        }
        Command::Dev { dev, data } => block(async { dev::run(&client::Client::open(&data.path())?, dev).await }),
        Command::Sql { sql, data } => block(async { sql::run(&client::Client::open(&data.path())?, sql).await }),
        other => plain(other).map(|()| ExitCode::SUCCESS),
    })
}

fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|e| {
        info::complain(&format!("lakerun: {e:#}"));
        ExitCode::FAILURE
    })
}

/// The commands that either do what they are for or fail.
fn plain(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Up(flags) => up::run(&flags),
        Command::Env(data) => block(info::env(&data.path())),
        Command::Tls { names, data } => tls::run(&data.path(), &names),
        Command::Status { output, data } => block(info::status(&data.path(), output)),
        Command::Open { what, data } => block(info::open(&data.path(), &what)),
        Command::Init { folder } => init::run(&folder),
        Command::Migrate(args) => block(migrate::run(&args)),
        Command::Describe { name, output, data } => {
            block(async { look::describe(&client::Client::open(&data.path())?, &name, output).await })
        }
        Command::Stop { stop, data } => {
            block(async { executions::stop(&client::Client::open(&data.path())?, stop).await })
        }
        Command::S3 { what, data } => block(async { s3::run(&client::Client::open(&data.path())?, what).await }),
        Command::Cp { from, to, data } => {
            block(async { objects::copy(&client::Client::open(&data.path())?, &from, &to).await })
        }
        Command::Redrive { execution, data } => {
            block(async { executions::redrive(&client::Client::open(&data.path())?, &execution).await })
        }
        Command::Deploy { stack, template, parameters, data } => {
            block(async { deploy::run(&client::Client::open(&data.path())?, &stack, &template, &parameters).await })
        }
        Command::Delete { stack, force, data } => {
            block(async { deploy::delete(&client::Client::open(&data.path())?, &stack, force).await })
        }
        Command::Logs { execution: Some(execution), prefix, data, .. } => {
            block(info::logs_of(&data.path(), &execution, &prefix))
        }
        Command::Logs { prefix, follow, data, .. } => block(info::logs(&data.path(), &prefix, follow)),
        Command::Executions { list, data } => {
            block(async { executions::list(&client::Client::open(&data.path())?, list).await })
        }
        Command::Doctor { scrub: false, data } => block(info::doctor(&data.path())),
        Command::Doctor { scrub: true, data } => block(backup::scrub(&data.path())),
        Command::Backup { to, data } => block(backup::run(&data.path(), &to)),
        Command::Restore { from, data } => backup::restore(&from, &data.path()),
        Command::Completion { shell } => {
            clap_complete::generate(
                shell,
                &mut <Cli as clap::CommandFactory>::command(),
                "lakerun",
                &mut std::io::stdout(),
            );
            Ok(())
        }
        Command::Man { folder } => {
            std::fs::create_dir_all(&folder)?;
            Ok(clap_mangen::generate_to(<Cli as clap::CommandFactory>::command(), folder)?)
        }
        Command::Run { .. } | Command::TestState { .. } | Command::Sql { .. } | Command::Dev { .. } => Ok(()),
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
