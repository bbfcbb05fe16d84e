//! The components inside the binary.

/// Name and bytes of every bundled component.
pub const COMPONENTS: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

/// What the catalogue shows as the origin of a bundled plugin.
pub const ORIGIN: &str = "bundled";
