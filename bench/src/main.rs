//! `lakerun-bench`: load for Lakerun, bounded in count and time, against 127.0.0.1 or below HTTP in this very process. Each figure
//! stands beside what the hardware allows: the server's CPU time and the cost of an fsync, measured in the same run.
//!
//! Map: [`http`] against a running server · [`inside`] store, engine and services in this process · [`interpreter`] the language
//! alone · [`machines`] the state machines that are run · [`measure`] CPU, fsync, percentiles.

mod client;
mod http;
mod inside;
mod interpreter;
mod machines;
mod measure;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "lakerun-bench", about = "Load for Lakerun: bounded, local, ends by itself")]
struct Cli {
    /// Nothing runs longer than this
    #[arg(long, global = true, default_value_t = 120)]
    seconds: u64,
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Subcommand)]
enum Mode {
    /// The language alone: transitions of Pass states, with the history that would be stored
    Interpreter {
        #[arg(long, default_value_t = 200_000)]
        transitions: u64,
        /// Size of the input
        #[arg(long, default_value_t = 1024)]
        bytes: usize,
    },
    /// Store, engine and services in this process, without HTTP
    Inside {
        #[command(subcommand)]
        load: inside::Load,
        /// Where the store is made; a temporary folder when not given
        #[arg(long, global = true)]
        folder: Option<PathBuf>,
        /// A PostgreSQL database for the records instead: postgres://…
        #[arg(long)]
        store: Option<String>,
        /// Executions in so many stores of their own
        #[arg(long, global = true, default_value_t = 0)]
        shards: usize,
    },
    /// A running server, through HTTP
    Http {
        /// The server's data folder, which says where it listens and holds its keys
        #[arg(long, env = "LAKERUN_DATA", global = true)]
        data: Option<PathBuf>,
        #[command(subcommand)]
        load: http::Load,
    },
    /// What an fsync costs here
    Fsync {
        #[arg(long, default_value = ".")]
        folder: PathBuf,
        #[arg(long, default_value_t = 500)]
        count: usize,
    },
}

fn main() -> Result<()> {
    let cli = Cli::parse();
    let limit = Duration::from_secs(cli.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let run = async {
            match cli.mode {
                Mode::Interpreter { transitions, bytes } => interpreter::run(transitions, bytes),
                Mode::Inside { load, folder, store, shards } => inside::run(load, folder, store, shards).await,
                Mode::Http { data, load } => http::run(load, data).await,
                Mode::Fsync { folder, count } => measure::fsync_only(&folder, count),
            }
        };
        tokio::time::timeout(limit, run).await?
    })
}
