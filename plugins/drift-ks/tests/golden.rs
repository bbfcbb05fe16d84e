//! Against the golden values of the shared reference material, where it is there.

#[path = "../../drift-psi/tests/support/normal_samples.rs"]
mod normal_samples;

use drift_ks::{Config, KolmogorovSmirnov};
use normal_samples::{golden_file, normal_samples};
use tandem_sdk::drift::{Chunk, ColumnDescription, ColumnType, DriftMetric, Values};

#[test]
fn statistic_and_p_value_equal_the_golden_values() {
    let Some(text) = golden_file() else { return };
    let golden: serde_json::Value = serde_json::from_str(&text.replace("Infinity", "null")).unwrap();
    for count in [500, 2_000] {
        let (reference, current) = normal_samples(count);
        let column =
            ColumnDescription { name: "x".into(), column_type: ColumnType::Numeric, width: 1, categories: vec![] };
        let mut fitting = KolmogorovSmirnov::fit(&Config::default(), &[column], 0).unwrap();
        KolmogorovSmirnov::feed_reference(&mut fitting, &Chunk { columns: vec![Values::Numbers(reference)] }).unwrap();
        let reference = KolmogorovSmirnov::finish_reference(fitting).unwrap();
        let mut comparison = KolmogorovSmirnov::compare(&reference, 0).unwrap();
        KolmogorovSmirnov::feed_current(&mut comparison, &Chunk { columns: vec![Values::Numbers(current)] }).unwrap();
        let found = &KolmogorovSmirnov::finish_current(comparison).unwrap()[0];
        let wanted = &golden[count.to_string()];
        let (distance, p_value) =
            (wanted["scipy.ks_stat"].as_f64().unwrap(), wanted["evidently.ks"][0].as_f64().unwrap());
        assert!((found.value - distance).abs() < 1e-12, "{count}: {}", found.value);
        assert!((found.p_value.unwrap() / p_value - 1.0).abs() < 1e-6, "{count}: {:?} is not {p_value}", found.p_value);
        assert!(found.drifted);
    }
}
