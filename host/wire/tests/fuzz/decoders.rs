//! The decoders as targets: what is called, from which seeds, and how much memory a byte may cost.

use crate::{FREE_BYTES, Target, seeds};
use tandem_domain::Timestamp;
use tandem_wire::{
    alertmanager, compressed,
    exposition::{self, Format},
    influx,
    limits::WireLimits,
    otlp, prediction, remote_write,
    remote_write::Protocol,
    series_key::KeySeed,
    statsd, syslog,
};

const NOW: Timestamp = Timestamp(1_767_312_000_000);
const SEED: KeySeed = KeySeed(11);
/// What a target that opens compressed bodies may open, in bytes.
const OPENED: usize = 64 << 10;

fn with(mut own: Vec<Vec<u8>>, corpora: &[(&str, &str)]) -> Vec<Vec<u8>> {
    own.extend(corpora.iter().flat_map(|(part, wanted)| seeds::corpus(part, wanted)));
    own
}

fn page(bytes: &[u8], format: Format) -> usize {
    let judged = exposition::check(bytes, format).map_or(0, |verdict| verdict.samples);
    let Ok(page) = exposition::parse(bytes, format) else { return judged };
    let described = page.samples.iter().filter(|sample| page.describe(sample).is_ok()).count();
    assert!(page.rejections.len() <= page.rejected && page.families() <= bytes.len());
    described.max(judged)
}

pub fn exposition_text() -> Target {
    let corpora = [
        ("prometheus-common-expfmt/expfmt/fuzz/corpus", "test"),
        ("node-exporter-fixtures/collector/fixtures/textfile", ""),
        ("prometheus-testdata/model/textparse/testdata", "prom.txt"),
    ];
    let seeds = with(vec![seeds::PAGE.into()], &corpora);
    Target {
        name: "exposition_text",
        seeds,
        memory_factor: 200,
        free_bytes: FREE_BYTES,
        run: |bytes| page(bytes, Format::Text),
    }
}

pub fn exposition_openmetrics() -> Target {
    let seeds = with(vec![seeds::PAGE.into()], &[("openmetrics-parsers", "metrics")]);
    Target {
        name: "exposition_openmetrics",
        seeds,
        memory_factor: 200,
        free_bytes: FREE_BYTES,
        run: |bytes| page(bytes, Format::OpenMetrics),
    }
}

/// Decodes, describes every series, and looks that all ranges lie in their columns.
fn write_body(protocol: Protocol, bytes: &[u8]) -> usize {
    let limits = WireLimits::default();
    let Ok(body) = remote_write::decode(protocol, bytes, SEED, &limits) else { return 0 };
    assert_eq!(body.at.len(), body.value.len());
    let mut end = 0;
    for row in &body.series {
        assert_eq!(row.samples.start, end, "rows follow each other");
        end = row.samples.end;
        let _ = (&body.histograms[row.histograms.start as usize..row.histograms.end as usize], row.exemplars.len());
        let _ = body.describe(row, &limits);
    }
    assert_eq!(end as usize, body.at.len(), "every sample has its series");
    for (_, histogram) in &body.histograms {
        let classic = histogram.classic(2, 64);
        assert!(classic.windows(2).all(|pair| pair[0].0 < pair[1].0), "bounds rise: {classic:?}");
    }
    body.at.len() + body.histograms.len() + body.exemplars.len() + body.metadata.len()
}

pub fn remote_write_1() -> Target {
    let opened = seeds::corpus("captures/remote_write", "snappy.pb").into_iter().take(8);
    let opened = opened.filter_map(|body| compressed::open_snappy(&body, 8 << 20).ok());
    let seeds = std::iter::once(seeds::remote_write(Protocol::V1)).chain(opened).collect();
    Target {
        name: "remote_write_1",
        seeds,
        memory_factor: 400,
        free_bytes: FREE_BYTES,
        run: |bytes| write_body(Protocol::V1, bytes),
    }
}

