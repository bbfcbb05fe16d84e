//! What a part of a round is as a message: its samples by series, with the native histograms that are looked up for it.

use crate::{
    outgoing::{Outgoing, Remembered},
    round::{Value, Waiting},
};
use tandem_domain::{Timestamp, histogram::NativeHistogram, series::MetricType};
use tandem_store::{ReadError, ReadTx, Store};
use tandem_wire::remote_write::{Metadata, OutgoingSeries};

/// A request's series, and how much they hold.
pub(crate) struct Made<'r> {
    pub series: Vec<OutgoingSeries<'r>>,
    /// Floats and native histograms in them; fewer than were to be sent where some were deleted meanwhile.
    pub samples: usize,
}

/// Samples of a part as series of a message; those of one series lie together.
pub(crate) fn series<'r>(part: &[Waiting], remembered: &'r Remembered, store: &Store) -> Result<Made<'r>, ReadError> {
    let has_histograms = part.iter().any(|waiting| matches!(waiting.value, Value::Histogram));
    let read = if has_histograms { Some(store.read()?) } else { None };
    let mut made = Made { series: Vec::new(), samples: 0 };
    for waiting in part.chunk_by(|a, b| a.series == b.series) {
        let Some(outgoing) = remembered.sent(waiting[0].series) else { continue };
        let samples: Vec<(Timestamp, f64)> = waiting
            .iter()
            .filter_map(|one| match one.value {
                Value::Float(value) => Some((one.at, value)),
                Value::Histogram => None,
            })
            .collect();
        let histograms = read.as_ref().map_or(Ok(Vec::new()), |read| histograms(read, waiting))?;
        made.samples += samples.len() + histograms.len();
        made.series.push(OutgoingSeries {
            labels: outgoing.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
            samples,
            histograms,
            metadata: inline(outgoing),
            ..OutgoingSeries::default()
        });
    }
    made.series.retain(|one| !(one.samples.is_empty() && one.histograms.is_empty()));
    Ok(made)
}

/// The native histograms of one series that wait, in the order of their arrival, each once.
fn histograms(read: &ReadTx, waiting: &[Waiting]) -> Result<Vec<(Timestamp, NativeHistogram)>, ReadError> {
    let wanted: Vec<Timestamp> =
        waiting.iter().filter(|one| matches!(one.value, Value::Histogram)).map(|one| one.at).collect();
    let (Some(first), Some(last)) = (wanted.iter().min(), wanted.iter().max()) else { return Ok(Vec::new()) };
    let found = read.histograms(waiting[0].series, *first, *last)?;
    let of = |at: &Timestamp| found.binary_search_by_key(at, |(at, _)| *at).ok().map(|place| found[place].clone());
    Ok(wanted.iter().filter_map(of).collect())
}

/// What 2.0 tells with the series. Without a family 1.0 leaves it out: it has requests of its own for it.
fn inline(outgoing: &Outgoing) -> Option<Metadata<'_>> {
    let told = outgoing.metric_type != MetricType::Unknown || !outgoing.unit.is_empty();
    told.then_some(Metadata { family: "", metric_type: outgoing.metric_type, help: "", unit: &outgoing.unit })
}
