//! The command line: `serve`, `check`, `doctor`, `plugin`, `rules`, `backtest`, `rca`, `drift`, `explain`, `export`, `demo`. Exit codes: 0 done,
//! 1 failed, 2 used wrongly, 141 nobody reads the output any more.

#[macro_use]
mod say;

mod backtest;
mod case_file;
mod check;
mod demo;
mod doctor;
mod drift;
mod explain;
mod export;
mod offline;
mod plugin;
mod rca;
mod rules;
mod serve;
mod stop;
mod table;

use clap::{Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

/// Is the model working, and is the infrastructure behind it healthy?
#[derive(Debug, Parser)]
#[command(name = "tandem", version, after_help = "Example:\n  tandem serve --config tandem.toml")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve(serve::Serve),
    /// Checks a configuration without starting anything.
    Check(check::Check),
    /// Looks at the machine and the data folder and says what would go wrong.
    Doctor(doctor::Doctor),
    /// Lists, inspects and builds plugins.
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// Checks rule files.
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Runs a detector over files, as it would have run live.
    Backtest(backtest::Backtest),
    /// Ranks root causes from files.
    Rca(rca::Rca),
    /// Compares two samples with the drift metrics.
    Drift(drift::DriftCommand),
    /// Tells how an answer about a cause was found, and asks again.
    Explain(explain::Explain),
    /// Writes samples as Parquet.
    Export(export::ExportCommand),
    /// Plays a story against a running server.
    Demo(demo::Demo),
}

/// Where the configuration lies.
#[derive(Debug, clap::Args)]
struct ConfigPath {
    /// The configuration; `tandem.toml` here when there is one, else the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigPath {
    fn load(&self) -> anyhow::Result<crate::config::Config> {
        Ok(crate::config::Config::load(self.config.as_deref())?)
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match threads {
        Ok(threads) => threads.block_on(run(cli.command)),
        Err(error) => Err(anyhow::anyhow!("the machine gives no threads: {error}")),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            note!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(serve) => serve.run().await,
        Command::Check(check) => check.run(),
        Command::Doctor(doctor) => doctor.run().await,
        Command::Plugin(plugin) => plugin.run().await,
        Command::Rules(rules) => rules.run(),
        Command::Backtest(backtest) => backtest.run().await,
        Command::Rca(rca) => rca.run().await,
        Command::Drift(drift) => drift.run().await,
        Command::Explain(explain) => explain.run().await,
        Command::Export(export) => export.run().await,
        Command::Demo(demo) => demo.run().await,
    }
}
