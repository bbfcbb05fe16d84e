//! Influx' line protocol, v1 and v2.

use super::{
    SentError, SentReceiver, Taken,
    body::{Body, Newcomer},
};
use tandem_domain::target::Door;
use tandem_wire::influx::{self, Precision};

impl SentReceiver {
    /// Takes lines in: what is good of them, durably, before this returns.
    ///
    /// # Errors
    /// When the body is refused as a whole, or the store cannot be written; nothing of it is kept then.
    pub async fn influx(
        &self,
        precision: Option<&str>,
        content_encoding: Option<&str>,
        posted: &[u8],
    ) -> Result<Taken, SentError> {
        let precision = Precision::of(precision).map_err(|error| SentError::Malformed(error.to_string()))?;
        self.has_room().await?;
        let opened = self.open(content_encoding, posted, self.limits.decompressed_bytes).await?;
        let batch = influx::decode(&opened, precision, self.clock.now(), self.seed, &self.limits);
        let mut rejections = batch.rejections;
        let mut body = Body::default();
        for sample in batch.samples {
            let newcomer = || Newcomer::of(sample.key, sample.series);
            body.sample(&self.known, sample.key, sample.at, sample.value, newcomer);
        }
        let kept = self.commit(Door::Influx, body, &mut rejections).await?;
        Ok(Taken { samples: kept.samples, rejections })
    }
}
