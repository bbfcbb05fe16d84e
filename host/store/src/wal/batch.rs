//! A batch of samples as bytes that cost next to nothing to make: runs of series in the order of their numbers, moments once for
//! all series that share them, values as they are.

use crate::varint::{TOO_SHORT, put_signed, put_varint, take_bytes, take_signed, take_varint};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// Longest batch, in samples and in histograms; a longer one is a damaged file.
const MAX_SAMPLES: usize = 1 << 24;
/// The series of a piece are numbered on from the one before.
const NEXT_SERIES: u64 = 1;
/// The series of a piece have the moments of the one before.
const SAME_MOMENTS: u64 = 2;
/// Bits of a piece's first number below its count of series.
const FLAG_BITS: u32 = 2;

/// Samples of one series that follow one another in a batch.
fn end_of_series(batch: &SampleBatch, start: usize) -> usize {
    let series = batch.series[start];
    batch.series[start..].iter().position(|other| *other != series).map_or(batch.len(), |length| start + length)
}

/// A batch as bytes.
pub(crate) fn encode(batch: &SampleBatch) -> Result<Vec<u8>, String> {
    let count = batch.len();
    if batch.at.len() != count || batch.value.len() != count || count.max(batch.histograms.len()) > MAX_SAMPLES {
        return Err(format!(
            "the columns of a batch hold {count}, {} and {} samples",
            batch.at.len(),
            batch.value.len()
        ));
    }
    let mut bytes = Vec::with_capacity(24 + count * 10);
    put_varint(&mut bytes, count as u64);
    let (mut start, mut last) = (0, u64::MAX);
    let mut moments: &[Timestamp] = &[];
    while start < count {
        let series = batch.series[start].0;
        let mut end = end_of_series(batch, start);
        let own = &batch.at[start..end];
        let next = series == last.wrapping_add(1);
        let same = own == moments;
        let (mut alike, length) = (1, end - start);
        last = series;
        // Series numbered one after another with the same moments are told together.
        while end + length <= count
            && batch.series[end].0 == last.wrapping_add(1)
            && batch.at[end..end + length] == *own
            && batch.series[end..end + length].iter().all(|series| *series == batch.series[end])
            && batch.series.get(end + length).is_none_or(|series| *series != batch.series[end])
        {
            (alike, last, end) = (alike + 1, last + 1, end + length);
        }
        put_varint(
            &mut bytes,
            (alike << FLAG_BITS) | (u64::from(next) * NEXT_SERIES) | (u64::from(same) * SAME_MOMENTS),
        );
        if !next {
            put_varint(&mut bytes, series);
        }
        if !same {
            put_varint(&mut bytes, length as u64);
            let mut before = moments.last().map_or(0, |at| at.0);
            for at in own {
                put_signed(&mut bytes, at.0.wrapping_sub(before));
                before = at.0;
            }
        }
        (start, moments) = (end, own);
    }
    for value in &batch.value {
        bytes.extend_from_slice(&value.to_bits().to_le_bytes());
    }
    put_histograms(&mut bytes, &batch.histograms);
    Ok(bytes)
}

/// Which histograms came with the samples: nothing where there are none, as it was before there could be any.
fn put_histograms(bytes: &mut Vec<u8>, histograms: &[(SeriesId, Timestamp)]) {
    if histograms.is_empty() {
        return;
    }
    put_varint(bytes, histograms.len() as u64);
    let (mut series_before, mut at_before) = (0, 0);
    for (series, at) in histograms {
        put_signed(bytes, series.0.wrapping_sub(series_before) as i64);
        put_signed(bytes, at.0.wrapping_sub(at_before));
        (series_before, at_before) = (series.0, at.0);
    }
}

fn take_histograms(bytes: &mut &[u8]) -> Result<Vec<(SeriesId, Timestamp)>, String> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let count = usize::try_from(take_varint(bytes)?).unwrap_or(usize::MAX);
    // Each has two bytes at the least.
    if count > MAX_SAMPLES || count.saturating_mul(2) > bytes.len() {
        return Err(format!("a batch with {} bytes left claims {count} histograms", bytes.len()));
    }
    let (mut series, mut at) = (0_u64, 0_i64);
    let mut found = Vec::with_capacity(count);
    for _ in 0..count {
        series = series.wrapping_add(take_signed(bytes)? as u64);
        at = at.wrapping_add(take_signed(bytes)?);
        found.push((SeriesId(series), Timestamp(at)));
    }
    Ok(found)
}

