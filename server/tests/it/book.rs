//! The book's first page, as somebody who follows it: every command of it, from an empty folder.

use std::path::Path;
use std::process::Command;

use crate::Server;

/// The blocks of commands of a page, but those that start the server: the test has one.
fn commands(page: &str) -> String {
    let mut blocks = String::new();
    let mut inside = false;
    for line in page.lines() {
        match line.trim_end() {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => {
                blocks.push_str(line);
                blocks.push('\n');
            }
            _ => {}
        }
    }
    blocks
}

#[test]
fn the_books_first_pipeline_runs_as_it_is_written() {
    if Command::new("python3").args(["-c", "import venv"]).output().is_ok_and(|done| !done.status.success()) {
        eprintln!("skipped: python3 has no venv, which functions need");
        return;
    }
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/getting-started.md")).unwrap();
    let commands = commands(&page);
    assert!(commands.contains("lakerun init") && commands.contains("lakerun run"), "the page has commands");
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_lakerun")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let done = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("LAKERUN_DATA", server.data.path())
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{out}\n{err}");
    // What the page shows is what comes out.
    for line in ["Norway   120.5", "Peru     99.75", "Kenya    42.25"] {
        assert!(out.contains(line) && page.contains(line), "{line}: {out}\n{err}");
    }
}

#[test]
fn every_promise_is_held_by_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/promises.md")).unwrap();
    let (mut file, mut held) = (String::new(), 0);
    for quoted in page.split('`').skip(1).step_by(2) {
        if quoted.contains('/') {
            file = std::fs::read_to_string(root.join(quoted)).unwrap_or_else(|e| panic!("{quoted}: {e}"));
            held += 1;
        } else if quoted.contains('_')
            && !quoted.contains(' ')
            && quoted.bytes().all(|b| b != b'.' && !b.is_ascii_uppercase())
        {
            assert!(file.contains(&format!("fn {quoted}(")), "no test {quoted}");
        }
    }
    assert!(held > 10, "the page names files");
}
