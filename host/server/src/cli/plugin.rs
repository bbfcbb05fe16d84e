//! `tandem plugin list | inspect | build`.

use super::offline;
use crate::bundled;
use anyhow::{Context, bail};
use clap::Subcommand;
use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};
use tandem_domain::plugin::{PluginState, PluginStatus};

/// Lists, inspects and builds plugins.
#[derive(Debug, Subcommand)]
pub(super) enum Plugin {
    /// Lists the bundled plugins and those of a data folder, each as it loads here.
    #[command(after_help = "Example:\n  tandem plugin list --data ./data")]
    List {
        /// The data folder whose `plugins/` is looked into as well.
        #[arg(long, value_name = "FOLDER")]
        data: Option<PathBuf>,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Says what a component is, what it may do, and whether it fits here.
    #[command(after_help = "Example:\n  tandem plugin inspect my-detector.wasm")]
    Inspect {
        /// A file, or the name of a bundled plugin.
        plugin: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Builds a crate into a component.
    #[command(after_help = "Example:\n  tandem plugin build ./my-detector --out ./data/plugins")]
    Build {
        /// The crate's folder.
        folder: PathBuf,
        /// Where the component goes.
        #[arg(long, default_value = ".")]
        out: PathBuf,
    },
}

impl Plugin {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Plugin::List { data, json } => list(data.as_deref(), json).await,
            Plugin::Inspect { plugin, json } => inspect(&plugin, json).await,
            Plugin::Build { folder, out } => build(&folder, &out),
        }
    }
}

async fn list(data: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = offline::runtime()?;
    let mut plugins: Vec<String> = bundled::COMPONENTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    if let Some(data) = data {
        let folder = data.join("plugins");
        let entries = std::fs::read_dir(&folder).with_context(|| format!("{} cannot be read", folder.display()))?;
        let files =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|e| e == "wasm"));
        plugins.extend(files.map(|path| path.to_string_lossy().into_owned()));
    }
    let mut failed = false;
    for plugin in &plugins {
        if let Err(error) = offline::load(&runtime, plugin, serde_json::Value::Null).await {
            failed = true;
            note!("{plugin}: {error:#}");
        }
    }
    let statuses = tandem_domain::ports::PluginCatalogue::statuses(&runtime);
    if json {
        say!("{}", serde_json::to_string_pretty(&statuses)?);
    } else {
        for status in &statuses {
            let description = status.description.as_ref();
            let kind = status.kind.map_or("?", |kind| kind.as_str());
            let (version, summary) = description.map_or(("", ""), |d| (d.version.as_str(), d.summary.as_str()));
            say!("{:<24} {kind:<18} {version:<8} {}  {summary}", status.name, word(&status.state));
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn word(state: &PluginState) -> &'static str {
    if *state == PluginState::Live { "fits" } else { "does not fit" }
}

async fn inspect(plugin: &str, json: bool) -> anyhow::Result<ExitCode> {
    let runtime = offline::runtime()?;
    let loaded = offline::load(&runtime, plugin, serde_json::Value::Null).await;
    let stem = Path::new(plugin).file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let status = offline::status(&runtime, loaded.as_deref().unwrap_or(&stem));
    match (&status, json) {
        (Some(status), true) => say!("{}", serde_json::to_string_pretty(status)?),
        (Some(status), false) => print(status),
        (None, _) => {}
    }
    match loaded {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(error) => bail!("{plugin}: {error:#}"),
    }
}

fn print(status: &PluginStatus) {
    say!("name      {}", status.name);
    say!("kind      {}", status.kind.map_or("unknown", |kind| kind.as_str()));
    say!("digest    {}", status.digest);
    if let Some(description) = &status.description {
        say!("version   {}", description.version);
        say!("summary   {}", description.summary);
        for capability in &description.capabilities {
            say!("asks for  {} {}: {}", capability.name, capability.value, capability.reason);
        }
        if description.capabilities.is_empty() {
            say!("asks for  nothing");
        }
    }
    say!("imports   {}", if status.imports.is_empty() { "nothing".into() } else { status.imports.join(", ") });
    if let Some(error) = &status.last_error {
        say!("error     {error}");
    }
}

/// The builder is a program of its own, so that the server holds no compiler.
fn build(folder: &Path, out: &Path) -> anyhow::Result<ExitCode> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("tandem-builder")));
    let program = beside.filter(|path| path.is_file()).unwrap_or_else(|| "tandem-builder".into());
    let status =
        Command::new(&program).arg(folder).arg("--out").arg(out).status().with_context(|| {
            format!("{} could not be started; `make build` puts it beside tandem", program.display())
        })?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
