//! The runtime on guests written by hand in WebAssembly text, so that no guest toolchain is needed to see it work: what
//! the loader says, how detectors are sharded and repaired, what deadlines and limits do.

mod detectors;
mod loading;
mod support;
