//! Other people's formats, to and from domain types. Pure: bytes in, values out, no IO.

pub mod alertmanager;
pub mod classic;
pub mod compressed;
mod described;
pub mod exposition;
pub mod families;
pub mod influx;
pub mod limits;
pub mod log_entry;
pub mod otlp;
pub mod parquet;
pub mod prediction;
mod protobuf;
pub mod rejected;
pub mod relabel;
pub mod remote_write;
pub mod rule_file;
pub mod series_key;
#[cfg(test)]
mod shared_data;

pub use tandem_domain::series::split_target;
pub mod statsd;
pub mod syslog;
pub mod target_list;
