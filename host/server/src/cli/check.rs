//! `tandem check`.

use super::ConfigPath;
use crate::StartError;
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
        let groups = crate::rules::load_all(&config.rules).map_err(StartError::Rules)?;
        let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
        let targets: usize = config.scrape.iter().map(|scrape| scrape.targets.len()).sum();
        println!(
            "The configuration is fine: listens on {}, keeps data in {}, scrapes {targets} targets, collects {}, \
             evaluates {rules} rules.",
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
