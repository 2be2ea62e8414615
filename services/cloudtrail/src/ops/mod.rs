//! The operations.

mod events;
mod logging;
mod selectors;
mod tags;
mod trails;
