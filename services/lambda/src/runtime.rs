//! Environments: the processes that functions run in. Started when needed, used again while warm, gone when idle.

mod api;
mod environment;
mod output;
mod templates;

pub(crate) use api::{Answer, MAX_RESPONSE_BYTES};
pub(crate) use environment::{Blueprint, Environment, Invocation, InvocationEnd, Keys, Kind};
pub(crate) use templates::{Forks, Templates};
