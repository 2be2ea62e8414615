//! Arrays, but for functions that take lambdas.

use std::cmp::Ordering;

use super::Row;
use super::operator::{add_months, add_months_to};
use crate::call::{Kernel::Nullable, Kernel::Strict, Rows};
use crate::error::{Error, Result};
use crate::text::{instant, local, to_text};
use crate::types::Type;
use crate::value::{Value, compare, equal, order};

/// The first of each, in the order met.
fn distinct(items: impl IntoIterator<Item = Value>) -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    let mut kept = Vec::new();
    for item in items {
        if seen.insert(item.clone()) {
            kept.push(item);
        }
    }
    kept
}

const DISTINCT: Rows = |_, a| Ok(Value::Array(distinct(a[0].items().iter().cloned())));

const EXCEPT: Rows = |_, a| {
    // Where nothing is taken away, nothing is made distinct.
    if a[1].items().is_empty() {
        return Ok(a[0].clone());
    }
    let kept = a[0].items().iter().filter(|item| !a[1].items().contains(item)).cloned();
    Ok(Value::Array(distinct(kept)))
};

const INTERSECT: Rows = |_, a| {
    let kept = a[0].items().iter().filter(|item| a[1].items().contains(item)).cloned();
    Ok(Value::Array(distinct(kept)))
};

const UNION: Rows = |_, a| Ok(Value::Array(distinct(a[0].items().iter().chain(a[1].items()).cloned())));

const HISTOGRAM: Rows = |_, a| {
    let mut counts: Vec<(Value, Value)> = Vec::new();
    for item in a[0].items().iter().filter(|item| !item.is_null()) {
        match counts.iter_mut().find(|(known, _)| known == item) {
            Some((_, Value::Int(count))) => *count += 1,
            _ => counts.push((item.clone(), Value::Int(1))),
        }
    }
    Ok(Value::Map(counts))
};

const JOIN: Rows = |call, a| {
    if a.iter().any(Value::is_null) {
        return Ok(Value::Null);
    }
    let Type::Array(item) = &call.params[0] else { return Err(Error::internal("no array")) };
    let replacement = a.get(2).map(Value::as_str);
    let parts: Vec<String> = a[0]
        .items()
        .iter()
        .filter_map(|v| if v.is_null() { replacement.map(str::to_owned) } else { Some(to_text(v, item)) })
        .collect();
    Ok(parts.join(a[1].as_str()).into())
};

/// The greatest or the least; null as soon as an item is.
fn extreme(items: &[Value], wanted: Ordering) -> Value {
    if items.iter().any(Value::is_null) {
        return Value::Null;
    }
    crate::aggregate::extreme(items.iter(), wanted)
}

const POSITION: Rows = |_, a| {
    let found = a[0].items().iter().position(|item| equal(item, &a[1]) == Some(true));
    Ok(Value::Int(found.map_or(0, |at| at as i64 + 1)))
};

const REMOVE: Rows =
    |_, a| Ok(Value::Array(a[0].items().iter().filter(|item| equal(item, &a[1]) != Some(true)).cloned().collect()));

const SORT: Rows = |_, a| {
    let mut items = a[0].items().to_vec();
    for pair in items.windows(2) {
        if !pair[0].is_null() && !pair[1].is_null() {
            compare(&pair[0], &pair[1])?;
        }
    }
    items.sort_by(order);
    Ok(Value::Array(items))
};

const OVERLAP: Rows = |_, a| {
    let (x, y) = (a[0].items(), a[1].items());
    if x.iter().any(|item| !item.is_null() && y.contains(item)) {
        return Ok(true.into());
    }
    let open = |items: &[Value], others: &[Value]| items.iter().any(Value::is_null) && !others.is_empty();
    Ok(if open(x, y) || open(y, x) { Value::Null } else { false.into() })
};

const CARDINALITY: Rows = |_, a| {
    Ok(Value::Int(match &a[0] {
        Value::Map(entries) => entries.len() as i64,
        other => other.items().len() as i64,
    }))
};

