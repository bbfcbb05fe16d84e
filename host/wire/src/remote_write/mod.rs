//! Prometheus remote write, 1.0 (`prometheus.WriteRequest`) and 2.0 (`io.prometheus.write.v2.Request`), in and out.
//!
//! A body becomes columns ([`WriteBody`]): all its moments, all its values, and one row per series that says which part of
//! them is its own. A row holds a key over its labels; labels are decoded and checked only when the caller meets a key for
//! the first time ([`WriteBody::describe`]), which is what makes the common case cheap. A series that cannot be used costs
//! itself and is counted with its reason; only a body that is no message at all is refused.
//!
//! Specifications: "Prometheus Remote-Write 1.0" and "2.0".

mod body;
mod decode;
mod encode;
mod histogram;
mod negotiate;
#[cfg(test)]
mod tests;

pub use body::{Exemplar, Metadata, SeriesRow, WriteBody};
pub use decode::{decode, open};
pub use encode::{OutgoingSeries, encode, encode_metadata};
pub use negotiate::{Protocol, Unsupported, Written};

use crate::compressed::CompressionError;

/// The bits of the NaN by which Prometheus marks the end of a series.
pub const STALE_NAN: u64 = 0x7ff0_0000_0000_0002;

/// The body is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// Its compression: damaged (400) or too long (413).
    #[error(transparent)]
    Compression(#[from] CompressionError),
    /// It is no message of the negotiated protocol (400).
    #[error("the body is no {protocol} message: {reason}")]
    NoMessage {
        /// The protobuf name.
        protocol: &'static str,
        /// What is wrong.
        reason: String,
    },
}
