//! Records as they lie in the file: compressed by a dictionary of what Tandem's records say again and again, which are names of
//! fields, plugins, units and metrics. A record is some hundred bytes long, too short to be compressed by itself, and a fleet
//! has a handful of them for each series.
//!
//! The dictionary is a part of the format: a file that was written with it cannot be read without it. Another one gets another
//! number, and this one stays. `examples/dictionary.rs` trains one.

use crate::{ReadError, error::storage};
use std::{borrow::Cow, cell::RefCell, sync::LazyLock};
use zstd::zstd_safe::{CCtx, CDict, CParameter, DCtx, DDict};

/// The first byte of a record that is packed with dictionary 1; the number of an envelope that no record has otherwise.
const PACKED_WITH_1: u8 = 2;
/// Dictionary 1, trained on records of node_exporter, Prometheus, GPU exporters and this server's own collectors.
static DICTIONARY_1: &[u8] = include_bytes!("packing/1.dictionary");
/// The first byte of a leaf that is left as it is.
const PLAIN: u8 = 0;
/// zstd's level: 3 us and 127 bytes for a record of a series; level 6 takes 18 us for 116 (4,399 records of 179 bytes).
const LEVEL: i32 = 3;
/// Shorter records are left as they are, in bytes.
const SHORTEST_BYTES: usize = 48;
/// No record is longer, in bytes: redb takes no value beyond it, and a length that is made up must not take memory.
const LONGEST_BYTES: usize = 64 << 20;

static COMPRESSION: LazyLock<CDict<'static>> = LazyLock::new(|| CDict::create(DICTIONARY_1, LEVEL));
static DECOMPRESSION: LazyLock<DDict<'static>> = LazyLock::new(|| DDict::create(DICTIONARY_1));

thread_local! {
    static COMPRESSOR: RefCell<CCtx<'static>> = RefCell::new(compressor());
    static DECOMPRESSOR: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// A compressor whose frames tell how long their record is and nothing else: on so little each byte of a head counts.
fn compressor() -> CCtx<'static> {
    let mut context = CCtx::create();
    let parameters =
        [CParameter::ContentSizeFlag(true), CParameter::ChecksumFlag(false), CParameter::DictIdFlag(false)];
    let set = parameters.into_iter().try_for_each(|parameter| context.set_parameter(parameter).map(drop));
    if let Err(code) = set.and_then(|()| context.ref_cdict(&COMPRESSION).map(drop)) {
        // Rows are packed without it then, which any reader reads, and take more room.
        tracing::error!("records are packed without their dictionary: {}", zstd::zstd_safe::get_error_name(code));
    }
    context
}

/// Whether the rows of a table are packed: records are, blocks and logs are not.
fn is_packed(table: &str) -> bool {
    table.starts_with("record/")
}

/// The bytes of a row as they are written into a table.
pub(crate) fn pack<'b>(table: &str, bytes: &'b [u8]) -> Cow<'b, [u8]> {
    if !is_packed(table) || bytes.len() < SHORTEST_BYTES || bytes.len() > LONGEST_BYTES {
        return Cow::Borrowed(bytes);
    }
    framed(bytes).map_or(Cow::Borrowed(bytes), Cow::Owned)
}

/// Bytes behind the first byte of what is packed; none where that gains nothing or cannot be done.
fn framed(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packed = vec![0; 1 + zstd::zstd_safe::compress_bound(bytes.len())];
    let compressed = COMPRESSOR.with_borrow_mut(|context| context.compress2(&mut packed[1..], bytes));
    let length = 1 + compressed.ok()?;
    packed[0] = PACKED_WITH_1;
    packed.truncate(length);
    (length < bytes.len()).then_some(packed)
}

/// The records of a leaf as they are written into its row.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    framed(bytes).unwrap_or_else(|| [&[PLAIN], bytes].concat())
}