const COMBINATIONS: Rows = |_, a| {
    let (items, n) = (a[0].items(), a[1].as_int());
    if n < 0 {
        return Err(Error::argument("combination size must not be negative"));
    }
    if n > 5 {
        return Err(Error::argument(format!("combination size must not exceed 5: {n}")));
    }
    let n = n as usize;
    if n > items.len() {
        return Ok(Value::Array(Vec::new()));
    }
    let mut all = Vec::new();
    let mut chosen: Vec<usize> = (0..n).collect();
    loop {
        all.push(Value::Array(chosen.iter().map(|i| items[*i].clone()).collect()));
        if all.len() > 100_000 {
            return Err(Error::argument("combinations exceed max size"));
        }
        // Lexicographic by the last index first, as Trino enumerates them.
        let Some(at) = (0..n).find(|i| chosen[*i] + 1 < chosen.get(i + 1).copied().unwrap_or(items.len())) else {
            break;
        };
        chosen[at] += 1;
        for (i, index) in chosen.iter_mut().enumerate().take(at) {
            *index = i;
        }
    }
    Ok(Value::Array(all))
};

const CONTAINS: Rows = |_, a| {
    let mut open = false;
    for item in a[0].items() {
        match equal(item, &a[1]) {
            Some(true) => return Ok(true.into()),
            None => open = true,
            Some(false) => {}
        }
    }
    Ok(if open { Value::Null } else { false.into() })
};

/// Whether a network such as `10.0.0.0/8` has an address.
const CONTAINS_ADDRESS: Rows = |_, a| {
    let wrong = || Error::argument("Invalid CIDR");
    let (network, length) = a[0].as_str().split_once('/').ok_or_else(wrong)?;
    let network: std::net::IpAddr = network.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    let Value::Bytes(bytes) = &a[1] else { return Err(Error::internal("an address")) };
    let address = <[u8; 16]>::try_from(bytes.as_slice()).map_err(|_| Error::internal("an address"))?;
    let address = std::net::Ipv6Addr::from(address);
    let (network, address, width): (u128, u128, u32) = match (network, address.to_ipv4_mapped()) {
        (std::net::IpAddr::V4(network), Some(address)) => {
            (u128::from(u32::from(network)), u128::from(u32::from(address)), 32)
        }
        (std::net::IpAddr::V4(_), None) if length <= 32 => return Ok(false.into()),
        (std::net::IpAddr::V4(_), None) => return Err(wrong()),
        (std::net::IpAddr::V6(network), _) => (u128::from(network), u128::from(address), 128),
    };
    let rest = width.checked_sub(length).ok_or_else(wrong)?;
    let prefix = |address: u128| address.checked_shr(rest).unwrap_or(0);
    Ok((prefix(network) == prefix(address)).into())
};

const CONTAINS_SEQUENCE: Rows = |_, a| {
    let (items, part) = (a[0].items(), a[1].items());
    Ok((part.is_empty() || items.windows(part.len()).any(|window| window == part)).into())
};

const ELEMENT_AT: Rows = |_, a| {
    let (items, index) = (a[0].items(), a[1].as_int());
    if index == 0 {
        return Err(Error::argument("SQL array indices start at 1"));
    }
    let at = if index > 0 { Some(index as usize - 1) } else { items.len().checked_sub(index.unsigned_abs() as usize) };
    Ok(at.and_then(|at| items.get(at)).cloned().unwrap_or(Value::Null))
};

const FLATTEN: Rows = |_, a| Ok(Value::Array(a[0].items().iter().flat_map(|item| item.items().to_vec()).collect()));

const NGRAMS: Rows = |_, a| {
    let (items, n) = (a[0].items(), a[1].as_int());
    if n <= 0 {
        return Err(Error::argument("N must be positive"));
    }
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    if items.len() <= n {
        return Ok(Value::Array(vec![a[0].clone()]));
    }
    Ok(Value::Array(items.windows(n).map(|window| Value::Array(window.to_vec())).collect()))
};

const REPEAT: Rows = |_, a| {
    if a[1].is_null() {
        return Ok(Value::Null);
    }
    match a[1].as_int() {
        ..0 => Err(Error::argument("count argument of repeat function must be greater than or equal to 0")),
        n @ 0..=10_000 => Ok(Value::Array(vec![a[0].clone(); n as usize])),
        _ => Err(Error::argument("count argument of repeat function must be less than or equal to 10000")),
    }
};

const SHUFFLE: Rows = |_, a| {
    let mut items = a[0].items().to_vec();
    for i in (1..items.len()).rev() {
        items.swap(i, crate::random::below(i as u64 + 1) as usize);
    }
    Ok(Value::Array(items))
};

const SLICE: Rows = |_, a| {
    let (items, start, length) = (a[0].items(), a[1].as_int(), a[2].as_int());
    if length < 0 {
        return Err(Error::argument("length must be greater than or equal to 0"));
    }
    if start == 0 {
        return Err(Error::argument("SQL array indices start at 1"));
    }
    let count = items.len() as i64;
    let from = if start > 0 { start - 1 } else { count + start };
    if from < 0 || from >= count {
        return Ok(Value::Array(Vec::new()));
    }
    let to = from.saturating_add(length).min(count);
    Ok(Value::Array(items[from as usize..to as usize].to_vec()))
};

