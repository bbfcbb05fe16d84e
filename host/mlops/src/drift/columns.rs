//! Features, prediction and score of rows as columns for metrics.

use std::collections::BTreeMap;
use tandem_domain::{
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues},
    prediction::{FeatureValue, Prediction},
};

/// Categories of one column that are told apart; further ones count as one.
const MAX_CATEGORIES: usize = 1_000;
/// The columns beside the features.
const PREDICTION: &str = "prediction";
const SCORE: &str = "score";

fn value<'p>(row: &'p Prediction, column: &str, score: &'p mut FeatureValue) -> &'p FeatureValue {
    match column {
        PREDICTION => &row.prediction,
        SCORE => {
            *score = row.score.map_or(FeatureValue::Missing, FeatureValue::Number);
            score
        }
        name => row.features.get(name.strip_prefix("feature.").unwrap_or(name)).unwrap_or(&FeatureValue::Missing),
    }
}

/// The columns of a reference: features by name (`feature.` before those that would hide the other two), then what was
/// predicted. A column is numeric when all its values are numbers.
pub(super) fn describe(rows: &[Prediction]) -> Vec<ColumnDescription> {
    let mut names: Vec<String> = Vec::new();
    let features: std::collections::BTreeSet<&String> = rows.iter().flat_map(|row| row.features.keys()).collect();
    for name in features {
        let hides = name == PREDICTION || name == SCORE;
        names.push(if hides { format!("feature.{name}") } else { name.clone() });
    }
    names.extend([PREDICTION.to_owned(), SCORE.to_owned()]);
    names.into_iter().filter_map(|name| describe_one(rows, name)).collect()
}

fn describe_one(rows: &[Prediction], name: String) -> Option<ColumnDescription> {
    let mut categories: BTreeMap<String, usize> = BTreeMap::new();
    let (mut numbers, mut others) = (0, 0);
    let mut score = FeatureValue::Missing;
    for row in rows {
        match value(row, &name, &mut score) {
            FeatureValue::Missing => {}
            FeatureValue::Number(_) => numbers += 1,
            other => {
                others += 1;
                *categories.entry(category(other)).or_default() += 1;
            }
        }
    }
    let (column_type, categories) = match (numbers, others) {
        (0, 0) => return None,
        (_, 0) => (ColumnType::Numeric, Vec::new()),
        _ => {
            let mut by_count: Vec<(String, usize)> = categories.into_iter().collect();
            by_count.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            by_count.truncate(MAX_CATEGORIES);
            (ColumnType::Categorical, by_count.into_iter().map(|(name, _)| name).collect())
        }
    };
    Some(ColumnDescription { name, column_type, width: 1, categories })
}

fn category(value: &FeatureValue) -> String {
    match value {
        FeatureValue::Bool(value) => value.to_string(),
        FeatureValue::Number(value) => value.to_string(),
        FeatureValue::Text(text) => text.clone(),
        FeatureValue::Missing => String::new(),
    }
}

/// Rows as one chunk. A category that the reference did not have gets a code of its own behind its dictionary.
pub(super) fn chunk_of(columns: &[ColumnDescription], rows: &[Prediction]) -> Chunk {
    Chunk { columns: columns.iter().map(|column| values(column, rows)).collect() }
}

/// How many rows have a value for a column.
pub(super) fn present(column: &ColumnDescription, rows: &[Prediction]) -> u64 {
    let mut score = FeatureValue::Missing;
    rows.iter().filter(|row| *value(row, &column.name, &mut score) != FeatureValue::Missing).count() as u64
}

fn values(column: &ColumnDescription, rows: &[Prediction]) -> ColumnValues {
    let mut score = FeatureValue::Missing;
    if column.column_type == ColumnType::Numeric {
        let number = |row: &Prediction| match value(row, &column.name, &mut score) {
            FeatureValue::Number(number) => *number,
            FeatureValue::Bool(yes) => f64::from(u8::from(*yes)),
            _ => f64::NAN,
        };
        return ColumnValues::Numbers(rows.iter().map(number).collect());
    }
    let mut codes: BTreeMap<String, u32> =
        column.categories.iter().zip(0u32..).map(|(name, code)| (name.clone(), code)).collect();
    let mut code = |row: &Prediction| match value(row, &column.name, &mut score) {
        FeatureValue::Missing => u32::MAX,
        known => {
            let beyond = codes.len().min(column.categories.len() + MAX_CATEGORIES) as u32;
            *codes.entry(category(known)).or_insert(beyond)
        }
    };
    ColumnValues::Codes(rows.iter().map(&mut code).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_domain::Timestamp;

    fn row(features: &[(&str, FeatureValue)], said: FeatureValue) -> Prediction {
        Prediction {
            band: None,
            service: "s".into(),
            model: "m".into(),
            version: "1".into(),
            id: "1".into(),
            at: Timestamp(0),
            replica: String::new(),
            features: features.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
            prediction: said,
            score: Some(0.5),
        }
    }

    #[test]
    fn columns_are_described_by_what_they_hold() {
        let number = FeatureValue::Number;
        let text = |t: &str| FeatureValue::Text(t.into());
        let rows = [
            row(
                &[("age", number(1.0)), ("city", text("a")), ("score", number(7.0)), ("never", FeatureValue::Missing)],
                text("yes"),
            ),
            row(&[("age", FeatureValue::Missing), ("city", text("b"))], text("no")),
            row(&[("age", number(3.0)), ("city", text("b"))], text("no")),
        ];
        let columns = describe(&rows);
        let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["age", "city", "feature.score", "prediction", "score"]);
        assert_eq!(columns[1].categories, ["b", "a"]);
        let later = [
            row(&[("age", number(2.0)), ("city", text("new"))], text("no")),
            row(&[("city", text("a"))], FeatureValue::Missing),
        ];
        let chunk = chunk_of(&columns, &later);
        assert!(matches!(&chunk.columns[0], ColumnValues::Numbers(v) if v[0] == 2.0 && v[1].is_nan()));
        assert_eq!(chunk.columns[1], ColumnValues::Codes(vec![2, 1]));
        assert_eq!(chunk.columns[3], ColumnValues::Codes(vec![0, u32::MAX]));
        assert_eq!(chunk.columns[4], ColumnValues::Numbers(vec![0.5, 0.5]));
    }
}
