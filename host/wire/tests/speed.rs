//! How fast a remote-write body is opened, decoded and looked up on one core. Not run by itself:
//! `cargo test --release -p tandem-wire --test speed -- --ignored --nocapture`.

use std::{fmt::Write as _, time::Instant};
use tandem_domain::Timestamp;
use tandem_wire::{
    exposition::{Format, parse},
    limits::WireLimits,
    remote_write::{OutgoingSeries, Protocol, decode, encode, open},
    series_key::{KeyMap, KeySeed},
};

const SERIES: usize = 20_000;
const SERIES_PER_BODY: usize = 2_000;
const ROUNDS: usize = 20;

fn bodies(protocol: Protocol, samples: i64) -> Vec<Vec<u8>> {
    let texts: Vec<[String; 3]> = (0..SERIES)
        .map(|n| [format!("node_metric_{}_seconds_total", n % 200), format!("10.0.{}.7:9100", n / 200), format!("{n}")])
        .collect();
    let series: Vec<OutgoingSeries<'_>> = texts
        .iter()
        .map(|[name, instance, device]| OutgoingSeries {
            labels: vec![
                ("__name__", name.as_str()),
                ("cluster", "demo"),
                ("device", device.as_str()),
                ("instance", instance.as_str()),
                ("job", "node-exporter"),
                ("mode", "user"),
            ],
            samples: (0..samples).map(|n| (Timestamp(1_700_000_000_000 + n * 15_000), n as f64 * 1.5)).collect(),
            ..OutgoingSeries::default()
        })
        .collect();
    series.chunks(SERIES_PER_BODY).map(|part| encode(protocol, part).expect("short")).collect()
}

#[test]
#[ignore = "a measurement: run it in release"]
fn remote_write_bodies_are_decoded_fast() {
    let limits = WireLimits::default();
    let seed = KeySeed(0x5eed);
    for (protocol, samples) in [(Protocol::V1, 1), (Protocol::V1, 10), (Protocol::V2, 1), (Protocol::V2, 10)] {
        let begun = Instant::now();
        let bodies = bodies(protocol, samples);
        let written = (SERIES as f64 * samples as f64) / begun.elapsed().as_secs_f64() / 1e6;
        println!("{protocol:?}, {samples} samples a series: written at {written:.2} M samples/s, texts and all");
        let mut known: KeyMap<u64> = KeyMap::default();
        let (mut seen, mut bytes, mut opening) = (0_u64, 0_usize, 0.0);
        let mut sum = 0_u64;
        let mut elapsed = 0.0;
        for round in 0..=ROUNDS {
            let begun = Instant::now();
            for body in &bodies {
                let opened = Instant::now();
                let message = open(body, &limits).expect("snappy");
                let opened = opened.elapsed().as_secs_f64();
                let decoded = decode(protocol, &message, seed, &limits).expect("a message");
                for row in &decoded.series {
                    let next = known.len() as u64;
                    sum += *known.entry(row.key).or_insert(next) * row.samples.len() as u64;
                }
                // The first round meets every series for the first time, and warms up.
                if round > 0 {
                    seen += decoded.at.len() as u64;
                    bytes += message.len();
                    opening += opened;
                }
            }
            if round > 0 {
                elapsed += begun.elapsed().as_secs_f64();
            }
        }
        println!(
            "{protocol:?}, {samples} samples a series: {:.2} M samples/s, {:.0} MB/s, {:.0} % of it snappy ({sum})",
            seen as f64 / elapsed / 1e6,
            bytes as f64 / elapsed / 1e6,
            100.0 * opening / elapsed,
        );
        assert_eq!(known.len(), SERIES);
    }
}

#[test]
#[ignore = "a measurement: run it in release"]
fn metrics_pages_are_parsed_fast() {
    let mut page = String::new();
    for n in 0..1_000 {
        let _ = writeln!(page, "node_metric_{}_total{{device=\"sd{n}\",mode=\"user\",instance=\"a\"}} {}.5", n / 20, n);
    }
    let begun = Instant::now();
    let mut keys = 0_u128;
    for _ in 0..2_000 {
        let parsed = parse(page.as_bytes(), Format::Text).expect("a page");
        keys ^= parsed.samples.iter().fold(0, |all, sample| all ^ sample.key(KeySeed(1)).0);
    }
    println!("pages: {:.2} M samples/s with keys ({keys})", 2.0 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let mut labels = 0;
    for _ in 0..200 {
        let parsed = parse(page.as_bytes(), Format::Text).expect("a page");
        let described = parsed.samples.iter().map(|sample| parsed.describe(sample).expect("described"));
        labels += described.map(|series| series.labels.len()).sum::<usize>();
    }
    println!("pages: {:.2} M samples/s with every series described ({labels})", 0.2 / begun.elapsed().as_secs_f64());
}
