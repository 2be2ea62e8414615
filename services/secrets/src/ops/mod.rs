//! The operations, a file per resource.

mod batch;
mod labels;
pub(crate) mod parameters;
mod password;
mod policies;
mod rotation;
mod secrets;
mod stages;
