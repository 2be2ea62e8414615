//! What can go wrong with storage, named for what the caller can do.

/// An error of storage.
#[derive(Debug, thiserror::Error, Clone)]
pub enum Error {
    /// The disk or the database refused; the transaction did not happen. The boundary logs it and answers `InternalFailure`.
    #[error("storage: {0}")]
    Storage(String),
    /// A record does not decode: it was written by another version or the disk is damaged.
    #[error("record {key}: {cause}")]
    Corrupt { key: String, cause: String },
    /// Another server holds the data folder, or the folder was written by a newer version.
    #[error("{0}")]
    Unusable(String),
    /// The attempt of a job that writes has ended: nothing of it may come any more.
    #[error("the attempt has ended")]
    Ended,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(e: rusqlite::Error) -> Self {
        Self::Storage(e.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(e: std::io::Error) -> Self {
        Self::Storage(e.to_string())
    }
}

impl From<Error> for wire::Error {
    fn from(e: Error) -> Self {
        match e {
            Error::Ended => {
                Self::new("ExpiredTokenException", 403, "The security token included in the request is expired")
            }
            e => Self::internal(e),
        }
    }
}
