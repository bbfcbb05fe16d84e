//! The population stability index per column. See `README.md` for profiles, thresholds and limits.

mod bins;
mod column;
mod index;

use column::{Compared, Fitted, Gathering, Profile};
use index::Filling;
use std::rc::Rc;
use tandem_sdk::{
    about::Description,
    drift::{Chunk, ColumnDescription, ColumnType, Drift, DriftMetric, Method, Values},
    log,
    sampling::Reservoir,
    types::{Failure, label},
};

/// Numbers kept of one column while fitting; beyond it a uniform sample of as many.
const MAX_VALUES_PER_COLUMN: usize = 1_000_000;
/// Numbers kept of all columns together: 16 MB.
const MAX_VALUES: usize = 2_000_000;
/// The same for the Evidently profile, which keeps the numbers in the reference and not only their counts.
const MAX_KEPT_VALUES_PER_COLUMN: usize = 200_000;
/// See [`MAX_KEPT_VALUES_PER_COLUMN`].
const MAX_KEPT_VALUES: usize = 500_000;
/// From here a shift is worth a look: the lower of the two customary bounds, and Evidently's.
const DEFAULT_THRESHOLD: f64 = 0.1;
/// From here a shift is customarily called major.
const MAJOR: f64 = 0.2;
/// Bins told in the details of a result; categorical columns may have thousands.
const MAX_TOLD_BINS: usize = 20;
/// Characters told of a category's name.
const MAX_TOLD_NAME: usize = 100;
/// The version of the kept form; another one is refused.
const STATE_VERSION: u32 = 1;

/// The metric.
pub struct PopulationStability;

/// The settings.
#[derive(Debug, Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Which implementation's numbers are wanted.
    pub profile: Profile,
    /// A column has drifted from this index on.
    pub threshold: f64,
    /// Whether the threshold rises to what chance alone explains; the decile profile only.
    pub allow_for_chance: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { profile: Profile::Decile, threshold: DEFAULT_THRESHOLD, allow_for_chance: true }
    }
}

/// The JSON Schema of [`Config`].
const SCHEMA: &str = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "additionalProperties": false,
  "properties": {
    "profile": {"enum": ["decile", "evidently@0.7"], "default": "decile"},
    "threshold": {"type": "number", "exclusiveMinimum": 0, "default": 0.1},
    "allow_for_chance": {"type": "boolean", "default": true}
  }
}"#;

/// The reference while it is being fed.
pub struct Fitting {
    config: Config,
    columns: Vec<ColumnDescription>,
    gathered: Vec<Gathering>,
}

/// The fitted reference.
pub struct Reference {
    config: Config,
    columns: Vec<ColumnDescription>,
    fitted: Vec<Fitted>,
}

/// A current sample with the reference it is for.
pub struct Current {
    reference: Rc<Reference>,
    gathered: Vec<Gathering>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Snapshot {
    version: u32,
    profile: Profile,
    fitted: Vec<Fitted>,
}

fn capacity(profile: Profile, columns: &[ColumnDescription]) -> usize {
    let numeric = columns.iter().filter(|column| column.column_type == ColumnType::Numeric).count().max(1);
    match profile {
        Profile::Decile => MAX_VALUES_PER_COLUMN.min(MAX_VALUES / numeric),
        Profile::Evidently => MAX_KEPT_VALUES_PER_COLUMN.min(MAX_KEPT_VALUES / numeric),
    }
}

fn feed(gathered: &mut [Gathering], columns: &[ColumnDescription], chunk: &Chunk) -> Result<(), Failure> {
    for ((gathering, column), values) in gathered.iter_mut().zip(columns).zip(&chunk.columns) {
        match values {
            Values::Numbers(numbers) => gathering.numbers(numbers),
            Values::Codes(codes) => {
                gathering.codes(codes).map_err(|why| Failure::unsupported(format!("column {:?} {why}", column.name)))?
            }
        }
    }
    Ok(())
}

fn check(config: &Config) -> Result<(), Failure> {
    if config.threshold.is_finite() && config.threshold > 0.0 {
        return Ok(());
    }
    Err(Failure::misconfigured(format!("threshold is {}; give a number above 0, such as 0.1", config.threshold)))
}

fn drift(config: &Config, index: usize, compared: &Compared) -> Drift {
    let (id, filling) = match config.profile {
        Profile::Decile => ("psi/decile", Filling::Fixed),
        Profile::Evidently => ("psi/evidently@0.7", Filling::Evidently),
    };
    let (value, before, now) = compared.index(filling);
    let chance = index::by_chance(compared.used_bins(), compared.reference_count, compared.current_count);
    let threshold = match config.profile {
        Profile::Decile if config.allow_for_chance => config.threshold.max(chance),
        _ => config.threshold,
    };
    let extent = match value {
        value if value < DEFAULT_THRESHOLD => "small",
        value if value < MAJOR => "moderate",
        _ => "major",
    };
    let mut details = vec![label("extent", extent), label("chance alone reaches", format!("{chance:.4}"))];
    // Where there are many bins, those that moved most are told.
    let mut bins: Vec<usize> = (0..before.len()).collect();
    if bins.len() > MAX_TOLD_BINS {
        let moved = |bin: &usize| (now[*bin] - before[*bin]).abs();
        bins.sort_by(|a, b| moved(b).total_cmp(&moved(a)).then(a.cmp(b)));
        bins.truncate(MAX_TOLD_BINS);
    }
    let told = |bin: usize| {
        let name = plain(&compared.labels[bin]);
        label(format!("share {name}"), format!("{:.4} -> {:.4}", before[bin], now[bin]))
    };
    details.extend(bins.into_iter().map(told));
    Drift {
        column: Some(index as u32),
        value,
        p_value: None,
        threshold,
        drifted: value >= threshold,
        reference_count: compared.reference_count,
        current_count: compared.current_count,
        method: Method {
            id: id.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            binning: compared.binning.clone(),
            log_base: "e".into(),
            smoothing: filling.words().into(),
        },
        details,
    }
}

/// A category's name as part of a detail's: on one line, and no longer than anyone reads.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TOLD_NAME).collect()
}

