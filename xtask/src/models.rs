//! `cargo xtask models`: brings models/*.json.gz to those of the newest botocore on PyPI, without their documentation texts; with
//! `--check` it only says what a newer one adds: operations, and members of the inputs of operations that are generated.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use crate::checks::{root, say};
use crate::codegen::unpacked;

/// `given` is an unpacked botocore (the folder that has `data` in it); without it the newest is fetched with pip.
///
/// # Errors
/// When botocore cannot be had, or, with `check`, when it says anything new of an operation that is generated.
pub(crate) fn run(check: bool, given: Option<&Path>) -> Result<()> {
    let botocore = match given {
        Some(folder) => folder.to_owned(),
        None => fetch()?,
    };
    let served: toml::Table = toml::from_str(&std::fs::read_to_string(root().join("models/operations.toml"))?)?;
    let mut changed = Vec::new();
    for path in vendored(&served)? {
        let name = path.file_name().and_then(|n| n.to_str()).and_then(|n| n.strip_suffix(".json.gz"));
        let name = name.context("the name of a model")?.to_owned();
        let old: Value = if path.exists() { serde_json::from_str(&unpacked(&path)?)? } else { Value::Null };
        let new = stripped(newest(&botocore, &name).with_context(|| name.clone())?, &old);
        if new == old {
            continue;
        }
        let generated = served.get(&name).and_then(|s| s.get("operations")).and_then(toml::Value::as_array);
        let generated: Vec<&str> = generated.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        let lines = additions(&old, &new, &generated);
        say(&format!("{name}: {}", if lines.is_empty() { "differs".to_owned() } else { lines.join("\n  ") }));
        if !check {
            let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packed.write_all(serde_json::to_string(&new)?.as_bytes())?;
            std::fs::write(&path, packed.finish()?)?;
        }
        changed.push(name);
    }
    if check && !changed.is_empty() {
        bail!("a newer botocore has other models of {}: run `cargo xtask models`", changed.join(", "));
    }
    Ok(())
}

/// Those that are here, and those of services that are named and not here yet, but our own.
fn vendored(served: &toml::Table) -> Result<Vec<PathBuf>> {
    let folder = root().join("models");
    let entries = std::fs::read_dir(&folder)?;
    let mut paths: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "gz"));
    let lacks = |name: &&String| !folder.join(format!("{name}.json")).exists();
    let named = served.keys().filter(lacks).map(|name| folder.join(format!("{name}.json.gz")));
    paths.extend(named.filter(|path| !path.exists()));
    paths.sort();
    Ok(paths)
}

/// The newest botocore, unpacked under target/.
fn fetch() -> Result<PathBuf> {
    let folder = root().join("target/botocore");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder)?;
    let python = std::env::var("LAKERUN_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let run = |arguments: &[&str]| -> Result<()> {
        let status = Command::new(&python).args(arguments).current_dir(&folder).status();
        let status = status.with_context(|| format!("cannot run {python}"))?;
        if status.success() { Ok(()) } else { bail!("{python} {} ended with {status}", arguments.join(" ")) }
    };
    run(&["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "botocore"])?;
    let wheel = std::fs::read_dir(&folder)?.next().context("pip brought nothing")??.file_name();
    let wheel = wheel.to_str().context("the wheel's name")?.to_owned();
    say(&wheel);
    run(&["-m", "zipfile", "-e", &wheel, "."])?;
    Ok(folder.join("botocore"))
}

/// The model of a service in its newest version.
fn newest(botocore: &Path, name: &str) -> Result<Value> {
    let folder = botocore.join("data").join(match name {
        "states" => "stepfunctions",
        "sagemakerruntime" => "sagemaker-runtime",
        name => name,
    });
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut versions: Vec<PathBuf> = entries.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    versions.sort();
    let version = versions.pop().context("no version")?;
    let packed = version.join("service-2.json.gz");
    let text =
        if packed.exists() { unpacked(&packed)? } else { std::fs::read_to_string(version.join("service-2.json"))? };
    Ok(serde_json::from_str(&text)?)
}

/// Without documentation, and with enumerations in the order that is kept here where botocore only has another order: Step
/// Functions' messages list the values of `ExecutionStatus` in an order that botocore's model has lost.
fn stripped(mut model: Value, old: &Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.retain(|name, value| !(name == "documentation" && value.is_string()));
                map.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut model);
    for (name, shape) in model["shapes"].as_object_mut().into_iter().flatten() {
        let (Some(values), Some(kept)) = (shape["enum"].as_array(), old["shapes"][name]["enum"].as_array()) else {
            continue;
        };
        let set = |values: &[Value]| values.iter().map(Value::to_string).collect::<BTreeSet<_>>();
        if set(values) == set(kept) {
            shape["enum"] = kept.clone().into();
        }
    }
    model
}

/// New operations, and new members of what `generated` operations take.
fn additions(old: &Value, new: &Value, generated: &[&str]) -> Vec<String> {
    let none = Map::new();
    let operations =
        |model: &Value| model["operations"].as_object().unwrap_or(&none).keys().cloned().collect::<BTreeSet<_>>();
    let mut lines = Vec::new();
    let added: Vec<String> = operations(new).difference(&operations(old)).cloned().collect();
    if !added.is_empty() {
        lines.push(format!("operations {}", added.join(", ")));
    }
    for operation in generated {
        let members = |model: &Value| {
            let mut found = BTreeSet::new();
            let shape = model["operations"][operation]["input"]["shape"].as_str().unwrap_or_default();
            reach(&model["shapes"], shape, &mut BTreeSet::new(), &mut found);
            found
        };
        let added: Vec<String> = members(new).difference(&members(old)).cloned().collect();
        if !added.is_empty() {
            lines.push(format!("{operation} takes {}", added.join(", ")));
        }
    }
    lines
}

/// `Structure.Member` of all that a shape leads to.
fn reach(shapes: &Value, shape: &str, seen: &mut BTreeSet<String>, found: &mut BTreeSet<String>) {
    if !seen.insert(shape.to_owned()) {
        return;
    }
    let body = &shapes[shape];
    for (name, member) in body["members"].as_object().into_iter().flatten() {
        found.insert(format!("{shape}.{name}"));
        reach(shapes, member["shape"].as_str().unwrap_or_default(), seen, found);
    }
    for inner in ["member", "key", "value"] {
        if let Some(inner) = body[inner]["shape"].as_str() {
            reach(shapes, inner, seen, found);
        }
    }
}
