//! Distances and p-values against `scipy.stats.ks_2samp` 1.17.1 (two-sided, method `auto`).

use super::*;

/// Sizes of two samples, shift of the second, statistic, p-value. The samples are fractional parts of multiples of the
/// golden ratio and of √2.
const GOLDEN: &[(usize, usize, f64, f64, f64)] = &[
    (5, 5, 0.3, 0.4, 0.873015873015873),
    (7, 11, 0.2, 0.36363636363636365, 0.49453242835595784),
    (20, 30, 0.3, 0.36666666666666664, 0.06610471842752416),
    (100, 100, 0.1, 0.11, 0.5830090612540064),
    (140, 97, 0.05, 0.0703240058910162, 0.9137367314599173),
    (500, 500, 0.08, 0.086, 0.04950261174890187),
    (1000, 777, 0.03, 0.032266409266409266, 0.7362379333412032),
    (1000, 777, 0.0, 0.002770913770913771, 1.0),
    (9999, 10000, 0.015, 0.015373197319731973, 0.184432974764571),
    (10000, 10000, 0.01, 0.0104, 0.6518193537710155),
    (10001, 50, 0.1, 0.13316868313168684, 0.3097856979724126),
    (10001, 50, 0.3, 0.33324867513248674, 1.881667089928657e-05),
    (20000, 150, 0.1, 0.10988333333333333, 0.05065053420093435),
    (20000, 150, 0.0, 0.010299999999999976, 1.0),
    (12000, 15000, 0.01, 0.010266666666666646, 0.48013552201785303),
    (50000, 5000, 0.02, 0.0204, 0.04489069109050614),
    (50000, 5000, 0.005, 0.005400000000000002, 0.9992988697279973),
    (12000, 30, 0.55, 0.5720000000000001, 8.108931474160384e-10),
    (11000, 4, 0.9, 1.0, 0.0),
    (30000, 30000, 0.2, 0.20013333333333339, 0.0),
];

fn weyl(count: usize, step: f64, shift: f64) -> Vec<f64> {
    let mut values: Vec<f64> = (1..=count).map(|i| (i as f64 * step) % 1.0 + shift).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[test]
fn statistic_and_p_value_equal_those_of_scipy() {
    for &(n, m, shift, distance, p_value) in GOLDEN {
        let one = weyl(n, 0.618_033_988_749_894_9, 0.0);
        let other = weyl(m, 0.414_213_562_373_095_15, shift);
        let found = compare(&one, &other);
        assert!((found.distance - distance).abs() < 1e-12, "{n} {m} {shift}: {} is not {distance}", found.distance);
        let off = (found.p_value - p_value).abs();
        let tolerance = if found.exact { 1e-9 * p_value + 1e-15 } else { 1e-5 * p_value + 1e-12 };
        assert!(off <= tolerance, "{n} {m} {shift}: {:e} is not {p_value:e}", found.p_value);
        assert_eq!(found.exact, n.max(m) <= 10_000);
        let turned = compare(&other, &one);
        assert!((turned.p_value - found.p_value).abs() <= tolerance && turned.distance == found.distance);
    }
}

#[test]
fn ties_are_taken_together() {
    let found = compare(&[1.0, 1.0, 2.0, 2.0], &[1.0, 2.0, 2.0, 3.0]);
    assert_eq!((found.distance, found.at), (0.25, 1.0));
    assert_eq!(compare(&[5.0; 30], &[5.0; 20]).p_value, 1.0);
}

#[test]
fn the_methods_for_the_one_sample_tail_meet() {
    for (n, d) in [(140.0, 0.1), (140.0, 0.12), (100.0, 0.1), (60.0, 0.15)] {
        let exact = 1.0 - durbin_matrix(n as u32, d);
        assert!((exact - (1.0 - pelz_good(n, d))).abs() < 2e-5, "{n} {d}");
    }
    for (n, d) in [(50.0, 0.3), (140.0, 0.17)] {
        let exact = 1.0 - durbin_matrix(n as u32, d);
        assert!((exact / (2.0 * one_sided_tail(n, d)) - 1.0).abs() < 1e-4, "{n} {d}");
    }
    // Marsaglia, Tsang and Wang give P(D₁₀ ≤ 0.274) = 0.6284796154565.
    assert!((durbin_matrix(10, 0.274) - 0.628_479_615_456_504_3).abs() < 1e-13);
}
