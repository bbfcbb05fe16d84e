//! A CSV or Parquet file as columns for drift metrics.

use anyhow::Context;
use std::{collections::BTreeMap, path::Path};
use tandem_domain::drift::{ColumnDescription, ColumnType, ColumnValues};
use tandem_wire::parquet;

/// Texts that mean missing.
const MISSING: [&str; 6] = ["", "NA", "NaN", "nan", "null", "None"];
/// Categories of one column.
const MAX_CATEGORIES: usize = 100_000;

/// Columns by name, as text.
pub(super) struct Table {
    columns: BTreeMap<String, Vec<String>>,
    order: Vec<String>,
}

impl Table {
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if parquet::is_parquet(&bytes) { Self::of_parquet(path, bytes) } else { Self::of_csv(path, &bytes) }
    }

    fn of_parquet(path: &Path, bytes: Vec<u8>) -> anyhow::Result<Self> {
        let table = parquet::read(bytes.into())
            .with_context(|| format!("{} is no Parquet file that can be read", path.display()))?;
        for name in &table.nested {
            note!("{}: column {name} holds more than one value a row and is left out", path.display());
        }
        let order = table.columns.iter().map(|(name, _)| name.clone()).collect();
        Ok(Self { columns: table.columns.into_iter().collect(), order })
    }

    fn of_csv(path: &Path, bytes: &[u8]) -> anyhow::Result<Self> {
        let mut reader = csv::Reader::from_reader(bytes);
        let order: Vec<String> = reader.headers()?.iter().map(|header| header.trim().to_owned()).collect();
        let mut values: Vec<Vec<String>> = vec![Vec::new(); order.len()];
        for record in reader.records() {
            let record = record.with_context(|| format!("{}", path.display()))?;
            for (column, text) in values.iter_mut().zip(record.iter()) {
                column.push(text.trim().to_owned());
            }
        }
        Ok(Self { columns: order.iter().cloned().zip(values).collect(), order })
    }

    /// The columns that both tables have, in this one's order.
    pub(super) fn shared<'t>(&'t self, other: &'t Table) -> Vec<(&'t str, &'t [String], &'t [String])> {
        let pair = |name: &'t String| {
            Some((name.as_str(), self.columns.get(name)?.as_slice(), other.columns.get(name)?.as_slice()))
        };
        self.order.iter().filter_map(pair).collect()
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite())
}

/// One column of both samples: numeric when every value of both is a number.
pub(super) fn describe(
    name: &str,
    reference: &[String],
    current: &[String],
) -> (ColumnDescription, ColumnValues, ColumnValues) {
    let missing = |text: &String| MISSING.contains(&text.as_str());
    let numeric = reference.iter().chain(current).filter(|text| !missing(text)).all(|text| number(text).is_some());
    if numeric {
        let numbers = |column: &[String]| {
            ColumnValues::Numbers(column.iter().map(|text| number(text).unwrap_or(f64::NAN)).collect())
        };
        let description =
            ColumnDescription { name: name.into(), column_type: ColumnType::Numeric, width: 1, categories: Vec::new() };
        return (description, numbers(reference), numbers(current));
    }
    let mut codes: BTreeMap<&str, u32> = BTreeMap::new();
    let mut categories = Vec::new();
    for text in reference.iter().filter(|text| !missing(text)) {
        if !codes.contains_key(text.as_str()) && categories.len() < MAX_CATEGORIES {
            codes.insert(text, categories.len() as u32);
            categories.push(text.clone());
        }
    }
    let coded = |column: &[String]| -> Vec<u32> {
        let mut beyond: BTreeMap<String, u32> = BTreeMap::new();
        let next = categories.len() as u32;
        let mut code = |text: &String| match codes.get(text.as_str()) {
            _ if missing(text) => u32::MAX,
            Some(code) => *code,
            None => {
                let new = next + beyond.len() as u32;
                *beyond.entry(text.clone()).or_insert(new)
            }
        };
        column.iter().map(&mut code).collect()
    };
    let (reference, current) = (coded(reference), coded(current));
    let description =
        ColumnDescription { name: name.into(), column_type: ColumnType::Categorical, width: 1, categories };
    (description, ColumnValues::Codes(reference), ColumnValues::Codes(current))
}
