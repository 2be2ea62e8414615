//! `cargo xtask tidy`: what a machine can check of the structure. Layers (who may depend on whom), a header in every file, no
//! `#[allow]`, licences of dependencies and that each is used, what becomes of each member of each input, that each operation is tested, that links of the book lead somewhere, the size of the example's application parts.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::checks::{cargo_command, root};

/// Licences that dependencies may have (one of those they offer).
const LICENCES: [&str; 14] = [
    "MIT",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "Unicode-3.0",
    "CC0-1.0",
    "0BSD",
    "Unlicense",
    "BSL-1.0",
    "MPL-2.0",
    "CDLA-Permissive-2.0",
    "bzip2-1.0.6",
];
/// Lines of one application part of the example: the article's promise.
const MAX_PART: usize = 100;
const PARTS: [&str; 4] = ["sourcing/handler.py", "etl/job.py", "view/handler.py", "model/train.py"];

pub(crate) fn run() -> Result<()> {
    let mut faults = Vec::new();
    layers(&mut faults)?;
    for folder in ["crates", "services", "server", "sim", "fuzz", "xtask", "bench"] {
        sources(&root().join(folder), &mut faults)?;
    }
    for part in PARTS {
        let text = std::fs::read_to_string(root().join("examples/flights").join(part))?;
        if text.lines().count() >= MAX_PART {
            faults.push(format!(
                "examples/flights/{part} has {} lines; under {MAX_PART} is the promise",
                text.lines().count()
            ));
        }
    }
    for member in crate::members::unaccounted()? {
        faults.push(format!("models/no_effect.toml or models/refused.toml: {member}"));
    }
    foreign(&std::fs::read_to_string(root().join("Cargo.lock"))?, &mut faults);
    faults.extend(crate::operations::untested()?);
    faults.extend(crate::book::faults()?);
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
}

/// Packages that are from nowhere but crates.io, with a checksum, and our own.
fn foreign(lock: &str, faults: &mut Vec<String>) {
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
        let Some(source) = value("source") else { continue };
        if source != "\"registry+https://github.com/rust-lang/crates.io-index\"" || value("checksum").is_none() {
            faults.push(format!("Cargo.lock: {} is from {source}", value("name").unwrap_or("a package")));
        }
    }
}

/// Which layer a crate of ours is in, by its folder.
fn layer(manifest: &str) -> Option<&'static str> {
    let path = manifest.strip_prefix(root().to_str()?)?;
    Some(match path.trim_start_matches('/').split('/').next()? {
        "api" => "api",
        "services" => "services",
        "server" => "server",
        "sim" => "sim",
        "xtask" => "xtask",
        "bench" | "fuzz" => "bench",
        _ => match path.split('/').nth(2)? {
            "wire" => "wire",
            "asl" => "asl",
            "jsonata" | "jsonpath" | "meter" => "expressions",
            "jsontext" => "jsontext",
            "store" => "store",
            "service" => "service",
            "trino-functions" => "functions",
            "sealing" => "sealing",
            _ => "platform",
        },
    })
}

/// The only edges between our crates: server (over server/front), sim → services → engine, compute, query → service → store → asl → wire,
/// jsonata, jsonpath → meter; api → wire; jsontext for whoever reads what others wrote.
fn allowed(from: &str, to: &str) -> bool {
    let below: &[&str] = match from {
        "server" => &["server", "services", "platform", "service", "store", "wire"],
        "bench" | "sim" => {
            &["services", "api", "platform", "functions", "service", "store", "asl", "expressions", "wire"]
        }
        "services" => &["api", "platform", "sealing", "service", "store", "asl", "wire", "jsontext"],
        "sealing" => &["api", "service", "wire"],
        "platform" => &["functions", "service", "store", "asl", "wire", "jsontext"],
        "service" => &["store", "wire"],
        "asl" => &["expressions", "wire", "jsontext"],
        "expressions" => &["expressions"],
        "store" | "api" => &["wire"],
        _ => &[],
    };
    below.contains(&to)
}

