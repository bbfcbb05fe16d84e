//! CSV files as a case for those who rank root causes: metrics (`timestamp,entity/signal,…`) and dependencies (`from,to`).

use super::offline::moment;
use anyhow::{Context, bail, ensure};
use std::{collections::HashMap, path::Path};
use tandem_domain::{
    Timestamp,
    cause::{Case, SignalClass, SignalFrame, Suspect, SuspectDependency, SuspectSignal},
    entity::EntityId,
    relation::RelationKind,
    series::Labels,
};

/// Reads both files into a case without an onset.
pub(super) fn read(metrics: &Path, graph: Option<&Path>) -> anyhow::Result<Case> {
    let mut suspects = Suspects::default();
    let frame = read_metrics(metrics, &mut suspects)?;
    let dependencies = match graph {
        Some(graph) => read_edges(graph, &mut suspects)?,
        None => Vec::new(),
    };
    Ok(Case { suspects: suspects.list, frames: vec![frame], dependencies, ..Case::default() })
}

/// Entities by name, in the order in which they were first seen.
#[derive(Default)]
struct Suspects {
    list: Vec<Suspect>,
    by_name: HashMap<String, u32>,
}

impl Suspects {
    fn index(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let index = self.list.len() as u32;
        self.by_name.insert(name.to_owned(), index);
        let attributes = Labels::default();
        self.list.push(Suspect { id: EntityId(name.to_owned()), kind: String::new(), attributes });
        index
    }
}

/// The records of a file with the lines they stand on; their lengths are the caller's to check.
fn records(path: &Path) -> anyhow::Result<Vec<(u64, csv::StringRecord)>> {
    let text = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).trim(csv::Trim::All).from_reader(text);
    let mut records = Vec::new();
    for record in reader.records() {
        let record = record.with_context(|| format!("{} is no CSV file", path.display()))?;
        records.push((record.position().map_or(0, csv::Position::line), record));
    }
    ensure!(!records.is_empty(), "{} is empty; its first line names the columns", path.display());
    Ok(records)
}

fn read_metrics(path: &Path, suspects: &mut Suspects) -> anyhow::Result<SignalFrame> {
    let records = records(path)?;
    let header = &records[0].1;
    let signals = read_header(path, header, suspects)?;
    let mut at: Vec<Timestamp> = Vec::with_capacity(records.len());
    let mut columns: Vec<Vec<f64>> = vec![Vec::with_capacity(records.len()); signals.len()];
    for (line, record) in &records[1..] {
        let place = || format!("{}:{line}", path.display());
        if record.len() != header.len() {
            bail!("{}: {} cells, but the first line names {} columns", place(), record.len(), header.len());
        }
        let moment = moment(&record[0]).with_context(|| {
            format!("{}: {:?} is no moment; write 2026-01-31T12:00:00Z or Unix seconds", place(), &record[0])
        })?;
        if at.last().is_some_and(|last| *last >= moment) {
            bail!("{}: {} is not later than the line before; sort the lines by time", place(), &record[0]);
        }
        at.push(moment);
        for ((column, text), name) in columns.iter_mut().zip(record.iter().skip(1)).zip(header.iter().skip(1)) {
            let value = if text.is_empty() { Ok(f64::NAN) } else { text.parse() };
            column.push(value.map_err(|_| {
                anyhow::anyhow!(
                    "{}: {text:?} in column {name} is no number; leave the cell empty for no value",
                    place()
                )
            })?);
        }
    }
    ensure!(!at.is_empty(), "{} has no line below its header", path.display());
    Ok(SignalFrame { at, signals, value: columns.concat() })
}

fn read_header(path: &Path, header: &csv::StringRecord, suspects: &mut Suspects) -> anyhow::Result<Vec<SuspectSignal>> {
    if header.get(0) != Some("timestamp") {
        bail!("{}:1: the first column is {:?}; it must be `timestamp`", path.display(), header.get(0).unwrap_or(""));
    }
    let mut signals: Vec<SuspectSignal> = Vec::with_capacity(header.len());
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (number, name) in header.iter().enumerate().skip(1) {
        let place = || format!("{}:1: column {} ({name:?})", path.display(), number + 1);
        // Names of entities hold slashes more often than names of signals.
        let parts = name.rsplit_once('/').filter(|(entity, signal)| !entity.is_empty() && !signal.is_empty());
        let (entity, signal) =
            parts.with_context(|| format!("{} is not named `entity/signal`, such as `cart/cpu`", place()))?;
        if let Some(before) = seen.insert(name, number + 1) {
            bail!("{} is there before, as column {before}; name each once", place());
        }
        let class = SignalClass::Unknown;
        signals.push(SuspectSignal { suspect: suspects.index(entity), name: signal.to_owned(), class });
    }
    ensure!(!signals.is_empty(), "{}:1: there are no columns beside `timestamp`", path.display());
    Ok(signals)
}

