//! The moments at which an expression is evaluated.

/// From `start` to `end` in steps, in milliseconds, both included where the steps meet them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// First moment.
    pub start: i64,
    /// Last moment at most.
    pub end: i64,
    /// Between moments; above zero.
    pub step: i64,
}

impl Grid {
    /// One moment.
    pub fn instant(at: i64) -> Self {
        Self { start: at, end: at, step: 1 }
    }

    /// How many moments.
    pub fn len(&self) -> usize {
        if self.end < self.start { 0 } else { ((self.end - self.start) / self.step + 1) as usize }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The moments.
    pub fn moments(self) -> impl Iterator<Item = i64> {
        (0..self.len() as i64).map(move |step| self.start + step * self.step)
    }
}
