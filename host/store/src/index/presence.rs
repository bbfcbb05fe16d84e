//! Which series have samples in which windows of time, so that a query looks only into those that have something there, and
//! a series that has nothing anywhere can be forgotten.

use crate::{ReadError, error::storage, read::number};
use roaring::RoaringTreemap;
use std::collections::BTreeMap;
use tandem_domain::{Timestamp, series::SeriesId};

/// Of what there is something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Floats, as far as they are in blocks.
    Floats,
    /// Native histograms.
    Histograms,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Floats, Self::Histograms];

    /// The table with the numbers of the series of each window, by the window's first moment.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Floats => "series_in_window",
            Self::Histograms => "histograms_in_window",
        }
    }
}

/// The key of a window; keys sort as windows do.
pub(crate) fn key(window: i64) -> Vec<u8> {
    ((window as u64) ^ (1 << 63)).to_be_bytes().to_vec()
}

/// The window of a key.
pub(crate) fn window_of_key(key: &[u8]) -> Result<i64, ReadError> {
    Ok((number(key)? ^ (1 << 63)) as i64)
}

/// Windows with the series that have something there.
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

    /// Whether all of these are known to have something in a window.
    pub(crate) fn has_all(&self, window: i64, series: &RoaringTreemap) -> bool {
        self.windows.get(&window).is_some_and(|known| series.is_subset(known))
    }

    /// The windows, oldest first.
    pub(crate) fn windows(&self) -> Vec<i64> {
        self.windows.keys().copied().collect()
    }

    /// The windows in which a series has something and which meet a range, oldest first.
    pub(crate) fn windows_of(&self, series: SeriesId, start: Timestamp, end: Timestamp, length: i64) -> Vec<i64> {
        let meeting = self.meeting(start, end, length).filter(|(_, known)| known.contains(series.0));
        meeting.map(|(window, _)| window).collect()
    }

    fn meeting(&self, start: Timestamp, end: Timestamp, length: i64) -> impl Iterator<Item = (i64, &RoaringTreemap)> {
        // A window that begins this long before the range ends where the range begins.
        let range = (start <= end).then(|| self.windows.range(start.0.saturating_sub(length)..=end.0));
        let meeting = range.into_iter().flatten().filter(move |(window, _)| window.saturating_add(length) > start.0);
        meeting.map(|(window, series)| (*window, series))
    }

    /// Forgets series everywhere.
    pub(crate) fn forget(&mut self, series: &RoaringTreemap) {
        self.windows.values_mut().for_each(|window| *window -= series);
    }

    /// Forgets a window.
    pub(crate) fn drop_window(&mut self, window: i64) {
        self.windows.remove(&window);
    }

    /// The series that have something in the windows, each `length` milliseconds long, that meet a range.
    pub(crate) fn between(&self, start: Timestamp, end: Timestamp, length: i64) -> RoaringTreemap {
        let mut found = RoaringTreemap::new();
        self.meeting(start, end, length).for_each(|(_, series)| found |= series);
        found
    }
}
