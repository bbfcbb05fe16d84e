//! The metric as the host uses it, against the values of NumPy and of Evidently 0.7.23's own binning function.

use super::*;

/// Sizes, shift and scale of the second sample, index over deciles, index by Evidently. The samples are fractional parts of
/// multiples of the golden ratio and of √2.
const GOLDEN: &[(usize, usize, f64, f64, f64, f64)] = &[
    (300, 200, 0.2, 1.0, 1.1951586598562893, 1.8550989309425967),
    (1000, 900, 0.0, 1.0, 4.9384748410467206e-05, 0.00011781065096978991),
    (5000, 700, 0.05, 1.3, 0.4182997054613369, 1.6147214003978723),
    (997, 1003, 0.5, 0.5, 3.5660948661012473, 3.7006123930637607),
];
const GOLDEN_RATIO: f64 = 0.618_033_988_749_894_9;
const ROOT_TWO: f64 = 0.414_213_562_373_095_15;

fn weyl(count: usize, step: f64) -> impl Iterator<Item = f64> {
    (1..=count).map(move |i| (i as f64 * step) % 1.0)
}

fn column(column_type: ColumnType, categories: &[&str]) -> ColumnDescription {
    let categories = categories.iter().map(|category| (*category).to_owned()).collect();
    ColumnDescription { name: "x".into(), column_type, width: 1, categories }
}

fn chunk(values: Values) -> Chunk {
    Chunk { columns: vec![values] }
}

fn config(profile: Profile) -> Config {
    Config { profile, ..Config::default() }
}

/// Fits in parts, keeps, restores with the columns of the current sample, compares in parts.
fn run(config: &Config, columns: [&ColumnDescription; 2], reference: &[Values], current: &[Values]) -> Drift {
    let mut fitting = PopulationStability::fit(config, &[columns[0].clone()], 1).unwrap();
    for part in reference {
        PopulationStability::feed_reference(&mut fitting, &chunk(part.clone())).unwrap();
    }
    let fitted = PopulationStability::finish_reference(fitting).unwrap();
    let state = PopulationStability::save(&fitted);
    let restored = PopulationStability::load(config, &[columns[1].clone()], &state).unwrap();
    let mut comparison = PopulationStability::compare(&restored, 1).unwrap();
    for part in current {
        PopulationStability::feed_current(&mut comparison, &chunk(part.clone())).unwrap();
    }
    PopulationStability::finish_current(comparison).unwrap().remove(0)
}

fn numbers(profile: Profile, reference: &[f64], current: &[f64]) -> Drift {
    let column = column(ColumnType::Numeric, &[]);
    let parts = |values: &[f64]| values.chunks(97).map(|part| Values::Numbers(part.to_vec())).collect::<Vec<_>>();
    run(&config(profile), [&column, &column], &parts(reference), &parts(current))
}

fn near(value: f64, golden: f64) -> bool {
    (value - golden).abs() <= 1e-9 * golden
}

#[test]
fn both_profiles_equal_their_models() {
    for &(n, m, shift, scale, decile, evidently) in GOLDEN {
        let reference: Vec<f64> = weyl(n, GOLDEN_RATIO).collect();
        let current: Vec<f64> = weyl(m, ROOT_TWO).map(|v| v * scale + shift).collect();
        let found = numbers(Profile::Decile, &reference, &current);
        assert!(near(found.value, decile), "{n}: {} is not {decile}", found.value);
        assert_eq!((found.method.id.as_str(), found.reference_count), ("psi/decile", n as u64));
        let found = numbers(Profile::Evidently, &reference, &current);
        assert!(near(found.value, evidently), "{n}: {} is not {evidently}", found.value);
        assert_eq!((found.method.id.as_str(), found.current_count), ("psi/evidently@0.7", m as u64));
    }
}

#[test]
fn few_different_values_are_binned_one_by_one() {
    let reference: Vec<f64> = weyl(500, GOLDEN_RATIO).map(|v| (v * 8.0).floor()).collect();
    let current: Vec<f64> = weyl(300, ROOT_TWO).map(|v| (v * 9.0).floor()).collect();
    for profile in [Profile::Evidently, Profile::Decile] {
        let found = numbers(profile, &reference, &current);
        assert!(near(found.value, 0.7833635285956313), "{profile:?}: {}", found.value);
    }
}

fn codes(counts: &[(u32, usize)]) -> Vec<Values> {
    counts.iter().map(|(code, count)| Values::Codes(vec![*code; *count])).collect()
}

