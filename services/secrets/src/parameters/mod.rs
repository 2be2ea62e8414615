//! What parameters are besides their values: policies that end or watch them, the events of both, and AWS's public ones.

mod events;
pub(crate) mod policies;
pub(crate) mod public;

pub(crate) use events::{Change, TELL, changed, send};
