//! Columns as bytes: moments as integers, values as floats. Made for short columns, since a series has some hundred samples
//! when its block is written (docs/adr/0007 has the figures).

mod bits;
pub(crate) mod floats;
pub(crate) mod integers;
