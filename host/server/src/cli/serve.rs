//! `tandem serve`.

use super::{ConfigPath, say, stop::Stop};
use crate::{Server, ServerOptions, descriptors};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Instant};
use tandem_domain::{plugin::PluginState, ports::PluginCatalogue};
use tokio::signal::unix::{SignalKind, signal};

/// Runs the server until it is told to stop.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tandem serve --data /var/lib/tandem")]
pub(super) struct Serve {
    #[command(flatten)]
    config: ConfigPath,
    /// Instead of `listen` in the configuration.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// Instead of `data` in the configuration.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let began = Instant::now();
        let mut config = self.config.load()?;
        config.listen = self.listen.unwrap_or(config.listen);
        config.data = self.data.unwrap_or(config.data);
        config.check_listen()?;
        let filter = tracing_subscriber::EnvFilter::try_new(&config.log)
            .map_err(|error| anyhow::anyhow!("log = {:?} is not understood: {error}", config.log))?;
        // An event that nobody can read is lost; telling of that would be one more, and a panic.
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        log.log_internal_errors(false).init();
        descriptors::raise();
        // Signals are caught from here on, so that one that comes while starting stops cleanly too.
        let mut stop = Stop::catch()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let server = Server::start(ServerOptions::new(config)).await?;
        let statuses = server.runtime().statuses();
        let live = statuses.iter().filter(|status| status.state == PluginState::Live).count();
        say::of_server(format_args!(
            "Tandem is ready on http://{}/ with {live} of {} plugins, after {} ms.",
            server.address(),
            statuses.len(),
            began.elapsed().as_millis()
        ));
        loop {
            tokio::select! {
                () = stop.asked() => break,
                // As Prometheus does at this signal; the log tells what came of it.
                Some(()) = hangup.recv() => drop(server.reload_rules()),
            }
        }
        say::of_server(format_args!("Stopping."));
        server.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}
