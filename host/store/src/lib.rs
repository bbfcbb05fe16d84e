//! The system's memory: one redb file, and beside it the write-ahead log of samples. State tables, append-only logs, the
//! time-series engine, and lines of logs, all written in group commits by one writer thread and read from MVCC snapshots. It
//! knows no record's meaning.

mod disk;
mod envelope;
mod error;
mod exemplars;
mod file;
mod histograms;
mod index;
mod key;
mod leaves;
mod limits;
mod logs;
mod packing;
mod read;
mod registry;
mod removal;
mod series;
mod store;
pub mod testing;
mod varint;
mod wal;
mod write;
mod writer;

pub use disk::Disk;
pub use error::{OpenError, ReadError, WriteError};
pub use exemplars::ExemplarsAppended;
pub use index::{IndexStatistics, LabelFilter, LabelMatcher, LabelTest, METRIC_NAME, Pattern, TimeRange, TopEntry};
pub use key::TableKey;
pub use limits::{SeriesLimits, SeriesRefusal};
pub use logs::{LogBatch, LogPage, LogQuery, LogRetention, LogText, LogsKept};
pub use read::{BlocksKept, ReadTx};
pub use registry::NewSeries;
pub use series::Appended;
pub use store::{Store, StoreMetrics, StoreOptions};
pub use write::WriteTx;
