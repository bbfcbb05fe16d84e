//! The running mean and standard deviation of one series, by Welford's method (Technometrics 4(3), 1962).

/// How many points are learnt before the first is scored.
const WARMUP_POINTS: u64 = 10;
/// A value this many standard deviations away scores 1.
const LIMIT_DEVIATIONS: f64 = 3.0;
/// The first byte of the state; another one is refused.
const STATE_VERSION: u8 = 1;

/// Count, mean, and sum of squared distances to the mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mean {
    count: u64,
    mean: f64,
    squares: f64,
}

/// A point's score, and the band of values expected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    pub score: f64,
    pub low: f64,
    pub high: f64,
}

impl Mean {
    /// Whether there are too few points yet.
    pub fn is_warming(&self) -> bool {
        self.count < WARMUP_POINTS
    }

    /// Judges a value by the points before it.
    pub fn judge(&self, value: f64) -> Judged {
        let limit = LIMIT_DEVIATIONS * (self.squares / self.count as f64).sqrt();
        let distance = (value - self.mean).abs();
        let score = if limit > 0.0 {
            distance / limit
        } else if distance > 0.0 {
            1.0
        } else {
            0.0
        };
        Judged { score, low: self.mean - limit, high: self.mean + limit }
    }

    /// Takes a value in; what is no number is left out.
    pub fn learn(&mut self, value: f64) {
        if value.is_finite() {
            self.count += 1;
            let before = value - self.mean;
            self.mean += before / self.count as f64;
            self.squares += before * (value - self.mean);
        }
    }

    /// 25 bytes: the version, then count, mean and squares in little-endian order.
    pub fn save(&self) -> Vec<u8> {
        let mut state = vec![STATE_VERSION];
        state.extend(self.count.to_le_bytes());
        state.extend(self.mean.to_le_bytes());
        state.extend(self.squares.to_le_bytes());
        state
    }

    /// The state that `save` wrote, or nothing when it is another one.
    pub fn load(state: &[u8]) -> Option<Self> {
        let fields: &[u8; 24] = state.strip_prefix(&[STATE_VERSION])?.try_into().ok()?;
        let field = |at: usize| fields[at..at + 8].try_into().ok();
        Some(Self {
            count: u64::from_le_bytes(field(0)?),
            mean: f64::from_le_bytes(field(8)?),
            squares: f64::from_le_bytes(field(16)?),
        })
    }
}
