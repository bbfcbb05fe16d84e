//! Native histograms beside the floats: each lies in the table of its window from its commit on, under its series and moment,
//! and when the window is over those of a series are joined to pieces, in which each is told by the one before it.

mod codec;

use crate::{
    ReadError, ReadTx, Store, WriteError, WriteTx,
    error::storage,
    index::Kind,
    series::{WINDOW_MILLIS, window_of},
};
use roaring::RoaringTreemap;
use std::{collections::BTreeMap, ops::Bound};
use tandem_domain::{
    Timestamp,
    histogram::NativeHistogram,
    series::{HistogramBatch, SeriesId},
};

/// Histograms that lie alone.
const SINGLES: &str = "histograms/";
/// Histograms joined to pieces.
const PIECES: &str = "histogram_pieces/";
/// How long after its end a window is left alone, in milliseconds: senders that were cut off bring theirs late.
const REST_MILLIS: i64 = 3_600_000;
/// Histograms joined in one change, so that others do not wait long for the writer.
const MAX_JOINED: usize = 5_000;
/// Histograms in one piece: a query of an hour decodes no more than the two hours around it.
const MAX_IN_PIECE: usize = 500;

fn table(prefix: &str, window: i64) -> String {
    format!("{prefix}{window}")
}

/// Keys sort by series, then by moment.
fn key(series: SeriesId, at: i64) -> Vec<u8> {
    let mut key = series.0.to_be_bytes().to_vec();
    key.extend(((at as u64) ^ (1 << 63)).to_be_bytes());
    key
}

fn parts_of(key: &[u8]) -> Result<(SeriesId, i64), ReadError> {
    let whole = key.split_first_chunk::<8>().and_then(|(series, at)| Some((series, at.first_chunk::<8>()?)));
    let (series, at) = whole.ok_or_else(|| storage("the key of a histogram has the wrong length"))?;
    Ok((SeriesId(u64::from_be_bytes(*series)), (u64::from_be_bytes(*at) ^ (1 << 63)) as i64))
}

fn between(series: SeriesId, start: i64, end: i64) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (Bound::Included(key(series, start)), Bound::Included(key(series, end)))
}

impl WriteTx<'_> {
    /// Appends native histograms; they are readable after the commit. Of two of one series and moment the later one counts.
    ///
    /// # Errors
    /// When the columns differ in length, or as [`WriteTx::get`].
    pub fn append_histograms(&mut self, batch: &HistogramBatch) -> Result<(), WriteError> {
        if batch.at.len() != batch.series.len() || batch.histogram.len() != batch.series.len() {
            return Err(WriteError::Refused("the columns of a batch of histograms differ in length".into()));
        }
        let living = self.with_living_histograms(batch)?;
        let batch = living.as_ref().unwrap_or(batch);
        if batch.is_empty() {
            return Ok(());
        }
        let mut present: BTreeMap<i64, RoaringTreemap> = BTreeMap::new();
        for ((series, at), histogram) in batch.series.iter().zip(&batch.at).zip(&batch.histogram) {
            let window = window_of(at.0);
            let mut bytes = Vec::new();
            codec::encode(&mut bytes, histogram, None);
            self.raw_put(&table(SINGLES, window), key(*series, at.0), Some(bytes));
            present.entry(window).or_default().insert(series.0);
        }
        present.into_iter().try_for_each(|(window, series)| self.note_presence(Kind::Histograms, window, series))?;
        self.note_histograms(batch.series.iter().copied().zip(batch.at.iter().copied()).collect())
    }
}

impl ReadTx {
    /// Native histograms of a series from `start` to `end`, both included, by rising moments. One whose sum is Prometheus'
    /// stale marker ends the series.
    ///
    /// # Errors
    /// As [`ReadTx::get`].
    pub fn histograms(
        &self,
        series: SeriesId,
        start: Timestamp,
        end: Timestamp,
    ) -> Result<Vec<(Timestamp, NativeHistogram)>, ReadError> {
        let windows = self.index.read().presence(Kind::Histograms).windows_of(series, start, end, WINDOW_MILLIS);
        let mut found: BTreeMap<i64, NativeHistogram> = BTreeMap::new();
        for window in windows {
            let pieces =
                self.raw_range(&table(PIECES, window), &between(series, i64::MIN, i64::MAX), usize::MAX, false)?;
            for (_, bytes) in pieces {
                found.extend(codec::decode_chunk(&bytes).map_err(storage)?);
            }
            // What lies alone came later.
            let singles =
                self.raw_range(&table(SINGLES, window), &between(series, start.0, end.0), usize::MAX, false)?;
            for (key, bytes) in singles {
                let histogram = codec::decode(&mut bytes.as_slice(), None).map_err(storage)?;
                found.insert(parts_of(&key)?.1, histogram);
            }
        }
        let index = self.index.read();
        let deleted = index.buried(series);
        let is_deleted = |at: i64| deleted.is_some_and(|stretches| stretches.contains(at));
        let inside = found.into_iter().filter(|(at, _)| start.0 <= *at && *at <= end.0 && !is_deleted(*at));
        Ok(inside.map(|(at, histogram)| (Timestamp(at), histogram)).collect())
    }
}

