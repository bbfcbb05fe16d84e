//! The two-sample Kolmogorov-Smirnov test for numeric columns. See `README.md` for method and limits.

mod distribution;
mod state;

use distribution::Comparison;
use state::{ColumnReference, Fitted};
use std::rc::Rc;
use tandem_sdk::{
    about::Description,
    drift::{Chunk, ColumnDescription, ColumnType, Drift, DriftMetric, Method, Values},
    log,
    sampling::Reservoir,
    types::{Failure, label},
};

/// Values kept of one column; beyond it a uniform sample of as many.
const MAX_VALUES_PER_COLUMN: usize = 1_000_000;
/// Values kept of all columns together: 16 MB, and as much for the current sample.
const MAX_VALUES: usize = 2_000_000;

/// The metric.
pub struct KolmogorovSmirnov;

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A column has drifted when the p-value is no higher …
    pub p_value: f64,
    /// … and the distance is no smaller.
    pub min_distance: f64,
}

impl Default for Config {
    fn default() -> Self {
        Self { p_value: 0.05, min_distance: 0.05 }
    }
}

/// The JSON Schema of [`Config`].
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "p_value": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "default": 0.05},
    "min_distance": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.05}
  }
}"#;

/// One sample of every numeric column while it is being fed.
pub struct Samples {
    config: Config,
    names: Vec<String>,
    columns: Vec<Option<Reservoir>>,
}

/// A current sample with the reference it is for.
pub struct Current {
    reference: Rc<Reference>,
    samples: Samples,
}

/// The fitted reference.
pub struct Reference {
    config: Config,
    names: Vec<String>,
    fitted: Fitted,
}

impl Samples {
    fn begin(config: Config, names: Vec<String>, numeric: &[bool], seed: u64) -> Self {
        let count = numeric.iter().filter(|numeric| **numeric).count().max(1);
        let capacity = MAX_VALUES_PER_COLUMN.min(MAX_VALUES / count);
        // Each column has its own stream of chance, so that its sample does not depend on which others there are.
        let columns = numeric.iter().map(|numeric| numeric.then(|| Reservoir::new(capacity, seed))).collect();
        Self { config, names, columns }
    }

    fn feed(&mut self, chunk: &Chunk) {
        for (column, values) in self.columns.iter_mut().zip(&chunk.columns) {
            if let (Some(sample), Values::Numbers(numbers)) = (column, values) {
                numbers.iter().filter(|number| number.is_finite()).for_each(|number| sample.put(*number));
            }
        }
    }
}

/// A sample in order, and how many values it stands for; none of a column without values.
fn ordered(sample: Reservoir) -> Option<ColumnReference> {
    let seen = sample.seen();
    (seen > 0).then(|| ColumnReference { seen, values: sample.into_sorted() })
}

fn numeric_columns(columns: &[ColumnDescription]) -> Result<Vec<bool>, Failure> {
    let numeric: Vec<bool> = columns.iter().map(|column| column.column_type == ColumnType::Numeric).collect();
    let others: Vec<&str> =
        columns.iter().filter(|c| c.column_type != ColumnType::Numeric).map(|column| column.name.as_str()).collect();
    if others.len() == columns.len() {
        return Err(Failure::unsupported(format!(
            "the Kolmogorov-Smirnov test is for numeric columns, and these are not: {}; use drift-psi for categories",
            others.join(", ")
        )));
    }
    if !others.is_empty() {
        log::warn(format!("no answer for columns that are not numeric: {}", others.join(", ")));
    }
    Ok(numeric)
}

fn check(config: &Config) -> Result<(), Failure> {
    let good = config.p_value > 0.0 && config.p_value <= 1.0 && (0.0..=1.0).contains(&config.min_distance);
    if good {
        Ok(())
    } else {
        Err(Failure::misconfigured("p_value must lie in 0 to 1 and not be 0, min_distance in 0 to 1"))
    }
}

