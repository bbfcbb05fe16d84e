//! Compressed chunks, in one table per time window: a flush writes in time order, and retention drops whole tables.

use super::codec;
use crate::{ReadError, ReadTx, TableKey, error::storage};
use std::ops::Bound;
use tandem_domain::{Timestamp, series::SeriesId};

/// Length of a window, in milliseconds: two hours.
pub(crate) const WINDOW_MILLIS: i64 = 2 * 3_600_000;
const PREFIX: &str = "chunks/";

/// The window a moment lies in, by its first moment.
pub(crate) fn window_of(at: i64) -> i64 {
    at.div_euclid(WINDOW_MILLIS).saturating_mul(WINDOW_MILLIS)
}

/// The table of a window.
pub(crate) fn table_of(window: i64) -> String {
    format!("{PREFIX}{window}")
}

/// The window of a table, if it is one of chunks.
pub(crate) fn window_of_table(name: &str) -> Option<i64> {
    name.strip_prefix(PREFIX)?.parse().ok()
}

/// The key of a chunk: its series, then the flush that wrote it.
pub(crate) fn key(series: SeriesId, flush: u64) -> Vec<u8> {
    (series.0, flush).to_bytes()
}

/// Samples of a series from `start` to `end`, in the order of the flushes that wrote them.
pub(crate) fn read(
    read: &ReadTx,
    series: SeriesId,
    start: Timestamp,
    end: Timestamp,
) -> Result<Vec<(Timestamp, f64)>, ReadError> {
    let names = read.table_names()?;
    let mut windows: Vec<i64> = names.iter().filter_map(|name| window_of_table(name)).collect();
    windows.retain(|window| *window <= end.0 && start.0 < window.saturating_add(WINDOW_MILLIS));
    windows.sort_unstable();
    let mut samples = Vec::new();
    for window in windows {
        let bounds = (Bound::Included(key(series, 0)), Bound::Included(key(series, u64::MAX)));
        for (_, bytes) in read.raw_range(&table_of(window), &bounds, usize::MAX, false)? {
            let (_, at, value) = codec::decode_chunk(&bytes).map_err(storage)?;
            let inside = at.into_iter().zip(value).map(|(at, value)| (Timestamp(at), value));
            samples.extend(inside.filter(|(at, _)| start <= *at && *at <= end));
        }
    }
    Ok(samples)
}
