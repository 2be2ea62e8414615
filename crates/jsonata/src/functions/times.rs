//! Functions over times, and numbers by picture.

use super::Arguments;
use crate::Timestamp;
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::pictures::{self, PictureError};
use crate::value::Val;

fn refused(error: PictureError) -> Box<Failure> {
    Failure::saying(error.code, error.sentence)
}

#[expect(clippy::cast_possible_truncation, reason = "float casts saturate, and far-off times are refused")]
fn timestamp(millis: f64) -> Timestamp {
    Timestamp(millis as i64)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this era are far below 2^53")]
fn number<'a>(at: Timestamp) -> Val<'a> {
    Val::Number(at.0 as f64)
}

pub(super) fn format_number<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(value) = arguments.number(0) else { return Ok(Val::Undefined) };
    let picture = arguments.text(1).unwrap_or("");
    let options: Vec<(String, String)> = arguments
        .get(2)
        .members()
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_string(), value.as_str()?.to_owned())))
        .collect();
    machine.charge(1 + picture.len() / 8)?;
    machine.text(pictures::number(value, picture, &options).map_err(refused)?)
}

pub(super) fn format_integer<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(value) = arguments.number(0) else { return Ok(Val::Undefined) };
    machine.charge(1)?;
    machine.text(pictures::integer(value, arguments.text(1).unwrap_or("")).map_err(refused)?)
}

pub(super) fn parse_integer<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(1 + text.len() / 8)?;
    let parsed = pictures::parse_integer(text, arguments.text(1).unwrap_or("")).map_err(refused)?;
    Ok(parsed.map_or(Val::Undefined, Val::Number))
}

pub(super) fn to_millis<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.charge(1 + text.len() / 8)?;
    let Some(picture) = arguments.text(1) else {
        let value = arguments.get(0).shown();
        return pictures::iso(text).map(number).ok_or_else(|| Failure::of("D3110", value));
    };
    let parsed = pictures::parse_time(text, picture, machine.environment.now).map_err(refused)?;
    Ok(parsed.map_or(Val::Undefined, number))
}

pub(super) fn from_millis<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(millis) = arguments.number(0) else { return Ok(Val::Undefined) };
    formatted(machine, timestamp(millis), arguments.text(1), arguments.text(2))
}

fn formatted<'a>(
    machine: &mut Machine<'a>,
    at: Timestamp,
    picture: Option<&str>,
    zone: Option<&str>,
) -> Result<Val<'a>> {
    machine.charge(1 + picture.map_or(0, str::len) / 8)?;
    machine.text(pictures::time(at, picture, zone).map_err(refused)?)
}

pub(super) fn now<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let now = machine.environment.now;
    formatted(machine, now, arguments.text(0), arguments.text(1))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn millis<'a>(machine: &mut Machine<'a>, _: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(number(machine.environment.now))
}