const TRIM_ARRAY: Rows = |_, a| {
    let (items, n) = (a[0].items(), a[1].as_int());
    if n < 0 {
        return Err(Error::argument(format!("size must not be negative: {n}")));
    }
    if n > items.len() as i64 {
        return Err(Error::argument(format!("size must not exceed array cardinality {}: {n}", items.len())));
    }
    Ok(Value::Array(items[..items.len() - n as usize].to_vec()))
};

const ZIP: Rows = |_, a| {
    let longest = a.iter().map(|array| array.items().len()).max().unwrap_or(0);
    let row =
        |i: usize| Value::Row(a.iter().map(|array| array.items().get(i).cloned().unwrap_or(Value::Null)).collect());
    Ok(Value::Array((0..longest).map(row).collect()))
};

const MOST: usize = 10_000;

fn checked(count: i128) -> Result<usize> {
    match usize::try_from(count) {
        Ok(count) if count <= MOST => Ok(count),
        _ => Err(Error::argument("result of sequence function must not have more than 10000 entries")),
    }
}

fn steps(start: i128, stop: i128, step: i128) -> Result<Vec<i128>> {
    if step == 0 {
        return Err(Error::argument("step must not be zero"));
    }
    if (step > 0) != (stop >= start) && start != stop {
        return Err(Error::argument(
            "sequence stop value should be greater than or equal to start value if step is greater than zero otherwise stop should be less than or equal to start",
        ));
    }
    let count = checked((stop - start) / step + 1)?;
    Ok((0..count as i128).map(|i| start + i * step).collect())
}

const SEQUENCE: Rows = |_, a| {
    let (start, stop) = (i128::from(a[0].as_int()), i128::from(a[1].as_int()));
    let step = a.get(2).map_or(if stop >= start { 1 } else { -1 }, |step| i128::from(step.as_int()));
    Ok(Value::Array(steps(start, stop, step)?.into_iter().map(|i| Value::Int(i as i64)).collect()))
};

const SEQUENCE_TIMES: Rows = |_, a| {
    let as_date = |days: i128| Value::Date(days as i32);
    match (&a[0], &a[1], a.get(2)) {
        (Value::Date(start), Value::Date(stop), None) => {
            let step = if stop >= start { 1 } else { -1 };
            Ok(Value::Array(steps((*start).into(), (*stop).into(), step)?.into_iter().map(as_date).collect()))
        }
        (Value::Date(start), Value::Date(stop), Some(Value::IntervalDay(ms))) => {
            if ms % 86_400_000 != 0 {
                return Err(Error::argument("sequence step must be a day interval if start and end values are dates"));
            }
            let days = steps((*start).into(), (*stop).into(), i128::from(ms / 86_400_000))?;
            Ok(Value::Array(days.into_iter().map(as_date).collect()))
        }
        (Value::Timestamp(start), Value::Timestamp(stop), Some(Value::IntervalDay(ms))) => {
            let all = steps(*start, *stop, i128::from(*ms) * 1_000_000_000)?;
            Ok(Value::Array(all.into_iter().map(Value::Timestamp).collect()))
        }
        (Value::TimestampTz(start, zone), Value::TimestampTz(stop, _), Some(Value::IntervalDay(ms))) => {
            let all = steps(*start, *stop, i128::from(*ms) * 1_000_000_000)?;
            Ok(Value::Array(all.into_iter().map(|t| Value::TimestampTz(t, *zone)).collect()))
        }
        (start, stop, Some(Value::IntervalYear(months))) => {
            if *months == 0 {
                return Err(Error::argument("interval must not be zero"));
            }
            let mut all = Vec::new();
            for i in 0..=MOST as i64 {
                let by = i * i64::from(*months);
                let next = match start {
                    Value::Date(days) => add_months(*days, by).map(Value::Date),
                    Value::Timestamp(t) => add_months_to(*t, by).map(Value::Timestamp),
                    Value::TimestampTz(t, zone) => {
                        add_months_to(local(*t, *zone), by).map(|t| Value::TimestampTz(instant(t, *zone), *zone))
                    }
                    _ => None,
                };
                let next = next.ok_or_else(|| Error::out_of_range("sequence out of range"))?;
                let beyond = if *months > 0 { Ordering::Greater } else { Ordering::Less };
                if order(&next, stop) == beyond {
                    if all.is_empty() {
                        steps(0, -1, 1)?;
                    }
                    return Ok(Value::Array(all));
                }
                checked(all.len() as i128 + 1)?;
                all.push(next);
            }
            checked(MOST as i128 + 1).map(|_| Value::Null)
        }
        _ => Err(Error::internal("a sequence")),
    }
};

