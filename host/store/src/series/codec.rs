//! Sample batches and chunks as bytes. Columns are compressed with `pco`, which keeps every bit of every number.

use pco::{ChunkConfig, standalone};
use tandem_domain::{
    Timestamp,
    series::{SampleBatch, SeriesId},
};

/// Batches shorter than this are stored plainly: a compressed column has a header of its own.
const COMPRESS_FROM_SAMPLES: usize = 64;
/// `pco`'s level: above this the time rises faster than the size falls.
const COMPRESSION_LEVEL: usize = 6;
/// Longest batch or chunk, in samples; a longer one is a damaged file.
const MAX_SAMPLES: usize = 1 << 24;

fn compress<T: pco::data_types::Number>(column: &[T]) -> Result<Vec<u8>, String> {
    let config = ChunkConfig::default().with_compression_level(COMPRESSION_LEVEL);
    standalone::simple_compress(column, &config).map_err(|error| error.to_string())
}

fn put_block(bytes: &mut Vec<u8>, block: &[u8]) {
    bytes.extend((block.len() as u32).to_be_bytes());
    bytes.extend(block);
}

fn take<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or("samples end too early")?;
    *bytes = rest;
    Ok(taken)
}

fn take_u32(bytes: &mut &[u8]) -> Result<u32, String> {
    Ok(u32::from_be_bytes(take(bytes, 4)?.try_into().map_err(|_| "samples end too early")?))
}

fn take_block<'b>(bytes: &mut &'b [u8]) -> Result<&'b [u8], String> {
    let length = take_u32(bytes)? as usize;
    take(bytes, length)
}

fn decompress<T: pco::data_types::Number>(block: &[u8], count: usize) -> Result<Vec<T>, String> {
    let column: Vec<T> = standalone::simple_decompress(block).map_err(|error| error.to_string())?;
    if column.len() == count { Ok(column) } else { Err("a column of samples has the wrong length".into()) }
}

/// A batch as bytes: a count, a byte for plain or compressed, three columns.
pub(crate) fn encode_batch(batch: &SampleBatch) -> Result<Vec<u8>, String> {
    let count = batch.len();
    if batch.at.len() != count || batch.value.len() != count || count > MAX_SAMPLES {
        return Err(format!(
            "the columns of a batch hold {count}, {} and {} samples",
            batch.at.len(),
            batch.value.len()
        ));
    }
    let mut bytes = Vec::with_capacity(16 + count * 24);
    bytes.extend((count as u32).to_be_bytes());
    if count < COMPRESS_FROM_SAMPLES {
        bytes.push(0);
        for row in 0..count {
            bytes.extend(batch.series[row].0.to_be_bytes());
            bytes.extend(batch.at[row].0.to_be_bytes());
            bytes.extend(batch.value[row].to_bits().to_be_bytes());
        }
        return Ok(bytes);
    }
    bytes.push(1);
    let series: Vec<u64> = batch.series.iter().map(|series| series.0).collect();
    let at: Vec<i64> = batch.at.iter().map(|at| at.0).collect();
    put_block(&mut bytes, &compress(&series)?);
    put_block(&mut bytes, &compress(&at)?);
    put_block(&mut bytes, &compress(&batch.value)?);
    Ok(bytes)
}

/// The batch that [`encode_batch`] wrote.
pub(crate) fn decode_batch(mut bytes: &[u8]) -> Result<SampleBatch, String> {
    let bytes = &mut bytes;
    let count = take_u32(bytes)? as usize;
    if count > MAX_SAMPLES {
        return Err(format!("a batch claims {count} samples"));
    }
    let mut batch = SampleBatch::default();
    if take(bytes, 1)?[0] == 0 {
        let mut eight =
            || -> Result<[u8; 8], String> { take(bytes, 8)?.try_into().map_err(|_| "samples end too early".into()) };
        for _ in 0..count {
            let series = SeriesId(u64::from_be_bytes(eight()?));
            let at = Timestamp(i64::from_be_bytes(eight()?));
            batch.push(series, at, f64::from_bits(u64::from_be_bytes(eight()?)));
        }
        return Ok(batch);
    }
    batch.series = decompress::<u64>(take_block(bytes)?, count)?.into_iter().map(SeriesId).collect();
    batch.at = decompress::<i64>(take_block(bytes)?, count)?.into_iter().map(Timestamp).collect();
    batch.value = decompress(take_block(bytes)?, count)?;
    Ok(batch)
}

/// A chunk of one series as bytes: the flush that wrote it, the last moment in it, a count, two columns.
pub(crate) fn encode_chunk(flush: u64, at: &[i64], value: &[f64]) -> Result<Vec<u8>, String> {
    let last = at.iter().max().copied().unwrap_or(i64::MIN);
    let mut bytes = flush.to_be_bytes().to_vec();
    bytes.extend(last.to_be_bytes());
    bytes.extend((at.len() as u32).to_be_bytes());
    put_block(&mut bytes, &compress(at)?);
    put_block(&mut bytes, &compress(value)?);
    Ok(bytes)
}

/// The flush that wrote a chunk, and its samples.
pub(crate) fn decode_chunk(mut bytes: &[u8]) -> Result<(u64, Vec<i64>, Vec<f64>), String> {
    let bytes = &mut bytes;
    let flush = u64::from_be_bytes(take(bytes, 8)?.try_into().map_err(|_| "a chunk ends too early")?);
    take(bytes, 8)?;
    let count = take_u32(bytes)? as usize;
    let at = decompress(take_block(bytes)?, count)?;
    let value = decompress(take_block(bytes)?, count)?;
    Ok((flush, at, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_come_back_bit_by_bit(rows in prop::collection::vec((any::<u64>(), any::<i64>(), any::<u64>()), 0..200)) {
            let mut batch = SampleBatch::default();
            for (series, at, bits) in &rows {
                batch.push(SeriesId(*series), Timestamp(*at), f64::from_bits(*bits));
            }
            let back = decode_batch(&encode_batch(&batch).expect("encodes")).expect("decodes");
            prop_assert_eq!(&back.series, &batch.series);
            prop_assert_eq!(&back.at, &batch.at);
            let bits = |batch: &SampleBatch| batch.value.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&batch));
        }

        #[test]
        fn damaged_bytes_are_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode_batch(&bytes);
            let _ = decode_chunk(&bytes);
        }
    }
}