fn read_edges(path: &Path, suspects: &mut Suspects) -> anyhow::Result<Vec<SuspectDependency>> {
    let records = records(path)?;
    let header = &records[0].1;
    let column = |name: &str| {
        let place = header.iter().position(|header| header == name);
        place.with_context(|| format!("{}:1: there is no column {name:?}; the columns are `from,to`", path.display()))
    };
    let (from, to) = (column("from")?, column("to")?);
    let mut edges = Vec::new();
    for (line, record) in &records[1..] {
        let end = |column: usize, name: &str| {
            let text = record.get(column).filter(|text| !text.is_empty());
            text.with_context(|| format!("{}:{line}: `{name}` is empty", path.display()))
        };
        let (from, to) = (suspects.index(end(from, "from")?), suspects.index(end(to, "to")?));
        if from != to {
            edges.push(SuspectDependency { dependent: from, dependency: to, kind: RelationKind::DependsOn });
        }
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(metrics: &str, edges: &str) -> anyhow::Result<Case> {
        let folder = tempfile::tempdir().expect("a folder");
        let (m, e) = (folder.path().join("metrics.csv"), folder.path().join("edges.csv"));
        std::fs::write(&m, metrics).expect("written");
        std::fs::write(&e, edges).expect("written");
        read(&m, (!edges.is_empty()).then_some(e.as_path()))
    }

    #[test]
    fn columns_become_signals_and_edges_bring_entities_without_any() {
        let case = files(
            "\u{feff}timestamp,a/b/cpu,shop/latency\n2026-01-01T00:00:00Z,1.5,\n2026-01-01T00:00:15Z,,2\n",
            "to,from\ndatabase,shop\nshop,shop\n",
        )
        .expect("a case");
        let names: Vec<&str> = case.suspects.iter().map(|suspect| suspect.id.0.as_str()).collect();
        assert_eq!(names, ["a/b", "shop", "database"]);
        let frame = &case.frames[0];
        assert_eq!(frame.at[1].millis_since(frame.at[0]), 15_000);
        assert_eq!((frame.value[0], frame.value[3]), (1.5, 2.0));
        assert!(frame.value[1].is_nan() && frame.value[2].is_nan());
        assert_eq!(case.dependencies.len(), 1);
        assert_eq!((case.dependencies[0].dependent, case.dependencies[0].dependency), (1, 2));
        assert_eq!(case.contradiction(), None);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_what_to_do() {
        for (metrics, edges, told) in [
            ("", "", "is empty; its first line names the columns"),
            ("time,a/b\n1,2\n", "", "metrics.csv:1: the first column is \"time\""),
            ("timestamp,cpu\n1,2\n", "", "metrics.csv:1: column 2 (\"cpu\") is not named `entity/signal`"),
            ("timestamp,a/b,a/b\n1,2,3\n", "", "column 3 (\"a/b\") is there before, as column 2"),
            ("timestamp,a/b\n", "", "has no line below its header"),
            ("timestamp,a/b\n1,2\n2\n", "", "metrics.csv:3: 1 cells, but the first line names 2 columns"),
            ("timestamp,a/b\nyesterday,2\n", "", "metrics.csv:2: \"yesterday\" is no moment"),
            ("timestamp,a/b\n2,2\n2,3\n", "", "metrics.csv:3: 2 is not later than the line before"),
            ("timestamp,a/b\n1,x\n", "", "metrics.csv:2: \"x\" in column a/b is no number"),
            ("timestamp,a/b\n1,2\n", "a,b\nx,y\n", "edges.csv:1: there is no column \"from\""),
            ("timestamp,a/b\n1,2\n", "from,to\nx\n", "edges.csv:2: `to` is empty"),
        ] {
            let error = format!("{:#}", files(metrics, edges).expect_err(told));
            assert!(error.contains(told), "{error}");
        }
    }
}
