//! Trino's types, casts, operators and functions over Arrow arrays. Nothing here knows DataFusion or Athena.
//!
//! | module | what it owns |
//! |---|---|
//! | [`types`] | Trino's types, what is coerced to what, and how Arrow carries them |
//! | [`value`] | one value; reading and building arrays; order and equality |
//! | [`text`], [`parse`], [`zone`] | values as text and back; time zones |
//! | [`cast`], [`json`] | `CAST` |
//! | [`call`] | from a name and argument types to a function; running it over arrays |
//! | [`scalar`], [`aggregate`] | the functions |
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::many_single_char_names,
    clippy::similar_names,
    reason = "the arithmetic of SQL's types, each within its limits"
)]
#![expect(clippy::match_same_arms, reason = "tables of types and fields, one line for each")]
#![expect(clippy::needless_pass_by_value, reason = "functions that choose by types are all called alike")]

pub mod aggregate;
pub mod call;
pub mod cast;
pub mod clock;
mod columns;
mod error;
pub mod fold;
pub mod json;
mod json_path;
pub mod parse;
mod random;
pub mod scalar;
pub mod text;
pub mod types;
pub mod value;
pub mod zone;

pub use error::{Error, Result};
pub use types::Type;
pub use value::Value;
