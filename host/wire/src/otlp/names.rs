//! Names and units as Prometheus' own OTLP endpoint writes them (translation "underscores with suffixes").
//!
//! Specification: OpenTelemetry's "Prometheus and OpenMetrics compatibility".

/// Units by their UCUM code.
const UNITS: [(&str, &str); 29] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("kBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("bit", "bits"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("K", "kelvin"),
];

/// What stands below a stroke.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("min", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month")];

/// What a metric is, as far as its name depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// Ends with `_total`.
    Counter,
    /// With unit `1` ends with `_ratio`.
    Gauge,
    /// Has no suffix of its own.
    Other,
    /// Was scraped from a Prometheus endpoint, whose names are whole: it stays as it was there.
    Scraped,
}

/// The scope under which OpenTelemetry's collector passes on what it scraped.
const SCRAPING_SCOPE: &str = "/receiver/prometheusreceiver";
/// The metadata by which a metric says of which Prometheus type it was.
const PROMETHEUS_TYPE: &str = "prometheus.type";

/// Whether a scope passes on what was scraped from Prometheus endpoints.
pub(super) fn is_scraping(scope: &str) -> bool {
    scope.ends_with(SCRAPING_SCOPE)
}

/// Whether a key of a metric's metadata tells that it was scraped from a Prometheus endpoint.
pub(super) fn tells_prometheus(key: &str) -> bool {
    key == PROMETHEUS_TYPE
}

fn known(units: &[(&'static str, &'static str)], code: &str) -> String {
    match units.iter().find(|(known, _)| *known == code) {
        Some((_, word)) => (*word).to_owned(),
        None => tokens(code).collect::<Vec<_>>().join("_"),
    }
}

fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|token| !token.is_empty())
}

/// The unit in words, main and per part: `By/s` is `bytes` and `per_second`. Annotations in braces say nothing.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let plain = |part: &str| if part.contains(['{', '}']) { String::new() } else { part.trim().to_owned() };
    let main = known(&UNITS, &plain(main));
    let per = known(&PER, &plain(per));
    (main, if per.is_empty() { per } else { format!("per_{per}") })
}

/// The unit as one word, such as `bytes_per_second`; empty where it says nothing.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    [main, per].iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join("_")
}

/// The name of a metric's family.
pub(super) fn metric(name: &str, unit: &str, naming: Naming) -> String {
    if naming == Naming::Scraped {
        return as_scraped(name);
    }
    let mut words: Vec<String> = tokens(name).map(str::to_owned).collect();
    let (main, per) = unit_words(unit);
    for suffix in [main, per] {
        let has = suffix.split('_').all(|part| words.iter().any(|word| word == part));
        if !suffix.is_empty() && !has {
            words.push(suffix);
        }
    }
    let suffix = match naming {
        Naming::Counter => "total",
        Naming::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    if !suffix.is_empty() {
        words.retain(|word| word != suffix);
        words.push(suffix.to_owned());
    }
    let joined = words.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) { format!("_{joined}") } else { joined }
}

/// A name that is one of Prometheus' already; what could not be written in one becomes `_`, as scraping has it.
fn as_scraped(name: &str) -> String {
    let escaped = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' });
    let escaped: String = escaped.collect();
    if escaped.starts_with(|c: char| c.is_ascii_digit()) { format!("_{escaped}") } else { escaped }
}

/// The name of a label. Names that begin with `_` (of which Prometheus keeps some for itself) or a digit get a word before.
pub(super) fn label(name: &str) -> String {
    let escaped: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    match escaped.as_bytes() {
        [] => escaped,
        [b'0'..=b'9', ..] => format!("key_{escaped}"),
        [b'_', ..] => format!("key{escaped}"),
        _ => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_named_as_prometheus_names_them() {
        for (name, of, naming, expected) in [
            ("http.server.requests", "{request}", Naming::Counter, "http_server_requests_total"),
            ("http.server.duration", "ms", Naming::Other, "http_server_duration_milliseconds"),
            ("gpu.temperature", "Cel", Naming::Gauge, "gpu_temperature_celsius"),
            ("system.io", "By/s", Naming::Other, "system_io_bytes_per_second"),
            ("system.filesystem.utilization", "1", Naming::Gauge, "system_filesystem_utilization_ratio"),
            ("my.total.count", "1", Naming::Counter, "my_count_total"),
            ("process.memory.bytes", "By", Naming::Gauge, "process_memory_bytes"),
            ("5xx..errors", "", Naming::Other, "_5xx_errors"),
            ("foo.bar", "widgets/fortnight", Naming::Other, "foo_bar_widgets_per_fortnight"),
            ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "", Naming::Scraped, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
            ("job:up:sum", "1", Naming::Scraped, "job:up:sum"),
            ("__weird__name", "s", Naming::Scraped, "__weird__name"),
            ("5.x", "s", Naming::Scraped, "_5_x"),
        ] {
            assert_eq!(metric(name, of, naming), expected);
        }
        assert_eq!([unit("By/s"), unit("{x}"), unit("1"), unit("s")], ["bytes_per_second", "", "", "seconds"]);
        let labels = ["http.status_code", "1st", "__name__", "_x", "k8s.pod/name"].map(label);
        assert_eq!(labels, ["http_status_code", "key_1st", "key__name__", "key_x", "k8s_pod_name"]);
    }
}
