//! Columns of numbers as few bytes, bit by bit the same when they are read: readings are decimals with few digits more often than
//! not, and rates are such decimals by the seconds between two of them. So a column is tried as whole numbers over a power of ten
//! and a usual interval, as ALP does without the interval (Afroozeh, Kuffo, Boncz, "ALP: Adaptive Lossless floating-Point
//! Compression", SIGMOD 2023); what does not come back exactly is written beside it as it is.
//!
//! Whole numbers are written from the smallest on, with their lowest bytes first, then their next ones: bytes of one kind lie
//! together, which the store compresses well.

/// Powers of ten that are tried: digits behind the point.
const POWERS: [f64; 7] = [1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6];
/// Intervals that rates are tried with, in seconds: what most operators scrape at. 1 is for what is no rate.
const INTERVALS_SECONDS: [f64; 7] = [1.0, 15.0, 10.0, 30.0, 60.0, 5.0, 20.0];
/// Numbers of a column that choose the power and the interval.
const TRIED: usize = 6;
/// From here on not every whole number has its own double.
const LARGEST_EXACT: f64 = 9_007_199_254_740_992.0;
/// Written as they are: the power of a column of plain numbers.
const PLAIN: u8 = u8::MAX;
/// Longest column, in numbers: its length and its places are bytes.
const MAX_COLUMN: usize = 255;
const _: () = assert!(crate::window::MAX_WINDOW_POINTS <= MAX_COLUMN && crate::usual_range::BLOCKS <= MAX_COLUMN);

/// How whole numbers become the numbers of a column.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scale {
    power: u8,
    interval: u8,
}

impl Scale {
    fn number(self, whole: i64) -> f64 {
        whole as f64 / POWERS[usize::from(self.power)] / INTERVALS_SECONDS[usize::from(self.interval)]
    }

    /// The whole number that stands for a number, if there is one that gives it back bit by bit.
    fn whole(self, number: f64) -> Option<i64> {
        let near = number * INTERVALS_SECONDS[usize::from(self.interval)] * POWERS[usize::from(self.power)];
        if near.is_nan() || near.abs() >= LARGEST_EXACT {
            return None;
        }
        let whole = near.round_ties_even() as i64;
        (self.number(whole).to_bits() == number.to_bits()).then_some(whole)
    }

    /// The first that fits most of some numbers.
    fn of(numbers: &[f64]) -> Option<Self> {
        let step = (numbers.len() / TRIED).max(1);
        let tried = || numbers.iter().step_by(step).take(TRIED);
        let (mut best, mut most) = (None, tried().count() / 2);
        for interval in 0..INTERVALS_SECONDS.len() as u8 {
            for power in 0..POWERS.len() as u8 {
                let scale = Scale { power, interval };
                let fitting = tried().filter(|number| scale.whole(**number).is_some()).count();
                if fitting > most {
                    (best, most) = (Some(scale), fitting);
                }
                if most == tried().count() {
                    return best;
                }
            }
        }
        best
    }
}

/// Appends a column of at most [`MAX_COLUMN`] numbers.
pub fn put(bytes: &mut Vec<u8>, numbers: &[f64]) {
    bytes.push(numbers.len() as u8);
    let wholes: Option<(Scale, Vec<Option<i64>>)> =
        Scale::of(numbers).map(|scale| (scale, numbers.iter().map(|number| scale.whole(*number)).collect()));
    let Some((scale, wholes)) = wholes else {
        bytes.push(PLAIN);
        numbers.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        return;
    };
    let (lowest, highest) =
        wholes.iter().flatten().fold((i64::MAX, i64::MIN), |(low, high), whole| (low.min(*whole), high.max(*whole)));
    // Both lie within 2^53 of zero.
    let span = (highest - lowest) as u64;
    let width = (u64::BITS - span.leading_zeros()).div_ceil(8) as u8;
    bytes.extend([scale.power, scale.interval, width]);
    bytes.extend(lowest.to_le_bytes());
    let above: Vec<u64> = wholes.iter().map(|whole| whole.map_or(0, |whole| (whole - lowest) as u64)).collect();
    for byte in 0..width {
        bytes.extend(above.iter().map(|above| (above >> (8 * byte)) as u8));
    }
    let others = || wholes.iter().enumerate().filter(|(_, whole)| whole.is_none());
    bytes.push(others().count() as u8);
    for (place, _) in others() {
        bytes.push(place as u8);
        bytes.extend(numbers[place].to_le_bytes());
    }
}

