//! Deterministic simulation: the shipped store, queue, engine and states code on one thread, with a seed.
//!
//! - [`generate`] makes random machines ([`model`]) and inputs; [`evaluate`] says how they may end.
//! - [`run`] takes a seed through a world: a [`disk`] that fails, a [`clock`] that only passes when nothing else can happen,
//!   [`workers`] that answer late, twice or never, crashes and restarts; and checks what must hold ([`oracle`]).
//! - [`jobs`] does the same for queries, crawls, job runs, transforms and stack operations.
//! - [`storage`] does the same for S3's objects and `DynamoDB`'s items.
//! - [`maps`], [`handover`] and [`families`] are scenes of Step Functions: one thing each that has to hold whatever crashes.
//! - [`bare`] drives `asl` alone, without store and engine: fast, for the language and the promise that the same events give the
//!   same commands.

pub mod bare;
pub mod chance;
mod client;
pub mod clock;
pub mod disk;
pub mod evaluate;
pub mod families;
pub mod generate;
pub mod handover;
pub mod jobs;
pub mod machines;
pub mod maps;
pub mod model;
pub mod oracle;
pub mod run;
mod scene;
pub mod storage;
pub mod workers;
mod world;
