//! Measures and prints tables: the bundled plugins and the binary on their own, and the whole server beside others that keep
//! time series. Nothing is asserted but that both sides do the same work.

mod bigfile;
mod calls;
mod detector;
mod forward;
mod ingest;
mod load;
mod native;
mod peers;
mod queries;
mod scraping;
mod server;
mod stories;
mod tables;
mod timing;

use clap::{Parser, Subcommand};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tandem_runtime::{OperatorGrants, PluginSettings, Runtime};
use tandem_tests::sandbox;

/// As in the `tandem` binary, whose rooms some of this starts within its own process.
#[cfg(all(unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What Tandem costs, in figures and ratios.
#[derive(Debug, Parser)]
#[command(name = "tandem-bench", after_help = "Example:\n  tandem-bench ingest --series 20000 --steps 960")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One call of each kind of plugin, beside the same function called natively.
    Calls,
    /// A detector in the sandbox and compiled natively, in turns.
    Detector,
    /// The binary: start to ready, and memory when idle.
    Server,
    /// Remote write into Tandem, Prometheus and VictoriaMetrics, one after another with the same sender.
    Ingest(ingest::Ingest),
    /// Dashboard and alert queries of all three over the same samples, in turns.
    Queries(queries::Queries),
    /// A backlog sent on by remote write: Tandem beside Prometheus' own, to the same receiver.
    Forward(forward::Forward),
    /// The binary scrapes many targets of many series, which this program shows.
    Scraping(scraping::Scraping),
    /// Plays stories against the whole server and says how often its verdict is right.
    Stories(stories::Stories),
    /// A store of many gigabytes: how long it takes to open after it was closed and after a kill.
    Bigfile(bigfile::Bigfile),
    #[command(hide = true)]
    BigfileFill(bigfile::Fill),
    #[command(hide = true)]
    BigfileOpen(bigfile::Open),
}

/// The bundled plugins as `make components` built them.
fn components() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/components")
}

/// A runtime with one worker, so that the sandbox has no more processors than the native side, and some bundled plugins
/// with what they ask for.
async fn runtime_with(data: &Path, plugins: &[&str]) -> Runtime {
    let runtime = sandbox::runtime_with_workers(data, Some(1));
    let grants =
        OperatorGrants { http: vec!["127.0.0.1".into()], trusts_declared_files: true, ..OperatorGrants::default() };
    let settings = Arc::new(move |_: &str| PluginSettings { grants: grants.clone(), ..PluginSettings::default() });
    let path = |name: &&str| components().join(format!("{name}.wasm"));
    let sources = plugins.iter().map(|name| sandbox::source(&path(name), settings.clone())).collect();
    for loaded in runtime.load_all(sources).await {
        loaded.expect("a bundled plugin loads; run `make components`");
    }
    runtime
}

/// A folder for servers' data on the disk that this program lies on: a folder for temporary files may be memory.
fn folder_on_disk() -> tempfile::TempDir {
    let program = std::env::current_exe().expect("a program has a path");
    let beside = program.parent().expect("it lies in a folder");
    tempfile::Builder::new().prefix("bench-").tempdir_in(beside).expect("a folder beside the program")
}

#[tokio::main]
async fn main() {
    let cli = Cli::parse();
    match &cli.command {
        Some(Command::BigfileFill(fill)) => return fill.run(),
        Some(Command::BigfileOpen(open)) => return open.run(),
        _ => {}
    }
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{processors} processors; times are wall clock, medians of rounds.");
    match cli.command {
        None | Some(Command::BigfileFill(_) | Command::BigfileOpen(_)) => {
            calls::run().await;
            detector::run().await;
            server::run().await;
        }
        Some(Command::Calls) => calls::run().await,
        Some(Command::Detector) => detector::run().await,
        Some(Command::Server) => server::run().await,
        Some(Command::Ingest(ingest)) => {
            let mut folder = folder_on_disk();
            folder.disable_cleanup(ingest.keep);
            ingest.run(folder.path()).await;
        }
        Some(Command::Forward(forward)) => forward.run(folder_on_disk().path()).await,
        Some(Command::Scraping(scraping)) => scraping.run(folder_on_disk().path()).await,
        Some(Command::Stories(stories)) => stories.run(folder_on_disk().path()).await,
        Some(Command::Bigfile(bigfile)) => bigfile.run(folder_on_disk().path()),
        Some(Command::Queries(queries)) => queries.run(folder_on_disk().path()).await,
    }
}
