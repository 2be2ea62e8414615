//! The scalar functions: tables of signatures by theme, and what no signature can say in [`operator`] and [`special`].

mod array;
mod binary;
mod datetime;
mod datetime_format;
mod format;
mod json;
mod json_standard;
mod map;
mod math;
pub mod operator;
mod regexp;
mod special;
mod stats;
mod string;
mod url;

use crate::call::{Argument, Call, Kernel};
use crate::error::Result;

pub use json_standard::JSON_STANDARD;
pub use map::build as map_of;
pub(crate) use operator::quotient_half_up;
pub use regexp::matches;
pub use special::EXTRACTED;

/// A function: name, signature, kernel.
pub type Row = (&'static str, &'static str, Kernel);

/// All tables.
pub fn tables() -> [&'static [Row]; 11] {
    [
        array::TABLE,
        binary::TABLE,
        datetime::TABLE,
        datetime_format::TABLE,
        json::TABLE,
        map::TABLE,
        math::TABLE,
        regexp::TABLE,
        stats::TABLE,
        string::TABLE,
        url::TABLE,
    ]
}

/// Functions whose types no signature says.
pub const SPECIAL: &[&str] = &[
    "ceiling",
    "coalesce",
    "concat",
    "format",
    "greatest",
    "if",
    "least",
    "mod",
    "nullif",
    "replace",
    "row",
    "typeof",
    "url_encode",
];

pub fn is_special(name: &str) -> bool {
    name.starts_with('$') || SPECIAL.contains(&name)
}

/// Operators and the functions of [`SPECIAL`].
pub fn special(name: &str, arguments: &[Argument]) -> Option<Result<Call>> {
    operator::resolve(name, arguments)
        .or_else(|| special::resolve(name, arguments))
        .or_else(|| json_standard::resolve(name, arguments))
}
