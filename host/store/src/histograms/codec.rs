//! Native histograms as bytes: whole counts as differences, and nothing said twice that was said of the histogram before.

use crate::varint::{put_signed, put_varint, take_byte, take_eight, take_signed, take_varint};
use tandem_domain::histogram::{Buckets, NativeHistogram, ResetHint, Span};

/// Whether the counts are whole by the histogram's own word.
const WHOLE: u8 = 1;
/// Whether they are written as whole numbers.
const AS_NUMBERS: u8 = 1 << 1;
/// Whether schema, threshold, spans and bounds are those of the histogram before.
const SAME_LAYOUT: u8 = 1 << 2;
/// Where the hint of a restart begins, of two bits.
const RESET_SHIFT: u8 = 3;
/// Counts up to this are exact as floats: 2^53.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;
/// Spans, buckets or bounds of one histogram at the most; more is a damaged file, since the doors take fewer.
const MAX_PARTS: u64 = 1 << 20;

fn put_float(bytes: &mut Vec<u8>, float: f64) {
    bytes.extend(float.to_bits().to_le_bytes());
}

fn take_float(bytes: &mut &[u8]) -> Result<f64, String> {
    Ok(f64::from_bits(u64::from_le_bytes(take_eight(bytes)?)))
}

fn take_count(bytes: &mut &[u8]) -> Result<usize, String> {
    let count = take_varint(bytes)?;
    if count > MAX_PARTS { Err(format!("a histogram claims {count} parts")) } else { Ok(count as usize) }
}

fn same_layout(a: &NativeHistogram, b: &NativeHistogram) -> bool {
    let bits = |bounds: &[f64]| bounds.iter().map(|bound| bound.to_bits()).collect::<Vec<_>>();
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive.spans == b.positive.spans
        && a.negative.spans == b.negative.spans
        && a.positive.counts.len() == b.positive.counts.len()
        && a.negative.counts.len() == b.negative.counts.len()
        && bits(&a.custom_bounds) == bits(&b.custom_bounds)
}

/// All counts of a histogram in one order.
fn counts(histogram: &NativeHistogram) -> impl Iterator<Item = f64> {
    let heads = [histogram.count, histogram.zero_count];
    heads.into_iter().chain(histogram.positive.counts.iter().copied()).chain(histogram.negative.counts.iter().copied())
}

fn put_layout(bytes: &mut Vec<u8>, histogram: &NativeHistogram) {
    put_signed(bytes, histogram.schema.into());
    put_float(bytes, histogram.zero_threshold);
    for side in [&histogram.positive, &histogram.negative] {
        put_varint(bytes, side.spans.len() as u64);
        for span in &side.spans {
            put_signed(bytes, span.offset.into());
            put_varint(bytes, span.length.into());
        }
        put_varint(bytes, side.counts.len() as u64);
    }
    put_varint(bytes, histogram.custom_bounds.len() as u64);
    histogram.custom_bounds.iter().for_each(|bound| put_float(bytes, *bound));
}

fn take_layout(bytes: &mut &[u8]) -> Result<NativeHistogram, String> {
    let schema = i32::try_from(take_signed(bytes)?).map_err(|_| "a histogram's schema is out of range")?;
    let zero_threshold = take_float(bytes)?;
    let mut sides = [Buckets::default(), Buckets::default()];
    for side in &mut sides {
        for _ in 0..take_count(bytes)? {
            let offset = i32::try_from(take_signed(bytes)?).map_err(|_| "a span begins out of range")?;
            let length = u32::try_from(take_varint(bytes)?).map_err(|_| "a span is too long")?;
            side.spans.push(Span { offset, length });
        }
        side.counts = vec![0.0; take_count(bytes)?];
    }
    let bounds = take_count(bytes)?;
    let custom_bounds = (0..bounds).map(|_| take_float(bytes)).collect::<Result<_, _>>()?;
    let [positive, negative] = sides;
    let (zero_count, count, sum) = (0.0, 0.0, 0.0);
    let (reset, whole) = (ResetHint::Unknown, true);
    Ok(NativeHistogram {
        schema,
        zero_threshold,
        zero_count,
        count,
        sum,
        positive,
        negative,
        custom_bounds,
        reset,
        whole,
    })
}

/// Writes a histogram; with the one before it, where the reader will have that too.
pub(super) fn encode(bytes: &mut Vec<u8>, histogram: &NativeHistogram, before: Option<&NativeHistogram>) {
    let before = before.filter(|before| same_layout(before, histogram));
    let is_number =
        |count: f64| (0.0..=MOST_EXACT).contains(&count) && count.fract() == 0.0 && count.is_sign_positive();
    let as_numbers = counts(histogram).all(is_number) && before.is_none_or(|before| counts(before).all(is_number));
    let reset = match histogram.reset {
        ResetHint::Unknown => 0,
        ResetHint::Yes => 1,
        ResetHint::No => 2,
        ResetHint::Gauge => 3u8,
    };
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    bytes.push(
        flag(histogram.whole, WHOLE)
            | flag(as_numbers, AS_NUMBERS)
            | flag(before.is_some(), SAME_LAYOUT)
            | (reset << RESET_SHIFT),
    );
    if before.is_none() {
        put_layout(bytes, histogram);
    }
    put_float(bytes, histogram.sum);
    if !as_numbers {
        counts(histogram).for_each(|count| put_float(bytes, count));
        return;
    }
    let mut earlier = before.map(counts);
    for count in counts(histogram) {
        let known = earlier.as_mut().and_then(Iterator::next).unwrap_or(0.0);
        put_signed(bytes, count as i64 - known as i64);
    }
}