/// The batch that [`encode`] wrote.
pub(crate) fn decode(mut bytes: &[u8]) -> Result<SampleBatch, String> {
    let bytes = &mut bytes;
    let count = usize::try_from(take_varint(bytes)?).unwrap_or(usize::MAX);
    // Each value has its eight bytes, so that a number that lies asks for no memory.
    if count > MAX_SAMPLES || count.saturating_mul(8) > bytes.len() {
        return Err(format!("a batch of {} bytes claims {count} samples", bytes.len()));
    }
    let (mut series, mut at) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut moments: Vec<Timestamp> = Vec::new();
    let mut last = u64::MAX;
    while series.len() < count {
        let head = take_varint(bytes)?;
        let first = if head & NEXT_SERIES != 0 { last.wrapping_add(1) } else { take_varint(bytes)? };
        if head & SAME_MOMENTS == 0 {
            let length = usize::try_from(take_varint(bytes)?).unwrap_or(usize::MAX);
            let mut before = moments.last().map_or(0, |at| at.0);
            moments.clear();
            for _ in 0..length.min(count + 1) {
                before = take_signed(bytes)?.wrapping_add(before);
                moments.push(Timestamp(before));
            }
        }
        let alike = head >> FLAG_BITS;
        let more = usize::try_from(alike).unwrap_or(usize::MAX).saturating_mul(moments.len());
        if more == 0 || more > count - series.len() {
            return Err("a piece of a batch does not fit it".into());
        }
        for number in 0..alike {
            last = first.wrapping_add(number);
            series.extend(std::iter::repeat_n(SeriesId(last), moments.len()));
            at.extend_from_slice(&moments);
        }
    }
    let value = take_bytes(bytes, count * 8)?;
    let (value, rest) = value.as_chunks::<8>();
    let histograms = take_histograms(bytes)?;
    if !rest.is_empty() || !bytes.is_empty() {
        return Err(TOO_SHORT.into());
    }
    let value = value.iter().map(|eight| f64::from_bits(u64::from_le_bytes(*eight))).collect();
    Ok(SampleBatch { series, at, value, histograms })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn comes_back(batch: &SampleBatch) -> usize {
        let bytes = encode(batch).expect("encodes");
        let back = decode(&bytes).expect("decodes");
        assert_eq!((&back.series, &back.at, &back.histograms), (&batch.series, &batch.at, &batch.histograms));
        let bits = |batch: &SampleBatch| batch.value.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(batch));
        bytes.len()
    }

    fn batch(rows: impl IntoIterator<Item = (u64, i64, u64)>) -> SampleBatch {
        let mut batch = SampleBatch::default();
        rows.into_iter()
            .for_each(|(series, at, bits)| batch.push(SeriesId(series), Timestamp(at), f64::from_bits(bits)));
        batch
    }

    proptest! {
        #[test]
        fn histograms_come_back_beside_samples(
            rows in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..20),
            histograms in prop::collection::vec((any::<u64>(), any::<i64>()), 0..50),
        ) {
            let histograms = histograms.into_iter().map(|(series, at)| (SeriesId(series), Timestamp(at))).collect();
            comes_back(&SampleBatch { histograms, ..batch(rows) });
        }

        #[test]
        fn batches_come_back_bit_by_bit(rows in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..200)) {
            comes_back(&batch(rows));
        }

        #[test]
        fn batches_of_few_series_and_moments_come_back(rows in prop::collection::vec((0u64..4, 0i64..3, any::<u64>()), 0..200)) {
            comes_back(&batch(rows));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes);
        }
    }

    #[test]
    fn what_a_scrape_and_a_sender_that_catches_up_bring_costs_its_values() {
        let scrape = batch((0..2_000).map(|series| (series + 7, 1_790_000_000_000, series)));
        assert!(comes_back(&scrape) < 2_000 * 8 + 20);
        let catching_up = batch((0..200).flat_map(|series| (0..50).map(move |step| (series, step * 15_000, 1))));
        assert!(comes_back(&catching_up) < 10_000 * 8 + 220);
    }

    #[test]
    fn columns_of_different_lengths_are_refused() {
        let mut uneven = batch([(1, 1, 1)]);
        uneven.at.clear();
        assert!(encode(&uneven).is_err());
    }
}
