//! Messages out of a TCP stream (RFC 6587): counted, or one a line.

/// Longest message, in bytes: RFC 5424 wants 2 KiB at least, and senders go up to 64.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// Longest count before a message: as many digits as the limit has.
const MAX_COUNT_DIGITS: usize = 5;

/// What a buffer held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frames<'b> {
    /// Whole messages, in order.
    pub messages: Vec<&'b [u8]>,
    /// How many bytes of the buffer are done with; the rest waits for more.
    pub consumed: usize,
    /// Bytes that are no message: a line longer than the limit, or a count of more.
    pub discarded: usize,
}

/// Takes whole messages off the front of a buffer. The buffer need not hold more than twice [`MAX_MESSAGE_BYTES`]: what is
/// longer without an end is discarded.
pub fn frames(buffer: &[u8]) -> Frames<'_> {
    let mut frames = Frames::default();
    loop {
        let rest = &buffer[frames.consumed..];
        match frame(rest) {
            Frame::Message(start, end) => {
                if start < end {
                    frames.messages.push(&rest[start..end]);
                }
                // The newline that ends a line goes with it.
                let newline = usize::from(start == 0 && rest.get(end) == Some(&b'\n'));
                frames.consumed += end + newline;
            }
            Frame::TooLong(length) => {
                frames.discarded += length;
                frames.consumed += length;
            }
            Frame::Incomplete => return frames,
        }
    }
}

enum Frame {
    Message(usize, usize),
    TooLong(usize),
    Incomplete,
}

fn frame(rest: &[u8]) -> Frame {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let counts = (1..=MAX_COUNT_DIGITS).contains(&digits) && rest[0] != b'0';
    // A count is followed by a blank and a message, which begins with its priority.
    match (counts, rest.get(digits), rest.get(digits + 1)) {
        (true, None, _) | (true, Some(b' '), None) => return Frame::Incomplete,
        (true, Some(b' '), Some(b'<')) => {
            let count = rest[..digits].iter().fold(0, |count, digit| count * 10 + usize::from(digit - b'0'));
            let start = digits + 1;
            return match (count <= MAX_MESSAGE_BYTES, rest.len() >= start + count) {
                (false, _) => Frame::TooLong(start),
                (true, true) => Frame::Message(start, start + count),
                (true, false) => Frame::Incomplete,
            };
        }
        _ => {}
    }
    match memchr::memchr(b'\n', rest) {
        Some(end) if end <= MAX_MESSAGE_BYTES => Frame::Message(0, end),
        Some(end) => Frame::TooLong(end + 1),
        None if rest.len() > MAX_MESSAGE_BYTES => Frame::TooLong(rest.len()),
        None => Frame::Incomplete,
    }
}