fn drift(config: &Config, index: usize, before: &ColumnReference, now: &ColumnReference) -> Drift {
    let Comparison { distance, at, p_value, exact } = distribution::compare(&before.values, &now.values);
    let mut details = vec![
        label("p-value", if exact { "exact" } else { "asymptotic" }),
        label("largest distance at", at.to_string()),
        label("smallest distance that counts", config.min_distance.to_string()),
    ];
    for (which, sample) in [("reference", before), ("current", now)] {
        if sample.values.len() as u64 != sample.seen {
            details.push(label(format!("{which} sampled"), format!("{} of {}", sample.values.len(), sample.seen)));
        }
    }
    Drift {
        column: Some(index as u32),
        value: distance,
        p_value: Some(p_value),
        threshold: config.p_value,
        drifted: p_value <= config.p_value && distance >= config.min_distance,
        reference_count: before.seen,
        current_count: now.seen,
        method: Method {
            id: "ks_2samp/scipy".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            binning: String::new(),
            log_base: String::new(),
            smoothing: String::new(),
        },
        details,
    }
}

impl DriftMetric for KolmogorovSmirnov {
    type Config = Config;
    type Fitting = Samples;
    type Reference = Rc<Reference>;
    type Comparison = Current;

    fn describe() -> Description {
        Description {
            name: "drift-ks".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "Two-sample Kolmogorov-Smirnov test per numeric column, with p-values as SciPy computes them."
                .into(),
            config_schema: SCHEMA.into(),
            interests: vec![],
            capabilities: vec![],
        }
    }

    fn fit(config: &Config, columns: &[ColumnDescription], seed: u64) -> Result<Samples, Failure> {
        check(config)?;
        let numeric = numeric_columns(columns)?;
        Ok(Samples::begin(*config, columns.iter().map(|column| column.name.clone()).collect(), &numeric, seed))
    }

    fn feed_reference(fitting: &mut Samples, chunk: &Chunk) -> Result<(), Failure> {
        fitting.feed(chunk);
        Ok(())
    }

    fn finish_reference(fitting: Samples) -> Result<Rc<Reference>, Failure> {
        let columns: Vec<_> = fitting.columns.into_iter().map(|sample| sample.and_then(ordered)).collect();
        if columns.iter().all(Option::is_none) {
            return Err(Failure::malformed("the reference has no values in any numeric column"));
        }
        Ok(Rc::new(Reference { config: fitting.config, names: fitting.names, fitted: Fitted { columns } }))
    }

    fn save(reference: &Rc<Reference>) -> Vec<u8> {
        reference.fitted.save()
    }

    fn load(config: &Config, columns: &[ColumnDescription], state: &[u8]) -> Result<Rc<Reference>, Failure> {
        check(config)?;
        let fitted =
            Fitted::load(state).map_err(|why| Failure::unsupported(format!("{why}; fit the reference anew")))?;
        if fitted.columns.len() != columns.len() {
            let message = format!("the reference has {} columns and not {}", fitted.columns.len(), columns.len());
            return Err(Failure::malformed(message));
        }
        let names = columns.iter().map(|column| column.name.clone()).collect();
        Ok(Rc::new(Reference { config: *config, names, fitted }))
    }

    fn compare(reference: &Rc<Reference>, seed: u64) -> Result<Current, Failure> {
        let numeric: Vec<bool> = reference.fitted.columns.iter().map(Option::is_some).collect();
        let samples = Samples::begin(reference.config, reference.names.clone(), &numeric, seed);
        Ok(Current { reference: reference.clone(), samples })
    }

    fn feed_current(comparison: &mut Current, chunk: &Chunk) -> Result<(), Failure> {
        comparison.samples.feed(chunk);
        Ok(())
    }

    fn finish_current(comparison: Current) -> Result<Vec<Drift>, Failure> {
        let reference = &comparison.reference;
        let mut drifts = Vec::new();
        for (index, sample) in comparison.samples.columns.into_iter().enumerate() {
            let (Some(before), Some(sample)) = (&reference.fitted.columns[index], sample) else { continue };
            match ordered(sample) {
                Some(now) => drifts.push(drift(&reference.config, index, before, &now)),
                None => log::warn(format!("column {} has no values to compare", reference.names[index])),
            }
        }
        if drifts.is_empty() {
            return Err(Failure::malformed("the current sample has no values in any numeric column of the reference"));
        }
        Ok(drifts)
    }
}

tandem_sdk::drift_metric!(KolmogorovSmirnov);

#[cfg(test)]
mod tests;
