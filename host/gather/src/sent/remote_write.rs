//! Prometheus' remote write, 1.0 and 2.0.

use super::{
    SentError, SentReceiver,
    body::{Body, Newcomer, Row},
};
use crate::declared::Declared;
use std::ops::Range;
use tandem_domain::{
    exemplar::Exemplar,
    series::{Labels, MetricType},
    target::Door,
};
use tandem_wire::{
    rejected::Rejections,
    remote_write::{self, Metadata, Protocol, Written},
};

/// What became of a body.
#[derive(Debug, Default)]
pub struct RemoteWritten {
    /// For the headers of the answer.
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
        let written = Written { samples: kept.samples, histograms: kept.histograms, exemplars: kept.exemplars };
        Ok(RemoteWritten { written, rejections })
    }

    /// Decodes an opened body.
    pub(super) fn read(&self, protocol: Protocol, opened: &[u8]) -> Result<(Body, Rejections), SentError> {
        let mut decoded = remote_write::decode(protocol, opened, self.seed, &self.limits)?;
        for metadata in &decoded.metadata {
            self.known.declare(metadata.family, metadata.metric_type, metadata.unit);
        }
        let mut rejections = std::mem::take(&mut decoded.rejections);
        let mut histograms: Vec<_> = std::mem::take(&mut decoded.histograms).into_iter().map(Some).collect();
        let mut body = Body::of(std::mem::take(&mut decoded.at), std::mem::take(&mut decoded.value));
        let now = self.clock.now();
        let news = |metadata: &Metadata<'_>, family: &str| self.metadata.news(declared(metadata, family), now).kept();
        body.metadata.extend(decoded.metadata.iter().filter_map(|metadata| news(metadata, metadata.family)));
        let mut exemplars: Vec<_> = std::mem::take(&mut decoded.exemplars).into_iter().map(Some).collect();
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
                if let Some(metadata) = &row.metadata {
                    body.metadata.extend(news(metadata, series.family()));
                }
                if !row.histograms.is_empty() {
                    series.metric_type = MetricType::Histogram;
                }
                if row.samples.is_empty() && row.histograms.is_empty() {
                    body.meet_exemplars(row.key, || Newcomer::of(row.key, series));
                } else {
                    body.meet(row.key, || Newcomer::of(row.key, series));
                }
            }
            if !row.samples.is_empty() {
                body.rows.push(Row { key: row.key, samples: range(&row.samples) });
            }
            for histogram in &mut histograms[range(&row.histograms)] {
                body.histograms.extend(histogram.take().map(|(at, histogram)| (row.key, at, histogram)));
            }
            for exemplar in &mut exemplars[range(&row.exemplars)] {
                body.exemplars.extend(exemplar.take().map(|exemplar| (row.key, kept(&exemplar))));
            }
        }
        Ok((body, rejections))
    }
}

fn declared<'m>(metadata: &Metadata<'m>, family: &'m str) -> Declared<'m> {
    let Metadata { metric_type, unit, help, .. } = *metadata;
    Declared { family, metric_type, unit, help }
}

/// An exemplar as it is kept: with its own text.
fn kept(sent: &remote_write::Exemplar<'_>) -> Exemplar {
    let pairs = sent.labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Exemplar { labels: Labels::new(pairs), value: sent.value, at: sent.at, timed: true }
}

fn range(range: &Range<u32>) -> Range<usize> {
    range.start as usize..range.end as usize
}
