//! Syslog over UDP and TCP. What is received is gathered for a moment and written in one commit; nobody is told, since the
//! protocol has no answer.

use super::{
    config::{Senders, SyslogConfig},
    datagrams::{Datagrams, MAX_AT_ONCE},
    metrics::{Door, Dropped, ListenMetrics},
    stopped, stream,
};
use crate::sent::SentReceiver;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tandem_domain::{Timestamp, time::Clock};
use tandem_wire::{limits::WireLimits, log_entry::LogEntry, rejected::Rejections, syslog};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::Instant,
};

/// Deliveries of receivers that wait to be written. Each holds what was received at once: 64 KiB of a stream, some datagrams.
const MAX_WAITING_DELIVERIES: usize = 64;
/// How long entries are gathered before they are written: one fsync for what comes together.
const GATHERING_TIME: Duration = Duration::from_millis(200);
/// Entries written at once at the most.
const MAX_BATCH_ENTRIES: usize = 8_192;
/// Bytes of text gathered at the most; what is beyond waits for the next commit.
const MAX_BATCH_BYTES: usize = 4 << 20;
/// How often the kernel is asked what it lost.
const COUNT_LOST_EVERY: Duration = Duration::from_secs(10);
/// Datagrams taken at the end, when the server stops.
const MAX_LAST_DATAGRAMS: usize = 20_000;

/// Entries of one sender, received together.
pub(crate) struct Delivery {
    pub from: IpAddr,
    pub entries: Vec<LogEntry>,
}

/// What a listener hands its deliveries to, and what it needs to read them.
#[derive(Clone)]
pub(crate) struct Intake {
    deliveries: mpsc::Sender<Delivery>,
    clock: Arc<dyn Clock>,
    limits: WireLimits,
}

impl Intake {
    /// The entries of messages; what is none is counted.
    pub(crate) fn read<'m>(
        &self,
        from: IpAddr,
        messages: impl IntoIterator<Item = &'m [u8]>,
        door: &Door,
    ) -> Option<Delivery> {
        let (now, mut rejections) = (self.clock.now(), Rejections::default());
        let read = |message: &[u8]| match syslog::parse(message, now, &self.limits) {
            Ok(entry) => Some(entry),
            Err(rejection) => {
                rejections.add(rejection, 1);
                None
            }
        };
        let entries: Vec<LogEntry> = messages.into_iter().filter_map(read).collect();
        door.rejected(&rejections);
        (!entries.is_empty()).then_some(Delivery { from, entries })
    }

    /// Waits for room: the sender of a stream is held up by it.
    pub(crate) async fn deliver(&self, delivery: Delivery) {
        // It fails only when the writing task is gone, which then has said why.
        let _ = self.deliveries.send(delivery).await;
    }

    /// Delivers where there is room: nobody can hold up who sends datagrams.
    fn offer(&self, delivery: Delivery, door: &Door) {
        let entries = delivery.entries.len() as u64;
        if self.deliveries.try_send(delivery).is_err() {
            door.dropped(Dropped::QueueFull, entries);
        }
    }
}

/// Listens for syslog.
pub(crate) struct SyslogListener {
    udp: Option<Datagrams>,
    tcp: Option<TcpListener>,
    config: SyslogConfig,
    sent: Arc<SentReceiver>,
    clock: Arc<dyn Clock>,
    metrics: Arc<ListenMetrics>,
}

impl SyslogListener {
    pub(crate) async fn bind(
        config: SyslogConfig,
        sent: Arc<SentReceiver>,
        clock: Arc<dyn Clock>,
        metrics: Arc<ListenMetrics>,
    ) -> Result<Self, (SocketAddr, io::Error)> {
        let udp = match config.udp {
            Some(listen) => {
                Some(Datagrams::bind(listen, Senders::of(&config.senders)).map_err(|error| (listen, error))?)
            }
            None => None,
        };
        let tcp = match config.tcp {
            Some(listen) => Some(TcpListener::bind(listen).await.map_err(|error| (listen, error))?),
            None => None,
        };
        Ok(Self { udp, tcp, config, sent, clock, metrics })
    }

