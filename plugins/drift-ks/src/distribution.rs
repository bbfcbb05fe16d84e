//! The two-sample Kolmogorov-Smirnov statistic and its p-value, two-sided, as `scipy.stats.ks_2samp` computes them by
//! default: exact while both samples have at most 10,000 values, else by the distribution of the one-sample statistic.

use std::f64::consts::PI;

/// The largest sample with an exact p-value, as in SciPy.
pub const MAX_EXACT_COUNT: usize = 10_000;
/// Up to this count the one-sample distribution is computed exactly, beyond it by Pelz and Good.
const MAX_MATRIX_COUNT: f64 = 140.0;
/// n·d² from which twice the one-sided tail is exact enough for counts up to [`MAX_MATRIX_COUNT`].
const TAIL_FROM_SMALL: f64 = 4.0;
/// The same beyond that count.
const TAIL_FROM_LARGE: f64 = 2.2;
/// n·d² from which the tail underflows.
const TAIL_VANISHES: f64 = 370.0;
/// Matrices are scaled down when an entry passes this, so that nothing overflows.
const SCALE_ABOVE: f64 = 1e140;

/// What comparing two samples gives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The largest distance of the two distribution functions.
    pub distance: f64,
    /// Where it is.
    pub at: f64,
    /// How likely such a distance is where both come from one distribution.
    pub p_value: f64,
    /// Whether the p-value is exact.
    pub exact: bool,
}

/// Compares two ascending, non-empty samples without NaN.
pub fn compare(one: &[f64], other: &[f64]) -> Comparison {
    let (mut i, mut j) = (0, 0);
    let (mut distance, mut at) = (0.0, one[0].min(other[0]));
    while i < one.len() && j < other.len() {
        let x = one[i].min(other[j]);
        while i < one.len() && one[i] <= x {
            i += 1;
        }
        while j < other.len() && other[j] <= x {
            j += 1;
        }
        let gap = (i as f64 / one.len() as f64 - j as f64 / other.len() as f64).abs();
        if gap > distance {
            (distance, at) = (gap, x);
        }
    }
    let exact = one.len().max(other.len()) <= MAX_EXACT_COUNT;
    let p_value = if exact {
        exact_p_value(one.len(), other.len(), distance)
    } else {
        let (n, m) = (one.len() as f64, other.len() as f64);
        one_sample_tail(round_half_even(n * m / (n + m)), distance)
    };
    Comparison { distance, at, p_value: p_value.clamp(0.0, 1.0), exact }
}

