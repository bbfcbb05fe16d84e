//! Quiet and watchful on the real series of the Numenta Anomaly Benchmark, where the shared data are there.

use detector_robust::Robust;
use std::path::{Path, PathBuf};
use tandem_sdk::{
    detector::{Frame, Group, Member, Watched},
    types::MetricType,
};

/// Odd stretches per thousand points; the figures in README.md have 1.06.
const MAX_STRETCHES_PER_THOUSAND: f64 = 1.3;
/// Of the labelled windows, how many must hold an odd point; 40 of 57 do.
const MIN_WINDOWS_HIT: usize = 35;
/// Points without an odd one that end a stretch.
const QUIET_POINTS: usize = 6;

fn csv_files(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            csv_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "csv") {
            found.push(path);
        }
    }
    found.sort();
}

fn scores(values: Vec<f64>) -> Vec<f64> {
    let member = Member {
        name: "x".into(),
        unit: String::new(),
        metric_type: MetricType::Gauge,
        entity: "host:a".into(),
        dimensions: vec![],
        fault_rules: vec![],
    };
    let mut watch = Watched::<Robust>::open("{}").unwrap();
    watch.join(vec![Group { id: 1, members: vec![member] }], vec![]).unwrap();
    let at = (0..values.len() as i64).map(|i| i * 300_000).collect();
    let answer = watch.observe(vec![Frame { group: 1, at, value: values }]).unwrap();
    answer.scores[0].score.clone()
}

#[test]
fn real_series_raise_few_alarms_and_most_labelled_windows_are_hit() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let folder = PathBuf::from(std::env::var("TANDEM_SHARED").unwrap_or_else(|_| default.into())).join("data/nab");
    let Ok(labels) = std::fs::read_to_string(folder.join("combined_windows.json")) else {
        println!("SKIPPED: no benchmark data at {}; set TANDEM_SHARED to check against them", folder.display());
        return;
    };
    let labels: serde_json::Value = serde_json::from_str(&labels).unwrap();
    let mut files = Vec::new();
    csv_files(&folder.join("data"), &mut files);
    let (mut points, mut stretches, mut windows, mut hit) = (0, 0, 0, 0);
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let rows: Vec<(&str, f64)> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(','))
            .map(|(at, v)| (at, v.parse().unwrap()))
            .collect();
        let scores = scores(rows.iter().map(|row| row.1).collect());
        let odd: Vec<usize> = (0..scores.len()).filter(|i| scores[*i] >= 1.0).collect();
        points += rows.len();
        stretches +=
            odd.windows(2).filter(|pair| pair[1] - pair[0] > QUIET_POINTS).count() + usize::from(!odd.is_empty());
        let name = file.strip_prefix(folder.join("data")).unwrap().to_str().unwrap();
        for window in labels[name].as_array().into_iter().flatten() {
            let (from, to) = (window[0].as_str().unwrap(), window[1].as_str().unwrap());
            windows += 1;
            hit += usize::from(odd.iter().any(|i| (&from[..19]..=&to[..19]).contains(&rows[*i].0)));
        }
    }
    let rate = stretches as f64 * 1_000.0 / points as f64;
    println!("{points} points, {stretches} odd stretches ({rate:.2} per 1,000), {hit} of {windows} windows hit");
    assert!(rate <= MAX_STRETCHES_PER_THOUSAND, "{rate}");
    assert!(hit >= MIN_WINDOWS_HIT, "{hit} of {windows}");
}
