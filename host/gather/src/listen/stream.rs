//! Connections of syslog senders: so many at a time, each with a bounded buffer, closed when it stands still.

use super::{
    config::Senders,
    metrics::{Door, Dropped, ListenMetrics},
    stopped,
    syslog::Intake,
};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tandem_wire::syslog::{MAX_MESSAGE_BYTES, frames};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};

/// How long a connection may be silent between messages. Long, because senders find out that it was closed only by losing
/// the next message.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// How long a message that was begun may take.
const MESSAGE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Bytes a connection may hold: a message of the longest kind, its count, and what is read behind it.
const MAX_BUFFER_BYTES: usize = 2 * MAX_MESSAGE_BYTES;
/// Pause after a connection could not be taken, which means that descriptors are short.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);

/// Takes connections until `stop` says so, and then what has come by them.
pub(crate) async fn accept(
    listener: TcpListener,
    senders: Senders,
    connections: usize,
    intake: Intake,
    metrics: Arc<ListenMetrics>,
    mut stop: watch::Receiver<bool>,
) {
    let (room, door) = (Arc::new(Semaphore::new(connections)), &metrics.syslog_tcp);
    let mut open = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stop) => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (connection, from) = match accepted {
            Ok((connection, from)) => (connection, from.ip().to_canonical()),
            Err(error) => {
                tracing::warn!("a connection of a syslog sender could not be taken: {error}");
                tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                continue;
            }
        };
        if !senders.admit(from) {
            door.dropped(Dropped::SenderNotAllowed, 1);
            continue;
        }
        let Ok(permit) = room.clone().try_acquire_owned() else {
            door.dropped(Dropped::TooManyConnections, 1);
            continue;
        };
        let (intake, metrics, stop) = (intake.clone(), metrics.clone(), stop.clone());
        open.spawn(async move {
            metrics.syslog_tcp.connected();
            read(connection, from, &intake, &metrics.syslog_tcp, stop).await;
            metrics.syslog_tcp.disconnected();
            drop(permit);
        });
    }
    while open.join_next().await.is_some() {}
}

/// Reads one connection to its end.
async fn read(mut connection: TcpStream, from: IpAddr, intake: &Intake, door: &Door, mut stop: watch::Receiver<bool>) {
    let (mut buffer, mut begun) = (Vec::new(), Instant::now());
    loop {
        let wait = if buffer.is_empty() { IDLE_TIMEOUT } else { MESSAGE_TIMEOUT.saturating_sub(begun.elapsed()) };
        let mut limited = (&mut connection).take(READ_BYTES.min(MAX_BUFFER_BYTES - buffer.len()) as u64);
        let read = tokio::select! {
            () = stopped(&mut stop) => break,
            read = tokio::time::timeout(wait, limited.read_buf(&mut buffer)) => read,
        };
        match read {
            Ok(Ok(bytes)) if bytes > 0 => {}
            Ok(_) => break,
            Err(_) => {
                door.dropped(Dropped::Stalled, u64::from(!buffer.is_empty()));
                return;
            }
        }
        if deliver(&mut buffer, from, intake, door).await {
            begun = Instant::now();
        }
    }
    // What had arrived when the server was told to stop, or when the sender left without ending its last line.
    while buffer.len() < MAX_BUFFER_BYTES {
        match connection.try_read_buf(&mut buffer) {
            Ok(bytes) if bytes > 0 => drop(deliver(&mut buffer, from, intake, door).await),
            _ => break,
        }
    }
    if let Some(last) = intake.read(from, [buffer.as_slice()].into_iter().filter(|rest| !rest.is_empty()), door) {
        door.received(1);
        intake.deliver(last).await;
    }
}

/// Delivers the whole messages at the front of a buffer; whether the rest, if any, has begun since.
async fn deliver(buffer: &mut Vec<u8>, from: IpAddr, intake: &Intake, door: &Door) -> bool {
    let found = frames(buffer);
    door.received(found.messages.len() as u64);
    door.dropped(Dropped::TooLong, u64::from(found.discarded > 0));
    let delivery = intake.read(from, found.messages, door);
    let consumed = found.consumed;
    buffer.drain(..consumed);
    if let Some(delivery) = delivery {
        intake.deliver(delivery).await;
    }
    consumed > 0
}
