//! Prometheus' remote write, 1.0 and 2.0.

use super::{
    SentError, SentReceiver,
    series::{Body, Newcomer, Row},
};
use std::ops::Range;
use tandem_domain::{series::MetricType, target::Door};
use tandem_wire::{
    rejected::Rejections,
    remote_write::{self, Protocol, Written},
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
        self.has_room().await?;
        let opened = self.open_snappy(posted).await?;
        let (body, mut rejections) = self.read(protocol, &opened)?;
        let kept = self.commit(Door::RemoteWrite, body, &mut rejections).await?;
        let written = Written { samples: kept.samples, histograms: kept.histograms, exemplars: 0 };
        Ok(RemoteWritten { written, rejections })
    }

    /// Decodes an opened body.
    fn read(&self, protocol: Protocol, opened: &[u8]) -> Result<(Body, Rejections), SentError> {
        let mut decoded = remote_write::decode(protocol, opened, self.seed, &self.limits)?;
        for metadata in &decoded.metadata {
            self.known.declare(metadata.family, metadata.metric_type, metadata.unit);
        }
        let mut rejections = std::mem::take(&mut decoded.rejections);
        let mut histograms: Vec<_> = std::mem::take(&mut decoded.histograms).into_iter().map(Some).collect();
        let mut body = Body::of(std::mem::take(&mut decoded.at), std::mem::take(&mut decoded.value));
        body.metadata.extend(decoded.metadata.iter().filter_map(|declared| self.metadata.news(declared, "")));
        for row in &decoded.series {
            if !self.known.has(row.key) {
                let mut series = match decoded.describe(row, &self.limits) {
                    Ok(series) => series,
                    Err(rejection) => {
                        let items = u64::from(row.samples.end - row.samples.start) + row.histograms.len() as u64;
                        rejections.add(rejection, items);
                        continue;
                    }
                };
                if let Some(declared) = &row.metadata {
                    body.metadata.extend(self.metadata.news(declared, series.family()));
                }
                if !row.histograms.is_empty() {
                    series.metric_type = MetricType::Histogram;
                }
                body.meet(row.key, || Newcomer::of(row.key, series));
            }
            if !row.samples.is_empty() {
                body.rows.push(Row { key: row.key, samples: range(&row.samples) });
            }
            for histogram in &mut histograms[range(&row.histograms)] {
                body.histograms.extend(histogram.take().map(|(at, histogram)| (row.key, at, histogram)));
            }
        }
        Ok((body, rejections))
    }
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
