//! What commands say. When the reader has gone (`tandem … | head`), the command ends without a word, as other filters do.

use std::{
    fmt::Arguments,
    io::{ErrorKind, Write},
};

/// Exit code when nobody reads the output any more: what shells tell of a program that SIGPIPE has ended (128 + 13). It is not 0,
/// since what was not said may have been a failure.
const READER_GONE: i32 = 141;
/// Exit code when the output cannot be written for another reason.
const FAILED: i32 = 1;

/// A line of output, as `println!` takes it.
macro_rules! say {
    ($($part:tt)*) => { $crate::cli::say::out(format_args!($($part)*)) };
}

/// A line for the one who watches, beside the output, as `eprintln!` takes it.
macro_rules! note {
    ($($part:tt)*) => { $crate::cli::say::beside(format_args!($($part)*)) };
}

/// A line of output. Ends the program where it cannot be written.
pub(super) fn out(line: Arguments<'_>) {
    match writeln!(std::io::stdout().lock(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(READER_GONE),
        Err(error) => {
            beside(format_args!("tandem: the output cannot be written: {error}"));
            std::process::exit(FAILED);
        }
    }
}

/// A line beside the output. What it is about goes on when nobody can read it.
pub(super) fn beside(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// A line of output of a server, which serves on when nobody reads it.
pub(super) fn of_server(line: Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}
