//! What the config says of forwards, with what lies in files.

use crate::config::{Config, read_secret};
use anyhow::Context;
use std::{path::Path, sync::Arc};
use tandem_domain::{http::HttpClient, secret::SecretSource, time::Clock};
use tandem_forward::{ForwardCertificates, ForwardConfig, ForwardPorts, Forwards};
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
pub(crate) fn with_files(forward: &ForwardConfig) -> anyhow::Result<(ForwardConfig, ForwardCertificates)> {
    let secret = |source: &SecretSource| {
        read_secret(source).map_err(|problem| anyhow::anyhow!("forward {}: {problem}", forward.name))
    };
    let secrets = forward.basic.iter().map(|basic| &basic.password).chain(&forward.bearer);
    secrets.map(secret).try_for_each(|read| read.map(drop))?;
    let file = |key: &str, path: &Path| {
        std::fs::read_to_string(path)
            .with_context(|| format!("forward {}: {key}: {} cannot be read", forward.name, path.display()))
    };
    let authority_pem = forward.authority.as_deref().map(|path| file("authority", path)).transpose()?;
    let certificate = forward.client_certificate.as_deref().map(|path| file("client_certificate", path)).transpose()?;
    let key = forward.client_key.as_deref().map(|path| file("client_key", path)).transpose()?;
    let identity_pem = certificate.zip(key).map(|(certificate, key)| format!("{certificate}\n{key}\n"));
    Ok((forward.clone(), ForwardCertificates { authority_pem, identity_pem }))
}
