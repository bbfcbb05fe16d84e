//! Bodies out of their compression, held to a limit before memory is asked for.

use flate2::bufread::MultiGzDecoder;
use std::{borrow::Cow, io::Read};

/// What snappy can make of one byte at the most: a copy of 64 bytes takes three. A length header that claims more lies.
const MAX_SNAPPY_EXPANSION: usize = 22;

/// Why a body could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    /// It is no data of this kind, or damaged.
    #[error("the body is not {format}: {reason}")]
    Damaged {
        /// `snappy` or `gzip`.
        format: &'static str,
        /// Of the decompressor.
        reason: String,
    },
    /// It would be longer than the limit; answered with 413.
    #[error("the body is longer than {limit} bytes when decompressed; send less at once")]
    TooLong {
        /// In bytes.
        limit: usize,
    },
    /// Another compression; answered with 415.
    #[error("content encoding {0:?} is not taken; send gzip or none")]
    Unknown(String),
}

/// Opens a body by its header `Content-Encoding`, for the formats that come plain or as gzip.
///
/// # Errors
/// When it is damaged, longer than `limit` bytes, or of another encoding.
pub fn open_encoded<'b>(
    content_encoding: Option<&str>,
    body: &'b [u8],
    limit: usize,
) -> Result<Cow<'b, [u8]>, CompressionError> {
    let encoding = content_encoding.unwrap_or_default().trim();
    if encoding.eq_ignore_ascii_case("gzip") {
        return open_gzip(body, limit).map(Cow::Owned);
    }
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(CompressionError::Unknown(encoding.to_owned()));
    }
    if body.len() > limit { Err(CompressionError::TooLong { limit }) } else { Ok(Cow::Borrowed(body)) }
}

/// Opens a snappy block (not the framed format). Its length header is checked before anything is allocated.
///
/// # Errors
/// When it is damaged, lies about its length, or is longer than `limit` bytes.
pub fn open_snappy(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let damaged = |reason: String| CompressionError::Damaged { format: "snappy", reason };
    let length = snap::raw::decompress_len(body).map_err(|error| damaged(error.to_string()))?;
    if length > limit {
        return Err(CompressionError::TooLong { limit });
    }
    if length > body.len().saturating_mul(MAX_SNAPPY_EXPANSION) {
        return Err(damaged("its header claims more than its bytes can hold".into()));
    }
    snap::raw::Decoder::new().decompress_vec(body).map_err(|error| damaged(error.to_string()))
}

/// The length that a snappy block says it has when opened, in bytes; 0 where it says none.
pub fn snappy_length(body: &[u8]) -> usize {
    snap::raw::decompress_len(body).unwrap_or(0)
}

/// Packs bytes as a snappy block.
///
/// # Errors
/// When they are longer than the format can say (4 GiB).
pub fn pack_snappy(bytes: &[u8]) -> Result<Vec<u8>, CompressionError> {
    snap::raw::Encoder::new()
        .compress_vec(bytes)
        .map_err(|error| CompressionError::Damaged { format: "snappy", reason: error.to_string() })
}

/// Opens gzip, one member or several.
///
/// # Errors
/// When it is damaged or longer than `limit` bytes.
pub fn open_gzip(body: &[u8], limit: usize) -> Result<Vec<u8>, CompressionError> {
    let mut opened = Vec::new();
    // One byte more than allowed tells a body that just fits from one that is too long.
    let mut reader = MultiGzDecoder::new(body).take(limit as u64 + 1);
    reader
        .read_to_end(&mut opened)
        .map_err(|error| CompressionError::Damaged { format: "gzip", reason: error.to_string() })?;
    if opened.len() > limit {
        return Err(CompressionError::TooLong { limit });
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(bytes).expect("to memory");
        packed.finish().expect("to memory")
    }

    #[test]
    fn what_is_packed_opens_again_up_to_the_limit() {
        let text = b"abc".repeat(1_000);
        assert_eq!(open_gzip(&gzip(&text), text.len()), Ok(text.clone()));
        assert_eq!(open_snappy(&pack_snappy(&text).expect("short"), text.len()), Ok(text.clone()));
        assert_eq!(open_gzip(&gzip(&text), text.len() - 1), Err(CompressionError::TooLong { limit: text.len() - 1 }));
        let packed = pack_snappy(&text).expect("short");
        assert_eq!(open_snappy(&packed, 2_999), Err(CompressionError::TooLong { limit: 2_999 }));
    }

    #[test]
    fn bombs_and_lies_are_refused_without_allocating() {
        let bomb = gzip(&vec![0; 16 << 20]);
        assert!(bomb.len() < 32 << 10);
        assert_eq!(open_gzip(&bomb, 1 << 20), Err(CompressionError::TooLong { limit: 1 << 20 }));
        // Claims 4 GiB, then 8 MiB, in a few bytes.
        assert!(matches!(
            open_snappy(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], 1 << 20),
            Err(CompressionError::TooLong { .. })
        ));
        assert!(matches!(
            open_snappy(&[0x80, 0x80, 0x80, 0x04, 0], 1 << 30),
            Err(CompressionError::Damaged { format: "snappy", .. })
        ));
        assert!(open_gzip(b"plain text", 100).is_err());
        assert!(open_snappy(b"", 100).is_err());
    }
}
