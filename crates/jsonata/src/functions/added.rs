//! What AWS adds: `$partition`, `$range`, `$hash`, `$random`, `$uuid`, `$parse`. Whole numbers are made by dropping
//! fractions, as measured on AWS.

use serde_json::Value;
use sha2::Digest as _;

use super::Arguments;
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::value::Val;

pub(super) fn partition<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (Some(items), Some(size)) = (arguments.get(0).items(), arguments.number(1)) else {
        return Ok(Val::Undefined);
    };
    if size < 1.0 {
        return Err(Failure::saying("", "The chunk size must be a positive, non-zero integer"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least one, and casts saturate")]
    let size = size as usize;
    let items: Vec<Val<'a>> = items.iter().collect();
    machine.charge(items.len() / 8)?;
    let mut parts = Vec::new();
    for part in items.chunks(size) {
        parts.push(machine.plain(part.to_vec())?);
    }
    machine.plain(parts)
}

pub(super) fn range<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (Some(start), Some(end), Some(step)) = (arguments.number(0), arguments.number(1), arguments.number(2)) else {
        return Ok(Val::Undefined);
    };
    let (start, end, step) = (start.trunc(), end.trunc(), step.trunc());
    if step == 0.0 {
        return Err(Failure::saying("", "The step must be a non-zero integer"));
    }
    let count = ((end - start) / step).floor() + 1.0;
    if count > 1e7 {
        return Err(Failure::too_large());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "negative counts saturate to none")]
    let count = count.max(0.0) as usize;
    machine.allocate(count * 8)?;
    machine.charge(count / 8)?;
    #[expect(clippy::cast_precision_loss, reason = "at most ten million")]
    machine.sequence((0..count).map(|index| Val::Number(start + step * index as f64)).collect())
}

pub(super) fn hash<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let (Some(text), Some(algorithm)) = (arguments.text(0), arguments.text(1)) else { return Ok(Val::Undefined) };
    machine.charge(text.len() / 64)?;
    let digest = match algorithm {
        "MD5" => hex::encode(md5::Md5::digest(text)),
        "SHA-1" => hex::encode(sha1::Sha1::digest(text)),
        "SHA-256" => hex::encode(sha2::Sha256::digest(text)),
        "SHA-384" => hex::encode(sha2::Sha384::digest(text)),
        "SHA-512" => hex::encode(sha2::Sha512::digest(text)),
        other => return Err(Failure::saying("", format!("The hash algorithm '{other}' is not supported"))),
    };
    machine.text(digest)
}

/// Without a seed from the machine's chance, with one as `java.util.Random`.
#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn random<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(seed) = arguments.number(0) else {
        return Ok(Val::Number(machine.environment.random.borrow_mut().fraction()));
    };
    #[expect(clippy::cast_possible_truncation, reason = "float casts saturate, as Java's do")]
    Ok(Val::Number(crate::chance::java_fraction(seed as i64)))
}

pub(super) fn uuid<'a>(machine: &mut Machine<'a>, _: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let uuid = machine.environment.random.borrow_mut().uuid();
    machine.text(uuid)
}

pub(super) fn parse<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(text) = arguments.text(0) else { return Ok(Val::Undefined) };
    machine.allocate(text.len())?;
    machine.charge(text.len() / 8)?;
    let value: Value =
        serde_json::from_str(text).map_err(|_| Failure::saying("", "The argument of $parse is not valid JSON"))?;
    Val::owned(&value)
}
