//! The `tandem` server: configuration, wiring, command line. Everything else lies in the rooms.

// They panic when nobody reads any more; what is said goes through `cli::say`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bundled;
pub mod cli;
mod clock;
pub mod config;
pub mod descriptors;
mod forwards;
mod grants;
mod metrics;
mod rooms;
pub mod rules;
mod running;
mod serve;

pub use clock::SystemClock;
pub use rooms::{Rooms, Settled};
pub use serve::{Server, ServerOptions, StartError};
