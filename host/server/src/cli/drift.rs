//! `tandem drift`: two samples, column by column.

use super::{
    offline,
    table::{Table, describe},
};
use crate::bundled;
use anyhow::bail;
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};
use tandem_domain::{
    drift::{Chunk, ColumnDescription, ColumnValues, Drift},
    ports::DriftMetrics,
};
use tandem_runtime::Runtime;

/// The seed of chance; the same files give the same answer.
const SEED: u64 = 1;

/// Compares two samples with the drift metrics.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tandem drift --reference train.csv --current today.csv --json")]
pub(super) struct DriftCommand {
    /// A CSV file with a header, or a Parquet file.
    #[arg(long)]
    reference: PathBuf,
    /// A CSV or Parquet file with the same columns.
    #[arg(long)]
    current: PathBuf,
    /// A bundled drift metric, or a component's file; all bundled ones when absent.
    #[arg(long)]
    method: Option<String>,
    /// The metric's configuration, as JSON; with --method.
    #[arg(long, default_value = "{}")]
    config: String,
    /// For machines.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    name: String,
    method: String,
    value: Option<f64>,
    p_value: Option<f64>,
    threshold: Option<f64>,
    drifted: bool,
    /// Why there is no value.
    failure: Option<String>,
}

#[derive(Serialize)]
struct Answer {
    columns: Vec<Line>,
}

impl DriftCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (reference, current) = (Table::read(&self.reference)?, Table::read(&self.current)?);
        let shared = reference.shared(&current);
        if shared.is_empty() {
            bail!("{} and {} have no column in common", self.reference.display(), self.current.display());
        }
        let runtime = offline::runtime()?;
        let methods = match &self.method {
            Some(method) => vec![offline::load(&runtime, method, serde_json::from_str(&self.config)?).await?],
            None => {
                let bundled =
                    bundled::COMPONENTS.iter().map(|(name, _)| *name).filter(|name| name.starts_with("drift-"));
                let mut methods = Vec::new();
                for name in bundled {
                    methods.push(offline::load(&runtime, name, serde_json::Value::Null).await?);
                }
                methods
            }
        };
        let mut columns = Vec::new();
        for (name, reference, current) in shared {
            let (description, reference, current) = describe(name, reference, current);
            for method in &methods {
                let outcome = compare(&runtime, method, &description, &reference, &current).await;
                columns.push(line(name, method, outcome));
            }
        }
        print(Answer { columns }, self.json)
    }
}

async fn compare(
    runtime: &Runtime,
    method: &str,
    column: &ColumnDescription,
    reference: &ColumnValues,
    current: &ColumnValues,
) -> Result<Option<Drift>, tandem_domain::Failure> {
    let columns = std::slice::from_ref(column);
    let chunk = |values: &ColumnValues| vec![Chunk { columns: vec![values.clone()] }];
    let fitted = DriftMetrics::fit(runtime, method, columns, chunk(reference), SEED).await?;
    let drifts = DriftMetrics::compare(runtime, method, columns, &fitted, chunk(current), SEED).await?;
    Ok(drifts.into_iter().next())
}

fn line(name: &str, method: &str, outcome: Result<Option<Drift>, tandem_domain::Failure>) -> Line {
    let empty = |failure: String| Line {
        name: name.into(),
        method: method.into(),
        value: None,
        p_value: None,
        threshold: None,
        drifted: false,
        failure: Some(failure),
    };
    match outcome {
        Ok(Some(drift)) => Line {
            name: name.into(),
            method: drift.method.id,
            value: drift.value.is_finite().then_some(drift.value),
            p_value: drift.p_value,
            threshold: drift.threshold.is_finite().then_some(drift.threshold),
            drifted: drift.drifted,
            failure: None,
        },
        Ok(None) => empty("the metric answered nothing".into()),
        Err(failure) => empty(failure.message),
    }
}

fn print(answer: Answer, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        say!("{}", serde_json::to_string_pretty(&answer)?);
        return Ok(ExitCode::SUCCESS);
    }
    for line in &answer.columns {
        match (&line.failure, line.value) {
            (Some(failure), _) => say!("{:<28} {:<18} could not be measured: {failure}", line.name, line.method),
            (None, value) => {
                let p_value = line.p_value.map(|p| format!(" p {p:.4}")).unwrap_or_default();
                let verdict = if line.drifted { "drifted" } else { "stable" };
                say!("{:<28} {:<18} {:.4}{p_value}  {verdict}", line.name, line.method, value.unwrap_or(f64::NAN));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
