//! OpenTelemetry's protocol over HTTP: metrics, and logs as events.

use super::{
    SentError, SentReceiver, Taken,
    body::{Body, Newcomer},
    logs::LogDoor,
};
use crate::declared::Declared;
use tandem_domain::{metadata::MetricMetadata, series::SeriesDescription, target::Door};
use tandem_wire::{
    otlp::{self, Accumulator, Counting, Encoding, HistogramRow, Options, ResourceInfo, SampleRow},
    rejected::Rejection,
    series_key::SeriesKey,
};

/// How long the total of a silent series of increments is remembered, in milliseconds: longer than the longest interval that
/// senders export at. It begins anew then, which reads as a restart.
const FORGET_INCREMENTS_MILLIS: i64 = 3_600_000;

impl SentReceiver {
    /// Takes metrics in: what is good of them, durably, before this returns.
    ///
    /// # Errors
    /// When the body is refused as a whole, or the store cannot be written; nothing of it is kept then.
    pub async fn otlp_metrics(
        &self,
        encoding: Encoding,
        content_encoding: Option<&str>,
        posted: &[u8],
    ) -> Result<Taken, SentError> {
        self.has_room().await?;
        let opened = self.open(content_encoding, posted, self.limits.decompressed_bytes).await?;
        let batch = otlp::decode_metrics(encoding, &opened, &Options::default(), self.seed, &self.limits)?;
        let mut rejections = batch.rejections;
        let mut body = Body::default();
        let now = self.clock.now();
        for metadata in &batch.metadata {
            let MetricMetadata { family, metric_type, unit, help } = metadata;
            let declared = Declared { family, metric_type: *metric_type, unit, help };
            body.metadata.extend(self.metadata.news(declared, now).kept());
        }
        {
            let mut increments = self.increments.lock();
            increments.forget_before(now.plus_millis(-FORGET_INCREMENTS_MILLIS));
            for row in batch.samples {
                if let Err(rejection) = self.sample(row, &batch.resources, &mut increments, &mut body) {
                    rejections.add(rejection, 1);
                }
            }
            for row in batch.histograms {
                if let Err(rejection) = self.histogram(row, &batch.resources, &mut increments, &mut body) {
                    rejections.add(rejection, 1);
                }
            }
        }
        let kept = self.commit(Door::Otlp, body, &mut rejections).await?;
        Ok(Taken { samples: kept.samples + kept.histograms, rejections })
    }

    fn sample(
        &self,
        row: SampleRow,
        resources: &[ResourceInfo],
        increments: &mut Accumulator,
        body: &mut Body,
    ) -> Result<(), Rejection> {
        let value = match row.counting {
            Counting::Total => row.value,
            Counting::Increment { .. } => increments.add(row.key, row.at, row.value)?,
        };
        body.exemplars.extend(row.exemplars.into_iter().map(|exemplar| (row.key, exemplar)));
        let newcomer = || newcomer(row.key, &resources[row.resource as usize], row.series);
        body.sample(&self.known, row.key, row.at, value, newcomer);
        Ok(())
    }

    fn histogram(
        &self,
        row: HistogramRow,
        resources: &[ResourceInfo],
        increments: &mut Accumulator,
        body: &mut Body,
    ) -> Result<(), Rejection> {
        let histogram = match row.counting {
            Counting::Total => row.histogram,
            Counting::Increment { .. } => increments.add_histogram(row.key, row.at, row.histogram)?,
        };
        body.exemplars.extend(row.exemplars.into_iter().map(|exemplar| (row.key, exemplar)));
        let resource = &resources[row.resource as usize];
        body.histogram(&self.known, row.key, row.at, histogram, || newcomer(row.key, resource, row.series));
        Ok(())
    }

    /// Takes logs in as lines of the services and machines that wrote them.
    ///
    /// # Errors
    /// As [`SentReceiver::otlp_metrics`].
    pub async fn otlp_logs(
        &self,
        encoding: Encoding,
        content_encoding: Option<&str>,
        posted: &[u8],
    ) -> Result<Taken, SentError> {
        let _turn = self.logs.turn().await?;
        let opened = self.open(content_encoding, posted, self.limits.decompressed_bytes).await?;
        let now = self.clock.now();
        let otlp::LogsBatch { resources, entries, mut rejections } =
            otlp::decode_logs(encoding, &opened, now, &self.limits)?;
        let kept = self.log_entries(&resources, entries, LogDoor::Otlp, now, &mut rejections).await?;
        Ok(Taken { samples: kept, rejections })
    }
}

fn newcomer(key: SeriesKey, resource: &ResourceInfo, series: SeriesDescription) -> Newcomer {
    Newcomer { key, target: resource.target.clone(), target_labels: resource.labels.clone(), series, registers: true }
}
