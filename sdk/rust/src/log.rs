//! Lines for the operator. In a native test they go to standard error.

use crate::bindings::imports::tandem::plugin::log::Level;

/// What a line may be long, in bytes; the host asks for lines short of 4 KiB.
const MAX_LINE_BYTES: usize = 4000;

/// For the plugin's author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// What happened in the ordinary course.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something was left out or is not as it should be.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// The plugin cannot do its work.
pub fn error(message: &str) {
    write(Level::Error, message);
}

fn write(level: Level, message: &str) {
    let mut end = message.len().min(MAX_LINE_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let message = &message[..end];
    #[cfg(target_arch = "wasm32")]
    crate::bindings::imports::tandem::plugin::log::write(level, message);
    #[cfg(not(target_arch = "wasm32"))]
    eprintln!("{level:?}: {message}");
}
