//! The operations, a file per resource.

mod parameters;
mod password;
mod secrets;