    /// Where it listens, by UDP and by TCP.
    pub(crate) fn addresses(&self) -> (Option<SocketAddr>, Option<SocketAddr>) {
        let udp = self.udp.as_ref().and_then(|udp| udp.address().ok());
        (udp, self.tcp.as_ref().and_then(|tcp| tcp.local_addr().ok()))
    }

    /// Listens until `stop` says so; then takes what has come by then, and writes it.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) {
        let Self { udp, tcp, config, sent, clock, metrics } = self;
        let intake = |door: fn(&ListenMetrics) -> &Door| {
            let (deliveries, waiting) = mpsc::channel(MAX_WAITING_DELIVERIES);
            let writing = tokio::spawn(write(sent.clone(), clock.clone(), waiting, metrics.clone(), door));
            (Intake { deliveries, clock: clock.clone(), limits: WireLimits::default() }, writing)
        };
        let by_udp = async {
            let Some(datagrams) = udp else { return };
            let (intake, writing) = intake(|metrics| &metrics.syslog_udp);
            receive(datagrams, intake, &metrics.syslog_udp, stop.clone()).await;
            finish(writing).await;
        };
        let by_tcp = async {
            let Some(listener) = tcp else { return };
            let (intake, writing) = intake(|metrics| &metrics.syslog_tcp);
            let senders = Senders::of(&config.senders);
            stream::accept(listener, senders, config.connections(), intake, metrics.clone(), stop.clone()).await;
            finish(writing).await;
        };
        tokio::join!(by_udp, by_tcp);
    }
}

async fn finish(writing: JoinHandle<()>) {
    if let Err(error) = writing.await {
        tracing::error!("writing of syslog ended by a fault: {error}");
    }
}

/// Receives datagrams: each is a message.
async fn receive(mut datagrams: Datagrams, intake: Intake, door: &Door, mut stop: watch::Receiver<bool>) {
    let mut due = tokio::time::interval(COUNT_LOST_EVERY);
    loop {
        tokio::select! {
            () = stopped(&mut stop) => break,
            _ = due.tick() => datagrams.count_lost(door),
            () = datagrams.readable() => {
                take(&mut datagrams, &intake, door, MAX_AT_ONCE);
                tokio::task::yield_now().await;
            }
        }
    }
    datagrams.last_look().await;
    take(&mut datagrams, &intake, door, MAX_LAST_DATAGRAMS);
}

/// Takes datagrams that are there; those of one sender in a row are delivered together.
fn take(datagrams: &mut Datagrams, intake: &Intake, door: &Door, most: usize) {
    let mut gathered: Option<Delivery> = None;
    for _ in 0..most {
        let Some((from, datagram)) = datagrams.take(door) else { break };
        let Some(delivery) = intake.read(from, [datagram], door) else { continue };
        match &mut gathered {
            Some(known) if known.from == from => known.entries.extend(delivery.entries),
            _ => {
                if let Some(before) = gathered.replace(delivery) {
                    intake.offer(before, door);
                }
            }
        }
    }
    if let Some(last) = gathered {
        intake.offer(last, door);
    }
}

/// Writes what is delivered, gathered for a moment.
async fn write(
    sent: Arc<SentReceiver>,
    clock: Arc<dyn Clock>,
    mut waiting: mpsc::Receiver<Delivery>,
    metrics: Arc<ListenMetrics>,
    door: fn(&ListenMetrics) -> &Door,
) {
    let door = door(&metrics);
    while let Some(first) = waiting.recv().await {
        let end = Instant::now() + GATHERING_TIME;
        let size = |delivery: &Delivery| delivery.entries.iter().map(|entry| entry.text.len()).sum::<usize>();
        let (mut entries, mut bytes) = (first.entries.len(), size(&first));
        let mut batch = vec![first];
        while entries < MAX_BATCH_ENTRIES && bytes < MAX_BATCH_BYTES {
            let Ok(Some(more)) = tokio::time::timeout_at(end, waiting.recv()).await else { break };
            (entries, bytes) = (entries + more.entries.len(), bytes + size(&more));
            batch.push(more);
        }
        let now: Timestamp = clock.now();
        if let Err(error) = sent.syslog(batch.into_iter().map(|one| (one.from, one.entries)), now).await {
            tracing::error!(entries, "syslog could not be written: {error}");
            door.dropped(Dropped::NotWritten, entries as u64);
        }
    }
}
