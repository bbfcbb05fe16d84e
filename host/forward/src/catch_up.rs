//! A forward that fell so far behind that the log was trimmed before it goes on from the chunks: by time, part for part, and
//! within a part series for series, so that each series' samples stay in order. What came late across the edges of the gap may
//! be missing or be sent twice; receivers ignore a sample that they have.

use crate::{
    deliver::Terms,
    lane::{Lane, LaneError, Pass, ROUND_SAMPLES},
    outgoing::Met,
    round::Round,
    status::ForwardState,
    tables::Gap,
};
use tandem_domain::{Timestamp, series::Series};
use tokio::sync::watch;

/// Length of a part, in milliseconds: two hours, which is a window of chunks, so that each chunk is unpacked once.
const PART_MILLIS: i64 = 2 * 3_600_000;
/// Series looked up at once.
const SERIES_PER_READ: usize = 1_000;

impl Lane {
    /// Sends a round of what is missing, and notes how far that has come.
    pub(crate) async fn catch_up(&mut self, stop: &mut watch::Receiver<bool>) -> Result<Pass, LaneError> {
        let Some(gap) = self.record.gap.clone() else { return Ok(Pass::Done) };
        self.telling.state(ForwardState::CatchingUp);
        let mut round = Round::default();
        let next = self.fill(&gap, &mut round)?;
        let expires_at = self.clock.now().plus_millis(self.keep_millis());
        let terms = Terms { expires_at, repeated: false };
        let pass = self.deliver(&mut round, terms, stop).await?;
        if pass == Pass::Done {
            if next.is_none() {
                self.record.reached = Some(gap.until).max(self.record.reached);
                self.telling.state(ForwardState::Sending);
            }
            self.record.gap = next;
            self.settled();
        }
        Ok(pass)
    }

    /// Fills a round; answers what is left of the gap after it.
    fn fill(&mut self, gap: &Gap, round: &mut Round) -> Result<Option<Gap>, LaneError> {
        let read = self.store.read()?;
        self.remembered.refresh(&read)?;
        let mut gap = gap.clone();
        while gap.part_from < gap.until {
            let part_until = gap.part_from.plus_millis(PART_MILLIS).min(gap.until);
            let series = read.scan::<Series>(gap.next_series.., SERIES_PER_READ)?;
            let last_of_part = series.len() < SERIES_PER_READ;
            for one in series {
                gap.next_series = one.id.0 + 1;
                if !matches!(self.remembered.meet(&read, one.id)?, Met::Sent(_)) {
                    continue;
                }
                let points = read.points(one.id, after(gap.part_from), part_until)?;
                points.at.iter().zip(&points.value).for_each(|(at, value)| round.push(one.id, *at, *value));
                if self.deliverer.config.send_native_histograms {
                    let histograms = read.histograms(one.id, after(gap.part_from), part_until)?;
                    histograms.iter().for_each(|(at, _)| round.push_histogram(one.id, *at));
                }
                if round.len() >= ROUND_SAMPLES {
                    return Ok(Some(gap));
                }
            }
            if last_of_part {
                (gap.part_from, gap.next_series) = (part_until, 0);
            }
        }
        Ok(None)
    }
}

/// The next moment.
fn after(moment: Timestamp) -> Timestamp {
    moment.plus_millis(1)
}
