//! How numbers are cut into bins.

/// Bins of the decile profile.
pub const DECILES: usize = 10;
/// Evidently bins by value up to so many different values of the reference.
pub const EVIDENTLY_MAX_VALUES: usize = 20;

/// The inner edges of ten bins that hold equally many of the reference: its quantiles, interpolated linearly (type 7 of
/// Hyndman and Fan, "Sample quantiles in statistical packages", The American Statistician 50, 1996, as NumPy does).
/// The sample is ascending and not empty.
pub fn decile_edges(sorted: &[f64]) -> Vec<f64> {
    let last = (sorted.len() - 1) as f64;
    let edge = |tenth: usize| {
        let place = last * tenth as f64 / DECILES as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let low = sorted[below];
        let high = sorted[(below + 1).min(sorted.len() - 1)];
        low + (high - low) * part
    };
    (1..DECILES).map(edge).collect()
}

/// The bin of a value among inner edges: how many of them lie below it. The outer bins are open.
pub fn bin_of(edges: &[f64], value: f64) -> usize {
    edges.partition_point(|edge| *edge < value)
}

/// All edges of equally wide bins over both samples, their number by Sturges' rule, as `numpy.histogram_bin_edges` with
/// `bins="sturges"` gives them. The samples are ascending and not both empty.
pub fn sturges_edges(one: &[f64], other: &[f64]) -> Vec<f64> {
    let low = one.iter().chain(other).copied().fold(f64::INFINITY, f64::min);
    let high = one.iter().chain(other).copied().fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        return vec![low - 0.5, high + 0.5];
    }
    let width = (high - low) / (((one.len() + other.len()) as f64).log2() + 1.0);
    let bins = (((high - low) / width).ceil() as usize).max(1);
    let step = (high - low) / bins as f64;
    let mut edges: Vec<f64> = (0..=bins).map(|i| low + i as f64 * step).collect();
    edges[bins] = high;
    edges
}

/// Counts between edges: the last bin holds its upper edge, the others do not.
pub fn histogram(edges: &[f64], sorted: &[f64]) -> Vec<u64> {
    let last = edges.len() - 1;
    let below = |edge: f64| sorted.partition_point(|value| *value < edge);
    let end = sorted.partition_point(|value| *value <= edges[last]);
    let cuts: Vec<usize> = edges[..last].iter().map(|edge| below(*edge)).chain([end]).collect();
    cuts.windows(2).map(|pair| (pair[1] - pair[0]) as u64).collect()
}

/// The different values of an ascending sample with their counts.
pub fn by_value(sorted: &[f64]) -> Vec<(f64, u64)> {
    sorted.chunk_by(|a, b| a == b).map(|equal| (equal[0], equal.len() as u64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deciles_are_interpolated_as_numpy_does() {
        let sorted: Vec<f64> = (0..12).map(f64::from).collect();
        // numpy.quantile(range(12), [0.1, 0.2]) is 1.1 and 2.2.
        let edges = decile_edges(&sorted);
        assert!((edges[0] - 1.1).abs() < 1e-12 && (edges[1] - 2.2).abs() < 1e-12);
        assert_eq!(edges.len(), 9);
    }

    #[test]
    fn an_edge_belongs_to_the_bin_below_and_the_ends_are_open() {
        let edges = [1.0, 2.0];
        let bins: Vec<usize> = [-1e9, 1.0, 1.5, 2.0, 1e9].iter().map(|v| bin_of(&edges, *v)).collect();
        assert_eq!(bins, [0, 0, 1, 1, 2]);
    }

    #[test]
    fn equal_width_bins_hold_everything_once() {
        let one: Vec<f64> = (0..100).map(f64::from).collect();
        let other: Vec<f64> = (50..250).map(f64::from).collect();
        let edges = sturges_edges(&one, &other);
        // log2(300) + 1 = 9.23, rounded up.
        assert_eq!(edges.len(), 11);
        assert_eq!(histogram(&edges, &one).iter().sum::<u64>(), 100);
        assert_eq!(histogram(&edges, &other).iter().sum::<u64>(), 200);
        assert_eq!(sturges_edges(&[3.0], &[3.0]), [2.5, 3.5]);
    }

    #[test]
    fn equal_values_are_counted_together() {
        assert_eq!(by_value(&[1.0, 1.0, 2.0]), [(1.0, 2), (2.0, 1)]);
    }
}
