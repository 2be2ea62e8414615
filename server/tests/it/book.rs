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

/// What stands in round brackets after square ones.
fn links(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("](").skip(1).zip(text.split("](")).filter_map(|(after, before)| {
        let target = after.split(')').next()?;
        Some((before.rsplit('[').next().unwrap_or_default(), target))
    })
}

#[test]
fn the_books_links_lead_somewhere() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut pages = vec![docs.join("../README.md"), docs.join("../CONTRIBUTING.md"), docs.join("../SECURITY.md")];
    for entry in std::fs::read_dir(&docs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "md") {
            pages.push(path);
        }
    }
    let mut wrong = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for (name, target) in links(&text).filter(|(_, target)| !target.contains("://") && !target.starts_with('#')) {
            let path = page.parent().unwrap().join(target.split('#').next().unwrap());
            if !path.exists() {
                wrong.push(format!("{}: {target}", page.display()));
                continue;
            }
            // A test that a cell names is in the file that it leads to.
            let named = name.trim_matches('`');
            let of_tests = path.extension().is_some_and(|kind| kind == "rs");
            let is_test = of_tests && named.bytes().all(|b| b.is_ascii_lowercase() || b"_0123456789".contains(&b));
            if is_test && !std::fs::read_to_string(&path).unwrap().contains(&format!("fn {named}(")) {
                wrong.push(format!("{}: {target} has no {named}", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_page_stands_in_the_books_contents() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let contents = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let named: Vec<&str> = links(&contents).map(|(_, target)| target).collect();
    for folder in ["", "decisions"] {
        for entry in std::fs::read_dir(docs.join(folder)).unwrap() {
            let name = entry.unwrap().file_name().to_string_lossy().into_owned();
            let page = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let is_page = Path::new(&page).extension().is_some_and(|kind| kind == "md") && page != "SUMMARY.md";
            assert!(!is_page || named.contains(&page.as_str()), "docs/SUMMARY.md lacks {page}");
        }
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