/// The records of a leaf as they were before [`compress`].
///
/// # Errors
/// When they are damaged.
pub(crate) fn decompress(table: &str, bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    match bytes.split_first() {
        Some((&PACKED_WITH_1, packed)) => unframed(table, packed),
        Some((&PLAIN, plain)) => Ok(plain.to_vec()),
        _ => {
            Err(ReadError::Damaged { table: table.into(), what: "a leaf is packed in a way that is not known".into() })
        }
    }
}

/// A row as it was before it was packed.
///
/// # Errors
/// When it is damaged.
pub(crate) fn unpack(table: &str, bytes: &[u8]) -> Result<Vec<u8>, ReadError> {
    if !is_packed(table) || bytes.first() != Some(&PACKED_WITH_1) {
        return Ok(bytes.to_vec());
    }
    unframed(table, &bytes[1..])
}

fn unframed(table: &str, packed: &[u8]) -> Result<Vec<u8>, ReadError> {
    let damaged = |what: &str| ReadError::Damaged { table: table.into(), what: format!("a packed record {what}") };
    let told = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    let length =
        told.and_then(|length| usize::try_from(length).ok()).ok_or_else(|| damaged("does not say how long it is"))?;
    if length > LONGEST_BYTES {
        return Err(damaged("says that it is longer than any record"));
    }
    let mut plain = vec![0; length];
    let unpacked = DECOMPRESSOR
        .with_borrow_mut(|context| context.decompress_using_ddict(&mut plain[..], packed, &DECOMPRESSION))
        .map_err(|code| storage(zstd::zstd_safe::get_error_name(code)))?;
    if unpacked != length { Err(damaged("is shorter than it says")) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope;
    use proptest::prelude::*;
    use tandem_domain::{
        Record,
        series::{Labels, MetricType, Series, SeriesDescription, SeriesId},
        target::TargetKey,
    };

    const TABLE: &str = "record/series";

    #[test]
    fn what_records_say_again_and_again_takes_little() {
        let labels = [("cpu", "11"), ("mode", "iowait")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let series = Series {
            id: SeriesId(4_711),
            target: TargetKey { job: "node".into(), instance: "10.0.0.7:9100".into() },
            description: SeriesDescription {
                metric: "node_cpu_seconds_total".into(),
                metric_type: MetricType::Counter,
                unit: String::new(),
                labels: Labels::new(labels),
            },
        };
        let row = envelope::wrap(Series::VERSION, &series).expect("wraps");
        let packed = pack(TABLE, &row);
        assert!(packed.len() < row.len() * 9 / 10, "{} of {}", packed.len(), row.len());
        assert_eq!(unpack(TABLE, &packed).expect("unpacks"), row);
    }

    #[test]
    fn other_tables_are_left_alone_whatever_their_rows_begin_with() {
        let row = [PACKED_WITH_1; 100];
        assert_eq!(pack("blocks/0/0", &row).as_ref(), row);
        assert_eq!(unpack("blocks/0/0", &row).expect("as it is"), row);
    }

    #[test]
    fn a_damaged_row_is_an_error() {
        let mut packed = pack(TABLE, &[b'a'; 400]).into_owned();
        assert!(unpack(TABLE, &packed[..4]).is_err());
        assert!(unpack(TABLE, &packed[..packed.len() - 1]).is_err());
        for place in 1..packed.len() {
            packed[place] ^= 0xFF;
            // Nothing checks each byte, but none may make it panic or take memory without end.
            if let Ok(row) = unpack(TABLE, &packed) {
                assert!(row.len() <= LONGEST_BYTES);
            }
            packed[place] ^= 0xFF;
        }
        assert_eq!(unpack(TABLE, &packed).expect("unpacks"), [b'a'; 400]);
    }

    proptest! {
        #[test]
        fn every_row_comes_back(body in prop::collection::vec(any::<u8>(), 0..2_000)) {
            // As an envelope begins.
            let row: Vec<u8> = [1, 0, 1].into_iter().chain(body).collect();
            prop_assert_eq!(unpack(TABLE, &pack(TABLE, &row)).expect("unpacks"), row);
        }
    }
}
