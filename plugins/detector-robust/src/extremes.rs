//! The larger and the smaller of two numbers that are no NaN. `f64::max` and `f64::min` answer the other number for a NaN,
//! for which WebAssembly has no instruction: each would be a call of a function, a dozen of them for every point.

/// The larger of two numbers, neither of which is NaN.
#[inline(always)]
pub fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, neither of which is NaN.
#[inline(always)]
pub fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}