pub fn remote_write_2() -> Target {
    let other: &[u8] = include_bytes!("../../src/remote_write/fixtures/remote_write_2.pb");
    let seeds = vec![seeds::remote_write(Protocol::V2), other.to_vec()];
    Target {
        name: "remote_write_2",
        seeds,
        memory_factor: 400,
        free_bytes: FREE_BYTES,
        run: |bytes| write_body(Protocol::V2, bytes),
    }
}

pub fn snappy() -> Target {
    let own = compressed::pack_snappy(&b"abcabcabc".repeat(99)).expect("short");
    let seeds = with(vec![own], &[("captures/remote_write", "snappy.pb")]);
    let run = |bytes: &[u8]| compressed::open_snappy(bytes, OPENED).map_or(0, |opened| opened.len().max(1));
    Target { name: "snappy", seeds, memory_factor: 30, free_bytes: FREE_BYTES, run }
}

pub fn gzip() -> Target {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&b"abcabcabc".repeat(99)).expect("to memory");
    let seeds = with(vec![packed.finish().expect("to memory")], &[("captures/influx", "07_api_v2_write.body")]);
    let run = |bytes: &[u8]| compressed::open_gzip(bytes, OPENED).map_or(0, |opened| opened.len().max(1));
    Target { name: "gzip", seeds, memory_factor: 30, free_bytes: FREE_BYTES, run }
}

fn otlp_metrics(encoding: otlp::Encoding, bytes: &[u8]) -> usize {
    let options = otlp::Options { promote: vec!["a.b".into()], scope_labels: true };
    let Ok(batch) = otlp::decode_metrics(encoding, bytes, &options, SEED, &WireLimits::default()) else { return 0 };
    let mut accumulator = otlp::Accumulator::new(100);
    for row in &batch.samples {
        assert!((row.resource as usize) < batch.resources.len());
        let _ = accumulator.add(row.key, row.at, row.value);
    }
    for row in &batch.histograms {
        let _ = accumulator.add_histogram(row.key, row.at, row.histogram.clone());
        if let Ok(total) = accumulator.add_histogram(row.key, row.at.plus_millis(1), row.histogram.clone()) {
            let _ = tandem_wire::classic::classic_series(&total);
        }
    }
    batch.samples.len() + batch.histograms.len()
}

pub fn otlp_metrics_protobuf() -> Target {
    let seeds = with(seeds::otlp_metrics_protobuf(), &[("captures/otlp", "00_v1_metrics.body")]);
    let run = |bytes: &[u8]| otlp_metrics(otlp::Encoding::Protobuf, bytes);
    Target { name: "otlp_metrics_protobuf", seeds, memory_factor: 800, free_bytes: FREE_BYTES, run }
}

pub fn otlp_metrics_json() -> Target {
    let seeds = with(vec![seeds::OTLP_METRICS.into()], &[("otlp/examples", "metrics.json")]);
    let run = |bytes: &[u8]| otlp_metrics(otlp::Encoding::Json, bytes);
    Target { name: "otlp_metrics_json", seeds, memory_factor: 400, free_bytes: FREE_BYTES, run }
}

fn otlp_logs(encoding: otlp::Encoding, bytes: &[u8]) -> usize {
    let Ok(batch) = otlp::decode_logs(encoding, bytes, NOW, &WireLimits::default()) else { return 0 };
    assert!(batch.entries.iter().all(|(resource, _)| (*resource as usize) < batch.resources.len()));
    batch.entries.len()
}

pub fn otlp_logs_protobuf() -> Target {
    let seeds = with(vec![seeds::otlp_logs_protobuf()], &[("captures/otlp", "v1_logs.body")]);
    let run = |bytes: &[u8]| otlp_logs(otlp::Encoding::Protobuf, bytes);
    Target { name: "otlp_logs_protobuf", seeds, memory_factor: 800, free_bytes: FREE_BYTES, run }
}

