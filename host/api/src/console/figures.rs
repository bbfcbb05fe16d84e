//! Numbers with their units, in a size people read.

/// Prefixes of bytes, each 1,024 times the one before.
const BINARY: [&str; 6] = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];

/// A value in a unit; `name` tells a share from a count where the unit does not.
pub(super) fn show(name: &str, unit: &str, number: f64) -> String {
    match unit {
        "share" => format!("{:.1} %", number * 100.0),
        "1" if is_share(name) => format!("{:.1} %", number * 100.0),
        "1" => plain(number),
        "By" | "By/s" => {
            let step = ((number.abs().max(1.0).log2() / 10.0) as usize).min(BINARY.len() - 1);
            format!("{:.1} {}{}", number / 1_024_f64.powi(step as i32), BINARY[step], unit.replacen("By", "B", 1))
        }
        "Cel" => format!("{number:.1} °C"),
        "s" if number.abs() < 1.0 && number != 0.0 => format!("{:.3} ms", number * 1_000.0).replace(".000 ", " "),
        _ => format!("{} {}", plain(number), unit.replace(['{', '}'], "")).trim_end().to_owned(),
    }
}

/// A number without needless digits.
fn plain(number: f64) -> String {
    let size = number.abs();
    if number.fract() == 0.0 && size < 1e6 {
        format!("{number:.0}")
    } else if size >= 1e6 {
        let step = ((size.log10() / 3.0) as usize).min(4);
        format!("{:.2} {}", number / 1_000_f64.powi(step as i32), ["", "k", "M", "G", "T"][step])
    } else if size >= 0.01 {
        format!("{number:.2}")
    } else {
        format!("{number:.2e}")
    }
}

/// Whether a number without a unit is a share of a whole; a load or a count is none.
fn is_share(name: &str) -> bool {
    const SHARES: [&str; 6] = [".utilization", ".usage", ".charge", ".efficiency", ".duty", "ups.load"];
    SHARES.iter().any(|share| name.ends_with(share))
}

/// The unit of a rate: seconds per second are a share.
pub(super) fn rate_unit(unit: &str) -> String {
    match unit {
        "s" => "share".into(),
        "1" => "/s".into(),
        unit => format!("{unit}/s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_a_size_people_read() {
        let shown = |value, unit| show("gpu.utilization", unit, value);
        assert_eq!(shown(0.256, "1"), "25.6 %");
        assert_eq!(shown(3.0 * 1024.0 * 1024.0, "By"), "3.0 MiB");
        assert_eq!(shown(0.0, "By/s"), "0.0 B/s");
        assert_eq!(shown(41.0, "Cel"), "41.0 °C");
        assert_eq!(shown(7.0, "{request}"), "7 request");
        assert_eq!(shown(7.5, "{request}/s"), "7.50 request/s");
        assert_eq!(shown(0.25, "s"), "250 ms");
        assert_eq!(shown(12_345_678.0, "{request}"), "12.35 M request");
        assert_eq!(show("host.load.1m", "1", 1.5), "1.50");
        assert_eq!((rate_unit("By"), rate_unit("s")), ("By/s".to_owned(), "share".to_owned()));
    }
}
