//! `cargo xtask test` and `cargo xtask ci`: steps in order, each named and timed; the first that fails ends the run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};

use crate::tally::Tally;
use crate::{codegen, compat, room, tidy};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

#[expect(clippy::print_stderr, reason = "a build task talks to who started it")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}

fn step(name: &str, run: impl FnOnce() -> Result<()>) -> Result<()> {
    say(&format!("\n=== {name}"));
    let start = Instant::now();
    run().with_context(|| format!("{name} failed"))?;
    say(&format!("=== {name}: ok in {:.0} s", start.elapsed().as_secs_f64()));
    Ok(())
}

/// Cargo itself, without the variables that the outer `cargo run` gave this program: build scripts watch them (ring's does),
/// and would run again, and all above them build again, whenever cargo is called in another way.
pub(crate) fn cargo_command() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| text.starts_with(p)) {
            cargo.env_remove(&name);
        }
    }
    cargo.current_dir(root());
    cargo
}

pub(crate) fn command(program: &str, arguments: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .status()
        .with_context(|| format!("cannot run {program}"))?;
    if status.success() { Ok(()) } else { bail!("{program} {} ended with {status}", arguments.join(" ")) }
}

fn cargo(arguments: &[&str]) -> Result<()> {
    let status = cargo_command().args(arguments).status().context("cannot run cargo")?;
    if status.success() { Ok(()) } else { bail!("cargo {} ended with {status}", arguments.join(" ")) }
}

/// Suites of boto3 that run against a server of their own: the step's name, the folder, the flags before the binary.
const SUITES: [(&str, &str, &[&str]); 14] = [
    ("EventBridge by boto3", "events", &["--binary"]),
    ("policies of resources by boto3", "iam", &["--binary"]),
    ("deploy tools", "deploy", &["--binary"]),
    ("defaults of properties in templates", "cloudformation/defaults.py", &["--binary"]),
    ("failures of stacks' operations, call by call", "cloudformation/failures.py", &["--binary"]),
    ("operations by boto3", "operations", &["--lakerun"]),
    ("DynamoDB by boto3", "dynamodb", &["--lakerun"]),
    ("S3 by boto3", "s3", &["--lakerun"]),
    ("S3 by other clients", "s3/clients", &["--lakerun"]),
    ("a full disk", "s3/full_disk.py", &["--lakerun"]),
    ("Lambda by boto3", "lambda", &[]),
    ("SageMaker by boto3", "sagemaker", &[]),
    ("traces of executions", "traces", &[]),
    ("Glue jobs", "glue", &["--no-spark", "--lakerun"]),
];

/// Unit and integration tests of the workspace, the suites of boto3, the recorded Step Functions cases, the console. All run, whatever
/// fails; the last line says how many passed, failed and were skipped.
pub(crate) fn test() -> Result<()> {
    // The binary first: tests of workers and of the server start it.
    step("build", || cargo(&["build", "--workspace", "--bin", "lakerun"]))?;
    let mut tally = Tally::default();
    // What a test prints is shown, so that one that finds nothing to test can say why.
    let tests = ["test", "--workspace", "--no-fail-fast", "--", "--show-output"];
    let mut all = cargo_command();
    all.args(tests);
    step("tests", || tally.run("tests", all))?;
    for (name, folder, flags) in SUITES {
        step(name, || tally.suite(name, || boto3(folder, flags)))?;
    }
    step("several nodes", || nodes(&mut tally))?;
    step("recorded cases", || conformance(&mut tally))?;
    step("console", || {
        console(&mut tally);
        Ok(())
    })?;
    tally.close()
}

/// Nodes on one PostgreSQL: of this machine's programs, or of a wheel. Says why where none can be had.
fn nodes(tally: &mut Tally) -> Result<()> {
    let had = Command::new("python3").arg(root().join("conformance/scale/postgresql.py")).output();
    let why = match had {
        Ok(had) if had.status.success() => None,
        Ok(had) => Some(String::from_utf8_lossy(&had.stderr).lines().last().unwrap_or_default().to_owned()),
        Err(error) => Some(error.to_string()),
    };
    if let Some(why) = why {
        tally.skip(&format!("no PostgreSQL can be had ({why}), so that nodes that share one are not checked"));
        return Ok(());
    }
    let suites = [
        ("nodes that take each other's place", "scale/run.py"),
        ("nodes that work for the owner", "scale/compute.py"),
        ("TLS", "scale/tls.py"),
    ];
    for (name, script) in suites {
        tally.suite(name, || boto3(script, &[]))?;
    }
    Ok(())
}

