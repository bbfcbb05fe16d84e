//! Samples of chosen series and a stretch of time as a Parquet file, made piece for piece: a part of one series is in memory
//! and a row group, however much there is. Pieces are read from snapshots of their own, since a long reader pins freed pages;
//! what comes after the end that was asked for is not in the file anyway.

use std::collections::BTreeSet;
use tandem_domain::{Timestamp, series::SeriesId};
use tandem_query::{Matcher, label_filter};
use tandem_store::{ReadError, Store};
use tandem_wire::parquet::samples::{SamplesFile, SamplesFileError};

/// Series read from one snapshot.
const SERIES_PER_SNAPSHOT: usize = 100;
/// The stretch of one series that is read at once, in milliseconds: a day at one second is 86,400 points.
const PART_MILLIS: i64 = 86_400_000;

/// Why an export could not go on.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error("reading the store: {0}")]
    Read(#[from] ReadError),
    /// The file could not be made.
    #[error(transparent)]
    File(#[from] SamplesFileError),
}

/// Which series of a store.
#[derive(Clone)]
pub struct Chosen {
    store: Store,
    series: Vec<SeriesId>,
    label_names: BTreeSet<String>,
}

impl Chosen {
    /// Those that fit one of the sets of matchers; all where there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn new(store: Store, selectors: &[Vec<Matcher>]) -> Result<Self, ReadError> {
        let read = store.read()?;
        let filter = label_filter(selectors, None);
        let series = read.select_series(&filter);
        let label_names = read.label_names(&filter).into_iter().collect();
        drop(read);
        Ok(Self { store, series, label_names })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// Their samples from `start` to `end`, both included, as a file.
    ///
    /// # Errors
    /// When the series have too many label names, or the store cannot be read.
    pub fn export(&self, start: Timestamp, end: Timestamp) -> Result<Export, ExportError> {
        let has_histograms = {
            let read = self.store.read()?;
            self.series.iter().any(|id| read.has_histograms(*id, start, end))
        };
        let file = Some(SamplesFile::new(&self.label_names, has_histograms)?);
        Ok(Export { chosen: self.clone(), start, end, next: 0, file, samples: 0 })
    }
}

/// A file that is being made.
pub struct Export {
    chosen: Chosen,
    start: Timestamp,
    end: Timestamp,
    next: usize,
    file: Option<SamplesFile>,
    samples: u64,
}

impl Export {
    /// Samples written so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The next piece of the file; none after its end. Blocks: it reads the store and compresses.
    ///
    /// # Errors
    /// When the store cannot be read; the file is of no use then.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        while let Some(mut file) = self.file.take() {
            if self.next >= self.chosen.series.len() {
                return Ok(Some(file.finish()?));
            }
            self.write_some(&mut file)?;
            let piece = file.take()?;
            self.file = Some(file);
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
        Ok(None)
    }

    fn write_some(&mut self, file: &mut SamplesFile) -> Result<(), ExportError> {
        let read = self.chosen.store.read()?;
        let until = (self.next + SERIES_PER_SNAPSHOT).min(self.chosen.series.len());
        for id in &self.chosen.series[self.next..until] {
            // It may have been deleted meanwhile.
            let Some(labels) = read.series_labels(*id) else { continue };
            let mut from = self.start;
            while from <= self.end {
                let part_end = from.plus_millis(PART_MILLIS - 1).min(self.end);
                let points = read.points(*id, from, part_end)?;
                file.push(&labels, &points.at, &points.value)?;
                let histograms = read.histograms(*id, from, part_end)?;
                file.push_histograms(&labels, &histograms)?;
                self.samples += (points.at.len() + histograms.len()) as u64;
                if part_end == self.end {
                    break;
                }
                from = part_end.plus_millis(1);
            }
        }
        self.next = until;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::{
        histogram::{Buckets, NativeHistogram, ResetHint, Span},
        series::{HistogramBatch, MetricType, SampleBatch, SeriesDescription},
        target::TargetKey,
    };
    use tandem_store::StoreOptions;

    async fn filled(folder: &std::path::Path, series: usize, steps: i64) -> Store {
        let store = Store::open(folder, StoreOptions::default()).expect("a store");
        let fill = move |tx: &mut tandem_store::WriteTx<'_>| {
            let mut batch = SampleBatch::default();
            for number in 0..series {
                let target = TargetKey { job: "node".into(), instance: format!("h{number}:1") };
                let description = SeriesDescription {
                    metric: if number % 2 == 0 { "load".into() } else { "heat".into() },
                    metric_type: MetricType::Gauge,
                    unit: String::new(),
                    labels: Default::default(),
                };
                let id = tx.register_series(&target, &description)?;
                (0..steps)
                    .for_each(|step| batch.push(id, Timestamp(step * 3_600_000), number as f64 + step as f64 / 8.0));
            }
            tx.append_samples(&batch)
        };
        store.write(fill).await.expect("filled");
        store
    }

    #[tokio::test]
    async fn native_histograms_are_rows_of_their_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 2, 10).await;
        let id = store.read().expect("read").select_series(&tandem_query::label_filter(&[], None))[1];
        let whole = NativeHistogram {
            schema: 0,
            zero_threshold: 0.0,
            zero_count: 0.0,
            count: 4.0,
            sum: 5.0,
            positive: Buckets { spans: vec![Span { offset: 0, length: 1 }], counts: vec![4.0] },
            negative: Buckets::default(),
            custom_bounds: Vec::new(),
            reset: ResetHint::Unknown,
            whole: true,
        };
        let mut batch = HistogramBatch::default();
        (0..10).for_each(|step| batch.push(id, Timestamp(step * 3_600_000 + 1), whole.clone()));
        store.write(move |tx| tx.append_histograms(&batch)).await.expect("appended");
        let chosen = Chosen::new(store, &[]).expect("chosen");
        for (end, rows, columns) in [(9, 29, 3 + 2 + 5), (-1, 0, 3 + 2)] {
            let mut export = chosen.export(Timestamp(0), Timestamp(end * 3_600_000)).expect("begun");
            let mut bytes = Vec::new();
            while let Some(piece) = export.next_piece().expect("a piece") {
                bytes.extend(piece);
            }
            // That of the tenth hour is a millisecond beyond the end.
            assert_eq!(export.samples(), rows);
            let table = tandem_wire::parquet::read(bytes.into()).expect("a file");
            assert_eq!(table.columns.len(), columns);
            if rows > 0 {
                assert_eq!(table.nested, ["histogram_lower", "histogram_upper", "histogram_bucket"]);
                let column = |name: &str| &table.columns.iter().find(|(known, _)| known == name).expect("there").1;
                let sums = column("histogram_sum").iter().filter(|sum| *sum == "5").count();
                assert_eq!((sums, column("value").iter().filter(|value| value.is_empty()).count()), (9, 9));
            }
        }
    }

    #[tokio::test]
    async fn chosen_series_and_times_are_in_the_file_from_head_and_chunks() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = filled(folder.path(), 250, 100).await;
        store.maintain(Timestamp(100 * 3_600_000)).await.expect("flushed");
        let selector = tandem_query::selector(r#"load{job="node"}"#).expect("a selector");
        let chosen = Chosen::new(store, &[selector]).expect("chosen");
        assert_eq!(chosen.len(), 125);
        let mut export = chosen.export(Timestamp(10 * 3_600_000), Timestamp(89 * 3_600_000)).expect("begun");
        let mut bytes = Vec::new();
        while let Some(piece) = export.next_piece().expect("a piece") {
            bytes.extend(piece);
        }
        assert_eq!(export.samples(), 125 * 80);
        let table = tandem_wire::parquet::read(bytes.into()).expect("a file");
        let column = |name: &str| &table.columns.iter().find(|(known, _)| known == name).expect("there").1;
        assert_eq!(table.columns.len(), 5, "three labels, timestamp and value");
        assert!(column("__name__").iter().all(|name| name == "load"));
        let last = column("timestamp").len() - 1;
        assert_eq!((column("instance")[last].as_str(), column("value")[last].as_str()), ("h248:1", "259.125"));
        assert_eq!(column("timestamp")[last], (89_i64 * 3_600_000).to_string());
    }
}
