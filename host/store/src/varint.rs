//! Numbers in as many bytes as they need: seven bits in each, the lowest first.

/// What is missing when bytes end within a number or column.
pub(crate) const TOO_SHORT: &str = "the bytes end too early";

/// Appends a number.
pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Appends a number that is small on either side of zero.
pub(crate) fn put_signed(bytes: &mut Vec<u8>, value: i64) {
    put_varint(bytes, zigzag(value));
}

/// Takes a number from the front.
pub(crate) fn take_varint(bytes: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = take_byte(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is longer than 64 bits".into())
}

/// Takes what [`put_signed`] wrote.
pub(crate) fn take_signed(bytes: &mut &[u8]) -> Result<i64, String> {
    take_varint(bytes).map(unzigzag)
}

/// Takes one byte.
pub(crate) fn take_byte(bytes: &mut &[u8]) -> Result<u8, String> {
    let (first, rest) = bytes.split_first().ok_or(TOO_SHORT)?;
    *bytes = rest;
    Ok(*first)
}

/// Takes eight bytes.
pub(crate) fn take_eight(bytes: &mut &[u8]) -> Result<[u8; 8], String> {
    let (eight, rest) = bytes.split_first_chunk::<8>().ok_or(TOO_SHORT)?;
    *bytes = rest;
    Ok(*eight)
}

/// Takes so many bytes.
pub(crate) fn take_bytes<'b>(bytes: &mut &'b [u8], length: usize) -> Result<&'b [u8], String> {
    let (taken, rest) = bytes.split_at_checked(length).ok_or(TOO_SHORT)?;
    *bytes = rest;
    Ok(taken)
}

/// Numbers near zero as small numbers: 0, -1, 1, -2 … become 0, 1, 2, 3 …
#[inline]
pub(crate) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

/// Back from [`zigzag`].
#[inline]
pub(crate) fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}