impl DriftMetric for PopulationStability {
    type Config = Config;
    type Fitting = Fitting;
    type Reference = Rc<Reference>;
    type Comparison = Current;

    fn describe() -> Description {
        Description {
            name: "drift-psi".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary:
                "Population stability index per numeric or categorical column, over quantile bins of the reference or \
                      as Evidently computes it."
                    .into(),
            config_schema: SCHEMA.into(),
            interests: vec![],
            capabilities: vec![],
        }
    }

    fn fit(config: &Config, columns: &[ColumnDescription], seed: u64) -> Result<Fitting, Failure> {
        check(config)?;
        let embeddings: Vec<&str> =
            columns.iter().filter(|c| c.column_type == ColumnType::Embedding).map(|c| c.name.as_str()).collect();
        if embeddings.len() == columns.len() {
            let names = embeddings.join(", ");
            return Err(Failure::unsupported(format!("the index is not defined for embeddings: {names}")));
        }
        if !embeddings.is_empty() {
            log::warn(format!("no answer for embeddings: {}", embeddings.join(", ")));
        }
        let capacity = capacity(config.profile, columns);
        let gathering = |column: &ColumnDescription| match column.column_type {
            ColumnType::Numeric => Gathering::Numbers(Reservoir::new(capacity, seed)),
            ColumnType::Categorical => Gathering::Categories(Default::default()),
            ColumnType::Embedding => Gathering::Ignored,
        };
        Ok(Fitting { config: *config, gathered: columns.iter().map(gathering).collect(), columns: columns.to_vec() })
    }

    fn feed_reference(fitting: &mut Fitting, chunk: &Chunk) -> Result<(), Failure> {
        feed(&mut fitting.gathered, &fitting.columns, chunk)
    }

    fn finish_reference(fitting: Fitting) -> Result<Rc<Reference>, Failure> {
        let gathered = fitting.gathered.into_iter().zip(&fitting.columns);
        let fitted: Vec<Fitted> =
            gathered.map(|(gathering, column)| gathering.fit(fitting.config.profile, &column.categories)).collect();
        if fitted.iter().all(|column| *column == Fitted::Nothing) {
            return Err(Failure::malformed("the reference has no values in any column that the index is defined for"));
        }
        Ok(Rc::new(Reference { config: fitting.config, columns: fitting.columns, fitted }))
    }

    fn save(reference: &Rc<Reference>) -> Vec<u8> {
        let fitted = reference.fitted.clone();
        let snapshot = Snapshot { version: STATE_VERSION, profile: reference.config.profile, fitted };
        serde_json::to_vec(&snapshot).expect("strings and whole numbers are always written")
    }

    fn load(config: &Config, columns: &[ColumnDescription], state: &[u8]) -> Result<Rc<Reference>, Failure> {
        check(config)?;
        let refused = |why: String| Failure::unsupported(format!("the kept reference {why}; fit it anew"));
        let snapshot: Snapshot =
            serde_json::from_slice(state).map_err(|error| refused(format!("is broken: {error}")))?;
        if snapshot.version != STATE_VERSION {
            return Err(refused(format!("is of version {}", snapshot.version)));
        }
        if snapshot.profile != config.profile {
            return Err(refused("was fitted for another profile".into()));
        }
        if snapshot.fitted.len() != columns.len() || !snapshot.fitted.iter().all(Fitted::is_sound) {
            return Err(refused(format!("does not fit the {} columns", columns.len())));
        }
        Ok(Rc::new(Reference { config: *config, columns: columns.to_vec(), fitted: snapshot.fitted }))
    }

    fn compare(reference: &Rc<Reference>, seed: u64) -> Result<Current, Failure> {
        let capacity = capacity(reference.config.profile, &reference.columns);
        let gathered = reference.fitted.iter().map(|column| column.gather(capacity, seed)).collect();
        Ok(Current { reference: reference.clone(), gathered })
    }

    fn feed_current(comparison: &mut Current, chunk: &Chunk) -> Result<(), Failure> {
        feed(&mut comparison.gathered, &comparison.reference.columns, chunk)
    }

    fn finish_current(comparison: Current) -> Result<Vec<Drift>, Failure> {
        let reference = &comparison.reference;
        let mut drifts = Vec::new();
        for (index, gathering) in comparison.gathered.into_iter().enumerate() {
            let column = &reference.columns[index];
            match reference.fitted[index].compare(gathering, &column.categories) {
                Some(compared) => drifts.push(drift(&reference.config, index, &compared)),
                None => log::warn(format!("column {:?} has nothing to compare", column.name)),
            }
        }
        if drifts.is_empty() {
            return Err(Failure::malformed("the current sample has no values in any column of the reference"));
        }
        Ok(drifts)
    }
}

tandem_sdk::drift_metric!(PopulationStability);

#[cfg(test)]
mod tests;
