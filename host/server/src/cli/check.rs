//! `tandem check`.

use super::ConfigPath;
use std::process::ExitCode;

/// Checks a configuration without starting anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tandem check --config /etc/tandem.toml")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigPath,
}

impl Check {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.config.load()?;
        let targets: usize = config.scrape.iter().map(|scrape| scrape.targets.len()).sum();
        println!(
            "The configuration is fine: listens on {}, keeps data in {}, scrapes {targets} targets, collects {}.",
            config.listen,
            config.data.display(),
            config.collect.as_ref().map_or("from this machine".to_owned(), |collects| format!(
                "from {} configured places",
                collects.len()
            )),
        );
        Ok(ExitCode::SUCCESS)
    }
}
