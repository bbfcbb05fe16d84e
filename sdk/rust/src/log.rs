//! Lines for the operator. In a native test they go to standard error.

use crate::bindings::imports::tandem::plugin::log::Level;

/// What a line may be long, in bytes; the host asks for lines short of 4 KiB.
const MAX_LINE_BYTES: usize = 4000;

/// For the plugin's author.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// What happened in the ordinary course.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// Something was left out or is not as it should be.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message.as_ref());
}

/// The plugin cannot do its work.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
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
