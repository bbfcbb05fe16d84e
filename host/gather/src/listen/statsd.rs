//! StatsD: datagrams add up in memory, and what they come to is told as samples at each flush.

use super::{
    config::{Senders, StatsdConfig},
    datagrams::{Datagrams, MAX_AT_ONCE},
    metrics::{Door, Dropped, ListenMetrics},
    stopped,
};
use crate::sent::SentReceiver;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use tandem_domain::{Timestamp, time::Clock};
use tandem_wire::{
    rejected::Rejections,
    statsd::{self, Aggregator, Flush, Line},
};
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};

/// The job of a sender that does not name one by a tag.
const JOB: &str = "statsd";
/// Senders whose address is kept as text; more are written anew each time.
const MAX_KNOWN_SENDERS: usize = 4_096;
/// Datagrams taken at the end, when the server stops; a sender that goes on would hold it up.
const MAX_LAST_DATAGRAMS: usize = 20_000;

/// Listens for StatsD.
pub(crate) struct StatsdListener {
    datagrams: Datagrams,
    config: StatsdConfig,
    sent: Arc<SentReceiver>,
    clock: Arc<dyn Clock>,
    metrics: Arc<ListenMetrics>,
    held: Aggregator,
    senders: HashMap<IpAddr, String>,
}

impl StatsdListener {
    pub(crate) fn bind(
        config: StatsdConfig,
        sent: Arc<SentReceiver>,
        clock: Arc<dyn Clock>,
        metrics: Arc<ListenMetrics>,
    ) -> io::Result<Self> {
        let datagrams = Datagrams::bind(config.listen, Senders::of(&config.senders))?;
        let held = sent.statsd_aggregator();
        Ok(Self { datagrams, config, sent, clock, metrics, held, senders: HashMap::new() })
    }

    pub(crate) fn address(&self) -> io::Result<SocketAddr> {
        self.datagrams.address()
    }

    /// Listens until `stop` says so; then takes what has come by then, and tells it.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let (flushes, waiting) = mpsc::channel(1);
        let committing = tokio::spawn(commit(self.sent.clone(), self.clock.clone(), waiting, self.metrics.clone()));
        let mut due = tokio::time::interval(self.config.flush_interval.0);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stopped(&mut stop) => break,
                _ = due.tick() => {
                    self.datagrams.count_lost(&self.metrics.statsd);
                    // Where the flush before is still being written, totals go on adding up and are told by the next one.
                    if let Ok(permit) = flushes.try_reserve() {
                        permit.send(self.flush());
                    }
                }
                () = self.datagrams.readable() => {
                    self.take(MAX_AT_ONCE);
                    tokio::task::yield_now().await;
                }
            }
        }
        self.datagrams.last_look().await;
        self.take(MAX_LAST_DATAGRAMS);
        let last = self.flush();
        // Both fail only when the committing task is gone, which then has said why.
        let _ = flushes.send(last).await;
        drop(flushes);
        let _ = committing.await;
    }

    fn flush(&mut self) -> Flush {
        let idle = i64::try_from(self.config.idle.0.as_millis()).unwrap_or(i64::MAX);
        self.held.flush(self.clock.now().plus_millis(-idle))
    }

    /// Takes datagrams that are there.
    fn take(&mut self, most: usize) {
        let now = self.clock.now();
        let mut rejections = Rejections::default();
        let door = &self.metrics.statsd;
        for _ in 0..most {
            let Some((from, datagram)) = self.datagrams.take(door) else { break };
            if self.senders.len() >= MAX_KNOWN_SENDERS && !self.senders.contains_key(&from) {
                self.senders.clear();
            }
            let sender = self.senders.entry(from).or_insert_with(|| from.to_string());
            for line in statsd::lines(datagram) {
                let applied = line.and_then(|line| apply(&mut self.held, &self.config, line, sender, now));
                if let Err(rejection) = applied {
                    rejections.add(rejection, 1);
                }
            }
        }
        door.rejected(&rejections);
    }
}

/// Takes in a line with what the operator puts to it, and whose it is where its tags do not say.
fn apply<'l>(
    held: &mut Aggregator,
    config: &'l StatsdConfig,
    mut line: Line<'l>,
    sender: &'l str,
    now: Timestamp,
) -> Result<(), tandem_wire::rejected::Rejection> {
    let labels = config.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in labels.chain([("job", JOB), ("instance", sender)]) {
        if !line.tags.iter().any(|(known, _)| *known == name) {
            line.tags.push((name, value));
        }
    }
    if config.prefix.is_empty() {
        return held.apply(&line, now);
    }
    let name = format!("{}{}", config.prefix, line.name);
    held.apply(&Line { name: &name, ..line }, now)
}

/// Writes flushes one after another.
async fn commit(
    sent: Arc<SentReceiver>,
    clock: Arc<dyn Clock>,
    mut flushes: mpsc::Receiver<Flush>,
    metrics: Arc<ListenMetrics>,
) {
    let door: &Door = &metrics.statsd;
    while let Some(flush) = flushes.recv().await {
        let values = (flush.samples.len() + flush.histograms.len()) as u64;
        match sent.statsd(flush, clock.now()).await {
            Ok(taken) => door.rejected(&taken.rejections),
            Err(error) => {
                tracing::error!(values, "what StatsD added up to could not be written: {error}");
                door.dropped(Dropped::NotWritten, values);
            }
        }
    }
}
