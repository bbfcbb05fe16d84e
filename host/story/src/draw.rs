//! Draws by counter: what is drawn depends on the seed, the name of what it is for, the part and the step, and on nothing
//! that was drawn before. So adding a signal to a story changes no other signal.

/// Below and above this probability the tails begin (P. J. Acklam's rational approximation of the normal quantile, relative
/// error below 1.2e-9).
const TAIL: f64 = 0.024_25;
const A: [f64; 6] = [
    -3.969_683_028_665_376e1,
    2.209_460_984_245_205e2,
    -2.759_285_104_469_687e2,
    1.383_577_518_672_69e2,
    -3.066_479_806_614_716e1,
    2.506_628_277_459_239,
];
const B: [f64; 5] = [
    -5.447_609_879_822_406e1,
    1.615_858_368_580_409e2,
    -1.556_989_798_598_866e2,
    6.680_131_188_771_972e1,
    -1.328_068_155_288_572e1,
];
const C: [f64; 6] = [
    -7.784_894_002_430_293e-3,
    -3.223_964_580_411_365e-1,
    -2.400_758_277_161_838,
    -2.549_732_539_343_734,
    4.374_664_141_464_968,
    2.938_163_982_698_783,
];
const D: [f64; 4] = [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416];

/// A stream of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draws(u64);

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of the input reaches every bit of the output.
fn mixed(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mixed(seed ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// The stream of a name within this one.
    pub(crate) fn of(self, name: &str) -> Self {
        // FNV-1a; names are short and told apart by the mixing after it.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mixed(self.0 ^ mixed(hash)))
    }

    /// The draw of a lane (part or row) at a step; `nth` tells several of one lane and step apart.
    pub(crate) fn bits(self, lane: u64, step: u64, nth: u64) -> u64 {
        mixed(self.0 ^ mixed(lane.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ mixed(step ^ nth.rotate_left(40))))
    }

    /// Above 0 and below 1.
    pub(crate) fn uniform(self, lane: u64, step: u64, nth: u64) -> f64 {
        ((self.bits(lane, step, nth) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// Standard normal.
    pub(crate) fn normal(self, lane: u64, step: u64, nth: u64) -> f64 {
        normal_quantile(self.uniform(lane, step, nth))
    }

    /// A count with a mean: Poisson by inversion, beyond 60 by its normal limit.
    pub(crate) fn poisson(self, mean: f64, lane: u64, step: u64, nth: u64) -> f64 {
        if mean.is_nan() || mean <= 0.0 {
            return 0.0;
        }
        let uniform = self.uniform(lane, step, nth);
        if mean > 60.0 {
            return (mean + mean.sqrt() * normal_quantile(uniform)).round().max(0.0);
        }
        let (mut count, mut term) = (0.0, (-mean).exp());
        let mut sum = term;
        // 60 + 14 standard deviations: beyond it the sum is 1 to the last bit.
        while uniform > sum && count < 170.0 {
            count += 1.0;
            term *= mean / count;
            sum += term;
        }
        count
    }
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// The value that a standard normal stays below with a probability.
fn normal_quantile(p: f64) -> f64 {
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        polynomial(&C, q) / (polynomial(&D, q) * q + 1.0)
    };
    if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        let r = q * q;
        polynomial(&A, r) * q / (polynomial(&B, r) * r + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, quantile) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306), (0.999_99, 4.264_890_794)] {
            assert!((normal_quantile(p) - quantile).abs() < 1e-7, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn draws_have_their_moments_and_do_not_depend_on_each_other() {
        let draws = Draws::new(7).of("gpu.busy");
        let count = 200_000_u64;
        let values: Vec<f64> = (0..count).map(|n| draws.normal(n % 20, n / 20, 0)).collect();
        let mean = values.iter().sum::<f64>() / count as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        let neighbours = |apart: usize| {
            values.iter().zip(&values[apart..]).map(|(a, b)| a * b).sum::<f64>() / (count as usize - apart) as f64
        };
        assert!(neighbours(1).abs() < 0.01 && neighbours(20).abs() < 0.01, "parts and steps are independent");
        for mean in [0.3, 8.0, 400.0] {
            let total: f64 = (0..20_000).map(|step| draws.poisson(mean, 1, step, 1)).sum();
            assert!((total / 20_000.0 / mean - 1.0).abs() < 0.03, "{mean}: {}", total / 20_000.0);
        }
        assert_ne!(draws.bits(1, 2, 0), Draws::new(8).of("gpu.busy").bits(1, 2, 0));
        assert_ne!(draws.bits(1, 2, 0), Draws::new(7).of("gpu.load").bits(1, 2, 0));
    }
}
