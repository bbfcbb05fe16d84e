//! What the store keeps: records under a key, and records in the order they happened.
//!
//! A record names its own table, so that a room that writes it and a room that only reads it agree without knowing each
//! other (see `docs/adr/0002-records-name-their-tables.md`). The store knows these two traits and no record's meaning.

use serde::{Serialize, de::DeserializeOwned};

/// A record of a state table: the newest value under each key.
pub trait Record: Serialize + DeserializeOwned + Send + 'static {
    /// The table's name on disk; never reused for another type.
    const TABLE: &'static str;
    /// Raised when an older body can no longer be read by this type; goes with a migration in the store.
    const VERSION: u16;
    /// Whether records that lie next to each other share a row on disk: for types of which there are several for each series or
    /// entity, each some hundred bytes long, that are mostly written many at a time. A record that is written by itself again
    /// and again does better alone, since its neighbours would be written with it. Goes with a migration in the store.
    const IN_LEAVES: bool = false;
    /// One of the key types that the store can order: `String`, `u64`, or a pair of such.
    type Key;
    /// The key this record lies under.
    fn key(&self) -> Self::Key;
}

/// A record of an append-only log, known by the sequence number the store gives it.
pub trait LogRecord: Serialize + DeserializeOwned + Send + 'static {
    /// The log's name on disk; never reused for another type.
    const LOG: &'static str;
    /// As [`Record::VERSION`].
    const VERSION: u16;
}
