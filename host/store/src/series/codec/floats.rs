//! Columns of floats: as whole numbers of a decimal place where they are decimals, by the order of their bits where they are
//! not. Every bit comes back, those of NaN too.

use super::integers;
use crate::varint::{put_varint, take_byte, take_eight, take_varint};

/// Powers of ten by which decimals become whole numbers.
const POWERS: [f64; 13] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12];
/// Up to here every whole number is a float of its own.
const MAX_EXACT: f64 = (1_u64 << 53) as f64;
/// The header of a column that is written by its bits; less is the decimal place.
const BY_BITS: u8 = 0x20;
/// The bit of the header that says that exceptions follow.
const WITH_EXCEPTIONS: u8 = 0x80;
/// One value in so many may be no decimal, besides two; each costs nine or ten bytes.
const ONE_EXCEPTION_IN: usize = 16;

/// Space that is used again from column to column.
#[derive(Default)]
pub(crate) struct Scratch {
    whole: Vec<i64>,
    exceptions: Vec<(usize, f64)>,
    integers: integers::Scratch,
}

/// A value as a whole number of a decimal place, if that gives every bit back.
#[inline]
fn as_whole(value: f64, power: f64) -> Option<i64> {
    let scaled = value * power;
    // False for NaN and for what is endless.
    let exact = scaled.abs() < MAX_EXACT;
    let whole = (scaled + if scaled < 0.0 { -0.5 } else { 0.5 }) as i64;
    (exact && (whole as f64 / power).to_bits() == value.to_bits()).then_some(whole)
}

/// The decimal place of a column; none when too many of its values are no decimals.
fn decimal_place(values: &[f64]) -> Option<usize> {
    let allowed = 2 + values.len() / ONE_EXCEPTION_IN;
    let (mut place, mut exceptions) = (0, 0);
    for value in values {
        if as_whole(*value, POWERS[place]).is_some() {
            continue;
        }
        match (place + 1..POWERS.len()).find(|more| as_whole(*value, POWERS[*more]).is_some()) {
            Some(more) => place = more,
            None => exceptions += 1,
        }
        if exceptions > allowed {
            return None;
        }
    }
    Some(place)
}

/// Floats in the order of their size are integers in the order of theirs.
fn ordered(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ ((bits >> 63) as u64 >> 1) as i64
}

fn unordered(whole: i64) -> f64 {
    f64::from_bits((whole ^ ((whole >> 63) as u64 >> 1) as i64) as u64)
}

/// Appends a column; an empty one is a single byte.
pub(crate) fn encode(values: &[f64], scratch: &mut Scratch, bytes: &mut Vec<u8>) {
    scratch.whole.clear();
    match decimal_place(values) {
        Some(place) => encode_decimals(values, place, scratch, bytes),
        None => {
            bytes.push(BY_BITS);
            scratch.whole.extend(values.iter().map(|value| ordered(*value)));
        }
    }
    integers::encode(&scratch.whole, &mut scratch.integers, bytes);
}

fn encode_decimals(values: &[f64], place: usize, scratch: &mut Scratch, bytes: &mut Vec<u8>) {
    let Scratch { whole, exceptions, .. } = scratch;
    exceptions.clear();
    // In the place of an exception stands its neighbour, which costs least.
    let neighbour = values.iter().find_map(|value| as_whole(*value, POWERS[place]));
    let mut last = neighbour.unwrap_or(0);
    for (index, value) in values.iter().enumerate() {
        match as_whole(*value, POWERS[place]) {
            Some(found) => last = found,
            None => exceptions.push((index, *value)),
        }
        whole.push(last);
    }
    if exceptions.is_empty() {
        bytes.push(place as u8);
        return;
    }
    bytes.push(place as u8 | WITH_EXCEPTIONS);
    put_varint(bytes, exceptions.len() as u64);
    for (index, value) in exceptions {
        put_varint(bytes, *index as u64);
        bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }
}

/// Reads `count` floats behind what `values` holds; `whole` is space for the way.
pub(crate) fn decode(
    mut bytes: &[u8],
    count: usize,
    whole: &mut Vec<i64>,
    values: &mut Vec<f64>,
) -> Result<(), String> {
    let bytes = &mut bytes;
    let header = take_byte(bytes)?;
    let start = values.len();
    let exceptions = if header & WITH_EXCEPTIONS == 0 { 0 } else { take_varint(bytes)? };
    let exceptions_at = *bytes;
    for _ in 0..exceptions {
        take_varint(bytes)?;
        take_eight(bytes)?;
    }
    integers::decode(bytes, count, whole)?;
    let place = header & !WITH_EXCEPTIONS;
    if place == BY_BITS {
        values.extend(whole.iter().map(|number| unordered(*number)));
    } else {
        let power = *POWERS.get(usize::from(place)).ok_or("samples have an unknown decimal place")?;
        values.extend(whole.iter().map(|number| *number as f64 / power));
    }
    let mut bytes = exceptions_at;
    for _ in 0..exceptions {
        let index = take_varint(&mut bytes)? as usize;
        let value = f64::from_bits(u64::from_le_bytes(take_eight(&mut bytes)?));
        *values.get_mut(start..).and_then(|own| own.get_mut(index)).ok_or("samples have an exception too many")? =
            value;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comes_back(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        encode(values, &mut Scratch::default(), &mut bytes);
        let mut back = vec![0.5];
        decode(&bytes, values.len(), &mut Vec::new(), &mut back).expect("decodes");
        let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back[1..]), bits(values));
        bytes.len()
    }

    proptest! {
        #[test]
        fn every_bit_comes_back(bits in prop::collection::vec(any::<u64>(), 0..300)) {
            comes_back(&bits.into_iter().map(f64::from_bits).collect::<Vec<_>>());
        }

        #[test]
        fn decimals_come_back_with_what_is_none_among_them(
            whole in prop::collection::vec(-1_000_000_000i64..1_000_000_000, 1..300), place in 0i32..14,
            odd in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..12),
        ) {
            let mut values: Vec<f64> = whole.iter().map(|whole| *whole as f64 / 10f64.powi(place)).collect();
            for (index, bits) in odd {
                let index = index.index(values.len());
                values[index] = f64::from_bits(bits);
            }
            comes_back(&values);
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), count in 0usize..500) {
            let _ = decode(&bytes, count, &mut Vec::new(), &mut Vec::new());
        }
    }

    #[test]
    fn gauges_counters_and_marks_of_an_end_cost_what_they_say() {
        let stale = f64::from_bits(0x7ff0_0000_0000_0002);
        let mut gauge: Vec<f64> = (0..480).map(|step| f64::from(step * 7919 % 17) / 10.0 + 50.0).collect();
        assert!(comes_back(&gauge) <= 480 * 5 / 8, "a gauge of one decimal: {}", comes_back(&gauge));
        (gauge[0], gauge[479]) = (stale, stale);
        assert!(comes_back(&gauge) <= 480 * 5 / 8 + 24, "with two marks of an end: {}", comes_back(&gauge));
        assert!(comes_back(&[stale; 480]) <= 16, "nothing but marks");
        assert_eq!(
            comes_back(&[-0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY]),
            comes_back(&[0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY])
        );
    }
}
