//! Prometheus' remote write, 1.0 and 2.0.

use super::{
    SentError, SentReceiver,
    series::{Body, Newcomer, Row},
};
use tandem_domain::{
    series::{Labels, MetricType, SeriesDescription},
    target::Door,
};
use tandem_wire::{
    classic::classic_series,
    rejected::Rejections,
    remote_write::{self, Protocol, SeriesRow, WriteBody, Written},
    series_key::SeriesKey,
};

/// What became of a body.
#[derive(Debug, Default)]
pub struct RemoteWritten {
    /// For the headers of the answer. Exemplars are read and not kept.
    pub written: Written,
    /// What can never be taken, and why.
    pub rejections: Rejections,
}

impl SentReceiver {
    /// Takes a body in: what is good of it, durably, before this returns.
    ///
    /// # Errors
    /// When it is refused as a whole, or the store cannot be written; nothing of it is kept then.
    pub async fn remote_write(
        &self,
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        posted: &[u8],
    ) -> Result<RemoteWritten, SentError> {
        let protocol = Protocol::negotiate(content_type, content_encoding)?;
        let opened = remote_write::open(posted, &self.limits)?;
        let (body, mut rejections, histograms) = self.read(protocol, &opened)?;
        let samples = body.at.len() as u64;
        let kept = self.commit(Door::RemoteWrite, body, &mut rejections).await?;
        // Histograms are kept as the float series that stand for them.
        let floats = samples.min(kept).saturating_sub(histograms.1);
        let written = Written { samples: floats, histograms: histograms.0, exemplars: 0 };
        Ok(RemoteWritten { written, rejections })
    }

    /// Decodes an opened body; answers with it how many histograms there were and how many samples they became.
    fn read(&self, protocol: Protocol, opened: &[u8]) -> Result<(Body, Rejections, (u64, u64)), SentError> {
        let mut decoded = remote_write::decode(protocol, opened, self.seed, &self.limits)?;
        for metadata in &decoded.metadata {
            self.known.declare(metadata.family, metadata.metric_type, metadata.unit);
        }
        let mut rejections = std::mem::take(&mut decoded.rejections);
        let mut body = Body::of(std::mem::take(&mut decoded.at), std::mem::take(&mut decoded.value));
        let (mut histograms, floats) = (0, body.at.len());
        for row in &decoded.series {
            let items = u64::from(row.samples.end - row.samples.start) + row.histograms.len() as u64;
            let is_known = self.known.has(row.key);
            if is_known && row.histograms.is_empty() {
                body.rows.push(Row { key: row.key, samples: range(row) });
                continue;
            }
            let series = match decoded.describe(row, &self.limits) {
                Ok(series) => series,
                Err(rejection) => {
                    rejections.add(rejection, items);
                    continue;
                }
            };
            if !row.histograms.is_empty() {
                histograms += row.histograms.len() as u64;
                self.expand(&decoded, row, &series, &mut body);
            }
            if !row.samples.is_empty() {
                body.row(&self.known, row.key, range(row), || Newcomer::of(row.key, series));
            }
        }
        let expanded = (body.at.len() - floats) as u64;
        Ok((body, rejections, (histograms, expanded)))
    }

    /// The histograms of a row as classic series.
    fn expand(&self, decoded: &WriteBody<'_>, row: &SeriesRow<'_>, series: &SeriesDescription, body: &mut Body) {
        let mut scratch = Vec::new();
        let span = row.histograms.start as usize..row.histograms.end as usize;
        for (at, histogram) in &decoded.histograms[span] {
            for (suffix, bound, value) in classic_series(histogram) {
                let part = part(series, suffix, &bound);
                let key = self.key(&part, &mut scratch);
                body.sample(&self.known, key, *at, value, || Newcomer::of(key, part));
            }
        }
    }

    /// The key of a described series, `job` and `instance` among its labels.
    pub(super) fn key(&self, series: &SeriesDescription, scratch: &mut Vec<u8>) -> SeriesKey {
        let name = [("__name__", series.metric.as_str())];
        self.seed.of_pairs(name.into_iter().chain(series.labels.iter()), scratch)
    }
}

fn range(row: &SeriesRow<'_>) -> std::ops::Range<usize> {
    row.samples.start as usize..row.samples.end as usize
}

/// One classic series of a histogram.
pub(super) fn part(series: &SeriesDescription, suffix: &str, bound: &str) -> SeriesDescription {
    let bound = [("le".to_owned(), bound.to_owned())];
    let labels = series.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    SeriesDescription {
        metric: format!("{}{suffix}", series.metric),
        metric_type: MetricType::Histogram,
        unit: series.unit.clone(),
        labels: Labels::new(labels.chain(bound)),
    }
}
