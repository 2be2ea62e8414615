//! AWS's wire, without I/O: operation metadata, the schema that generated shapes carry, codecs for AWS's protocols
//! (awsJson 1.0/1.1, query, restJson), SigV4, errors, ids, ARNs and limits.
//!
//! Map: [`operation`] what an operation is · [`schema`] what its shapes are · [`types`] scalars of the shapes ·
//! [`reflect`] typed values to and from JSON values ·
//! [`codec`] bytes and JSON values to and from those shapes, a file per protocol · [`sigv4`] signing and checking ·
//! [`error`] one error type for every service · [`arn`] ARNs.
//!
//! Not here: sockets, clocks, chance, storage.

pub mod arn;
pub mod codec;
pub mod error;
pub mod operation;
pub mod reflect;
pub mod schema;
pub mod sigv4;
pub mod types;

pub use error::{Error, Fault};
pub use operation::{Operation, OperationSpec, Protocol, ServiceSpec};
pub use types::{Blob, Timestamp};
