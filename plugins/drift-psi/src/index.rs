//! The index itself: Σ (q − p) · ln(q / p) over the shares p of the reference and q of the current sample, per bin.

/// What an empty bin counts as: one row in ten thousand.
pub const EMPTY_SHARE: f64 = 1e-4;
/// Evidently: where the smallest share is no larger than [`EMPTY_SHARE`], an empty bin counts as this part of it.
const EVIDENTLY_PART: f64 = 1e-6;
/// The 95 % point of the standard normal distribution, one-sided.
const NORMAL_95: f64 = 1.644_853_626_951_472_7;

/// How empty bins are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filling {
    /// With [`EMPTY_SHARE`].
    Fixed,
    /// As Evidently 0.7 does: with [`EMPTY_SHARE`], or a millionth of the smallest share where that is no larger.
    Evidently,
}

impl Filling {
    /// In words, for the result.
    pub fn words(self) -> &'static str {
        match self {
            Filling::Fixed => "empty bins count as 0.0001",
            Filling::Evidently => {
                "empty bins count as 0.0001, or a millionth of the sample's smallest share where that is at most 0.0001"
            }
        }
    }
}

/// Shares of counts, without empty bins. The counts must not all be 0.
pub fn shares(counts: &[u64], filling: Filling) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64;
    let smallest = counts.iter().filter(|count| **count > 0).min().copied().unwrap_or_default() as f64 / total;
    let empty = match filling {
        Filling::Evidently if smallest <= EMPTY_SHARE => smallest * EVIDENTLY_PART,
        _ => EMPTY_SHARE,
    };
    counts.iter().map(|count| if *count == 0 { empty } else { *count as f64 / total }).collect()
}

/// The population stability index of two lists of shares.
pub fn psi(before: &[f64], now: &[f64]) -> f64 {
    before.iter().zip(now).map(|(p, q)| (q - p) * (q / p).ln()).sum()
}

/// The index that chance alone exceeds in one of twenty comparisons: (1/n + 1/m) · χ²₀.₉₅ with one degree of freedom less
/// than there are bins (Yurdakul and Naranjo, "Statistical properties of the population stability index", Journal of Risk
/// Model Validation 14, 2020); the quantile by Wilson and Hilferty (PNAS 17, 1931).
pub fn by_chance(bins: usize, reference_count: u64, current_count: u64) -> f64 {
    let freedom = bins.saturating_sub(1).max(1) as f64;
    let part = 2.0 / (9.0 * freedom);
    let quantile = freedom * (1.0 - part + NORMAL_95 * part.sqrt()).powi(3);
    quantile * (1.0 / reference_count as f64 + 1.0 / current_count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_of_known_shares() {
        // 0.5/0.5 against 0.6/0.4: 0.1 ln 1.2 + 0.1 ln 1.25.
        let index = psi(&[0.5, 0.5], &[0.6, 0.4]);
        assert!((index - 0.1 * (1.2f64.ln() + 1.25f64.ln())).abs() < 1e-15);
        assert_eq!(psi(&[0.3, 0.7], &[0.3, 0.7]), 0.0);
    }

    #[test]
    fn empty_bins_are_filled() {
        assert_eq!(shares(&[0, 1, 3], Filling::Fixed), [1e-4, 0.25, 0.75]);
        assert_eq!(shares(&[0, 1, 3], Filling::Evidently), [1e-4, 0.25, 0.75]);
        assert_eq!(shares(&[0, 1, 9_999], Filling::Evidently)[0], 1e-4 * 1e-6);
    }

    #[test]
    fn chance_reaches_further_with_few_rows() {
        // χ²₀.₉₅ with 9 degrees of freedom is 16.919.
        assert!((by_chance(10, 500, 500) - 16.919 * 0.004).abs() < 1e-4);
        assert!(by_chance(10, 50, 50) > 0.5);
    }
}
