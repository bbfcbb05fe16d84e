//! Which series have samples in which windows of time, so that a query looks only into those that have something there, and
//! a series that has nothing anywhere can be forgotten.

use crate::{ReadError, error::storage, read::number};
use roaring::RoaringTreemap;
use std::collections::BTreeMap;
use tandem_domain::Timestamp;

/// The numbers of the series of each window, by the window's first moment.
pub(crate) const PRESENCE: &str = "series_in_window";

/// The key of a window; keys sort as windows do.
pub(crate) fn key(window: i64) -> Vec<u8> {
    ((window as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// The window of a key.
pub(crate) fn window_of_key(key: &[u8]) -> Result<i64, ReadError> {
    Ok((number(key)? ^ (1 << 63)) as i64)
}

/// Windows with the series that have samples there, as far as they are in chunks.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    windows: BTreeMap<i64, RoaringTreemap>,
}

/// The numbers of series as bytes.
pub(crate) fn to_bytes(series: &RoaringTreemap) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(series.serialized_size());
    // Writing to memory cannot fail.
    let _ = series.serialize_into(&mut bytes);
    bytes
}

/// What [`to_bytes`] wrote.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<RoaringTreemap, ReadError> {
    RoaringTreemap::deserialize_from(bytes).map_err(storage)
}

impl Presence {
    /// Sets what is known of a window.
    pub(crate) fn set(&mut self, window: i64, series: RoaringTreemap) {
        self.windows.insert(window, series);
    }

    /// Adds to what is known of a window.
    pub(crate) fn add(&mut self, window: i64, series: &RoaringTreemap) {
        *self.windows.entry(window).or_default() |= series;
    }

    /// Forgets a window.
    pub(crate) fn drop_window(&mut self, window: i64) {
        self.windows.remove(&window);
    }

    /// The series that have something in the windows, each `length` milliseconds long, that meet a range.
    pub(crate) fn between(&self, start: Timestamp, end: Timestamp, length: i64) -> RoaringTreemap {
        let mut found = RoaringTreemap::new();
        if start <= end {
            // A window that begins this long before the range ends where the range begins.
            let windows = self.windows.range(start.0.saturating_sub(length)..=end.0);
            let meeting = windows.filter(|(window, _)| window.saturating_add(length) > start.0);
            meeting.for_each(|(_, series)| found |= series);
        }
        found
    }
}
