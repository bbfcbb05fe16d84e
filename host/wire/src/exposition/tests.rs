//! Pages real and damaged.

use super::*;
use proptest::prelude::*;

fn one(text: &str) -> Sample {
    let mut page = parse(text.as_bytes()).expect("a page");
    assert_eq!(page.rejected, 0, "{:?}", page.rejections);
    page.samples.pop().expect("a sample")
}

#[test]
fn labels_escapes_moments_and_odd_values_are_read() {
    let sample = one("m{a=\"x\\\"y\\\\z\\n\", b=\"\" ,c=\"1\",} +Inf 1700000000123");
    assert_eq!(sample.series.labels.get("a"), Some("x\"y\\z\n"));
    assert_eq!(sample.series.labels.get("b"), None);
    assert_eq!(sample.value, f64::INFINITY);
    assert_eq!(sample.at, Some(Timestamp(1_700_000_000_123)));
    assert_eq!(one("m 1e3 1700000000.5 # {trace=\"1\"} 1").at, Some(Timestamp(1_700_000_000_500)));
    assert!(one("m NaN").value.is_nan());
    assert_eq!(one("{\"a metric\", \"a label\"=\"x\"} 1").series.metric, "a metric");
}

#[test]
fn parts_of_histograms_carry_the_type_and_a_plain_count_does_not() {
    let page = parse(
        b"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 2\nh_count 1\nother_count 3\n# TYPE c counter\nc_total 1\n",
    )
    .expect("a page");
    let types: Vec<MetricType> = page.samples.iter().map(|sample| sample.series.metric_type).collect();
    use MetricType::{Counter, Histogram, Unknown};
    assert_eq!(types, [Histogram, Histogram, Histogram, Unknown, Counter]);
}

#[test]
fn a_bad_line_costs_itself_and_is_told() {
    let page = parse(b"good 1\nbad{a=\"1\" 2\nalso_bad\n1bad 3\ntwice{a=\"1\",a=\"2\"} 1\ngood 2\n").expect("a page");
    assert_eq!(page.samples.len(), 2);
    let lines: Vec<usize> = page.rejections.iter().map(|rejection| rejection.line).collect();
    assert_eq!(lines, [2, 3, 4, 5]);
    assert!(page.rejections[3].reason.contains("twice"), "{:?}", page.rejections[3]);
}

#[test]
fn what_is_no_page_is_refused() {
    let error = parse(b"<html>\n<body>Not found</body>").expect_err("no page");
    assert_eq!(error.line, 1);
    assert!(parse(b"").expect("empty is a page").samples.is_empty());
}

#[test]
fn real_pages_are_read_whole() {
    let shared = std::env::var("TANDEM_SHARED")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared").into());
    let path = format!("{shared}/data/node-exporter-fixtures/collector/fixtures/e2e-output.txt");
    let path = if std::path::Path::new(&path).exists() {
        path
    } else {
        format!("{shared}/data/node-exporter-fixtures/collector/fixtures/e2e-64k-page-output.txt")
    };
    let Ok(bytes) = std::fs::read(&path) else {
        eprintln!("skipped: the shared data is absent ({path}); set TANDEM_SHARED to its folder");
        return;
    };
    let page = parse(&bytes).expect("a page");
    assert_eq!(page.rejected, 0, "{:?}", page.rejections);
    assert!(
        page.samples.len() > 2_500 && page.families > 1_000,
        "{} samples of {} families",
        page.samples.len(),
        page.families
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_text_like_a_page_makes_it_panic(text in "([a-z_]{1,3}[{]?[a-z\"=,\\\\}]{0,12} ?[0-9.eN+-]{0,6} ?[0-9]{0,4}\n){0,8}") {
        let _ = parse(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_back(name in "[a-z_][a-z0-9_]{0,10}", value in any::<f64>(), label in "\\PC{0,20}") {
        let escaped = label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let sample = one(&format!("{name}{{l=\"{escaped}\"}} {value:?}"));
        prop_assert_eq!(&sample.series.metric, &name);
        prop_assert_eq!(sample.series.labels.get("l").unwrap_or_default(), label);
        prop_assert!(sample.value.to_bits() == value.to_bits() || value.is_nan());
    }
}