pub fn otlp_logs_json() -> Target {
    let corpora = [("otlp/examples", "logs.json"), ("otlp/examples", "events.json")];
    let run = |bytes: &[u8]| otlp_logs(otlp::Encoding::Json, bytes);
    let seeds = with(vec![seeds::OTLP_LOGS.into()], &corpora);
    Target { name: "otlp_logs_json", seeds, memory_factor: 400, free_bytes: FREE_BYTES, run }
}

pub fn influx() -> Target {
    let run = |bytes: &[u8]| {
        let batch = influx::decode(bytes, influx::Precision::Milliseconds, NOW, SEED, &WireLimits::default());
        for point in influx::points(bytes, influx::Precision::Nanoseconds).flatten() {
            let mut line = String::new();
            let _ = influx::encode(&point, influx::Precision::Nanoseconds, &mut line);
        }
        batch.samples.len()
    };
    let seeds = with(vec![seeds::INFLUX.into()], &[("captures/influx", "06_api_v2_write.body")]);
    Target { name: "influx", seeds, memory_factor: 300, free_bytes: FREE_BYTES, run }
}

pub fn statsd() -> Target {
    let run = |bytes: &[u8]| {
        let mut held = statsd::Aggregator::new(SEED, WireLimits::default(), 50);
        let applied = statsd::lines(bytes).flatten().filter(|line| held.apply(line, NOW).is_ok()).count();
        let flush = held.flush(NOW);
        for (_, _, histogram) in &flush.histograms {
            let _ = tandem_wire::classic::classic_series(histogram);
        }
        assert!(flush.samples.len() + flush.histograms.len() <= 50);
        applied
    };
    Target { name: "statsd", seeds: vec![seeds::STATSD.into()], memory_factor: 200, free_bytes: FREE_BYTES, run }
}

pub fn syslog() -> Target {
    let run = |bytes: &[u8]| {
        let found = syslog::frames(bytes);
        assert!(found.consumed <= bytes.len() && found.discarded <= found.consumed);
        let read = |message: &&[u8]| syslog::parse(message, NOW, &WireLimits::default()).is_ok();
        let _ = syslog::parse(bytes, NOW, &WireLimits::default());
        found.messages.iter().filter(|message| read(message)).count()
    };
    Target { name: "syslog", seeds: vec![seeds::SYSLOG.into()], memory_factor: 200, free_bytes: FREE_BYTES, run }
}

pub fn alertmanager_post() -> Target {
    let run = |bytes: &[u8]| {
        alertmanager::posted(bytes, NOW, &WireLimits::default()).map_or(0, |notices| notices.alerts.len())
    };
    let corpora = [("captures/alertmanager", "alertmanager_api_v2_alerts.json")];
    let seeds = with(vec![seeds::ALERTS.into()], &corpora);
    Target { name: "alertmanager_post", seeds, memory_factor: 300, free_bytes: FREE_BYTES, run }
}

pub fn alertmanager_webhook() -> Target {
    let run = |bytes: &[u8]| {
        alertmanager::webhook(bytes, NOW, &WireLimits::default()).map_or(0, |webhook| webhook.notices.alerts.len())
    };
    let seeds = with(vec![seeds::WEBHOOK.into()], &[("captures/alertmanager", "_alertmanager.json")]);
    Target { name: "alertmanager_webhook", seeds, memory_factor: 300, free_bytes: FREE_BYTES, run }
}

pub fn predictions() -> Target {
    let run = |bytes: &[u8]| {
        let moment = |text: &str| text.len().try_into().ok().map(Timestamp);
        let labels = prediction::labels(bytes, NOW, moment).items.len();
        prediction::predictions(bytes, NOW, moment).items.len().max(labels)
    };
    Target {
        name: "predictions",
        seeds: vec![seeds::PREDICTIONS.into()],
        memory_factor: 300,
        free_bytes: FREE_BYTES,
        run,
    }
}
