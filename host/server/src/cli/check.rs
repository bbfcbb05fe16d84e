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
        say!(
            "The configuration is fine: listens on {}, keeps data in {}, scrapes {} jobs, collects {}, evaluates {rules} rules.",
            config.listen,
            config.data.display(),
            config.scrape.len(),
            config.collect.as_ref().map_or("from this machine".to_owned(), |collects| format!(
                "from {} configured places",
                collects.len()
            )),
        );
        if let Some(path) = config.prometheus_config.filter(|_| !config.left_out.is_empty()) {
            say!("Of {} this is not taken over:", path.display());
            config.left_out.iter().for_each(|what| say!("  {what}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