#[test]
fn categories_are_compared_by_name_and_new_ones_count() {
    let before = column(ColumnType::Categorical, &["a", "b", "c"]);
    let now = column(ColumnType::Categorical, &["d", "b", "a"]);
    let reference = codes(&[(0, 600), (1, 399), (2, 1), (u32::MAX, 50)]);
    let current = codes(&[(2, 50), (1, 40), (0, 10), (u32::MAX, 7)]);
    for profile in [Profile::Decile, Profile::Evidently] {
        let found = run(&config(profile), [&before, &now], &reference, &current);
        assert!(near(found.value, 0.7103917377636236), "{profile:?}: {}", found.value);
        assert_eq!((found.reference_count, found.current_count), (1_000, 100));
        assert!(found.drifted);
    }
    let rare =
        run(&config(Profile::Evidently), [&before, &now], &codes(&[(0, 19_999), (1, 1)]), &codes(&[(2, 50), (0, 10)]));
    assert!(near(rare.value, 3.684943908820932), "{}", rare.value);
}

#[test]
fn small_samples_do_not_drift_by_chance() {
    let reference: Vec<f64> = weyl(60, GOLDEN_RATIO).collect();
    let current: Vec<f64> = weyl(40, GOLDEN_RATIO * GOLDEN_RATIO * 1.7).collect();
    let found = numbers(Profile::Decile, &reference, &current);
    assert!(found.threshold > 0.5 && !found.drifted, "{found:?}");
    let strict = Config { allow_for_chance: false, ..Config::default() };
    let column = column(ColumnType::Numeric, &[]);
    let found = run(&strict, [&column, &column], &[Values::Numbers(reference)], &[Values::Numbers(current)]);
    assert_eq!(found.threshold, 0.1);
}

#[test]
fn values_beyond_the_reference_fall_into_the_open_bins() {
    let reference: Vec<f64> = weyl(1_000, GOLDEN_RATIO).collect();
    let found = numbers(Profile::Decile, &reference, &[-5.0, 7.0, f64::NAN]);
    assert_eq!(found.current_count, 2);
    let told = |name: &str| found.details.iter().find(|detail| detail.name.contains(name)).unwrap().value.clone();
    assert!(told("share up to").ends_with("0.5000"));
}

#[test]
fn the_kept_reference_of_a_million_rows_is_small() {
    let column = column(ColumnType::Numeric, &[]);
    let mut fitting = PopulationStability::fit(&Config::default(), &[column], 1).unwrap();
    let values: Vec<f64> = weyl(1_000_000, GOLDEN_RATIO).collect();
    PopulationStability::feed_reference(&mut fitting, &chunk(Values::Numbers(values))).unwrap();
    let state = PopulationStability::save(&PopulationStability::finish_reference(fitting).unwrap());
    assert!(state.len() < 1_000, "{} bytes", state.len());
}

#[test]
fn what_cannot_be_measured_fails() {
    let fit = |column_type| PopulationStability::fit(&Config::default(), &[column(column_type, &[])], 1);
    assert!(fit(ColumnType::Embedding).is_err());
    assert!(PopulationStability::finish_reference(fit(ColumnType::Numeric).unwrap()).is_err());
    let mut fitting = fit(ColumnType::Categorical).unwrap();
    let ids = chunk(Values::Codes((0..20_000).collect()));
    assert!(PopulationStability::feed_reference(&mut fitting, &ids).unwrap_err().message.contains("categories"));
    assert!(check(&Config { threshold: 0.0, ..Config::default() }).is_err());
}

#[test]
fn a_kept_reference_that_does_not_fit_is_refused() {
    let numeric = [column(ColumnType::Numeric, &[])];
    let mut fitting = PopulationStability::fit(&Config::default(), &numeric, 1).unwrap();
    PopulationStability::feed_reference(&mut fitting, &chunk(Values::Numbers(vec![1.0, 2.0]))).unwrap();
    let state = PopulationStability::save(&PopulationStability::finish_reference(fitting).unwrap());
    assert!(PopulationStability::load(&config(Profile::Evidently), &numeric, &state).is_err());
    assert!(PopulationStability::load(&Config::default(), &[], &state).is_err());
    assert!(PopulationStability::load(&Config::default(), &numeric, b"{}").is_err());
    let text = String::from_utf8(state).unwrap();
    let cut = text.replace("\"counts\":[", "\"counts\":[1,");
    assert!(PopulationStability::load(&Config::default(), &numeric, cut.as_bytes()).is_err());
}

#[test]
fn the_settings_are_those_of_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(SCHEMA).unwrap();
    let text = r#"{"profile": "evidently@0.7", "threshold": 0.2, "allow_for_chance": false}"#;
    let config: Config = serde_json::from_str(text).unwrap();
    assert_eq!(config.profile, Profile::Evidently);
    assert_eq!(schema["properties"].as_object().unwrap().len(), 3);
    assert_eq!(PopulationStability::describe().name, env!("CARGO_PKG_NAME"));
}
