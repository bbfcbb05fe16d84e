//! Pages real and damaged.

use super::*;
use crate::shared_data;
use proptest::prelude::*;
use tandem_domain::{Timestamp, series::MetricType};

fn described(page: &Page<'_>) -> Vec<SeriesDescription> {
    page.samples.iter().map(|sample| page.describe(sample).expect("described")).collect()
}

fn one(text: &str, format: Format) -> (SeriesDescription, f64, Option<Timestamp>) {
    let page = parse(text.as_bytes(), format).expect("a page");
    assert_eq!((page.rejected, page.samples.len()), (0, 1), "{:?}", page.rejections);
    (described(&page).remove(0), page.samples[0].value, page.samples[0].at)
}

#[test]
fn labels_escapes_and_odd_values_are_read() {
    let (series, value, at) = one("m{a=\"x\\\"y\\\\z\\n\", b=\"\" ,c=\"1\",} +Inf 1700000000123", Format::Text);
    assert_eq!(series.labels.get("a"), Some("x\"y\\z\n"));
    assert_eq!(series.labels.get("b"), None);
    assert_eq!((value, at), (f64::INFINITY, Some(Timestamp(1_700_000_000_123))));
    assert!(one("m NaN", Format::Text).1.is_nan());
    assert_eq!(one("{\"a metric\", \"a label\"=\"x\"} 1", Format::Text).0.metric, "a metric");
}

