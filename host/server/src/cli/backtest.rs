//! `tandem backtest`: `timestamp,value` in, `timestamp,value,score,low,high,state` out.

use super::offline;
use anyhow::{Context, bail};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tandem_domain::{
    Timestamp,
    entity::EntityId,
    frame::{Frame, Group, GroupId, Member, Observation},
    ports::{Detectors, Watch},
    series::{Labels, MetricType},
};

/// Points in one call, as many as live batches have at most.
const POINTS_PER_CALL: usize = 2_000;

/// Runs a detector over files, as it would have run live.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tandem backtest --detector detector-robust --root data --out scores data/cpu.csv")]
pub(super) struct Backtest {
    /// A bundled detector, or a component's file.
    #[arg(long, default_value = "detector-robust")]
    detector: String,
    /// The detector's configuration, as JSON.
    #[arg(long, default_value = "{}")]
    config: String,
    /// The folder below which the files lie; the output has the same relative paths.
    #[arg(long)]
    root: PathBuf,
    /// Where the output goes.
    #[arg(long)]
    out: PathBuf,
    /// Files with the columns `timestamp,value`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// One row: as written, and as understood.
struct Row {
    timestamp: String,
    text: String,
    at: Timestamp,
    value: f64,
}

impl Backtest {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = serde_json::from_str(&self.config).context("--config is not JSON")?;
        let runtime = offline::runtime()?;
        let detector = offline::load(&runtime, &self.detector, config).await?;
        for (index, file) in self.files.iter().enumerate() {
            let path = if file.is_absolute() || file.exists() { file.clone() } else { self.root.join(file) };
            let relative = path
                .strip_prefix(&self.root)
                .with_context(|| format!("{} does not lie below {}", path.display(), self.root.display()))?;
            let rows = read(&path)?;
            let opened = Detectors::open(&runtime, &detector, Vec::new()).await?;
            let group = GroupId(u32::try_from(index).unwrap_or(u32::MAX));
            let answers =
                observe(opened.watch, group, relative, &rows).await.with_context(|| format!("{}", path.display()))?;
            write(&self.out.join(relative), &rows, &answers)?;
            note!("{} of {}: {}", index + 1, self.files.len(), relative.display());
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn read(path: &Path) -> anyhow::Result<Vec<Row>> {
    let mut reader = csv::Reader::from_path(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let headers = reader.headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.trim() == name)
            .with_context(|| format!("{} has no column {name:?}", path.display()))
    };
    let (timestamp, value) = (column("timestamp")?, column("value")?);
    let mut rows: Vec<Row> = Vec::new();
    for (number, record) in reader.records().enumerate() {
        let record = record?;
        let line = number + 2;
        let (time, text) = (record.get(timestamp).unwrap_or_default(), record.get(value).unwrap_or_default().trim());
        let at = offline::moment(time).with_context(|| format!("{}:{line}: {time:?} is no moment", path.display()))?;
        let value = if text.is_empty() {
            f64::NAN
        } else {
            text.parse().with_context(|| format!("{}:{line}: {text:?} is no number", path.display()))?
        };
        rows.push(Row { timestamp: time.to_owned(), text: text.to_owned(), at, value });
    }
    Ok(rows)
}

struct Answer {
    score: f64,
    low: f64,
    high: f64,
    warming: bool,
}

async fn observe(
    mut watch: Box<dyn Watch>,
    group: GroupId,
    name: &Path,
    rows: &[Row],
) -> anyhow::Result<HashMap<Timestamp, Answer>> {
    let member = Member {
        name: name.display().to_string(),
        unit: String::new(),
        metric_type: MetricType::Gauge,
        entity: EntityId("file:backtest".into()),
        dimensions: Labels::default(),
        fault_rules: Vec::new(),
    };
    watch.join(vec![Group { id: group, members: vec![member] }], Vec::new()).await?;
    let mut answers = HashMap::new();
    let mut last = Timestamp::MIN;
    for part in rows.chunks(POINTS_PER_CALL) {
        // Live, moments only ever ascend; a row that goes back or repeats is not shown to the detector.
        let mut frame = Frame { group, at: Vec::new(), value: Vec::new() };
        for row in part.iter().filter(|row| !row.value.is_nan()) {
            if row.at > last {
                last = row.at;
                frame.at.push(row.at);
                frame.value.push(row.value);
            }
        }
        let observation = watch.observe(vec![frame]).await?;
        take(&mut answers, observation)?;
    }
    Ok(answers)
}

fn take(answers: &mut HashMap<Timestamp, Answer>, observation: Observation) -> anyhow::Result<()> {
    if let Some((_, failure)) = observation.failed.first() {
        bail!("{failure}");
    }
    for scores in observation.scores {
        for (index, at) in scores.at.iter().enumerate() {
            let answer = Answer {
                score: scores.score[index],
                low: scores.low.get(index).copied().unwrap_or(f64::NAN),
                high: scores.high.get(index).copied().unwrap_or(f64::NAN),
                warming: index < scores.warming as usize,
            };
            answers.insert(*at, answer);
        }
    }
    Ok(())
}

fn write(path: &Path, rows: &[Row], answers: &HashMap<Timestamp, Answer>) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let mut writer = csv::Writer::from_path(path).with_context(|| format!("{} cannot be written", path.display()))?;
    writer.write_record(["timestamp", "value", "score", "low", "high", "state"])?;
    let shown = |value: f64| if value.is_finite() { value.to_string() } else { String::new() };
    for row in rows {
        let answer = answers.get(&row.at).filter(|_| !row.value.is_nan());
        let (score, low, high, state) = match answer {
            Some(answer) if answer.warming => ("0".into(), shown(answer.low), shown(answer.high), "warming"),
            Some(answer) => (shown(answer.score), shown(answer.low), shown(answer.high), "ready"),
            None if row.value.is_nan() => (String::new(), String::new(), String::new(), "ready"),
            None => ("0".into(), String::new(), String::new(), "warming"),
        };
        writer.write_record([row.timestamp.as_str(), row.text.as_str(), &score, &low, &high, state])?;
    }
    writer.flush()?;
    Ok(())
}
