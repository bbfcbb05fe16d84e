//! Other people's formats, to and from domain types. Pure: bytes in, values out, no IO.

pub mod exposition;
pub mod parquet;
pub mod prediction;
