//! `tandem rca`: metrics of many entities in, ranked root causes out, by the component that also ranks them live.

use super::{case_file, offline};
use anyhow::{Context, bail};
use serde::Serialize;
use std::{path::PathBuf, process::ExitCode};
use tandem_domain::{
    Timestamp,
    cause::{Case, Direction, RankedCause, Ranking},
    ports::RootCauses,
    verdict::CauseKind,
};

/// Ranks root causes from files.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The metrics file has a first column `timestamp` (2026-01-31T12:00:00Z or Unix seconds) and one column per signal, named
`entity/signal`; an empty cell is no value. The graph file has the columns `from,to`: `from` depends on `to`.
The signal's name tells what it is about: latency, errors, availability and requests are felt from outside, anything else
(cpu, memory, disk …) is of the entity's inside.

Examples:
  tandem rca --metrics shop.csv
  tandem rca --metrics shop.csv --onset 2026-01-31T12:00:00Z --graph calls.csv --json")]
pub(super) struct Rca {
    /// A CSV file: `timestamp,entity/signal,…`.
    #[arg(long, value_name = "FILE.csv")]
    metrics: PathBuf,
    /// When the trouble began; found from the signals when absent.
    #[arg(long, value_name = "TIME", value_parser = onset)]
    onset: Option<Timestamp>,
    /// A CSV file of dependencies: `from,to`.
    #[arg(long, value_name = "EDGES.csv")]
    graph: Option<PathBuf>,
    /// Whose trouble is to be explained, may be given several times; anybody's when absent.
    #[arg(long, value_name = "ENTITY")]
    asked: Vec<String>,
    /// A bundled plugin that ranks root causes, or a component's file.
    #[arg(long, default_value = "root-cause-graph")]
    plugin: String,
    /// The plugin's configuration, as JSON.
    #[arg(long, default_value = "{}")]
    config: String,
    /// For machines.
    #[arg(long)]
    json: bool,
}

fn onset(text: &str) -> Result<Timestamp, String> {
    offline::moment(text).ok_or_else(|| "write 2026-01-31T12:00:00Z or Unix seconds".into())
}

#[derive(Serialize)]
struct SignalLine<'a> {
    signal: &'a str,
    score: f64,
    direction: Direction,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    entity: &'a str,
    score: f64,
    kind: CauseKind,
    signals: Vec<SignalLine<'a>>,
    path: Vec<&'a str>,
    sentence: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    confident: bool,
    confidence: f64,
    onset: Option<String>,
    doubt: &'a str,
    causes: Vec<CauseLine<'a>>,
    plugin: String,
}

impl Rca {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut case = case_file::read(&self.metrics, self.graph.as_deref())?;
        self.place_onset(&mut case)?;
        case.asked = self.asked.iter().map(|name| self.find(&case, name)).collect::<anyhow::Result<_>>()?;
        let config = serde_json::from_str(&self.config).context("--config is not JSON")?;
        let runtime = offline::runtime()?;
        let plugin = offline::load(&runtime, &self.plugin, config).await?;
        let busy_nanos = || offline::status(&runtime, &plugin).map_or(0, |status| status.usage.busy_nanos);
        let before = busy_nanos();
        let ranking = RootCauses::rank(&runtime, &plugin, &case).await?;
        let millis = busy_nanos().saturating_sub(before) as f64 / 1e6;
        let status = offline::status(&runtime, &plugin);
        let version = status.and_then(|status| status.description).map_or(String::new(), |d| d.version);
        let answer = answer(&case, &ranking, format!("{plugin} {version}"));
        if self.json {
            say!("{}", serde_json::to_string_pretty(&answer)?);
        } else {
            print(&answer);
        }
        note!("ranked by {} in {millis:.1} ms", answer.plugin);
        Ok(ExitCode::SUCCESS)
    }

    fn place_onset(&self, case: &mut Case) -> anyhow::Result<()> {
        let rows = &case.frames[0].at;
        if let (Some(onset), Some(first), Some(last)) = (self.onset, rows.first(), rows.last())
            && !(first < &onset && &onset <= last)
        {
            bail!(
                "--onset {} does not lie within {}, which goes from {} to {}",
                shown(onset),
                self.metrics.display(),
                shown(*first),
                shown(*last)
            );
        }
        case.onset = self.onset;
        Ok(())
    }

    fn find(&self, case: &Case, name: &str) -> anyhow::Result<u32> {
        let place = case.suspects.iter().position(|suspect| suspect.id.0 == name);
        let place = place
            .with_context(|| format!("--asked {name:?} is neither in {} nor in the graph", self.metrics.display()))?;
        Ok(u32::try_from(place)?)
    }
}

/// RFC 3339 in UTC.
fn shown(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

fn answer<'a>(case: &'a Case, ranking: &'a Ranking, plugin: String) -> Answer<'a> {
    let id = |suspect: &u32| case.suspects[*suspect as usize].id.0.as_str();
    let names: Vec<&str> = case.signals().map(|signal| signal.name.as_str()).collect();
    let line = |cause: &'a RankedCause| CauseLine {
        entity: id(&cause.suspect),
        score: cause.score,
        kind: cause.kind,
        signals: cause
            .signals
            .iter()
            .map(|evidence| SignalLine {
                signal: names[evidence.signal as usize],
                score: evidence.score,
                direction: evidence.direction,
            })
            .collect(),
        path: cause.path.iter().map(id).collect(),
        sentence: &cause.sentence,
    };
    Answer {
        confident: ranking.confident,
        confidence: ranking.confidence,
        onset: ranking.onset.map(shown),
        doubt: &ranking.doubt,
        causes: ranking.causes.iter().map(line).collect(),
        plugin,
    }
}

fn print(answer: &Answer<'_>) {
    if let Some(onset) = &answer.onset {
        say!("onset       {onset}");
    }
    say!("confidence  {:.2}{}", answer.confidence, if answer.confident { "" } else { ", not confident" });
    if !answer.doubt.is_empty() {
        say!("doubt       {}", answer.doubt);
    }
    if answer.causes.is_empty() {
        return;
    }
    let wide = answer.causes.iter().map(|cause| cause.entity.chars().count()).max().unwrap_or(0).max("entity".len());
    say!("\n   {:<wide$}  score  signals", "entity");
    for (place, cause) in answer.causes.iter().enumerate() {
        let signals = cause.signals.iter().take(3).map(|signal| {
            let sign = if signal.direction == Direction::Up { '+' } else { '-' };
            format!("{} {sign}{:.1}", signal.signal, signal.score)
        });
        let signals = signals.collect::<Vec<_>>().join(", ");
        say!("{:>2} {:<wide$}  {:.3}  {signals}", place + 1, cause.entity, cause.score);
    }
    say!("\n{}", answer.causes[0].sentence);
}
