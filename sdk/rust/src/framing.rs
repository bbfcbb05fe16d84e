//! The frame around a snapshot: one byte for the version of this frame, then the plugin's own versioned bytes.

use crate::types::Failure;

/// The version of the frame itself, apart from the plugin's own. A change of it refuses older snapshots.
const FRAME_VERSION: u8 = 1;

/// The plugin's bytes in a frame.
pub fn wrap(state: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(1 + state.len());
    framed.push(FRAME_VERSION);
    framed.extend_from_slice(state);
    framed
}

/// The plugin's bytes out of a frame; `unsupported` when another version of the SDK wrote it.
pub fn unwrap(framed: &[u8]) -> Result<&[u8], Failure> {
    match framed.split_first() {
        Some((&FRAME_VERSION, state)) => Ok(state),
        Some((version, _)) => Err(Failure::unsupported(format!(
            "the snapshot's frame has version {version}, and this plugin reads version {FRAME_VERSION}; it must learn anew"
        ))),
        None => Err(Failure::malformed("the snapshot is empty; it must learn anew")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FailureCode;

    #[test]
    fn a_frame_gives_back_what_was_put_in() {
        assert_eq!(unwrap(&wrap(b"state")).expect("just wrapped"), b"state");
        assert_eq!(unwrap(&wrap(b"")).expect("an empty state is one too"), b"");
    }

    #[test]
    fn another_version_is_unsupported_and_nothing_is_malformed() {
        assert_eq!(unwrap(&[9, 1, 2]).expect_err("version 9").code, FailureCode::Unsupported);
        assert_eq!(unwrap(&[]).expect_err("no byte").code, FailureCode::Malformed);
    }
}
