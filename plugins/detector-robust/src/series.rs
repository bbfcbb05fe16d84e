//! One watched series: its baseline, and for a counter the rate; and its state as bytes.

use crate::{
    baseline::{Baseline, Judgement, Tuning, is_whole, larger, whole_step},
    counter::{Counter, Rate},
    usual_range::{BLOCKS, UsualRange},
    window::{MAX_WINDOW_POINTS, Window},
};

/// The version of the state's bytes; another one is refused.
pub const STATE_VERSION: u8 = 1;

/// Room for the state of a series with a full window, so that it need not grow while it is written.
const STATE_ROOM_BYTES: usize = 2_048;

/// One watched series.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchedSeries {
    baseline: Baseline,
    counter: Option<Counter>,
    /// Whether all values so far were whole numbers.
    whole: bool,
}

/// Why a state cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateError {
    /// It is of another version.
    Version(u8),
    /// It is cut short or makes no sense, at this byte.
    Broken(usize),
}

impl WatchedSeries {
    /// Knows nothing yet.
    pub fn new(tuning: &Tuning, is_counter: bool) -> Self {
        Self { baseline: Baseline::new(tuning), counter: is_counter.then(Counter::default), whole: true }
    }

    /// Whether it is judged by its rate.
    pub fn is_counter(&self) -> bool {
        self.counter.is_some()
    }

    /// Judges a point and learns from it; none for what is missing and for the first reading of a counter.
    ///
    /// It is compiled into its callers with all that a point usually needs: in a sandbox a call keeps no value in a register.
    #[inline(always)]
    pub fn judge(&mut self, tuning: &Tuning, at_ms: i64, value: f64) -> Option<Judgement> {
        if !value.is_finite() {
            return None;
        }
        self.whole = self.whole && is_whole(value);
        let resolution = whole_step(self.whole);
        let rate = match &mut self.counter {
            Some(counter) => Some(counter.read(at_ms, value)?),
            None => None,
        };
        let (judged_value, resolution) =
            rate.map_or((value, resolution), |rate| (rate.per_second, resolution / rate.seconds));
        let judged = self.baseline.judge(tuning, judged_value, resolution);
        // A counter does not fall, so the band of its readings begins where it stands.
        let reading = |rate: Rate| Judgement {
            low: rate.reading_at(larger(0.0, judged.low)),
            high: rate.reading_at(judged.high),
            ..judged
        };
        Some(rate.map_or(judged, reading))
    }

    /// The state as bytes, little-endian.
    pub fn save(&self) -> Vec<u8> {
        let baseline = &self.baseline;
        let range = &baseline.range;
        let mut bytes = Vec::with_capacity(STATE_ROOM_BYTES);
        bytes.extend([STATE_VERSION, u8::from(self.whole), u8::from(self.counter.is_some())]);
        if let Some(counter) = self.counter {
            let (at, value) = counter.last.unwrap_or((i64::MIN, 0.0));
            bytes.extend(at.to_le_bytes());
            bytes.extend(value.to_le_bytes());
        }
        bytes.extend(baseline.flat.to_le_bytes());
        bytes.extend((baseline.flat_points as u16).to_le_bytes());
        bytes.extend(baseline.step.to_le_bytes());
        bytes.extend(baseline.odd_run.to_le_bytes());
        bytes.extend([range.next as u8, range.lows.len() as u8, baseline.window.len() as u8]);
        bytes.extend(range.open_low.to_le_bytes());
        bytes.extend(range.open_high.to_le_bytes());
        bytes.extend(range.open_points.to_le_bytes());
        for (low, high) in range.lows.iter().zip(&range.highs) {
            bytes.extend(low.to_le_bytes());
            bytes.extend(high.to_le_bytes());
        }
        for value in baseline.window.chronological() {
            bytes.extend(value.to_le_bytes());
        }
        bytes
    }

