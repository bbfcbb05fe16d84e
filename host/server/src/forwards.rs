//! What the config says of forwards, with what lies in files.

use crate::config::{Config, read_secret};
use anyhow::Context;
use std::sync::Arc;
use tandem_domain::{http::HttpClient, secret::SecretSource, time::Clock};
use tandem_forward::{ForwardConfig, ForwardPorts, Forwards};
use tandem_store::Store;

/// The forwards of a server.
///
/// # Errors
/// When a file with certificates or a secret cannot be read.
pub(crate) fn forwards(
    config: &Config,
    store: Store,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Forwards> {
    let configs: Vec<_> = config.forward.iter().map(with_files).collect::<anyhow::Result<_>>()?;
    let ports = ForwardPorts { store, http, clock, secrets: Arc::new(read_secret), seed: rand::random() };
    Ok(Forwards::new(ports, configs))
}

/// A forward with the certificates it names. That its secrets can be read is seen here as well, since a slip is better told at
/// start than with the first sample; they are read again later.
pub(crate) fn with_files(forward: &ForwardConfig) -> anyhow::Result<(ForwardConfig, Option<String>)> {
    let readable = |source: &SecretSource| {
        read_secret(source).map(drop).map_err(|problem| anyhow::anyhow!("forward {}: {problem}", forward.name))
    };
    forward.basic.iter().map(|basic| &basic.password).chain(&forward.bearer).try_for_each(readable)?;
    let authority = forward.authority.as_ref().map(|path| {
        std::fs::read_to_string(path)
            .with_context(|| format!("forward {}: authority: {} cannot be read", forward.name, path.display()))
    });
    Ok((forward.clone(), authority.transpose()?))
}
