//! Bounded samples of streams of any length: exact while they fit, and uniform beyond.

/// A uniform sample of the values put in: all of them up to its capacity, and beyond it each with the same chance
/// (algorithm R; Vitter, "Random sampling with a reservoir", ACM TOMS 11, 1985). The same seed gives the same sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservoir {
    capacity: usize,
    seen: u64,
    random: u64,
    values: Vec<f64>,
}

impl Reservoir {
    /// An empty sample of at most `capacity` values.
    pub fn new(capacity: usize, seed: u64) -> Self {
        Self { capacity, seen: 0, random: seed, values: Vec::new() }
    }

    /// Takes a value.
    pub fn put(&mut self, value: f64) {
        self.seen += 1;
        if self.values.len() < self.capacity {
            self.values.push(value);
            return;
        }
        // The high half of a product of 64-bit numbers is uniform below `seen`, but for 2^-64 × seen.
        let place = ((u128::from(self.next_random()) * u128::from(self.seen)) >> 64) as usize;
        if let Some(slot) = self.values.get_mut(place) {
            *slot = value;
        }
    }

    /// How many values were put in.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether it holds all values that were put in.
    pub fn is_exact(&self) -> bool {
        self.seen == self.values.len() as u64
    }

    /// The sample in ascending order.
    pub fn into_sorted(mut self) -> Vec<f64> {
        self.values.sort_unstable_by(f64::total_cmp);
        self.values
    }

    /// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_exact_while_all_fit() {
        let mut sample = Reservoir::new(3, 1);
        for value in [3.0, 1.0, 2.0] {
            sample.put(value);
        }
        assert!(sample.is_exact());
        assert_eq!(sample.into_sorted(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn beyond_its_capacity_it_is_uniform_and_the_same_for_the_same_seed() {
        let fill = |seed| {
            let mut sample = Reservoir::new(1_000, seed);
            (0..100_000).for_each(|value| sample.put(f64::from(value)));
            sample
        };
        let sample = fill(7);
        assert_eq!((sample.seen(), sample.is_exact()), (100_000, false));
        assert_eq!(sample, fill(7));
        let mean = sample.into_sorted().iter().sum::<f64>() / 1_000.0;
        // The standard error of the mean is 100,000 / sqrt(12 × 1,000), about 913.
        assert!((mean - 50_000.0).abs() < 4_000.0, "{mean}");
    }
}
