//! Counters as rates: what they gained per second since the last reading, aware of resets.

/// Milliseconds in a second.
const MILLIS_PER_SECOND: f64 = 1_000.0;

/// Gains are told to so many parts of a unit: nanoseconds, of a counter of seconds, are the finest that exporters tell.
const PARTS_PER_UNIT: f64 = 1e9;
/// Readings beyond this are binary fractions no finer than a part, in units.
const LARGEST_FINE_READING: f64 = 4e6;

/// What a counter gained, without the digits that only the binary fractions of its two readings differ in: 0.3 − 0.2 is 0.1, so
/// that a counter that rises evenly has one rate and not a hundred.
#[inline]
fn gain(from: f64, to: f64) -> f64 {
    let gain = to - from;
    let cleaned = (gain * PARTS_PER_UNIT).round_ties_even() / PARTS_PER_UNIT;
    if to.abs() < LARGEST_FINE_READING { cleaned } else { gain }
}

/// The last reading of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Counter {
    /// Moment and value; none before the first.
    pub last: Option<(i64, f64)>,
}

/// The rate between two readings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Gain per second.
    pub per_second: f64,
    /// Where it started to count from: the last reading, or 0 after a reset.
    pub from: f64,
    /// Seconds since the last reading.
    pub seconds: f64,
}

impl Rate {
    /// The reading that a rate would have led to.
    pub fn reading_at(&self, per_second: f64) -> f64 {
        self.from + per_second * self.seconds
    }
}

impl Counter {
    /// Takes a reading; answers the rate, unless it is the first one or time did not pass.
    pub fn read(&mut self, at_ms: i64, value: f64) -> Option<Rate> {
        let before = self.last.replace((at_ms, value));
        let (last_ms, last) = before?;
        if at_ms <= last_ms {
            self.last = before;
            return None;
        }
        // A counter that fell was reset and counts from 0: what it shows now it has gained since.
        let from = if value < last { 0.0 } else { last };
        let seconds = (at_ms - last_ms) as f64 / MILLIS_PER_SECOND;
        Some(Rate { per_second: gain(from, value) / seconds, from, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_the_gain_per_second_and_survives_a_reset() {
        let mut counter = Counter::default();
        assert_eq!(counter.read(0, 100.0), None);
        assert_eq!(counter.read(10_000, 150.0), Some(Rate { per_second: 5.0, from: 100.0, seconds: 10.0 }));
        let reset = counter.read(20_000, 20.0).unwrap();
        assert_eq!(reset, Rate { per_second: 2.0, from: 0.0, seconds: 10.0 });
        assert_eq!(reset.reading_at(3.0), 30.0);
    }

    #[test]
    fn an_even_rise_has_one_rate_whatever_its_binary_fractions() {
        let mut counter = Counter::default();
        let rates = (0..1_000).filter_map(|i| counter.read(i * 15_000, i as f64 / 10.0));
        assert!(rates.skip(1).all(|rate| rate.per_second == 0.1 / 15.0));
        let mut large = Counter::default();
        large.read(0, 5e15);
        assert_eq!(large.read(1_000, 5e15 + 3.0).map(|rate| rate.per_second), Some(3.0));
    }

    #[test]
    fn a_moment_that_does_not_pass_gives_no_rate() {
        let mut counter = Counter::default();
        counter.read(10_000, 1.0);
        assert_eq!(counter.read(10_000, 9.0), None);
        assert_eq!(counter.read(11_000, 3.0).unwrap().per_second, 2.0);
    }
}
