//! All forwards of a server: each a lane of its own, so that a receiver that is down holds up no other.

use crate::{
    ForwardConfig, ForwardRecord, ForwardStatus, ProtocolChoice,
    deliver::{Deliverer, DelivererParts},
    lane::Lane,
    outgoing::{Choice, Remembered},
    status::Telling,
};
use std::sync::{Arc, atomic::Ordering};
use tandem_domain::{http::HttpClient, secret::SecretSource, time::Clock};
use tandem_store::{NewSeries, Store, WriteError};
use tandem_wire::remote_write::Protocol;
use tokio::{sync::watch, time::Instant};

/// Records of forwards looked at when the server starts; more than anyone configures.
const MAX_RECORDS: usize = 10_000;

/// Reads a secret; in words, without the value, why it cannot.
pub type SecretReader = Arc<dyn Fn(&SecretSource) -> Result<String, String> + Send + Sync>;

/// What forwards are given.
#[derive(Clone)]
pub struct ForwardPorts {
    /// Where samples and cursors lie.
    pub store: Store,
    /// The one way out.
    pub http: Arc<dyn HttpClient>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Reads secrets, again from time to time.
    pub secrets: SecretReader,
    /// Chance for the waits between tries, and for the name by which this server knows its own bodies.
    pub seed: u64,
}

/// What the files hold that a config names, to be spoken TLS with.
#[derive(Clone, Default)]
pub struct ForwardCertificates {
    /// Certificates (PEM) of an authority of the operator's own.
    pub authority_pem: Option<String>,
    /// Certificate and key (PEM) by which this server shows who it is.
    pub identity_pem: Option<String>,
}

struct Forward {
    config: ForwardConfig,
    certificates: ForwardCertificates,
    telling: Arc<Telling>,
}

/// The forwards of a server.
pub struct Forwards {
    ports: ForwardPorts,
    forwards: Vec<Forward>,
    identity: String,
}

impl Forwards {
    /// From checked configs, each with the certificates it names.
    pub fn new(ports: ForwardPorts, configs: Vec<(ForwardConfig, ForwardCertificates)>) -> Self {
        let forwards = configs.into_iter().map(|(config, certificates)| {
            let protocol = if config.protocol == ProtocolChoice::First { Protocol::V1 } else { Protocol::V2 };
            Forward { config, certificates, telling: Arc::new(Telling::new(protocol)) }
        });
        let forwards = forwards.collect();
        let identity = format!("{:016x}", ports.seed);
        Self { ports, forwards, identity }
    }

    /// Whether a body with this value of [`crate::FORWARDED_BY`] was sent by this very server.
    pub fn is_own(&self, forwarded_by: &str) -> bool {
        !self.forwards.is_empty() && forwarded_by == self.identity
    }

    /// How each stands.
    pub fn statuses(&self) -> Vec<ForwardStatus> {
        let now = self.ports.clock.now();
        // What the file says cannot be read now is told by /readyz; a forward then seems to have nothing before it.
        let end = self.ports.store.read().and_then(|read| read.samples_end()).unwrap_or(0);
        let status =
            |forward: &Forward| forward.telling.status(&forward.config.name, &forward.config.shown_url(), end, now);
        self.forwards.iter().map(status).collect()
    }

    /// Takes a place in the log for each new forward, from now on, and gives up the places of those that are no longer
    /// configured. To be called before samples come in.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub async fn announce(&self) -> Result<(), WriteError> {
        let names: Vec<String> = self.forwards.iter().map(|forward| forward.config.name.clone()).collect();
        let read = self.ports.store.read()?;
        let (known, end) = (read.scan::<ForwardRecord>(.., MAX_RECORDS)?, read.samples_end()?);
        drop(read);
        for forward in &self.forwards {
            let place = known.iter().find(|record| record.name == forward.config.name);
            forward.telling.through.store(place.map_or(end, |record| record.through), Ordering::Relaxed);
        }
        self.ports
            .store
            .write(move |tx| {
                for record in &known {
                    if names.contains(&record.name) {
                        tx.set_cursor(&ForwardRecord::cursor(&record.name), record.through)?;
                    } else {
                        tracing::info!(forward = record.name, "is not configured any more; its place is given up");
                        tx.remove_cursor(&ForwardRecord::cursor(&record.name))?;
                        tx.remove::<ForwardRecord>(&record.name)?;
                    }
                }
                for name in names.iter().filter(|name| known.iter().all(|record| record.name != **name)) {
                    tx.set_cursor(&ForwardRecord::cursor(name), end)?;
                    tx.put(&ForwardRecord::beginning(name, end))?;
                }
                Ok(())
            })
            .await
    }

    /// Runs them until the server stops.
    pub async fn run(self: Arc<Self>, stop: watch::Receiver<bool>) {
        let lanes = self.forwards.iter().enumerate().map(|(number, forward)| self.lane(number, forward, stop.clone()));
        futures::future::join_all(lanes).await;
    }

    async fn lane(&self, number: usize, forward: &Forward, stop: watch::Receiver<bool>) {
        let Forward { config, certificates, telling } = forward;
        let begun = || {
            let read = self.ports.store.read().map_err(|error| error.to_string())?;
            let record = read.get::<ForwardRecord>(&config.name).map_err(|error| error.to_string())?;
            let record = record.ok_or("its place in the log was not taken")?;
            let described = read.log_end::<NewSeries>().map_err(|error| error.to_string())?;
            let choice = Choice::new(config.selectors()?, config.external_labels.clone(), config.relabeling()?);
            Ok::<_, String>((record, Remembered::new(choice, described)))
        };
        let (record, remembered) = match begun() {
            Ok(begun) => begun,
            Err(error) => return tracing::error!(forward = config.name, "cannot begin: {error}"),
        };
        let parts = DelivererParts {
            http: self.ports.http.clone(),
            clock: self.ports.clock.clone(),
            identity: self.identity.clone(),
            secrets: self.ports.secrets.clone(),
            certificates: certificates.clone(),
            seed: self.ports.seed.wrapping_add(number as u64),
        };
        let lane = Lane {
            store: self.ports.store.clone(),
            clock: self.ports.clock.clone(),
            deliverer: Deliverer::new(config.clone(), parts, telling.clone()),
            remembered,
            record,
            telling: telling.clone(),
            uncommitted: false,
            committed_at: Instant::now(),
            metadata_at: Instant::now(),
        };
        lane.run(stop).await;
    }
}
