//! `cargo xtask tidy`: what a machine can check of the structure. Layers (who may depend on whom), a header in every file, no
//! `#[allow]`, licences of dependencies, what becomes of each member of each input, that each operation is tested, the size of the example's application parts.

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
    for folder in ["crates", "services", "server", "sim", "xtask", "bench"] {
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
    faults.extend(crate::operations::untested()?);
    if faults.is_empty() { Ok(()) } else { bail!("{}", faults.join("\n")) }
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
        "bench" => "bench",
        _ => match path.split('/').nth(2)? {
            "wire" => "wire",
            "asl" => "asl",
            "jsonata" | "jsonpath" | "meter" => "expressions",
            "store" => "store",
            "service" => "service",
            "trino-functions" => "functions",
            _ => "platform",
        },
    })
}

/// The only edges between our crates: server (over server/front), sim → services → engine, compute, query → service → store → asl → wire,
/// jsonata, jsonpath → meter; api → wire.
fn allowed(from: &str, to: &str) -> bool {
    let below: &[&str] = match from {
        "server" => &["server", "services", "platform", "service", "store", "wire"],
        "bench" | "sim" => &["services", "api", "platform", "service", "store", "asl", "wire"],
        "services" => &["api", "platform", "service", "store", "asl", "wire"],
        "platform" => &["functions", "service", "store", "asl", "wire"],
        "service" => &["store", "wire"],
        "asl" => &["expressions", "wire"],
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
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(to) = dependency["path"].as_str().and_then(|p| layer(&format!("{p}/"))) else { continue };
            if dependency["kind"].as_str() != Some("dev") && !allowed(from, to) {
                faults.push(format!("{name} ({from}) must not depend on {} ({to})", dependency["name"]));
            }
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
