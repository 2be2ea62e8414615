//! KMS's operations, a file per subject.

mod aliases;
mod crypto;
mod grants;
mod keys;
mod page;
mod pairs;
mod rotation;
