//! Pipes' operations.

mod pipes;
mod tags;
