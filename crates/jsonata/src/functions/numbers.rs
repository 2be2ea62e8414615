//! Functions over numbers.

use super::Arguments;
use crate::eval::Machine;
use crate::failure::{Failure, Result};
use crate::value::{Items, Val, number_text};

fn numbers<'a>(machine: &mut Machine<'a>, value: &Val<'a>) -> Result<Option<Vec<f64>>> {
    let Some(items) = value.items() else { return Ok(None) };
    machine.charge(items.len() / 8)?;
    Ok(Some(items.iter().filter_map(|item| item.as_number()).collect()))
}

pub(super) fn sum<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let found = numbers(machine, arguments.get(0))?;
    Ok(found.map_or(Val::Undefined, |numbers| Val::Number(numbers.iter().fold(0.0, |total, number| total + number))))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn count<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(Val::count(arguments.get(0).items().map_or(0, Items::len)))
}

pub(super) fn max<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let found = numbers(machine, arguments.get(0))?.and_then(|numbers| numbers.into_iter().reduce(f64::max));
    Ok(found.map_or(Val::Undefined, Val::Number))
}

pub(super) fn min<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let found = numbers(machine, arguments.get(0))?.and_then(|numbers| numbers.into_iter().reduce(f64::min));
    Ok(found.map_or(Val::Undefined, Val::Number))
}

pub(super) fn average<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let found = numbers(machine, arguments.get(0))?.filter(|numbers| !numbers.is_empty());
    #[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^53")]
    let average = found.map(|numbers| numbers.iter().fold(0.0, |total, number| total + number) / numbers.len() as f64);
    Ok(average.map_or(Val::Undefined, Val::Number))
}

fn of_number<'a>(arguments: &Arguments<'a>, function: impl Fn(f64) -> f64) -> Val<'a> {
    arguments.number(0).map_or(Val::Undefined, |number| Val::Number(function(number)))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn floor<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(of_number(arguments, f64::floor))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn ceil<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(of_number(arguments, f64::ceil))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn abs<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    Ok(of_number(arguments, f64::abs))
}

#[expect(clippy::unnecessary_wraps, reason = "all functions of the table have one type")]
pub(super) fn round<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let precision = arguments.number(1).unwrap_or(0.0);
    Ok(of_number(arguments, |number| rounded(number, precision)))
}

/// Half to even, at a decimal place.
pub(crate) fn rounded(number: f64, precision: f64) -> f64 {
    let number = shifted(number, precision);
    let mut result = (number + 0.5).floor();
    #[expect(clippy::float_cmp, reason = "halves are exact")]
    if (result - number).abs() == 0.5 && (result % 2.0).abs() == 1.0 {
        result -= 1.0;
    }
    let result = shifted(result, -precision);
    if result == 0.0 { 0.0 } else { result }
}

/// Moves the decimal point in the number's text, which loses nothing.
fn shifted(number: f64, places: f64) -> f64 {
    if places == 0.0 || !number.is_finite() {
        return number;
    }
    let text = number_text(number);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent = exponent.trim_start_matches('+').parse::<f64>().unwrap_or(0.0) + places.trunc();
    format!("{mantissa}e{exponent}").parse().unwrap_or(number)
}

pub(super) fn sqrt<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    match arguments.number(0) {
        Some(number) if number < 0.0 => Err(Failure::of("D3060", number_text(number))),
        _ => Ok(of_number(arguments, f64::sqrt)),
    }
}

pub(super) fn power<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(base) = arguments.number(0) else { return Ok(Val::Undefined) };
    let exponent = arguments.number(1).unwrap_or(f64::NAN);
    let result = base.powf(exponent);
    if result.is_finite() {
        return Ok(Val::Number(result));
    }
    let mut failure = Failure::of("D3061", number_text(base));
    failure.value2 = Some(number_text(exponent));
    Err(failure)
}

pub(super) fn format_base<'a>(machine: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let Some(number) = arguments.number(0) else { return Ok(Val::Undefined) };
    let radix = arguments.number(1).map_or(10.0, |radix| rounded(radix, 0.0));
    if !(2.0..=36.0).contains(&radix) {
        return Err(Failure::of("D3100", number_text(radix)));
    }
    let number = rounded(number, 0.0);
    let (mut left, mut digits) = (number.abs(), Vec::new());
    while left >= 1.0 && digits.len() < 1100 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "less than the radix")]
        let digit = (left % radix) as u32;
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        left = (left / radix).floor();
    }
    if digits.is_empty() {
        digits.push('0');
    }
    if number < 0.0 {
        digits.push('-');
    }
    machine.text(digits.iter().rev().collect::<String>())
}

pub(super) fn number<'a>(_: &mut Machine<'a>, arguments: &Arguments<'a>, _: &Val<'a>) -> Result<Val<'a>> {
    let value = arguments.get(0);
    let parsed = match value {
        Val::Undefined => return Ok(Val::Undefined),
        Val::Number(number) | Val::Long(number, _) => Some(*number),
        Val::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Val::Text(text) => decimal(text).or_else(|| prefixed(text)),
        _ => None,
    };
    parsed.map(Val::Number).ok_or_else(|| Failure::of("D3030", value.shown()).with_index(1))
}

fn decimal(text: &str) -> Option<f64> {
    let rest = text.strip_prefix('-').unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = rest.split_once(['e', 'E']).map_or((rest, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let good = digits(whole)
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)));
    if good { text.parse().ok().filter(|number: &f64| number.is_finite()) } else { None }
}

fn prefixed(text: &str) -> Option<f64> {
    let (prefix, digits) = text.split_at_checked(2)?;
    let radix = match prefix {
        "0x" | "0X" => 16,
        "0o" | "0O" => 8,
        "0b" | "0B" => 2,
        _ => return None,
    };
    let digits: Option<Vec<u32>> = digits.chars().map(|c| c.to_digit(radix)).collect();
    let digits = digits.filter(|digits| !digits.is_empty())?;
    Some(digits.into_iter().fold(0.0, |total, digit| total * f64::from(radix) + f64::from(digit)))
}