/// As NumPy rounds.
fn round_half_even(value: f64) -> f64 {
    value.round_ties_even()
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The exact p-value: the share of lattice paths that leave the band (Hodges, "The significance probability of the Smirnov
/// two-sample test", Arkiv för Matematik 3, 1958).
fn exact_p_value(n: usize, m: usize, distance: f64) -> f64 {
    let divisor = greatest_common_divisor(n, m);
    let common = (n / divisor) as f64 * m as f64;
    let steps = (distance * common).round_ties_even();
    if steps == 0.0 {
        return 1.0;
    }
    if n == m { outside_square(n, steps as usize) } else { outside_rectangle(n, m, divisor, steps) }
}

/// Share of paths from (0, 0) to (n, n) that touch |x − y| = h, by inclusion and exclusion in Horner's form.
fn outside_square(n: usize, h: usize) -> f64 {
    let mut share = 0.0;
    for k in (0..=n / h).rev() {
        let mut product = 1.0;
        for j in 0..h {
            product *= (n - k * h).saturating_sub(j) as f64 / (n + k * h + j + 1) as f64;
        }
        share = product * (1.0 - share);
    }
    2.0 * share
}

/// Share of paths from (0, 0) to (m, n) that do not stay strictly inside |n·x − m·y| < g·h, column after column, holding
/// only the window of a column that lies inside.
fn outside_rectangle(m: usize, n: usize, divisor: usize, h: f64) -> f64 {
    let (m, n) = (m.max(n), m.min(n));
    let (mg, ng) = ((m / divisor) as f64, (n / divisor) as f64);
    let mut low = 0usize;
    let mut high = ((h / mg).ceil() as usize).min(n + 1);
    let mut share = vec![1.0; (2 * high + 2).min(n + 1)];
    share[low..high].fill(0.0);
    let mut length = high;
    for i in 1..=m {
        let (last_low, last_length) = (low, length);
        low = ((((ng * i as f64 - h) / mg).floor() + 1.0).max(0.0) as usize).min(n);
        high = (((ng * i as f64 + h) / mg).ceil() as usize).min(n + 1);
        if high <= low {
            return 1.0;
        }
        let mut value = if low == 0 { 0.0 } else { 1.0 };
        for offset in 0..high - low {
            let j = (offset + low) as f64;
            let left = share[offset + low - last_low];
            value = (left * i as f64 + value * j) / (i as f64 + j);
            share[offset] = value;
        }
        length = high - low;
        if last_length > length {
            share[length..last_length].fill(1.0);
        }
    }
    share[length - 1]
}

/// P(Dₙ ≥ d) of the two-sided one-sample statistic, choosing the method as Simard and L'Ecuyer, "Computing the two-sided
/// Kolmogorov-Smirnov distribution", Journal of Statistical Software 39, 2011.
fn one_sample_tail(n: f64, d: f64) -> f64 {
    let t = n * d;
    if d >= 1.0 {
        return 0.0;
    }
    if t <= 0.5 {
        return 1.0;
    }
    if t >= n - 1.0 {
        return 2.0 * (1.0 - d).powf(n);
    }
    let squared = t * d;
    if d >= 0.5 {
        return 2.0 * one_sided_tail(n, d);
    }
    if n <= MAX_MATRIX_COUNT {
        return if squared <= TAIL_FROM_SMALL { 1.0 - durbin_matrix(n as u32, d) } else { 2.0 * one_sided_tail(n, d) };
    }
    if squared >= TAIL_VANISHES {
        return 0.0;
    }
    if squared >= TAIL_FROM_LARGE { 2.0 * one_sided_tail(n, d) } else { 1.0 - pelz_good(n, d) }
}

/// P(Dₙ⁺ ≥ d), exact (Birnbaum and Tingey, Annals of Mathematical Statistics 22, 1951); all terms are positive.
fn one_sided_tail(n: f64, d: f64) -> f64 {
    let mut log_choose = 0.0;
    let mut sum = 0.0;
    for j in 0..=(n * (1.0 - d)).floor() as u64 {
        let j = j as f64;
        if j > 0.0 {
            log_choose += ((n - j + 1.0) / j).ln();
        }
        let rest = 1.0 - d - j / n;
        let log_rest = if n - j == 0.0 { 0.0 } else { (n - j) * rest.ln() };
        if rest > 0.0 || n - j == 0.0 {
            sum += (log_choose + (j - 1.0) * (d + j / n).ln() + log_rest).exp();
        }
    }
    d * sum
}

/// P(Dₙ ≤ d), exact (Marsaglia, Tsang, Wang, "Evaluating Kolmogorov's distribution", Journal of Statistical Software 8,
/// 2003): the middle entry of the n-th power of a matrix.
fn durbin_matrix(n: u32, d: f64) -> f64 {
    let nd = f64::from(n) * d;
    let k = nd.ceil() as usize;
    let h = k as f64 - nd;
    let size = 2 * k - 1;
    let base = durbin_base(size, h);
    let (mut power, mut exponent) = (vec![0.0; size * size], 0i32);
    for i in 0..size {
        power[i * size + i] = 1.0;
    }
    let (mut square, mut square_exponent) = (base, 0i32);
    let mut left = n;
    while left > 0 {
        if left & 1 == 1 {
            power = multiply(&power, &square, size);
            exponent += square_exponent;
            exponent += scale_down(&mut power, k - 1, size);
        }
        left >>= 1;
        if left > 0 {
            square = multiply(&square, &square, size);
            square_exponent *= 2;
            square_exponent += scale_down(&mut square, k - 1, size);
        }
    }
    let mut probability = power[(k - 1) * size + k - 1];
    for i in 1..=n {
        probability *= f64::from(i) / f64::from(n);
        if probability < 1.0 / SCALE_ABOVE {
            probability *= SCALE_ABOVE;
            exponent -= 1;
        }
    }
    probability * SCALE_ABOVE.powi(exponent)
}

fn durbin_base(size: usize, h: f64) -> Vec<f64> {
    let mut matrix = vec![0.0; size * size];
    for row in 0..size {
        for column in 0..size.min(row + 2) {
            matrix[row * size + column] = 1.0;
        }
    }
    for i in 0..size {
        matrix[i * size] -= h.powi(i as i32 + 1);
        matrix[(size - 1) * size + i] -= h.powi((size - i) as i32);
    }
    matrix[(size - 1) * size] += (2.0 * h - 1.0).max(0.0).powi(size as i32);
    for row in 0..size {
        for column in 0..size.min(row + 1) {
            for divisor in 1..=(row - column + 1) {
                matrix[row * size + column] /= divisor as f64;
            }
        }
    }
    matrix
}

fn multiply(one: &[f64], other: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for row in 0..size {
        for inner in 0..size {
            let factor = one[row * size + inner];
            for column in 0..size {
                product[row * size + column] += factor * other[inner * size + column];
            }
        }
    }
    product
}

/// Divides by the scale once where the middle entry has grown past it; how often it did.
fn scale_down(matrix: &mut [f64], middle: usize, size: usize) -> i32 {
    if matrix[middle * size + middle] <= SCALE_ABOVE {
        return 0;
    }
    matrix.iter_mut().for_each(|entry| *entry /= SCALE_ABOVE);
    1
}

/// P(Dₙ ≤ d) for large n (Pelz and Good, "Approximating the lower tail-areas of the Kolmogorov-Smirnov one-sample
/// statistic", Journal of the Royal Statistical Society B 38, 1976).
fn pelz_good(n: f64, d: f64) -> f64 {
    let z = n.sqrt() * d;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    let root_two_pi = (2.0 * PI).sqrt();
    let terms = (16.0 * z / PI).ceil() as i32;
    let mut sums = [0.0; 4];
    for k in 1..=terms {
        let odd = f64::from(2 * k - 1);
        let weight = (-pi2 * odd * odd / (8.0 * z2)).exp();
        let (m2, m4, m6) = (odd.powi(2), odd.powi(4), odd.powi(6));
        sums[0] += weight;
        sums[1] += weight * (-z2 + pi2 / 4.0 * m2);
        sums[2] += weight
            * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * m2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * m4);
        sums[3] += weight
            * (-30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * m2
                + pi4 * (-60.0 * z2 + 212.0 * z4) / 16.0 * m4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * m6);
    }
    let scales = [z, 6.0 * z4, 72.0 * z.powi(7), 6480.0 * z.powi(10)];
    for (sum, scale) in sums.iter_mut().zip(scales) {
        *sum *= root_two_pi / scale;
    }
    for k in 1..=terms {
        let k2 = f64::from(k).powi(2);
        let weight = (-pi2 * k2 / (2.0 * z2)).exp();
        sums[2] += k2 * weight * pi2 * root_two_pi / (-36.0 * z.powi(3));
        sums[3] += (3.0 * z2 - pi2 * k2) * k2 * weight * pi2 * root_two_pi / (216.0 * z6);
    }
    sums[0] + sums[1] / n.sqrt() + sums[2] / n + sums[3] / n.powf(1.5)
}

#[cfg(test)]
mod tests;
