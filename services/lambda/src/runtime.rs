//! Environments: the processes that functions run in. Started when needed, used again while warm, gone when idle. They run here or on
//! another node ([`remote`]), whose side is [`host`].

mod api;
mod environment;
mod host;
mod output;
mod placed;
mod remote;
mod templates;

pub(crate) use api::{Answer, MAX_RESPONSE_BYTES};
pub(crate) use environment::{Blueprint, Invocation, InvocationEnd, Keys, Kind, STORAGE_MB};
pub use host::Host;
pub(crate) use placed::{Environment, Means};
pub(crate) use templates::{Forks, Templates};