impl ReadTx {
    /// Whether there may be native histograms of a series from `start` to `end`, by windows of two hours.
    pub fn has_histograms(&self, series: SeriesId, start: Timestamp, end: Timestamp) -> bool {
        !self.index.read().presence(Kind::Histograms).windows_of(series, start, end, WINDOW_MILLIS).is_empty()
    }
}

/// What is to be written of a window: pieces, and the entries that they take the place of.
#[derive(Default)]
struct Joined {
    pieces: Vec<(Vec<u8>, Vec<u8>)>,
    singles: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Joins the first of a window's histograms that lie alone.
fn join(read: &ReadTx, window: i64) -> Result<Joined, ReadError> {
    let singles = read.raw_range(&table(SINGLES, window), &(Bound::Unbounded, Bound::Unbounded), MAX_JOINED, false)?;
    let mut of_series: BTreeMap<SeriesId, Vec<(i64, NativeHistogram)>> = BTreeMap::new();
    for (key, bytes) in &singles {
        let (series, at) = parts_of(key)?;
        let histogram = codec::decode(&mut bytes.as_slice(), None).map_err(storage)?;
        of_series.entry(series).or_default().push((at, histogram));
    }
    let mut joined = Joined { singles, ..Joined::default() };
    for (series, histograms) in of_series {
        let all = between(series, i64::MIN, i64::MAX);
        let last = read.raw_range(&table(PIECES, window), &all, 1, true)?;
        let next = last.first().map_or(Ok(0), |(key, _)| parts_of(key).map(|(_, number)| number + 1))?;
        for (number, piece) in (next..).zip(histograms.chunks(MAX_IN_PIECE)) {
            joined.pieces.push((key(series, number), codec::encode_chunk(piece)));
        }
    }
    Ok(joined)
}

impl WriteTx<'_> {
    /// Puts pieces in the place of what they were made of; what was written anew since stays beside them and counts.
    fn write_joined(&mut self, window: i64, joined: Joined) -> Result<(), WriteError> {
        let (pieces, singles) = (table(PIECES, window), table(SINGLES, window));
        joined.pieces.into_iter().for_each(|(key, bytes)| self.raw_put(&pieces, key, Some(bytes)));
        for (key, bytes) in joined.singles {
            if self.raw_get(&singles, &key)?.is_some_and(|now| now == bytes) {
                self.raw_put(&singles, key, None);
            }
        }
        Ok(())
    }

    fn drop_histograms(&mut self, window: i64) -> Result<(), WriteError> {
        self.drop_table(&table(SINGLES, window))?;
        self.drop_table(&table(PIECES, window))?;
        self.drop_presence(Kind::Histograms, window);
        Ok(())
    }
}

/// One pass of upkeep: drops windows that are too old, and joins what lies alone in one that is over.
pub(crate) async fn maintain(store: &Store, now: Timestamp, oldest_kept: Timestamp) -> Result<(), WriteError> {
    let windows = store.index().read().presence(Kind::Histograms).windows();
    let over_by = |window: i64, moment: Timestamp| window.saturating_add(WINDOW_MILLIS) < moment.0;
    let old: Vec<i64> = windows.iter().copied().filter(|window| over_by(*window, oldest_kept)).collect();
    if !old.is_empty() {
        store.write(move |tx| old.iter().try_for_each(|window| tx.drop_histograms(*window))).await?;
    }
    let over = windows
        .into_iter()
        .filter(|window| !over_by(*window, oldest_kept) && over_by(*window, now.plus_millis(-REST_MILLIS)));
    for window in over {
        let of_store = store.clone();
        let work = tokio::task::spawn_blocking(move || join(&of_store.read()?, window));
        let joined = work.await.map_err(|error| WriteError::Panicked(error.to_string()))??;
        if !joined.singles.is_empty() {
            return store.write(move |tx| tx.write_joined(window, joined)).await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
