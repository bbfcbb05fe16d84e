//! The protobuf wire format, read without copying and written without reflection.
//!
//! The hot formats (remote write) are read field by field over the borrowed body, which a generated decoder that builds owned
//! messages cannot match; the cold ones (OTLP) use the same reader, so that one place bounds what hostile bytes can do.
//! Format: the "Encoding" page of the Protocol Buffers documentation.

mod reader;
mod writer;

pub(crate) use reader::{Field, Malformed, Reader, zigzag};
pub(crate) use writer::{Writer, zigzagged};
