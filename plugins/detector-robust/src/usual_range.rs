//! The range that a series visits again and again over a time much longer than the window.
//!
//! The history is cut into blocks of equal length, of which only the lowest and highest value are kept. A value that
//! several of the last blocks reached is usual, however rare it is: nightly jobs, the other half of a day, a burst every
//! few hours.

use crate::baseline::{larger, smaller};

/// Blocks kept. Two numbers each: 384 bytes.
pub const BLOCKS: usize = 24;
/// Points in a block: with 24 blocks 3,072 points, which is 13 hours at a point every 15 s and 11 days at 5 minutes.
pub const BLOCK_POINTS: u32 = 128;
/// So many blocks must have reached a value for it to be usual. One anomaly that crosses the border of two blocks is not.
pub const VISITS: usize = 3;

/// Lowest and highest values of the last blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct UsualRange {
    pub(crate) lows: Vec<f64>,
    pub(crate) highs: Vec<f64>,
    pub(crate) next: usize,
    pub(crate) open_low: f64,
    pub(crate) open_high: f64,
    pub(crate) open_points: u32,
    low: f64,
    high: f64,
}

impl Default for UsualRange {
    fn default() -> Self {
        Self {
            lows: Vec::new(),
            highs: Vec::new(),
            next: 0,
            open_low: f64::INFINITY,
            open_high: f64::NEG_INFINITY,
            open_points: 0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
        }
    }
}

impl UsualRange {
    /// The range as (low, high); infinite the wrong way round while too few blocks are known.
    #[inline]
    pub fn bounds(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Takes a value, odd or not.
    #[inline]
    pub fn take(&mut self, value: f64) {
        self.open_low = smaller(self.open_low, value);
        self.open_high = larger(self.open_high, value);
        self.open_points += 1;
        if self.open_points >= BLOCK_POINTS {
            self.close_block();
        }
    }

    /// Puts kept blocks back, as `save` of the state gave them.
    pub fn restore(blocks: &[(f64, f64)], next: usize, open: (f64, f64, u32)) -> Self {
        let mut range = Self {
            lows: blocks.iter().map(|block| block.0).collect(),
            highs: blocks.iter().map(|block| block.1).collect(),
            next,
            open_low: open.0,
            open_high: open.1,
            open_points: open.2,
            ..Self::default()
        };
        range.refresh();
        range
    }

    #[cold]
    fn close_block(&mut self) {
        if self.lows.len() < BLOCKS {
            self.lows.push(self.open_low);
            self.highs.push(self.open_high);
        } else {
            self.lows[self.next] = self.open_low;
            self.highs[self.next] = self.open_high;
        }
        self.next = (self.next + 1) % BLOCKS;
        (self.open_low, self.open_high, self.open_points) = (f64::INFINITY, f64::NEG_INFINITY, 0);
        self.refresh();
    }

    fn refresh(&mut self) {
        if self.lows.len() < VISITS {
            return;
        }
        let (mut lows, mut highs) = (self.lows.clone(), self.highs.clone());
        lows.sort_by(f64::total_cmp);
        highs.sort_by(|a, b| b.total_cmp(a));
        (self.low, self.high) = (lows[VISITS - 1], highs[VISITS - 1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_usual_when_three_blocks_reached_it_and_forgotten_when_they_have_gone() {
        let mut range = UsualRange::default();
        for block in 0..3 {
            for point in 0..BLOCK_POINTS {
                assert_eq!(range.bounds(), (f64::INFINITY, f64::NEG_INFINITY));
                range.take(if point == 5 { 9.0 + f64::from(block) } else { 1.0 });
            }
        }
        assert_eq!(range.bounds(), (1.0, 9.0));
        for _ in 0..BLOCK_POINTS * BLOCKS as u32 {
            range.take(2.0);
        }
        assert_eq!(range.bounds(), (2.0, 2.0));
    }

    #[test]
    fn one_anomaly_across_a_border_is_not_usual() {
        let mut range = UsualRange::default();
        for point in 0..BLOCK_POINTS * 4 {
            range.take(if (BLOCK_POINTS - 4..BLOCK_POINTS + 4).contains(&point) { 100.0 } else { 1.0 });
        }
        assert_eq!(range.bounds().1, 1.0);
    }
}
