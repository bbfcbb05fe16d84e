//! Columns and chunks for drift metrics, results from them.

use super::Check;
use crate::bindings::drift::exports::tandem::plugin::drift_metric as guest;
use tandem_domain::{
    Failure,
    drift::{Chunk, ColumnDescription, ColumnType, ColumnValues, Drift, Method},
};

/// Results of one comparison: a few per column, and some over all.
const MAX_RESULTS_PER_COLUMN: usize = 16;

/// For guests.
pub(crate) fn column_out(column: &ColumnDescription) -> guest::ColumnDescription {
    guest::ColumnDescription {
        name: column.name.clone(),
        column_type: match column.column_type {
            ColumnType::Numeric => guest::ColumnType::Numeric,
            ColumnType::Categorical => guest::ColumnType::Categorical,
            ColumnType::Embedding => guest::ColumnType::Embedding,
        },
        width: column.width,
        categories: column.categories.clone(),
    }
}

/// For guests.
pub(crate) fn chunk_out(chunk: Chunk) -> guest::Chunk {
    guest::Chunk {
        columns: chunk
            .columns
            .into_iter()
            .map(|values| match values {
                ColumnValues::Numbers(numbers) => guest::Values::Numbers(numbers),
                ColumnValues::Codes(codes) => guest::Values::Codes(codes),
            })
            .collect(),
    }
}

/// Checks results over `columns` columns.
pub(crate) fn drifts(check: Check<'_>, said: Vec<guest::Drift>, columns: usize) -> Result<Vec<Drift>, Failure> {
    check.count("results", said.len(), MAX_RESULTS_PER_COLUMN * (columns + 1))?;
    said.into_iter().enumerate().map(|(i, drift)| drift_of(check, i, drift, columns)).collect()
}

fn drift_of(check: Check<'_>, i: usize, said: guest::Drift, columns: usize) -> Result<Drift, Failure> {
    if let Some(column) = said.column {
        check.index(format_args!("results[{i}].column"), column, columns)?;
    }
    if let Some(p_value) = said.p_value
        && !(0.0..=1.0).contains(&p_value)
    {
        return Err(
            check.breach(format_args!("results[{i}].p-value"), format_args!("is {p_value}; it lies between 0 and 1"))
        );
    }
    Ok(Drift {
        column: said.column,
        value: check.finite(format_args!("results[{i}].value"), said.value)?,
        p_value: said.p_value,
        threshold: check.finite(format_args!("results[{i}].threshold"), said.threshold)?,
        drifted: said.drifted,
        reference_count: said.reference_count,
        current_count: said.current_count,
        method: Method {
            id: check.name(format_args!("results[{i}].method.id"), said.method.id)?,
            version: check.name(format_args!("results[{i}].method.version"), said.method.version)?,
            binning: check.text(format_args!("results[{i}].method.binning"), said.method.binning)?,
            log_base: check.text(format_args!("results[{i}].method.log-base"), said.method.log_base)?,
            smoothing: check.text(format_args!("results[{i}].method.smoothing"), said.method.smoothing)?,
        },
        details: check.pairs(format_args!("results[{i}].details"), said.details)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_and_foreign_columns_are_refused() {
        let check = Check { plugin: "p", function: "drift-metric.comparison.finish" };
        let good = guest::Drift {
            column: Some(0),
            value: 0.3,
            p_value: Some(0.01),
            threshold: 0.2,
            drifted: true,
            reference_count: 10,
            current_count: 10,
            method: guest::Method {
                id: "psi/decile".into(),
                version: "1.0.0".into(),
                binning: String::new(),
                log_base: "e".into(),
                smoothing: String::new(),
            },
            details: Vec::new(),
        };
        assert_eq!(drifts(check, vec![good.clone()], 1).expect("good").len(), 1);
        for (change, field) in [
            (guest::Drift { column: Some(1), ..good.clone() }, "results[0].column is 1"),
            (guest::Drift { value: f64::NAN, ..good.clone() }, "results[0].value is NaN"),
            (guest::Drift { p_value: Some(f64::NAN), ..good.clone() }, "results[0].p-value is NaN"),
        ] {
            let text = drifts(check, vec![change], 1).expect_err("refused").message;
            assert!(text.contains(field), "{text}");
        }
    }
}
