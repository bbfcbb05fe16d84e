//! Numbers as Prometheus writes them.

/// A number as a text: without exponent, infinities and NaN as `+Inf`, `-Inf` and `NaN`.
pub fn number_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    value.to_string()
}
