//! Build tasks: `cargo xtask demo | test | ci | codegen | models | compat | tidy | sim`. Each sets up what it needs; cargo and python3 are enough.

mod authorization;
mod book;
mod checks;
mod codegen;
mod compat;
mod demo;
mod members;
mod models;
mod operations;
mod room;
mod tally;
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Lakerun's build tasks")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build the server and run the whole example pipeline on real data (--help after it lists its flags)
    #[command(disable_help_flag = true)]
    Demo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run all tests
    Test,
    /// Everything that a change must pass: format, lints, structure, tests, conformance, the demo with its assertions
    Ci,
    /// Write api/*/src/gen.rs from the models
    Codegen {
        /// Only say whether the files are up to date
        #[arg(long)]
        check: bool,
    },
    /// Bring the service models to those of the newest botocore on PyPI
    Models {
        /// Only say what it adds
        #[arg(long)]
        check: bool,
        /// An unpacked botocore to take instead
        #[arg(long)]
        botocore: Option<std::path::PathBuf>,
    },
    /// Write COMPATIBILITY.md from the operations that the server has
    Compat {
        /// Only say whether the file is up to date
        #[arg(long)]
        check: bool,
    },
    /// Check the structure: layers, file headers, licences, sizes of the example's parts
    Tidy,
    /// Simulate with more seeds than the tests take; the first that fails is printed (`--seed N` runs it alone)
    Sim {
        /// How long to go on
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only this seed
        #[arg(long)]
        seed: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().task {
        Task::Demo { arguments } => demo::run(&arguments),
        Task::Test => checks::test(),
        Task::Ci => checks::ci(),
        Task::Codegen { check } => codegen::run(check),
        Task::Models { check, botocore } => models::run(check, botocore.as_deref()),
        Task::Compat { check } => compat::run(check),
        Task::Tidy => tidy::run(),
        Task::Sim { seconds, seed } => checks::sim(seconds, seed),
    }
}
