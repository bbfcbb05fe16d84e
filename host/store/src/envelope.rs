//! The envelope around every record on disk: one byte for the encoding, two for the record's version, then the body as
//! MessagePack with named fields, so that a field with a default can be added without a migration.

use crate::ReadError;
use serde::{Serialize, de::DeserializeOwned};

/// MessagePack with named fields.
const ENCODING_NAMED_MESSAGE_PACK: u8 = 1;
/// Length of what stands before the body, in bytes.
const HEADER_BYTES: usize = 3;

/// Wraps a record.
pub(crate) fn wrap<R: Serialize>(version: u16, record: &R) -> Result<Vec<u8>, String> {
    let mut bytes = vec![ENCODING_NAMED_MESSAGE_PACK];
    bytes.extend(version.to_be_bytes());
    rmp_serde::encode::write_named(&mut bytes, record).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Unwraps a record of a version not newer than `version`.
pub(crate) fn unwrap<R: DeserializeOwned>(table: &str, version: u16, bytes: &[u8]) -> Result<R, ReadError> {
    let damaged = |what: String| ReadError::Damaged { table: table.into(), what };
    let (header, body) =
        bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("shorter than its envelope".into()))?;
    let found = u16::from_be_bytes([header[1], header[2]]);
    if header[0] != ENCODING_NAMED_MESSAGE_PACK || found > version {
        return Err(damaged(format!(
            "encoding {} version {found}, and this server reads version {version}",
            header[0]
        )));
    }
    rmp_serde::from_slice(body).map_err(|error| damaged(error.to_string()))
}