/// Reads what [`encode`] wrote, given the same histogram before it.
pub(super) fn decode(bytes: &mut &[u8], before: Option<&NativeHistogram>) -> Result<NativeHistogram, String> {
    let flags = take_byte(bytes)?;
    let earlier = if flags & SAME_LAYOUT == 0 {
        take_layout(bytes)?
    } else {
        before.ok_or("a histogram is told by one before it, and there is none")?.clone()
    };
    let mut found = earlier;
    found.whole = flags & WHOLE != 0;
    found.reset = match (flags >> RESET_SHIFT) & 3 {
        1 => ResetHint::Yes,
        2 => ResetHint::No,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    };
    found.sum = take_float(bytes)?;
    let as_numbers = flags & AS_NUMBERS != 0;
    let heads = [&mut found.count, &mut found.zero_count].into_iter();
    for count in heads.chain(&mut found.positive.counts).chain(&mut found.negative.counts) {
        *count = if as_numbers { (*count as i64).wrapping_add(take_signed(bytes)?) as f64 } else { take_float(bytes)? };
    }
    Ok(found)
}

/// Histograms of one series, by rising moments, as one piece.
pub(super) fn encode_chunk(histograms: &[(i64, NativeHistogram)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, histograms.len() as u64);
    let mut before: Option<&(i64, NativeHistogram)> = None;
    for one in histograms {
        put_signed(&mut bytes, one.0.wrapping_sub(before.map_or(0, |before| before.0)));
        encode(&mut bytes, &one.1, before.map(|before| &before.1));
        before = Some(one);
    }
    bytes
}

/// What [`encode_chunk`] wrote.
pub(super) fn decode_chunk(mut bytes: &[u8]) -> Result<Vec<(i64, NativeHistogram)>, String> {
    let bytes = &mut bytes;
    let mut found: Vec<(i64, NativeHistogram)> = Vec::new();
    for _ in 0..take_count(bytes)? {
        let before = found.last();
        let at = take_signed(bytes)?.wrapping_add(before.map_or(0, |before| before.0));
        let histogram = decode(bytes, before.map(|before| &before.1))?;
        found.push((at, histogram));
    }
    Ok(found)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buckets() -> impl Strategy<Value = Buckets> {
        let span = (-5i32..50, 0u32..6).prop_map(|(offset, length)| Span { offset, length });
        let count = prop_oneof![4 => (0u32..1_000).prop_map(f64::from), 1 => any::<f64>()];
        (prop::collection::vec(span, 0..4), prop::collection::vec(count, 0..8))
            .prop_map(|(spans, counts)| Buckets { spans, counts })
    }

    pub(in crate::histograms) fn histogram() -> impl Strategy<Value = NativeHistogram> {
        let reset = prop::sample::select(vec![ResetHint::Unknown, ResetHint::Yes, ResetHint::No, ResetHint::Gauge]);
        let number = || prop_oneof![(0u64..1 << 54).prop_map(|number| number as f64), any::<f64>()];
        let bounds = prop::collection::vec(any::<f64>(), 0..4);
        let heads = (-53i32..9, any::<f64>(), number(), number(), any::<u64>());
        (heads, buckets(), buckets(), bounds, reset, any::<bool>()).prop_map(
            |((schema, zero_threshold, zero_count, count, sum), positive, negative, custom_bounds, reset, whole)| {
                let sum = f64::from_bits(sum);
                NativeHistogram {
                    schema,
                    zero_threshold,
                    zero_count,
                    count,
                    sum,
                    positive,
                    negative,
                    custom_bounds,
                    reset,
                    whole,
                }
            },
        )
    }

    /// Bit by bit, since a stale marker is a NaN.
    pub(in crate::histograms) fn bits(histogram: &NativeHistogram) -> (Vec<u64>, String) {
        let floats = counts(histogram).chain([histogram.sum, histogram.zero_threshold]);
        let all = floats.chain(histogram.custom_bounds.iter().copied()).map(f64::to_bits).collect();
        let rest = (histogram.schema, &histogram.positive.spans, &histogram.negative.spans, histogram.reset);
        (all, format!("{rest:?} {}", histogram.whole))
    }

    proptest! {
        #[test]
        fn histograms_come_back_bit_by_bit(
            all in prop::collection::vec((any::<i64>(), histogram(), 0usize..3), 0..6),
        ) {
            // Each is followed by some of its own layout, as real ones are.
            let all: Vec<(i64, NativeHistogram)> = all
                .into_iter()
                .flat_map(|(at, one, more)| (0..=more).map(move |n| {
                    let mut later = one.clone();
                    later.positive.counts.iter_mut().for_each(|count| *count += n as f64);
                    (at.wrapping_add(n as i64), later)
                }))
                .collect();
            let back = decode_chunk(&encode_chunk(&all)).expect("decodes");
            prop_assert_eq!(back.len(), all.len());
            for ((at, one), (at_back, one_back)) in all.iter().zip(&back) {
                prop_assert_eq!((at, bits(one)), (at_back, bits(one_back)));
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_chunk(&bytes);
            let _ = decode(&mut bytes.as_slice(), None);
        }
    }
}
