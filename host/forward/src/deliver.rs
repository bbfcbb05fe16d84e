//! One receiver: a round of samples is sent until each of them is taken or given up for a reason that is counted.

use crate::{
    FORWARDED_BY, ForwardCertificates, ForwardConfig, ProtocolChoice, SecretReader,
    answer::{self, Outcome},
    outgoing::Remembered,
    request,
    round::{Round, Waiting},
    status::{DropReason, ForwardState, Telling, add},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use parking_lot::Mutex;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tandem_domain::{
    Failure, FailureCode, Timestamp,
    http::{HttpClient, HttpGrant, HttpRequest, HttpResponse, TlsOptions},
    series::MetricType,
    time::Clock,
};
use tandem_store::Store;
use tandem_wire::remote_write::{self, Metadata, Protocol};

/// Longest answer that is read, in bytes: an error's text, of which the beginning is told.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// How often one request is halved to find what the receiver refuses in it: ten bad series among thousands are found, and a
/// receiver that refuses everything is not asked a thousand times.
const MAX_HALVINGS: u32 = 120;
/// How often secrets are read again, in milliseconds: tokens that rotate do so within minutes.
const READ_SECRETS_EVERY_MILLIS: i64 = 30_000;

/// Headers of a request, by name.
type Headers = Vec<(String, Vec<u8>)>;

/// The receiver sends back what it is sent: nothing more may go to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoopFound;

/// Sends to one receiver.
pub(crate) struct Deliverer {
    pub config: ForwardConfig,
    http: Arc<dyn HttpClient>,
    clock: Arc<dyn Clock>,
    grant: HttpGrant,
    identity: String,
    secrets: SecretReader,
    headers: Mutex<Option<(Timestamp, Headers)>>,
    second: AtomicBool,
    chance: Mutex<StdRng>,
    telling: Arc<Telling>,
}

/// What a deliverer is made of beside its config.
pub(crate) struct DelivererParts {
    pub http: Arc<dyn HttpClient>,
    pub clock: Arc<dyn Clock>,
    pub identity: String,
    pub secrets: SecretReader,
    pub certificates: ForwardCertificates,
    pub seed: u64,
}

/// How a round is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// What has not been taken by then is given up.
    pub expires_at: Timestamp,
    /// It was under way when the server stopped, so that the receiver may have some of it.
    pub repeated: bool,
}

impl Terms {
    fn refusal(self) -> DropReason {
        if self.repeated { DropReason::Repeated } else { DropReason::Refused }
    }
}

/// What became of a part of a request.
enum Part {
    Settled,
    InParts(String),
}

impl Deliverer {
    pub(crate) fn new(config: ForwardConfig, parts: DelivererParts, telling: Arc<Telling>) -> Self {
        let allow = config.receiver().into_iter().collect();
        let (identity_pem, server_name) = (parts.certificates.identity_pem, config.server_name.clone());
        let tls = TlsOptions { identity_pem, server_name, ..TlsOptions::default() };
        Self {
            http: parts.http,
            clock: parts.clock,
            grant: HttpGrant { allow, authority_pem: parts.certificates.authority_pem, tls },
            identity: parts.identity,
            secrets: parts.secrets,
            headers: Mutex::new(None),
            second: AtomicBool::new(config.protocol != ProtocolChoice::First),
            chance: Mutex::new(StdRng::seed_from_u64(parts.seed)),
            telling,
            config,
        }
    }

    /// The message that is sent at present.
    pub(crate) fn protocol(&self) -> Protocol {
        if self.second.load(Ordering::Relaxed) { Protocol::V2 } else { Protocol::V1 }
    }

    /// Sends a round; comes back when each sample is settled.
    pub(crate) async fn deliver(
        &self,
        round: &mut Round,
        remembered: &Remembered,
        store: &Store,
        terms: Terms,
    ) -> Result<(), LoopFound> {
        let shards = round.share_out(self.config.max_samples_per_send, self.config.max_shards);
        self.telling.shards.store(shards.len() as u64, Ordering::Relaxed);
        let samples = round.samples.as_slice();
        let shard = |requests: Vec<std::ops::Range<usize>>| async move {
            for request in requests {
                self.settle(&samples[request], remembered, store, terms).await?;
            }
            Ok(())
        };
        futures::future::try_join_all(shards.into_iter().map(shard)).await.map(drop)
    }

    /// Sends one request, in halves where the receiver refuses something in it.
    async fn settle(
        &self,
        samples: &[Waiting],
        remembered: &Remembered,
        store: &Store,
        terms: Terms,
    ) -> Result<(), LoopFound> {
        let mut parts = vec![samples];
        let mut halvings = 0;
        while let Some(part) = parts.pop() {
            match self.settle_part(part, remembered, store, terms).await? {
                Part::Settled => {}
                Part::InParts(_) if part.len() > 1 && halvings < MAX_HALVINGS => {
                    halvings += 1;
                    let (earlier, later) = part.split_at(part.len() / 2);
                    parts.extend([later, earlier]);
                }
                Part::InParts(why) => self.lost(terms.refusal(), part.len(), &why),
            }
        }
        Ok(())
    }

