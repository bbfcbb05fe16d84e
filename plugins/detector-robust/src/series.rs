//! One watched series: its baseline, and for a counter the rate; and its state as bytes.

use crate::{
    baseline::{Baseline, Judgement, Tuning, is_whole, larger, whole_step},
    counter::{Counter, Rate},
    numbers,
    usual_range::{BLOCKS, UsualRange},
    window::{MAX_WINDOW_POINTS, Window},
};

/// The version of the state's bytes. Those of version 1, whose numbers were all written as they are, are understood too.
pub const STATE_VERSION: u8 = 2;

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
        numbers::put(&mut bytes, &range.lows);
        numbers::put(&mut bytes, &range.highs);
        numbers::put(&mut bytes, &baseline.window.chronological().collect::<Vec<_>>());
        // Thousands of them lie in the guest's memory at once, which never becomes smaller again.
        bytes.shrink_to_fit();
        bytes
    }

    /// The series that `save` wrote. A window that the settings have since made smaller keeps its newest values.
    ///
    /// # Errors
    /// See [`StateError`].
    pub fn load(tuning: &Tuning, bytes: &[u8]) -> Result<Self, StateError> {
        let mut reader = Reader { bytes, at: 0 };
        let version = reader.byte()?;
        if !(1..=STATE_VERSION).contains(&version) {
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
        let (kept, values) = match version {
            1 => (reader.pairs(blocks.into())?, reader.numbers(points.into())?),
            _ => {
                let (lows, highs) = (reader.column(blocks.into())?, reader.column(blocks.into())?);
                (lows.into_iter().zip(highs).collect(), reader.column(points.into())?)
            }
        };
        let mut window = Window::new(tuning.window_points);
        for value in values {
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

    fn numbers(&mut self, count: usize) -> Result<Vec<f64>, StateError> {
        (0..count).map(|_| self.number()).collect()
    }

    fn pairs(&mut self, count: usize) -> Result<Vec<(f64, f64)>, StateError> {
        (0..count).map(|_| Ok((self.number()?, self.number()?))).collect()
    }

    /// A column of so many numbers.
    fn column(&mut self, count: usize) -> Result<Vec<f64>, StateError> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let before = rest.len();
        let column = numbers::take(&mut rest).filter(|column| column.len() == count);
        let column = column.ok_or(StateError::Broken(self.at))?;
        self.at += before - rest.len();
        Ok(column)
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

    /// As version 1 wrote it.
    fn saved_by_version_1(series: &WatchedSeries) -> Vec<u8> {
        let (mut bytes, range) = (series.save(), &series.baseline.range);
        let columns = {
            let mut columns = Vec::new();
            numbers::put(&mut columns, &range.lows);
            numbers::put(&mut columns, &range.highs);
            numbers::put(&mut columns, &series.baseline.window.chronological().collect::<Vec<_>>());
            columns.len()
        };
        bytes.truncate(bytes.len() - columns);
        bytes[0] = 1;
        let blocks = range.lows.iter().zip(&range.highs).flat_map(|(low, high)| [*low, *high]);
        bytes.extend(blocks.chain(series.baseline.window.chronological()).flat_map(f64::to_le_bytes));
        bytes
    }

    #[test]
    fn a_state_of_version_1_is_understood() {
        let tuning = tuning();
        let mut series = WatchedSeries::new(&tuning, true);
        for i in 0..700 {
            series.judge(&tuning, i * 15_000, (i * i % 977) as f64 / 7.0);
        }
        let restored = WatchedSeries::load(&tuning, &saved_by_version_1(&series)).expect("understood");
        assert_eq!(restored.save(), series.save());
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