/// Takes a column from the front; none when it is cut short or makes no sense.
pub fn take(bytes: &mut &[u8]) -> Option<Vec<f64>> {
    let [length, power] = take_array(bytes)?;
    let length = usize::from(length);
    if power == PLAIN {
        return (0..length).map(|_| take_array(bytes).map(f64::from_le_bytes)).collect();
    }
    let [interval, width] = take_array(bytes)?;
    let scale = Scale { power, interval };
    if usize::from(power) >= POWERS.len() || usize::from(interval) >= INTERVALS_SECONDS.len() || width > 7 {
        return None;
    }
    let lowest = i64::from_le_bytes(take_array(bytes)?);
    let mut above = vec![0_u64; length];
    for byte in 0..width {
        let (plane, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        above.iter_mut().zip(plane).for_each(|(above, part)| *above |= u64::from(*part) << (8 * byte));
    }
    let mut numbers: Vec<f64> =
        above.into_iter().map(|above| scale.number(lowest.wrapping_add(above as i64))).collect();
    let [others] = take_array(bytes)?;
    for _ in 0..others {
        let [place] = take_array(bytes)?;
        *numbers.get_mut(usize::from(place))? = f64::from_le_bytes(take_array(bytes)?);
    }
    Some(numbers)
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn length_of(numbers: &[f64]) -> usize {
        let mut bytes = Vec::new();
        put(&mut bytes, numbers);
        let read = take(&mut bytes.as_slice()).expect("reads");
        assert!(read.iter().map(|n| n.to_bits()).eq(numbers.iter().map(|n| n.to_bits())), "{numbers:?} {read:?}");
        bytes.len()
    }

    #[test]
    fn readings_and_rates_take_a_byte_or_two_each() {
        let temperatures: Vec<f64> = (0..100).map(|i| f64::from(410 + i * 7 % 40) / 10.0).collect();
        assert!(length_of(&temperatures) <= 100 + 16, "{}", length_of(&temperatures));
        let of_requests: Vec<f64> = (0..100).map(|i| f64::from(1_000 + i * 37 % 900) / 15.0).collect();
        assert!(length_of(&of_requests) <= 200 + 16, "{}", length_of(&of_requests));
        let of_seconds: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 1_500) / 100.0 / 15.0).collect();
        assert!(length_of(&of_seconds) <= 200 + 16, "{}", length_of(&of_seconds));
        assert_eq!(length_of(&[7.25; 100]), 13, "a level is one number");
        assert_eq!(length_of(&[]), 2);
    }

    #[test]
    fn a_number_that_does_not_fit_costs_itself_only() {
        let mut numbers: Vec<f64> = (0..100).map(f64::from).collect();
        (numbers[17], numbers[40], numbers[99]) = (std::f64::consts::PI, f64::INFINITY, -0.0);
        assert!(length_of(&numbers) <= 100 + 16 + 3 * 9);
    }

    proptest! {
        #[test]
        fn every_column_comes_back_bit_by_bit(
            numbers in prop::collection::vec(prop_oneof![
                any::<f64>(), (-1_000i32..1_000).prop_map(f64::from), (0i64..1 << 52).prop_map(|n| n as f64 / 1e3 / 15.0),
            ], 0..=MAX_COLUMN),
        ) {
            length_of(&numbers);
        }

        #[test]
        fn what_is_cut_short_or_changed_is_no_panic(
            numbers in prop::collection::vec((-1_000i32..1_000).prop_map(f64::from), 0..40), cut in 0usize..60, flip: u8,
        ) {
            let mut bytes = Vec::new();
            put(&mut bytes, &numbers);
            let cut = cut.min(bytes.len());
            prop_assert!(cut == bytes.len() || take(&mut &bytes[..cut]).is_none_or(|read| read.len() <= MAX_COLUMN));
            if let Some(byte) = bytes.get_mut(cut) {
                *byte ^= flip;
                let _ = take(&mut bytes.as_slice());
            }
        }
    }
}
