//! The operations.

mod images;
mod policies;
mod repositories;
mod tags;
