//! Calls of other people's HTTP endpoints, for whoever makes them (HTTP Tasks, subscriptions, API destinations).
//!
//! Map: [`Door`] the client, and which addresses it may call · [`exchange`] one request and its answer · [`connection`] credentials that an
//! EventBridge connection adds to a call · [`form`] values as `application/x-www-form-urlencoded` · [`pace`] how fast, and how many at once · [`pinned`] servers that are
//! known by their certificates.
//!
//! Not here: what is sent, and what an answer means to whom.

pub mod connection;
mod door;
pub mod exchange;
pub mod form;
pub mod pace;
mod pinned;

pub use connection::{Additions, Connection, Tokens};
pub use door::{Door, Refused, told};
pub use exchange::{Failed, Received, Request};
pub use pace::{Pace, TooLate};
