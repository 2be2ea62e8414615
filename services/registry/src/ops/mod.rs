//! The operations.

mod authorization;
mod images;
mod policies;
mod repositories;
mod tags;
