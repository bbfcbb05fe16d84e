//! `tandem export`: samples as Parquet files, from the data folder of a server that is not running.

use super::ConfigPath;
use anyhow::{Context, bail};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use tandem_domain::Timestamp;
use tandem_forward::{Chosen, Export};
use tandem_store::{Store, StoreOptions};

/// A day, in milliseconds.
const DAY_MILLIS: i64 = 86_400_000;

/// Writes samples as Parquet: one file, or a folder with a file for each day.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  tandem export --match 'node_load1{job=\"node\"}' --start 2026-01-01T00:00:00Z --out load.parquet\n  \
                        tandem export --start 2026-01-01T00:00:00Z --out ./history/   # date=2026-01-01/samples.parquet and so on\n\n\
                        While the server runs it holds the data folder; ask it instead:\n  \
                        curl -G 'http://127.0.0.1:8420/api/v1/export' --data-urlencode 'match[]=node_load1' -o load.parquet"
)]
pub(super) struct ExportCommand {
    #[command(flatten)]
    config: ConfigPath,
    /// Instead of `data` in the configuration.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A series selector; may be given several times. All series when there is none.
    #[arg(long = "match", value_name = "SELECTOR")]
    select: Vec<String>,
    /// RFC 3339 or Unix seconds; the beginning when absent.
    #[arg(long, value_parser = moment)]
    start: Option<Timestamp>,
    /// RFC 3339 or Unix seconds; now when absent.
    #[arg(long, value_parser = moment)]
    end: Option<Timestamp>,
    /// A file, or a folder (one that is there, or a path that ends with /) for a file each day.
    #[arg(long, value_name = "FILE|FOLDER")]
    out: PathBuf,
    /// What is written.
    #[arg(long, default_value = "parquet", value_parser = ["parquet"])]
    format: String,
    /// For machines.
    #[arg(long)]
    json: bool,
}

/// RFC 3339 or Unix seconds.
fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        let millis = seconds * 1_000.0;
        let fits = millis.is_finite() && millis.abs() < 9e15;
        return fits.then_some(Timestamp(millis.round() as i64)).ok_or_else(|| "is beyond the calendar".into());
    }
    let parsed = text.parse::<jiff::Timestamp>();
    parsed.map(|at| Timestamp(at.as_millisecond())).map_err(|_| "write it as RFC 3339 or as Unix seconds".into())
}

impl ExportCommand {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let data = self.data.clone().map_or_else(|| self.config.load().map(|config| config.data), Ok)?;
        // To open a store that is not there would make one.
        if !data.join("tandem.redb").is_file() {
            bail!("{} holds no store; give the data folder with --data", data.display());
        }
        let selectors = self.select.iter().map(|text| tandem_query::selector(text).with_context(|| text.clone()));
        let selectors = selectors.collect::<anyhow::Result<Vec<_>>>()?;
        let store = Store::open(&data, StoreOptions::default())
            .context("while a server runs, ask it instead: GET /api/v1/export?match[]=… (see --help)")?;
        let chosen = Chosen::new(store, &selectors)?;
        let now = Timestamp(jiff::Timestamp::now().as_millisecond());
        let end = self.end.unwrap_or(now);
        let into_folder = self.out.is_dir() || self.out.to_string_lossy().ends_with('/');
        let mut written = Written::default();
        if into_folder {
            let start = self.start.context("a file for each day needs a first one; give it with --start")?;
            by_day(&chosen, start, end, &self.out, &mut written)?;
        } else {
            let mut export = chosen.export(self.start.unwrap_or(Timestamp(0)), end)?;
            write_file(&mut export, &self.out, true, &mut written)?;
        }
        self.tell(&written, chosen.len())
    }

    fn tell(&self, written: &Written, series: usize) -> anyhow::Result<ExitCode> {
        if self.json {
            let answer = serde_json::json!({"samples": written.samples, "series": series, "bytes": written.bytes,
                "files": written.files});
            say!("{answer}");
        } else {
            say!(
                "{} samples of {series} series in {} files of {} bytes together, as {}",
                written.samples,
                written.files.len(),
                written.bytes,
                self.format
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Default)]
struct Written {
    samples: u64,
    bytes: u64,
    files: Vec<PathBuf>,
}

/// Writes beside the place first: a file of that name is whole. One without samples is left out where not `wanted`.
fn write_file(export: &mut Export, path: &Path, wanted: bool, written: &mut Written) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    let shown = || format!("{} cannot be written", partial.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    let mut file = File::create(&partial).with_context(shown)?;
    let mut bytes = 0;
    while let Some(piece) = export.next_piece()? {
        file.write_all(&piece).with_context(shown)?;
        bytes += piece.len() as u64;
    }
    if export.samples() == 0 && !wanted {
        drop(file);
        std::fs::remove_file(&partial).with_context(shown)?;
        // The folder of that day stays only where something lies in it.
        let _ = path.parent().map(std::fs::remove_dir);
        return Ok(());
    }
    file.sync_all().with_context(shown)?;
    std::fs::rename(&partial, path).with_context(|| format!("{} cannot be put in its place", path.display()))?;
    written.samples += export.samples();
    written.bytes += bytes;
    written.files.push(path.to_owned());
    Ok(())
}

fn by_day(
    chosen: &Chosen,
    start: Timestamp,
    end: Timestamp,
    folder: &Path,
    written: &mut Written,
) -> anyhow::Result<()> {
    let mut day = start.0.div_euclid(DAY_MILLIS) * DAY_MILLIS;
    while day <= end.0 {
        let date = jiff::Timestamp::from_millisecond(day).context("a day beyond the calendar")?;
        let date = date.to_string().split('T').next().unwrap_or_default().to_owned();
        let last = Timestamp(day + DAY_MILLIS - 1).min(end);
        let mut export = chosen.export(start.max(Timestamp(day)), last)?;
        let path = folder.join(format!("date={date}")).join("samples.parquet");
        write_file(&mut export, &path, false, written)?;
        note!("{date}: {} samples", export.samples());
        day += DAY_MILLIS;
    }
    Ok(())
}