pub(super) const TABLE: &[Row] = &[
    ("array_distinct", "array(C) -> array(C)", Strict(DISTINCT)),
    ("array_except", "array(C), array(C) -> array(C)", Strict(EXCEPT)),
    ("array_intersect", "array(C), array(C) -> array(C)", Strict(INTERSECT)),
    ("array_union", "array(C), array(C) -> array(C)", Strict(UNION)),
    ("array_histogram", "array(C) -> map(C, bigint)", Strict(HISTOGRAM)),
    ("array_join", "array(T), varchar -> varchar", Strict(JOIN)),
    ("array_join", "array(T), varchar, varchar -> varchar", Strict(JOIN)),
    ("array_max", "array(O) -> O", Strict(|_, a| Ok(extreme(a[0].items(), Ordering::Greater)))),
    ("array_min", "array(O) -> O", Strict(|_, a| Ok(extreme(a[0].items(), Ordering::Less)))),
    ("array_position", "array(C), C -> bigint", Strict(POSITION)),
    ("array_remove", "array(C), C -> array(C)", Strict(REMOVE)),
    ("array_sort", "array(O) -> array(O)", Strict(SORT)),
    ("arrays_overlap", "array(C), array(C) -> boolean", Strict(OVERLAP)),
    ("cardinality", "array(E) -> bigint", Strict(CARDINALITY)),
    ("cardinality", "map(K, V) -> bigint", Strict(CARDINALITY)),
    ("combinations", "array(T), integer -> array(array(T))", Strict(COMBINATIONS)),
    ("contains", "array(C), C -> boolean", Strict(CONTAINS)),
    ("contains", "varchar, ipaddress -> boolean", Strict(CONTAINS_ADDRESS)),
    ("contains_sequence", "array(C), array(C) -> boolean", Strict(CONTAINS_SEQUENCE)),
    ("element_at", "array(E), bigint -> E", Strict(ELEMENT_AT)),
    ("current_groups", "-> array(varchar)", Nullable(|_, _| Ok(Value::Array(Vec::new())))),
    ("flatten", "array(array(E)) -> array(E)", Strict(FLATTEN)),
    ("ngrams", "array(T), bigint -> array(array(T))", Strict(NGRAMS)),
    ("repeat", "T, bigint -> array(T)", Nullable(REPEAT)),
    ("shuffle", "array(E) -> array(E)", Strict(SHUFFLE)),
    ("slice", "array(E), bigint, bigint -> array(E)", Strict(SLICE)),
    ("trim_array", "array(E), bigint -> array(E)", Strict(TRIM_ARRAY)),
    ("zip", "array(A), array(B) -> array(row(A, B))", Strict(ZIP)),
    ("zip", "array(A), array(B), array(D) -> array(row(A, B, D))", Strict(ZIP)),
    ("zip", "array(A), array(B), array(D), array(E) -> array(row(A, B, D, E))", Strict(ZIP)),
    ("zip", "array(A), array(B), array(D), array(E), array(F) -> array(row(A, B, D, E, F))", Strict(ZIP)),
    ("sequence", "bigint, bigint -> array(bigint)", Strict(SEQUENCE)),
    ("sequence", "bigint, bigint, bigint -> array(bigint)", Strict(SEQUENCE)),
    ("sequence", "date, date -> array(date)", Strict(SEQUENCE_TIMES)),
    ("sequence", "date, date, interval day to second -> array(date)", Strict(SEQUENCE_TIMES)),
    ("sequence", "date, date, interval year to month -> array(date)", Strict(SEQUENCE_TIMES)),
    ("sequence", "timestamp(p), timestamp(p), interval day to second -> array(timestamp(p))", Strict(SEQUENCE_TIMES)),
    ("sequence", "timestamp(p), timestamp(p), interval year to month -> array(timestamp(p))", Strict(SEQUENCE_TIMES)),
    (
        "sequence",
        "timestamp(p) with time zone, timestamp(p) with time zone, interval day to second -> array(timestamp(p) with time zone)",
        Strict(SEQUENCE_TIMES),
    ),
    (
        "sequence",
        "timestamp(p) with time zone, timestamp(p) with time zone, interval year to month -> array(timestamp(p) with time zone)",
        Strict(SEQUENCE_TIMES),
    ),
];