/// The console's bundle is what its sources make, its tests pass, and its pages hold in a browser. Says what is not at hand.
fn console(tally: &mut Tally) {
    let folder = root().join("console");
    let npm = |arguments: &[&str]| {
        let mut run = Command::new("npm");
        run.args(arguments).current_dir(&folder).env("LAKERUN_BINARY", binary());
        let status = run.status().context("cannot run npm")?;
        if status.success() { Ok(()) } else { bail!("npm {} ended with {status}", arguments.join(" ")) }
    };
    if Command::new("npm").arg("--version").output().is_err() {
        tally.skip("npm is not installed, so that neither the console's bundle nor its pages are checked");
        return;
    }
    if let Err(error) = npm(&["ci", "--silent"]) {
        tally.skip(&format!(
            "npm's packages cannot be had ({error}), so that neither the console's bundle nor its pages are checked"
        ));
        return;
    }
    tally.step("the console's bundle", || {
        npm(&["run", "build"])?;
        command("git", &["-C", &folder.display().to_string(), "diff", "--exit-code", "--stat", "dist"])
            .context("console/dist is not what console/src makes: commit what npm run build wrote")
    });
    tally.step("the console's tests", || npm(&["test"]));
    tally.step("the console's pages", || npm(&["run", "test:pages"]));
}

/// `conformance/SERVICE/run.py`, or another script there, against a server of its own.
fn boto3(script: &str, flags: &[&str]) -> Command {
    let mut run = Command::new(std::env::var("LAKERUN_PYTHON").unwrap_or_else(|_| "python3".to_owned()));
    let script = root().join("conformance").join(script);
    let script = if script.is_dir() { script.join("run.py") } else { script };
    run.arg(script).args(flags).arg(binary()).current_dir(root());
    run
}

/// Runs `conformance/asl/run.py` where the cases are at hand; says so where they are not.
fn conformance(tally: &mut Tally) -> Result<()> {
    let Some(shared) = std::env::var_os("LAKERUN_SHARED").map(PathBuf::from) else {
        tally.skip("LAKERUN_SHARED names no folder with conformance/asl, the recorded Step Functions cases");
        return Ok(());
    };
    if !shared.join("conformance/asl/cases.jsonl").exists() {
        bail!("LAKERUN_SHARED is set, but {} has no conformance/asl/cases.jsonl", shared.display());
    }
    tally.suite("recorded cases", || boto3("asl", &["--lakerun"]))
}

/// The binary that `cargo build` has made.
pub(crate) fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("debug/lakerun")
}

/// The simulation, for as long as was asked.
pub(crate) fn sim(seconds: u64, seed: Option<u64>) -> Result<()> {
    // With the whole workspace's features, so that nothing is built twice.
    cargo(&["build", "--workspace", "--bin", "sim"])?;
    let arguments = match seed {
        Some(seed) => ["--seed".to_owned(), seed.to_string()],
        None => ["--seconds".to_owned(), seconds.to_string()],
    };
    command(&binary().with_file_name("sim").display().to_string(), &arguments.each_ref().map(String::as_str))
}

pub(crate) fn ci() -> Result<()> {
    step("room", room::make)?;
    step("format", || cargo(&["fmt", "--all", "--check"]))?;
    step("structure", tidy::run)?;
    step("generated code", || codegen::run(true))?;
    step("lints", || cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    test()?;
    step("COMPATIBILITY.md", || compat::run(true))?;
    step("demo", || {
        let this = std::env::current_exe()?;
        let status = Command::new(this)
            .args(["demo", "--exit", "--assert"])
            .env("LAKERUN_DEMO_BINARY", binary())
            .current_dir(root())
            .status()?;
        if status.success() { Ok(()) } else { bail!("the demo ended with {status}") }
    })
}