    /// The series that `save` wrote. A window that the settings have since made smaller keeps its newest values.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn load(tuning: &Tuning, bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader { bytes, at: 0 };
        let version = reader.byte()?;
        if version != STATE_VERSION {
            return Err(StateError::Version(version));
        }
        let whole = reader.byte()? == 1;
        let counter = if reader.byte()? == 1 {
            let (at, value) = (i64::from_le_bytes(reader.take()?), reader.number()?);
            Some(Counter { last: (at != i64::MIN).then_some((at, value)) })
        } else {
            None
        };
        let flat = reader.number()?;
        let flat_points = usize::from(u16::from_le_bytes(reader.take()?)).min(tuning.window_points);
        let step = reader.number()?;
        let odd_run = u32::from_le_bytes(reader.take()?);
        let (next, blocks, points) = (reader.byte()?, reader.byte()?, reader.byte()?);
        if usize::from(next) >= BLOCKS || usize::from(blocks) > BLOCKS || usize::from(points) > MAX_WINDOW_POINTS {
            return Err(StateError::Broken(reader.at));
        }
        let open = (reader.number()?, reader.number()?, u32::from_le_bytes(reader.take()?));
        let mut kept = Vec::with_capacity(usize::from(blocks));
        for _ in 0..blocks {
            kept.push((reader.number()?, reader.number()?));
        }
        let mut window = Window::new(tuning.window_points);
        for _ in 0..points {
            let value = reader.number()?;
            if !value.is_finite() {
                return Err(StateError::Broken(reader.at));
            }
            window.push(value);
        }
        let range = UsualRange::restore(&kept, usize::from(next), open);
        Ok(Self { baseline: Baseline { window, flat, flat_points, step, range, odd_run }, counter, whole })
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StateError> {
        let part = self.bytes.get(self.at..self.at + N).and_then(|part| part.try_into().ok());
        self.at += N;
        part.ok_or(StateError::Broken(self.at - N))
    }

    fn byte(&mut self) -> Result<u8, StateError> {
        Ok(self.take::<1>()?[0])
    }

    fn number(&mut self) -> Result<f64, StateError> {
        Ok(f64::from_le_bytes(self.take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    /// The bound on the state of one series.
    const STATE_LIMIT_BYTES: usize = 2_048;

    fn tuning() -> Tuning {
        Config::default().tuning("").unwrap()
    }

    #[test]
    fn a_full_state_is_small() {
        let tuning = tuning();
        let mut series = WatchedSeries::new(&tuning, true);
        for i in 0..10_000 {
            series.judge(&tuning, i * 1_000, (i * i) as f64);
        }
        let held = size_of::<WatchedSeries>() + tuning.window_points * 9 + BLOCKS * 16;
        assert!(series.save().len() < STATE_LIMIT_BYTES, "{}", series.save().len());
        assert!(held < STATE_LIMIT_BYTES + 128, "{held} bytes in memory");
    }

    #[test]
    fn missing_values_are_not_answered_and_change_nothing() {
        let tuning = tuning();
        let mut series = WatchedSeries::new(&tuning, false);
        series.judge(&tuning, 0, 1.0);
        let before = series.clone();
        assert_eq!(series.judge(&tuning, 1, f64::NAN), None);
        assert_eq!(series.judge(&tuning, 2, f64::INFINITY), None);
        assert_eq!(series, before);
    }

    #[test]
    fn a_counter_is_judged_by_its_rate_and_the_band_is_of_readings() {
        let tuning = tuning();
        let mut series = WatchedSeries::new(&tuning, true);
        let mut value = 0.0;
        for i in 0..200 {
            value += if i % 2 == 0 { 1_000.0 } else { 1_100.0 };
            let judged = series.judge(&tuning, i * 10_000, value);
            assert!(judged.is_none_or(|j| j.score < 1.0));
        }
        // A restart is no anomaly as long as the rate since is usual.
        let judged = series.judge(&tuning, 200 * 10_000, 1_050.0).unwrap();
        assert!(judged.score < 1.0 && judged.low < 1_050.0 && judged.high > 1_050.0, "{judged:?}");
        assert!(series.judge(&tuning, 201 * 10_000, 100_000.0).unwrap().score >= 1.0);
    }

    #[test]
    fn a_broken_state_is_refused() {
        let tuning = tuning();
        assert_eq!(WatchedSeries::load(&tuning, &[]), Err(StateError::Broken(0)));
        assert_eq!(WatchedSeries::load(&tuning, &[9]), Err(StateError::Version(9)));
        let whole = WatchedSeries::new(&tuning, false).save();
        assert!(WatchedSeries::load(&tuning, &whole[..whole.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn a_restored_series_goes_on_as_if_nothing_had_happened(
            counter: bool,
            before in prop::collection::vec(prop_oneof![(0i32..5).prop_map(f64::from), 0.0..1e4f64, Just(f64::NAN)], 0..900),
            after in prop::collection::vec(prop_oneof![(0i32..5).prop_map(f64::from), 0.0..1e6f64], 1..300),
        ) {
            let tuning = tuning();
            let mut series = WatchedSeries::new(&tuning, counter);
            for (i, value) in before.iter().enumerate() {
                series.judge(&tuning, i as i64 * 1_000, *value);
            }
            let mut restored = WatchedSeries::load(&tuning, &series.save()).unwrap();
            for (i, value) in after.iter().enumerate() {
                let at = (before.len() + i) as i64 * 1_000;
                prop_assert_eq!(series.judge(&tuning, at, *value), restored.judge(&tuning, at, *value));
            }
            prop_assert_eq!(series.save(), restored.save());
        }
    }
}