    async fn settle_part(
        &self,
        part: &[Waiting],
        remembered: &Remembered,
        store: &Store,
        terms: Terms,
    ) -> Result<Part, LoopFound> {
        let mut tries = 0;
        loop {
            let now = self.clock.now();
            if now > terms.expires_at {
                self.lost(DropReason::Expired, part.len(), "the receiver did not take them in time");
                return Ok(Part::Settled);
            }
            let protocol = self.protocol();
            let made = match request::series(part, remembered, store) {
                Ok(made) => made,
                Err(error) => {
                    tries += 1;
                    self.wait(tries, format!("native histograms cannot be read: {error}"), None).await;
                    continue;
                }
            };
            if made.samples == 0 {
                self.lost(DropReason::Deleted, part.len(), "they were deleted before they were sent");
                return Ok(Part::Settled);
            }
            let body = match remote_write::encode(protocol, &made.series) {
                Ok(body) => body,
                Err(error) => return Ok(Part::InParts(error.to_string())),
            };
            let may_change = self.config.protocol == ProtocolChoice::Auto;
            match answer::outcome(self.post(protocol, body).await, protocol, may_change, self.clock.now()) {
                Outcome::Taken(written) => {
                    let sent = made.samples as u64;
                    let written = written.map_or(sent, |written| (written.samples + written.histograms).min(sent));
                    add(&self.telling.samples, written);
                    self.telling.succeeded(self.clock.now());
                    let left = made.samples - written as usize;
                    if left > 0 {
                        self.lost(DropReason::NotWritten, left, "the receiver said so in its answer");
                    }
                    if part.len() > made.samples {
                        let gone = part.len() - made.samples;
                        self.lost(DropReason::Deleted, gone, "they were deleted before they were sent");
                    }
                    return Ok(Part::Settled);
                }
                Outcome::OtherProtocol => self.fall_back(),
                Outcome::InParts { why } => return Ok(Part::InParts(why)),
                Outcome::Refused { why } => {
                    self.lost(terms.refusal(), part.len(), &why);
                    return Ok(Part::Settled);
                }
                Outcome::Loop => return Err(LoopFound),
                Outcome::Again { why, after } => {
                    tries += 1;
                    self.wait(tries, why, after).await;
                }
            }
        }
    }

    async fn wait(&self, tries: u32, why: String, asked: Option<Duration>) {
        add(&self.telling.retries, 1);
        let news = self.telling.failed(why.clone(), ForwardState::Retrying);
        let chance = self.chance.lock().random::<f64>();
        let pause = answer::backoff(tries, self.config.min_backoff.0, self.config.max_backoff.0, asked, chance);
        if news {
            tracing::warn!(forward = self.config.name, "samples wait for their receiver: {why}");
        } else {
            tracing::debug!(forward = self.config.name, tries, pause_millis = pause.as_millis(), "{why}");
        }
        tokio::time::sleep(pause).await;
    }

    fn fall_back(&self) {
        if self.second.swap(false, Ordering::Relaxed) {
            tracing::info!(forward = self.config.name, "the receiver does not know remote write 2.0, 1.0 is sent");
            self.telling.protocol(Protocol::V1);
        }
    }

    fn lost(&self, reason: DropReason, samples: usize, why: &str) {
        if self.telling.dropped(reason, samples as u64, why, self.clock.now()) {
            tracing::error!(forward = self.config.name, samples, ?reason, "samples were dropped: {why}");
        }
    }

    /// Tells types and units apart from samples, as 1.0 wants it; what is not taken comes again with the next turn.
    pub(crate) async fn tell_metadata(&self, families: &[(String, MetricType, String)]) -> Result<(), LoopFound> {
        let metadata: Vec<Metadata<'_>> = families
            .iter()
            .map(|(family, metric_type, unit)| Metadata { family, metric_type: *metric_type, help: "", unit })
            .collect();
        let Ok(body) = remote_write::encode_metadata(&metadata) else { return Ok(()) };
        match answer::outcome(self.post(Protocol::V1, body).await, Protocol::V1, false, self.clock.now()) {
            Outcome::Loop => Err(LoopFound),
            Outcome::Taken(_) => Ok(()),
            outcome => {
                tracing::debug!(forward = self.config.name, "types and units were not taken: {outcome:?}");
                Ok(())
            }
        }
    }

    async fn post(&self, protocol: Protocol, body: Vec<u8>) -> Result<HttpResponse, Failure> {
        let own = protocol.headers().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let by = (FORWARDED_BY.to_owned(), self.identity.as_bytes().to_vec());
        let headers = own.into_iter().chain([by]).chain(self.given_headers()?).collect();
        add(&self.telling.requests, 1);
        add(&self.telling.bytes, body.len() as u64);
        let request = HttpRequest {
            method: "POST".into(),
            url: self.config.url.clone(),
            headers,
            body,
            timeout: self.config.timeout.0,
            max_response_bytes: MAX_ANSWER_BYTES,
            follow_redirects: false,
        };
        self.http.send(&self.grant, request).await
    }

    /// The operator's headers and the credentials; these are read again from time to time.
    fn given_headers(&self) -> Result<Headers, Failure> {
        let now = self.clock.now();
        let mut known = self.headers.lock();
        if let Some((read_at, headers)) = known.as_ref()
            && (0..READ_SECRETS_EVERY_MILLIS).contains(&now.millis_since(*read_at))
        {
            return Ok(headers.clone());
        }
        let secret =
            |source| (self.secrets)(source).map_err(|problem| Failure::lasting(FailureCode::Misconfigured, problem));
        let mut headers: Vec<_> =
            self.config.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
        if let Some(basic) = &self.config.basic {
            let pair = STANDARD.encode(format!("{}:{}", basic.username, secret(&basic.password)?));
            headers.push(("authorization".into(), format!("Basic {pair}").into_bytes()));
        }
        if let Some(token) = &self.config.bearer {
            headers.push(("authorization".into(), format!("Bearer {}", secret(token)?).into_bytes()));
        }
        *known = Some((now, headers.clone()));
        Ok(headers)
    }
}
