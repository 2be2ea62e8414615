//! `sim --seconds N`: new seeds for so long; `sim --seed N`: one of them, with its story, `--shards N`: with executions in so many stores of
//! their own; `sim --family N`: one of executions that wait for executions; `sim --machines N`: so many machines
//! through `asl` alone; `sim --jobs N`: so many seeds of jobs; `sim --job-seed N`: one of them;
//! `sim --storage N`: so many seeds of S3 and `DynamoDB`; `sim --storage-seed N`: one of them. The first that fails is printed, and how to run it again.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use sim::{families, jobs, machines, run, storage};

#[expect(clippy::print_stderr, clippy::print_stdout, reason = "a build task talks to who started it")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let from = number("--from").unwrap_or(0);
    let done = if let Some(machines) = number("--machines") {
        machines::check(from..from + machines).map(|counts| format!("{counts:?}"))
    } else if let Some(seed) = number("--job-seed") {
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).init();
        jobs::run(seed).map(|report| format!("{}{} lives, {} commits", report.story, report.lives, report.commits))
    } else if let Some(count) = number("--jobs") {
        many_jobs(from, count)
    } else if let Some(count) = number("--storage") {
        much_storage(from, count)
    } else if let Some(seed) = number("--storage-seed") {
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).init();
        storage::run(seed).map(|report| format!("{report:?}"))
    } else if let Some(seed) = number("--seed") {
        // What the process logs belongs to the story.
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).init();
        let shards = usize::try_from(number("--shards").unwrap_or(0)).unwrap_or(0);
        let report = run::run_over(seed, shards);
        report.map(|report| format!("{}{} lives, {} commits", report.story, report.lives, report.commits))
    } else if let Some(seed) = number("--family") {
        tracing_subscriber::fmt().without_time().with_ansi(false).with_writer(std::io::stderr).init();
        let shards = usize::try_from(number("--shards").unwrap_or(0)).unwrap_or(0);
        families::run(seed, shards).map(|lives| format!("{lives} lives"))
    } else {
        long(from, Duration::from_secs(number("--seconds").unwrap_or(60)))
    };
    match done {
        Ok(report) => println!("{report}"),
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn many_jobs(from: u64, count: u64) -> Result<String, String> {
    let (mut jobs, mut lives, mut commits) = (0, 0, 0);
    for seed in from..from + count {
        let report = jobs::run(seed)?;
        jobs += report.jobs;
        lives += report.lives;
        commits += report.commits;
    }
    Ok(format!("{count} seeds from {from}: {jobs} jobs, {lives} lives, {commits} commits"))
}

fn much_storage(from: u64, count: u64) -> Result<String, String> {
    let mut all = storage::Report::default();
    for seed in from..from + count {
        let report = storage::run(seed)?;
        all.operations += report.operations;
        all.doubtful += report.doubtful;
        all.lives += report.lives;
        all.commits += report.commits;
    }
    Ok(format!("{count} seeds from {from}: {all:?}"))
}

fn long(from: u64, time: Duration) -> Result<String, String> {
    let began = Instant::now();
    let (mut seed, mut executions, mut lives, mut commits, mut events) = (from, 0, 0, 0, 0);
    while began.elapsed() < time {
        let report = run::run(seed).map_err(|fault| format!("{fault}\nagain: cargo xtask sim --seed {seed}"))?;
        executions += report.executions;
        lives += report.lives;
        commits += report.commits;
        events += report.events;
        machines::check(seed * 10..seed * 10 + 10)?;
        let shards = usize::try_from(1 + seed % 3).unwrap_or(1);
        run::run_over(seed, shards)?;
        families::run(seed, shards)?;
        jobs::run(seed).map_err(|fault| format!("{fault}\nagain: cargo run -p sim -- --job-seed {seed}"))?;
        storage::run(seed).map_err(|fault| format!("{fault}\nagain: cargo run -p sim -- --storage-seed {seed}"))?;
        seed += 1;
    }
    Ok(format!(
        "{} seeds from {from}: {executions} executions, {lives} lives, {commits} commits, {events} events seen",
        seed - from
    ))
}
