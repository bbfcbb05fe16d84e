//! What StatsD's datagrams add up to, as series of their senders.

use super::{
    SentError, SentReceiver, Taken,
    body::{Body, Newcomer},
};
use tandem_domain::{Timestamp, target::Door};
use tandem_wire::{
    rejected::Rejections,
    statsd::{Aggregator, Flush, MAX_SERIES},
};

impl SentReceiver {
    /// An aggregator whose keys are those of this receiver.
    pub(crate) fn statsd_aggregator(&self) -> Aggregator {
        Aggregator::new(self.seed, self.limits, MAX_SERIES)
    }

    /// Takes in the values of one flush.
    ///
    /// # Errors
    /// When the store cannot be written; nothing of the flush is kept then, and totals are told again by the next one.
    pub(crate) async fn statsd(&self, flush: Flush, now: Timestamp) -> Result<Taken, SentError> {
        let mut body = Body::default();
        for (key, series, value) in flush.samples {
            body.sample(&self.known, key, now, value, || Newcomer::of(key, series));
        }
        for (key, series, histogram) in flush.histograms {
            body.histogram(&self.known, key, now, histogram, || Newcomer::of(key, series));
        }
        let mut rejections = Rejections::default();
        let kept = self.commit(Door::Statsd, body, &mut rejections).await?;
        Ok(Taken { samples: kept.samples + kept.histograms, rejections })
    }
}
