//! Errors of the store, one enum per operation. Each says what to do.

use std::path::PathBuf;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another process: stop the other server, or give this one its own data folder", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A newer Tandem wrote it.
    #[error("{} has format {found}, written by a newer Tandem; this one knows formats up to {known}: use the newer one, or another data folder", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format known here.
        known: u64,
    },
    /// It is not a store of Tandem's.
    #[error("{} is not a store of Tandem's ({what}): give another data folder; the file was left as it is", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// The folder or the file cannot be used.
    #[error("{} cannot be opened: {what}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

/// Why something could not be read.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ReadError {
    /// A record is not what its table says.
    #[error("a record of {table} cannot be read: {what}")]
    Damaged {
        /// The table or log.
        table: String,
        /// Why.
        what: String,
    },
    /// The file cannot be read.
    #[error("the store cannot be read: {0}")]
    Storage(String),
}

/// Why nothing was kept of a write.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// Reading before writing failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The record cannot be written down.
    #[error("a record of {table} cannot be written down: {what}")]
    Unwritable {
        /// The table or log.
        table: String,
        /// Why.
        what: String,
    },
    /// The change refused itself.
    #[error("{0}")]
    Refused(String),
    /// The change panicked; the store is unharmed.
    #[error("the change failed by a fault of its own: {0}")]
    Panicked(String),
    /// The file could not be written; nothing of the change is in it.
    #[error("the store could not be written: {0}; nothing of this change was kept, and it can be tried again")]
    Storage(String),
    /// There is no room for samples until what is in memory is in blocks.
    #[error(
        "samples come faster than they are written; nothing of this change was kept, and it can be tried again in some seconds"
    )]
    Crowded,
    /// The store is shutting down.
    #[error("the store is closed")]
    Closed,
}

pub(crate) fn storage(error: impl std::fmt::Display) -> ReadError {
    ReadError::Storage(error.to_string())
}

pub(crate) fn write_storage(error: impl std::fmt::Display) -> WriteError {
    WriteError::Storage(error.to_string())
}
