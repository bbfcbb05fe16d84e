//! Against the golden values of the shared reference material, where it is there.

#[path = "support/normal_samples.rs"]
mod normal_samples;

use drift_psi::{Config, PopulationStability};
use normal_samples::{golden_file, normal_samples};
use tandem_sdk::drift::{Chunk, ColumnDescription, ColumnType, DriftMetric, Values};

fn index(config: &str, reference: Vec<f64>, current: Vec<f64>) -> f64 {
    let config: Config = serde_json::from_str(config).unwrap();
    let column = ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: vec![] };
    let mut fitting = PopulationStability::fit(&config, &[column], 0).unwrap();
    PopulationStability::feed_reference(&mut fitting, &Chunk { columns: vec![Values::Numbers(reference)] }).unwrap();
    let reference = PopulationStability::finish_reference(fitting).unwrap();
    let mut comparison = PopulationStability::compare(&reference, 0).unwrap();
    PopulationStability::feed_current(&mut comparison, &Chunk { columns: vec![Values::Numbers(current)] }).unwrap();
    PopulationStability::finish_current(comparison).unwrap()[0].value
}

#[test]
fn the_index_equals_the_golden_values() {
    let Some(text) = golden_file() else { return };
    let golden: serde_json::Value = serde_json::from_str(&text.replace("Infinity", "null")).unwrap();
    for count in [500, 2_000] {
        let (reference, current) = normal_samples(count);
        let wanted = &golden[count.to_string()];
        let decile = index("{}", reference.clone(), current.clone());
        assert!((decile - wanted["decile_psi"].as_f64().unwrap()).abs() < 1e-9, "{count}: {decile}");
        let evidently = index(r#"{"profile": "evidently@0.7"}"#, reference, current);
        assert!((evidently - wanted["evidently.psi"][0].as_f64().unwrap()).abs() < 1e-9, "{count}: {evidently}");
    }
}
