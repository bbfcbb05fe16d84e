//! `tandem doctor`.

use super::{ConfigPath, offline};
use crate::{bundled, forwards};
use std::{net::TcpListener, process::ExitCode};
use tandem_store::{Store, StoreOptions};

/// Looks at the machine and the data folder and says what would go wrong.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  tandem doctor --config tandem.toml")]
pub(super) struct Doctor {
    #[command(flatten)]
    config: ConfigPath,
}

struct Findings(bool);

impl Findings {
    fn note(&mut self, what: &str, outcome: Result<String, String>) {
        match outcome {
            Ok(text) => say!("ok    {what}: {text}"),
            Err(text) => {
                self.0 = true;
                say!("FAIL  {what}: {text}");
            }
        }
    }
}

impl Doctor {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let mut findings = Findings(false);
        let config = match self.config.load() {
            Ok(config) => {
                findings.note("configuration", Ok("is fine".into()));
                config
            }
            Err(error) => {
                findings.note("configuration", Err(format!("{error:#}")));
                return Ok(ExitCode::FAILURE);
            }
        };
        let listening = TcpListener::bind(config.listen).map(|_| format!("{} is free", config.listen));
        findings.note(
            "address",
            listening
                .map_err(|error| format!("{}: {error}; stop what listens there or change `listen`", config.listen)),
        );
        let store = if config.data.join("tandem.redb").exists() {
            let opened = Store::open(&config.data, StoreOptions::default());
            opened
                .map(|store| format!("{} MiB in {}", store.metrics().file_bytes >> 20, config.data.display()))
                .map_err(|e| e.to_string())
        } else {
            Ok(format!("none yet in {}", config.data.display()))
        };
        findings.note("store", store);
        for forward in &config.forward {
            let read = forwards::with_files(forward).map(|_| format!("to {}", forward.shown_url()));
            findings.note(&format!("forward {}", forward.name), read.map_err(|error| format!("{error:#}")));
        }
        match offline::runtime() {
            Ok(runtime) => {
                findings.note("plugin engine", Ok(format!("{:?}", runtime.allocation()).to_lowercase()));
                let bundle = if bundled::COMPONENTS.is_empty() {
                    Err("this binary holds no plugins; build it with `make build`".into())
                } else {
                    Ok(format!("{} plugins", bundled::COMPONENTS.len()))
                };
                findings.note("bundle", bundle);
                for (name, _) in bundled::COMPONENTS {
                    let loaded = offline::load(&runtime, name, serde_json::Value::Null).await;
                    findings.note(name, loaded.map(|_| "fits".into()).map_err(|error| format!("{error:#}")));
                }
            }
            Err(error) => findings.note("plugin engine", Err(format!("{error:#}"))),
        }
        Ok(if findings.0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
