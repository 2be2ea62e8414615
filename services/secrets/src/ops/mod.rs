//! The operations, a file per resource.

mod labels;
mod parameters;
mod password;
mod policies;
mod secrets;
mod stages;
