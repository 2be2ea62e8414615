//! `cargo xtask demo`: builds the binary, makes the demo's Python environment once, and hands over to
//! `examples/flights/demo`, which starts everything and runs the pipeline.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, anyhow, bail};

/// The arguments behind `cargo xtask demo` go to the driver as they are; it explains them (`--help`).
pub(crate) fn run(args: &[String]) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the repository")?.to_owned();
    let example = root.join("examples/flights");
    let demo = root.join("target/demo");
    fs::create_dir_all(&demo).with_context(|| format!("cannot make {}", demo.display()))?;
    // Pip waits for the network while cargo computes.
    let (binary, python) = std::thread::scope(|scope| {
        let python = scope.spawn(|| environment(&example, &demo));
        (build(&root), python.join())
    });
    let (binary, python) = (binary?, python.map_err(|_| anyhow!("making the Python environment panicked"))??);
    // The driver takes this process's place, so that Ctrl-C reaches it alone.
    let error = Command::new(python)
        .args(["-m", "demo", "--binary"])
        .arg(binary)
        .arg("--work")
        .arg(demo)
        .args(args)
        .env("PYTHONPATH", &example)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(root)
        .exec();
    Err(error).context("cannot start the demo's driver")
}

/// Builds `lakerun`, in the release profile unless `LAKERUN_DEMO_PROFILE` names another; `LAKERUN_DEMO_BINARY` is taken as it is.
fn build(root: &Path) -> anyhow::Result<PathBuf> {
    if let Some(binary) = std::env::var_os("LAKERUN_DEMO_BINARY") {
        return Ok(binary.into());
    }
    let profile = std::env::var("LAKERUN_DEMO_PROFILE").unwrap_or_else(|_| "release".to_owned());
    let done = crate::checks::cargo_command()
        .args(["build", "--workspace", "--bin", "lakerun", "--profile", &profile])
        .status()
        .context("cannot run cargo")?;
    if !done.success() {
        bail!("the build failed, see above");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(if profile == "dev" { "debug" } else { profile.as_str() }).join("lakerun"))
}

/// A virtual environment with what the driver, the sources and the assertions need; made anew only when that changes.
fn environment(example: &Path, demo: &Path) -> anyhow::Result<PathBuf> {
    let mut wanted =
        fs::read_to_string(example.join("demo/requirements.txt")).context("the example lacks demo/requirements.txt")?;
    if !has_postgres() {
        wanted.push_str(
            &fs::read_to_string(example.join("demo/requirements-postgres.txt"))
                .context("the example lacks demo/requirements-postgres.txt")?,
        );
    }
    let folder = demo.join("venv");
    let (python, stamp) = (folder.join("bin/python"), folder.join("requirements.txt"));
    if python.exists() && fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    say("Making the demo's Python environment (once) …");
    let interpreter = std::env::var_os("LAKERUN_PYTHON").unwrap_or_else(|| "python3".into());
    let made = Command::new(&interpreter).args(["-m", "venv", "--clear"]).arg(&folder).status().with_context(|| {
        format!("cannot run {}: install Python 3.10 or later, or name it in LAKERUN_PYTHON", interpreter.display())
    })?;
    if !made.success() {
        bail!("python3 -m venv failed: on Debian and Ubuntu it comes with the package python3-venv");
    }
    let list = demo.join("requirements.txt");
    fs::write(&list, &wanted)?;
    let installed = Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
        .arg(&list)
        .stdin(Stdio::null())
        .status()
        .context("cannot run pip")?;
    if !installed.success() {
        bail!("pip could not install what {} lists: is PyPI within reach?", list.display());
    }
    fs::write(stamp, wanted)?;
    Ok(python)
}

/// Whether this machine has a PostgreSQL server; where it has not, one comes as a wheel.
fn has_postgres() -> bool {
    let in_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("postgres").exists()));
    let debian = fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut versions| {
        versions.any(|version| version.is_ok_and(|v| v.path().join("bin/postgres").exists()))
    });
    in_path || debian
}

#[expect(clippy::print_stderr, reason = "a build task talks to who started it")]
fn say(line: &str) {
    eprintln!("{line}");
}
