//! Objects that are read a piece at a time, however their bytes are cut: unpacked ([`Unpack`]), and parted into lines ([`Lines`]) and
//! rows of delimited text ([`Delimited`]). Nothing here is ever whole in memory but the line or row at hand.

mod delimited;
mod lines;
mod unpack;

pub use csv_core::{ReaderBuilder, Terminator};
pub use delimited::Delimited;
pub use lines::Lines;
pub use unpack::{Packing, Unpack};
