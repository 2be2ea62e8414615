//! Whether a definition is one, whether it goes with those before it, and whether two are the same.

use api_glue::error::invalid_input_exception;
use serde_json::Value;
use wire::Error;

use super::avro::Avro;
use super::json;
use super::records::{AVAILABLE, Schema, Version};

pub(super) fn known(format: &str) -> Result<(), Error> {
    match format {
        "AVRO" | "JSON" => Ok(()),
        other => Err(Error::not_implemented(format!("DataFormat {other}"))),
    }
}

/// What is wrong with a definition.
pub(super) fn invalid(format: &str, definition: &str) -> Result<Option<String>, Error> {
    known(format)?;
    Ok(if format == "AVRO" { Avro::parse(definition).err() } else { json::check(definition).err() })
}

pub(super) fn check(format: &str, definition: &str) -> Result<(), Error> {
    match invalid(format, definition)? {
        None => Ok(()),
        Some(why) => {
            Err(invalid_input_exception(format!("Schema definition of {format} data format is invalid: {why}")))
        }
    }
}

/// What compatibility of a format can be kept.
pub(super) fn check_mode(format: &str, mode: &str) -> Result<(), Error> {
    if format == "AVRO" || matches!(mode, "NONE" | "DISABLED") {
        return Ok(());
    }
    Err(Error::not_implemented(format!("Compatibility {mode} of DataFormat {format}")))
}

/// Definitions are the same whatever blanks and whichever order of members they have.
pub(super) fn same(a: &str, b: &str) -> bool {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    match (json(a), json(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Whether a new version goes with the earlier ones, in the sense of the schema's mode: BACKWARD reads what was written before, FORWARD
/// is read by what was there before, with `_ALL` for all versions since the checkpoint instead of the last.
/// Source: Glue Developer Guide, "Schema versioning and compatibility".
pub(super) fn goes_with(schema: &Schema, new: &str, earlier: &[Version]) -> Result<bool, Error> {
    let mode = schema.compatibility.as_str();
    if mode == "NONE" || earlier.is_empty() {
        return Ok(true);
    }
    let parse = |text: &str| Avro::parse(text).map_err(Error::internal);
    let new = parse(new)?;
    let counts = |version: &&Version| version.status == AVAILABLE && version.number >= schema.checkpoint;
    let mut before: Vec<&Version> = earlier.iter().filter(counts).collect();
    if !mode.ends_with("_ALL") {
        before = before.split_off(before.len().saturating_sub(1));
    }
    for version in before {
        let old = parse(&version.definition)?;
        let (back, forth) = (new.reads(&old).is_ok(), old.reads(&new).is_ok());
        let fits = match mode.trim_end_matches("_ALL") {
            "BACKWARD" => back,
            "FORWARD" => forth,
            _ => back && forth,
        };
        if !fits {
            return Ok(false);
        }
    }
    Ok(true)
}