#[test]
fn moments_are_of_the_unit_of_their_format_however_large() {
    assert_eq!(one("m 1 1700000000", Format::Text).2, Some(Timestamp(1_700_000_000)));
    assert_eq!(one("m 1 1700000000", Format::OpenMetrics).2, Some(Timestamp(1_700_000_000_000)));
    assert_eq!(one("m 1 1.5", Format::OpenMetrics).2, Some(Timestamp(1_500)));
    assert_eq!(parse(b"a 1\nm 1 1.5", Format::Text).expect("a page").rejected, 1);
    let header = |value| Format::of(Some(value));
    assert_eq!(header("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics);
    assert_eq!((header("text/plain; version=0.0.4"), Format::of(None)), (Format::Text, Format::Text));
}

#[test]
fn what_is_declared_is_told_without_escapes_and_a_change_of_it_is_seen() {
    let text = "# HELP a  One \\\\ two\\nthree \\\"four\\\" \\x.\n# TYPE a counter\n# HELP b\n# UNIT c_seconds seconds\na_total 1\nd 2\n";
    let page = parse(text.as_bytes(), Format::OpenMetrics).expect("a page");
    let mut told: Vec<_> = page.declared().collect();
    told.sort_by_key(|one| one.family);
    let told: Vec<_> = told.iter().map(|one| (one.family, one.metric_type, one.unit, one.help.as_ref())).collect();
    assert_eq!(
        told,
        [
            ("a", MetricType::Counter, "", "One \\ two\nthree \"four\" \\x."),
            ("b", MetricType::Unknown, "", ""),
            ("c_seconds", MetricType::Unknown, "seconds", ""),
        ]
    );
    let numbers = |text: &str| {
        let page = parse(text.as_bytes(), Format::Text).expect("a page");
        (page.declarations(), page.texts())
    };
    let (first, same, other) =
        (numbers("# HELP a x\na 1\n"), numbers("# HELP a x\na 2\n"), numbers("# HELP a y\na 1\n"));
    assert_eq!((first, first.0), (same, other.0));
    assert_ne!(first.1, other.1, "a help alone describes no series anew");
}

#[test]
fn exemplars_are_read_with_their_moments() {
    let text = b"# TYPE c counter\nc_total{a=\" # \"} 1 2 # {trace_id=\"x\"} 0.5 1.25\n# EOF\n";
    let page = parse(text, Format::OpenMetrics).expect("a page");
    let exemplar = page.samples[0].exemplar.as_deref().expect("an exemplar");
    assert_eq!(
        (exemplar.labels.get("trace_id"), exemplar.value, exemplar.at),
        (Some("x"), 0.5, Some(Timestamp(1_250)))
    );
    assert_eq!(page.samples[0].at, Some(Timestamp(2_000)));
    assert_eq!(check(text, Format::OpenMetrics), Ok(Verdict { families: 1, samples: 1 }));
}

#[test]
fn parts_of_histograms_carry_the_type_and_a_plain_count_does_not() {
    let page = parse(
        b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 1\nother_count 3\n# TYPE c counter\nc_total 1\n",
        Format::Text,
    )
    .expect("a page");
    let types: Vec<MetricType> = described(&page).iter().map(|series| series.metric_type).collect();
    use MetricType::{Counter, Histogram, Unknown};
    assert_eq!(types, [Histogram, Histogram, Histogram, Unknown, Counter]);
}

#[test]
fn a_bad_line_costs_itself_and_is_told() {
    let text = b"good 1\nbad{a=\"1\" 2\nalso_bad\n1bad 3\ntwice{a=\"1\",a=\"2\"} 1\ngood 2\n";
    let page = parse(text, Format::Text).expect("a page");
    assert_eq!(page.samples.len(), 3);
    let lines: Vec<usize> = page.rejections.iter().map(|rejection| rejection.line).collect();
    assert_eq!(lines, [2, 3, 4]);
    let twice = page.describe(&page.samples[1]).expect_err("refused when it is asked for");
    assert_eq!(twice.line, 5);
    assert!(twice.reason.contains("twice"), "{twice:?}");
}

#[test]
fn what_is_no_page_is_refused() {
    let error = parse(b"<html>\n<body>Not found</body>", Format::Text).expect_err("no page");
    assert_eq!(error.line, 1);
    assert!(parse(b"", Format::Text).expect("empty is a page").samples.is_empty());
}

/// Families and samples of a page that must be taken whole.
fn counts(bytes: &[u8], format: Format) -> (usize, usize) {
    let page = parse(bytes, format).expect("a page");
    assert_eq!(page.rejected, 0, "{:?}", page.rejections);
    assert_eq!(described(&page).len(), page.samples.len());
    (page.families(), page.samples.len())
}

#[test]
fn real_pages_are_read_whole() {
    let pages = [
        ("node-exporter-fixtures/collector/fixtures/e2e-output.txt", Format::Text, Some((1_228, 3_027))),
        ("prometheus-common-expfmt/expfmt/testdata/text", Format::Text, Some((37, 248))),
        ("prometheus-testdata/model/textparse/testdata/alltypes.237mfs.prom.txt", Format::Text, Some((237, 1_857))),
        ("prometheus-testdata/model/textparse/testdata/1histogram.om.txt", Format::OpenMetrics, Some((1, 42))),
        ("captures/scrapes/node_exporter_1.5.0_scrape.prom", Format::Text, None),
    ];
    for (part, format, expected) in pages {
        let Some(path) = shared_data::path(part) else { continue };
        let bytes = std::fs::read(path).expect("readable");
        let verdict = check(&bytes, format).unwrap_or_else(|fault| panic!("{part}: {fault}"));
        let found = counts(&bytes, format);
        assert_eq!((verdict.families, verdict.samples), found, "{part}");
        assert_eq!(found, expected.unwrap_or(found), "{part}");
    }
    if let Some(path) = shared_data::path("prometheus-testdata/model/textparse/testdata/alltypes.5mfs.om.txt") {
        let bytes = std::fs::read(path).expect("readable");
        assert_eq!(counts(&bytes, Format::OpenMetrics).0, 5);
        let fault = check(&bytes, Format::OpenMetrics).expect_err("a negative sum, which Prometheus takes");
        assert!(fault.reason.contains("histogram_sum"), "{fault}");
    }
    if let Some(path) = shared_data::path("captures/scrapes/prometheus_2.42_self_scrape.openmetrics") {
        let bytes = std::fs::read(path).expect("readable");
        assert!(counts(&bytes, Format::OpenMetrics).1 > 500);
        let fault = check(&bytes, Format::OpenMetrics).expect_err("names that clash, which Prometheus takes");
        assert!(fault.reason.contains("go_memstats_alloc_bytes_total"), "{fault}");
    }
}

#[test]
fn the_openmetrics_corpus_is_judged_as_it_says() {
    let Some(folder) = shared_data::path("openmetrics-parsers/tests/testdata/parsers") else { return };
    let (mut good, mut bad, mut wrong) = (0, 0, Vec::new());
    for case in std::fs::read_dir(folder).expect("a folder") {
        let case = case.expect("an entry").path();
        let told = std::fs::read_to_string(case.join("test.json")).expect("readable");
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        let page = std::fs::read(case.join("metrics")).expect("readable");
        let verdict = check(&page, Format::OpenMetrics);
        match told["shouldParse"].as_bool() {
            Some(true) => good += 1,
            _ => bad += 1,
        }
        if Some(verdict.is_ok()) != told["shouldParse"].as_bool() {
            wrong.push(format!("{}: {verdict:?}", case.display()));
        } else if verdict.is_ok() {
            counts(&page, Format::OpenMetrics);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!((good, bad), (44, 167));
}

#[test]
fn the_text_corpus_is_judged_as_it_says() {
    let files = shared_data::files("prometheus-common-expfmt/expfmt/fuzz/corpus", "");
    let mut failing = 0;
    for (name, bytes) in &files {
        let verdict = check(bytes, Format::Text);
        assert_eq!(verdict.is_err(), name.contains("error"), "{name}: {verdict:?}");
        failing += usize::from(verdict.is_err());
    }
    assert!(files.is_empty() || failing == 20, "{failing} of 20");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in [Format::Text, Format::OpenMetrics] {
            let _ = (parse(&bytes, format), check(&bytes, format));
        }
    }

    #[test]
    fn no_text_like_a_page_makes_it_panic(text in "([a-z_]{1,3}[{]?[a-z\"=,\\\\}]{0,12} ?[0-9.eN+-]{0,6} ?[0-9]{0,4}\n){0,8}") {
        for format in [Format::Text, Format::OpenMetrics] {
            if let Ok(page) = parse(text.as_bytes(), format) {
                page.samples.iter().for_each(|sample| drop(page.describe(sample)));
            }
            let _ = check(text.as_bytes(), format);
        }
    }

    #[test]
    fn what_is_written_is_read_back(name in "[a-z_][a-z0-9_]{0,10}", value in any::<f64>(), label in "\\PC{0,20}") {
        let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let (series, read, _) = one(&format!("{name}{{l=\"{escaped}\"}} {value:?}"), Format::Text);
        prop_assert_eq!(&series.metric, &name);
        prop_assert_eq!(series.labels.get("l").unwrap_or_default(), label);
        prop_assert!(read.to_bits() == value.to_bits() || value.is_nan());
    }
}