fn layers(faults: &mut Vec<String>) -> Result<()> {
    let out = cargo_command().args(["metadata", "--format-version", "1", "--locked"]).output()?;
    if !out.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&out.stderr));
    }
    let metadata: Value = serde_json::from_slice(&out.stdout)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(from) = layer(package["manifest_path"].as_str().unwrap_or_default()) else {
            let licence = package["license"].as_str().unwrap_or("none stated");
            let offered: Vec<&str> = licence.split([' ', '/', '(', ')']).filter(|w| !w.is_empty()).collect();
            if !offered.iter().any(|l| LICENCES.contains(l)) {
                faults.push(format!("{name}: licence {licence} is not in the list of tidy.rs"));
            }
            continue;
        };
        unused(package, packages, faults)?;
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(to) = dependency["path"].as_str().and_then(|p| layer(&format!("{p}/"))) else { continue };
            if dependency["kind"].as_str() != Some("dev") && !allowed(from, to) {
                faults.push(format!("{name} ({from}) must not depend on {} ({to})", dependency["name"]));
            }
        }
    }
    Ok(())
}

/// Dependencies whose name stands nowhere in a package's sources. `unify` has them for their features only.
fn unused(package: &Value, packages: &[Value], faults: &mut Vec<String>) -> Result<()> {
    let (name, manifest) = (package["name"].as_str().unwrap_or_default(), package["manifest_path"].as_str());
    let folder = Path::new(manifest.unwrap_or_default()).parent().context("a package has a folder")?;
    if name == "unify" {
        return Ok(());
    }
    let mut text = String::new();
    read_all(folder, &mut text)?;
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let called = dependency["name"].as_str().unwrap_or_default();
        let word =
            dependency["rename"].as_str().or_else(|| library(called, packages)).unwrap_or(called).replace('-', "_");
        let stands = text.match_indices(&word).any(|(at, _)| {
            let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            !is_part(text[..at].chars().next_back()) && !is_part(text[at + word.len()..].chars().next())
        });
        if !stands {
            faults.push(format!("{name} depends on {called} and does not use it"));
        }
    }
    Ok(())
}

/// What a package's library is called.
fn library<'a>(name: &str, packages: &'a [Value]) -> Option<&'a str> {
    let package = packages.iter().find(|package| package["name"].as_str() == Some(name))?;
    let is_library = |target: &&Value| {
        let kinds = target["kind"].as_array().into_iter().flatten();
        kinds.filter_map(Value::as_str).any(|kind| kind.ends_with("lib") || kind == "proc-macro")
    };
    package["targets"].as_array()?.iter().find(is_library)?["name"].as_str()
}

/// The text of every source file under a folder, but those of packages within.
fn read_all(folder: &Path, text: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let is_own =
                !path.join("Cargo.toml").exists() && !["target", "node_modules"].iter().any(|n| path.ends_with(n));
            if is_own {
                read_all(&path, text)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            text.push_str(&std::fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

fn sources(folder: &Path, faults: &mut Vec<String>) -> Result<()> {
    let entries: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    for path in entries {
        if path.is_dir() {
            sources(&path, faults)?;
            continue;
        }
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        let shown = path.strip_prefix(root()).unwrap_or(&path).display();
        if !text.starts_with("//!") {
            faults.push(format!("{shown} does not begin with //!: say what it owns"));
        }
        let forbidden = ["#[", "allow("].concat();
        if text.contains(&forbidden) || text.contains(&["#![", "allow("].concat()) {
            faults.push(format!("{shown} has {forbidden}: use #[expect(lint, reason = …)]"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_from_elsewhere_are_told() {
        let lock = "version = 4\n\n[[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"good\"\n\
                    source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n\n[[package]]\nname = \"bad\"\n\
                    source = \"git+https://example.com/bad#0\"\n";
        let mut faults = Vec::new();
        foreign(lock, &mut faults);
        assert_eq!(faults, ["Cargo.lock: \"bad\" is from \"git+https://example.com/bad#0\""]);
    }
}
